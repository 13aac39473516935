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

/// Shortest part of a token that is hidden, in bytes: a shorter one could be a word of any text.
const PART: usize = 16;

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

    /// Overwrites the token wherever `text` repeats it, also the part of one that is cut off at the end of the text. A
    /// part of it may have been overwritten by `*` already.
    pub(crate) fn hide_in(&self, text: &mut [u8]) {
        let token = self.0.strip_prefix(b"Bearer ").unwrap_or_default();
        let end = text.trim_ascii_end().len();
        for at in 0..end {
            let shown = token.len().min(end - at);
            let there = text.get_mut(at..at + shown).filter(|there| there.len() >= PART);
            let is_token = |there: &&mut [u8]| there.iter().zip(token).all(|(byte, own)| byte == own || *byte == b'*');
            if let Some(there) = there.filter(is_token) {
                there.fill(b'*');
            }
        }
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
    fn a_token_is_hidden_wherever_a_text_repeats_it() {
        let token = "0.opaque~token/of+32=characters!";
        let bearer = Bearer::new(token).unwrap();
        for (text, hidden) in [
            (token.to_owned(), "*".repeat(32)),
            (format!("you sent Bearer {token}, {token}"), format!("you sent Bearer {0}, {0}", "*".repeat(32))),
            (format!("0.opaque{token}\n"), format!("0.opaque{}\n", "*".repeat(32))),
            (format!("cut: {}\n", &token[..31]), format!("cut: {}\n", "*".repeat(31))),
            (format!("cut: {}", &token[..PART]), format!("cut: {}", "*".repeat(PART))),
            (token.replace("token/of", "********"), "*".repeat(32)),
            ("0.opaque~token is a word".to_owned(), "0.opaque~token is a word".to_owned()),
            (String::new(), String::new()),
        ] {
            let mut told = text.clone().into_bytes();
            bearer.hide_in(&mut told);
            assert_eq!(String::from_utf8(told).unwrap(), hidden, "{text}");
        }
        let mut text = b"a word".to_vec();
        Bearer::new("word").unwrap().hide_in(&mut text);
        assert_eq!(text, b"a word", "too short to be a token");
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
