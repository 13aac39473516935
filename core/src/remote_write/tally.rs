//! Counts the contents of a request while it is walked.

use super::schema::{Meaning, Message};
use super::varint::low_half;

/// The contents of a good request. Counters saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Time series.
    pub series: u32,
    /// Samples in all series, without histograms.
    pub samples: u32,
    /// Histograms whose count is an integer, or is not set.
    pub integer_histograms: u32,
    /// Histograms whose count is a float.
    pub float_histograms: u32,
    /// Exemplars in all series.
    pub exemplars: u32,
    /// Version 1: metadata messages. Version 2: series whose metadata has a type, help or unit.
    pub metadata: u32,
    /// Version 2: entries of the symbol table. Version 1: 0.
    pub symbols: u32,
    /// Samples and histograms that were older than [`MAX_AGE`](super::MAX_AGE) at the time given to
    /// [`Check::at`](super::Check::at); 0 when none was given.
    pub too_old: u32,
    /// The smallest timestamp of a sample or histogram, milliseconds since 1970.
    pub oldest: Option<i64>,
}

impl Counts {
    /// Histograms of both kinds.
    pub const fn histograms(&self) -> u32 {
        self.integer_histograms.saturating_add(self.float_histograms)
    }
}

/// Adds one, saturating.
#[inline]
fn count(counter: &mut u32) {
    *counter = counter.saturating_add(1);
}

/// Running counts: what is complete, and what is known of the open message.
#[derive(Debug)]
pub(super) struct Tally {
    counts: Counts,
    /// Timestamps before this one, in milliseconds since 1970, count as too old.
    pub(super) too_old_before: i64,
    /// Timestamp of the open sample or histogram; 0 when omitted, as for every proto3 field.
    timestamp: i64,
    /// Whether the last count of the open histogram was a float.
    is_float: bool,
    /// Type, help and unit of the open version 2 series.
    metadata: [u32; 3],
    /// The highest reference to a symbol, and its position. Symbols may follow the series that refer to them, so it is
    /// checked at the end.
    highest: Option<(u32, usize)>,
}

impl Tally {
    /// Nothing counted; no timestamp is too old.
    pub(super) fn new() -> Self {
        Self {
            counts: Counts::default(),
            too_old_before: i64::MIN,
            timestamp: 0,
            is_float: false,
            metadata: [0; 3],
            highest: None,
        }
    }

    /// A message begins.
    #[inline]
    pub(super) fn open(&mut self, message: Message) {
        match message {
            Message::SampleV1 | Message::SampleV2 => self.timestamp = 0,
            Message::HistogramV1 | Message::HistogramV2 => (self.timestamp, self.is_float) = (0, false),
            Message::SeriesV2 => self.metadata = [0; 3],
            _ => {}
        }
    }

    /// A number of the open message; the last of several wins, as in protobuf.
    #[inline]
    pub(super) fn number(&mut self, meaning: Meaning, value: u64, at: usize) {
        let [kind, help, unit] = &mut self.metadata;
        match meaning {
            Meaning::Any => {}
            Meaning::Timestamp => self.timestamp = value.cast_signed(),
            Meaning::Reference => self.reference(low_half(value), at),
            Meaning::IntegerCount => self.is_float = false,
            Meaning::FloatCount => self.is_float = true,
            Meaning::MetricType => *kind = low_half(value),
            Meaning::Help => *help = low_half(value),
            Meaning::Unit => *unit = low_half(value),
        }
    }

    /// A symbol.
    #[inline]
    pub(super) fn symbol(&mut self) {
        count(&mut self.counts.symbols);
    }

    /// A complete sample.
    #[inline]
    pub(super) fn sample(&mut self, timestamp: i64) {
        count(&mut self.counts.samples);
        self.timestamp(timestamp);
    }

    /// A message ends at `at`.
    #[inline]
    pub(super) fn close(&mut self, message: Message, at: usize) {
        match message {
            Message::SeriesV1 => count(&mut self.counts.series),
            Message::SeriesV2 => self.series_v2(at),
            Message::SampleV1 | Message::SampleV2 => self.sample(self.timestamp),
            Message::ExemplarV1 | Message::ExemplarV2 => count(&mut self.counts.exemplars),
            Message::HistogramV1 | Message::HistogramV2 => self.histogram(),
            Message::MetadataV1 => count(&mut self.counts.metadata),
            Message::RequestV1 | Message::RequestV2 | Message::Label | Message::MetadataV2 | Message::Span => {}
        }
    }

    /// The counts of the whole request, or a reference without a symbol, and its position.
    pub(super) fn finish(&self) -> Result<Counts, (u32, usize)> {
        match self.highest {
            Some((reference, at)) if reference >= self.counts.symbols => Err((reference, at)),
            _ => Ok(self.counts),
        }
    }

    /// How many symbols have been read.
    pub(super) const fn symbols(&self) -> u32 {
        self.counts.symbols
    }

    fn series_v2(&mut self, at: usize) {
        count(&mut self.counts.series);
        let [kind, help, unit] = self.metadata;
        if kind > 0 || help > 0 || unit > 0 {
            count(&mut self.counts.metadata);
        }
        // 0 means that help or unit is omitted, and is not a reference.
        let highest = help.max(unit);
        if highest > 0 {
            self.reference(highest, at);
        }
    }

    fn histogram(&mut self) {
        count(if self.is_float { &mut self.counts.float_histograms } else { &mut self.counts.integer_histograms });
        self.timestamp(self.timestamp);
    }

    /// Records the age of the data.
    #[inline]
    fn timestamp(&mut self, at: i64) {
        let Counts { oldest, too_old, .. } = &mut self.counts;
        *oldest = Some(oldest.map_or(at, |oldest| oldest.min(at)));
        *too_old = too_old.saturating_add(u32::from(at < self.too_old_before));
    }

    /// A reference to a symbol at `at`.
    #[inline]
    pub(super) fn reference(&mut self, reference: u32, at: usize) {
        if self.highest.is_none_or(|(highest, _)| reference > highest) {
            self.highest = Some((reference, at));
        }
    }
}
