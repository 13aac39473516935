//! Gauges that change at each scrape, so that a Prometheus has something to collect and send.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number of gauges named `emulator_workload`.
#[derive(Debug)]
pub(super) struct Workload {
    series: usize,
    scrapes: AtomicU64,
}

impl Workload {
    pub(super) fn new(series: usize) -> Self {
        Workload { series, scrapes: AtomicU64::new(0) }
    }

    /// The gauges at this scrape. The first one is always NaN.
    pub(super) fn exposition(&self) -> String {
        let scrape = self.scrapes.fetch_add(1, Ordering::Relaxed);
        let mut text = String::from("# TYPE emulator_workload gauge\n");
        for number in 0..self.series {
            let value = if number == 0 { f64::NAN } else { value(scrape, number) };
            // Writing to a String cannot fail.
            writeln!(text, "emulator_workload{{i=\"{number}\"}} {value}").unwrap_or_default();
        }
        text
    }
}

/// A wave with its own period for each gauge, so that values use the full mantissa.
#[expect(clippy::cast_precision_loss, reason = "only a wave that looks alive")]
fn value(scrape: u64, number: usize) -> f64 {
    (scrape as f64 / (1.0 + number as f64)).sin() * number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gauge_but_the_first_changes_at_each_scrape() {
        let workload = Workload::new(3);
        let (first, second) = (workload.exposition(), workload.exposition());
        let value = |text: &str, line: usize| text.lines().nth(line).unwrap().to_owned();
        assert_eq!(value(&first, 1), "emulator_workload{i=\"0\"} NaN");
        assert_ne!(value(&first, 2), value(&second, 2));
        assert_ne!(value(&first, 3), value(&second, 3));
        assert_eq!(first.lines().count(), 4);
    }
}
