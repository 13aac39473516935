//! The cluster's OIDC issuer: discovery document and key set, as published by an AKS cluster.

use hyper::{Method, StatusCode, Uri};
use serde_json::json;

use crate::emulator::Emulator;
use crate::reply::{self, Reply};

/// Answers one request.
pub(crate) fn answer(emulator: &Emulator, method: &Method, uri: &Uri) -> Reply {
    if method != Method::GET {
        return reply::empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    match uri.path() {
        "/.well-known/openid-configuration" => discovery(emulator),
        "/openid/v1/jwks" => reply::json(StatusCode::OK, &json!({"keys": [emulator.issuer_key.public_jwk()]})),
        _ => reply::empty(StatusCode::NOT_FOUND),
    }
}

fn discovery(emulator: &Emulator) -> Reply {
    let issuer = emulator.settings.lock().issuer();
    reply::json(
        StatusCode::OK,
        &json!({
            "jwks_uri": format!("{issuer}openid/v1/jwks"),
            "issuer": issuer,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }),
    )
}
