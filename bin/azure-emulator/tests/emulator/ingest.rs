//! The ingestion endpoint: which writes it accepts, what it stores, and what survives a restart.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;

use crate::support::{Emulator, frame, now, v1_headers};
use serde_json::{Value, json};

#[test]
fn a_sample_is_kept_bit_for_bit() {
    let emulator = Emulator::start(&[]);
    let token = emulator.token(&[]);
    let (time, stale) = (now(), f64::from_bits(0x7ff0_0000_0000_0002));
    let received = emulator.write(&token, &frame(&[(time, stale), (time + 1, f64::NAN), (time + 2, -0.0)]));
    assert_eq!(received.status(), 204);
    let line: Value =
        serde_json::from_str(emulator.ask("GET", "/samples?name=up", "").split('\n').nth(1).unwrap()).unwrap();
    assert_eq!(line["labels"], json!({"__name__": "up"}));
    let nan = format!("{:016x}", f64::NAN.to_bits());
    let expected = json!([[time, "7ff0000000000002"], [time + 1, nan], [time + 2, "8000000000000000"]]);
    assert_eq!(line["samples"], expected);
    let stats = emulator.stats();
    assert_eq!((&stats["samples"], &stats["stale"], &stats["nan"]), (&json!(3), &json!(1), &json!(1)));
}

#[test]
fn only_a_valid_token_for_azure_monitor_opens() {
    let emulator = Emulator::start(&[]);
    let token = emulator.token(&[]);
    let management = emulator.token(&[("scope", "https://management.azure.com/.default")]);
    let body = frame(&[(now(), 1.0)]);
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    for (token, code) in [("garbage", "InvalidToken"), (&forged, "InvalidToken"), (&management, "InvalidAudience")] {
        let received = emulator.write(token, &body);
        assert_eq!((received.status(), &received.json()["error"]["code"]), (401, &json!(code)));
        assert!(received.header("www-authenticate").unwrap().starts_with("Bearer "));
    }
    emulator.ask("POST", "/settings", r#"{"clock_skew_s": 90000}"#);
    assert_eq!(emulator.write(&token, &body).json()["error"]["code"], "ExpiredToken");
    let url = &emulator.env["INGESTION_URL"];
    assert_eq!(emulator.request("POST", url, &[], &body).status(), 401);
    assert_eq!(emulator.stats()["bodies"], 0);
}

#[test]
fn a_client_without_the_role_is_forbidden_until_it_is_granted() {
    let emulator = Emulator::start(&[]);
    let token = emulator.token(&[]);
    let body = frame(&[(now(), 1.0)]);
    emulator.ask("POST", "/roles/revoke", "");
    let received = emulator.write(&token, &body);
    assert_eq!((received.status(), &received.json()["error"]["code"]), (403, &json!("OperationFailed")));
    assert!(received.body().contains("does not have access to ingest data"));
    emulator.ask("POST", "/roles/grant", "");
    assert_eq!(emulator.write(&token, &body).status(), 204);
}

#[test]
fn everything_but_a_remote_write_frame_at_its_path_is_refused() {
    let emulator = Emulator::start(&[]);
    let bearer = format!("Bearer {}", emulator.token(&[]));
    let url = emulator.env["INGESTION_URL"].clone();
    let body = frame(&[(now(), 1.0)]);
    let status = |method, url: &str, headers: &[(&str, &str)], body: &[u8]| {
        emulator.request(method, url, headers, body).status()
    };
    let good = v1_headers(&bearer);
    assert_eq!(status("POST", &url.replace("dcr-", "dcr-0"), &good, &body), 404);
    assert_eq!(status("POST", &url.replace("Microsoft-PrometheusMetrics", "Custom"), &good, &body), 404);
    assert_eq!(status("GET", &url, &good, b""), 405);
    assert_eq!(status("POST", url.split('?').next().unwrap(), &good, &body), 400);
    let [authorization, encoding, content_type] = good;
    let zstd = ("Content-Encoding", "zstd");
    let spaced = ("Content-Type", "application/x-protobuf; proto=io.prometheus.write.v2.Request");
    assert_eq!(status("POST", &url, &[authorization, zstd, content_type], &body), 415);
    assert_eq!(status("POST", &url, &[authorization, content_type], &body), 415);
    assert_eq!(status("POST", &url, &[authorization, encoding, spaced], &body), 415);
    assert_eq!(status("POST", &url, &good, b""), 400);
    assert_eq!(status("POST", &url, &good, b"\x07garbage"), 400);
    assert_eq!(emulator.stats()["bodies"], 0);
}

#[test]
fn old_samples_are_dropped_while_the_sender_hears_of_success() {
    let emulator = Emulator::start(&[]);
    let token = emulator.token(&[]);
    let hour = 3_600_000;
    assert_eq!(emulator.write(&token, &frame(&[(now() - hour, 1.0), (now(), 2.0), (now() + hour, 3.0)])).status(), 204);
    let stats = emulator.stats();
    assert_eq!((&stats["samples"], &stats["old_data"]), (&json!(1), &json!(2)));
}

#[test]
fn a_second_version_body_is_answered_with_what_was_written() {
    let emulator = Emulator::start(&[]);
    let bearer = format!("Bearer {}", emulator.token(&[]));
    let headers = [
        ("Authorization", bearer.as_str()),
        ("Content-Encoding", "snappy"),
        ("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ];
    let received = emulator.request("POST", &emulator.env["INGESTION_URL"], &headers, &[0]);
    assert_eq!(received.status(), 204);
    assert_eq!(received.header("X-Prometheus-Remote-Write-Samples-Written").unwrap(), "0");
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_so_do_ports_keys_and_settings() {
    let mut emulator = Emulator::start(&[]);
    let token = emulator.token(&[]);
    emulator.ask("POST", "/roles/revoke", "");
    emulator.ask("POST", "/roles/grant", "");
    emulator.ask("POST", "/settings", r#"{"token_life_s": 1234}"#);
    let body = frame(&[(now(), 1.0)]);
    assert_eq!(emulator.write(&token, &body).status(), 204);
    let (env, samples) = (emulator.env.clone(), emulator.ask("GET", "/samples", ""));
    emulator.kill_and_start();
    assert_eq!(emulator.env, env);
    assert_eq!(emulator.ask("GET", "/samples", ""), samples);
    assert_eq!(emulator.write(&token, &body).status(), 204);
    let stats = emulator.stats();
    assert_eq!((&stats["samples"], &stats["duplicates"], &stats["bodies"]), (&json!(1), &json!(1), &json!(2)));
    assert_eq!(emulator.request_token(&[]).json()["expires_in"], 1234);
}

#[test]
fn an_accepted_body_is_passed_on_unchanged_and_a_refusal_is_counted() {
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/v1/write", receiver.local_addr().unwrap());
    let emulator = Emulator::start(&["--pass-on", &url]);
    let (told, heard) = mpsc::channel();
    std::thread::spawn(move || {
        for status in ["204 No Content", "400 Bad Request"] {
            let (mut socket, _) = receiver.accept().unwrap();
            told.send(read_body(&mut socket)).unwrap();
            write!(socket, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        }
    });
    let token = emulator.token(&[]);
    for value in [1.0, 2.0] {
        let body = frame(&[(now(), value)]);
        assert_eq!(emulator.write(&token, &body).status(), 204);
        assert_eq!(heard.recv().unwrap(), body);
    }
    while emulator.stats()["pass_on"]["refused"] == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert_eq!(emulator.stats()["pass_on"], json!({"sent": 1, "refused": 1}));
}

fn read_body(socket: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let length: usize =
                text.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
            if bytes.len() - end - 4 == length {
                return bytes[end + 4..].to_vec();
            }
        }
        let length = socket.read(&mut piece).unwrap();
        bytes.extend_from_slice(&piece[..length]);
    }
}
