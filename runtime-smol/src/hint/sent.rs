//! What an exchange sent, as far as it may be shown: never the assertion, the secret or the token.

use serde::Deserialize;

use crate::cloud::{Cloud, resource_of};
use crate::jwt;
use crate::text::is_more_than_text;

/// The values of one exchange. Those that were not sent are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// `iss` of the assertion.
    pub issuer: Option<String>,
    /// `sub` of the assertion.
    pub subject: Option<String>,
    /// `aud` of the assertion.
    pub audience: Option<String>,
    /// Client id, or the object id or resource id in its place.
    pub client_id: Option<String>,
    /// Tenant.
    pub tenant_id: Option<String>,
    /// Scope, or the resource that a managed identity's endpoint was asked for.
    pub scope: Option<String>,
    /// Host and port of the endpoint.
    pub authority: Option<String>,
    /// File that the credential was read from.
    pub file: Option<String>,
}

/// Longest claim that is kept, in characters: Entra's limit for issuers and subjects.
const MAX_CLAIM: usize = 600;

/// The claims of an assertion that Entra compares. A list of audiences is an error of its own (AADSTS50027).
#[derive(Default, Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Sent {
    /// Adds the claims of an assertion. Nothing is verified: Entra does that.
    #[must_use]
    pub(crate) fn with_claims(mut self, assertion: &str) -> Self {
        let claims = jwt::claims::<Claims>(assertion.as_bytes()).unwrap_or_default();
        let shown = |claim: String| claim.chars().filter(|c| !is_more_than_text(*c)).take(MAX_CLAIM).collect();
        self.issuer = claims.iss.map(shown);
        self.subject = claims.sub.map(shown);
        self.audience = claims.aud.map(|audience| {
            shown(match audience {
                OneOrMany::One(audience) => audience,
                OneOrMany::Many(audiences) => audiences.join(","),
            })
        });
        self
    }

    /// Whether the assertion is the token of a namespace's default service account.
    pub(crate) fn is_of_default_account(&self) -> bool {
        let account =
            |subject: &str| Some(subject.strip_prefix("system:serviceaccount:")?.split_once(':')?.1 == "default");
        self.subject.as_deref().and_then(account).unwrap_or_default()
    }

    /// The requested audience, without `/.default` and without slashes at its end.
    fn resource(&self) -> Option<&str> {
        self.scope.as_deref().map(|scope| resource_of(scope).trim_end_matches('/'))
    }

    /// Whether the audience is Azure Monitor's in one of the clouds with a name in `CLOUD`.
    pub(super) fn is_for_azure_monitor(&self) -> bool {
        self.scope.as_deref().and_then(Cloud::of_audience).is_some()
    }

    /// The value for a placeholder in a fix. The default service account has none, as it should not be federated.
    pub(super) fn value(&self, place: &str) -> Option<String> {
        let account = || self.subject.as_deref()?.strip_prefix("system:serviceaccount:")?.split_once(':');
        let value = match place {
            "issuer" => self.issuer.as_deref(),
            "issuer-without-slash" => self.issuer.as_deref().map(|issuer| issuer.trim_end_matches('/')),
            "subject" => self.subject.as_deref().filter(|_| !self.is_of_default_account()),
            "audience" => self.audience.as_deref(),
            "client-id" => self.client_id.as_deref(),
            "tenant-id" => self.tenant_id.as_deref(),
            "scope" => self.scope.as_deref(),
            "resource" => self.resource(),
            "authority" => self.authority.as_deref(),
            "file" => self.file.as_deref(),
            "namespace" => account().map(|(namespace, _)| namespace),
            "service-account" => account().map(|(_, name)| name).filter(|_| !self.is_of_default_account()),
            _ => None,
        };
        value.map(str::to_owned)
    }

    /// Known names and values, in display order.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let fields = [
            ("issuer", &self.issuer),
            ("subject", &self.subject),
            ("audience", &self.audience),
            ("client_id", &self.client_id),
            ("tenant_id", &self.tenant_id),
            ("scope", &self.scope),
            ("authority", &self.authority),
            ("file", &self.file),
        ];
        fields.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    #[cfg(test)]
    pub(super) fn everything() -> Self {
        let some = |text: &str| Some(text.to_owned());
        Self {
            issuer: some("https://issuer.example/guid/"),
            subject: some("system:serviceaccount:monitoring:prometheus"),
            audience: some("api://AzureADTokenExchange"),
            client_id: some("3913510d-42f4-4e42-8a64-420c390055eb"),
            tenant_id: some("72f988bf-86f1-41af-91ab-2d7cd011db47"),
            scope: some("https://monitor.azure.com/.default"),
            authority: some("login.microsoftonline.com"),
            file: some("/var/run/secrets/token"),
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn of(claims: &str) -> Sent {
        Sent::default().with_claims(&format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims)))
    }

    #[test]
    fn the_claims_that_entra_compares_are_read() {
        let sent = of(r#"{"iss":"https://i/","sub":"system:serviceaccount:ns:sa","aud":["a"],"exp":1}"#);
        let fields: Vec<_> = sent.fields().collect();
        assert_eq!(fields, [("issuer", "https://i/"), ("subject", "system:serviceaccount:ns:sa"), ("audience", "a")]);
        assert_eq!(sent.value("namespace").as_deref(), Some("ns"));
        assert_eq!(sent.value("service-account").as_deref(), Some("sa"));
    }

    #[test]
    fn a_malformed_assertion_says_nothing() {
        for assertion in ["", "a", "a.b.c", "a.!!.c", "a.e30.c", "...."] {
            assert_eq!(Sent::default().with_claims(assertion).fields().count(), 0, "{assertion}");
        }
        assert_eq!(of(r#"{"iss":1}"#), Sent::default());
    }

    #[test]
    fn claims_cannot_fill_or_break_a_line() {
        let sent = of(&format!(r#"{{"iss":"a\nb","sub":"{}"}}"#, "x".repeat(5000)));
        assert_eq!(sent.issuer.as_deref(), Some("ab"));
        assert_eq!(sent.subject.map(|subject| subject.len()), Some(MAX_CLAIM));
    }
}
