//! How far this machine's clock is from a server's, by the `Date` of an answer.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A smaller difference does not count: a `Date` has a resolution of one second, and answers take time.
const NOTABLE: Duration = Duration::from_secs(60);

/// A difference between two clocks. Displayed as in `3m ahead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// How far the clocks are apart.
    pub by: Duration,
    /// Whether this machine's clock is ahead of the other.
    pub ahead: bool,
}

impl Skew {
    /// The difference if this machine's clock says `here` and the other `there`.
    pub fn between(here: SystemTime, there: SystemTime) -> Self {
        match here.duration_since(there) {
            Ok(by) => Self { by, ahead: true },
            Err(error) => Self { by: error.duration(), ahead: false },
        }
    }

    /// `None` for clocks that agree.
    pub(crate) fn notable(self) -> Option<Self> {
        (self.by >= NOTABLE).then_some(self)
    }

    /// What the other clock says when this machine's says `here`.
    pub(crate) fn there(self, here: SystemTime) -> Option<SystemTime> {
        if self.ahead { here.checked_sub(self.by) } else { here.checked_add(self.by) }
    }

    /// As in `3m ahead of {other}`.
    pub fn towards(self, other: &str) -> String {
        format!("{self}{} {other}", if self.ahead { " of" } else { "" })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = humantime::format_duration(Duration::from_secs(self.by.as_secs()));
        write!(f, "{by} {}", if self.ahead { "ahead" } else { "behind" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_agree_within_a_minute_are_right() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let told = |here, there| Skew::between(at(here), at(there)).notable().map(|skew| skew.to_string());
        assert_eq!((told(1059, 1000), told(1000, 1059)), (None, None));
        assert_eq!(told(1060, 1000).as_deref(), Some("1m ahead"));
        assert_eq!(told(1000, 4661).as_deref(), Some("1h 1m 1s behind"));
    }

    #[test]
    fn the_other_clock_is_known_by_the_difference() {
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        for (there, words) in [(1000, "9s ahead of h"), (1009, "0s ahead of h"), (1010, "1s behind h")] {
            let skew = Skew::between(at(1009), at(there));
            assert_eq!((skew.there(at(1009)), skew.towards("h").as_str()), (Some(at(there)), words));
        }
    }
}
