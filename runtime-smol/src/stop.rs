//! SIGTERM, SIGINT and SIGHUP: the first signal begins a graceful stop, the second ends the process at once. Without
//! handlers, the kernel would not deliver them to process 1 of a container. What serves nobody ends at the first.

use std::fs;
use std::io;
use std::net::TcpListener;
use std::process;
use std::thread::Builder;
use std::time::Duration;

use async_io::Timer;
use async_signal::{Signal, Signals};
use smol::future;
use smol::stream::StreamExt as _;

use crate::hub::Hub;
use crate::listen;
use crate::notice::Notice;
use crate::reactor::Socket;
use crate::threads::{Message, Reply};

/// How long the other threads have to report their open requests, or their minute.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long all threads have to look at their sockets once more.
const LOOK: Duration = Duration::from_millis(20);

/// How the process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// No sender's request was open any more.
    Settled,
    /// The grace period ended with this many requests of senders open.
    Overdue(usize),
    /// A second signal with this number arrived.
    Again(i32),
}

pub(crate) fn signals() -> io::Result<Signals> {
    let hangup = (!ignores(Signal::Hup)).then_some(Signal::Hup);
    Signals::new([Signal::Term, Signal::Int].into_iter().chain(hangup))
}

/// Ends the process at the next signal, with 128 plus its number as exit code. Fails if the system refuses the handlers
/// or the thread.
pub fn exit_on_signal() -> io::Result<()> {
    let mut signals = signals()?;
    // smol::block_on would be a second driver of the reactor, which has a thread of its own.
    let wait = move || process::exit(128 + future::block_on(next(&mut signals)));
    Builder::new().name("signals".to_owned()).stack_size(128 * 1024).spawn(wait).map(drop)
}

/// Whether the process was started with `signal` ignored, as nohup(1) does with SIGHUP.
fn ignores(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

/// Waits for a signal, then stops gracefully; completes when the process should end. `senders` is where they connect.
pub(crate) async fn wait(
    hub: &'static Hub,
    senders: &Socket<TcpListener>,
    mut signals: Signals,
    grace: Duration,
) -> Stopped {
    next(&mut signals).await;
    hub.threads.tell(|| Message::Drain);
    hub.drain();
    let settled = async {
        hub.observer.notice(&Notice::Stopping { open: open(hub).await });
        settle(hub, senders).await;
        Stopped::Settled
    };
    let overdue = async {
        Timer::after(grace).await;
        // Senders that are still connected may have nothing left to send.
        match open(hub).await {
            0 => Stopped::Settled,
            open => Stopped::Overdue(open),
        }
    };
    let again = async { Stopped::Again(next(&mut signals).await) };
    let stopped = future::or(settled, future::or(again, overdue)).await;
    if !matches!(stopped, Stopped::Again(_)) {
        // The minute in progress would not be reported any more.
        let silent = async {
            Timer::after(PATIENCE).await;
        };
        future::or(hub.report_minute(), silent).await;
    }
    stopped
}

/// Open requests of senders on all threads; on this one alone if any other does not answer within [`PATIENCE`].
async fn open(hub: &Hub) -> usize {
    let silent = async {
        Timer::after(PATIENCE).await;
        Vec::new()
    };
    let others = future::or(hub.threads.ask(&Message::Open), silent).await;
    let open = |reply| if let Reply::Open(open) = reply { open } else { 0 };
    others.into_iter().map(open).fold(hub.traffic.open_of_senders(), usize::saturating_add)
}

/// Completes once no thread had to wait for its senders, twice in a row: while one waits, another may receive a new
/// request, and what has arrived may not have been read yet.
async fn settle(hub: &'static Hub, senders: &Socket<TcpListener>) {
    let mut before = false;
    loop {
        // To a sender, a connection is open before it is accepted.
        listen::accept_waiting(hub, senders);
        let others = hub.threads.ask(&Message::Settle).await;
        let waited = hub.traffic.settle(hub.clock).await;
        let settled = !waited && !others.iter().any(|reply| matches!(reply, Reply::Waited(true)));
        if settled && before {
            return;
        }
        before = settled;
        if settled {
            Timer::after(LOOK).await;
        }
    }
}

/// The number of the next signal.
async fn next(signals: &mut Signals) -> i32 {
    loop {
        match signals.next().await {
            Some(Ok(signal)) => return signal as i32,
            Some(Err(_)) => {}
            None => future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;
    use crate::fixture;

    /// A hub, and where its senders connect.
    fn listening() -> (&'static Hub, Socket<TcpListener>) {
        let config = fixture::config("https://h.example/write", std::path::Path::new("/none"));
        let hub = fixture::hub(&config, &crate::trust::Trust::load(&config.trust).unwrap());
        (hub, listen::bind(hub.reactor, 0).unwrap())
    }

    fn connected(listener: &Socket<TcpListener>) -> TcpStream {
        let port = listener.get_ref().local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap()
    }

    #[test]
    fn a_sender_that_connects_at_the_last_moment_may_still_write() {
        let (hub, listener) = listening();
        hub.drain();
        let mut settling = Box::pin(settle(hub, &listener));
        assert_eq!(future::block_on(future::poll_once(&mut settling)), None, "it looks once more");
        let _sender = connected(&listener);
        let soon = hub.now().saturating_add(10 * LOOK);
        let settled = hub.reactor.block_on(hub.executor.run(hub.clock.before(soon, settling))).unwrap();
        assert!(settled.is_none());
    }

    #[test]
    fn a_sender_that_waits_to_be_accepted_may_still_write() {
        let (hub, listener) = listening();
        let sender = connected(&listener);
        hub.drain();
        let mut settling = Box::pin(settle(hub, &listener));
        assert_eq!(future::block_on(future::poll_once(&mut settling)), None);
        let leave = async {
            drop(sender);
            future::pending::<()>().await;
        };
        let began = hub.now();
        hub.reactor.block_on(hub.executor.run(future::or(settling, leave))).unwrap();
        assert!(hub.now().since(began) < Duration::from_secs(3), "it has left");
    }
}
