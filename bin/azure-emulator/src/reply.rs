//! An endpoint's response: status, headers and a complete body.

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// A response of known length.
pub(crate) type Reply = Response<Full<Bytes>>;

/// A status without a body.
pub(crate) fn empty(status: StatusCode) -> Reply {
    with_body(status, None, Bytes::new())
}

/// A JSON document.
pub(crate) fn json(status: StatusCode, document: &Value) -> Reply {
    with_body(status, Some("application/json; charset=utf-8"), document.to_string().into())
}

/// A text; `content_type` as sent on the wire.
pub(crate) fn text(content_type: &'static str, text: String) -> Reply {
    with_body(StatusCode::OK, Some(content_type), text.into())
}

/// An error in the shape of Azure's resource APIs: `{"error":{"code","message"}}`.
pub(crate) fn azure_error(status: StatusCode, code: &str, message: &str) -> Reply {
    json(status, &json!({"error": {"code": code, "message": message}}))
}

/// Sets a header; a value that is not valid in a header is left out.
pub(crate) fn header(reply: &mut Reply, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        reply.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

/// Any status, with a body of any type.
pub(crate) fn with_body(status: StatusCode, content_type: Option<&'static str>, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    if let Some(content_type) = content_type {
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    reply
}
