//! A virtual machine's instance metadata service, limited to tokens.

use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{IMDS_PATH, Issued, Query, Unmet, issue};
use crate::emulator::Emulator;
use crate::log;
use crate::reply::{self, Reply};
use crate::settings::Settings;

/// The oldest accepted `api-version`.
const FIRST_API_VERSION: &str = "2018-02-01";

/// Answers one request.
pub(crate) fn answer(emulator: &Emulator, head: &Parts) -> Reply {
    let settings = emulator.settings.lock().clone();
    let mut reply = match check(head).and_then(|query| grant(emulator, &settings, &query)) {
        Ok(document) => reply::json(StatusCode::OK, &document),
        Err(refusal) => refusal.reply("imds"),
    };
    usual_headers(&mut reply, &settings);
    reply
}

/// The headers of a recorded response.
fn usual_headers(reply: &mut Reply, settings: &Settings) {
    reply::header(reply, "server", "IMDS/150.870.65.523");
    reply::header(reply, "date", &httpdate::fmt_http_date(settings.now()));
}

fn check(head: &Parts) -> Result<Query, Refusal> {
    // A proxied request may come from another machine.
    if head.headers.contains_key("x-forwarded-for") {
        return Err(Refusal::bad_request("invalid_request", "Requests that came through a proxy are not answered"));
    }
    check_metadata_request(head)
}

/// The checks that IMDS and Arc share: path, method, `Metadata: true`, api-version, resource.
pub(super) fn check_metadata_request(head: &Parts) -> Result<Query, Refusal> {
    if head.uri.path() != IMDS_PATH {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", "There is no such path"));
    }
    if head.method != Method::GET {
        return Err(Refusal::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Tokens are asked for with GET",
        ));
    }
    let metadata = head.headers.get("metadata").and_then(|value| value.to_str().ok());
    if !metadata.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err(Refusal::bad_request("bad_request_102", "Required metadata header not specified"));
    }
    let query = Query::parse(&head.uri, "msi_res_id");
    for (name, value) in [("api-version", &query.api_version), ("resource", &query.resource)] {
        if value.is_empty() {
            return Err(Refusal::bad_request(
                "invalid_request",
                format!("Required query variable '{name}' is missing"),
            ));
        }
    }
    // Versions are dates, so they can be compared as strings.
    if query.api_version.as_str() < FIRST_API_VERSION {
        return Err(Refusal::bad_request(
            "invalid_request",
            format!("API version {} is not supported", query.api_version),
        ));
    }
    Ok(query)
}

fn grant(emulator: &Emulator, settings: &Settings, query: &Query) -> Result<Value, Refusal> {
    let issued = issue(emulator, settings, query).map_err(|unmet| Refusal::unmet(&unmet, settings, query))?;
    let mut document = metadata_grant(settings, query, &issued);
    document["client_id"] = json!(issued.principal.client_id);
    Ok(document)
}

/// The success document of IMDS and Arc: every value is a string.
pub(super) fn metadata_grant(settings: &Settings, query: &Query, issued: &Issued) -> Value {
    json!({
        "access_token": issued.token,
        "expires_in": issued.left.to_string(),
        "expires_on": issued.expiry.to_string(),
        "ext_expires_in": settings.token_life_s.to_string(),
        "not_before": issued.not_before.to_string(),
        "resource": query.resource,
        "token_type": "Bearer",
    })
}

/// Why IMDS or Arc issues no token.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    error: &'static str,
    text: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, error: &'static str, text: impl Into<String>) -> Self {
        Refusal { status, error, text: text.into() }
    }

    fn bad_request(error: &'static str, text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, text)
    }

    pub(super) fn unmet(unmet: &Unmet, settings: &Settings, query: &Query) -> Self {
        match unmet {
            Unmet::NotFound => Self::bad_request("invalid_request", "Identity not found"),
            Unmet::Several => {
                let text = "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in \
                            the token request";
                Self::bad_request("invalid_request", text)
            }
            Unmet::Resource => {
                let (resource, tenant) = (&query.resource, &settings.tenant);
                let text = format!(
                    "AADSTS500011: The resource principal named {resource} was not found in the tenant named {tenant}. This can \
                     happen if the application has not been installed by the administrator of the tenant or consented to by any \
                     user in the tenant. You might have sent your authentication request to the wrong tenant."
                );
                Self::bad_request("invalid_resource", text)
            }
            Unmet::Failed => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unknown", "Failed to retrieve token"),
        }
    }

    /// The response; `service` is for the log.
    pub(super) fn reply(&self, service: &str) -> Reply {
        log::line(format_args!("{service}: refused {}: {}: {}", self.status.as_u16(), self.error, self.text));
        reply::json(self.status, &json!({"error": self.error, "error_description": self.text}))
    }
}
