//! Requests and responses since the start: counters, and the latest requests in full.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::SystemTime;

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap};
use serde::Serialize;
use serde_json::{Value, json};

use crate::faults::EndpointName;
use crate::settings::unix_millis;

/// Number of requests that are kept.
const REMEMBERED: usize = 200;

/// One request as `GET /requests` shows it.
#[derive(Debug, Serialize)]
pub(crate) struct RequestLine {
    /// Milliseconds since 1970.
    time: i64,
    endpoint: EndpointName,
    method: String,
    path: String,
    /// The status of the response, or of the one that a fault prevented; `None` if there was none.
    status: Option<u16>,
    /// The fault that was injected into this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<&'static str>,
    /// For ingestion only; without `Authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Vec<(String, String)>>,
}

impl RequestLine {
    /// Records a request on arrival.
    pub(crate) fn new(endpoint: EndpointName, head: &hyper::http::request::Parts, fault: Option<&'static str>) -> Self {
        RequestLine {
            time: unix_millis(SystemTime::now()),
            endpoint,
            method: head.method.to_string(),
            path: head.uri.to_string(),
            status: None,
            fault,
            headers: (endpoint == EndpointName::Ingest).then(|| without_token(&head.headers)),
        }
    }

    /// Adds the status of the response.
    pub(crate) fn answered(mut self, status: StatusCode) -> Self {
        self.status = Some(status.as_u16());
        self
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (endpoint, path) = (self.endpoint.as_str(), &self.path);
        write!(f, "{endpoint}: {} {path}: ", self.method)?;
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("no answer")?,
        }
        self.fault.map_or(Ok(()), |fault| write!(f, " (fault {fault})"))
    }
}

/// Counters and latest requests of all endpoints; empty when the process starts.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    requests: BTreeMap<EndpointName, BTreeMap<String, u64>>,
    last: VecDeque<RequestLine>,
    tokens_issued: u64,
    /// Seconds since 1970.
    newest_token_expiry: Option<u64>,
}

impl Traffic {
    /// Counts a request once its response, or the lack of one, is known.
    pub(crate) fn record(&mut self, line: RequestLine) {
        let status = line.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        *self.requests.entry(line.endpoint).or_default().entry(status).or_default() += 1;
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }

    /// Counts an access token; `expiry` in seconds since 1970.
    pub(crate) fn token_issued(&mut self, expiry: u64) {
        self.tokens_issued += 1;
        self.newest_token_expiry = self.newest_token_expiry.max(Some(expiry));
    }

    /// The latest requests, oldest first.
    pub(crate) fn last_requests(&self) -> Value {
        json!(self.last)
    }

    /// Requests by endpoint and status.
    pub(crate) fn requests(&self) -> &BTreeMap<EndpointName, BTreeMap<String, u64>> {
        &self.requests
    }

    /// Access tokens issued.
    pub(crate) fn tokens_issued(&self) -> u64 {
        self.tokens_issued
    }

    /// Expiry of the token that expires last, in seconds since 1970.
    pub(crate) fn newest_token_expiry(&self) -> Option<u64> {
        self.newest_token_expiry
    }
}

fn without_token(headers: &HeaderMap) -> Vec<(String, String)> {
    let shown = headers.iter().filter(|(name, _)| *name != AUTHORIZATION);
    shown.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str) -> RequestLine {
        let request = hyper::Request::post(path).header("Authorization", "Bearer secret").header("X-Other", "1");
        let (head, ()) = request.body(()).unwrap().into_parts();
        RequestLine::new(EndpointName::Ingest, &head, None)
    }

    #[test]
    fn tokens_are_not_remembered() {
        let mut traffic = Traffic::default();
        traffic.record(request("/write").answered(StatusCode::NO_CONTENT));
        let shown = traffic.last_requests().to_string();
        assert!(shown.contains("x-other") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn counts_all_and_remembers_the_last() {
        let mut traffic = Traffic::default();
        for number in 0..=REMEMBERED {
            traffic.record(request(&format!("/{number}")));
        }
        assert_eq!(traffic.requests()[&EndpointName::Ingest]["none"], 201);
        assert_eq!(traffic.last_requests()[0]["path"], "/1");
    }
}
