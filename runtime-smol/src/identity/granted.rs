//! A granted token, as shown when an identity is checked by hand.

use std::time::Duration;

use serde_json::{Map, Value};

use super::answer::Grant;
use crate::jwt;
use crate::secret::Bearer;

/// A token and its claims. `Debug` shows everything but the token.
#[derive(Debug)]
pub struct Granted {
    /// How long it is valid.
    pub lifetime: Duration,
    /// Time after which the server wants it refreshed.
    pub refresh_in: Option<Duration>,
    /// Its claims; all `None` if it is not a JSON web token, which nothing guarantees.
    pub claims: Claims,
    bearer: Bearer,
}

/// Claims of an access token, read but not verified: the resource does that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub issuer: Option<String>,
    /// `aud`: what the token is for.
    pub audience: Option<String>,
    /// `tid`.
    pub tenant_id: Option<String>,
    /// `oid`: the principal that role assignments name.
    pub object_id: Option<String>,
    /// `azp` or `appid`: the client.
    pub client_id: Option<String>,
    /// `roles`: those of the application, where it has any.
    pub roles: Vec<String>,
}

impl Granted {
    pub(super) fn new(grant: Grant) -> Self {
        let claims = claims(grant.bearer.as_bytes()).unwrap_or_default();
        Self { lifetime: grant.lifetime, refresh_in: grant.refresh_in, claims, bearer: grant.bearer }
    }

    /// Value of the `Authorization` field. It is a secret: send it, but never show it.
    pub fn authorization(&self) -> &[u8] {
        self.bearer.as_bytes()
    }

    /// Overwrites the token wherever `text` repeats it.
    pub fn hide_in(&self, text: &mut [u8]) {
        self.bearer.hide_in(text);
    }
}

fn claims(token: &[u8]) -> Option<Claims> {
    let object: Map<String, Value> = jwt::claims(token)?;
    let claim = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let roles = object.get("roles").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Some(Claims {
        issuer: claim("iss"),
        audience: claim("aud"),
        tenant_id: claim("tid"),
        object_id: claim("oid"),
        client_id: claim("azp").or_else(|| claim("appid")),
        roles: roles.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn granted(token: &str) -> Granted {
        Granted::new(Grant {
            bearer: Bearer::new(token).unwrap(),
            lifetime: Duration::from_secs(60),
            refresh_in: None,
            skew: None,
        })
    }

    #[test]
    fn the_claims_are_shown_and_the_token_is_not() {
        let claims = r#"{"aud":"https://monitor.azure.com","oid":"o","tid":"t","appid":"c","roles":["a",1,"b"]}"#;
        let payload = URL_SAFE_NO_PAD.encode(claims);
        let granted = granted(&format!("e30.{payload}.hush"));
        let shown = format!("{granted:?}");
        assert!(!shown.contains("hush") && shown.contains("https://monitor.azure.com"), "{shown}");
        assert_eq!(
            (granted.claims.client_id.as_deref(), &granted.claims.roles[..]),
            (Some("c"), &["a".into(), "b".into()][..])
        );
        assert!(granted.authorization().ends_with(b".hush"));
    }

    #[test]
    fn an_opaque_token_says_nothing() {
        for token in ["opaque", "a.b.c", "a.e30", ".."] {
            assert_eq!(granted(token).claims, Claims::default(), "{token}");
        }
    }
}
