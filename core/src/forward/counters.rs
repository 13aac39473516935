//! The counters of exchanges: requests and their data, by outcome. Each thread's [`super::Gateway`] has its own; a page
//! shows their sum.

mod families;

use super::Unavailable;
use super::exchange::Outcome;
use super::reply::{Rejection, drops_samples};
use super::request::Purpose;
use crate::metrics::{CounterSet, Family, Histogram, Sink};
use crate::remote_write;
use crate::time::Instant;
use families::{ALL, CODES, Counted, Fate, FrameVerdict, RejectedFor, STATUSES, UpstreamError};

pub(super) use families::Repair;

/// The counters, each with its family in `families::ALL`. One thread owns them.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    requests: CounterSet<{ CODES.len() }>,
    durations: Histogram,
    request_bytes: CounterSet<1>,
    response_bytes: CounterSet<1>,
    rejected: CounterSet<{ RejectedFor::LABELS.len() }>,
    authorization: CounterSet<1>,
    upstream_responses: CounterSet<{ CODES.len() }>,
    upstream_errors: CounterSet<{ UpstreamError::LABELS.len() }>,
    repairs: CounterSet<{ Repair::LABELS.len() }>,
    opened: CounterSet<1>,
    held: CounterSet<1>,
    frames: CounterSet<{ FrameVerdict::LABELS.len() }>,
    /// Series, samples, histograms, exemplars and metadata, each by the outcome of its request.
    data: [CounterSet<{ Fate::LABELS.len() }>; 5],
    too_old: CounterSet<1>,
}

impl Counters {
    /// Adds another thread's counts.
    #[inline]
    pub fn include(&self, other: &Self) {
        for Counted { series, .. } in ALL {
            series(self).include(series(other));
        }
    }

    /// Reports every family, in the order of [`families`].
    pub fn report(&self, to: &mut dyn Sink) {
        for Counted { family, series } in ALL {
            series(self).report(family, to);
        }
    }
}

/// Every family that [`Counters::report`] reports.
#[inline]
pub fn families() -> impl Iterator<Item = &'static Family> {
    ALL.iter().map(|counted| &counted.family)
}

/// The calls by which exchanges record.
impl Counters {
    /// A request was answered with `text_bytes` bytes of body.
    pub(super) fn answered(&self, now: Instant, outcome: &Outcome, text_bytes: usize) {
        if matches!(outcome.purpose, Purpose::Write | Purpose::Stray) {
            self.requests.add(code(outcome.status), 1);
        }
        if outcome.purpose == Purpose::Write {
            self.durations.observe(now.since(outcome.began));
            self.request_bytes.add(0, wide(outcome.body_bytes));
            self.response_bytes.add(0, wide(text_bytes));
            self.data(outcome);
        }
    }

    fn data(&self, outcome: &Outcome) {
        let Some(counts) = outcome.counts else { return };
        let fate = match outcome.status {
            200..=299 => Fate::Forwarded,
            status if drops_samples(status) => Fate::Refused,
            _ => Fate::Deferred,
        };
        let numbers = [counts.series, counts.samples, counts.histograms(), counts.exemplars, counts.metadata];
        self.data.iter().zip(numbers).for_each(|(counters, number)| counters.add(fate.index(), number.into()));
        // Deferred data is counted when it is sent again.
        if fate != Fate::Deferred {
            self.too_old.add(0, counts.too_old.into());
        }
    }

    pub(super) fn rejected(&self, why: Rejection) {
        let reason = match why {
            Rejection::Head(_) => RejectedFor::MalformedHead,
            Rejection::Body(_) => RejectedFor::MalformedBody,
            Rejection::Path => RejectedFor::UnknownPath,
            Rejection::Method { .. } => RejectedFor::BadMethod,
            Rejection::Peer | Rejection::Port | Rejection::Status => RejectedFor::ForeignPeer,
            Rejection::Media(_) => RejectedFor::MediaType,
            Rejection::TooLarge { .. } => RejectedFor::TooLarge,
            Rejection::Frame(_) => RejectedFor::CorruptFrame,
            Rejection::SlowBody => RejectedFor::SlowBody,
        };
        self.rejected.add(reason.index(), 1);
    }

    pub(super) fn unavailable(&self, why: Unavailable) {
        let error = match why {
            Unavailable::NoToken | Unavailable::TokenRefused => {
                return self.rejected.add(RejectedFor::NoToken.index(), 1);
            }
            Unavailable::Capacity => return self.rejected.add(RejectedFor::Overload.index(), 1),
            Unavailable::Resolve => UpstreamError::Resolve,
            Unavailable::Connect => UpstreamError::Connect,
            Unavailable::Tls => UpstreamError::Tls,
            Unavailable::Broken => UpstreamError::Broken,
            Unavailable::Unreadable => UpstreamError::Unreadable,
            Unavailable::Timeout => UpstreamError::Timeout,
        };
        self.upstream_errors.add(error.index(), 1);
    }

    /// The sender's Authorization header was dropped.
    pub(super) fn authorization_dropped(&self) {
        self.authorization.add(0, 1);
    }

    /// Azure answered.
    pub(super) fn upstream_answered(&self, status: u16) {
        self.upstream_responses.add(code(status), 1);
    }

    pub(super) fn repaired(&self, repair: Repair) {
        self.repairs.add(repair.index(), 1);
    }

    /// A new connection to Azure was opened.
    pub(super) fn opened(&self) {
        self.opened.add(0, 1);
    }

    /// A refusal by Azure is reported as 503.
    pub(super) fn held(&self) {
        self.held.add(0, 1);
    }

    /// `None` where frames are not checked.
    pub(super) fn frame(&self, verdict: Option<&remote_write::Verdict>) {
        let frame = match verdict {
            Some(remote_write::Verdict::Good(_)) => FrameVerdict::Good,
            Some(remote_write::Verdict::Corrupt(_)) => FrameVerdict::Corrupt,
            Some(remote_write::Verdict::Unchecked(_)) | None => FrameVerdict::Unchecked,
        };
        self.frames.add(frame.index(), 1);
    }
}

/// The index of a status in `CODES`.
fn code(status: u16) -> usize {
    STATUSES.iter().position(|&known| known == status).unwrap_or(STATUSES.len())
}

fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Series, Value};

    /// The sum of every family, in the order of the page; for a histogram, its count plus its sum.
    #[derive(Default)]
    struct Sums(heapless::Vec<u64, 32>);

    impl Sink for Sums {
        fn values(&mut self, _: &Family, values: &mut dyn Iterator<Item = Value>) {
            let sum = values.map(|value| if let Value::Whole(number) = value { number } else { 0 }).sum();
            self.0.push(sum).unwrap();
        }

        fn histogram(&mut self, _: &Family, histogram: &Histogram) {
            self.0.push(histogram.count().wrapping_add(histogram.sum_ms())).unwrap();
        }

        fn info(&mut self, _: &Family, _: &[(&str, &str)]) {}
    }

    fn sums(counters: &Counters) -> heapless::Vec<u64, 32> {
        let mut sums = Sums::default();
        counters.report(&mut sums);
        sums.0
    }

    /// Every family has a count, each a different one.
    fn counted() -> Counters {
        let counters = Counters::default();
        for (counted, n) in ALL.iter().zip((1..).step_by(2)) {
            match (counted.series)(&counters) {
                Series::Counters(of_labels) => of_labels.last().unwrap().set(n),
                Series::Histogram(durations) => durations.observe(core::time::Duration::from_millis(n)),
            }
        }
        counters
    }

    #[test]
    fn a_write_is_counted_with_its_time_its_bytes_and_its_data() {
        let counts = remote_write::Counts {
            series: 10,
            samples: 20,
            integer_histograms: 30,
            float_histograms: 5,
            exemplars: 40,
            metadata: 50,
            too_old: 3,
            ..remote_write::Counts::default()
        };
        let outcome = Outcome {
            status: 204,
            upstream_status: Some(204),
            unavailable: None,
            retry_after: None,
            purpose: Purpose::Write,
            body_bytes: 7,
            counts: Some(counts),
            began: Instant::from_millis(1000),
        };
        let counters = Counters::default();
        counters.answered(Instant::from_millis(1250), &outcome, 9);
        // One request of 250 ms.
        assert_eq!(sums(&counters), [1, 251, 7, 9, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 35, 40, 50, 3]);
    }

    #[test]
    fn every_counter_has_one_family() {
        let counters = counted();
        let sums = sums(&counters);
        assert!(sums.iter().all(|sum| sums.iter().filter(|other| *other == sum).count() == 1), "{sums:?}");
        let bytes = ALL.iter().map(|counted| match (counted.series)(&counters) {
            Series::Counters(of_labels) => size_of_val(of_labels),
            Series::Histogram(durations) => size_of_val(durations),
        });
        assert_eq!(bytes.sum::<usize>(), size_of::<Counters>());
    }

    #[test]
    fn no_family_is_left_out_of_a_sum() {
        let (one, all) = (counted(), counted());
        all.include(&one);
        let (one, all) = (sums(&one), sums(&all));
        assert_eq!(one.len(), ALL.len());
        assert!(one.iter().all(|&sum| sum > 0), "{one:?}");
        assert!(one.iter().zip(&all).all(|(&one, &both)| both == one.wrapping_mul(2)), "{one:?} {all:?}");
    }
}
