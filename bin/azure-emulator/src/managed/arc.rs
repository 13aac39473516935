//! The metadata service of a machine managed by Azure Arc. A client has to prove that it may read a file that the
//! service has just written.

mod challenge;

use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;
use serde_json::{Value, json};
use uuid::Uuid;

use super::imds::{Refusal, check_metadata_request, metadata_grant};
use super::{Query, issue};
use crate::emulator::Emulator;
use crate::log;
use crate::reply::{self, Reply};
use crate::settings::Settings;

pub(crate) use challenge::{ArcChallenge, Challenges};

/// Answers one request.
pub(crate) fn answer(emulator: &Emulator, head: &Parts) -> Reply {
    let settings = emulator.settings.lock().clone();
    let mut reply = match check_metadata_request(head) {
        Ok(query) => answer_query(emulator, &settings, head, &query),
        Err(refusal) => refusal.reply("arc"),
    };
    reply::header(&mut reply, "date", &httpdate::fmt_http_date(settings.now()));
    reply
}

/// The content of a challenge's file, sent unchanged after `Basic`, is accepted once.
fn answer_query(emulator: &Emulator, settings: &Settings, head: &Parts, query: &Query) -> Reply {
    let shown = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match shown.and_then(|value| value.strip_prefix("Basic ")) {
        None => challenge(emulator, settings, "Missing Basic Authorization header"),
        Some(content) if !emulator.challenges.take(content) => {
            challenge(emulator, settings, "Invalid Basic Authorization header")
        }
        Some(_) => match issue(emulator, settings, query) {
            Ok(issued) => reply::json(StatusCode::OK, &echoed(metadata_grant(settings, query, &issued), query)),
            Err(unmet) => Refusal::unmet(&unmet, settings, query).reply("arc"),
        },
    }
}

/// A client that named an identity expects its name in the response: agents too old to support this ignore the
/// parameter.
fn echoed(mut document: Value, query: &Query) -> Value {
    let named = [("client_id", &query.client_id), ("object_id", &query.object_id), ("msi_res_id", &query.resource_id)];
    for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
        document[name] = json!(value);
    }
    document
}

fn challenge(emulator: &Emulator, settings: &Settings, why: &str) -> Reply {
    let made = emulator.challenges.make(settings.arc_challenge);
    let value = match made {
        Ok(value) => value,
        Err(error) => {
            let text = format!("the challenge could not be written: {error}");
            return Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "unknown", text).reply("arc");
        }
    };
    log::line(format_args!("arc: refused 401: {why}; challenge {value}"));
    let timestamp = humantime::format_rfc3339_micros(settings.now()).to_string();
    let mut reply = reply::json(
        StatusCode::UNAUTHORIZED,
        &json!({
            "error": "unauthorized_client",
            "error_description": why,
            "error_codes": [401],
            "timestamp": timestamp,
            "trace_id": "",
            "correlation_id": Uuid::new_v4(),
        }),
    );
    reply::header(&mut reply, "www-authenticate", &value);
    reply
}
