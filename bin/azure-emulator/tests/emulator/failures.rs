//! Every failure on every endpoint that issues tokens.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Emulator, End, FORM, Received, connect_to, exchange, form, get, read_some};

/// The endpoints by their names in the control interface.
const ENDPOINTS: [&str; 5] = ["token", "imds", "arc", "app-service", "identity-binding"];

/// A valid request to an endpoint.
fn ask(emulator: &Emulator, endpoint: &str) -> Received {
    let query = "resource=https%3A%2F%2Fmonitor.azure.com";
    match endpoint {
        "token" => emulator.request_token(&[]),
        "imds" => {
            let host = &emulator.environment("imds-user")["AZURE_POD_IDENTITY_AUTHORITY_HOST"];
            let url = format!("{host}/metadata/identity/oauth2/token?api-version=2018-02-01&{query}");
            get(&url, &[("Metadata", "true")])
        }
        "arc" => {
            let url = &emulator.environment("arc")["IDENTITY_ENDPOINT"];
            get(&format!("{url}?api-version=2020-06-01&{query}"), &[("Metadata", "true")])
        }
        "app-service" => {
            let environment = emulator.environment("app-service");
            let url = format!("{}?api-version=2019-08-01&{query}", environment["IDENTITY_ENDPOINT"]);
            get(&url, &[("X-IDENTITY-HEADER", &environment["IDENTITY_HEADER"])])
        }
        _ => ask_proxy(emulator),
    }
}

fn ask_proxy(emulator: &Emulator) -> Received {
    let env = emulator.environment("identity-binding");
    let url = format!("{}/{}/oauth2/v2.0/token", env["AZURE_KUBERNETES_TOKEN_PROXY"], env["AZURE_TENANT_ID"]);
    let connected = connect_to(&url, &env["AZURE_KUBERNETES_SNI_NAME"], &env["AZURE_KUBERNETES_CA_FILE"]);
    match connected {
        Ok(mut connection) => exchange(&mut connection, "POST", &url, &[FORM], form(&[("a", "b")]).as_bytes()),
        Err(error) => Received { bytes: Vec::new(), end: End::Broken(error.kind()) },
    }
}

fn arm(emulator: &Emulator, endpoint: &str, action: &Value) {
    let rule = json!({"endpoint": endpoint, "count": 1, "action": action});
    emulator.ask("POST", "/faults", &rule.to_string());
}

#[test]
fn an_answer_of_any_kind_takes_the_place_of_the_endpoints_own() {
    let emulator = Emulator::start(&[]);
    for endpoint in ENDPOINTS {
        arm(&emulator, endpoint, &json!({"status": 429, "headers": {"Retry-After": "7"}}));
        let received = ask(&emulator, endpoint);
        assert_eq!((received.status(), received.header("retry-after").as_deref()), (429, Some("7")), "{endpoint}");

        let html = json!({"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<html>Sign in</html>"});
        arm(&emulator, endpoint, &html);
        assert_eq!(ask(&emulator, endpoint).body(), "<html>Sign in</html>", "{endpoint}");

        arm(&emulator, endpoint, &json!({"status": 200, "body_base64": "/wD+gA=="}));
        assert!(ask(&emulator, endpoint).bytes.ends_with(b"\xff\x00\xfe\x80"), "{endpoint}");

        arm(&emulator, endpoint, &json!({"status": 502, "body": "{\"error\":", "repeat_to": 1_048_576}));
        let received = ask(&emulator, endpoint);
        assert_eq!((received.body().len(), received.end), (1_048_576, End::Complete), "{endpoint}");
    }
    assert_eq!(emulator.stats()["tokens_issued"], 0);
}

#[test]
fn a_connection_ends_where_it_should() {
    let emulator = Emulator::start(&[]);
    for endpoint in ENDPOINTS {
        for moment in ["accept", "request_body", "before_head", "after_head", "mid_body"] {
            arm(&emulator, endpoint, &json!({"reset": moment}));
            let received = ask(&emulator, endpoint);
            assert!(matches!(received.end, End::Broken(_)), "{endpoint} {moment}: {received:?}");
        }
        arm(&emulator, endpoint, &json!({"truncate": 40}));
        let received = ask(&emulator, endpoint);
        assert_eq!((received.bytes.len(), received.end), (40, End::Closed), "{endpoint}");
    }
}

#[test]
fn an_answer_may_be_late_and_it_may_drip() {
    let emulator = Emulator::start(&[]);
    for endpoint in ENDPOINTS {
        arm(&emulator, endpoint, &json!({"delay_ms": 150}));
        let asked = Instant::now();
        assert_eq!(ask(&emulator, endpoint).end, End::Complete);
        assert!(asked.elapsed() >= Duration::from_millis(150), "{endpoint}");

        arm(&emulator, endpoint, &json!({"slow": 10_000}));
        let asked = Instant::now();
        let received = ask(&emulator, endpoint);
        assert_eq!(received.end, End::Complete);
        let shortest = Duration::from_micros(100) * u32::try_from(received.bytes.len()).unwrap();
        assert!(asked.elapsed() >= shortest, "{endpoint}");
    }
}

#[test]
fn one_byte_a_second_is_one_byte_a_second() {
    let emulator = Emulator::start(&[]);
    arm(&emulator, "imds", &json!({"slow": 1}));
    let host = emulator.environment("imds-user")["AZURE_POD_IDENTITY_AUTHORITY_HOST"].clone();
    let mut stream = std::net::TcpStream::connect(host.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(2_500))).unwrap();
    let (asked, mut piece) = (Instant::now(), [0; 64]);
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    for _ in 0..2 {
        assert_eq!(read_some(&mut stream, &mut piece).unwrap(), 1);
    }
    assert!(asked.elapsed() >= Duration::from_secs(2));
}

#[test]
fn each_endpoint_fails_in_its_own_shape() {
    let emulator = Emulator::start(&[]);
    for endpoint in ["token", "identity-binding"] {
        for (status, error, code) in [
            (429, "temporarily_unavailable", 90_055),
            (500, "server_error", 90_041),
            (503, "temporarily_unavailable", 90_033),
        ] {
            arm(&emulator, endpoint, &json!({"fail": status}));
            let received = ask(&emulator, endpoint);
            assert_eq!((received.status(), received.codes()), (status, json!([code])), "{endpoint}");
            assert_eq!(received.json()["error"], error);
            assert_eq!(received.header("retry-after").is_some(), status == 429);
        }
    }
    for endpoint in ["imds", "arc"] {
        for status in [404, 410, 429, 500, 503] {
            arm(&emulator, endpoint, &json!({"fail": status}));
            let received = ask(&emulator, endpoint);
            assert_eq!(received.status(), status, "{endpoint}");
            assert!(received.json()["error_description"].is_string());
        }
    }
    arm(&emulator, "app-service", &json!({"fail": 503}));
    assert_eq!(ask(&emulator, "app-service").json()["statusCode"], 503);
    for endpoint in ENDPOINTS {
        arm(&emulator, endpoint, &json!({"fail": 502}));
        assert!(ask(&emulator, endpoint).body().starts_with("<html>"), "{endpoint}");
    }
    let impossible = r#"{"endpoint":"token","action":{"fail":418}}"#;
    assert_eq!(emulator.control("POST", "/faults", impossible).0, 400);
}

#[test]
fn a_refusal_is_asked_for_by_its_number() {
    let emulator = Emulator::start(&[]);
    for (code, status, error) in [
        (50_196, 400, "invalid_grant"),
        (90_061, 400, "invalid_request"),
        (90_055, 429, "temporarily_unavailable"),
        (7_000_112, 400, "unauthorized_client"),
    ] {
        arm(&emulator, "token", &json!({"aadsts": code}));
        let received = ask(&emulator, "token");
        assert_eq!((received.status(), received.codes()), (status, json!([code])));
        assert_eq!(received.json()["error"], error);
        assert!(received.json()["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{code}: ")));
    }
    assert_eq!(emulator.control("POST", "/faults", r#"{"endpoint":"token","action":{"aadsts":1}}"#).0, 400);
    assert_eq!(ask(&emulator, "token").status(), 200);
}

#[test]
fn an_endpoint_can_be_down_alone() {
    let emulator = Emulator::start(&[]);
    for endpoint in ENDPOINTS {
        emulator.ask("POST", &format!("/endpoints/{endpoint}/stop"), "");
        for other in ENDPOINTS {
            let refused = ask(&emulator, other).end == End::Broken(std::io::ErrorKind::ConnectionRefused);
            assert_eq!(refused, other == endpoint, "{endpoint} {other}");
        }
        emulator.ask("POST", &format!("/endpoints/{endpoint}/start"), "");
        assert_eq!(ask(&emulator, endpoint).end, End::Complete);
    }
}
