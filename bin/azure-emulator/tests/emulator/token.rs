//! The token endpoint, the issuer and the projected token, as seen by a client.

use crate::support::{Emulator, claims};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

#[test]
fn a_grant_has_entras_shape_and_the_audience_of_its_scope() {
    let emulator = Emulator::start(&["--token-life", "600s"]);
    emulator.ask("POST", "/settings", r#"{"refresh_in_s": 300}"#);
    let received = emulator.request_token(&[("scope", "https://monitor.azure.com//.default")]);
    assert_eq!(received.header("cache-control").unwrap(), "no-store, no-cache");
    let grant = received.json();
    assert_eq!((&grant["token_type"], &grant["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!((&grant["ext_expires_in"], &grant["refresh_in"]), (&json!(600), &json!(300)));
    let claims = claims(grant["access_token"].as_str().unwrap());
    assert_eq!(claims["aud"], "https://monitor.azure.com/");
    assert_eq!(claims["exp"].as_u64().unwrap() - claims["nbf"].as_u64().unwrap(), 600);
    assert_eq!(emulator.stats()["newest_token_expiry"], claims["exp"]);
}

#[test]
fn every_wrong_parameter_has_its_number() {
    let emulator = Emulator::start(&[]);
    for (name, value, status, code) in [
        ("tenant", "contoso.example", 400, 90_002),
        ("grant_type", "password", 400, 70_003),
        ("grant_type", "", 400, 900_144),
        ("client_id", "00000000-0000-0000-0000-000000000000", 400, 700_016),
        ("scope", "https://monitor.azure.com", 400, 1_002_012),
        ("scope", "https://monitor.azure.com/.default https://management.azure.com/.default", 400, 1_002_012),
        ("scope", "https://monitor.azure.cn/.default", 400, 500_011),
        ("client_assertion", "", 401, 7_000_218),
        ("client_assertion", "not.a.token", 400, 50_027),
        ("client_assertion_type", "password", 400, 900_144),
    ] {
        let received = emulator.request_token(&[(name, value)]);
        let answer = received.json();
        assert_eq!((received.status(), &answer["error_codes"]), (status, &json!([code])), "{name}={value}");
        let description = answer["error_description"].as_str().unwrap();
        assert!(description.starts_with(&format!("AADSTS{code}: ")), "{description}");
        assert!(description.contains(answer["trace_id"].as_str().unwrap()), "{description}");
    }
    assert_eq!(emulator.stats()["tokens_issued"], 0);
}

#[test]
fn every_fault_of_the_assertion_has_its_number() {
    let emulator = Emulator::start(&[]);
    for (wish, code) in [
        (json!({"issuer": "https://another.example/"}), 700_211),
        (json!({"audience": "api://another"}), 700_212),
        (json!({"subject": "system:serviceaccount:monitoring:another"}), 700_213),
        (json!({"subject": "system:serviceaccount:monitoring:PROMETHEUS"}), 7_002_138),
        (json!({"life_s": -60}), 700_024),
        (json!({"kid": "unknown"}), 700_027),
    ] {
        let assertion = emulator.ask("POST", "/projected-token", &wish.to_string());
        let received = emulator.request_token(&[("client_assertion", &assertion)]);
        assert_eq!((received.status(), &received.json()["error_codes"]), (401, &json!([code])), "{wish}");
    }
    let assertion = emulator.ask("POST", "/projected-token", "");
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{signed}.{other}{}", &signature[1..]);
    let answer = emulator.request_token(&[("client_assertion", &forged)]).json();
    assert_eq!(answer["error_codes"], json!([700_027]));
    assert_eq!(emulator.request_token(&[("client_assertion", &assertion)]).status(), 200);
}

#[test]
fn a_clock_that_differs_makes_a_good_assertion_bad_and_shows_in_the_date() {
    let emulator = Emulator::start(&[]);
    emulator.ask("POST", "/settings", r#"{"clock_skew_s": 7200}"#);
    let received = emulator.request_token(&[]);
    assert_eq!(received.json()["error_codes"], json!([700_024]));
    let date = httpdate::parse_http_date(&received.header("date").unwrap()).unwrap();
    assert!(date > std::time::SystemTime::now() + std::time::Duration::from_secs(7_000));
}

#[test]
fn federated_credentials_can_be_changed_and_put_back() {
    let emulator = Emulator::start(&[]);
    emulator.ask("POST", "/settings", r#"{"federated_credentials": [{"subject": "system:serviceaccount:a:b"}]}"#);
    assert_eq!(emulator.request_token(&[]).json()["error_codes"], json!([700_213]));
    emulator.ask("POST", "/settings", r#"{"federated_credentials": [{}]}"#);
    assert_eq!(emulator.request_token(&[]).status(), 200);
}

#[test]
fn the_issuer_publishes_the_key_that_signed_the_projected_token() {
    let emulator = Emulator::start(&[]);
    let token = std::fs::read_to_string(&emulator.env["AZURE_FEDERATED_TOKEN_FILE"]).unwrap();
    let issuer = claims(&token)["iss"].as_str().unwrap().to_owned();
    assert!(issuer.ends_with('/'));
    let url = format!("{issuer}.well-known/openid-configuration");
    let discovery = emulator.request("GET", &url, &[], b"").json();
    assert_eq!(discovery["issuer"], issuer);
    let keys = emulator.request("GET", discovery["jwks_uri"].as_str().unwrap(), &[], b"").json();
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!((&keys["keys"][0]["kid"], &keys["keys"][0]["alg"]), (&header["kid"], &json!("RS256")));
}

#[test]
fn an_issuer_that_is_down_is_noticed() {
    let emulator = Emulator::start(&[]);
    emulator.ask("POST", "/endpoints/issuer/stop", "");
    assert_eq!(emulator.request_token(&[]).json()["error_codes"], json!([501_661]));
    emulator.ask("POST", "/endpoints/issuer/start", "");
    assert_eq!(emulator.request_token(&[]).status(), 200);
}

#[test]
fn the_projected_token_is_rotated() {
    let emulator = Emulator::start(&["--rotate-every", "1s"]);
    let read = || std::fs::read_to_string(&emulator.env["AZURE_FEDERATED_TOKEN_FILE"]).unwrap();
    let first = read();
    while read() == first {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_ne!(claims(&read())["jti"], claims(&first)["jti"]);
    assert_eq!(emulator.request_token(&[]).status(), 200);
}
