//! The federated assertion: a projected service-account token, matched against the client's federated credentials.

use super::exchange::check_time;
use super::refusal::Refusal;
use crate::emulator::Emulator;
use crate::jwt::Jwt;
use crate::settings::{FederatedCredential, Settings};

pub(super) fn check(
    emulator: &Emulator,
    settings: &Settings,
    credentials: &[FederatedCredential],
    assertion: &Jwt,
) -> Result<(), Refusal> {
    narrow(settings, credentials, assertion)?;
    // Entra fetches the issuer's keys; the emulator has them, and only checks whether they could be fetched.
    if !emulator.issuer_is_up() {
        return Err(Refusal::issuer_unreachable(&settings.issuer()));
    }
    if !emulator.issuer_key.is_named_by(assertion) {
        return Err(Refusal::signature_invalid("The key was not found in the issuer's key set."));
    }
    if !emulator.issuer_key.verify(assertion) {
        return Err(Refusal::signature_invalid("The signature does not match the issuer's key."));
    }
    check_time(settings, assertion)
}

/// Narrows the configured credentials by issuer, then subject, then audience; the first step that leaves none
/// determines the refusal.
fn narrow(settings: &Settings, credentials: &[FederatedCredential], assertion: &Jwt) -> Result<(), Refusal> {
    let (issuer, subject, audiences) = (assertion.text("iss"), assertion.text("sub"), assertion.audiences());
    let own = settings.issuer();
    let mut credentials: Vec<&FederatedCredential> = credentials.iter().collect();
    credentials.retain(|credential| credential.issuer.as_deref().unwrap_or(&own) == issuer);
    if credentials.is_empty() {
        return Err(Refusal::issuer_mismatch(issuer));
    }
    let configured = |credential: &FederatedCredential| credential.subject.clone().unwrap_or(settings.subject.clone());
    let nearly = credentials.iter().any(|credential| configured(credential).eq_ignore_ascii_case(subject));
    credentials.retain(|credential| configured(credential) == subject);
    if credentials.is_empty() && nearly {
        return Err(Refusal::subject_case_mismatch(subject));
    }
    if credentials.is_empty() {
        return Err(Refusal::subject_mismatch(subject));
    }
    let meant = |credential: &&FederatedCredential| {
        audiences.contains(&credential.audience.as_deref().unwrap_or(&settings.audience))
    };
    if credentials.iter().any(meant) { Ok(()) } else { Err(Refusal::audience_mismatch(&audiences.join(", "))) }
}
