//! A clock reading as a plain value. The core reads no clock: its driver passes in the time.

use core::time::Duration;

/// Milliseconds since an origin that the driver picks once; monotonic, never wall-clock time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

impl Instant {
    /// The origin.
    pub const ZERO: Self = Self(0);
    /// Later than any reading; a deadline that never passes.
    pub const NEVER: Self = Self(u64::MAX);

    /// `ms` milliseconds after the origin.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the origin.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// `self + after`, or [`Instant::NEVER`] if that does not fit.
    #[must_use]
    pub fn saturating_add(self, after: Duration) -> Self {
        Self(self.0.saturating_add(millis(after)))
    }

    /// The time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// A duration in whole milliseconds, at most `u64::MAX`.
// A call is a fourth of its size.
#[inline(never)]
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_saturates_at_never() {
        assert_eq!(Instant::NEVER.saturating_add(Duration::from_millis(1)), Instant::NEVER);
        assert_eq!(Instant::ZERO.saturating_add(Duration::MAX), Instant::NEVER);
        assert_eq!(Instant::from_millis(5).saturating_add(Duration::from_millis(7)), Instant::from_millis(12));
    }

    #[test]
    fn since_is_never_negative() {
        assert_eq!(Instant::from_millis(3).since(Instant::from_millis(9)), Duration::ZERO);
        assert_eq!(Instant::from_millis(9).since(Instant::from_millis(3)), Duration::from_millis(6));
    }
}
