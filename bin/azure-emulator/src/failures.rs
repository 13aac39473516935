//! Each endpoint's responses when it fails, in its own shape: the responses of the actions `fail` and `aadsts`. Where
//! no body is documented, the shape of the endpoint's other errors is used.

use hyper::StatusCode;
use hyper::body::Bytes;
use serde_json::json;
use uuid::Uuid;

use crate::entra;
use crate::entra::numbered;
use crate::entra::refusal::Refusal;
use crate::faults::EndpointName;
use crate::managed;
use crate::reply::{self, Reply};
use crate::settings::Settings;

/// The response of a gateway in front of an endpoint.
const GATEWAY_HTML: &str = "<html><head><title>Service unavailable</title></head><body><h2>Our services aren't available \
     right now</h2><p>We're working to restore all services as soon as possible.</p></body></html>";

/// The statuses of `fail`. Every endpoint knows them, except 404 and 410, which only the metadata services know.
const STATUSES: [u16; 7] = [404, 410, 429, 500, 502, 503, 504];

/// Whether the endpoint has a response with this status.
pub(crate) fn is_known(endpoint: EndpointName, status: u16) -> bool {
    let metadata = matches!(endpoint, EndpointName::Imds | EndpointName::Arc);
    STATUSES.contains(&status) && (metadata || !matches!(status, 404 | 410))
}

/// Whether the endpoint has a refusal with this AADSTS number.
pub(crate) fn has_number(endpoint: EndpointName, code: u32) -> bool {
    matches!(endpoint, EndpointName::Token | EndpointName::IdentityBinding) && numbered::refusal(code).is_some()
}

/// The response with this status.
pub(crate) fn reply(endpoint: EndpointName, settings: &Settings, status: u16) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) {
        return reply::with_body(status, Some("text/html"), Bytes::from_static(GATEWAY_HTML.as_bytes()));
    }
    match endpoint {
        EndpointName::Token | EndpointName::IdentityBinding => entra(settings, status),
        EndpointName::Imds | EndpointName::Arc => metadata(status),
        EndpointName::AppService => managed::app_service_error(status, reason(status)),
        EndpointName::Ingest | EndpointName::Issuer => reply::azure_error(status, "ServiceError", reason(status)),
    }
}

fn entra(settings: &Settings, status: StatusCode) -> Reply {
    let refusal = match status {
        StatusCode::TOO_MANY_REQUESTS => Refusal::throttled(),
        StatusCode::INTERNAL_SERVER_ERROR => Refusal::server_error(),
        _ => Refusal::broken(),
    };
    refused(settings, &refusal)
}

/// The refusal with this number, for which [`has_number`] must hold.
pub(crate) fn numbered(settings: &Settings, code: u32) -> Reply {
    refused(settings, &numbered::refusal(code).unwrap_or_else(Refusal::broken))
}

/// Entra's throttling of client credentials comes with `Retry-After: 60`.
fn refused(settings: &Settings, refusal: &Refusal) -> Reply {
    let body = refusal.body(&settings.authority(), settings.now(), Uuid::new_v4(), Uuid::new_v4());
    let mut reply = reply::json(refusal.status, &body);
    if refusal.status == StatusCode::TOO_MANY_REQUESTS {
        reply::header(&mut reply, "retry-after", "60");
    }
    entra::usual_headers(&mut reply, settings);
    reply
}

fn metadata(status: StatusCode) -> Reply {
    let error = match status {
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::GONE => "gone",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        _ => "unknown",
    };
    reply::json(status, &json!({"error": error, "error_description": reason(status)}))
}

fn reason(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "IMDS endpoint is updating",
        StatusCode::GONE => "IMDS is going through updates",
        StatusCode::TOO_MANY_REQUESTS => "Too many requests",
        StatusCode::SERVICE_UNAVAILABLE => "The service is unavailable",
        _ => "Failed to retrieve token from the Active directory",
    }
}
