//! The claims of a JSON web token, decoded for display and comparison (RFC 7519). The signature is not verified: the
//! token's recipient does that.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The claims of a token, and what its header says about the signature (RFC 7515 §4.1).
#[derive(Clone, Debug)]
pub(super) struct Claims {
    payload: Value,
    /// The signature algorithm.
    pub(super) algorithm: String,
    /// The ID of the signing key.
    pub(super) key_id: Option<String>,
}

/// Why a text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimsError {
    /// It does not have three parts; their number.
    Parts(usize),
    /// Its header or claims are not a base64url-encoded JSON object.
    Encoding,
    /// Its header names no signature algorithm.
    Unsigned,
}

impl ClaimsError {
    /// What is wrong, as the rest of a sentence whose subject is the token.
    pub(super) fn words(self) -> String {
        match self {
            Self::Parts(count) => format!("has {count} parts instead of three"),
            Self::Encoding => "has a header or claims that are not base64url-encoded JSON".to_owned(),
            Self::Unsigned => "has a header without a signature algorithm".to_owned(),
        }
    }
}

impl Claims {
    /// Parses the claims of a token in compact form. No part of the text is kept.
    pub(super) fn read(token: &str) -> Result<Self, ClaimsError> {
        let parts: Vec<&str> = token.trim_start_matches('\u{feff}').trim().split('.').collect();
        let [header, claims, _signature] = parts.as_slice() else { return Err(ClaimsError::Parts(parts.len())) };
        let header = object(header)?;
        let field = |name| header.get(name).and_then(Value::as_str).map(str::to_owned);
        let algorithm = field("alg").filter(|algorithm| !algorithm.eq_ignore_ascii_case("none"));
        let algorithm = algorithm.ok_or(ClaimsError::Unsigned)?;
        Ok(Self { payload: object(claims)?, algorithm, key_id: field("kid") })
    }

    /// A claim that is a string.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.payload.get(name)?.as_str()
    }

    /// A string in nested objects, such as the pod's name in `kubernetes.io`.
    pub(super) fn nested(&self, path: &[&str]) -> Option<&str> {
        path.iter().try_fold(&self.payload, |value, name| value.get(name))?.as_str()
    }

    /// A claim that is a string or a list of strings.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        match self.payload.get(name) {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A claim that is a time in whole seconds since 1970, as clusters and Entra write it.
    pub(super) fn time(&self, name: &str) -> Option<Duration> {
        self.payload.get(name)?.as_u64().map(Duration::from_secs)
    }
}

fn object(part: &str) -> Result<Value, ClaimsError> {
    let bytes = URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).map_err(|_| ClaimsError::Encoding)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|_| ClaimsError::Encoding)?;
    if value.is_object() { Ok(value) } else { Err(ClaimsError::Encoding) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The claims of a token with this payload.
    pub(in super::super) fn claims(json: &str) -> Claims {
        Claims::read(&token(r#"{"alg":"RS256"}"#, json)).unwrap()
    }

    /// A token with this header and this payload, not validly signed.
    pub(in super::super) fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn claims_of_each_kind_are_read() {
        let claims = r#"{"iss":"https://i/","aud":["a","b"],"exp":1000,"kubernetes.io":{"pod":{"name":"p"}}}"#;
        let claims = Claims::read(&format!("\u{feff}{}\n", token(r#"{"alg":"RS256"}"#, claims))).unwrap();
        assert_eq!((claims.text("iss"), claims.texts("aud")), (Some("https://i/"), vec!["a", "b"]));
        assert_eq!(claims.nested(&["kubernetes.io", "pod", "name"]), Some("p"));
        assert_eq!(claims.time("exp"), Some(Duration::from_secs(1000)));
        assert_eq!((claims.text("exp"), claims.time("iss"), claims.texts("sub").len()), (None, None, 0));
    }

    #[test]
    fn the_header_names_algorithm_and_key() {
        let read = |header| Claims::read(&token(header, "{}")).map(|claims| (claims.algorithm, claims.key_id));
        let es256 = ("ES256".to_owned(), Some("k".to_owned()));
        assert_eq!(read(r#"{"alg":"ES256","kid":"k"}"#), Ok(es256));
        assert_eq!(read(r#"{"alg":"RS256","kid":1}"#), Ok(("RS256".to_owned(), None)));
    }

    #[test]
    fn what_is_no_token_says_why() {
        let unsigned = token(r#"{"alg":"none"}"#, "{}");
        for (text, error) in [
            ("", ClaimsError::Parts(1)),
            ("a.b", ClaimsError::Parts(2)),
            ("!.e30.x", ClaimsError::Encoding),
            ("e30.e30.x", ClaimsError::Unsigned),
            (&unsigned, ClaimsError::Unsigned),
        ] {
            assert_eq!(Claims::read(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(Claims::read(&token(r#"{"alg":"RS256"}"#, "[]")).unwrap_err(), ClaimsError::Encoding);
    }

    #[test]
    fn a_time_that_is_none_is_no_time() {
        for time in ["-1", "1.5", "1e300", "\"1\"", "null"] {
            let claims = Claims::read(&token(r#"{"alg":"RS256"}"#, &format!(r#"{{"exp":{time}}}"#))).unwrap();
            assert_eq!(claims.time("exp"), None, "{time}");
        }
    }
}
