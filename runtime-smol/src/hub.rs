//! The state that all connections of a thread share, created once at the start.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use remora_core::forward::{Gateway, HeadMemo, Outcome, Policy, Purpose, Readiness, Timeouts};
use remora_core::time::Instant;
use smol::channel::Sender;

use crate::StartError;
use crate::clock::{self, Clock};
use crate::config::Config;
use crate::connect::Connector;
use crate::executor::Executor;
use crate::listen::TURNED_AWAY;
use crate::memory::Memory;
use crate::notice::{Minute, Notice, Observer};
use crate::pool::Pool;
use crate::proxy::Detour;
use crate::reactor::Reactor;
use crate::report::About;
use crate::slots::Slots;
use crate::threads::{Message, Reply, Threads};
use crate::tls::Client;
use crate::tokens::{Known, RefusedToken, Tokens};
use crate::traffic::Traffic;
use crate::trust::Trust;
use crate::upstream::{Idle, Upstream};

/// The period that one summary of the traffic covers.
const MINUTE: Duration = Duration::from_secs(60);

/// What each thread's hub is built from.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) clock: Clock,
    /// When the process started, in milliseconds since 1970.
    started: u64,
    config: Config,
    tls: Client,
    about: Arc<About>,
    observer: Arc<dyn Observer>,
}

impl Plan {
    pub(crate) fn new(
        config: &Config,
        trust: &Trust,
        about: About,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, StartError> {
        let tls = Client::new(&trust.roots).map_err(StartError::Tls)?;
        let clock = Clock::start();
        let started = clock.unix_ms_at(Instant::ZERO);
        Ok(Self { clock, started, config: config.clone(), tls, about: Arc::new(about), observer })
    }
}

/// The shared state. One thread owns it, and it lives as long as the process.
pub(crate) struct Hub {
    pub(crate) threads: Threads,
    pub(crate) executor: Executor,
    pub(crate) reactor: &'static Reactor,
    pub(crate) clock: Clock,
    pub(crate) gateway: Gateway,
    /// The head that senders repeat.
    pub(crate) head_memo: RefCell<HeadMemo>,
    pub(crate) memory: Memory,
    /// Slots of peers that may write.
    pub(crate) senders: Slots,
    /// Slots of peers that may not.
    pub(crate) guests: Slots,
    /// One per connection that may be turned away at a time.
    pub(crate) turned_away: Pool<()>,
    pub(crate) tokens: Tokens,
    pub(crate) connector: Connector,
    pub(crate) idle: Idle,
    pub(crate) traffic: Traffic,
    pub(crate) allowed_sources: Vec<IpNet>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) about: Arc<About>,
    /// Path of the projected service account token of a workload identity.
    pub(crate) token_file: Option<PathBuf>,
    /// When the process started, in milliseconds since 1970.
    pub(crate) started: u64,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("gateway", &self.gateway).finish_non_exhaustive()
    }
}

impl Hub {
    /// The hub of the calling thread, with its share of the limits. Tokens that Azure refuses go to `refused`.
    pub(crate) fn new(plan: &Plan, threads: Threads, refused: Sender<RefusedToken>) -> Result<Self, StartError> {
        let Plan { clock, config, about, observer, .. } = plan;
        let clock = *clock;
        let reactor = Reactor::new(clock).map_err(StartError::System)?;
        let limits = config.limits.part(threads.index());
        Ok(Self {
            threads,
            executor: Executor::new(reactor.waker()),
            reactor,
            clock,
            gateway: Gateway::new(clock.now(), policy(config)),
            head_memo: RefCell::default(),
            memory: Memory::new(&limits).map_err(StartError::System)?,
            senders: Slots::of_senders(limits.max_connections),
            guests: Slots::of_guests(),
            turned_away: Pool::new(std::iter::repeat_n((), TURNED_AWAY)),
            tokens: Tokens::new(clock, refused),
            connector: connector(reactor, plan).map_err(StartError::System)?,
            idle: Idle::default(),
            traffic: Traffic::default(),
            allowed_sources: config.listen.allowed_sources.clone(),
            observer: Arc::clone(observer),
            about: Arc::clone(about),
            token_file: config.identity.token_file().map(Path::to_owned),
            started: plan.started,
        })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Keeps a connection for a later request. A task closes those that stay unused, and ends with the last one.
    pub(crate) fn keep(&'static self, now: Instant, upstream: Box<Upstream>) {
        if self.idle.keep(now, upstream) {
            let sweep = async {
                while let Some(at) = self.idle.sweep(self.now()) {
                    self.clock.until(at).await;
                }
            };
            self.executor.spawn(sweep).detach();
        }
    }

    /// For when a connection brought no response: closes the idle ones, which may lead to the same address, and has the
    /// name looked up again. Private endpoints move.
    pub(crate) fn forget_connections(&self) {
        self.connector.resolve_again();
        self.idle.close_all();
    }

    /// Whether writes can be forwarded: there is a usable token and the process is not stopping.
    pub(crate) fn can_forward(&self) -> bool {
        self.tokens.usable().is_some() && self.gateway.readiness(self.now()) != Readiness::Draining
    }

    /// The process is stopping. Connected senders may still write.
    pub(crate) fn drain(&self) {
        self.gateway.drain();
        self.traffic.note_activity(self.now());
    }

    /// Stores a changed state of the token.
    pub(crate) fn learn(&self, known: Known) {
        self.tokens.learn(known);
        if let Some(until) = self.tokens.expires() {
            self.gateway.token_granted(until);
        }
    }

    /// Reports and counts a write whose sender hung up after this time, before the answer.
    pub(crate) fn abandoned(&'static self, after: Duration) {
        self.traffic.abandon();
        self.notice(&Notice::Abandoned { after });
    }

    /// Reports and counts an answer. `peer` looks up the address that it goes to.
    pub(crate) fn answered(
        &'static self,
        now: Instant,
        outcome: &Outcome,
        text: &str,
        peer: impl FnOnce() -> Option<IpAddr>,
    ) {
        let Outcome { status, upstream_status, unavailable, purpose, body_bytes: bytes, counts, began, .. } = *outcome;
        if purpose != Purpose::Probe {
            let (samples, took) = (counts.map(|counts| counts.samples), now.since(began));
            // Not through `Hub::notice`: it needs no summary.
            self.observer.notice(&Notice::Answered { status, upstream_status, bytes, samples, took });
        }
        if outcome.is_failed_write() {
            self.traffic.write_failed(now, outcome, text);
        }
        if purpose != Purpose::Probe && !outcome.is_success() {
            let peer = peer().filter(|peer| !peer.is_loopback());
            self.notice(&Notice::NotAccepted { status, upstream_status, unavailable, purpose, text, peer });
        }
        if purpose == Purpose::Write {
            self.traffic.wrote(now, outcome);
            self.note_ages(now, outcome);
            self.begin_minute();
            self.threads.tell_success(self.gateway.last_success());
        }
    }

    /// Records the age of a write's oldest sample, and reports samples that are too old.
    fn note_ages(&'static self, now: Instant, outcome: &Outcome) {
        let Some((counts, at)) = outcome.counts.and_then(|counts| Some((counts, counts.oldest?))) else { return };
        let oldest = Duration::from_millis(u64::try_from(clock::unix_ms().saturating_sub(at)).unwrap_or_default());
        self.traffic.note_oldest(now, oldest);
        if counts.too_old > 0 {
            self.notice(&Notice::TooOld { samples: counts.too_old, oldest });
        }
    }

    /// Reports an event that may repeat, and has it summed up a minute later.
    pub(crate) fn notice(&'static self, notice: &Notice<'_>) {
        self.observer.notice(notice);
        self.begin_minute();
    }

    /// Begins a minute, unless one is in progress; without events, no timer runs. The first thread ends it for all.
    pub(crate) fn begin_minute(&'static self) {
        if self.traffic.begin_minute() && !self.threads.tell_first() {
            let end = async {
                async_io::Timer::after(MINUTE).await;
                self.report_minute().await;
            };
            self.executor.spawn(end).detach();
        }
    }

    /// Ends the minute and reports it.
    pub(crate) async fn report_minute(&self) {
        self.observer.notice(&Notice::Minute(self.end_minute().await));
    }

    /// Ends the minute of all threads; this thread's first, so that a minute begun by another meanwhile is not lost.
    async fn end_minute(&self) -> Minute {
        self.threads.tell_rest(self.gateway.last_success());
        let mut minute = self.traffic.end_minute();
        for reply in self.threads.ask(&Message::EndMinute).await {
            if let Reply::Minute(other) = reply {
                minute.include(&other);
            }
        }
        minute
    }
}

fn connector(reactor: &'static Reactor, plan: &Plan) -> io::Result<Connector> {
    let config = &plan.config;
    let detour = config.proxy.as_ref().map(|proxy| Detour::to(&config.ingestion, proxy)).transpose()?.flatten();
    Ok(Connector::new(reactor, config.ingestion.clone(), config.upstream_timeout, plan.tls.clone(), detour))
}

fn policy(config: &Config) -> Policy {
    Policy {
        max_body_bytes: config.limits.max_body_bytes,
        check: config.check,
        refusal_hold: config.refusal_hold,
        pass_rate_limit: config.pass_rate_limit,
        timeouts: Timeouts { upstream: config.upstream_timeout, ..Timeouts::DEFAULT },
        ..Policy::DEFAULT
    }
}
