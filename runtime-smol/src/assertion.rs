//! When the projected service-account token expires, by its own claim. Entra verifies its signature.

use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::file;
use crate::jwt::encoded_claims;

/// Longest token that is read, in bytes. The kubelet's are about 1 KiB.
const LONGEST: usize = 8 * 1024;

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

/// When the token in this file expires, in seconds since 1970; `None` if it holds no such token. Allocates nothing.
///
/// The kubelet replaces the token at four fifths of its lifetime. An expired one shows that it does not.
pub(crate) fn expiry_of(path: &Path) -> Option<u64> {
    let mut buffer = Zeroizing::new([0; LONGEST]);
    let length = file::open(path).ok()?.read(&mut buffer[..]).ok()?;
    expiry(buffer.get(..length)?)
}

/// The claim `exp` of a token (RFC 7519 §4.1.4).
fn expiry(token: &[u8]) -> Option<u64> {
    let mut claims = Zeroizing::new([0; LONGEST]);
    let length = URL_SAFE_NO_PAD.decode_slice(encoded_claims(token)?, &mut claims[..]).ok()?;
    serde_json::from_slice::<Claims>(claims.get(..length)?).ok().map(|claims| claims.exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claim_is_found_or_there_is_none() {
        let of = |claims: &str| format!("e30.{}.c2ln\n", URL_SAFE_NO_PAD.encode(claims));
        let real = r#"{"aud":["a"],"exp":1787392800,"kubernetes.io":{"pod":{"name":"p\u0041"}},"iss":"https://i/"}"#;
        assert_eq!(expiry(of(real).as_bytes()), Some(1_787_392_800));
        for broken in
            [of(r#"{"iss":"i"}"#), of(r#"{"exp":"5"}"#), of("no"), "x.y".into(), "e30.!!.x".into(), String::new()]
        {
            assert_eq!(expiry(broken.as_bytes()), None, "{broken}");
        }
        assert_eq!(expiry(of(&" ".repeat(LONGEST)).as_bytes()), None);
        assert_eq!(expiry_of(Path::new("/nowhere")), None);
    }
}
