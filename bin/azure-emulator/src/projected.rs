//! The projected service-account tokens, which a kubelet writes into a pod, signed by the cluster's OIDC issuer.

use std::io;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::directory::Directory;
use crate::jwt::SigningKey;
use crate::settings::{Settings, unix_seconds, within_longest};

/// The token's file in the folder, with the name that the workload-identity webhook uses.
pub(crate) const FILE: &str = "azure-identity-token";

/// The token for an AKS cluster's proxy, in the same folder.
pub(crate) const BINDING_FILE: &str = "azure-identity-token-binding";

/// The audience of tokens for identity bindings.
pub(crate) const BINDING_AUDIENCE: &str = "api://AKSIdentityBinding";

/// How a token differs from the ordinary one; also the body of `POST /projected-token`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wish {
    issuer: Option<String>,
    subject: Option<String>,
    audience: Option<String>,
    /// Lifetime in seconds; a negative one means already expired.
    life_s: Option<i64>,
    /// Key ID for the header; the signature is still the issuer's.
    kid: Option<String>,
    /// Also replace the file.
    pub(crate) write: bool,
    /// Make the token for the cluster's proxy: with its audience, unless one is given, and in its file.
    binding: bool,
}

impl Wish {
    /// The ordinary token, written to its file.
    pub(crate) fn written() -> Self {
        Wish { write: true, ..Wish::default() }
    }

    /// The token for the cluster's proxy, written to its file.
    pub(crate) fn written_for_binding() -> Self {
        Wish { binding: true, ..Wish::written() }
    }

    /// The token's file.
    pub(crate) fn file(&self) -> &'static str {
        if self.binding { BINDING_FILE } else { FILE }
    }

    fn audience<'w>(&'w self, settings: &'w Settings) -> &'w str {
        let usual = if self.binding { BINDING_AUDIENCE } else { &settings.audience };
        self.audience.as_deref().unwrap_or(usual)
    }
}

/// Signs a token. Its times are the cluster's, not Azure's: the clock skew applies between them.
pub(crate) fn mint(settings: &Settings, key: &SigningKey, wish: &Wish) -> io::Result<String> {
    let claims = claims(settings, wish, unix_seconds(SystemTime::now()));
    match &wish.kid {
        Some(kid) => key.sign_as(kid, &claims),
        None => key.sign(&claims),
    }
}

/// Replaces a file with the raw JWT without a newline, as the kubelet does.
pub(crate) fn write(directory: &Directory, file: &str, token: &str) -> io::Result<()> {
    directory.replace(file, token.as_bytes())
}

/// The kubelet rewrites the file after 80 % of the token's lifetime.
pub(crate) fn rotation_period(settings: &Settings) -> Duration {
    Duration::from_secs((settings.assertion_life_s / 5 * 4).max(1))
}

fn claims(settings: &Settings, wish: &Wish, now: u64) -> Value {
    let subject = wish.subject.clone().unwrap_or_else(|| settings.subject.clone());
    let (namespace, account) = service_account(&subject);
    let life = wish.life_s.unwrap_or_else(|| i64::try_from(settings.assertion_life_s).unwrap_or(i64::MAX));
    let expiry = now.saturating_add_signed(within_longest(life));
    let issued = now.min(expiry);
    json!({
        "iss": wish.issuer.clone().unwrap_or_else(|| settings.issuer()),
        "aud": [wish.audience(settings)],
        "iat": issued,
        "nbf": issued,
        "exp": expiry,
        "jti": Uuid::new_v4(),
        "kubernetes.io": {
            "namespace": namespace,
            "pod": {"name": "prometheus-0", "uid": "7e57c0de-0000-4000-8000-000000000005"},
            "serviceaccount": {"name": account, "uid": "7e57c0de-0000-4000-8000-000000000006"},
        },
        "sub": subject,
    })
}

/// Namespace and name of `system:serviceaccount:NAMESPACE:NAME`; empty for any other subject.
fn service_account(subject: &str) -> (&str, &str) {
    subject.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_token_says_what_kubelet_says() {
        let settings = Settings::default();
        let claims = claims(&settings, &Wish::default(), 1_000);
        assert_eq!(claims["aud"], json!(["api://AzureADTokenExchange"]));
        assert_eq!((&claims["nbf"], &claims["exp"]), (&json!(1_000), &json!(4_600)));
        assert_eq!(claims["kubernetes.io"]["namespace"], "monitoring");
        assert_eq!(claims["kubernetes.io"]["serviceaccount"]["name"], "prometheus");
        assert!(claims["iss"].as_str().unwrap().ends_with('/'));
    }

    #[test]
    fn a_token_may_have_ended_already() {
        let wish = Wish { life_s: Some(-60), ..Wish::default() };
        let claims = claims(&Settings::default(), &wish, 1_000);
        assert_eq!((&claims["nbf"], &claims["exp"]), (&json!(940), &json!(940)));
    }

    #[test]
    fn a_token_for_the_clusters_proxy_has_its_own_audience_and_file() {
        let wish = Wish::written_for_binding();
        assert_eq!(claims(&Settings::default(), &wish, 1_000)["aud"], json!([BINDING_AUDIENCE]));
        assert_eq!(wish.file(), BINDING_FILE);
    }
}
