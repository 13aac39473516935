//! The claims of a JSON web token (RFC 7519), read for display and for its expiry. Nothing is verified; that is up to
//! the token's recipient.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// The claims of a compact token, still in base64url. Padding, which does not belong there (RFC 7515 §2), is cut off.
pub(crate) fn encoded_claims(token: &[u8]) -> Option<&[u8]> {
    let claims = token.split(|&byte| byte == b'.').nth(1)?;
    claims.get(..claims.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1))
}

/// The claims of a compact token; `None` if it is not one, or if its claims do not match `T`.
pub(crate) fn claims<T: DeserializeOwned>(token: &[u8]) -> Option<T> {
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded_claims(token)?).ok()?);
    serde_json::from_slice(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_read_with_and_without_padding() {
        for token in ["e30.eyJhIjoxfQ.c2ln", "e30.eyJhIjoxfQ==.c2ln"] {
            let claims: serde_json::Value = claims(token.as_bytes()).unwrap();
            assert_eq!(claims, serde_json::json!({"a": 1}), "{token}");
        }
        for token in ["", "e30", "e30..c2ln", "e30.=.c2ln", "e30.!!.c2ln"] {
            assert_eq!(claims::<serde_json::Value>(token.as_bytes()), None, "{token}");
        }
    }
}
