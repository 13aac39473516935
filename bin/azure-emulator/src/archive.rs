//! Every accepted sample, bit for bit, in memory; and the journal of accepted bodies from which it is rebuilt.

mod journal;
mod metric;
mod series;

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::directory::Directory;
use crate::ingest::frame::{self, Frame, Schema};
use crate::ingest::schema::TimeSeries;
use journal::{Journal, Record};
use metric::Metric;
pub(crate) use series::Series;

/// Bits of the value that ends a series (remote-write 1.0, "Stale markers").
pub(crate) const STALE: u64 = 0x7ff0_0000_0000_0002;

/// What was accepted since the archive was last emptied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) bodies: u64,
    pub(crate) series: u64,
    /// Stored samples, including the next two counts.
    pub(crate) samples: u64,
    pub(crate) stale: u64,
    /// NaN other than the stale marker.
    pub(crate) nan: u64,
    /// Repeated with the same value.
    pub(crate) duplicates: u64,
    /// Repeated with another value; the first one is kept.
    pub(crate) conflicts: u64,
    /// Too old or too far ahead: dropped although the sender got a success, as in Azure.
    pub(crate) old_data: u64,
    /// Older than a stored one of the same series, and not a repetition. Azure drops these although the sender gets a
    /// success; here they are stored, so that they can be compared.
    pub(crate) out_of_order: u64,
    pub(crate) histograms: u64,
    pub(crate) exemplars: u64,
    pub(crate) metadata: u64,
}

/// The counts of remote-write 2.0's `Written` headers, for one body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) samples: u64,
    pub(crate) histograms: u64,
    pub(crate) exemplars: u64,
}

/// How a sample relates to those already stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    New,
    OutOfOrder,
    Duplicate,
    Conflict,
}

/// Accepted timestamps, milliseconds since 1970, both ends included.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: i64,
    until: i64,
}

impl Window {
    fn around(now: i64, seconds: u64) -> Self {
        if seconds == 0 {
            return Window { from: i64::MIN, until: i64::MAX };
        }
        let reach = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000);
        Window { from: now.saturating_sub(reach), until: now.saturating_add(reach) }
    }

    fn holds(self, timestamp: i64) -> bool {
        (self.from..=self.until).contains(&timestamp)
    }
}

/// The stored series by metric name, and the journal behind them.
#[derive(Debug)]
pub(crate) struct Archive {
    journal: Journal,
    metrics: BTreeMap<String, Metric>,
    counts: Counts,
    /// Scratch space for the key of the series being looked up.
    scratch: Vec<u8>,
}

impl Archive {
    /// Reads the folder's journal from the beginning.
    pub(crate) fn open(directory: &Directory) -> io::Result<Self> {
        let (journal, records) = Journal::open(&directory.path("accepted-bodies"))?;
        let mut archive = Archive { journal, metrics: BTreeMap::new(), counts: Counts::default(), scratch: Vec::new() };
        for record in records {
            archive.replay(&record?)?;
        }
        Ok(archive)
    }

    fn replay(&mut self, record: &Record) -> io::Result<()> {
        let frame = frame::decode(record.schema, &record.body)
            .map_err(|fault| io::Error::other(format!("the journal of accepted bodies is damaged: {fault}")))?;
        self.add(frame, Window::around(record.now, record.window_s));
        Ok(())
    }

    /// Stores a frame durably: once this returns, the frame survives the end of the process, however it ends. `now` is
    /// in milliseconds since 1970, `window_s` in seconds, 0 for no limit.
    pub(crate) fn accept(
        &mut self,
        schema: Schema,
        frame: Frame,
        body: &[u8],
        now: i64,
        window_s: u64,
    ) -> io::Result<Written> {
        self.journal.append(schema, now, window_s, body)?;
        Ok(self.add(frame, Window::around(now, window_s)))
    }

    fn add(&mut self, frame: Frame, window: Window) -> Written {
        let mut written = Written::default();
        self.counts.bodies += 1;
        self.counts.metadata += frame.metadata as u64;
        for mut entry in frame.entries {
            self.counts.old_data += drop_old(&mut entry, window);
            written.samples += entry.samples.len() as u64;
            written.histograms += entry.histograms.len() as u64;
            written.exemplars += entry.exemplars.len() as u64;
            if !entry.samples.is_empty() || !entry.histograms.is_empty() {
                self.add_entry(&entry);
            }
        }
        self.counts.exemplars += written.exemplars;
        written
    }

    fn add_entry(&mut self, entry: &TimeSeries) {
        let metric = self.metrics.entry(entry.metric().to_owned()).or_default();
        let Some((series, new)) = metric.find_or_add(&entry.labels, &mut self.scratch) else { return };
        let counts = &mut self.counts;
        counts.series += u64::from(new);
        for sample in &entry.samples {
            let arrival = series.add_sample(sample.timestamp, sample.value);
            count(counts, arrival, |counts| count_sample(counts, sample.value));
        }
        for histogram in &entry.histograms {
            count(counts, series.add_histogram(histogram), |counts| counts.histograms += 1);
        }
    }

    /// The counts so far.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The metric names, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        self.metrics.keys().cloned().collect()
    }

    /// The series of one metric with their sorted labels, in no particular order.
    pub(crate) fn metric(&self, name: &str) -> impl Iterator<Item = (Vec<(&str, &str)>, &Series)> {
        self.metrics.get(name).into_iter().flat_map(Metric::iter)
    }

    /// Forgets everything, including the journal.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.journal.clear()?;
        self.metrics.clear();
        self.counts = Counts::default();
        Ok(())
    }
}

/// Removes everything outside the window and returns how much that was.
fn drop_old(entry: &mut TimeSeries, window: Window) -> u64 {
    let before = entry.samples.len() + entry.histograms.len();
    entry.samples.retain(|sample| window.holds(sample.timestamp));
    entry.histograms.retain(|histogram| window.holds(histogram.timestamp));
    (before - entry.samples.len() - entry.histograms.len()) as u64
}

fn count(counts: &mut Counts, arrival: Arrival, new: impl FnOnce(&mut Counts)) {
    match arrival {
        Arrival::New => new(counts),
        Arrival::OutOfOrder => {
            counts.out_of_order += 1;
            new(counts);
        }
        Arrival::Duplicate => counts.duplicates += 1,
        Arrival::Conflict => counts.conflicts += 1,
    }
}

fn count_sample(counts: &mut Counts, value: u64) {
    counts.samples += 1;
    counts.stale += u64::from(value == STALE);
    counts.nan += u64::from(value != STALE && f64::from_bits(value).is_nan());
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
