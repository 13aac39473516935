//! Remora's smol adapter: sockets, TLS, the clock, memory and the token exchange. It moves bytes and keeps time;
//! `remora-core` decides what the bytes mean and what to do about them.
//!
//! One thread runs everything on one executor. With more threads configured, each runs its own, and they
//! share nothing while requests are forwarded. The sockets of the forwarding path are watched by the thread's own
//! reactor; rarer work, such as connection attempts, signals and pauses, uses async-io. Two kinds of work block and get
//! a short-lived thread: the token exchange and name resolution.
#![forbid(unsafe_code)]

mod assertion;
mod body;
mod clock;
pub mod cloud;
pub mod config;
mod connect;
mod credential;
mod drive;
pub mod endpoint;
mod executor;
pub mod file;
#[cfg(test)]
mod fixture;
pub mod hint;
mod hub;
mod identity;
mod jwt;
mod listen;
mod memory;
mod notice;
mod pool;
pub mod probe;
pub mod proxy;
mod reactor;
mod report;
mod resolve;
mod secret;
mod slots;
mod stop;
pub mod text;
mod threads;
mod tls;
mod tokens;
mod traffic;
mod trust;
mod upstream;

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};
use smol::channel::{self, Receiver};

pub use identity::{Claims, Failure, Granted, Skew, Ticket, exchange_once};
pub use notice::{Minute, Notice, Observer};
pub use report::{About, families};
pub use secret::Secret;
pub use stop::{Stopped, exit_on_signal};
pub use tls::TlsError;
pub use trust::{Trust, TrustError};

use config::{Config, Limits};
use hub::{Hub, Plan};
use identity::Exchanger;
use threads::Threads;
use tokens::RefusedToken;
use tokens::keeper::Keeper;

/// Why the sidecar could not start, or go on.
#[derive(Debug)]
pub enum StartError {
    /// The port cannot be bound.
    Bind(u16, io::Error),
    /// rustls accepts none of the certificate authorities, or has no cipher suite for the TLS versions.
    Tls(TlsError),
    /// The system refused memory, a thread, a poller or a signal handler, or the proxy's URL is unusable.
    System(io::Error),
    /// The system no longer reports events, so that a thread cannot go on.
    Running(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(port, error) => write!(f, "port {port}: {error}"),
            Self::Tls(error) => error.fmt(f),
            Self::System(error) | Self::Running(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// Runs the sidecar until a signal stops it.
///
/// The ports open before the first token; everything that needs the network is retried until it works. Tokens and
/// secrets are in memory while it runs: call [`forbid_core_dumps`] first.
pub fn run(config: &Config, trust: Trust, about: About, observer: Arc<dyn Observer>) -> Result<Stopped, StartError> {
    let plan = Plan::new(config, &trust, about, observer)?;
    let (refused, to_replace) = channel::unbounded();
    let ((threads, mailbox), workers) = Threads::views(config.limits.threads);
    let hub: &'static Hub = Box::leak(Box::new(Hub::new(&plan, threads, refused.clone())?));
    let wanted = files(&config.limits);
    if let Some(limit) = raise_files().filter(|limit| *limit < wanted) {
        hub.observer.notice(&Notice::FewFiles { limit, wanted });
    }
    let exchanger = Exchanger::new(&config.identity, &trust, config.proxy.as_ref()).map_err(StartError::System)?;
    // Both root stores are built, so the certificates are no longer needed.
    drop(trust);
    let signals = stop::signals().map_err(StartError::System)?;

    let listen = |port, admin| {
        let listener = listen::bind(hub.reactor, port).map_err(|error| StartError::Bind(port, error))?;
        let listener = Rc::new(listener);
        hub.observer.notice(&Notice::Listening { port });
        hub.executor.spawn(listen::accept(hub, Rc::clone(&listener), admin)).detach();
        Ok(listener)
    };
    let senders = listen(config.listen.port, false)?;
    if let Some(port) = config.listen.admin_port {
        listen(port, true)?;
    }
    let (end, ended) = channel::unbounded();
    for worker in workers {
        threads::start(&plan, worker, refused.clone(), end.clone()).map_err(StartError::System)?;
    }
    if config.limits.threads.get() > 1 {
        hub.executor.spawn(threads::receive(hub, mailbox)).detach();
    }
    keep_tokens(hub, exchanger, to_replace);

    // The future that drives the executor is polled at every wakeup, so it only waits for the end.
    let grace = config.shutdown_grace;
    let stop = async move {
        let stopped = stop::wait(hub, &senders, signals, grace).await;
        // The receiver waits below.
        let _ = end.send(Ok(stopped)).await;
    };
    hub.executor.spawn(stop).detach();
    let ended = hub.reactor.block_on(hub.executor.run(async { ended.recv().await })).map_err(StartError::Running)?;
    ended.unwrap_or(Ok(Stopped::Settled))
}

/// File descriptors that the limits may require: senders, guests, connections being turned away, attempts to connect to
/// Azure, idle connections there, and the process's own.
fn files(limits: &Limits) -> u64 {
    let of_thread = slots::SLOTS_OF_GUESTS + slots::LEAVING + listen::TURNED_AWAY + upstream::MOST_IDLE;
    let many =
        [limits.max_connections, limits.max_in_flight * connect::MOST_ATTEMPTS, limits.threads.get() * of_thread, 32];
    many.into_iter().map(|many| many as u64).sum()
}

/// Raises the soft limit on file descriptors to the hard limit and returns it; `None` means unlimited. systemd starts
/// programs with 1,024, for those that still use select(2), and lets them have more.
fn raise_files() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current < maximum.or(Some(u64::MAX)) {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    getrlimit(Resource::Nofile).current
}

/// Leaves no core dump, which would hold the token. For a limit of 1 byte, Linux neither writes a file nor starts a
/// handler (its fs/coredump.c). A limit of 0 still starts one, and cannot be raised if it is a hard limit.
pub fn forbid_core_dumps() {
    let maximum = getrlimit(Resource::Core).maximum;
    if maximum == Some(0) {
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(maximum.map_or(1, |most| most.min(1))), maximum });
}

/// Keeps the token for all threads, with tasks on this first one.
fn keep_tokens(hub: &'static Hub, exchanger: Exchanger, refused: Receiver<RefusedToken>) {
    // A hasher's random keys are random enough to spread refreshes.
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0);
    let seed = u32::try_from(random >> 32).unwrap_or_default();
    let keeper: &'static Keeper = Box::leak(Box::new(Keeper::new(hub.clock, seed)));
    hub.executor.spawn(async move { keeper.keep(&exchanger, hub).await }).detach();
    hub.executor.spawn(keeper.replace_all(&hub.executor, refused)).detach();
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn nothing_is_dumped_whatever_the_limit() {
        let some = Rlimit { current: Some(2), ..getrlimit(Resource::Core) };
        // A hard limit of 0 leaves nothing to lower.
        if some.maximum != Some(0) {
            setrlimit(Resource::Core, some).unwrap();
            forbid_core_dumps();
            assert_eq!(getrlimit(Resource::Core).current, Some(1));
        }
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        setrlimit(Resource::Core, none).unwrap();
        forbid_core_dumps();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
