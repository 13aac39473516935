//! Permission to write to the rule: a valid token for Azure Monitor (otherwise 401), held by a client with the role
//! (otherwise 403).

use hyper::StatusCode;
use hyper::header::AUTHORIZATION;
use hyper::http::request::Parts;

use super::refusal::Refusal;
use crate::emulator::Emulator;
use crate::entra::access_token::{self, TokenFault};
use crate::settings::Settings;

pub(super) fn check(emulator: &Emulator, settings: &Settings, head: &Parts) -> Result<(), Refusal> {
    let token = bearer(head).ok_or_else(|| Refusal::unauthorized("MissingToken", "there is no Bearer token"))?;
    let token = access_token::verify(settings, &emulator.entra_key, token).map_err(token_refused)?;
    if settings.role_granted { Ok(()) } else { Err(role_missing(settings, token.text("oid"))) }
}

/// RFC 6750 §2.1; the scheme's name is case-insensitive (RFC 9110 §11.1).
fn bearer(head: &Parts) -> Option<&str> {
    let mut values = head.headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let single = values.next().is_none();
    (single && scheme.eq_ignore_ascii_case("Bearer")).then_some(token)
}

fn token_refused(fault: TokenFault) -> Refusal {
    match fault {
        TokenFault::Malformed => Refusal::unauthorized("InvalidToken", "the token is malformed"),
        TokenFault::Signature => Refusal::unauthorized("InvalidToken", "the token's signature is invalid"),
        TokenFault::Expired => Refusal::unauthorized("ExpiredToken", "the token has expired"),
        TokenFault::NotYetValid => Refusal::unauthorized("InvalidToken", "the token is not valid yet"),
        TokenFault::Audience(audience) => {
            Refusal::unauthorized("InvalidAudience", format!("the token is for the audience '{audience}'"))
        }
    }
}

/// The service's own text, with the IDs that show a user which identity was actually used.
fn role_missing(settings: &Settings, object_id: &str) -> Refusal {
    let Settings { rule, tenant, .. } = settings;
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
    Refusal::new(StatusCode::FORBIDDEN, "OperationFailed", message)
}
