//! Microsoft Entra's token endpoint, for the single tenant and client of the settings.

pub(crate) mod access_token;
mod certificate;
mod exchange;
mod federation;
mod form;
pub(crate) mod numbered;
pub(crate) mod refusal;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::emulator::Emulator;
use crate::log;
use crate::reply::{self, Reply};
use crate::settings::Settings;
use form::Form;
use refusal::Refusal;

/// How a token request arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Directly from the client.
    Direct,
    /// Through an AKS cluster's proxy for identity bindings.
    ClusterProxy,
}

/// Answers one request.
pub(crate) fn answer(emulator: &Emulator, head: &Parts, body: &Bytes) -> Reply {
    let settings = emulator.settings.lock().clone();
    let path = head.uri.path();
    let mut reply = match path.strip_prefix('/').and_then(|path| path.split_once('/')) {
        Some((tenant, "oauth2/v2.0/token")) if head.method == Method::POST => {
            token(emulator, &settings, Way::Direct, tenant, head, body)
        }
        Some((_, "oauth2/v2.0/token")) => reply::empty(StatusCode::METHOD_NOT_ALLOWED),
        Some((tenant, "v2.0/.well-known/openid-configuration")) => {
            reply::json(StatusCode::OK, &configuration(&settings, tenant))
        }
        Some(("common", "discovery/instance")) => reply::json(StatusCode::OK, &instance(&settings)),
        Some((tenant, "discovery/v2.0/keys")) if tenant == settings.tenant => {
            reply::json(StatusCode::OK, &json!({"keys": [emulator.entra_key.public_jwk()]}))
        }
        _ => reply::empty(StatusCode::NOT_FOUND),
    };
    usual_headers(&mut reply, &settings);
    reply
}

/// Answers one token request; the caller adds Entra's usual headers.
pub(crate) fn token(
    emulator: &Emulator,
    settings: &Settings,
    way: Way,
    tenant: &str,
    head: &Parts,
    body: &Bytes,
) -> Reply {
    let form = Form::decode(&head.headers, body);
    match exchange::exchange(emulator, settings, way, tenant, &form) {
        Ok(grant) => reply::json(StatusCode::OK, &grant),
        Err(refusal) => refused(settings, head, &refusal),
    }
}

fn refused(settings: &Settings, head: &Parts, refusal: &Refusal) -> Reply {
    log::line(format_args!("token: refused {}: AADSTS{}: {}", refusal.status.as_u16(), refusal.code, refusal.text));
    let sent = head.headers.get("client-request-id").and_then(|id| id.to_str().ok());
    let correlation = sent.and_then(|id| Uuid::parse_str(id).ok()).unwrap_or_else(Uuid::new_v4);
    reply::json(refusal.status, &refusal.body(&settings.authority(), settings.now(), Uuid::new_v4(), correlation))
}

/// The headers of a recorded response of login.microsoftonline.com, with the time of Entra's own clock.
pub(crate) fn usual_headers(reply: &mut Reply, settings: &Settings) {
    reply::header(reply, "cache-control", "no-store, no-cache");
    reply::header(reply, "pragma", "no-cache");
    reply::header(reply, "expires", "-1");
    reply::header(reply, "strict-transport-security", "max-age=31536000; includeSubDomains");
    reply::header(reply, "x-content-type-options", "nosniff");
    reply::header(reply, "p3p", "CP=\"DSP CUR OTPi IND OTRi ONL FIN\"");
    reply::header(reply, "x-ms-request-id", &Uuid::new_v4().to_string());
    reply::header(reply, "x-ms-ests-server", "2.1.0 - azure-emulator");
    reply::header(reply, "set-cookie", "fpc=emulated; path=/; secure; HttpOnly; SameSite=None");
    reply::header(reply, "date", &httpdate::fmt_http_date(settings.now()));
}

fn configuration(settings: &Settings, tenant: &str) -> Value {
    let base = format!("{}{tenant}", settings.authority());
    json!({
        "issuer": format!("{base}/v2.0"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    })
}

fn instance(settings: &Settings) -> Value {
    let authority = settings.authority();
    let host = authority.trim_start_matches("https://").trim_end_matches('/');
    json!({
        "tenant_discovery_endpoint": format!("{authority}{}/v2.0/.well-known/openid-configuration", settings.tenant),
        "api-version": "1.1",
        "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
    })
}
