//! Remote-write 1.0 and 2.0 for `prost`, as far as the bodies need it: a receiver's structs, every string its own copy;
//! and a body of version 1 written anew in version 2. Sources: `prometheus/prompb/remote.proto`, `types.proto` and
//! `io/prometheus/write/v2/types.proto`.

use std::collections::HashMap;

use prost::Message;
use snap::raw::{Decoder, Encoder};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
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
pub(crate) struct Request {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) timeseries: Vec<Series>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Series {
    #[prost(uint32, repeated, tag = "1")]
    labels_refs: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    /// Prometheus writes it for every series, usually empty.
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata>,
}

#[derive(Clone, PartialEq, Message)]
struct Metadata {}

/// The same samples in version 2, with symbols in the order of their first use. `None` when `body` is no body of
/// version 1.
pub(crate) fn in_version_2(body: &[u8]) -> Option<Vec<u8>> {
    let plain = Decoder::new().decompress_vec(body).ok()?;
    let mut request = Request { symbols: vec![String::new()], timeseries: Vec::new() };
    let mut known = HashMap::new();
    let mut reference = |symbol: String| {
        *known.entry(symbol).or_insert_with_key(|symbol| {
            request.symbols.push(symbol.clone());
            u32::try_from(request.symbols.len() - 1).unwrap_or(u32::MAX)
        })
    };
    for TimeSeries { labels, samples } in WriteRequest::decode(plain.as_slice()).ok()?.timeseries {
        let texts = labels.into_iter().flat_map(|label| [label.name, label.value]);
        let labels_refs = texts.map(&mut reference).collect();
        request.timeseries.push(Series { labels_refs, samples, metadata: Some(Metadata {}) });
    }
    Encoder::new().compress_vec(&request.encode_to_vec()).ok()
}
