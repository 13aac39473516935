//! What all exchanges of a thread share: the policy, the counters, readiness, and the hold on refusals. Where there are
//! several threads, the driver tells each what the others learned.

use core::cell::Cell;
use core::time::Duration;

use super::Policy;
use super::counters::Counters;
use super::request::Peer;
use crate::time::Instant;

/// How long the process may go without a first token before `/ready` stops holding back the pod. A sidecar's
/// readiness is the readiness of the whole Prometheus pod.
const READY_ANYWAY: Duration = Duration::from_secs(60);

/// What `/ready` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// No token yet, and the process is young: 503.
    Waiting,
    /// There is a token: 200.
    Ready,
    /// No token after a minute, or none any more: 200, with the reason.
    Degraded,
    /// The process is stopping: 503.
    Draining,
}

/// The state that exchanges share. One thread owns it.
#[derive(Debug)]
pub struct Gateway {
    /// What every exchange keeps to.
    pub policy: Policy,
    /// What happened so far.
    pub counters: Counters,
    started: Instant,
    last_success: Cell<Option<Instant>>,
    /// Until when the latest token serves.
    token_until: Cell<Option<Instant>>,
    draining: Cell<bool>,
}

impl Gateway {
    /// The state of a process that starts now.
    pub fn new(now: Instant, policy: Policy) -> Self {
        Self {
            policy,
            counters: Counters::default(),
            started: now,
            last_success: Cell::new(None),
            token_until: Cell::new(None),
            draining: Cell::new(false),
        }
    }

    /// There is a token, the first or another one, that serves until `until`.
    pub fn token_granted(&self, until: Instant) {
        self.token_until.set(Some(until));
    }

    /// The process was asked to stop.
    pub fn drain(&self) {
        self.draining.set(true);
    }

    /// Whether a peer is to look for another process: one in the same pod has no other, and may still hold samples.
    pub(super) fn sends_away(&self, peer: Peer) -> bool {
        self.draining.get() && !peer.is_near()
    }

    /// What `/ready` says. May change after [`Gateway::token_granted`], [`Gateway::drain`] and with time.
    pub fn readiness(&self, now: Instant) -> Readiness {
        match self.token_until.get() {
            _ if self.draining.get() => Readiness::Draining,
            Some(until) if now < until => Readiness::Ready,
            None if now.since(self.started) < READY_ANYWAY => Readiness::Waiting,
            _ => Readiness::Degraded,
        }
    }

    /// When Azure last accepted a request. May change after every call that feeds bytes of Azure's to an exchange, and
    /// after [`Gateway::learn_success`].
    pub const fn last_success(&self) -> Option<Instant> {
        self.last_success.get()
    }

    /// For how long refusals of the credential are still held back; zero when they are not. A new role assignment takes
    /// up to 30 minutes to reach the ingestion endpoint, and every sender drops samples on 403.
    pub fn holds_for(&self, now: Instant) -> Duration {
        let since = self.last_success.get().unwrap_or(self.started);
        since.saturating_add(self.policy.refusal_hold).since(now)
    }

    /// Azure accepted a request.
    pub(super) fn accepted(&self, now: Instant) {
        self.last_success.set(Some(now));
    }

    /// Azure accepted a request of another thread's at `at`.
    #[inline]
    pub fn learn_success(&self, at: Instant) {
        self.last_success.set(self.last_success.get().max(Some(at)));
    }

    /// Whether refusals of the credential are still held back.
    pub(super) fn holds(&self, now: Instant) -> bool {
        !self.holds_for(now).is_zero()
    }
}
