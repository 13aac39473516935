//! The raw samples of a Prometheus, through its remote-read endpoint: one metric and one stretch of time per request,
//! so that responses stay small.

use prost::Message;
use serde::Deserialize;
use ureq::Agent;

use super::{Failure, Labels, Point, SeriesPoints, Span};
use crate::ingest::schema::TimeSeries;

/// Length of one request's stretch of time, milliseconds: that of a block of the Prometheus database.
const STRETCH: i64 = 2 * 60 * 60 * 1000;

/// Largest compressed response that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 30;

/// `prometheus.ReadRequest`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) queries: Vec<Query>,
}

/// `prometheus.Query`; the time range is in milliseconds, both ends included.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Query {
    #[prost(int64, tag = "1")]
    pub(crate) start: i64,
    #[prost(int64, tag = "2")]
    pub(crate) end: i64,
    #[prost(message, repeated, tag = "3")]
    pub(crate) matchers: Vec<LabelMatcher>,
}

/// `prometheus.LabelMatcher`; an omitted type means equality.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct LabelMatcher {
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(string, tag = "3")]
    pub(crate) value: String,
}

/// `prometheus.ReadResponse`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) results: Vec<QueryResult>,
}

/// `prometheus.QueryResult`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    pub(crate) timeseries: Vec<TimeSeries>,
}

/// A Prometheus, given by its base URL.
#[derive(Debug)]
pub(super) struct Prometheus<'a> {
    pub(super) agent: &'a Agent,
    pub(super) url: &'a str,
}

/// The envelope of Prometheus' JSON responses.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DatabaseStatus {
    head_stats: HeadStats,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeadStats {
    min_time: i64,
}

impl Prometheus<'_> {
    /// Every metric name in it.
    pub(super) fn names(&self) -> Result<Vec<String>, Failure> {
        // Without a time range the response covers everything.
        Ok(self.json::<Vec<String>>("/api/v1/label/__name__/values")?.data)
    }

    /// A time, milliseconds since 1970, before which all data is in finished blocks.
    pub(super) fn head_start(&self) -> Result<i64, Failure> {
        Ok(self.json::<DatabaseStatus>("/api/v1/status/tsdb")?.data.head_stats.min_time)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<Envelope<T>, Failure> {
        let url = format!("{}{path}", self.url);
        let text = self.agent.get(&url).call().and_then(|answer| answer.into_body().read_to_vec());
        let text = text.map_err(|error| Failure::new(&url, &error))?;
        serde_json::from_slice(&text).map_err(|error| Failure::new(&url, &error))
    }

    /// The samples and histograms of one metric; a series may be returned in several parts, oldest first.
    pub(super) fn read(&self, name: &str, span: Span, head_start: i64) -> Result<Vec<SeriesPoints>, Failure> {
        let mut parts = Vec::new();
        for stretch in stretches(span, head_start) {
            parts.extend(self.query(name, stretch)?.iter().map(points));
        }
        Ok(parts)
    }

    fn query(&self, name: &str, span: Span) -> Result<Vec<TimeSeries>, Failure> {
        let url = format!("{}/api/v1/read", self.url);
        let answer = self.post(&url, &question(name, span)).map_err(|error| Failure::new(&url, &error))?;
        let message = snap::raw::Decoder::new().decompress_vec(&answer).map_err(|error| Failure::new(&url, &error))?;
        let response = ReadResponse::decode(&*message).map_err(|error| Failure::new(&url, &error))?;
        Ok(response.results.into_iter().flat_map(|result| result.timeseries).collect())
    }

    fn post(&self, url: &str, question: &ReadRequest) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
        let body = snap::raw::Encoder::new().compress_vec(&question.encode_to_vec())?;
        let request = self
            .agent
            .post(url)
            .header("Content-Encoding", "snappy")
            .header("Content-Type", "application/x-protobuf")
            .header("X-Prometheus-Remote-Read-Version", "0.1.0");
        Ok(request.send(&body)?.into_body().with_config().limit(MAX_ANSWER).read_to_vec()?)
    }
}

/// Without accepted response types the response has the type SAMPLES: plain values, not chunks.
fn question(name: &str, span: Span) -> ReadRequest {
    let matcher = LabelMatcher { name: "__name__".to_owned(), value: name.to_owned() };
    ReadRequest { queries: vec![Query { start: span.since, end: span.until, matchers: vec![matcher] }] }
}

/// `span`, split at `head_start` and after each further stretch.
fn stretches(span: Span, head_start: i64) -> Vec<Span> {
    let mut stretches = Vec::new();
    let mut since = span.since;
    let mut end = head_start.clamp(span.since, span.until);
    loop {
        stretches.push(Span { since, until: end });
        if end >= span.until {
            return stretches;
        }
        since = end.saturating_add(1);
        end = end.saturating_add(STRETCH).min(span.until);
    }
}

fn points(series: &TimeSeries) -> SeriesPoints {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut labels: Labels = series.labels.iter().map(|label| (text(&label.name), text(&label.value))).collect();
    labels.sort_unstable();
    let samples = series.samples.iter().map(|sample| (sample.timestamp, Point::Sample(sample.value)));
    let histograms = series
        .histograms
        .iter()
        .map(|histogram| (histogram.timestamp, Point::Histogram(histogram.encode_to_vec().into_boxed_slice())));
    SeriesPoints { labels, points: samples.chain(histograms).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_cover_the_span_without_a_gap_or_an_overlap() {
        let far = STRETCH * 3;
        for (since, until, head) in [(0, far, STRETCH / 2), (5, 9, 0), (5, 9, 100), (0, 0, 0), (0, far, far)] {
            let stretches = stretches(Span { since, until }, head);
            assert_eq!((stretches[0].since, stretches[stretches.len() - 1].until), (since, until));
            assert!(stretches.windows(2).all(|pair| pair[0].until + 1 == pair[1].since));
        }
    }
}
