//! The data collection rule's ingestion endpoint: authorization first, then the frame, then the archive.

mod authorization;
pub(crate) mod frame;
pub(crate) mod schema;

use std::time::SystemTime;

use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::archive::Written;
use crate::emulator::Emulator;
use crate::log;
use crate::reply::{self, Reply};
use crate::settings::{Settings, unix_millis};
use frame::{Frame, Schema};

/// Known values of `api-version`.
const API_VERSIONS: [&str; 2] = ["2023-04-24", "2021-11-01-preview"];

/// Answers one request.
pub(crate) fn answer(emulator: &Emulator, head: &Parts, body: Bytes) -> Reply {
    let settings = emulator.settings.lock().clone();
    let mut reply = take(emulator, &settings, head, body).unwrap_or_else(|refusal| refusal);
    reply::header(&mut reply, "date", &httpdate::fmt_http_date(settings.now()));
    reply
}

fn take(emulator: &Emulator, settings: &Settings, head: &Parts, body: Bytes) -> Result<Reply, Reply> {
    check_target(settings, head)?;
    authorization::check(emulator, settings, head)?;
    let schema = negotiate(head)?;
    let frame = frame::decode(schema, &body).map_err(|fault| {
        log::line(format_args!("ingest: refused 400: {fault}"));
        reply::azure_error(StatusCode::BAD_REQUEST, "BadRequest", &fault.to_string())
    })?;
    let written = store(emulator, settings, schema, &frame, &body)?;
    if let Some(pass_on) = &emulator.pass_on {
        pass_on.send(schema, body);
    }
    let mut reply = reply::empty(StatusCode::NO_CONTENT);
    if schema == Schema::V2 {
        reply::header(&mut reply, "x-prometheus-remote-write-samples-written", &written.samples.to_string());
        reply::header(&mut reply, "x-prometheus-remote-write-histograms-written", &written.histograms.to_string());
        reply::header(&mut reply, "x-prometheus-remote-write-exemplars-written", &written.exemplars.to_string());
    }
    Ok(reply)
}

fn store(
    emulator: &Emulator,
    settings: &Settings,
    schema: Schema,
    frame: &Frame,
    body: &[u8],
) -> Result<Written, Reply> {
    let window = settings.sample_window_s;
    let now = unix_millis(settings.now());
    emulator.archive.lock().accept(schema, frame, body, now, window).map_err(|error| {
        log::line(format_args!("ingest: failed 500: {error}"));
        reply::azure_error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "the samples could not be kept")
    })
}

fn check_target(settings: &Settings, head: &Parts) -> Result<(), Reply> {
    if head.uri.path() != settings.ingestion_path() {
        let message = format!("there is no data collection rule and stream at {}", head.uri.path());
        return Err(refuse(StatusCode::NOT_FOUND, "NotFound", &message));
    }
    if head.method != Method::POST {
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "samples are posted"));
    }
    let mut query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    match query.find(|(name, _)| name == "api-version") {
        Some((_, version)) if API_VERSIONS.contains(&&*version) => Ok(()),
        _ => Err(refuse(StatusCode::BAD_REQUEST, "UnsupportedApiVersion", "api-version is missing or not known")),
    }
}

/// Content-Encoding and Content-Type, compared byte for byte as Prometheus' own receiver does. Neither may be missing: whether
/// Azure would assume a default is not known.
fn negotiate(head: &Parts) -> Result<Schema, Reply> {
    let value = |name: HeaderName| head.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let unsupported = |message: String| refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", &message);
    let encoding = value(CONTENT_ENCODING).unwrap_or_default();
    if encoding != "snappy" {
        return Err(unsupported(format!("Content-Encoding '{encoding}' is not snappy")));
    }
    let content_type = value(CONTENT_TYPE).unwrap_or_default();
    Schema::from_content_type(&content_type)
        .ok_or_else(|| unsupported(format!("Content-Type '{content_type}' is not a remote-write message")))
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Reply {
    log::line(format_args!("ingest: refused {}: {message}", status.as_u16()));
    reply::azure_error(status, code, message)
}
