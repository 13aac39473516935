//! The life of an access token: when to fetch it, how long it is usable, what a failure means.
//!
//! A deterministic machine. One event goes in, exactly one action comes out; time, ids and a jitter seed are plain
//! values. The token itself stays with the driver: the machine knows it only as a [`GrantId`].
//!
//! The rules, with the numbers in [`Policy`]:
//!
//! * A token is refreshed at `refresh_in`, or at half its life if the response has none; up to a tenth earlier, so that
//!   many sidecars do not refresh together. A `refresh_in` below [`Policy::retry_pause`] is raised to that, or to half
//!   the life if that is shorter.
//! * One fetch is in flight at a time. The old token is used until it expires.
//! * However short a token's life, the next fetch waits for [`Policy::first_pause`], unless a 401 forces it.
//! * After a failure the next attempt waits [`Policy::retry_pause`]. Without a usable token, the pause starts at
//!   [`Policy::first_pause`] and doubles; when the token expires, a pause meant for a refresh ends.
//! * The server's `Retry-After` (up to [`Policy::longest_pause`], and at least [`Policy::throttle_pause`] after a failure
//!   that another attempt soon would only repeat) is honoured, and extended by up to a tenth: many sidecars may have been
//!   told the same. Without a usable token it lasts [`LONGEST_GAP`] at most: samples grow too old meanwhile.
//! * A 401 from the resource forces one refresh, at most one in [`Policy::forced_pause`]. It waits for the server's
//!   pause, but no longer than [`LONGEST_GAP`]: a token that is refused is none.
//!
//! ```
//! use std::time::Duration;
//!
//! use remora_core::time::Instant;
//! use remora_core::token::{Action, Event, Lifecycle, Policy};
//!
//! let start = Instant::ZERO;
//! let mut token = Lifecycle::new(Policy::DEFAULT, 1);
//! let Action::Fetch(fetch) = token.handle(start, Event::Wake) else { panic!("there is no token yet") };
//! let granted = Event::Granted { fetch, lifetime: Duration::from_secs(3600), refresh_in: None };
//! let Action::WaitUntil(refresh) = token.handle(start, granted) else { panic!("there is a token") };
//! assert!(refresh <= start.saturating_add(Duration::from_secs(1800)), "at half its life, or a tenth earlier");
//! assert!(token.usable(refresh).is_some());
//! assert!(matches!(token.handle(refresh, Event::Wake), Action::Fetch(_)));
//! ```

use core::time::Duration;

use crate::time::{Instant, millis};

/// Identifies one attempt to fetch a token, so that a late response to an earlier attempt is recognised and ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchId(u32);

/// Identifies one granted token. The driver keeps the token under this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantId(u32);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time has passed.
    Wake,
    /// The fetch returned a token.
    Granted {
        /// The fetch that ended.
        fetch: FetchId,
        /// `expires_in`, from the time of the event.
        lifetime: Duration,
        /// `refresh_in`, if the response had it.
        refresh_in: Option<Duration>,
    },
    /// The fetch failed.
    Failed {
        /// The fetch that ended.
        fetch: FetchId,
        /// `Retry-After`, if the response had it.
        retry_after: Option<Duration>,
        /// Another attempt soon would only repeat it: the response was 429, or refused the assertion that was sent
        /// (Entra's `invalid_grant`).
        throttled: bool,
    },
    /// The resource answered 401 to this token.
    Rejected {
        /// The token that was sent.
        grant: GrantId,
    },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Fetch a token and report [`Event::Granted`] or [`Event::Failed`] with this id.
    Fetch(FetchId),
    /// Do nothing before this time, then send [`Event::Wake`]. [`Instant::NEVER`] while a fetch is in flight.
    WaitUntil(Instant),
}

/// The pauses of the module's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Between failed refreshes while the old token is still usable; also the minimum `refresh_in`.
    pub retry_pause: Duration,
    /// After the first failure without a usable token; doubles up to `retry_pause`. Also after every grant.
    pub first_pause: Duration,
    /// At least this long after a failure with `throttled` (Entra sends `Retry-After: 60` to client credentials).
    pub throttle_pause: Duration,
    /// Longest `Retry-After` that is honoured.
    pub longest_pause: Duration,
    /// Between refreshes forced by a 401.
    pub forced_pause: Duration,
}

/// Longest part of a server's `Retry-After` without a usable token, or with one that the resource refuses. Azure refuses
/// samples older than 20 minutes.
pub const LONGEST_GAP: Duration = Duration::from_secs(300);

impl Policy {
    /// The values in use.
    pub const DEFAULT: Self = Self {
        retry_pause: Duration::from_secs(30),
        first_pause: Duration::from_secs(1),
        throttle_pause: Duration::from_secs(60),
        longest_pause: Duration::from_secs(3600),
        forced_pause: Duration::from_secs(30),
    };
}

/// A token that was granted.
#[derive(Clone, Copy, Debug)]
struct Grant {
    id: GrantId,
    /// No fetch starts before, unless a 401 forces it.
    not_before: Instant,
    refresh_at: Instant,
    expires: Instant,
}

/// The pause after a failure. `asked` is the server's and always applies; `chosen` is ours and ends when the token that
/// was still usable expires.
#[derive(Clone, Copy, Debug)]
struct Pause {
    chosen: Instant,
    asked: Instant,
}

/// The machine. See the module's documentation for its rules.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    policy: Policy,
    jitter: Jitter,
    grant: Option<Grant>,
    in_flight: Option<FetchId>,
    pause: Option<Pause>,
    /// In a row without a usable token; 0 if the last failure was that of a refresh.
    failures: u32,
    /// When a 401 last forced a refresh.
    forced_at: Option<Instant>,
    /// The next fetch is forced.
    forced_due: bool,
    last_fetch: u32,
    last_grant: u32,
}

impl Lifecycle {
    /// A machine without a token; its first [`Event::Wake`] asks for a fetch. `seed` drives the jitter only.
    pub const fn new(policy: Policy, seed: u32) -> Self {
        Self {
            policy,
            jitter: Jitter(seed | 1),
            grant: None,
            in_flight: None,
            pause: None,
            failures: 0,
            forced_at: None,
            forced_due: false,
            last_fetch: 0,
            last_grant: 0,
        }
    }

    /// Takes an event and returns what to do next. The result of a fetch that is no longer awaited changes nothing.
    pub fn handle(&mut self, now: Instant, event: Event) -> Action {
        match event {
            Event::Wake => {}
            Event::Granted { fetch, lifetime, refresh_in } => {
                if self.end(fetch) {
                    self.granted(now, lifetime, refresh_in);
                }
            }
            Event::Failed { fetch, retry_after, throttled } => {
                if self.end(fetch) {
                    self.failed(now, retry_after, throttled);
                }
            }
            Event::Rejected { grant } => self.rejected(now, grant),
        }
        self.next(now)
    }

    /// The token to send now. May change with every [`Lifecycle::handle`] and with time.
    pub fn usable(&self, now: Instant) -> Option<GrantId> {
        self.grant.filter(|grant| now < grant.expires).map(|grant| grant.id)
    }

    /// When the newest token expires. May change with every [`Lifecycle::handle`].
    pub fn expires(&self) -> Option<Instant> {
        self.grant.map(|grant| grant.expires)
    }

    /// Whether a fetch is in flight. May change with every [`Lifecycle::handle`].
    pub const fn is_fetching(&self) -> bool {
        self.in_flight.is_some()
    }

    /// Ends the fetch if it is the one in flight; returns whether it is.
    fn end(&mut self, fetch: FetchId) -> bool {
        let awaited = self.in_flight == Some(fetch);
        if awaited {
            self.in_flight = None;
        }
        awaited
    }

    fn granted(&mut self, now: Instant, lifetime: Duration, refresh_in: Option<Duration>) {
        let expires = now.saturating_add(lifetime);
        if expires <= now {
            return self.failed(now, None, false);
        }
        let half = lifetime.checked_div(2).unwrap_or(lifetime);
        let refresh = refresh_in.filter(|&early| early < lifetime).unwrap_or(half);
        let refresh = refresh.max(self.policy.retry_pause.min(half));
        self.last_grant = self.last_grant.wrapping_add(1);
        self.grant = Some(Grant {
            id: GrantId(self.last_grant),
            not_before: now.saturating_add(self.policy.first_pause),
            refresh_at: now.saturating_add(self.jitter.shorten(refresh)),
            expires,
        });
        self.pause = None;
        self.failures = 0;
    }

    fn failed(&mut self, now: Instant, retry_after: Option<Duration>, throttled: bool) {
        let chosen = if self.usable(now).is_some() {
            self.policy.retry_pause
        } else {
            let doubled = self.policy.first_pause.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
            self.failures = self.failures.saturating_add(1);
            self.jitter.shorten(doubled.min(self.policy.retry_pause))
        };
        let floor = if throttled { self.policy.throttle_pause } else { Duration::ZERO };
        let served = self.grant.map_or(Duration::ZERO, |grant| grant.expires.since(now));
        let longest = self.policy.longest_pause.min(served.saturating_add(LONGEST_GAP));
        let asked = retry_after.unwrap_or_default().min(longest).max(floor);
        let extra = Duration::from_millis(self.jitter.part(millis(asked)));
        self.pause =
            Some(Pause { chosen: now.saturating_add(chosen), asked: now.saturating_add(asked).saturating_add(extra) });
    }

    fn rejected(&mut self, now: Instant, grant: GrantId) {
        let current = self.grant.is_some_and(|held| held.id == grant);
        let may_force = self.forced_at.is_none_or(|at| now >= at.saturating_add(self.policy.forced_pause));
        // Further 401s do not put off a refresh that is due.
        if current && may_force && !self.forced_due && self.in_flight.is_none() {
            self.forced_at = Some(now);
            self.forced_due = true;
        }
    }

    fn next(&mut self, now: Instant) -> Action {
        if self.in_flight.is_some() {
            return Action::WaitUntil(Instant::NEVER);
        }
        let due = self.due(now);
        if now < due {
            return Action::WaitUntil(due);
        }
        self.forced_due = false;
        self.last_fetch = self.last_fetch.wrapping_add(1);
        let fetch = FetchId(self.last_fetch);
        self.in_flight = Some(fetch);
        Action::Fetch(fetch)
    }

    /// When the next fetch may start.
    fn due(&self, now: Instant) -> Instant {
        let asked = self.pause.map_or(Instant::ZERO, |pause| pause.asked);
        if self.forced_due {
            return asked.min(self.forced_at.unwrap_or(now).saturating_add(LONGEST_GAP));
        }
        let chosen = self.pause.map(|pause| pause.chosen);
        let wanted = match self.grant {
            Some(grant) if now < grant.expires => chosen.unwrap_or(grant.refresh_at).min(grant.expires),
            // The token has expired. A pause meant for its refresh ended with it; one since then still holds.
            Some(grant) => chosen.filter(|_| self.failures > 0).unwrap_or(grant.expires),
            None => chosen.unwrap_or(now),
        };
        wanted.max(asked).max(self.grant.map_or(Instant::ZERO, |grant| grant.not_before))
    }
}

/// A small generator (xorshift, George Marsaglia 2003), used only to spread fetches in time.
#[derive(Clone, Debug)]
struct Jitter(u32);

impl Jitter {
    /// `whole` less up to a tenth.
    fn shorten(&mut self, whole: Duration) -> Duration {
        let whole = millis(whole);
        Duration::from_millis(whole.saturating_sub(self.part(whole)))
    }

    /// Up to a tenth of `whole`.
    fn part(&mut self, whole: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (whole / 10).saturating_mul(u64::from(self.0 >> 16)) >> 16
    }
}

#[cfg(test)]
mod tests;
