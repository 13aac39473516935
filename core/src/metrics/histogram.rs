//! A histogram of durations.

use core::cell::Cell;
use core::slice::from_ref;
use core::time::Duration;

use super::Series;
use crate::time::millis;

/// Upper bounds of the buckets: in milliseconds, and in seconds as they are written. `+Inf` follows. They are the
/// defaults of Prometheus' client libraries, and the 30 s for which a sender waits.
pub const BOUNDS: [(u64, &str); 12] = [
    (5, "0.005"),
    (10, "0.01"),
    (25, "0.025"),
    (50, "0.05"),
    (100, "0.1"),
    (250, "0.25"),
    (500, "0.5"),
    (1_000, "1.0"),
    (2_500, "2.5"),
    (5_000, "5.0"),
    (10_000, "10.0"),
    (30_000, "30.0"),
];

/// How many durations fell into each bucket. One thread owns it.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Not cumulative; the last one has no upper bound.
    buckets: [Cell<u64>; BOUNDS.len() + 1],
    sum_ms: Cell<u64>,
}

impl Histogram {
    /// An empty histogram.
    pub const fn new() -> Self {
        Self { buckets: [const { Cell::new(0) }; BOUNDS.len() + 1], sum_ms: Cell::new(0) }
    }

    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let ms = millis(duration);
        let place = BOUNDS.iter().take_while(|(bound, _)| ms > *bound).count();
        if let Some(bucket) = self.buckets.get(place) {
            bucket.set(bucket.get().wrapping_add(1));
        }
        self.sum_ms.set(self.sum_ms.get().wrapping_add(ms));
    }

    /// The whole histogram.
    pub const fn series(&self) -> Series<'_> {
        Series::Histogram(self)
    }

    /// Everything that was counted.
    #[inline]
    pub(super) const fn cells(&self) -> [&[Cell<u64>]; 2] {
        [&self.buckets, from_ref(&self.sum_ms)]
    }

    /// The number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Cell::get).fold(0, u64::wrapping_add)
    }

    /// The sum of the durations, in milliseconds.
    pub const fn sum_ms(&self) -> u64 {
        self.sum_ms.get()
    }

    /// Each bound as it is written, with the number of durations up to it. `+Inf`, which equals [`Histogram::count`],
    /// is left out.
    pub fn cumulative(&self) -> impl Iterator<Item = (&'static str, u64)> {
        BOUNDS.iter().zip(&self.buckets).scan(0_u64, |below, ((_, bound), bucket)| {
            *below = below.wrapping_add(bucket.get());
            Some((*bound, *below))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_on_a_bound_belongs_to_the_bucket_below() {
        let histogram = Histogram::new();
        for ms in [0, 5, 6, 30_000, 30_001] {
            histogram.observe(Duration::from_millis(ms));
        }
        let counts: heapless::Vec<u64, 12> = histogram.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4]);
        assert_eq!((histogram.count(), histogram.sum_ms()), (5, 60_012));
    }

    #[test]
    fn what_two_threads_counted_adds_up_bucket_by_bucket() {
        let (all, other) = (Histogram::new(), Histogram::new());
        all.observe(Duration::from_millis(4));
        for ms in [5, 400, 60_000] {
            other.observe(Duration::from_millis(ms));
        }
        all.series().include(other.series());
        let counts: heapless::Vec<u64, 12> = all.cumulative().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3]);
        assert_eq!((all.count(), all.sum_ms()), (4, 60_409));
    }

    #[test]
    fn bounds_are_written_as_what_they_are() {
        for (ms, seconds) in BOUNDS {
            let (whole, part) = seconds.split_once('.').unwrap();
            let part = heapless::format!(8; "{part:0<3}").unwrap();
            assert_eq!(whole.parse::<u64>().unwrap() * 1000 + part.parse::<u64>().unwrap(), ms, "{seconds}");
        }
    }
}
