//! `/status`: the same numbers for people and for `jq`. It may allocate, since only the pod itself may request it.

use std::io::{self, Write as _};
use std::time::{Duration, UNIX_EPOCH};

use remora_core::forward::Readiness;
use remora_core::metrics::{Family, Histogram, Sink, Value};
use remora_core::time::Instant;
use serde::{Serialize, Serializer};

use super::{Snapshot, assertion_expiry, report};
use crate::body::Body;
use crate::hub::Hub;
use crate::identity::{Failure, Ticket};
use crate::traffic;

/// All times are in RFC 3339 format.
#[derive(Serialize)]
struct Document<'a> {
    version: &'a str,
    target: &'a str,
    tls: &'a str,
    /// What `/ready` says.
    readiness: &'static str,
    /// Whether there is a usable token and no shutdown.
    healthy: bool,
    identity: Pairs<'a, String>,
    configuration: Pairs<'a, String>,
    token: Token,
    last_success: Option<String>,
    last_failure: Option<FailedWrite>,
    counters: Counters,
}

/// The current token, the assertion behind it, and why the last exchange failed, if it did.
#[derive(Serialize)]
struct Token {
    usable: bool,
    expires: Option<String>,
    federated_token_expires: Option<String>,
    failure: Option<Failed>,
}

#[derive(Serialize)]
struct Failed {
    message: String,
    hint: Option<String>,
    code: Option<String>,
    status: Option<u16>,
    trace_id: Option<String>,
    correlation_id: Option<String>,
    timestamp: Option<String>,
    error_uri: Option<String>,
}

/// The last write that was not accepted. Its answer says how to fix it.
#[derive(Serialize)]
struct FailedWrite {
    time: String,
    status: u16,
    azure_status: Option<u16>,
    answer: String,
}

/// Appends the document to `body`.
pub(super) fn write(hub: &Hub, snapshot: &Snapshot, body: &mut Body) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *body, &document(hub, snapshot))?;
    body.write_all(b"\n")
}

fn document<'h>(hub: &'h Hub, snapshot: &Snapshot) -> Document<'h> {
    let mut counters = Counters(Vec::new());
    report(hub, snapshot, &mut counters);
    Document {
        version: hub.about.version,
        target: &hub.about.target,
        tls: hub.about.tls,
        readiness: word(hub.gateway.readiness(hub.now())),
        healthy: hub.can_forward(),
        identity: Pairs(&hub.about.identity),
        configuration: Pairs(&hub.about.settings),
        token: token(hub),
        last_success: snapshot.last_success.map(|at| time(hub, at)),
        last_failure: snapshot.last_failed.clone().map(|failed| last_failure(hub, failed)),
        counters,
    }
}

const fn word(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Waiting => "waiting",
        Readiness::Ready => "ready",
        Readiness::Degraded => "degraded",
        Readiness::Draining => "draining",
    }
}

fn token(hub: &Hub) -> Token {
    Token {
        usable: hub.tokens.usable().is_some(),
        expires: hub.tokens.expires().map(|at| time(hub, at)),
        federated_token_expires: assertion_expiry(hub).map(|seconds| rfc3339(seconds.saturating_mul(1000))),
        failure: hub.tokens.failure().map(failed),
    }
}

fn failed(failure: Failure) -> Failed {
    let Failure { message, hint, status, code, ticket, sent, .. } = failure;
    let Ticket { trace_id, correlation_id, timestamp, error_uri } = *ticket;
    let (hint, code) = (hint.map(|hint| hint.repair(&sent)), code.map(|code| format!("AADSTS{code}")));
    let [trace_id, correlation_id, timestamp, error_uri] =
        [trace_id, correlation_id, timestamp, error_uri].map(|part| part.map(String::from));
    Failed { message, hint, code, status, trace_id, correlation_id, timestamp, error_uri }
}

fn last_failure(hub: &Hub, failed: traffic::FailedWrite) -> FailedWrite {
    let time = time(hub, failed.at);
    FailedWrite { time, status: failed.status, azure_status: failed.upstream_status, answer: failed.text }
}

fn time(hub: &Hub, at: Instant) -> String {
    rfc3339(hub.clock.unix_ms_at(at))
}

/// A time in milliseconds since 1970; empty beyond the year 9999, which `humantime` cannot write.
fn rfc3339(unix_ms: u64) -> String {
    const LAST: u64 = 253_402_300_799_999;
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms)).filter(|_| unix_ms <= LAST);
    time.map_or_else(String::new, |time| humantime::format_rfc3339_seconds(time).to_string())
}

/// Names and values, as an object.
struct Pairs<'a, T>(&'a [(&'static str, T)]);

impl<T: Serialize> Serialize for Pairs<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Families by their names, as an object.
struct Counters(Vec<(&'static str, Numbers)>);

/// A number, numbers by the value of the label, or count and sum.
enum Numbers {
    One(u64),
    Named(Vec<(&'static str, u64)>),
}

impl Sink for Counters {
    fn values(&mut self, family: &Family, values: &mut dyn Iterator<Item = Value>) {
        let mut values = values.map(number);
        let numbers = if family.label.is_empty() {
            Numbers::One(values.next().unwrap_or_default())
        } else {
            Numbers::Named(family.values.iter().copied().zip(values).collect())
        };
        self.0.push((family.name, numbers));
    }

    fn histogram(&mut self, family: &Family, histogram: &Histogram) {
        let sum = number(Value::Milli(histogram.sum_ms()));
        self.0.push((family.name, Numbers::Named(vec![("count", histogram.count()), ("sum", sum)])));
    }

    fn info(&mut self, _: &Family, _: &[(&str, &str)]) {}
}

/// Whole numbers only: printing fractions would enlarge the binary more than they are worth here.
const fn number(value: Value) -> u64 {
    match value {
        Value::Whole(value) => value,
        Value::Milli(thousandths) => thousandths / 1000,
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Pairs(&self.0).serialize(serializer)
    }
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(number) => serializer.serialize_u64(*number),
            Self::Named(numbers) => Pairs(numbers).serialize(serializer),
        }
    }
}
