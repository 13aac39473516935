//! The samples that the emulator stored, through its control interface.

use std::collections::BTreeMap;

use serde::Deserialize;
use ureq::Agent;

use super::{Failure, Point, SeriesPoints, Span};

/// Largest response that is read, in bytes: the samples of one metric as text.
const MAX_ANSWER: u64 = 1 << 30;

/// A running emulator, given by the base URL of its control interface.
#[derive(Debug)]
pub(super) struct Stored<'a> {
    pub(super) agent: &'a Agent,
    pub(super) url: &'a str,
}

/// One line of `GET /samples`.
#[derive(Deserialize)]
struct Line {
    labels: BTreeMap<String, String>,
    samples: Vec<(i64, String)>,
    #[serde(default)]
    histograms: Vec<(i64, String)>,
}

impl Stored<'_> {
    /// Every metric name that is stored.
    pub(super) fn names(&self) -> Result<Vec<String>, Failure> {
        let url = format!("{}/names", self.url);
        serde_json::from_slice(&self.fetch(&url)?).map_err(|error| Failure::new(&url, &error))
    }

    /// The samples and histograms of one metric.
    pub(super) fn read(&self, name: &str, span: Span) -> Result<Vec<SeriesPoints>, Failure> {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("name", name);
        query.append_pair("since", &span.since.to_string()).append_pair("until", &span.until.to_string());
        let url = format!("{}/samples?{}", self.url, query.finish());
        let text = self.fetch(&url)?;
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| points(line).ok_or_else(|| Failure::new(&url, &"a line is not a series"))).collect()
    }

    fn fetch(&self, url: &str) -> Result<Vec<u8>, Failure> {
        let answer = self.agent.get(url).call().map_err(|error| Failure::new(url, &error))?;
        answer.into_body().with_config().limit(MAX_ANSWER).read_to_vec().map_err(|error| Failure::new(url, &error))
    }
}

fn points(line: &[u8]) -> Option<SeriesPoints> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let mut points = Vec::with_capacity(line.samples.len() + line.histograms.len());
    for (timestamp, bits) in &line.samples {
        points.push((*timestamp, Point::Sample(u64::from_str_radix(bits, 16).ok()?)));
    }
    for (timestamp, encoding) in &line.histograms {
        points.push((*timestamp, Point::Histogram(bytes(encoding)?)));
    }
    Some(SeriesPoints { labels: line.labels.into_iter().collect(), points })
}

/// Decodes hexadecimal digits to bytes.
fn bytes(digits: &str) -> Option<Box<[u8]>> {
    digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}
