//! `GET /samples`: the stored series as NDJSON, one metric after another, so that only one is held as text at a time.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;

use http_body_util::{BodyExt, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use serde_json::{Map, Value, json};
use smol::stream;

use super::{Streamed, parameter};
use crate::archive::Series;
use crate::emulator::Emulator;

/// The timestamps that are shown, milliseconds since 1970, both ends included.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: i64,
    until: i64,
}

impl Span {
    fn holds(self, timestamp: i64) -> bool {
        (self.since..=self.until).contains(&timestamp)
    }
}

/// Streams the result of a query: `name` selects a single metric, `since` and `until` a time range. Invalid bounds are
/// ignored.
pub(super) fn stream(emulator: Arc<Emulator>, query: &str) -> Streamed {
    let bound = |name| parameter(query, name).and_then(|text| text.parse().ok());
    let span = Span { since: bound("since").unwrap_or(i64::MIN), until: bound("until").unwrap_or(i64::MAX) };
    let names = parameter(query, "name").map_or_else(|| emulator.archive.lock().names(), |name| vec![name]);
    let lines = names.into_iter().map(move |name| {
        let text = metric(&emulator, &name, span);
        Ok::<_, Infallible>(Frame::data(Bytes::from(text)))
    });
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(stream::iter(lines))));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    response
}

fn metric(emulator: &Emulator, name: &str, span: Span) -> String {
    let archive = emulator.archive.lock();
    archive.metric(name).map(|(labels, series)| line(&labels, series, span)).collect()
}

/// `{"labels":{...},"samples":[[timestamp,"bits"],...]}`, bits as 16 hexadecimal digits; `histograms` only if there are
/// any.
fn line(labels: &[(&str, &str)], series: &Series, span: Span) -> String {
    let labels: Map<String, Value> = labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    let mut line = format!("{{\"labels\":{},\"samples\":[", Value::Object(labels));
    let samples = series.samples().iter().filter(|(timestamp, _)| span.holds(*timestamp));
    write_list(&mut line, samples.map(|(timestamp, bits)| (*timestamp, format!("{bits:016x}"))));
    if !series.histograms().is_empty() {
        line.push_str(",\"histograms\":[");
        let histograms = series.histograms().iter().filter(|(timestamp, _)| span.holds(*timestamp));
        write_list(&mut line, histograms.map(|(timestamp, encoding)| (*timestamp, hexadecimal(encoding))));
    }
    line.push_str("}\n");
    line
}

fn write_list(line: &mut String, pairs: impl Iterator<Item = (i64, String)>) {
    for (position, (timestamp, text)) in pairs.enumerate() {
        let comma = if position == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        write!(line, "{comma}[{timestamp},\"{text}\"]").unwrap_or_default();
    }
    line.push(']');
}

/// Encodes bytes as hexadecimal digits.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}
