//! Metrics of the token exchanges.

use std::time::Duration;

use remora_core::metrics::{CounterSet, Family, Histogram, Kind, Series, Sink};

use super::Exchanged;

/// Why an exchange yielded no token.
#[derive(Clone, Copy)]
enum Reason {
    Unanswered,
    Throttled,
    Refused,
    Server,
    Unreadable,
}

impl Reason {
    /// In the order of the variants.
    const LABELS: &[&str] = &["unanswered", "throttled", "refused", "server", "unreadable"];

    /// By the answer's status, if there was an answer.
    const fn of(status: Option<u16>) -> Self {
        match status {
            None => Self::Unanswered,
            Some(429) => Self::Throttled,
            Some(400..=499) => Self::Refused,
            Some(500..=599) => Self::Server,
            Some(_) => Self::Unreadable,
        }
    }
}

/// A family and its counters.
struct Counted {
    family: Family,
    series: fn(&Exchanges) -> Series<'_>,
}

/// Everything that is counted, in the order of the page.
const ALL: &[Counted] = &[
    Counted {
        family: Family::counter("remora_token_requests_total", "Token exchanges that ended, successfully or not."),
        series: |exchanges| exchanges.requests.series(),
    },
    Counted {
        family: Family::counter(
            "remora_token_request_failures_total",
            "Token exchanges that yielded no token: unanswered or without an assertion to send, throttled, refused with \
             another 4xx, a fault of the server, or unreadable.",
        )
        .by("reason", Reason::LABELS),
        series: |exchanges| exchanges.failures.series(),
    },
    Counted {
        family: Family::new(Kind::Histogram, "remora_token_request_duration_seconds", "Duration of a token exchange."),
        series: |exchanges| exchanges.durations.series(),
    },
];

/// Every family that [`Exchanges::report`] reports.
pub(crate) fn families() -> impl Iterator<Item = &'static Family> {
    ALL.iter().map(|counted| &counted.family)
}

/// The counters, each with its family in [`ALL`]. One thread owns them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Exchanges {
    requests: CounterSet<1>,
    failures: CounterSet<{ Reason::LABELS.len() }>,
    durations: Histogram,
}

impl Exchanges {
    /// Counts an exchange that ended.
    pub(crate) fn ended(&self, took: Duration, exchanged: &Exchanged) {
        self.requests.add(0, 1);
        self.durations.observe(took);
        if let Err(failure) = exchanged {
            self.failures.add(Reason::of(failure.status) as usize, 1);
        }
    }

    /// Adds what another thread counted.
    pub(crate) fn include(&self, other: &Self) {
        for Counted { series, .. } in ALL {
            series(self).include(series(other));
        }
    }

    pub(crate) fn report(&self, to: &mut dyn Sink) {
        for Counted { family, series } in ALL {
            series(self).report(family, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart_by_status() {
        for (status, reason) in [
            (None, "unanswered"),
            (Some(200), "unreadable"),
            (Some(400), "refused"),
            (Some(429), "throttled"),
            (Some(499), "refused"),
            (Some(500), "server"),
            (Some(599), "server"),
        ] {
            assert_eq!(Reason::LABELS[Reason::of(status) as usize], reason, "{status:?}");
        }
    }
}
