//! Assertions that a client signs with its certificate: `certificate-credentials` in Microsoft's identity platform
//! documentation, RFC 7523 §3 for the claims.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use serde_json::Value;
use webpki::ring::{ECDSA_P256_SHA256, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256_LEGACY_KEY};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::exchange::check_time;
use super::refusal::Refusal;
use crate::credentials::{Registration, Thumbprint};
use crate::jwt::{Algorithm, Jwt};
use crate::settings::Settings;

/// The header fields that identify a certificate.
const NAMES: [&str; 3] = ["x5t#S256", "x5t", "x5c"];

/// Whether an assertion is the client's own rather than a federated issuer's: it names a certificate, or the client as
/// its issuer.
pub(super) fn is_meant(client_id: &str, assertion: &Jwt) -> bool {
    NAMES.iter().any(|name| !assertion.header[name].is_null()) || assertion.text("iss").eq_ignore_ascii_case(client_id)
}

/// Checks a decoded assertion of the client `client_id`.
pub(super) fn check(
    settings: &Settings,
    registration: &Registration,
    client_id: &str,
    assertion: &Jwt,
) -> Result<(), Refusal> {
    let about_the_client = |claim: &str| assertion.text(claim).eq_ignore_ascii_case(client_id);
    if !about_the_client("iss") || !about_the_client("sub") {
        return Err(Refusal::assertion_of_another_client());
    }
    check_signature(settings, registration, assertion)?;
    check_audience(settings, assertion)?;
    check_time(settings, assertion)
}

fn check_signature(settings: &Settings, registration: &Registration, assertion: &Jwt) -> Result<(), Refusal> {
    let thumbprint = Thumbprint::in_header(&assertion.header).ok_or_else(Refusal::certificate_unnamed)?;
    let chain = chain(&assertion.header)?;
    if chain.first().is_some_and(|leaf| !thumbprint.is_of(leaf)) {
        return Err(Refusal::assertion_malformed());
    }
    let registered = registration.find(&thumbprint);
    let Some(certificate) = registered.or_else(|| trusted_by_name(settings, registration, &chain)) else {
        return Err(Refusal::certificate_unknown(&thumbprint.shown(), &settings.client_id));
    };
    let parsed = EndEntityCert::try_from(certificate).map_err(|_| Refusal::assertion_malformed())?;
    let algorithm = match assertion.algorithm {
        Algorithm::Rs256 => RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Ps256 => RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    };
    parsed
        .verify_signature(algorithm, assertion.signed.as_bytes(), &assertion.signature)
        .map_err(|_| Refusal::certificate_signature_invalid(&thumbprint.shown()))?;
    let in_time = is_in_time(settings, registration, &parsed);
    if in_time { Ok(()) } else { Err(Refusal::certificate_expired(&thumbprint.shown())) }
}

/// `x5c`: the certificate and its issuers, in standard base64 of their DER (RFC 7515 §4.1.6). Empty if it is absent.
fn chain(header: &Value) -> Result<Vec<CertificateDer<'static>>, Refusal> {
    let entries = match &header["x5c"] {
        Value::Null => return Ok(Vec::new()),
        Value::Array(entries) => entries,
        _ => return Err(Refusal::assertion_malformed()),
    };
    let certificate = |entry: &Value| {
        let der = CertificateDer::from(STANDARD.decode(entry.as_str()?).ok()?);
        EndEntityCert::try_from(&der).is_ok().then_some(der)
    };
    entries.iter().map(|entry| certificate(entry).ok_or_else(Refusal::assertion_malformed)).collect()
}

/// The chain's leaf, if the settings trust its subject name and the chain leads to the authority. A chain of one does
/// not: it must contain the authority's certificate.
fn trusted_by_name<'c>(
    settings: &Settings,
    registration: &Registration,
    chain: &'c [CertificateDer<'static>],
) -> Option<&'c CertificateDer<'static>> {
    let (leaf, others) = chain.split_first()?;
    let name = ServerName::try_from(settings.trusted_subject.as_deref()?).ok()?;
    let certificate = EndEntityCert::try_from(leaf).ok()?;
    certificate.verify_is_valid_for_subject_name(&name).ok()?;
    let complete =
        others.contains(&registration.authority) && vouched_for(settings, registration, &certificate).is_ok();
    complete.then_some(leaf)
}

/// Whether the certificate is within its validity period, by Entra's clock.
fn is_in_time(settings: &Settings, registration: &Registration, certificate: &EndEntityCert<'_>) -> bool {
    use webpki::Error::{CertExpired, CertNotValidYet};
    !matches!(vouched_for(settings, registration, certificate), Err(CertExpired { .. } | CertNotValidYet { .. }))
}

fn vouched_for(
    settings: &Settings,
    registration: &Registration,
    certificate: &EndEntityCert<'_>,
) -> Result<(), webpki::Error> {
    let anchors = [anchor_from_trusted_cert(&registration.authority)?];
    let now = settings.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (time, usage) = (UnixTime::since_unix_epoch(now), KeyUsage::client_auth());
    certificate.verify_for_usage(&[ECDSA_P256_SHA256], &anchors, &[], time, usage, None, None).map(drop)
}

/// A single string: the token endpoint or the tenant's issuer. Entra treats a list as a malformed token.
fn check_audience(settings: &Settings, assertion: &Jwt) -> Result<(), Refusal> {
    let Some(audience) = assertion.claims["aud"].as_str() else { return Err(Refusal::assertion_malformed()) };
    let base = format!("{}{}", settings.authority(), settings.tenant);
    let known = ["/oauth2/v2.0/token", "/oauth2/token", "/v2.0", "/"].map(|end| format!("{base}{end}"));
    if known.iter().any(|known| known.eq_ignore_ascii_case(audience)) {
        Ok(())
    } else {
        Err(Refusal::assertion_audience_wrong())
    }
}
