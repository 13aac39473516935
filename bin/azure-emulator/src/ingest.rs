//! The data collection rule's ingestion endpoint: authorization first, then the frame, then the archive.

mod authorization;
pub(crate) mod frame;
mod refusal;
pub(crate) mod schema;

use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::archive::Written;
use crate::emulator::Emulator;
use crate::reply::{self, Reply};
use crate::settings::{Settings, unix_millis};
use frame::{FrameFault, Schema};
use refusal::Refusal;

/// The accepted values of `api-version`.
const API_VERSIONS: [&str; 2] = ["2023-04-24", "2021-11-01-preview"];

/// Answers one request.
pub(crate) fn answer(emulator: &Emulator, head: &Parts, body: Bytes) -> Reply {
    let settings = emulator.settings.lock().clone();
    let mut reply = match take(emulator, &settings, head, body) {
        Ok(reply) => reply,
        Err(refusal) => refusal.reply(&settings),
    };
    reply::header(&mut reply, "date", &httpdate::fmt_http_date(settings.now()));
    reply
}

fn take(emulator: &Emulator, settings: &Settings, head: &Parts, body: Bytes) -> Result<Reply, Refusal> {
    check_target(settings, head)?;
    authorization::check(emulator, settings, head)?;
    let schema = negotiate(head)?;
    let malformed = |fault: FrameFault| Refusal::new(StatusCode::BAD_REQUEST, "BadRequest", fault.to_string());
    let frame = frame::decode(schema, &body).map_err(malformed)?;
    let now = unix_millis(settings.now());
    let accepted = emulator.archive.lock().accept(schema, frame, &body, now, settings.sample_window_s);
    let written = accepted.map_err(|error| {
        let message = format!("the samples could not be kept: {error}");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
    })?;
    if let Some(pass_on) = &emulator.pass_on {
        pass_on.send(schema, body);
    }
    Ok(acknowledgement(schema, written))
}

/// Version 2.0 requires the counts of what was written ("Required Written Response Headers"); version 1.0 has no such
/// headers.
fn acknowledgement(schema: Schema, written: Written) -> Reply {
    let mut reply = reply::empty(StatusCode::NO_CONTENT);
    if schema == Schema::V2 {
        reply::header(&mut reply, "x-prometheus-remote-write-samples-written", &written.samples.to_string());
        reply::header(&mut reply, "x-prometheus-remote-write-histograms-written", &written.histograms.to_string());
        reply::header(&mut reply, "x-prometheus-remote-write-exemplars-written", &written.exemplars.to_string());
    }
    reply
}

fn check_target(settings: &Settings, head: &Parts) -> Result<(), Refusal> {
    if head.uri.path() != settings.ingestion_path() {
        let message = format!("there is no data collection rule and stream at {}", head.uri.path());
        return Err(Refusal::new(StatusCode::NOT_FOUND, "NotFound", message));
    }
    if head.method != Method::POST {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "samples are posted"));
    }
    let mut query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    match query.find(|(name, _)| name == "api-version") {
        Some((_, version)) if API_VERSIONS.contains(&&*version) => Ok(()),
        _ => {
            let message = "api-version is missing or not known";
            Err(Refusal::new(StatusCode::BAD_REQUEST, "UnsupportedApiVersion", message))
        }
    }
}

/// Content-Encoding and Content-Type, compared byte for byte as in Prometheus' own receiver. Both are required: whether
/// Azure would assume a default is unknown.
fn negotiate(head: &Parts) -> Result<Schema, Refusal> {
    let value = |name: HeaderName| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let unsupported = |message| Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message);
    let encoding = value(CONTENT_ENCODING).unwrap_or_default();
    if encoding != "snappy" {
        return Err(unsupported(format!("Content-Encoding '{encoding}' is not snappy")));
    }
    let content_type = value(CONTENT_TYPE).unwrap_or_default();
    Schema::from_content_type(&content_type)
        .ok_or_else(|| unsupported(format!("Content-Type '{content_type}' is not a remote-write message")))
}
