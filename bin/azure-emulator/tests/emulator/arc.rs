//! The metadata service of a machine managed by Azure Arc: its challenge, and which answers it accepts.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::support::{Emulator, Received, get};

const QUERY: &str = "api-version=2020-06-01&resource=https%3A%2F%2Fmonitor.azure.com";

fn ask(emulator: &Emulator, query: &str, authorization: Option<&str>) -> Received {
    let url = format!("{}?{query}", emulator.environment("arc")["IDENTITY_ENDPOINT"]);
    let mut headers = vec![("Metadata", "true")];
    headers.extend(authorization.map(|value| ("Authorization", value)));
    get(&url, &headers)
}

/// The location of a challenge's file, found by its name whatever folder is announced.
fn file(emulator: &Emulator, received: &Received) -> PathBuf {
    let challenge = received.header("www-authenticate").unwrap();
    let realm =
        challenge.strip_prefix("Basic realm=/var/opt/azcmagent/tokens/").unwrap_or_else(|| panic!("{challenge}"));
    emulator.folder().join("arc-tokens").join(realm)
}

/// A complete exchange: the challenge, its file, the answer.
fn round(emulator: &Emulator, query: &str) -> Received {
    let challenged = ask(emulator, query, None);
    let content = fs::read_to_string(file(emulator, &challenged)).unwrap();
    ask(emulator, query, Some(&format!("Basic {content}")))
}

#[test]
fn a_challenge_names_a_small_file_that_only_owner_and_group_may_read() {
    use std::os::unix::fs::PermissionsExt;
    let emulator = Emulator::start(&[]);
    let received = ask(&emulator, QUERY, None);
    let body = received.json();
    assert_eq!((received.status(), &body["error"]), (401, &json!("unauthorized_client")));
    assert_eq!(body["error_description"], "Missing Basic Authorization header");
    let file = file(&emulator, &received);
    assert_eq!(file.extension().unwrap(), "key");
    let metadata = fs::metadata(&file).unwrap();
    assert!(metadata.len() <= 4096);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
}

#[test]
fn the_files_content_opens_once() {
    let emulator = Emulator::start(&[]);
    let challenged = ask(&emulator, QUERY, None);
    let file = file(&emulator, &challenged);
    let answer = format!("Basic {}", fs::read_to_string(&file).unwrap());
    let granted = ask(&emulator, QUERY, Some(&answer));
    assert_eq!(granted.status(), 200, "{}", granted.body());
    assert!(granted.json().as_object().unwrap().values().all(serde_json::Value::is_string));
    assert_eq!(granted.claims()["oid"], "7e57c0de-0000-4000-8000-000000000009");
    assert!(!file.exists());
    assert_eq!(ask(&emulator, QUERY, Some(&answer)).status(), 401);
}

#[test]
fn a_wrong_answer_is_challenged_anew() {
    let emulator = Emulator::start(&[]);
    ask(&emulator, QUERY, None);
    for answer in ["Basic another", "Basic ", "Bearer x"] {
        let received = ask(&emulator, QUERY, Some(answer));
        assert_eq!(received.status(), 401, "{answer}");
        assert!(file(&emulator, &received).exists());
    }
    assert_eq!(emulator.stats()["tokens_issued"], 0);
}

#[test]
fn an_identity_that_was_named_is_echoed() {
    let emulator = Emulator::start(&[]);
    assert_eq!(round(&emulator, QUERY).json()["client_id"], json!(null));
    let client = &emulator.env["AZURE_CLIENT_ID"];
    let granted = round(&emulator, &format!("{QUERY}&client_id={client}"));
    assert_eq!((&granted.json()["client_id"], &granted.claims()["appid"]), (&json!(client), &json!(client)));
    let refused = round(&emulator, &format!("{QUERY}&client_id=unknown"));
    assert!(refused.status() == 400 && refused.body().contains("Identity not found"));
}

#[test]
fn a_malformed_request_is_not_even_challenged() {
    let emulator = Emulator::start(&[]);
    let url = format!("{}?{QUERY}", emulator.environment("arc")["IDENTITY_ENDPOINT"]);
    assert_eq!(get(&url, &[]).status(), 400);
    assert_eq!(ask(&emulator, "api-version=2020-06-01", None).status(), 400);
    assert_eq!(fs::read_dir(emulator.folder().join("arc-tokens")).unwrap().count(), 0);
}

#[test]
fn an_odd_challenge_is_made_on_request_and_its_right_answer_found_out() {
    let emulator = Emulator::start(&["--arc-tokens", "/announced"]);
    for (kind, expected) in [
        ("elsewhere", emulator.folder().to_str().unwrap()),
        ("traversal", "Basic realm=/announced/../announced/"),
        ("other-extension", ".txt"),
        ("too-large", "Basic realm=/announced/"),
        ("symlink", "Basic realm=/announced/"),
        ("missing", "Basic realm=/announced/"),
        ("no-realm", "Basic"),
        ("bearer", "Bearer realm=/announced/"),
    ] {
        emulator.ask("POST", "/settings", &json!({"arc_challenge": kind}).to_string());
        let challenge = ask(&emulator, QUERY, None).header("www-authenticate").unwrap();
        assert!(challenge.contains(expected), "{kind}: {challenge}");
    }
    emulator.ask("POST", "/settings", r#"{"arc_challenge": "too-large"}"#);
    let challenge = ask(&emulator, QUERY, None).header("www-authenticate").unwrap();
    let name = challenge.rsplit('/').next().unwrap();
    let content = fs::read_to_string(emulator.folder().join("arc-tokens").join(name)).unwrap();
    assert!(content.len() > 4096);
    assert_eq!(ask(&emulator, QUERY, Some(&format!("Basic {content}"))).status(), 200);
}

#[test]
fn what_an_earlier_process_left_is_swept_away() {
    let mut emulator = Emulator::start(&[]);
    ask(&emulator, QUERY, None);
    assert_eq!(fs::read_dir(emulator.folder().join("arc-tokens")).unwrap().count(), 1);
    emulator.kill_and_start();
    assert_eq!(fs::read_dir(emulator.folder().join("arc-tokens")).unwrap().count(), 0);
}
