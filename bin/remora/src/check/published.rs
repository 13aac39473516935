//! What the issuer of the projected token publishes: its configuration, and the keys that it names (OIDC
//! Discovery 1.0 §4, RFC 7517). Entra reads the same. Who asks is up to the caller.

use std::io;

use remora_smol::endpoint::Endpoint;
use serde_json::Value;

use super::context::Checked;
use super::http::Answer;
use super::outcome::{Finding, Outcome};
use crate::pages;

/// Where an issuer publishes its configuration.
const CONFIGURATION: &str = "/.well-known/openid-configuration";
/// What an issuer's answer from here does not show.
const COUNTS: &str = "what counts is that Entra can reach it";

/// The fix if the key of the token is not published.
const PUBLISH: &str = "publish the cluster's keys at that address (a cluster's new key, or another cluster's issuer, is the usual cause); Entra may\n\
keep the old ones for half an hour\n\
kubectl get --raw /openid/v1/jwks";

/// Why there is no response.
pub(super) enum Unasked {
    /// The issuer cannot be reached from here.
    Unreachable(String),
    /// Nothing can be asked at all.
    Left(Outcome),
}

impl From<io::Error> for Unasked {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// Whether the issuer names itself and publishes the key with this ID, according to what `ask` gets from it.
pub(super) fn judge(issuer: &str, key_id: Option<&str>, ask: impl Fn(&Endpoint) -> Result<Answer, Unasked>) -> Checked {
    let url = format!("{}{CONFIGURATION}", issuer.trim_end_matches('/'));
    let url = Endpoint::parse(&url).map_err(|_| Outcome::Needs(&pages::TOK_06))?;
    let document = match read(&url, &ask)? {
        Read::Document(document) => document,
        Read::Unread(note) => return Ok(note),
    };
    names_itself(issuer, &document)?;
    let keys = keys_url(&url, &document)?;
    if keys.authority() != url.authority() {
        return Ok(format!("{issuer}; its keys are on {}, which is not asked", keys.authority()));
    }
    match read(&keys, &ask)? {
        Read::Document(set) => holds(&keys, key_id, &set).map(|()| issuer.to_owned()),
        Read::Unread(note) => Ok(note),
    }
}

/// What was read from a URL.
enum Read {
    Document(Value),
    /// It could not be read from here, which says nothing about Entra.
    Unread(String),
}

/// Reads a JSON document. A missing one and a failing server are problems for everyone; another refusal may concern
/// only this pod.
fn read(url: &Endpoint, ask: impl Fn(&Endpoint) -> Result<Answer, Unasked>) -> Result<Read, Outcome> {
    match ask(url) {
        Ok(Answer { status: 200, body, .. }) => {
            let not_json = |_| warning(format!("{url} answers with something other than JSON"));
            serde_json::from_slice(&body).map(Read::Document).map_err(not_json)
        }
        Ok(Answer { status: status @ (404 | 410 | 500..=599), .. }) => Err(warning(format!("{url} answers {status}"))),
        Ok(Answer { status, .. }) => Ok(Read::Unread(format!("{url} answers {status} from here; {COUNTS}"))),
        Err(Unasked::Unreachable(error)) => {
            Ok(Read::Unread(format!("{} is not reachable from here ({error}); {COUNTS}", url.host())))
        }
        Err(Unasked::Left(outcome)) => Err(outcome),
    }
}

fn names_itself(issuer: &str, document: &Value) -> Result<(), Outcome> {
    match document.get("issuer").and_then(Value::as_str) {
        Some(named) if named == issuer => Ok(()),
        Some(named) => Err(warning(format!("the token says {issuer:?}, but the document there says {named:?}"))),
        None => Err(warning(format!("the answer of {issuer} is not an OpenID configuration"))),
    }
}

/// Where the document says the keys are.
fn keys_url(url: &Endpoint, document: &Value) -> Result<Endpoint, Outcome> {
    let named = document.get("jwks_uri").and_then(Value::as_str).unwrap_or_default();
    Endpoint::parse(named).map_err(|_| warning(format!("{url} names no https URL of its keys (jwks_uri): {named:?}")))
}

/// Whether a key set holds the key with this ID. Without an ID, any key may be the one.
fn holds(url: &Endpoint, key_id: Option<&str>, set: &Value) -> Result<(), Outcome> {
    let keys = set.get("keys").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if keys.is_empty() {
        return Err(warning(format!("{url} holds no keys")));
    }
    let is_it = |key: &Value| key_id.is_none_or(|id| key.get("kid").and_then(Value::as_str) == Some(id));
    if keys.iter().any(is_it) {
        return Ok(());
    }
    let seen = format!("the token is signed with the key {:?}, which {url} does not hold", key_id.unwrap_or_default());
    Err(Outcome::Warn(Finding::new(seen).repaired(PUBLISH)))
}

fn warning(seen: String) -> Outcome {
    Outcome::Warn(Finding::new(seen))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    const ISSUER: &str = "https://i.example/a/";
    const DISCOVERY: &str = r#"{"issuer":"https://i.example/a/","jwks_uri":"https://i.example/a/keys"}"#;
    const KEYS: &str = r#"{"keys":[{"kid":"old"},{"kid":"new"}]}"#;

    /// The outcome for a token with this key, if the issuer answers with these, in order; and what was asked for.
    fn judged(key_id: Option<&str>, answers: &[(u16, &str)]) -> (Checked, Vec<String>) {
        let asked = RefCell::new(Vec::new());
        let outcome = judge(ISSUER, key_id, |url| {
            let place = asked.borrow().len();
            asked.borrow_mut().push(url.to_string());
            let (status, body) = answers.get(place).ok_or(Unasked::Unreachable("refused".to_owned()))?;
            Ok(Answer { status: *status, date: None, location: None, body: body.as_bytes().to_vec() })
        });
        (outcome, asked.into_inner())
    }

    fn warned(key_id: Option<&str>, answers: &[(u16, &str)]) -> String {
        match judged(key_id, answers).0 {
            Err(Outcome::Warn(finding)) => finding.seen,
            other => panic!("{answers:?}: {other:?}"),
        }
    }

    #[test]
    fn an_issuer_publishes_the_key_of_the_token() {
        let (outcome, asked) = judged(Some("new"), &[(200, DISCOVERY), (200, KEYS)]);
        assert_eq!(outcome.unwrap(), ISSUER);
        assert_eq!(asked, ["https://i.example/a/.well-known/openid-configuration", "https://i.example/a/keys"]);
        assert!(judged(None, &[(200, DISCOVERY), (200, KEYS)]).0.is_ok());
        let (outcome, _) = judged(Some("other"), &[(200, DISCOVERY), (200, KEYS)]);
        let Err(Outcome::Warn(finding)) = outcome else { panic!("{outcome:?}") };
        assert!(finding.seen.contains("\"other\"") && finding.repair.is_some(), "{finding:?}");
    }

    #[test]
    fn what_is_missing_is_missing_for_entra_too() {
        for status in [404, 410, 500, 503] {
            assert!(warned(None, &[(status, "")]).ends_with(&format!("openid-configuration answers {status}")));
            assert!(warned(None, &[(200, DISCOVERY), (status, "")]).ends_with(&format!("/keys answers {status}")));
        }
        assert!(warned(None, &[(200, DISCOVERY), (200, r#"{"keys":[]}"#)]).ends_with("holds no keys"));
        for text in ["{}", "<html>"] {
            warned(None, &[(200, text)]);
            warned(None, &[(200, DISCOVERY), (200, text)]);
        }
        assert!(warned(None, &[(200, r#"{"issuer":"https://i.example/a/"}"#)]).contains("jwks_uri"));
    }

    #[test]
    fn an_issuer_must_name_itself_to_the_last_slash() {
        assert!(warned(None, &[(200, r#"{"issuer":"https://i.example/a"}"#)]).contains("the token says"));
    }

    #[test]
    fn what_cannot_be_reached_from_here_is_only_told() {
        for answers in [&[][..], &[(403, "")], &[(302, "")], &[(200, DISCOVERY)], &[(200, DISCOVERY), (401, "")]] {
            assert!(judged(Some("new"), answers).0.unwrap().contains("from here"), "{answers:?}");
        }
    }

    #[test]
    fn nobody_but_the_issuers_own_host_is_asked() {
        for elsewhere in ["https://169.254.169.254/keys", "https://j.example/keys", "https://i.example:8443/keys"] {
            let document = DISCOVERY.replace("https://i.example/a/keys", elsewhere);
            let (outcome, asked) = judged(Some("new"), &[(200, &document)]);
            assert!(outcome.unwrap().ends_with("which is not asked") && asked.len() == 1, "{asked:?}");
        }
        warned(None, &[(200, &DISCOVERY.replace("https://i.example/a/keys", "http://i.example/keys"))]);
    }
}
