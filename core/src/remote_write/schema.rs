//! The two schemas as tables: which field of which message holds what.
//!
//! Sources: `prometheus/prompb/remote.proto` and `types.proto` for 1.0, `prompb/io/prometheus/write/v2/types.proto` for
//! 2.0. Field numbers that a schema reserves are unknown fields here and are skipped.

/// A message of either schema. Where both schemas agree on all fields, one entry serves both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    RequestV1,
    SeriesV1,
    Label,
    SampleV1,
    ExemplarV1,
    MetadataV1,
    HistogramV1,
    RequestV2,
    SeriesV2,
    SampleV2,
    ExemplarV2,
    MetadataV2,
    HistogramV2,
    Span,
}

/// What a number means to the walker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Checked for its form only.
    Any,
    /// A sample's or histogram's time, milliseconds since 1970.
    Timestamp,
    /// A reference to a symbol, one half of a label.
    Reference,
    /// The count of an integer histogram.
    IntegerCount,
    /// The count of a float histogram.
    FloatCount,
    /// Metadata of a 2.0 series: metric type, help and unit.
    MetricType,
    Help,
    Unit,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// One varint.
    Number(Meaning),
    /// Varints, packed or one per field.
    Numbers(Meaning),
    /// One 8-byte number.
    Double(Meaning),
    /// 8-byte numbers, packed or one per field.
    Doubles,
    /// A string.
    Text,
    /// An entry of the symbol table, which references index.
    Symbol,
    /// A message.
    Nested(Message),
    /// Not in the schema: skipped.
    Unknown,
}

impl Message {
    /// What field `number` of this message holds.
    #[expect(clippy::match_same_arms, reason = "a table, in the order of the schemas")]
    pub(super) fn field(self, number: u32) -> Field {
        use Field::{Double, Nested, Number, Numbers, Symbol, Text};
        use Meaning::{Any, Help, MetricType, Reference, Timestamp, Unit};
        match (self, number) {
            (Self::RequestV1, 1) => Nested(Self::SeriesV1),
            (Self::RequestV1, 3) => Nested(Self::MetadataV1),
            (Self::SeriesV1 | Self::ExemplarV1, 1) => Nested(Self::Label),
            (Self::SeriesV1, 2) => Nested(Self::SampleV1),
            (Self::SeriesV1, 3) => Nested(Self::ExemplarV1),
            (Self::SeriesV1, 4) => Nested(Self::HistogramV1),
            (Self::Label, 1 | 2) | (Self::MetadataV1, 2 | 4 | 5) => Text,
            (Self::MetadataV1, 1) => Number(Any),

            (Self::RequestV2, 4) => Symbol,
            (Self::RequestV2, 5) => Nested(Self::SeriesV2),
            (Self::SeriesV2 | Self::ExemplarV2, 1) => Numbers(Reference),
            (Self::SeriesV2, 2) => Nested(Self::SampleV2),
            (Self::SeriesV2, 3) => Nested(Self::HistogramV2),
            (Self::SeriesV2, 4) => Nested(Self::ExemplarV2),
            (Self::SeriesV2, 5) => Nested(Self::MetadataV2),
            (Self::MetadataV2, 1) => Number(MetricType),
            (Self::MetadataV2, 3) => Number(Help),
            (Self::MetadataV2, 4) => Number(Unit),

            (Self::SampleV1 | Self::SampleV2, 1) | (Self::ExemplarV1 | Self::ExemplarV2, 2) => Double(Any),
            (Self::SampleV1 | Self::SampleV2, 2) => Number(Timestamp),
            (Self::SampleV2 | Self::ExemplarV1 | Self::ExemplarV2, 3) => Number(Any),
            (Self::HistogramV2, 17) | (Self::Span, 1 | 2) => Number(Any),
            (Self::HistogramV1 | Self::HistogramV2, number) => histogram(number),
            _ => Field::Unknown,
        }
    }
}

/// The fields that histograms have in both schemas.
fn histogram(number: u32) -> Field {
    match number {
        1 => Field::Number(Meaning::IntegerCount),
        2 => Field::Double(Meaning::FloatCount),
        3 | 5 | 7 => Field::Double(Meaning::Any),
        4 | 6 | 14 => Field::Number(Meaning::Any),
        8 | 11 => Field::Nested(Message::Span),
        9 | 12 => Field::Numbers(Meaning::Any),
        10 | 13 | 16 => Field::Doubles,
        15 => Field::Number(Meaning::Timestamp),
        _ => Field::Unknown,
    }
}
