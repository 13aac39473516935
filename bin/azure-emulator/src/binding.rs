//! An AKS cluster's token proxy for identity bindings: TLS with its own certificate authority and server name, in front
//! of the token endpoint for tokens that were issued for it.

mod tls;

use hyper::body::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};

use crate::emulator::Emulator;
use crate::entra::{self, Way};
use crate::log;
use crate::reply::{self, Reply};
use crate::settings::Settings;

pub(crate) use tls::{AUTHORITY, ProxyCertificate, SERVER_NAME};

/// Prefix of the token endpoint's own path.
pub(crate) const PATH: &str = "/token-proxy";

/// Answers one request.
pub(crate) fn answer(emulator: &Emulator, head: &Parts, body: &Bytes) -> Reply {
    let settings = emulator.settings.lock().clone();
    let path = head.uri.path().strip_prefix(PATH).and_then(|path| path.strip_prefix('/')).unwrap_or_default();
    let mut reply = match path.split_once('/') {
        Some((tenant, "oauth2/v2.0/token")) if head.method == Method::POST => {
            token(emulator, &settings, tenant, head, body)
        }
        Some((_, "oauth2/v2.0/token")) => reply::empty(StatusCode::METHOD_NOT_ALLOWED),
        _ => reply::empty(StatusCode::NOT_FOUND),
    };
    entra::usual_headers(&mut reply, &settings);
    reply
}

/// The wording of a missing permission in the real proxy is not documented.
fn token(emulator: &Emulator, settings: &Settings, tenant: &str, head: &Parts, body: &Bytes) -> Reply {
    if settings.identity_bound {
        return entra::token(emulator, settings, Way::ClusterProxy, tenant, head, body);
    }
    let message = format!("{} may not use-managed-identity {}", settings.subject, settings.client_id);
    log::line(format_args!("identity-binding: refused 403: {message}"));
    reply::azure_error(StatusCode::FORBIDDEN, "Forbidden", &message)
}
