//! The client secret: in the form, in the header, wrong, and expired.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Emulator, form, now};

fn secret(emulator: &Emulator) -> String {
    emulator.environment("secret")["AZURE_CLIENT_SECRET"].clone()
}

#[test]
fn a_secret_in_the_form_gives_a_token_that_says_so() {
    let emulator = Emulator::start(&[]);
    let received = emulator.post_credential(&[], &[("client_secret", &secret(&emulator))]);
    assert_eq!(received.status(), 200, "{}", received.body());
    assert_eq!((&received.claims()["appidacr"], received.json()["expires_in"].as_u64()), (&json!("1"), Some(86_399)));
    assert_eq!(emulator.request_token(&[]).claims()["appidacr"], "2");
}

#[test]
fn a_secret_in_the_header_is_form_encoded_before_it_is_joined() {
    let emulator = Emulator::start(&[]);
    let encoded = |text: &str| form(&[("", text)]).trim_start_matches('=').to_owned();
    let client = &emulator.env["AZURE_CLIENT_ID"];
    let basic = |secret: &str| format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(client), encoded(secret))));
    let ask = |value: &str| emulator.post_credential(&[("Authorization", value)], &[]);
    assert_eq!(ask(&basic(&secret(&emulator))).status(), 200);
    assert_eq!(ask(&basic("another")).codes(), json!([7_000_215]));
    assert_eq!(ask("Basic ?").codes(), json!([7_000_218]));
}

#[test]
fn a_wrong_secret_has_its_number_and_is_not_repeated() {
    let emulator = Emulator::start(&[]);
    let good = secret(&emulator);
    for bad in ["another".to_owned(), format!("{good}\n"), good.to_uppercase()] {
        let received = emulator.post_credential(&[], &[("client_secret", &bad)]);
        assert_eq!((received.status(), received.codes()), (401, json!([7_000_215])));
        assert!(!received.body().contains(bad.trim()), "{}", received.body());
        assert_eq!(received.json()["error"], "invalid_client");
    }
}

#[test]
fn a_secret_ends_with_its_time_and_can_be_replaced() {
    let mut emulator = Emulator::start(&[]);
    let good = secret(&emulator);
    let ask = |emulator: &Emulator, secret: &str| emulator.post_credential(&[], &[("client_secret", secret)]);
    let change = |emulator: &Emulator, changes: Value| emulator.ask("POST", "/settings", &changes.to_string());
    let seconds = now() / 1000;
    change(&emulator, json!({"client_secret_expiry_s": seconds + 600}));
    assert_eq!(ask(&emulator, &good).status(), 200);
    change(&emulator, json!({"client_secret_expiry_s": seconds - 1}));
    assert_eq!(ask(&emulator, &good).codes(), json!([7_000_222]));
    assert_eq!(ask(&emulator, "another").codes(), json!([7_000_215]));
    change(&emulator, json!({"client_secret_expiry_s": 0, "client_secret": "a new one"}));
    assert_eq!(ask(&emulator, &good).codes(), json!([7_000_215]));
    assert_eq!(secret(&emulator), "a new one");
    emulator.kill_and_start();
    assert_eq!(ask(&emulator, "a new one").status(), 200);
    assert_eq!(secret(&emulator), "a new one");
}
