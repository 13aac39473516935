//! Scripted faults, seen from the client's side of the connection.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::support::{Emulator, End, Received, exchange, frame, now, v1_headers};
use serde_json::json;

/// An emulator, a token for it, and a fault on the next write.
struct Stage {
    emulator: Emulator,
    token: String,
}

impl Stage {
    fn new(action: &str) -> Self {
        let emulator = Emulator::start(&[]);
        let token = emulator.token(&[]);
        let stage = Stage { emulator, token };
        stage.arm(action);
        stage
    }

    fn arm(&self, action: &str) {
        let rule = format!(r#"{{"endpoint":"ingest","count":1,"action":{action}}}"#);
        self.emulator.ask("POST", "/faults", &rule);
    }

    fn write(&self) -> Received {
        self.emulator.write(&self.token, &frame(&[(now(), 1.0)]))
    }

    fn stored(&self) -> u64 {
        self.emulator.stats()["samples"].as_u64().unwrap()
    }
}

#[test]
fn status() {
    let stage = Stage::new(r#"{"status":503,"headers":{"Retry-After":"1"},"body":"later"}"#);
    let received = stage.write();
    assert_eq!((received.status(), received.body().as_str()), (503, "later"));
    assert_eq!(received.header("retry-after").unwrap(), "1");
    assert_eq!(stage.stored(), 0);
    assert_eq!(stage.write().status(), 204);
    assert_eq!(stage.emulator.ask("GET", "/faults", ""), "[]");
}

#[test]
fn delay() {
    let stage = Stage::new(r#"{"delay_ms":300}"#);
    let asked = Instant::now();
    assert_eq!(stage.write().status(), 204);
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[test]
fn resets_come_where_they_should() {
    let stage = Stage::new(r#"{"reset":"accept"}"#);
    let reset = |received: &Received| received.end == End::Broken(ErrorKind::ConnectionReset);
    let received = stage.write();
    assert!(reset(&received), "{received:?}");
    assert_eq!(stage.stored(), 0);

    stage.arm(r#"{"reset":"before_head"}"#);
    let received = stage.write();
    assert!(reset(&received) && received.bytes.is_empty(), "{received:?}");
    assert_eq!(stage.stored(), 1);

    stage.arm(r#"{"reset":"after_head"}"#);
    let received = stage.write();
    assert!(reset(&received) && received.bytes.ends_with(b"\r\n\r\n"), "{received:?}");
    assert_eq!(stage.stored(), 2);

    stage.arm(r#"{"reset":"mid_body"}"#);
    let received = stage.write();
    assert!(reset(&received), "{received:?}");
    assert_eq!(received.body().len(), 512);
}

#[test]
fn reset_in_the_request_body() {
    let stage = Stage::new(r#"{"reset":"request_body"}"#);
    let received = stage.emulator.write(&stage.token, &vec![7; 8 << 20]);
    assert!(matches!(received.end, End::Broken(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{received:?}");
    assert_eq!(stage.emulator.stats()["requests"]["ingest"], json!({"none": 1}));
}

#[test]
fn truncate() {
    let stage = Stage::new(r#"{"truncate":10}"#);
    let received = stage.write();
    assert_eq!((received.bytes.as_slice(), received.end), (&b"HTTP/1.1 2"[..], End::Closed));
    stage.arm(r#"{"truncate":0}"#);
    let received = stage.write();
    assert_eq!((received.bytes.len(), received.end), (0, End::Closed));
    assert_eq!(stage.stored(), 2);
}

#[test]
fn close_after_an_answer_that_did_not_announce_it() {
    let stage = Stage::new(r#"{"close":"idle"}"#);
    let url = &stage.emulator.env["INGESTION_URL"];
    let bearer = format!("Bearer {}", stage.token);
    let mut connection = stage.emulator.connect(url).unwrap();
    let first = exchange(&mut connection, "POST", url, &v1_headers(&bearer), &frame(&[(now(), 1.0)]));
    assert_eq!((first.status(), first.header("connection"), first.end), (204, None, End::Complete));
    let second = exchange(&mut connection, "POST", url, &v1_headers(&bearer), &frame(&[(now(), 1.0)]));
    assert_ne!(second.end, End::Complete);
}

#[test]
fn hang_and_stall_read_answer_nothing() {
    let stage = Stage::new(r#"{"hang":true}"#);
    let url = &stage.emulator.env["INGESTION_URL"];
    let bearer = format!("Bearer {}", stage.token);
    let body = frame(&[(now(), 1.0)]);
    for action in ["hang", "stall_read"] {
        let mut connection = stage.emulator.connect(url).unwrap();
        connection.sock.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let received = exchange(&mut connection, "POST", url, &v1_headers(&bearer), &body);
        assert_eq!(received.end, End::Broken(ErrorKind::WouldBlock), "{action}");
        stage.arm(r#"{"stall_read":true}"#);
    }
    assert_eq!(stage.stored(), 0);
}

#[test]
fn a_stalled_body_is_held_back_by_tcp() {
    let stage = Stage::new(r#"{"stall_read":true}"#);
    let url = &stage.emulator.env["INGESTION_URL"];
    let mut connection = stage.emulator.connect(url).unwrap();
    write!(connection, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16777216\r\n\r\n").unwrap();
    connection.sock.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    connection.sock.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let refused = connection.write_all(&vec![7; 16 << 20]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
}

#[test]
fn a_stopped_endpoint_refuses_connections_and_drops_the_open_ones() {
    let stage = Stage::new(r#"{"delay_ms":0}"#);
    let url = &stage.emulator.env["INGESTION_URL"];
    let bearer = format!("Bearer {}", stage.token);
    let mut connection = stage.emulator.connect(url).unwrap();
    let body = frame(&[(now(), 1.0)]);
    assert_eq!(exchange(&mut connection, "POST", url, &v1_headers(&bearer), &body).status(), 204);
    assert_eq!(stage.emulator.stats()["connections"]["ingest"], 1);

    stage.emulator.ask("POST", "/endpoints/ingest/stop", "");
    assert_eq!(stage.write().end, End::Broken(ErrorKind::ConnectionRefused));
    assert_ne!(exchange(&mut connection, "POST", url, &v1_headers(&bearer), &body).end, End::Complete);
    assert_eq!(stage.emulator.stats()["connections"]["ingest"], 0);
    assert_eq!(stage.emulator.request_token(&[]).status(), 200);

    stage.emulator.ask("POST", "/endpoints/ingest/start", "");
    assert_eq!(stage.write().status(), 204);
}

#[test]
fn a_stopped_endpoint_starts_again_by_itself() {
    let stage = Stage::new(r#"{"delay_ms":0}"#);
    stage.emulator.ask("POST", "/endpoints/ingest/stop?seconds=1", "");
    assert_eq!(stage.write().end, End::Broken(ErrorKind::ConnectionRefused));
    while stage.write().end != End::Complete {
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_rule_that_is_not_understood_is_refused_and_arms_nothing() {
    let emulator = Emulator::start(&[]);
    let rules = r#"[{"endpoint":"token","action":{"hang":true}},{"endpoint":"token","action":{"explode":true}}]"#;
    let (status, answer) = emulator.control("POST", "/faults", rules);
    assert!(status == 400 && answer.contains("stall_read"), "{answer}");
    assert_eq!(emulator.control("POST", "/faults", r#"{"endpoint":"token","action":{"status":99}}"#).0, 400);
    assert_eq!(emulator.ask("GET", "/faults", ""), "[]");
    emulator.ask("POST", "/faults", r#"{"endpoint":"token","action":{"status":429}}"#);
    assert_eq!(emulator.request_token(&[]).status(), 429);
    emulator.ask("DELETE", "/faults", "");
    assert_eq!(emulator.request_token(&[]).status(), 200);
}
