//! Secrets in memory: redacted in `Debug`, overwritten on drop.

use std::fmt;

use zeroize::Zeroizing;

/// A secret text: a client secret, a password, a header's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Keeps `text` as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// The value of an `Authorization` field, ready to be sent.
#[derive(Clone)]
pub(crate) struct Bearer(Zeroizing<Vec<u8>>);

impl Bearer {
    /// From `access_token` as granted; `None` if it is not valid in a header field.
    pub(crate) fn new(access_token: &str) -> Option<Self> {
        let sound = !access_token.is_empty() && access_token.bytes().all(|byte| byte.is_ascii_graphic());
        sound.then(|| Self(Zeroizing::new([b"Bearer ", access_token.as_bytes()].concat())))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let bearer = Bearer::new("eyJ0eXAi.x.y").unwrap();
        assert_eq!(bearer.as_bytes(), b"Bearer eyJ0eXAi.x.y");
        assert!(!format!("{bearer:?} {:?}", Some(&bearer)).contains("eyJ"));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::new("hush");
        assert_eq!(secret.reveal(), "hush");
        assert!(!format!("{secret:?}").contains("hush"));
    }

    #[test]
    fn tokens_that_could_break_a_header_are_refused() {
        for token in ["", "a b", "a\r\nX: y", "a\u{e9}"] {
            assert!(Bearer::new(token).is_none(), "{token:?}");
        }
    }
}
