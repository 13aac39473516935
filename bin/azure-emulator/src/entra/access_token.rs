//! Access tokens: minted by the token endpoint, verified by the ingestion endpoint.

use std::io;
use std::time::{Duration, SystemTime};

use serde_json::json;
use uuid::Uuid;

use crate::jwt::{Jwt, SigningKey};
use crate::principal::Principal;
use crate::settings::{Settings, unix_seconds};

/// Why the ingestion endpoint rejects an access token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TokenFault {
    /// Not a signed token.
    Malformed,
    /// Signed with another key, or modified.
    Signature,
    /// Its `exp` has passed.
    Expired,
    /// Its `nbf` is in the future.
    NotYetValid,
    /// It is for this other resource.
    Audience(String),
}

/// Signs a token about `principal` for `resource`, issued at the given time. Returns it with its expiry.
pub(crate) fn mint(
    settings: &Settings,
    key: &SigningKey,
    principal: &Principal,
    resource: &str,
    issued: SystemTime,
) -> io::Result<(String, SystemTime)> {
    let expiry = issued + Duration::from_secs(settings.token_life_s);
    let tenant = &settings.tenant;
    let mut claims = json!({
        "aud": resource,
        "iss": format!("https://sts.windows.net/{tenant}/"),
        "iat": unix_seconds(issued),
        "nbf": unix_seconds(issued),
        "exp": unix_seconds(expiry),
        "appid": principal.client_id,
        "azp": principal.client_id,
        "appidacr": principal.proof.as_claim(),
        "idtyp": "app",
        "oid": principal.object_id,
        "sub": principal.object_id,
        "tid": tenant,
        "uti": Uuid::new_v4(),
        "ver": "1.0",
    });
    if let Some(resource_id) = &principal.resource_id {
        claims["xms_mirid"] = json!(resource_id);
    }
    Ok((key.sign(&claims)?, expiry))
}

/// Whether this tenant has a service principal for the resource. The token's audience is the resource exactly as
/// requested.
pub(crate) fn is_known(resource: &str) -> bool {
    is_monitor(resource) || resource.trim_end_matches('/') == "https://management.azure.com"
}

/// Accepts tokens that Entra signed for Azure Monitor and that are currently valid.
pub(crate) fn verify(settings: &Settings, key: &SigningKey, token: &str) -> Result<Jwt, TokenFault> {
    let token = Jwt::decode(token).ok_or(TokenFault::Malformed)?;
    if !key.verify(&token) {
        return Err(TokenFault::Signature);
    }
    let now = unix_seconds(settings.now());
    if token.time("exp").is_none_or(|expiry| expiry <= now) {
        return Err(TokenFault::Expired);
    }
    if token.time("nbf").is_some_and(|start| start > now) {
        return Err(TokenFault::NotYetValid);
    }
    let audience = token.text("aud").to_owned();
    if is_monitor(&audience) { Ok(token) } else { Err(TokenFault::Audience(audience)) }
}

/// Azure Monitor is known both with and without a trailing slash.
pub(crate) fn is_monitor(resource: &str) -> bool {
    matches!(resource, "https://monitor.azure.com" | "https://monitor.azure.com/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::temporary;
    use crate::principal::Proof;

    #[test]
    fn one_verdict_for_each_fault() {
        let directory = temporary();
        let key = SigningKey::load(&directory, "entra").unwrap();
        let stranger = SigningKey::load(&directory, "stranger").unwrap();
        let settings = Settings::default();
        let ahead = |seconds| Settings { clock_skew_s: seconds, ..Settings::default() };
        let client = Principal::application(&settings, Proof::Asymmetric);
        let token = |key, resource| mint(&settings, key, &client, resource, settings.now()).unwrap().0;
        let forged = token(&stranger, "https://monitor.azure.com/");
        let other = token(&key, "https://management.azure.com");
        let token = token(&key, "https://monitor.azure.com/");

        let fault = |settings: &Settings, token: &str| verify(settings, &key, token).err();
        assert_eq!(fault(&settings, &token), None);
        assert_eq!(fault(&settings, "garbage"), Some(TokenFault::Malformed));
        assert_eq!(fault(&settings, &forged), Some(TokenFault::Signature));
        assert_eq!(fault(&ahead(86_400), &token), Some(TokenFault::Expired));
        assert_eq!(fault(&ahead(-60), &token), Some(TokenFault::NotYetValid));
        assert_eq!(fault(&settings, &other), Some(TokenFault::Audience("https://management.azure.com".to_owned())));
        std::fs::remove_dir_all(directory.path("")).unwrap();
    }
}
