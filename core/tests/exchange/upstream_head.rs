//! The head that goes to Azure, byte for byte.

use remora_core::forward::{Destination, Outgoing, UpstreamHead};

use crate::bench::Bench;
use crate::message::{BODY, SMALL_BODY, answer, chunked_write, write, write_with};

/// The whole head, with the parts that a sender can influence.
fn expected(user_agent: &str, length: usize, passed_on: &str) -> String {
    format!(
        "POST /dataCollectionRules/dcr-0?api-version=1 HTTP/1.1\r\nHost: x.example\r\nContent-Encoding: snappy\r\nVia: 1.1 \
         remora\r\nAuthorization: Bearer secret-one\r\nUser-Agent: {user_agent}remora/{}\r\nContent-Length: \
         {length}\r\nContent-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: \
         0.1.0\r\n{passed_on}\r\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// The head that goes to Azure for `request`.
fn head_for(request: &[u8]) -> String {
    let mut bench = Bench::new();
    bench.submit(request);
    bench.attach(false);
    String::from_utf8(bench.request_head()).unwrap()
}

#[test]
fn the_least_request_makes_the_least_head() {
    assert_eq!(head_for(&write(SMALL_BODY)), expected("", SMALL_BODY.len(), ""));
}

#[test]
fn a_real_prometheus_request_arrives_as_it_left() {
    let fields = "User-Agent: Prometheus/2.42.0\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";
    let mut bench = Bench::new();
    bench.submit(&write_with(fields, BODY));
    bench.attach(false);
    let bytes = bench.request_bytes();
    let head = expected("Prometheus/2.42.0 ", BODY.len(), "");
    assert_eq!(bytes, [head.as_bytes(), BODY].concat());
}

#[test]
fn only_listed_fields_pass() {
    let fields = "Authorization: Bearer stolen\r\nProxy-Authorization: Basic x\r\nCookie: a=b\r\nX-Forwarded-For: 1\r\n\
                  Forwarded: for=x\r\nVia: 1.1 other\r\nTE: trailers\r\nTrailer: X\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n\
                  Accept-Encoding: gzip\r\nx-ms-client-request-id: 1\r\nX-Prometheus-Remote-Write-Version: 9\r\n\
                  Retry-Attempt: 3\r\ntraceparent: 00-1-2-01\r\nTraceState: a=b\r\n";
    let passed_on = "retry-attempt: 3\r\ntraceparent: 00-1-2-01\r\ntracestate: a=b\r\n";
    assert_eq!(head_for(&write_with(fields, SMALL_BODY)), expected("", SMALL_BODY.len(), passed_on));
}

#[test]
fn values_of_more_than_512_bytes_do_not_pass() {
    let state = |length| format!("tracestate: {}\r\n", "s".repeat(length));
    for (length, passed_on) in [(512, state(512)), (513, String::new())] {
        let request = write_with(&state(length), SMALL_BODY);
        assert_eq!(head_for(&request), expected("", SMALL_BODY.len(), &passed_on), "{length}");
        let request = write_with(&format!("User-Agent: {}\r\n", "a".repeat(length)), SMALL_BODY);
        assert_eq!(head_for(&request).contains("aaa"), length <= 512, "{length}");
    }
}

/// RFC 9110 §7.6.1.
#[test]
fn fields_that_connection_names_do_not_pass() {
    let fields = "Connection: keep-alive, TraceParent\r\nConnection: user-agent,retry-attempt\r\nUser-Agent: x/1\r\n\
                  traceparent: 00-1-2-01\r\ntracestate: a=b\r\nRetry-Attempt: 3\r\n";
    assert_eq!(head_for(&write_with(fields, SMALL_BODY)), expected("", SMALL_BODY.len(), "tracestate: a=b\r\n"));
}

#[test]
fn fields_that_connection_names_cannot_take_ours_away() {
    let fields = "Connection: content-length, content-encoding, authorization, x-prometheus-remote-write-version\r\n";
    assert_eq!(head_for(&write_with(fields, SMALL_BODY)), expected("", SMALL_BODY.len(), ""));
}

#[test]
fn a_chunked_body_goes_out_with_its_length() {
    let mut bench = Bench::new();
    bench.submit(&chunked_write(BODY, 1000));
    bench.attach(false);
    let sent = bench.request();
    assert_eq!(sent.field("content-length"), Some(BODY.len().to_string().as_str()));
    assert_eq!(sent.field("transfer-encoding"), None);
    assert_eq!(sent.body, BODY);
}

#[test]
fn the_version_is_spelled_in_the_one_way_that_all_receivers_read() {
    let request = "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Type: Application/X-Protobuf ; \
                   proto=\"io.prometheus.write.v2.Request\"\r\nContent-Length: 5\r\n\r\n\x03\x08\x22\x01a";
    let head = head_for(request.as_bytes());
    assert!(
        head.contains("\r\nContent-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nX-Prometheus-Remote-Write-Version: 2.0.0\r\n"), "{head}");
}

#[test]
fn the_next_request_on_the_connection_has_a_head_of_its_own() {
    let mut bench = Bench::new();
    bench.submit(&write_with("User-Agent: first\r\nRetry-Attempt: 1\r\n", SMALL_BODY));
    bench.forward(&answer(204, "", ""));
    bench.submit(&write(SMALL_BODY));
    bench.attach(true);
    let head = String::from_utf8(bench.request_head()).unwrap();
    assert_eq!(head, expected("", SMALL_BODY.len(), ""));
}

#[test]
fn one_buffer_serves_requests_of_any_length() {
    let to = Destination { authority: "x.example", target: "/", authorization: b"Bearer secret-one" };
    let mut head = UpstreamHead::new([0; 1024], &to).unwrap();
    for fields in ["User-Agent: a-long-name-of-a-sender\r\nRetry-Attempt: 1\r\n", "", "User-Agent: x\r\n"] {
        let mut bench = Bench::new();
        bench.submit(&write_with(fields, SMALL_BODY));
        bench.attach(false);
        let length = bench.exchange.encode_head(&mut head).unwrap();
        let mut new = UpstreamHead::new([0; 1024], &to).unwrap();
        let same = bench.exchange.encode_head(&mut new).unwrap();
        assert_eq!(head.as_bytes()[..length], new.as_bytes()[..same], "{fields}");
    }
}

#[test]
fn an_unchecked_empty_body_has_a_length_too() {
    let policy = remora_core::forward::Policy { check: None, ..crate::bench::POLICY };
    let mut bench = Bench::with(policy, remora_core::forward::Peer::Loopback);
    bench.submit(b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\n\r\n");
    bench.attach(false);
    let head = String::from_utf8(bench.request_head()).unwrap();
    assert_eq!(head, expected("", 0, ""));
    assert_eq!(bench.exchange.outgoing(), Outgoing::Done);
}
