//! The published schemas for `prost`, and the counts of a fully decoded request.

use prost::{Message, Oneof};
use remora_core::remote_write::{Counts, Version};

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    exemplars: Vec<Exemplar>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct MetricMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    metric_family_name: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeriesV2>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeriesV2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<SampleV2>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<HistogramV2>,
    #[prost(message, repeated, tag = "4")]
    exemplars: Vec<ExemplarV2>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct SampleV2 {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
    #[prost(int64, tag = "3")]
    start_timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct ExemplarV2 {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(double, tag = "2")]
    value: f64,
    #[prost(int64, tag = "3")]
    timestamp: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help_ref: u32,
    #[prost(uint32, tag = "4")]
    unit_ref: u32,
}

#[derive(Clone, PartialEq, Oneof)]
enum Count {
    #[prost(uint64, tag = "1")]
    Integer(u64),
    #[prost(double, tag = "2")]
    Float(f64),
}

#[derive(Clone, PartialEq, Oneof)]
enum ZeroCount {
    #[prost(uint64, tag = "6")]
    Integer(u64),
    #[prost(double, tag = "7")]
    Float(f64),
}

#[derive(Clone, PartialEq, Message)]
struct BucketSpan {
    #[prost(sint32, tag = "1")]
    offset: i32,
    #[prost(uint32, tag = "2")]
    length: u32,
}

/// Both histograms are the same except for fields at the end.
macro_rules! histogram {
    ($name:ident { $($extra:tt)* }) => {
        #[derive(Clone, PartialEq, Message)]
        struct $name {
            #[prost(oneof = "Count", tags = "1, 2")]
            count: Option<Count>,
            #[prost(double, tag = "3")]
            sum: f64,
            #[prost(sint32, tag = "4")]
            schema: i32,
            #[prost(double, tag = "5")]
            zero_threshold: f64,
            #[prost(oneof = "ZeroCount", tags = "6, 7")]
            zero_count: Option<ZeroCount>,
            #[prost(message, repeated, tag = "8")]
            negative_spans: Vec<BucketSpan>,
            #[prost(sint64, repeated, tag = "9")]
            negative_deltas: Vec<i64>,
            #[prost(double, repeated, tag = "10")]
            negative_counts: Vec<f64>,
            #[prost(message, repeated, tag = "11")]
            positive_spans: Vec<BucketSpan>,
            #[prost(sint64, repeated, tag = "12")]
            positive_deltas: Vec<i64>,
            #[prost(double, repeated, tag = "13")]
            positive_counts: Vec<f64>,
            #[prost(int32, tag = "14")]
            reset_hint: i32,
            #[prost(int64, tag = "15")]
            timestamp: i64,
            #[prost(double, repeated, tag = "16")]
            custom_values: Vec<f64>,
            $($extra)*
        }

        impl $name {
            fn count(&self, counts: &mut Counts) {
                match self.count {
                    Some(Count::Float(_)) => counts.float_histograms += 1,
                    Some(Count::Integer(_)) | None => counts.integer_histograms += 1,
                }
                widen(counts, self.timestamp);
            }
        }
    };
}

histogram!(Histogram {});
histogram!(HistogramV2 {
    #[prost(int64, tag = "17")]
    start_timestamp: i64,
});

/// The counts of `message`, or `None` if it has to be refused.
pub(crate) fn counts(version: Version, message: &[u8]) -> Option<Counts> {
    match version {
        Version::V1 => WriteRequest::decode(message).ok().map(|request| counts_v1(&request)),
        Version::V2 => Request::decode(message).ok().and_then(|request| counts_v2(&request)),
    }
}

fn counts_v1(request: &WriteRequest) -> Counts {
    let mut counts = Counts { metadata: request.metadata.len() as u32, ..Counts::default() };
    for series in &request.timeseries {
        counts.series += 1;
        counts.samples += series.samples.len() as u32;
        counts.exemplars += series.exemplars.len() as u32;
        series.samples.iter().for_each(|sample| widen(&mut counts, sample.timestamp));
        series.histograms.iter().for_each(|histogram| histogram.count(&mut counts));
    }
    counts
}

fn counts_v2(request: &Request) -> Option<Counts> {
    let symbols = request.symbols.len() as u32;
    let mut counts = Counts { symbols, ..Counts::default() };
    for series in &request.timeseries {
        counts.series += 1;
        counts.samples += series.samples.len() as u32;
        counts.exemplars += series.exemplars.len() as u32;
        series.samples.iter().for_each(|sample| widen(&mut counts, sample.timestamp));
        series.histograms.iter().for_each(|histogram| histogram.count(&mut counts));
        let exemplars = series.exemplars.iter().map(|exemplar| &exemplar.labels_refs);
        if !exemplars.chain([&series.labels_refs]).all(|refs| are_labels(refs, symbols)) {
            return None;
        }
        let Some(metadata) = &series.metadata else { continue };
        counts.metadata += u32::from(*metadata != Metadata::default());
        if [metadata.help_ref, metadata.unit_ref].iter().any(|&text| text > 0 && text >= symbols) {
            return None;
        }
    }
    Some(counts)
}

fn are_labels(references: &[u32], symbols: u32) -> bool {
    references.len().is_multiple_of(2) && references.iter().all(|&reference| reference < symbols)
}

/// The time at which the tests check, milliseconds since 1970; [`OLDEST_FRESH`] is the oldest timestamp not too old
/// then.
pub(crate) const NOW: i64 = 1_700_000_000_000;
pub(crate) const OLDEST_FRESH: i64 = NOW - 20 * 60 * 1000;

fn widen(counts: &mut Counts, timestamp: i64) {
    counts.too_old += u32::from(timestamp < OLDEST_FRESH);
    counts.oldest = Some(counts.oldest.map_or(timestamp, |oldest| oldest.min(timestamp)));
}
