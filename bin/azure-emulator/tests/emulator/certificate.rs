//! Certificate assertions: signed here, with an arbitrary header and claims, and judged by the token endpoint.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::support::{Emulator, Received, now};

const TYPE: (&str, &str) = ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");

/// Merges the fields of `changes` into `document`; null removes a field.
fn changed(mut document: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            document.as_object_mut().unwrap().remove(name);
        } else {
            document[name] = value.clone();
        }
    }
    document
}

/// The certificates of a PEM file in the emulator's folder.
fn certificates(emulator: &Emulator, file: &str) -> Vec<CertificateDer<'static>> {
    let pem = fs::read(emulator.folder().join(file)).unwrap();
    CertificateDer::pem_slice_iter(&pem).map(Result::unwrap).collect()
}

/// An unsigned assertion for a certificate file.
struct Assertion<'e> {
    emulator: &'e Emulator,
    key: &'static str,
    header: Value,
    claims: Value,
}

impl<'e> Assertion<'e> {
    fn new(emulator: &'e Emulator, file: &str, key: &'static str) -> Self {
        let thumbprint = URL_SAFE_NO_PAD.encode(digest(&SHA256, &certificates(emulator, file)[0]));
        let client = &emulator.env["AZURE_CLIENT_ID"];
        let audience =
            format!("{}{}/oauth2/v2.0/token", emulator.env["AZURE_AUTHORITY_HOST"], emulator.env["AZURE_TENANT_ID"]);
        let seconds = now() / 1000;
        Assertion {
            emulator,
            key,
            header: json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}),
            claims: json!({
                "aud": audience, "iss": client, "sub": client, "jti": uuid::Uuid::new_v4(),
                "nbf": seconds, "iat": seconds, "exp": seconds + 600,
            }),
        }
    }

    fn ordinary(emulator: &'e Emulator) -> Self {
        Self::new(emulator, "client.pem", "client-key.der")
    }

    fn header(mut self, changes: &Value) -> Self {
        self.header = changed(self.header, changes);
        self
    }

    fn claims(mut self, changes: &Value) -> Self {
        self.claims = changed(self.claims, changes);
        self
    }

    fn sign(&self) -> String {
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&self.header), encode(&self.claims));
        let pair = RsaKeyPair::from_pkcs8(&fs::read(self.emulator.folder().join(self.key)).unwrap()).unwrap();
        let padding: &'static dyn RsaEncoding =
            if self.header["alg"] == "RS256" { &RSA_PKCS1_SHA256 } else { &RSA_PSS_SHA256 };
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(padding, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn send(&self) -> Received {
        self.emulator.post_credential(&[], &[TYPE, ("client_assertion", &self.sign())])
    }
}

#[test]
fn every_way_to_sign_and_to_name_the_certificate_is_taken() {
    let emulator = Emulator::start(&[]);
    let certificate = &certificates(&emulator, "client.pem")[0];
    let short = URL_SAFE_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate));
    let padded = STANDARD.encode(digest(&SHA256, certificate));
    let chain: Vec<String> =
        certificates(&emulator, "client-chain.pem").iter().map(|der| STANDARD.encode(der)).collect();
    for header in [
        json!({}),
        json!({"alg": "RS256", "x5t#S256": null, "x5t": short}),
        json!({"alg": "RS256"}),
        json!({"x5t#S256": padded}),
        json!({"x5c": chain}),
        json!({"x5c": [chain[0]]}),
    ] {
        let received = Assertion::ordinary(&emulator).header(&header).send();
        assert_eq!(received.status(), 200, "{header}: {}", received.body());
        assert_eq!(received.claims()["appidacr"], "2");
    }
    assert_eq!(Assertion::new(&emulator, "client-next.pem", "client-next-key.der").send().status(), 200);
}

#[test]
fn the_audience_is_the_token_endpoint_or_the_issuer() {
    let emulator = Emulator::start(&[]);
    let base = format!("{}{}", emulator.env["AZURE_AUTHORITY_HOST"], emulator.env["AZURE_TENANT_ID"]);
    for end in ["/oauth2/v2.0/token", "/oauth2/token", "/v2.0", "/"] {
        let claims = json!({"aud": format!("{base}{end}")});
        assert_eq!(Assertion::ordinary(&emulator).claims(&claims).send().status(), 200, "{end}");
    }
}

#[test]
fn every_fault_of_the_claims_has_its_number() {
    let emulator = Emulator::start(&[]);
    let (seconds, other) = (now() / 1000, "00000000-0000-0000-0000-000000000000");
    let audience = Assertion::ordinary(&emulator).claims["aud"].clone();
    for (claims, status, code) in [
        (json!({"aud": "https://localhost/other/oauth2/v2.0/token"}), 401, 700_023),
        (json!({"aud": "api://AzureADTokenExchange"}), 401, 700_023),
        (json!({"aud": [audience]}), 400, 50_027),
        (json!({"aud": null}), 400, 50_027),
        (json!({"iss": other}), 401, 700_021),
        (json!({"sub": other}), 401, 700_021),
        (json!({"iss": other, "sub": other}), 401, 700_021),
        (json!({"exp": seconds - 60}), 401, 700_024),
        (json!({"nbf": seconds + 60}), 401, 700_024),
        (json!({"exp": null}), 400, 50_027),
        (json!({"exp": "soon"}), 400, 50_027),
    ] {
        let received = Assertion::ordinary(&emulator).claims(&claims).send();
        assert_eq!((received.status(), received.codes()), (status, json!([code])), "{claims}: {}", received.body());
    }
    assert_eq!(emulator.stats()["tokens_issued"], 0);
}

#[test]
fn every_fault_of_the_header_has_its_number() {
    let emulator = Emulator::start(&[]);
    let stranger = STANDARD.encode(&certificates(&emulator, "client-next.pem")[0]);
    for (header, status, code) in [
        (json!({"x5t#S256": null}), 400, 50_027),
        (json!({"x5t#S256": "AAAA"}), 401, 700_027),
        (json!({"x5t#S256": null, "x5t": "AAAA"}), 401, 700_027),
        (json!({"alg": "none"}), 400, 50_027),
        (json!({"alg": "HS256"}), 400, 50_027),
        (json!({"x5c": "AAAA"}), 400, 50_027),
        (json!({"x5c": ["-----BEGIN CERTIFICATE-----"]}), 400, 50_027),
        (json!({"x5c": [STANDARD.encode("no certificate")]}), 400, 50_027),
        (json!({"x5c": [stranger]}), 400, 50_027),
    ] {
        let received = Assertion::ordinary(&emulator).header(&header).send();
        assert_eq!((received.status(), received.codes()), (status, json!([code])), "{header}: {}", received.body());
    }
}

#[test]
fn every_fault_of_the_certificate_has_its_reason() {
    let emulator = Emulator::start(&[]);
    for (file, key, reason) in [
        ("client.pem", "client-next-key.der", "did not match the expected signature value"),
        ("client-unregistered.pem", "client-next-key.der", "The key was not found"),
        ("client-expired.pem", "client-key.der", "The key used is expired"),
    ] {
        let received = Assertion::new(&emulator, file, key).send();
        assert_eq!((received.status(), received.codes()), (401, json!([700_027])), "{file}");
        let description = received.json()["error_description"].as_str().unwrap().to_owned();
        let thumbprint: String = digest(&SHA256, &certificates(&emulator, file)[0])
            .as_ref()
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02X}"));
        assert!(description.contains(reason) && description.contains(&thumbprint), "{description}");
    }
    let three_years = 3 * 365 * 24 * 60 * 60;
    emulator.ask("POST", "/settings", &json!({"clock_skew_s": three_years}).to_string());
    let late = json!({"exp": now() / 1000 + 2 * three_years});
    let received = Assertion::ordinary(&emulator).claims(&late).send();
    assert!(received.body().contains("The key used is expired"), "{}", received.body());
}

#[test]
fn a_signature_is_not_taken_for_the_other_algorithms() {
    let emulator = Emulator::start(&[]);
    let assertion = Assertion::ordinary(&emulator).sign();
    let (_, rest) = assertion.split_once('.').unwrap();
    let header = Assertion::ordinary(&emulator).header(&json!({"alg": "RS256"})).header;
    let forged = format!("{}.{rest}", URL_SAFE_NO_PAD.encode(header.to_string()));
    let received = emulator.post_credential(&[], &[TYPE, ("client_assertion", &forged)]);
    assert_eq!(received.codes(), json!([700_027]));
}

#[test]
fn a_subjects_name_is_trusted_with_its_whole_chain_only() {
    let emulator = Emulator::start(&[]);
    let chain: Vec<String> =
        certificates(&emulator, "client-unregistered.pem").iter().map(|der| STANDARD.encode(der)).collect();
    let ask = |header: Value| {
        let assertion = Assertion::new(&emulator, "client-unregistered.pem", "client-next-key.der");
        assertion.header(&header).send()
    };
    assert_eq!(ask(json!({"x5c": chain})).codes(), json!([700_027]));
    emulator.ask("POST", "/settings", r#"{"trusted_subject": "prometheus.emulated.example"}"#);
    assert_eq!(ask(json!({"x5c": chain})).status(), 200);
    assert_eq!(ask(json!({"x5c": [chain[0]]})).codes(), json!([700_027]));
    assert_eq!(ask(json!({})).codes(), json!([700_027]));
    emulator.ask("POST", "/settings", r#"{"trusted_subject": "another.example"}"#);
    assert_eq!(ask(json!({"x5c": chain})).codes(), json!([700_027]));
}

#[test]
fn a_clock_that_is_ten_minutes_off_makes_an_assertion_bad() {
    let emulator = Emulator::start(&[]);
    for skew in [-660, 660] {
        emulator.ask("POST", "/settings", &json!({"clock_skew_s": skew}).to_string());
        let received = Assertion::ordinary(&emulator).send();
        assert_eq!((received.status(), received.codes()), (401, json!([700_024])), "{skew}");
    }
}

#[test]
fn what_was_sent_can_be_looked_at() {
    let emulator = Emulator::start(&[]);
    assert_eq!(emulator.ask("GET", "/assertions", ""), "[]");
    let assertion = Assertion::ordinary(&emulator);
    assertion.send();
    Assertion::ordinary(&emulator).claims(&json!({"aud": "elsewhere"})).send();
    let shown: Value = serde_json::from_str(&emulator.ask("GET", "/assertions", "")).unwrap();
    assert_eq!((&shown[0]["header"], &shown[0]["claims"]), (&assertion.header, &assertion.claims));
    assert_eq!(shown[0]["raw"].as_str().unwrap().matches('.').count(), 2);
    assert_eq!(shown[1]["claims"]["aud"], "elsewhere");
}
