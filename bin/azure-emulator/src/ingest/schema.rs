//! The messages of remote write 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`), as far as
//! they are used. Field numbers are those of the published schemas.
//!
//! A double is declared as `fixed64`, which is the same on the wire: NaN payloads never pass through floating-point
//! registers.

use prost::Message;
use prost::bytes::Bytes;

/// `prometheus.WriteRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) metadata: Vec<Counted>,
}

/// `prometheus.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(crate) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) exemplars: Vec<Counted>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) histograms: Vec<Histogram>,
}

impl TimeSeries {
    /// The value of `__name__`; empty if there is none.
    pub(crate) fn metric(&self) -> &str {
        let name = self.labels.iter().find(|label| label.name == *"__name__");
        name.map_or("", |label| str::from_utf8(&label.value).unwrap_or_default())
    }
}

/// `prometheus.Label`. Strings are `bytes`, which are the same on the wire: they are not copied out of the decoded
/// body.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Message)]
pub(crate) struct Label {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
}

/// A sample of either version.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Sample {
    /// Bits of the double.
    #[prost(fixed64, tag = "1")]
    pub(crate) value: u64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    pub(crate) timestamp: i64,
}

/// A message that is only counted; its fields are ignored.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Counted {}

/// `io.prometheus.write.v2.Request`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestV2 {
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub(crate) symbols: Vec<Bytes>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) timeseries: Vec<TimeSeriesV2>,
}

/// `io.prometheus.write.v2.TimeSeries`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeriesV2 {
    /// Names and values alternating, as indices into the symbol table.
    #[prost(uint32, repeated, tag = "1")]
    pub(crate) labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) histograms: Vec<Histogram>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) exemplars: Vec<Counted>,
    #[prost(message, optional, tag = "5")]
    pub(crate) metadata: Option<MetadataV2>,
}

/// `io.prometheus.write.v2.Metadata`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct MetadataV2 {
    #[prost(int32, tag = "1")]
    pub(crate) kind: i32,
    #[prost(uint32, tag = "3")]
    pub(crate) help_ref: u32,
    #[prost(uint32, tag = "4")]
    pub(crate) unit_ref: u32,
}

/// A native histogram of either version. The members of a `oneof` are optional, so that an explicit zero is kept.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    count_int: Option<u64>,
    #[prost(fixed64, optional, tag = "2")]
    count_float: Option<u64>,
    #[prost(fixed64, tag = "3")]
    sum: u64,
    #[prost(sint32, tag = "4")]
    schema: i32,
    #[prost(fixed64, tag = "5")]
    zero_threshold: u64,
    #[prost(uint64, optional, tag = "6")]
    zero_count_int: Option<u64>,
    #[prost(fixed64, optional, tag = "7")]
    zero_count_float: Option<u64>,
    #[prost(message, repeated, tag = "8")]
    negative_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "9")]
    negative_deltas: Vec<i64>,
    #[prost(fixed64, repeated, tag = "10")]
    negative_counts: Vec<u64>,
    #[prost(message, repeated, tag = "11")]
    positive_spans: Vec<BucketSpan>,
    #[prost(sint64, repeated, tag = "12")]
    positive_deltas: Vec<i64>,
    #[prost(fixed64, repeated, tag = "13")]
    positive_counts: Vec<u64>,
    #[prost(int32, tag = "14")]
    reset_hint: i32,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "15")]
    pub(crate) timestamp: i64,
    #[prost(fixed64, repeated, tag = "16")]
    custom_values: Vec<u64>,
}

/// `prometheus.BucketSpan`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct BucketSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}
