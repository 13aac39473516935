//! One client-credentials request with a federated assertion (RFC 7523 §2.2): what is checked, in which order, and the grant.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::access_token;
use super::refusal::Refusal;
use crate::emulator::Emulator;
use crate::jwt::Jwt;
use crate::settings::{FederatedCredential, Settings, unix_seconds};

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// Entra accepts an assertion this much before and after its time.
const TOLERANCE_S: u64 = 5;

/// The form's fields that matter; the last one wins when a field is repeated.
#[derive(Debug, Default)]
struct Form {
    grant_type: String,
    client_id: String,
    scope: String,
    assertion_type: String,
    assertion: String,
}

impl Form {
    fn decode(body: &[u8]) -> Self {
        let mut form = Form::default();
        for (name, value) in form_urlencoded::parse(body) {
            let field = match &*name {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "scope" => &mut form.scope,
                "client_assertion_type" => &mut form.assertion_type,
                "client_assertion" => &mut form.assertion,
                _ => continue,
            };
            *field = value.into_owned();
        }
        form
    }
}

/// Checks a token request and answers with the success document.
pub(super) fn exchange(emulator: &Emulator, settings: &Settings, tenant: &str, body: &[u8]) -> Result<Value, Refusal> {
    let form = Form::decode(body);
    let resource = check_request(settings, tenant, &form)?;
    check_assertion(emulator, settings, &form)?;
    grant(emulator, settings, resource)
}

/// Everything but the credential. Returns the resource that the token is for.
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

/// The scope before its last `/.default`. MSAL adds the scopes of a sign-in, which Entra passes over.
fn resource<'f>(scope: &'f str, tenant: &str) -> Result<&'f str, Refusal> {
    let mut scopes = scope.split(' ').filter(|scope| !matches!(*scope, "" | "openid" | "offline_access" | "profile"));
    let malformed = || Refusal::scope_malformed(scope);
    let resource = scopes.next().and_then(|scope| scope.strip_suffix("/.default")).ok_or_else(malformed)?;
    if scopes.next().is_some() {
        return Err(malformed());
    }
    let known = access_token::is_monitor(resource) || resource.trim_end_matches('/') == "https://management.azure.com";
    if known { Ok(resource) } else { Err(Refusal::resource_unknown(resource, tenant)) }
}

fn check_assertion(emulator: &Emulator, settings: &Settings, form: &Form) -> Result<(), Refusal> {
    if form.assertion.is_empty() {
        return Err(Refusal::credential_missing());
    }
    if form.assertion_type != ASSERTION_TYPE {
        return Err(Refusal::parameter_missing("client_assertion_type"));
    }
    // Not trimmed: whether Entra takes a newline behind the token is not known, so a client must not send one.
    let assertion = Jwt::decode(&form.assertion).ok_or_else(Refusal::assertion_malformed)?;
    check_federation(settings, &assertion)?;
    // Real Entra fetches the issuer's keys; here the keys are at hand, and only whether they could be fetched is looked at.
    if !emulator.issuer_is_up() {
        return Err(Refusal::issuer_unreachable(&settings.issuer()));
    }
    if !emulator.issuer_key.is_named_by(&assertion) {
        return Err(Refusal::signature_invalid("The key was not found in the issuer's key set."));
    }
    if !emulator.issuer_key.verify(&assertion) {
        return Err(Refusal::signature_invalid("The signature does not match the issuer's key."));
    }
    check_time(settings, &assertion)
}

/// Narrows the configured credentials by issuer, then subject, then audience; the first that leaves none names the refusal.
fn check_federation(settings: &Settings, assertion: &Jwt) -> Result<(), Refusal> {
    let (issuer, subject, audiences) = (assertion.text("iss"), assertion.text("sub"), assertion.audiences());
    let own = settings.issuer();
    let mut credentials: Vec<&FederatedCredential> = settings.federated_credentials.iter().collect();
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

fn check_time(settings: &Settings, assertion: &Jwt) -> Result<(), Refusal> {
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

fn grant(emulator: &Emulator, settings: &Settings, resource: &str) -> Result<Value, Refusal> {
    let (token, expiry) = access_token::mint(settings, &emulator.entra_key, resource).map_err(|_| Refusal::broken())?;
    emulator.traffic.lock().token_issued(unix_seconds(expiry));
    let life = settings.token_life_s;
    let mut grant = json!({"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": token});
    if settings.refresh_in_s > 0 {
        grant["refresh_in"] = json!(settings.refresh_in_s);
    }
    Ok(grant)
}
