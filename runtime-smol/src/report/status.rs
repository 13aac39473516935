//! `/status`: the same for people and for `jq`. It may allocate, and only the pod itself may ask for it.

use std::io;

use remora_core::forward::Readiness;
use remora_core::metrics::{Family, Histogram, Sink, Value};
use remora_core::time::Instant;
use serde_json::{Map, Value as Json, json};

use super::{About, assertion_expiry, report};
use crate::body::Body;
use crate::hub::Hub;
use crate::traffic::Refused;

/// Writes the document behind what is in `body`.
pub(super) fn write(hub: &Hub, body: &mut Body) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *body, &document(hub))?;
    io::Write::write_all(body, b"\n")
}

fn document(hub: &Hub) -> Json {
    let About { version, target, tls, identity, settings } = &hub.about;
    let mut counters = Counters(Map::new());
    report(hub, &mut counters);
    json!({
        "version": version,
        "target": target,
        "tls": tls,
        "readiness": readiness(hub),
        "healthy": hub.is_sound(),
        "identity": pairs(identity),
        "configuration": pairs(settings),
        "token": token(hub),
        "last_success": hub.gateway.last_success().map(|at| time(hub, at)),
        "last_failure": hub.traffic.last_refused().map(|refused| failure(hub, &refused)),
        "counters": counters.0,
    })
}

fn pairs(pairs: &[(&'static str, String)]) -> Json {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Json::from(value.as_str()))).collect::<Map<_, _>>().into()
}

const fn word(readiness: Readiness) -> &'static str {
    match readiness {
        Readiness::Waiting => "waiting",
        Readiness::Ready => "ready",
        Readiness::Degraded => "degraded",
        Readiness::Draining => "draining",
    }
}

fn readiness(hub: &Hub) -> &'static str {
    word(hub.gateway.readiness(hub.now()))
}

/// The token that serves, the assertion behind it, and why there is no other token where the last exchange failed.
fn token(hub: &Hub) -> Json {
    let failure = hub.tokens.failure().map(|failure| {
        json!({
            "message": failure.message,
            "hint": failure.hint.as_ref().map(ToString::to_string),
            "code": failure.code.map(|code| format!("AADSTS{code}")),
            "status": failure.status,
            "trace_id": failure.trace_id,
            "correlation_id": failure.correlation_id,
        })
    });
    json!({
        "usable": hub.tokens.usable().is_some(),
        "expires": hub.tokens.expires().map(|at| time(hub, at)),
        "federated_token_expires": assertion_expiry(hub).map(|seconds| text(seconds.saturating_mul(1000))),
        "failure": failure,
    })
}

/// The last request that was not accepted. Its answer says what repairs it.
fn failure(hub: &Hub, refused: &Refused) -> Json {
    json!({
        "time": time(hub, refused.at),
        "status": refused.status,
        "azure_status": refused.upstream_status,
        "answer": refused.text,
    })
}

fn time(hub: &Hub, at: Instant) -> String {
    text(hub.clock.unix_ms_at(at))
}

/// A time in milliseconds since 1970 as RFC 3339 has it.
fn text(unix_ms: u64) -> String {
    let time = std::time::UNIX_EPOCH.checked_add(std::time::Duration::from_millis(unix_ms));
    time.map_or_else(String::new, |time| humantime::format_rfc3339_seconds(time).to_string())
}

/// Families by their names: a number, numbers by the value of the label, or count and sum.
struct Counters(Map<String, Json>);

impl Sink for Counters {
    fn values(&mut self, family: &Family, values: &mut dyn Iterator<Item = Value>) {
        let of_family = if family.label.is_empty() {
            values.next().map(number).into()
        } else {
            let named = family.values.iter().zip(values);
            named.map(|(of, value)| ((*of).to_owned(), number(value))).collect::<Map<_, _>>().into()
        };
        self.0.insert(family.name.to_owned(), of_family);
    }

    fn histogram(&mut self, family: &Family, histogram: &Histogram) {
        let sum = number(Value::Milli(histogram.sum_ms()));
        self.0.insert(family.name.to_owned(), json!({"count": histogram.count(), "sum": sum}));
    }

    fn info(&mut self, _: &Family, _: &[(&str, &str)]) {}
}

fn number(value: Value) -> Json {
    match value {
        Value::Whole(value) => value.into(),
        // Seconds since 1970 and byte counts are far below what a float holds exactly.
        Value::Milli(_) => value.to_string().parse::<f64>().map_or(Json::Null, Json::from),
    }
}
