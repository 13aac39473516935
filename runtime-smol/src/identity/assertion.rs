//! The assertion that an application signs itself (RFC 7523 §3; Microsoft's "certificate credentials"): PS256, with the
//! certificate's SHA-256 thumbprint, valid for ten minutes.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::{digest, signature};
use serde::Serialize;
use zeroize::Zeroizing;

use super::signer::Signer;

/// Lifetime in seconds: that of Microsoft's libraries, and the longest that Entra accepts.
const LIFE: u64 = 600;

/// The content of an assertion.
pub(super) struct Statement<'s> {
    pub(super) client_id: &'s str,
    /// The token endpoint's URL.
    pub(super) audience: &'s str,
    /// The current time, by the recipient's clock.
    pub(super) now: SystemTime,
    /// Whether to include the chain.
    pub(super) with_chain: bool,
}

#[derive(Serialize)]
struct Header {
    alg: &'static str,
    typ: &'static str,
    #[serde(rename = "x5t#S256")]
    thumbprint: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    x5c: Vec<String>,
}

#[derive(Serialize)]
struct Claims<'s> {
    aud: &'s str,
    iss: &'s str,
    sub: &'s str,
    jti: String,
    nbf: u64,
    iat: u64,
    exp: u64,
}

/// Creates and signs an assertion with a unique id.
pub(super) fn sign(signer: &Signer, statement: &Statement<'_>) -> Result<Zeroizing<String>, ring::error::Unspecified> {
    let random = SystemRandom::new();
    let header = header(signer, statement.with_chain);
    let claims = claims(statement, id(&random)?);
    let mut assertion = Zeroizing::new(format!("{}.{}", encoded(&header), encoded(&claims)));
    let mut mark = vec![0; signer.key.public().modulus_len()];
    signer.key.sign(&signature::RSA_PSS_SHA256, &random, assertion.as_bytes(), &mut mark)?;
    assertion.push('.');
    URL_SAFE_NO_PAD.encode_string(&mark, &mut assertion);
    Ok(assertion)
}

fn header(signer: &Signer, with_chain: bool) -> Header {
    let thumbprint = digest::digest(&digest::SHA256, &signer.leaf.der);
    let chain = std::iter::once(&signer.leaf).chain(&signer.chain).filter(|_| with_chain);
    Header {
        alg: "PS256",
        typ: "JWT",
        thumbprint: URL_SAFE_NO_PAD.encode(thumbprint),
        // Base64 with padding, unlike everything around it (RFC 7515 §4.1.6).
        x5c: chain.map(|certificate| STANDARD.encode(&certificate.der)).collect(),
    }
}

fn claims<'s>(statement: &Statement<'s>, jti: String) -> Claims<'s> {
    let now = statement.now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let &Statement { client_id, audience, .. } = statement;
    Claims { aud: audience, iss: client_id, sub: client_id, jti, nbf: now, iat: now, exp: now + LIFE }
}

/// Strings and numbers always serialize to JSON.
fn encoded(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

/// A random UUID (RFC 9562 §5.4).
fn id(random: &SystemRandom) -> Result<String, ring::error::Unspecified> {
    let mut bytes = [0; 16];
    random.fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0F | 0x40;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
