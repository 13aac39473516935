use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::*;

const NOW: u64 = 1_700_000_000;

fn signer() -> Signer {
    Signer::decode(include_bytes!("../signer/files/plain.pem"), None).unwrap()
}

fn signed(with_chain: bool) -> String {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let statement = Statement { client_id: "client", audience: "https://login.example/t", now, with_chain };
    sign(&signer(), &statement).unwrap().to_string()
}

fn part(assertion: &str, place: usize) -> Value {
    let text = assertion.split('.').nth(place).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

#[test]
fn the_claims_are_those_that_entra_wants() {
    let claims = part(&signed(false), 1);
    for (name, value) in [
        ("aud", json!("https://login.example/t")),
        ("iss", json!("client")),
        ("sub", json!("client")),
        ("nbf", json!(NOW)),
        ("exp", json!(NOW + 600)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert_eq!(claims["jti"].as_str().map(str::len), Some(36));
}

#[test]
fn the_header_names_the_certificate_and_carries_the_chain_if_asked() {
    let header = part(&signed(false), 0);
    let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &signer().leaf.der));
    assert_eq!(header, json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}));
    let chain = part(&signed(true), 0)["x5c"].clone();
    assert_eq!(chain[0], json!(STANDARD.encode(signer().leaf.der)));
    assert_eq!(chain.as_array().map(Vec::len), Some(2));
}

#[test]
fn the_signature_verifies() {
    let assertion = signed(false);
    let (signed, mark) = assertion.rsplit_once('.').unwrap();
    let mark = URL_SAFE_NO_PAD.decode(mark).unwrap();
    let key = signer().leaf.public_key;
    let key = signature::UnparsedPublicKey::new(&signature::RSA_PSS_2048_8192_SHA256, key);
    assert!(key.verify(signed.as_bytes(), &mark).is_ok());
    assert!(key.verify(b"other", &mark).is_err());
}

#[test]
fn every_assertion_has_an_id_of_its_own() {
    let ids: BTreeSet<_> = (0..20).map(|_| part(&signed(false), 1)["jti"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 20);
    assert!(ids.iter().all(|id| id.as_bytes()[14] == b'4'), "version 4");
}
