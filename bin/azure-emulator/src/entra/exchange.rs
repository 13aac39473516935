//! One client-credentials request (RFC 6749 §4.4): the checks in their order, and the grant.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::form::Form;
use super::refusal::Refusal;
use super::{Way, access_token, certificate, federation};
use crate::emulator::Emulator;
use crate::jwt::Jwt;
use crate::principal::{Principal, Proof};
use crate::projected::BINDING_AUDIENCE;
use crate::settings::{FederatedCredential, Settings, unix_seconds};

/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion is accepted this long before and after its validity period, in seconds. Entra's five minutes would hide
/// an assertion that is sent too late.
const TOLERANCE_S: u64 = 5;

/// Checks a token request and returns the success document.
pub(super) fn exchange(
    emulator: &Emulator,
    settings: &Settings,
    way: Way,
    tenant: &str,
    form: &Form,
) -> Result<Value, Refusal> {
    let resource = check_request(settings, tenant, form)?;
    let proof = match way {
        Way::Direct => check_credential(emulator, settings, form)?,
        Way::ClusterProxy => check_bound(emulator, settings, form)?,
    };
    grant(emulator, settings, &Principal::application(settings, proof), resource)
}

/// Checks everything except the credential. Returns the requested resource.
fn check_request<'f>(settings: &Settings, tenant: &str, form: &'f Form) -> Result<&'f str, Refusal> {
    if !tenant.eq_ignore_ascii_case(&settings.tenant) {
        return Err(Refusal::tenant_unknown(tenant));
    }
    for (name, value) in [("grant_type", &form.grant_type), ("client_id", &form.client_id), ("scope", &form.scope)] {
        if value.is_empty() {
            return Err(Refusal::parameter_missing(name));
        }
    }
    if form.grant_type != "client_credentials" {
        return Err(Refusal::grant_unsupported(&form.grant_type));
    }
    if !form.client_id.eq_ignore_ascii_case(&settings.client_id) {
        return Err(Refusal::client_unknown(&form.client_id, tenant));
    }
    resource(&form.scope, tenant)
}

/// The scope without its `/.default` suffix. MSAL adds the scopes of a sign-in, which Entra ignores.
fn resource<'f>(scope: &'f str, tenant: &str) -> Result<&'f str, Refusal> {
    let mut scopes = scope.split(' ').filter(|scope| !matches!(*scope, "" | "openid" | "offline_access" | "profile"));
    let malformed = || Refusal::scope_malformed(scope);
    let resource = scopes.next().and_then(|scope| scope.strip_suffix("/.default")).ok_or_else(malformed)?;
    if scopes.next().is_some() {
        return Err(malformed());
    }
    if access_token::is_known(resource) { Ok(resource) } else { Err(Refusal::resource_unknown(resource, tenant)) }
}

/// A client authenticates with an assertion or, if there is none, with its secret.
fn check_credential(emulator: &Emulator, settings: &Settings, form: &Form) -> Result<Proof, Refusal> {
    if form.assertion.is_empty() && !form.secret.is_empty() {
        return check_secret(settings, form);
    }
    let assertion = assertion(emulator, form)?;
    if certificate::is_meant(&form.client_id, &assertion) {
        certificate::check(settings, &emulator.registration, &form.client_id, &assertion)?;
    } else {
        federation::check(emulator, settings, &settings.federated_credentials, &assertion)?;
    }
    Ok(Proof::Asymmetric)
}

/// The cluster's proxy accepts only tokens that were issued for it.
fn check_bound(emulator: &Emulator, settings: &Settings, form: &Form) -> Result<Proof, Refusal> {
    let assertion = assertion(emulator, form)?;
    let bound = FederatedCredential { audience: Some(BINDING_AUDIENCE.to_owned()), ..FederatedCredential::default() };
    federation::check(emulator, settings, &[bound], &assertion)?;
    Ok(Proof::Asymmetric)
}

fn check_secret(settings: &Settings, form: &Form) -> Result<Proof, Refusal> {
    if form.secret != settings.client_secret {
        return Err(Refusal::secret_wrong(&form.client_id));
    }
    let expiry = settings.client_secret_expiry_s;
    if expiry != 0 && unix_seconds(settings.now()) >= expiry {
        return Err(Refusal::secret_expired(&form.client_id));
    }
    Ok(Proof::Secret)
}

fn assertion(emulator: &Emulator, form: &Form) -> Result<Jwt, Refusal> {
    if form.assertion.is_empty() {
        return Err(Refusal::credential_missing());
    }
    if form.assertion_type != ASSERTION_TYPE {
        return Err(Refusal::parameter_missing("client_assertion_type"));
    }
    // Not trimmed: it is unknown whether Entra accepts a newline after the token, so a client must not send one.
    let assertion = Jwt::decode(&form.assertion).ok_or_else(Refusal::assertion_malformed)?;
    emulator.assertions.lock().remember(&form.assertion, &assertion);
    Ok(assertion)
}

/// Whether the assertion is within its validity period, by Entra's clock.
pub(super) fn check_time(settings: &Settings, assertion: &Jwt) -> Result<(), Refusal> {
    let (Some(from), Some(until)) = (assertion.time("nbf").or(assertion.time("iat")), assertion.time("exp")) else {
        return Err(Refusal::assertion_malformed());
    };
    let now = settings.now();
    let seconds = unix_seconds(now);
    if seconds.saturating_add(TOLERANCE_S) >= from && seconds < until.saturating_add(TOLERANCE_S) {
        return Ok(());
    }
    let [from, until] = [from, until].map(|seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    Err(Refusal::outside_validity(now, from, until))
}

fn grant(emulator: &Emulator, settings: &Settings, principal: &Principal, resource: &str) -> Result<Value, Refusal> {
    let minted = access_token::mint(settings, &emulator.entra_key, principal, resource, settings.now());
    let (token, expiry) = minted.map_err(|_| Refusal::broken())?;
    emulator.traffic.lock().token_issued(unix_seconds(expiry));
    let life = settings.token_life_s;
    let mut grant = json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token});
    if settings.refresh_in_s > 0 {
        grant["refresh_in"] = json!(settings.refresh_in_s);
    }
    Ok(grant)
}
