//! The series of one metric, found by their labels.

use std::collections::HashMap;

use super::Series;
use crate::ingest::schema::Label;

/// Terminates each name and each value in a key; this byte never occurs in UTF-8.
const END: u8 = 0xff;

/// Series in the order in which they were first seen. A key is the sorted labels in one contiguous buffer, so that
/// looking up a known series does not allocate.
#[derive(Debug, Default)]
pub(super) struct Metric {
    positions: HashMap<Box<[u8]>, usize>,
    series: Vec<Series>,
}

impl Metric {
    /// The series with these labels, which are sorted by name, and whether it is new; `scratch` is space for their key.
    pub(super) fn find_or_add(&mut self, labels: &[Label], scratch: &mut Vec<u8>) -> Option<(&mut Series, bool)> {
        write_key(labels, scratch);
        let known = self.positions.get(scratch.as_slice()).copied();
        let position = known.unwrap_or_else(|| {
            self.positions.insert(scratch.as_slice().into(), self.series.len());
            self.series.push(Series::default());
            self.series.len() - 1
        });
        Some((self.series.get_mut(position)?, known.is_none()))
    }

    /// Labels and samples of each series, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Vec<(&str, &str)>, &Series)> {
        self.positions.iter().filter_map(|(key, position)| Some((read_key(key), self.series.get(*position)?)))
    }
}

fn write_key(labels: &[Label], key: &mut Vec<u8>) {
    key.clear();
    for text in labels.iter().flat_map(|label| [&label.name, &label.value]) {
        key.extend_from_slice(text);
        key.push(END);
    }
}

fn read_key(key: &[u8]) -> Vec<(&str, &str)> {
    let mut texts = key.split(|byte| *byte == END).map(|text| str::from_utf8(text).unwrap_or_default());
    let mut labels = Vec::new();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        labels.push((name, value));
    }
    labels
}
