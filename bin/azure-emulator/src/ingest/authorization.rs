//! Who may write to the rule: a valid token for Azure Monitor (401 otherwise), held by a client with the role (403 otherwise).

use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use super::refuse;
use crate::emulator::Emulator;
use crate::entra::access_token::{self, TokenFault};
use crate::reply::{self, Reply};
use crate::settings::Settings;

pub(super) fn check(emulator: &Emulator, settings: &Settings, head: &Parts) -> Result<(), Reply> {
    let token = bearer(head).ok_or_else(|| unauthorized(settings, "MissingToken", "there is no Bearer token"))?;
    access_token::verify(settings, &emulator.entra_key, token).map_err(|fault| token_refused(settings, &fault))?;
    if settings.role_granted { Ok(()) } else { Err(role_missing(settings)) }
}

/// RFC 6750 §2.1; the scheme's name is case-insensitive (RFC 9110 §11.1).
fn bearer(head: &Parts) -> Option<&str> {
    let mut values = head.headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let single = values.next().is_none();
    (single && scheme.eq_ignore_ascii_case("Bearer")).then_some(token)
}

fn token_refused(settings: &Settings, fault: &TokenFault) -> Reply {
    match fault {
        TokenFault::Malformed => unauthorized(settings, "InvalidToken", "the token is malformed"),
        TokenFault::Signature => unauthorized(settings, "InvalidToken", "the token's signature is invalid"),
        TokenFault::Expired => unauthorized(settings, "ExpiredToken", "the token has expired"),
        TokenFault::NotYetValid => unauthorized(settings, "InvalidToken", "the token is not valid yet"),
        TokenFault::Audience(audience) => {
            unauthorized(settings, "InvalidAudience", &format!("the token is for the audience '{audience}'"))
        }
    }
}

/// Azure's own challenge is not on record; this one follows RFC 6750 §3.
fn unauthorized(settings: &Settings, code: &str, message: &str) -> Reply {
    let mut reply = refuse(StatusCode::UNAUTHORIZED, code, message);
    let authority = format!("{}{}", settings.authority(), settings.tenant);
    let challenge = format!(
        "Bearer authorization_uri=\"{authority}\", error=\"invalid_token\", error_description=\"{code}: {}\"",
        message.replace(['"', '\\'], "'")
    );
    reply::header(&mut reply, "www-authenticate", &challenge);
    reply
}

/// The text that the service gives, with the ids that tell a user which identity was really used.
fn role_missing(settings: &Settings) -> Reply {
    let Settings { rule, tenant, object_id, .. } = settings;
    let resource = format!(
        "/subscriptions/7e57c0de-0000-4000-8000-000000000007/resourcegroups/emulated/providers/microsoft.insights/\
         datacollectionrules/{rule}"
    );
    let message = format!(
        "The authentication token provided does not have access to ingest data for the data collection rule with \
         immutable Id '{rule}' PipelineAccessResult: AccessGranted: False, IsRbacPresent: False, IsDcrDceBindingValid: , \
         DcrArmId: {resource}, Message: Required authorization action was not found for tenantId {tenant} objectId \
         {object_id} on resourceId {resource} ConfigurationId: {rule}."
    );
    refuse(StatusCode::FORBIDDEN, "OperationFailed", &message)
}
