//! A virtual machine's metadata service, as seen by a client on the machine.

use serde_json::{Value, json};

use crate::support::{Emulator, Received, frame, get, now};

const METADATA: [(&str, &str); 1] = [("Metadata", "true")];
const RESOURCE: &str = "resource=https%3A%2F%2Fmonitor.azure.com";
const SYSTEM: &str = "7e57c0de-0000-4000-8000-000000000009";
const CLIENT: &str = "7e57c0de-0000-4000-8000-000000000003";

fn url(emulator: &Emulator, query: &str) -> String {
    let host = &emulator.environment("imds-system")["AZURE_POD_IDENTITY_AUTHORITY_HOST"];
    format!("{host}/metadata/identity/oauth2/token?{query}")
}

fn ask(emulator: &Emulator, query: &str) -> Received {
    get(&url(emulator, &format!("api-version=2018-02-01&{RESOURCE}{query}")), &METADATA)
}

fn set(emulator: &Emulator, changes: &Value) {
    emulator.ask("POST", "/settings", &changes.to_string());
}

#[test]
fn every_value_of_a_grant_is_a_text() {
    let emulator = Emulator::start(&["--token-life", "3600s"]);
    let received = ask(&emulator, "");
    assert!(received.header("server").unwrap().starts_with("IMDS/"));
    let grant = received.json();
    assert!(grant.as_object().unwrap().values().all(Value::is_string), "{grant}");
    assert_eq!((&grant["resource"], &grant["token_type"]), (&json!("https://monitor.azure.com"), &json!("Bearer")));
    let number = |name: &str| grant[name].as_str().unwrap().parse::<i64>().unwrap();
    assert_eq!((number("expires_in"), number("ext_expires_in")), (3600, 3600));
    assert!((number("expires_on") - now() / 1000 - 3600).abs() <= 5, "{grant}");
    let claims = received.claims();
    assert_eq!((&claims["oid"], &claims["aud"]), (&json!(SYSTEM), &json!("https://monitor.azure.com")));
    assert_eq!(grant["client_id"], claims["appid"]);
}

#[test]
fn a_token_of_an_identity_opens_the_ingestion_endpoint() {
    let emulator = Emulator::start(&[]);
    let token = ask(&emulator, "").json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(emulator.write(&token, &frame(&[(now(), 1.0)])).status(), 204);
    emulator.ask("POST", "/roles/revoke", "");
    let refused = emulator.write(&token, &frame(&[(now(), 1.0)]));
    assert!(refused.status() == 403 && refused.body().contains(SYSTEM), "{}", refused.body());
}

#[test]
fn an_identity_is_named_by_each_of_its_ids() {
    let emulator = Emulator::start(&[]);
    let path = ask(&emulator, &format!("&object_id={CLIENT}")).claims()["xms_mirid"].as_str().unwrap().to_owned();
    assert!(path.ends_with("/userAssignedIdentities/prometheus"));
    for name in [format!("client_id={}", emulator.env["AZURE_CLIENT_ID"]), format!("msi_res_id={path}")] {
        assert_eq!(ask(&emulator, &format!("&{name}")).claims()["oid"], CLIENT, "{name}");
    }
    let user = emulator.environment("imds-user");
    assert_eq!(user["AZURE_CLIENT_ID"], emulator.env["AZURE_CLIENT_ID"]);
}

#[test]
fn an_identity_that_is_not_there_is_not_found() {
    let emulator = Emulator::start(&[]);
    let not_found = |received: &Received| {
        let expected = json!({"error": "invalid_request", "error_description": "Identity not found"});
        assert_eq!((received.status(), received.json()), (400, expected));
    };
    not_found(&ask(&emulator, "&client_id=00000000-0000-0000-0000-000000000000"));
    not_found(&ask(&emulator, "&mi_res_id=/subscriptions/unknown&object_id=unknown"));
    set(&emulator, &json!({"system_assigned": false, "user_assigned": []}));
    not_found(&ask(&emulator, ""));
}

#[test]
fn of_several_identities_one_must_be_named() {
    let emulator = Emulator::start(&[]);
    set(&emulator, &json!({"system_assigned": false}));
    assert_eq!(ask(&emulator, "").claims()["oid"], CLIENT);
    set(&emulator, &json!({"user_assigned": [{}, {"client_id": "second", "object_id": "object"}]}));
    let received = ask(&emulator, "");
    assert!(received.status() == 400 && received.body().contains("Multiple user assigned identities exist"));
    assert_eq!(ask(&emulator, "&client_id=second").claims()["oid"], "object");
}

#[test]
fn every_malformed_request_is_refused_in_the_services_shape() {
    let emulator = Emulator::start(&[]);
    let good = format!("api-version=2018-02-01&{RESOURCE}");
    let forwarded = [("Metadata", "true"), ("X-Forwarded-For", "10.0.0.1")];
    let other = "api-version=2018-02-01&resource=https%3A%2F%2Fmonitor.azure.cn";
    for (query, headers, status, error, text) in [
        (good.as_str(), &[][..], 400, "bad_request_102", "Required metadata header not specified"),
        (&good, &[("Metadata", "false")], 400, "bad_request_102", "Required metadata header not specified"),
        (&good, &forwarded, 400, "invalid_request", "proxy"),
        (RESOURCE, &METADATA, 400, "invalid_request", "'api-version' is missing"),
        ("api-version=2018-02-01", &METADATA, 400, "invalid_request", "'resource' is missing"),
        ("api-version=2017-12-01&resource=x", &METADATA, 400, "invalid_request", "not supported"),
        (other, &METADATA, 400, "invalid_resource", "AADSTS500011"),
    ] {
        let received = get(&url(&emulator, query), headers);
        let body = received.json();
        assert_eq!((received.status(), body["error"].as_str()), (status, Some(error)), "{query}");
        assert!(body["error_description"].as_str().unwrap().contains(text), "{body}");
    }
    let host = &emulator.environment("imds-system")["AZURE_POD_IDENTITY_AUTHORITY_HOST"];
    assert_eq!(get(&format!("{host}/metadata/instance?{good}"), &METADATA).status(), 404);
    assert_eq!(emulator.stats()["tokens_issued"], 0);
}

#[test]
fn a_cached_token_has_lived_already() {
    let emulator = Emulator::start(&["--token-life", "3600s"]);
    set(&emulator, &json!({"managed_token_age_s": 3000}));
    let received = ask(&emulator, "");
    assert_eq!(received.json()["expires_in"], "600");
    assert!((received.claims()["exp"].as_i64().unwrap() - now() / 1000 - 600).abs() <= 5);
}

#[test]
fn the_clock_of_azure_shows_in_times_and_not_in_durations() {
    let emulator = Emulator::start(&["--token-life", "3600s"]);
    set(&emulator, &json!({"clock_skew_s": 600}));
    let grant = ask(&emulator, "").json();
    assert_eq!(grant["expires_in"], "3600");
    let expiry: i64 = grant["expires_on"].as_str().unwrap().parse().unwrap();
    assert!((expiry - now() / 1000 - 4200).abs() <= 5, "{grant}");
}
