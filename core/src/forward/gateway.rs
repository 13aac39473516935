//! What all exchanges of a process share: the policy, readiness, and the hold on refusals.

use core::cell::Cell;
use core::time::Duration;

use super::Policy;
use crate::time::Instant;

/// How long the process may go without a first token before `/ready` stops holding back the pod. A sidecar's
/// readiness is the readiness of the whole Prometheus pod.
const READY_ANYWAY: Duration = Duration::from_secs(60);

/// What `/ready` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// No token yet, and the process is young: 503.
    Waiting,
    /// A token was there at least once: 200 for good.
    Ready,
    /// Still no token after a minute: 200, with the reason.
    Degraded,
    /// The process is stopping: 503.
    Draining,
}

/// The state that exchanges share. One thread owns it.
#[derive(Debug)]
pub struct Gateway {
    /// What every exchange keeps to.
    pub policy: Policy,
    started: Instant,
    last_success: Cell<Instant>,
    had_token: Cell<bool>,
    draining: Cell<bool>,
}

impl Gateway {
    /// The state of a process that starts now.
    pub const fn new(now: Instant, policy: Policy) -> Self {
        Self {
            policy,
            started: now,
            last_success: Cell::new(now),
            had_token: Cell::new(false),
            draining: Cell::new(false),
        }
    }

    /// The first token is there.
    pub fn token_granted(&self) {
        self.had_token.set(true);
    }

    /// The process was asked to stop.
    pub fn drain(&self) {
        self.draining.set(true);
    }

    /// What `/ready` says. May change after [`Gateway::token_granted`], [`Gateway::drain`] and with time.
    pub fn readiness(&self, now: Instant) -> Readiness {
        if self.draining.get() {
            Readiness::Draining
        } else if self.had_token.get() {
            Readiness::Ready
        } else if now.since(self.started) >= READY_ANYWAY {
            Readiness::Degraded
        } else {
            Readiness::Waiting
        }
    }

    /// Azure accepted a request.
    pub(super) fn accepted(&self, now: Instant) {
        self.last_success.set(now);
    }

    /// Whether refusals of the credential are still held back. A new role assignment takes up to 30 minutes to
    /// reach the ingestion endpoint, and every sender drops samples on 403.
    pub(super) fn holds(&self, now: Instant) -> bool {
        now.since(self.last_success.get()) < self.policy.refusal_hold
    }
}
