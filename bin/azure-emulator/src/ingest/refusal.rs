//! Why a write is refused, in the error shape of Azure's services.

use hyper::StatusCode;

use crate::log;
use crate::reply::{self, Reply};
use crate::settings::Settings;

/// One refusal; every one is logged.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Refusal { status, code, message: message.into() }
    }

    /// A refusal of the token: 401, with a challenge in the response.
    pub(super) fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    /// The response; logs the refusal.
    pub(super) fn reply(&self, settings: &Settings) -> Reply {
        let Refusal { status, code, message } = self;
        log::line(format_args!("ingest: refused {}: {message}", status.as_u16()));
        let mut reply = reply::azure_error(*status, code, message);
        if *status == StatusCode::UNAUTHORIZED {
            reply::header(&mut reply, "www-authenticate", &self.challenge(settings));
        }
        reply
    }

    /// Azure's own challenge has not been recorded; this one follows RFC 6750 §3.
    fn challenge(&self, settings: &Settings) -> String {
        let authority = format!("{}{}", settings.authority(), settings.tenant);
        let description = format!("{}: {}", self.code, self.message).replace(['"', '\\'], "'");
        format!(
            "Bearer authorization_uri=\"{authority}\", error=\"invalid_token\", error_description=\"{description}\""
        )
    }
}
