//! The state that all exchanges of a thread share: the policy, the counters, readiness, and the hold on refusals. With
//! several threads, the driver passes on to each what the others learned.

use core::cell::Cell;
use core::time::Duration;

use super::Policy;
use super::counters::Counters;
use super::request::Peer;
use crate::time::Instant;

/// How long the process may go without a first token before `/ready` stops holding back the pod. A sidecar's readiness
/// gates the whole Prometheus pod.
const READY_ANYWAY: Duration = Duration::from_secs(60);

/// Shortest time without a refusal after which the next one is a first one again: a sender may have been told to wait
/// for half as long, and would never see the end of a short hold.
const APART: Duration = Duration::from_secs(120);

/// What `/ready` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// No token yet, within the first minute: 503.
    Waiting,
    /// There is a token: 200.
    Ready,
    /// No first token after a minute, or the last one has expired: 200, with the reason.
    Degraded,
    /// The process is stopping: 503.
    Draining,
}

/// The state that exchanges share. One thread owns it.
#[derive(Debug)]
pub struct Gateway {
    /// The limits and rules that every exchange follows.
    pub policy: Policy,
    /// What has been counted so far.
    pub counters: Counters,
    started: Instant,
    last_success: Cell<Option<Instant>>,
    /// When the first of the refusals came that do not concern the data. A success after it makes it void.
    refused_since: Cell<Instant>,
    /// When they lapse, unless another one comes before.
    lapse: Cell<Instant>,
    /// Until when the latest token is usable.
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
            refused_since: Cell::new(Instant::ZERO),
            lapse: Cell::new(Instant::ZERO),
            token_until: Cell::new(None),
            draining: Cell::new(false),
        }
    }

    /// A token was granted, the first or a later one, that is usable until `until`.
    pub fn token_granted(&self, until: Instant) {
        self.token_until.set(Some(until));
    }

    /// The process was asked to stop.
    pub fn drain(&self) {
        self.draining.set(true);
    }

    /// Whether to close a peer's connection after the response. While draining, this sends senders outside the pod to
    /// another process; senders inside have no other, and may still hold samples. Peers outside the pod that may not
    /// write get one response for each connection: these are accepted one at a time, between the requests of senders.
    pub(super) fn sends_away(&self, peer: Peer) -> bool {
        !peer.is_near() && (self.draining.get() || !peer.may_write())
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

    /// Whether there was ever a token.
    pub(super) const fn had_token(&self) -> bool {
        self.token_until.get().is_some()
    }

    /// When Azure last accepted a request. May change after every call that feeds bytes from Azure to an exchange, and
    /// after [`Gateway::learn_success`].
    pub const fn last_success(&self) -> Option<Instant> {
        self.last_success.get()
    }

    /// How much longer refusals that do not concern the data are held back, counted from the first one since the last
    /// success; zero when they are not. After as long a time without any, at least two minutes, the next one is a first
    /// one again. A new role assignment takes up to 30 minutes to reach the ingestion endpoint, and Prometheus drops
    /// samples on 403.
    // Inline, so that only a driver that shows it carries the code.
    #[inline]
    pub fn holds_for(&self, now: Instant) -> Duration {
        self.hold_from(self.held_since(now)).since(now)
    }

    fn held_since(&self, now: Instant) -> Instant {
        let first = self.refused_since.get();
        if now <= self.lapse.get() && first > self.last_success.get().unwrap_or_default() { first } else { now }
    }

    /// The end of a hold that begins at `at`.
    fn hold_from(&self, at: Instant) -> Instant {
        at.saturating_add(self.policy.refusal_hold)
    }

    /// Azure accepted a request.
    pub(super) fn accepted(&self, now: Instant) {
        self.last_success.set(Some(now));
    }

    /// Azure accepted another thread's request at `at`.
    #[inline]
    pub fn learn_success(&self, at: Instant) {
        self.last_success.set(self.last_success.get().max(Some(at)));
    }

    /// Azure refused a request for a reason that does not concern the data. Returns whether that is to be held back.
    pub(super) fn refused(&self, now: Instant) -> bool {
        let since = self.held_since(now);
        self.refused_since.set(since);
        self.lapse.set(self.hold_from(now).max(now.saturating_add(APART)));
        now < self.hold_from(since)
    }
}
