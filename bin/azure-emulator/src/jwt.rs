//! Signed tokens in compact form, RS256 and PS256: RFC 7515 for the format, RFC 7518 §3.3 and §3.5 for the algorithms,
//! RFC 7517 for the public key. The emulator's own tokens are RS256. It does not interpret the claims.

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use rsa::pkcs8::EncodePrivateKey;
use serde_json::{Value, json};

use crate::directory::Directory;

/// An RSA-2048 key pair and the ID under which its public key is published.
#[derive(Debug)]
pub(crate) struct SigningKey {
    pair: RsaKeyPair,
    public: RsaPublicKeyComponents<Vec<u8>>,
    id: String,
}

impl SigningKey {
    /// Loads the pair of [`private_key`].
    pub(crate) fn load(directory: &Directory, name: &str) -> io::Result<Self> {
        let der = private_key(directory, name)?;
        let pair = RsaKeyPair::from_pkcs8(&der).map_err(|error| io::Error::other(format!("{name}.der: {error}")))?;
        let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
        let digest = ring::digest::digest(&ring::digest::SHA256, &public.n);
        Ok(SigningKey { pair, public, id: URL_SAFE_NO_PAD.encode(digest) })
    }

    /// A token with these claims, its header naming the key as `kid`.
    pub(crate) fn sign(&self, claims: &Value) -> io::Result<String> {
        self.sign_as(&self.id, claims)
    }

    /// Like [`sign`](Self::sign), with another key ID in the header.
    pub(crate) fn sign_as(&self, key_id: &str, claims: &Value) -> io::Result<String> {
        let header = json!({"alg": "RS256", "kid": key_id, "typ": "JWT"});
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| io::Error::other("signing failed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whether this key made the token's RS256 signature, regardless of the key ID in the header.
    pub(crate) fn verify(&self, token: &Jwt) -> bool {
        token.algorithm == Algorithm::Rs256 && verify(&self.public, token)
    }

    /// Whether the token's header names this key.
    pub(crate) fn is_named_by(&self, token: &Jwt) -> bool {
        token.header["kid"].as_str() == Some(&self.id)
    }

    /// The public half as a JSON Web Key.
    pub(crate) fn public_jwk(&self) -> Value {
        json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id,
            "n": URL_SAFE_NO_PAD.encode(&self.public.n), "e": URL_SAFE_NO_PAD.encode(&self.public.e),
        })
    }
}

/// The signature algorithm in a token's header (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
}

impl Algorithm {
    fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Algorithm::Rs256),
            "PS256" => Some(Algorithm::Ps256),
            _ => None,
        }
    }
}

/// A parsed token; nothing about it is verified yet.
#[derive(Debug)]
pub(crate) struct Jwt {
    pub(crate) header: Value,
    pub(crate) claims: Value,
    pub(crate) algorithm: Algorithm,
    /// The signed text: header and claims as received.
    pub(crate) signed: String,
    pub(crate) signature: Vec<u8>,
}

impl Jwt {
    /// `None` unless it is three base64url parts, the first two JSON objects, with the algorithm RS256 or PS256.
    pub(crate) fn decode(text: &str) -> Option<Jwt> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let (header, claims) = (decode(header)?, decode(claims)?);
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let algorithm = Algorithm::named(header["alg"].as_str()?)?;
        claims.is_object().then(|| Jwt { header, claims, algorithm, signed: signed.to_owned(), signature })
    }

    /// A string claim; empty if it is absent or not a string.
    pub(crate) fn text(&self, claim: &str) -> &str {
        self.claims[claim].as_str().unwrap_or_default()
    }

    /// A time claim, truncated to whole seconds since 1970. It may have a fraction (RFC 7519 §2, `NumericDate`), as in
    /// MSAL for Python's assertions.
    pub(crate) fn time(&self, claim: &str) -> Option<u64> {
        let time = Duration::try_from_secs_f64(self.claims[claim].as_f64()?).ok()?;
        Some(time.as_secs())
    }

    /// `aud`: a string or a list of strings (RFC 7519 §4.1.3).
    pub(crate) fn audiences(&self) -> Vec<&str> {
        match &self.claims["aud"] {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        }
    }
}

fn verify(key: &RsaPublicKeyComponents<Vec<u8>>, token: &Jwt) -> bool {
    key.verify(&RSA_PKCS1_2048_8192_SHA256, token.signed.as_bytes(), &token.signature).is_ok()
}

/// An RSA-2048 key as PKCS #8: `{name}.der` in the folder, created if it does not exist, which takes a moment.
pub(crate) fn private_key(directory: &Directory, name: &str) -> io::Result<Vec<u8>> {
    let file = format!("{name}.der");
    if let Some(der) = directory.read(&file)? {
        return Ok(der);
    }
    let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).map_err(io::Error::other)?;
    let der = key.to_pkcs8_der().map_err(io::Error::other)?.as_bytes().to_vec();
    directory.replace(&file, &der)?;
    Ok(der)
}

fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

fn decode(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::temporary;

    /// RFC 7515 appendix A.2: a signature made by others.
    #[test]
    fn accepts_the_rfcs_own_token_and_not_a_changed_one() {
        let public = RsaPublicKeyComponents { n: URL_SAFE_NO_PAD.decode(RFC_MODULUS).unwrap(), e: vec![1, 0, 1] };
        let token = Jwt::decode(RFC_TOKEN).unwrap();
        assert_eq!(token.text("iss"), "joe");
        assert!(verify(&public, &token));
        let changed = Jwt::decode(&RFC_TOKEN.replace("eyJpc3MiOiJqb2Ui", "eyJpc3MiOiJqb2Qi")).unwrap();
        assert!(!verify(&public, &changed));
    }

    #[test]
    fn a_key_survives_a_restart_and_knows_its_own_tokens() {
        let directory = temporary();
        let token = SigningKey::load(&directory, "a").unwrap().sign(&json!({"aud": ["x"], "exp": 5})).unwrap();
        let token = Jwt::decode(&token).unwrap();
        let key = SigningKey::load(&directory, "a").unwrap();
        assert!(key.verify(&token) && key.is_named_by(&token));
        assert_eq!((token.audiences(), token.time("exp")), (vec!["x"], Some(5)));
        let stranger = SigningKey::load(&directory, "b").unwrap();
        assert!(!stranger.verify(&token) && !stranger.is_named_by(&token));
        std::fs::remove_dir_all(directory.path("")).unwrap();
    }

    #[test]
    fn a_time_may_have_a_fraction_and_nothing_else_is_a_time() {
        let claims = json!({"a": 1_800_000_000, "b": 1_800_000_000.75, "c": -1, "d": "1800000000", "e": 1e300});
        let token = format!("{}.{}.", encode(&json!({"alg": "PS256"})), encode(&claims));
        let token = Jwt::decode(&token).unwrap();
        assert_eq!((token.time("a"), token.time("b")), (Some(1_800_000_000), Some(1_800_000_000)));
        assert_eq!(["c", "d", "e", "f"].map(|claim| token.time(claim)), [None; 4]);
    }

    #[test]
    fn refuses_what_is_not_a_signed_token() {
        for text in
            ["", "a.b", "a.b.c", "e30.e30.", &format!("{}.{}.", encode(&json!({"alg": "none"})), encode(&json!({})))]
        {
            assert!(Jwt::decode(text).is_none(), "{text}");
        }
    }

    const RFC_MODULUS: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const RFC_TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
}
