//! How far this machine's clock is from a server's, by the `Date` of an answer.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A smaller difference does not count: a `Date` has a resolution of one second, and answers take time.
const NOTABLE: Duration = Duration::from_secs(60);

/// A difference that counts. Displayed as in `3m ahead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// How far the clocks are apart.
    pub by: Duration,
    /// Whether this machine's clock is ahead of the other.
    pub ahead: bool,
}

impl Skew {
    /// `None` for clocks that agree.
    pub(crate) fn between(here: SystemTime, there: SystemTime) -> Option<Self> {
        let (by, ahead) = match here.duration_since(there) {
            Ok(by) => (by, true),
            Err(error) => (error.duration(), false),
        };
        (by >= NOTABLE).then_some(Self { by, ahead })
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
        let told = |here, there| Skew::between(at(here), at(there)).map(|skew| skew.to_string());
        assert_eq!((told(1059, 1000), told(1000, 1059)), (None, None));
        assert_eq!(told(1060, 1000).as_deref(), Some("1m ahead"));
        assert_eq!(told(1000, 4661).as_deref(), Some("1h 1m 1s behind"));
    }
}
