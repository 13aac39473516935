//! Decodes one remote-write body: snappy block, protobuf, rules for labels. The result is the same for both protocol
//! versions.

use std::fmt;

use prost::Message;
use prost::bytes::Bytes;

use super::schema::{Label, RequestV2, TimeSeries, TimeSeriesV2, WriteRequest};

/// The decoded size limit of Prometheus' own receiver, in bytes.
const MAX_DECODED: usize = 32 << 20;

/// The message type of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schema {
    /// `prometheus.WriteRequest`.
    V1,
    /// `io.prometheus.write.v2.Request`.
    V2,
}

impl Schema {
    /// Remote-write 2.0, "Protocol": the content type alone selects the message.
    pub(crate) fn from_content_type(content_type: &str) -> Option<Schema> {
        match content_type {
            "application/x-protobuf" | "application/x-protobuf;proto=prometheus.WriteRequest" => Some(Schema::V1),
            "application/x-protobuf;proto=io.prometheus.write.v2.Request" => Some(Schema::V2),
            _ => None,
        }
    }

    /// The content type of such a body.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Schema::V1 => "application/x-protobuf",
            Schema::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// `X-Prometheus-Remote-Write-Version`.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Schema::V1 => "0.1.0",
            Schema::V2 => "2.0.0",
        }
    }
}

/// Why a body is refused. It is refused as a whole, because a sender could not tell which part was accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// Not a snappy block.
    Snappy(String),
    /// Its decoded size, in bytes, exceeds the limit.
    TooLarge(usize),
    /// Not the protobuf message that the content type promises.
    Protobuf(String),
    /// The 2.0 symbol table does not begin with the empty symbol.
    Symbols,
    /// The label references of a 2.0 series are odd in number or out of the symbol table's range.
    References,
    /// A series without `__name__`, or with one that is not text.
    NoMetricName,
    /// A label with an empty name or value, in this metric.
    EmptyLabel(String),
    /// A label name or value that is not UTF-8, in this metric.
    NotUtf8(String),
    /// A repeated label name, in this metric.
    RepeatedLabel(String),
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameFault::Snappy(cause) => write!(f, "snappy: {cause}"),
            FrameFault::TooLarge(size) => write!(f, "snappy: decoded size {size} exceeds {MAX_DECODED}"),
            FrameFault::Protobuf(cause) => write!(f, "protobuf: {cause}"),
            FrameFault::Symbols => f.write_str("symbols: the first symbol is not empty"),
            FrameFault::References => f.write_str("symbols: label references are odd in number or out of range"),
            FrameFault::NoMetricName => f.write_str("labels: a series has no __name__"),
            FrameFault::EmptyLabel(metric) => write!(f, "labels: {metric} has an empty label name or value"),
            FrameFault::NotUtf8(metric) => write!(f, "labels: {metric} has a label that is not UTF-8"),
            FrameFault::RepeatedLabel(metric) => write!(f, "labels: {metric} has a label name twice"),
        }
    }
}

/// A decoded body. The same series may occur in several entries; the labels of each are sorted by name.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Frame {
    pub(crate) entries: Vec<TimeSeries>,
    pub(crate) metadata: usize,
}

/// Decodes and checks a whole body.
pub(crate) fn decode(schema: Schema, body: &[u8]) -> Result<Frame, FrameFault> {
    let message = Bytes::from(decompress(body)?);
    let mut frame = match schema {
        Schema::V1 => from_v1(WriteRequest::decode(message).map_err(protobuf)?),
        Schema::V2 => from_v2(RequestV2::decode(message).map_err(protobuf)?)?,
    };
    for entry in &mut frame.entries {
        entry.labels.sort_unstable();
        check_labels(entry)?;
    }
    Ok(frame)
}

fn decompress(body: &[u8]) -> Result<Vec<u8>, FrameFault> {
    let snappy = |error: snap::Error| FrameFault::Snappy(error.to_string());
    if body.is_empty() {
        // snap accepts an empty input as an empty block, but a block begins with its length (format_description.txt
        // §1).
        return Err(FrameFault::Snappy("the body is empty".to_owned()));
    }
    let size = snap::raw::decompress_len(body).map_err(snappy)?;
    if size > MAX_DECODED {
        return Err(FrameFault::TooLarge(size));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(snappy)
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn protobuf(error: prost::DecodeError) -> FrameFault {
    FrameFault::Protobuf(error.to_string())
}

fn from_v1(request: WriteRequest) -> Frame {
    Frame { entries: request.timeseries, metadata: request.metadata.len() }
}

fn from_v2(request: RequestV2) -> Result<Frame, FrameFault> {
    let RequestV2 { symbols, timeseries } = request;
    if symbols.first().is_none_or(|symbol| !symbol.is_empty()) && !timeseries.is_empty() {
        return Err(FrameFault::Symbols);
    }
    let described = |series: &&TimeSeriesV2| series.metadata.is_some_and(|metadata| metadata.kind != 0);
    let metadata = timeseries.iter().filter(described).count();
    let entry = |series: TimeSeriesV2| {
        let labels = resolve(&symbols, &series.labels_refs)?;
        let TimeSeriesV2 { samples, exemplars, histograms, .. } = series;
        Ok(TimeSeries { labels, samples, exemplars, histograms })
    };
    Ok(Frame { entries: timeseries.into_iter().map(entry).collect::<Result<_, _>>()?, metadata })
}

fn resolve(symbols: &[Bytes], references: &[u32]) -> Result<Vec<Label>, FrameFault> {
    let symbol = |reference: u32| symbols.get(usize::try_from(reference).ok()?).cloned();
    let label = |pair: &[u32]| match pair {
        [name, value] => Some(Label { name: symbol(*name)?, value: symbol(*value)? }),
        _ => None,
    };
    references.chunks(2).map(|pair| label(pair).ok_or(FrameFault::References)).collect()
}

fn check_labels(entry: &TimeSeries) -> Result<(), FrameFault> {
    let metric = entry.metric();
    if metric.is_empty() {
        return Err(FrameFault::NoMetricName);
    }
    for label in &entry.labels {
        if label.name.is_empty() || label.value.is_empty() {
            return Err(FrameFault::EmptyLabel(metric.to_owned()));
        }
        if str::from_utf8(&label.name).is_err() || str::from_utf8(&label.value).is_err() {
            return Err(FrameFault::NotUtf8(metric.to_owned()));
        }
    }
    if entry.labels.windows(2).any(|pair| matches!(pair, [first, second] if first.name == second.name)) {
        return Err(FrameFault::RepeatedLabel(metric.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
