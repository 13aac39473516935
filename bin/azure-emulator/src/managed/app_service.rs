//! The token endpoint of App Service, Functions and Container Apps, `api-version` 2019-08-01.

use hyper::header::HeaderValue;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{APP_SERVICE_PATH, Query, Unmet, issue};
use crate::emulator::Emulator;
use crate::log;
use crate::reply::{self, Reply};
use crate::settings::Settings;

/// Why no token is issued: status and message.
type Refusal = (StatusCode, String);

/// Answers one request.
pub(crate) fn answer(emulator: &Emulator, head: &Parts) -> Reply {
    let settings = emulator.settings.lock().clone();
    let mut reply = match check(&settings, head).and_then(|query| grant(emulator, &settings, &query)) {
        Ok(document) => reply::json(StatusCode::OK, &document),
        Err((status, message)) => {
            log::line(format_args!("app-service: refused {}: {message}", status.as_u16()));
            refused(status, &message)
        }
    };
    reply::header(&mut reply, "date", &httpdate::fmt_http_date(settings.now()));
    reply
}

/// An error in the endpoint's shape.
pub(crate) fn refused(status: StatusCode, message: &str) -> Reply {
    let correlation = Uuid::new_v4();
    reply::json(status, &json!({"statusCode": status.as_u16(), "message": message, "correlationId": correlation}))
}

fn check(settings: &Settings, head: &Parts) -> Result<Query, Refusal> {
    if head.uri.path().trim_end_matches('/') != APP_SERVICE_PATH {
        return Err((StatusCode::NOT_FOUND, "There is no such path".to_owned()));
    }
    if head.method != Method::GET {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "Tokens are asked for with GET".to_owned()));
    }
    let header = head.headers.get("x-identity-header").map(HeaderValue::as_bytes);
    if header != Some(settings.identity_header.as_bytes()) {
        return Err((StatusCode::UNAUTHORIZED, "X-IDENTITY-HEADER is missing or wrong".to_owned()));
    }
    let query = Query::parse(&head.uri, "mi_res_id");
    if query.api_version != "2019-08-01" {
        return Err((StatusCode::BAD_REQUEST, format!("The api-version '{}' is not supported", query.api_version)));
    }
    if query.resource.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "Required query variable 'resource' is missing".to_owned()));
    }
    Ok(query)
}

/// The document has no `expires_in`.
fn grant(emulator: &Emulator, settings: &Settings, query: &Query) -> Result<Value, Refusal> {
    let issued = issue(emulator, settings, query).map_err(|unmet| unmet_message(&unmet))?;
    Ok(json!({
        "access_token": issued.token,
        "client_id": issued.principal.client_id,
        "expires_on": issued.expiry.to_string(),
        "resource": query.resource,
        "token_type": "Bearer",
    }))
}

fn unmet_message(unmet: &Unmet) -> Refusal {
    match unmet {
        Unmet::NotFound | Unmet::Several => {
            let text =
                "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.";
            (StatusCode::BAD_REQUEST, text.to_owned())
        }
        // The real service says no more than this about an unknown resource.
        Unmet::Resource | Unmet::Failed => {
            let text = "An unexpected error occured while fetching the AAD Token.";
            (StatusCode::INTERNAL_SERVER_ERROR, text.to_owned())
        }
    }
}
