//! When the projected service account token expires, as it says itself. Its signature is Entra's to check.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The expiry of the assertion that was sent last, shared with the thread that sends it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expiry(Arc<AtomicU64>);

#[derive(Deserialize)]
struct Claims {
    exp: u64,
}

impl Expiry {
    /// This assertion is about to be sent.
    pub(crate) fn note(&self, assertion: &str) {
        self.0.store(expiry(assertion).unwrap_or_default(), Ordering::Relaxed);
    }

    /// Seconds since 1970; 0 while none was sent, or when it does not say.
    pub(crate) fn unix_seconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The claim `exp` (RFC 7519 §4.1.4), in seconds since 1970.
fn expiry(assertion: &str) -> Option<u64> {
    let payload = assertion.split('.').nth(1)?;
    let claims = Zeroizing::new(URL_SAFE_NO_PAD.decode(payload).ok()?);
    serde_json::from_slice::<Claims>(&claims).ok().map(|claims| claims.exp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claim_is_found_or_there_is_none() {
        let of = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
        assert_eq!(expiry(&of(r#"{"iss":"https://i/","exp":1787392800,"aud":["a"]}"#)), Some(1_787_392_800));
        for broken in
            [of(r#"{"iss":"i"}"#), of(r#"{"exp":"5"}"#), of("no"), "x.y".into(), "e30.!!.x".into(), String::new()]
        {
            assert_eq!(expiry(&broken), None, "{broken}");
        }
    }

    #[test]
    fn the_last_one_counts() {
        let last = Expiry::default();
        last.clone().note(&format!("e30.{}.x", URL_SAFE_NO_PAD.encode(r#"{"exp":7}"#)));
        assert_eq!(last.unix_seconds(), 7);
        last.note("opaque");
        assert_eq!(last.unix_seconds(), 0);
    }
}
