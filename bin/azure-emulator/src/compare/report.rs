//! The result of a comparison, for people and for programs.

use std::fmt;

use serde::Serialize;

use super::{Labels, Point};
use crate::archive::STALE;

/// Number of differences that are shown.
const SHOWN: usize = 10;

/// The counts of a comparison; native histograms count as samples.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Samples that Prometheus holds.
    pub(super) sent: u64,
    /// Samples that the emulator holds.
    pub(super) stored: u64,
    /// Held by Prometheus only.
    pub(super) missing: u64,
    /// Held by the emulator only.
    pub(super) extra: u64,
    /// Held by both, with different bits.
    pub(super) differing: u64,
    /// Stale markers among the samples that Prometheus holds.
    stale: u64,
    /// Other NaN values among the samples that Prometheus holds.
    nan: u64,
    /// The first differences, as one text each.
    differences: Vec<String>,
}

impl Report {
    /// Whether both sides hold the same samples.
    pub(super) fn is_equal(&self) -> bool {
        self.missing == 0 && self.extra == 0 && self.differing == 0
    }

    /// Counts one timestamp of one series; at least one side has it.
    pub(super) fn add(&mut self, labels: &Labels, timestamp: i64, sent: Option<&Point>, stored: Option<&Point>) {
        self.sent += u64::from(sent.is_some());
        self.stored += u64::from(stored.is_some());
        if let Some(Point::Sample(bits)) = sent {
            self.stale += u64::from(*bits == STALE);
            self.nan += u64::from(*bits != STALE && f64::from_bits(*bits).is_nan());
        }
        let difference = match (sent, stored) {
            (Some(sent), Some(stored)) if sent == stored => return,
            (Some(sent), Some(stored)) => {
                self.differing += 1;
                format!("differing: sent {sent}, stored {stored}")
            }
            (Some(sent), None) => {
                self.missing += 1;
                format!("missing: sent {sent}")
            }
            (None, stored) => {
                self.extra += 1;
                format!("extra: stored {}", stored.map(Point::to_string).unwrap_or_default())
            }
        };
        if self.differences.len() < SHOWN {
            self.differences.push(format!("{difference} at {timestamp} in {}", Shown(labels)));
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { sent, stored, missing, extra, differing, stale, nan, differences } = self;
        writeln!(f, "sent {sent}, stored {stored}, missing {missing}, extra {extra}, differing {differing}")?;
        writeln!(f, "among those sent: stale {stale}, other NaN {nan}")?;
        differences.iter().try_for_each(|difference| writeln!(f, "{difference}"))
    }
}

/// Labels as written in a query.
struct Shown<'a>(&'a Labels);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if position == 0 { "{" } else { ", " })?;
        }
        f.write_str("}")
    }
}
