//! App Service's token endpoint, as seen by a process of the app.

use serde_json::json;

use crate::support::{Emulator, Received, get, now};

const QUERY: &str = "api-version=2019-08-01&resource=https%3A%2F%2Fmonitor.azure.com";

fn ask(emulator: &Emulator, query: &str, header: Option<&str>) -> Received {
    let environment = emulator.environment("app-service");
    let url = format!("{}?{query}", environment["IDENTITY_ENDPOINT"]);
    let value = header.unwrap_or(&environment["IDENTITY_HEADER"]);
    get(&url, &[("X-IDENTITY-HEADER", value)])
}

#[test]
fn a_grant_says_when_it_ends_and_not_how_long_it_lives() {
    let emulator = Emulator::start(&["--token-life", "3600s"]);
    let received = ask(&emulator, QUERY, None);
    let grant = received.json();
    assert_eq!(grant.get("expires_in"), None);
    let expiry: i64 = grant["expires_on"].as_str().unwrap().parse().unwrap();
    assert!((expiry - now() / 1000 - 3600).abs() <= 5, "{grant}");
    assert_eq!(received.claims()["oid"], "7e57c0de-0000-4000-8000-000000000009");
}

#[test]
fn an_identity_is_named_by_each_of_its_ids() {
    let emulator = Emulator::start(&[]);
    let client = &emulator.env["AZURE_CLIENT_ID"];
    let by_client = ask(&emulator, &format!("{QUERY}&client_id={client}"), None).claims();
    let path = by_client["xms_mirid"].as_str().unwrap();
    let object = by_client["oid"].as_str().unwrap();
    for name in [format!("mi_res_id={path}"), format!("object_id={object}"), format!("principal_id={object}")] {
        assert_eq!(ask(&emulator, &format!("{QUERY}&{name}"), None).claims()["oid"], object, "{name}");
    }
}

#[test]
fn every_refusal_has_the_endpoints_shape() {
    let emulator = Emulator::start(&[]);
    let other = "api-version=2019-08-01&resource=https%3A%2F%2Fmonitor.azure.cn";
    for (query, header, status, message) in [
        (QUERY, Some("another"), 401, "X-IDENTITY-HEADER"),
        (QUERY, Some(""), 401, "X-IDENTITY-HEADER"),
        ("api-version=2019-08-01", None, 400, "'resource' is missing"),
        ("api-version=2017-09-01&resource=x", None, 400, "not supported"),
        (&format!("{QUERY}&client_id=unknown"), None, 400, "No User Assigned or Delegated Managed Identity found"),
        (other, None, 500, "An unexpected error occured while fetching the AAD Token."),
    ] {
        let received = ask(&emulator, query, header);
        let body = received.json();
        assert_eq!((received.status(), body["statusCode"].as_u64()), (status, Some(status.into())), "{query}");
        assert!(body["message"].as_str().unwrap().contains(message), "{body}");
        assert!(body["correlationId"].is_string());
    }
    let header = emulator.environment("app-service")["IDENTITY_HEADER"].clone();
    assert!(!emulator.ask("GET", "/requests", "").contains(&header));
    assert_eq!(emulator.stats()["requests"]["app-service"], json!({"400": 3, "401": 2, "500": 1}));
}
