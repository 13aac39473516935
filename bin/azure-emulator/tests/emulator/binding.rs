//! An AKS cluster's token proxy for identity bindings: its TLS, its path, and the tokens it accepts.

use std::collections::HashMap;
use std::fs;

use serde_json::json;

use crate::support::{Emulator, End, FORM, Received, connect_to, connect_without_sni, exchange, form};

/// A pod that uses an identity binding.
struct Pod {
    emulator: Emulator,
    env: HashMap<String, String>,
}

impl Pod {
    fn new() -> Self {
        let emulator = Emulator::start(&[]);
        let env = emulator.environment("identity-binding");
        Pod { emulator, env }
    }

    fn url(&self) -> String {
        format!("{}/{}/oauth2/v2.0/token", self.env["AZURE_KUBERNETES_TOKEN_PROXY"], self.env["AZURE_TENANT_ID"])
    }

    fn ask(&self, url: &str, name: &str, authority: &str) -> Received {
        let assertion = fs::read_to_string(&self.env["AZURE_FEDERATED_TOKEN_FILE"]).unwrap();
        let body = form(&[
            ("grant_type", "client_credentials"),
            ("client_id", &self.env["AZURE_CLIENT_ID"]),
            ("scope", "https://monitor.azure.com/.default"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ]);
        exchange(&mut connect_to(url, name, authority).unwrap(), "POST", url, &[FORM], body.as_bytes())
    }

    fn ask_rightly(&self) -> Received {
        self.ask(&self.url(), &self.env["AZURE_KUBERNETES_SNI_NAME"], &self.env["AZURE_KUBERNETES_CA_FILE"])
    }
}

#[test]
fn a_token_comes_through_the_proxy() {
    let pod = Pod::new();
    let received = pod.ask_rightly();
    assert_eq!(received.claims()["appid"], pod.env["AZURE_CLIENT_ID"]);
    assert_eq!(pod.emulator.stats()["requests"]["identity-binding"], json!({"200": 1}));
}

#[test]
fn only_the_right_server_name_is_answered_and_only_its_authority_vouches_for_it() {
    let pod = Pod::new();
    let (name, authority) = (&pod.env["AZURE_KUBERNETES_SNI_NAME"], &pod.env["AZURE_KUBERNETES_CA_FILE"]);
    for (name, authority) in
        [("localhost", authority), ("another.example", authority), (name, &pod.env["SSL_CERT_FILE"])]
    {
        let received = pod.ask(&pod.url(), name, authority);
        assert!(matches!(received.end, End::Broken(_)) && received.bytes.is_empty(), "{name}: {received:?}");
    }
    let mut unnamed = connect_without_sni(&pod.url(), name, authority).unwrap();
    let received = exchange(&mut unnamed, "POST", &pod.url(), &[FORM], b"");
    assert!(matches!(received.end, End::Broken(_)) && received.bytes.is_empty(), "{received:?}");
    assert_eq!(pod.emulator.stats()["requests"], json!({}));
}

#[test]
fn the_authority_can_be_changed_while_the_proxy_runs() {
    let pod = Pod::new();
    let old = format!("{}.old", pod.env["AZURE_KUBERNETES_CA_FILE"]);
    fs::copy(&pod.env["AZURE_KUBERNETES_CA_FILE"], &old).unwrap();
    pod.emulator.ask("POST", "/identity-binding/rotate", "");
    assert_eq!(pod.ask_rightly().status(), 200);
    let received = pod.ask(&pod.url(), &pod.env["AZURE_KUBERNETES_SNI_NAME"], &old);
    assert!(matches!(received.end, End::Broken(_)), "{received:?}");
}

#[test]
fn the_proxy_answers_on_its_own_path_only() {
    let pod = Pod::new();
    let (name, authority) = (&pod.env["AZURE_KUBERNETES_SNI_NAME"], &pod.env["AZURE_KUBERNETES_CA_FILE"]);
    let bare = pod.url().replace("/token-proxy", "");
    assert_eq!(pod.ask(&bare, name, authority).status(), 404);
    assert_eq!(pod.ask(&pod.url().replace("v2.0/token", "v2.0/keys"), name, authority).status(), 404);
}

#[test]
fn tokens_for_entra_and_for_the_proxy_are_not_the_same() {
    let pod = Pod::new();
    let directly = fs::read_to_string(&pod.env["AZURE_FEDERATED_TOKEN_FILE"]).unwrap();
    let refused = pod.emulator.request_token(&[("client_assertion", &directly)]);
    assert_eq!((refused.status(), refused.codes()), (401, json!([700_212])));
    assert!(refused.body().contains("api://AKSIdentityBinding"));

    let wish = r#"{"binding": true, "write": true, "audience": "api://AzureADTokenExchange"}"#;
    pod.emulator.ask("POST", "/projected-token", wish);
    assert_eq!(pod.ask_rightly().codes(), json!([700_212]));
    pod.emulator.ask("POST", "/projected-token", r#"{"binding": true, "write": true, "life_s": -60}"#);
    assert_eq!(pod.ask_rightly().codes(), json!([700_024]));
    pod.emulator.ask("POST", "/projected-token", r#"{"binding": true, "write": true}"#);
    assert_eq!(pod.ask_rightly().status(), 200);
}

#[test]
fn a_service_account_needs_the_permission() {
    let pod = Pod::new();
    pod.emulator.ask("POST", "/settings", r#"{"identity_bound": false}"#);
    let received = pod.ask_rightly();
    assert!(received.status() == 403 && received.body().contains("use-managed-identity"), "{}", received.body());
    pod.emulator.ask("POST", "/settings", r#"{"identity_bound": true}"#);
    assert_eq!(pod.ask_rightly().status(), 200);
}
