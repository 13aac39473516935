//! The samples and native histograms of one series.

use prost::Message;

use super::Arrival;
use crate::ingest::schema::Histogram;

/// One value for each timestamp, sorted by timestamp. Sixteen bytes a sample: this is most of the emulator's memory.
#[derive(Debug, Default)]
pub(crate) struct Series {
    samples: Vec<(i64, u64)>,
    histograms: Vec<(i64, Box<[u8]>)>,
}

impl Series {
    /// Stores a sample unless there is one with its timestamp. `value` is the bits of the double.
    pub(super) fn add_sample(&mut self, timestamp: i64, value: u64) -> Arrival {
        add(&mut self.samples, timestamp, value)
    }

    /// Stores a histogram, re-encoded so that equal histograms are equal bytes.
    pub(super) fn add_histogram(&mut self, histogram: &Histogram) -> Arrival {
        add(&mut self.histograms, histogram.timestamp, histogram.encode_to_vec().into_boxed_slice())
    }

    /// Timestamp and bits, oldest first.
    pub(crate) fn samples(&self) -> &[(i64, u64)] {
        &self.samples
    }

    /// Timestamp and encoding, oldest first.
    pub(crate) fn histograms(&self) -> &[(i64, Box<[u8]>)] {
        &self.histograms
    }
}

fn add<T: PartialEq>(values: &mut Vec<(i64, T)>, timestamp: i64, value: T) -> Arrival {
    if values.last().is_none_or(|(last, _)| *last < timestamp) {
        values.push((timestamp, value));
        return Arrival::New;
    }
    match values.binary_search_by_key(&timestamp, |(timestamp, _)| *timestamp) {
        Ok(at) if values.get(at).is_some_and(|(_, there)| *there == value) => Arrival::Duplicate,
        Ok(_) => Arrival::Conflict,
        Err(at) => {
            values.insert(at, (timestamp, value));
            Arrival::OutOfOrder
        }
    }
}
