//! Metrics as Prometheus reads them: families, counters that hold their values, and text pages made of both.
//!
//! Nothing here knows what is counted: [`crate::forward`] counts requests, a driver its own work, each next to a table
//! of its families. Both report to a [`Sink`], such as an [`Exposition`].
//!
//! Names and units follow "Metric and label naming" and "Writing exporters" of the Prometheus documentation. Every
//! series exists from the start, at 0, and label values are a list in the source, never taken from a sender.
//!
//! ```
//! use remora_core::metrics::{CounterSet, Exposition, Family, Format};
//!
//! const ANSWERS: Family = Family::counter("answers_total", "Answers, by kind.").by("kind", &["yes", "no"]);
//!
//! let answers = CounterSet::<2>::new();
//! answers.add(1, 3);
//! let mut page = String::new();
//! let mut exposition = Exposition::new(Format::Text, &mut page);
//! answers.series().report(&ANSWERS, &mut exposition);
//! exposition.finish()?;
//! assert!(page.ends_with("answers_total{kind=\"yes\"} 0\nanswers_total{kind=\"no\"} 3\n"));
//! # Ok::<(), std::fmt::Error>(())
//! ```

mod exposition;
mod format;
mod histogram;

use core::cell::Cell;
use core::time::Duration;

pub use format::Format;
pub use histogram::{BOUNDS, Histogram};

use crate::time::millis;
pub use exposition::Exposition;

/// What a family measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the process ends. Its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations, sorted into the buckets of [`BOUNDS`].
    Histogram,
    /// Always 1; its labels describe the process. Its name ends in `_info`.
    Info,
}

impl Kind {
    /// The word for the kind, as in `# TYPE` where the format has it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}

/// One metric: its name and its other fixed properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The name that queries use, with unit and `_total`.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// The label that tells its series apart; empty where there is one series.
    pub label: &'static str,
    /// The values of the label, one series each.
    pub values: &'static [&'static str],
    /// One sentence without backslash or line feed.
    pub help: &'static str,
}

impl Family {
    /// A family of one series.
    pub const fn new(kind: Kind, name: &'static str, help: &'static str) -> Self {
        Self { name, kind, label: "", values: &[], help }
    }

    /// A counter of one series.
    pub const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Counter, name, help)
    }

    /// A gauge of one series.
    pub const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(Kind::Gauge, name, help)
    }

    /// The same family with a series for each of `values`.
    #[must_use]
    pub const fn by(mut self, label: &'static str, values: &'static [&'static str]) -> Self {
        self.label = label;
        self.values = values;
        self
    }
}

/// A value. There are no floating-point numbers in core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Whole(u64),
    /// Thousandths, such as milliseconds of a family in seconds.
    Milli(u64),
}

impl Value {
    /// A duration in seconds.
    #[inline]
    pub fn seconds(duration: Duration) -> Self {
        Self::Milli(millis(duration))
    }
}

/// Receives measurements, family by family.
pub trait Sink {
    /// One value for each value of the family's label, in their order; one value where it has no label.
    fn values(&mut self, family: &Family, values: &mut dyn Iterator<Item = Value>);
    /// A distribution of durations.
    fn histogram(&mut self, family: &Family, histogram: &Histogram);
    /// A description of the process, as label names and values.
    fn info(&mut self, family: &Family, labels: &[(&str, &str)]);
}

/// Counters of one family, one for each value of its label. One thread owns them.
#[derive(Clone, Debug)]
pub struct CounterSet<const N: usize>([Cell<u64>; N]);

impl<const N: usize> CounterSet<N> {
    /// All counters at 0.
    pub const fn new() -> Self {
        Self([const { Cell::new(0) }; N])
    }

    /// Adds `n` to the counter at `index`. Out of range, nothing is counted.
    pub fn add(&self, index: usize, n: u64) {
        if let Some(counter) = self.0.get(index) {
            counter.set(counter.get().wrapping_add(n));
        }
    }

    /// All counters.
    pub const fn series(&self) -> Series<'_> {
        Series::Counters(&self.0)
    }
}

/// What was counted for one family.
#[derive(Clone, Copy, Debug)]
pub enum Series<'c> {
    /// One counter for each value of the family's label; a single one where it has no label.
    Counters(&'c [Cell<u64>]),
    /// A distribution of durations.
    Histogram(&'c Histogram),
}

impl<'c> Series<'c> {
    /// Adds what another thread counted for the same family.
    #[inline]
    pub fn include(self, other: Series<'_>) {
        self.cells().into_iter().zip(other.cells()).for_each(|(counters, more)| include(counters, more));
    }

    /// Reports all of it.
    pub fn report(self, family: &Family, to: &mut dyn Sink) {
        match self {
            Self::Counters(counters) => {
                to.values(family, &mut counters.iter().map(|counter| Value::Whole(counter.get())));
            }
            Self::Histogram(histogram) => to.histogram(family, histogram),
        }
    }

    #[inline]
    const fn cells(self) -> [&'c [Cell<u64>]; 2] {
        match self {
            Self::Counters(counters) => [counters, &[]],
            Self::Histogram(histogram) => histogram.cells(),
        }
    }
}

/// Adds each of `more` to its counterpart. Inline, like all its callers, so that only a driver with several threads
/// carries the code.
#[inline]
fn include(counters: &[Cell<u64>], more: &[Cell<u64>]) {
    for (counter, more) in counters.iter().zip(more) {
        counter.set(counter.get().wrapping_add(more.get()));
    }
}

impl<const N: usize> Default for CounterSet<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_threads_counted_adds_up_index_by_index() {
        let (all, other) = (CounterSet::<3>::new(), CounterSet::<3>::new());
        all.add(0, 1);
        other.add(0, 2);
        other.add(2, 5);
        all.series().include(other.series());
        assert_eq!(all.0.each_ref().map(Cell::get), [3, 0, 5]);
        assert_eq!(other.0.each_ref().map(Cell::get), [2, 0, 5]);
    }
}
