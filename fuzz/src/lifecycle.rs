//! A token lifecycle under typed operations, checked against the rules listed in its module.

use core::time::Duration;

use arbitrary::Arbitrary;
use remora_core::time::Instant;
use remora_core::token::{Action, Event, FetchId, GrantId, LONGEST_GAP, Lifecycle, Policy};

/// An operation. Times are in seconds unless stated otherwise.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Operation {
    /// This many milliseconds pass.
    Pass(u32),
    /// Time passes until the machine's requested wake-up.
    Sleep,
    /// The machine is woken.
    Wake,
    /// The fetch returns a token.
    Grant {
        /// `expires_in`.
        lifetime: u32,
        /// `refresh_in`.
        refresh_in: Option<u32>,
    },
    /// The fetch fails.
    Fail {
        /// `Retry-After`.
        retry_after: Option<u32>,
        /// The response was 429.
        throttled: bool,
    },
    /// A second, late token arrives for a fetch that has already ended.
    Late(u32),
    /// The resource refuses the token.
    Reject {
        /// The previous token instead of the newest one.
        old: bool,
    },
}

/// The machine, its clock, and its state as known from outside.
#[derive(Debug)]
pub struct Model {
    token: Lifecycle,
    now: Instant,
    wake_at: Instant,
    in_flight: Option<FetchId>,
    answered: Option<FetchId>,
    /// The newest token and when it expires; `old_grant` is the previous one.
    grant: Option<(GrantId, Instant)>,
    old_grant: Option<GrantId>,
    /// No fetch before this, as the server asked.
    asked: Instant,
    /// `asked`, and the tenth that the jitter may add.
    asked_at_most: Instant,
    /// The last failure, until a token is granted.
    failed_at: Option<Instant>,
    forced_at: Option<Instant>,
    /// When the resource first refused the newest token since the last fetch began.
    refused_at: Option<Instant>,
}

const POLICY: Policy = Policy::DEFAULT;

impl Model {
    /// A machine that starts at `start` milliseconds.
    pub const fn new(seed: u32, start: u32) -> Self {
        let now = Instant::from_millis(start as u64);
        Self {
            token: Lifecycle::new(POLICY, seed),
            now,
            wake_at: now,
            in_flight: None,
            answered: None,
            grant: None,
            old_grant: None,
            asked: Instant::ZERO,
            asked_at_most: Instant::ZERO,
            failed_at: None,
            forced_at: None,
            refused_at: None,
        }
    }

    /// Applies an operation and judges the machine's reaction.
    pub fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Pass(ms) => self.now = self.now.saturating_add(Duration::from_millis(ms.into())),
            Operation::Sleep if self.wake_at < Instant::NEVER => self.now = self.now.max(self.wake_at),
            Operation::Sleep | Operation::Wake => self.handle(Event::Wake),
            Operation::Grant { lifetime, refresh_in } => self.grant(seconds(lifetime), refresh_in.map(seconds)),
            Operation::Fail { retry_after, throttled } => self.fail(retry_after.map(seconds), throttled),
            Operation::Late(lifetime) => self.answer_late(seconds(lifetime)),
            Operation::Reject { old } => self.reject(old),
        }
        self.judge_token();
    }

    fn grant(&mut self, lifetime: Duration, refresh_in: Option<Duration>) {
        let Some(fetch) = self.answer() else { return };
        if lifetime.is_zero() {
            self.failed_at = Some(self.now);
            (self.asked, self.asked_at_most) = (self.now, self.now);
            return self.handle(Event::Granted { fetch, lifetime, refresh_in });
        }
        let expires = self.now.saturating_add(lifetime);
        (self.asked, self.asked_at_most, self.failed_at) = (Instant::ZERO, Instant::ZERO, None);
        self.handle(Event::Granted { fetch, lifetime, refresh_in });
        let id = self.token.usable(self.now).expect("a token that was just granted serves");
        self.old_grant = self.grant.map(|(id, _)| id);
        assert_ne!(self.old_grant, Some(id), "two tokens of one name");
        self.grant = Some((id, expires));
        // The minimum pause, less the tenth that the jitter may take, however soon the server's `refresh_in` is.
        let least = POLICY.retry_pause.min(lifetime / 2).mul_f64(0.9).max(POLICY.first_pause);
        assert!(self.wake_at >= self.now.saturating_add(least), "a refresh {:?} after a grant", self.wake_at);
    }

    fn fail(&mut self, retry_after: Option<Duration>, throttled: bool) {
        let Some(fetch) = self.answer() else { return };
        let floor = if throttled { POLICY.throttle_pause } else { Duration::ZERO };
        let served = self.grant.map_or(Duration::ZERO, |(_, expires)| expires.since(self.now));
        let longest = POLICY.longest_pause.min(served.saturating_add(LONGEST_GAP));
        let pause = retry_after.unwrap_or_default().min(longest).max(floor);
        self.asked = self.now.saturating_add(pause);
        self.asked_at_most = self.asked.saturating_add(pause / 10);
        self.failed_at = Some(self.now);
        self.handle(Event::Failed { fetch, retry_after, throttled });
    }

    /// The result of a fetch that is no longer awaited changes nothing.
    fn answer_late(&mut self, lifetime: Duration) {
        let Some(fetch) = self.answered.filter(|&late| self.in_flight != Some(late)) else { return };
        let before = (self.token.usable(self.now), self.token.expires());
        self.handle(Event::Granted { fetch, lifetime, refresh_in: None });
        assert_eq!((self.token.usable(self.now), self.token.expires()), before, "a late answer counted");
    }

    fn reject(&mut self, old: bool) {
        let current = self.grant.map(|(id, _)| id);
        let Some(grant) = (if old { self.old_grant } else { current }) else { return };
        let due_anyway = matches!(self.token.clone().handle(self.now, Event::Wake), Action::Fetch(_));
        let idle = self.in_flight.is_none();
        if idle && !old {
            self.refused_at = self.refused_at.or(Some(self.now));
        }
        self.handle(Event::Rejected { grant });
        if due_anyway || !idle {
            return;
        }
        if self.in_flight.is_some() {
            assert!(!old, "a refresh for a token that is replaced");
            let rested = self.forced_at.is_none_or(|at| self.now.since(at) >= POLICY.forced_pause);
            assert!(rested, "two forced refreshes in {:?}", POLICY.forced_pause);
            self.forced_at = Some(self.now);
        }
    }

    /// Ends the fetch in flight and returns its id.
    fn answer(&mut self) -> Option<FetchId> {
        let fetch = self.in_flight.take();
        self.answered = fetch.or(self.answered);
        fetch
    }

    /// Hands an event over and judges the action.
    fn handle(&mut self, event: Event) {
        match self.token.handle(self.now, event) {
            Action::Fetch(id) => {
                assert_eq!(self.in_flight, None, "two fetches in flight");
                assert_ne!(self.answered, Some(id), "two fetches of one name");
                // A token that is refused is none, so that the server's pause must end as it does without one.
                let refused = self.refused_at.take().is_some_and(|at| self.now.since(at) >= LONGEST_GAP);
                assert!(self.now >= self.asked || refused, "a fetch in a pause that the server asked for");
                self.in_flight = Some(id);
            }
            Action::WaitUntil(at) => {
                self.wake_at = at;
                self.judge_wait(at);
            }
        }
        assert_eq!(self.token.is_fetching(), self.in_flight.is_some());
    }

    fn judge_wait(&self, at: Instant) {
        if self.in_flight.is_some() {
            return assert_eq!(at, Instant::NEVER, "waiting for more than the answer");
        }
        assert!(at > self.now, "waiting for what has passed");
        assert!(at < Instant::NEVER, "waiting for nothing");
        assert!(matches!(self.token.clone().handle(at, Event::Wake), Action::Fetch(_)), "woken for nothing");
        let Some(failed_at) = self.failed_at else { return };
        let longest = failed_at.saturating_add(POLICY.retry_pause).max(self.asked_at_most);
        assert!(at <= longest, "a pause of {:?} after a failure", at.since(failed_at));
        if let Some((_, expires)) = self.grant.filter(|(_, expires)| failed_at < *expires) {
            assert!(at <= expires.max(self.asked_at_most), "a pause that outlasts the token");
        }
    }

    /// The newest token is usable until it expires, whatever else happens.
    fn judge_token(&self) {
        let Some((id, expires)) = self.grant else { return assert_eq!(self.token.usable(self.now), None) };
        let serving = (self.now < expires).then_some(id);
        assert_eq!(self.token.usable(self.now), serving);
        assert_eq!(self.token.usable(Instant::from_millis(expires.as_millis() - 1)), Some(id), "it expires early");
        assert_eq!(self.token.usable(expires), None, "it serves when it has expired");
    }
}

const fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds as u64)
}
