//! The token request as received: a form, and for a client secret optionally HTTP's own header (RFC 6749 §2.3.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{AUTHORIZATION, HeaderMap};

/// The relevant fields of the form; the last occurrence of a repeated field counts.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) grant_type: String,
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) assertion_type: String,
    pub(super) assertion: String,
    pub(super) secret: String,
}

impl Form {
    pub(super) fn decode(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut form = Form::default();
        for (name, value) in form_urlencoded::parse(body) {
            let field = match &*name {
                "grant_type" => &mut form.grant_type,
                "client_id" => &mut form.client_id,
                "scope" => &mut form.scope,
                "client_assertion_type" => &mut form.assertion_type,
                "client_assertion" => &mut form.assertion,
                "client_secret" => &mut form.secret,
                _ => continue,
            };
            *field = value.into_owned();
        }
        if let Some((client_id, secret)) = basic(headers) {
            (form.client_id, form.secret) = (client_id, secret);
        }
        form
    }
}

/// ID and secret from an `Authorization: Basic` header. Unlike elsewhere in HTTP, both are form-encoded before they are
/// joined.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (client_id, secret) = credentials.split_once(':')?;
    scheme.eq_ignore_ascii_case("Basic").then(|| (form_decoded(client_id), form_decoded(secret)))
}

/// Decodes one value of a form.
fn form_decoded(text: &str) -> String {
    let pair = [b"=", text.as_bytes()].concat();
    form_urlencoded::parse(&pair).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_comes_in_the_body_or_in_the_header() {
        let form = Form::decode(&HeaderMap::new(), b"client_id=a&client_secret=x%2By%26z+%25&client_id=b");
        assert_eq!((form.client_id.as_str(), form.secret.as_str()), ("b", "x+y&z %"));
        let mut headers = HeaderMap::new();
        let value = format!("basic {}", STANDARD.encode("c:x%2By%26z+%25%3A"));
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        let form = Form::decode(&headers, b"grant_type=client_credentials");
        assert_eq!((form.client_id.as_str(), form.secret.as_str()), ("c", "x+y&z %:"));
        assert_eq!(form.grant_type, "client_credentials");
    }
}
