//! The response to the sender: one row for each outcome.

use remora_core::forward::{Event, Peer, Policy, Unavailable};

use crate::bench::{Bench, POLICY};
use crate::message::{SMALL_BODY, answer, write, write_with};
use Fate::{Closed, Drained, KeptAlive};

/// The fate of the sender's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Another request may follow.
    KeptAlive,
    /// Closing was announced; the rest of the body is read until the sender has seen the response.
    Drained,
    /// Closing was announced, and nothing of the request is still to come.
    Closed,
}

impl Fate {
    fn of(bench: &Bench) -> Self {
        if bench.is_kept_alive() {
            KeptAlive
        } else if bench.exchange.is_done() {
            Closed
        } else {
            Drained
        }
    }
}

/// What happens on Azure's side after the body passed the check.
enum Azure {
    /// It gets no request.
    Unasked,
    /// There is no connection.
    Unreachable(Unavailable, &'static str),
    /// The driver gives up after a part of the request was sent.
    GivenUp(Unavailable, &'static str),
    /// It responds with status, fields and text.
    Answers(u16, &'static str, &'static str),
    /// It responds 401, the token is refreshed, and it responds with status, fields and text.
    AnswersAfterRefresh(u16, &'static str, &'static str),
    /// It responds 401, and the token is not refreshed.
    Unrefreshed(&'static str),
    /// It responds 401 with this text, and the token is as new as any could be.
    AnswersToNewestToken(&'static str),
    /// It sends these bytes.
    Sends(&'static [u8]),
    /// It sends these bytes and closes.
    Closes(&'static [u8]),
    /// It sends nothing until the deadline.
    Silent,
}

struct Row {
    outcome: &'static str,
    request: Vec<u8>,
    azure: Azure,
    status: u16,
    retry_after: Option<&'static str>,
    fate: Fate,
    text: &'static str,
}

/// A row about Azure's response to a good write, after which the sender's connection is kept alive.
fn relayed(
    outcome: &'static str,
    azure: Azure,
    status: u16,
    retry_after: Option<&'static str>,
    text: &'static str,
) -> Row {
    Row { outcome, request: write(SMALL_BODY), azure, status, retry_after, fate: KeptAlive, text }
}

/// A row about a request that is refused here.
fn refused(outcome: &'static str, request: impl Into<Vec<u8>>, status: u16, fate: Fate, text: &'static str) -> Row {
    Row { outcome, request: request.into(), azure: Azure::Unasked, status, retry_after: None, fate, text }
}

fn expect(row: Row, policy: Policy, peer: Peer) {
    let Row { outcome, request, azure, status, retry_after, fate, text } = row;
    let mut bench = Bench::with(policy, peer);
    bench.offer(&request);
    match azure {
        Azure::Unasked => assert!(!bench.events.contains(&Event::Connect { fresh: false }), "{outcome}"),
        Azure::Unreachable(why, detail) => bench.exchange.refuse(bench.now, why, detail),
        Azure::GivenUp(why, detail) => {
            bench.attach(false);
            bench.request_head();
            bench.exchange.refuse(bench.now, why, detail);
        }
        Azure::Answers(status, fields, text) => drop(bench.forward(&answer(status, fields, text))),
        Azure::AnswersAfterRefresh(status, fields, text) => {
            bench.forward(&answer(401, "", ""));
            bench.refresh();
            bench.forward(&answer(status, fields, text));
        }
        Azure::Unrefreshed(cause) => {
            bench.forward(&answer(401, "", ""));
            bench.exchange.unrefreshed(bench.now, Some(cause));
        }
        Azure::AnswersToNewestToken(text) => {
            bench.forward(&answer(401, "", text));
            bench.exchange.unrefreshed(bench.now, None);
        }
        Azure::Sends(bytes) => drop(bench.forward(bytes)),
        Azure::Closes(bytes) => {
            bench.forward(bytes);
            bench.azure_closes();
        }
        Azure::Silent => {
            bench.attach(false);
            bench.request();
            bench.pass_deadline();
        }
    }
    bench.settle();
    let told = bench.answer();
    assert_eq!(told.status(), status, "{outcome}: {told:?}");
    assert_eq!(told.field("retry-after"), retry_after, "{outcome}: {told:?}");
    assert!(told.text().contains(text), "{outcome}: {told:?}");
    assert!(told.text().lines().count() <= 1 && told.body.len() <= 1024, "{outcome}: more than a line: {told:?}");
    let close = (fate != KeptAlive).then_some("close");
    assert_eq!(told.field("connection"), close, "{outcome}: {told:?}");
    assert_eq!(Fate::of(&bench), fate, "{outcome}");
}

fn expect_all(rows: Vec<Row>) {
    expect_all_under(POLICY, rows);
}

fn expect_all_under(policy: Policy, rows: Vec<Row>) {
    for row in rows {
        expect(row, policy, Peer::Loopback);
    }
}

#[test]
fn success_is_told_as_it_is() {
    expect_all(vec![
        relayed("204", Azure::Answers(204, "", ""), 204, None, ""),
        relayed("200", Azure::Answers(200, "", "stored"), 200, None, "stored"),
        relayed("202 after a refresh", Azure::AnswersAfterRefresh(202, "", ""), 202, None, ""),
    ]);
}

#[test]
fn without_a_usable_token_it_is_503() {
    expect_all(vec![
        relayed(
            "no token",
            Azure::Unreachable(Unavailable::NoToken, "AADSTS700016"),
            503,
            Some("5"),
            "[REMORA-TOK-10]: AADSTS700016",
        ),
        relayed(
            "no other token",
            Azure::Unrefreshed("AADSTS50027"),
            503,
            Some("5"),
            "could not be refreshed [REMORA-RBAC-04]: AADSTS50027",
        ),
        relayed("a token that is too long", Azure::GivenUp(Unavailable::NoToken, "no fit"), 503, Some("5"), "no fit"),
    ]);
}

#[test]
fn refusals_of_the_credential_are_held_back() {
    let held = |outcome, azure, text| relayed(outcome, azure, 503, Some("30"), text);
    expect_all(vec![
        held("401 twice", Azure::AnswersAfterRefresh(401, "", "expired"), "INGESTION_AAD_AUDIENCE"),
        held("401 to the newest token", Azure::AnswersToNewestToken("bad audience"), "INGESTION_AAD_AUDIENCE"),
        held("401 to the newest token, with its text", Azure::AnswersToNewestToken("bad audience"), "bad audience"),
        held("403", Azure::Answers(403, "", "no role"), "Monitoring Metrics Publisher"),
        held(
            "403 of a private link",
            Azure::Answers(403, "", "no public network"),
            "private link [REMORA-RBAC-01]: no",
        ),
        held("403 with its text", Azure::Answers(403, "", "no role"), "no role"),
        held("403 with control characters", Azure::Answers(403, "", "no\x1b[1m\r\nrole"), ": no [1m  role"),
        held("403 with text beyond ASCII", Azure::Answers(403, "", "aucun rôle"), "aucun rôle"),
        held("404", Azure::Answers(404, "", ""), "INGESTION_URL"),
        held("405 of something that is not Azure", Azure::Answers(405, "", "nginx"), "nginx"),
        held("431", Azure::Answers(431, "", ""), "431"),
    ]);
}

#[test]
fn refusals_of_the_credential_pass_once_the_hold_is_over() {
    let policy = Policy { refusal_hold: core::time::Duration::ZERO, ..POLICY };
    expect_all_under(
        policy,
        vec![
            relayed("401", Azure::AnswersAfterRefresh(401, "", "expired"), 401, None, "expired"),
            relayed("401 to the newest token", Azure::AnswersToNewestToken("bad audience"), 401, None, "bad audience"),
            relayed("403", Azure::Answers(403, "", "no role"), 403, None, "no role"),
            relayed("404", Azure::Answers(404, "", "no rule"), 404, None, "no rule"),
            relayed("405", Azure::Answers(405, "", "nginx"), 405, None, "nginx"),
        ],
    );
}

#[test]
fn throttling_is_503_with_a_bounded_retry_after() {
    let throttled = |fields, seconds| {
        relayed(
            fields,
            Azure::Answers(429, fields, "too much"),
            503,
            Some(seconds),
            "429 (throttled) [REMORA-RBAC-03]: too much",
        )
    };
    expect_all(vec![
        throttled("", "10"),
        throttled("Retry-After: 7\r\n", "7"),
        throttled("Retry-After: 3600\r\n", "60"),
        throttled("Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "30"),
        throttled("Retry-After: 99999999999999999999999\r\n", "30"),
        throttled("Retry-After: -1\r\n", "30"),
    ]);
    let passed = relayed("429", Azure::Answers(429, "Retry-After: 90\r\n", "too much"), 429, Some("60"), "too much");
    expect(passed, Policy { pass_rate_limit: true, ..POLICY }, Peer::Loopback);
}

#[test]
fn refusals_that_ask_for_the_same_again_are_503() {
    for status in [408, 421, 425] {
        let again = relayed("again", Azure::Answers(status, "", "not now"), 503, Some("1"), "not now");
        expect(again, POLICY, Peer::Loopback);
    }
}

#[test]
fn verdicts_on_the_data_and_server_errors_are_told_as_they_are() {
    for status in [400, 409, 413, 415, 422, 500, 502, 503, 504, 599] {
        expect(
            relayed("as it is", Azure::Answers(status, "", "because"), status, None, "because"),
            POLICY,
            Peer::Loopback,
        );
    }
    expect_all(vec![
        relayed("503, soon", Azure::Answers(503, "Retry-After: 3\r\n", ""), 503, Some("3"), ""),
        relayed("503, late", Azure::Answers(503, "Retry-After: 61\r\n", ""), 503, Some("60"), ""),
    ]);
}

#[test]
fn what_is_no_answer_is_502() {
    let bad = |azure, text| relayed(text, azure, 502, None, text);
    expect_all(vec![
        bad(Azure::Answers(307, "Location: https://elsewhere/\r\n", ""), "307"),
        bad(Azure::Sends(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "304"),
        bad(Azure::Sends(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "unrequested protocol switch"),
        bad(Azure::Sends(b"HTTP/2.0 200 OK\r\n\r\n"), "version"),
        bad(Azure::Sends(b"SSH-2.0-x\r\n\r\n"), "malformed"),
        bad(Azure::Sends(b"\x15\x03\x01"), "TLS where plain http was expected"),
        bad(Azure::Sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"), "content-length"),
        bad(Azure::Sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx"), "chunk"),
        bad(Azure::Closes(b""), "broke"),
        bad(Azure::Closes(b"HTTP/1.1 204 No Content\r\n"), "broke"),
        bad(Azure::Closes(b"HTTP/1.1 100 Continue\r\n\r\n"), "broke"),
        bad(Azure::Closes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour"), "broke"),
    ]);
}

#[test]
fn failures_on_the_way_are_503_and_silence_is_504() {
    let failed = |why, text| relayed(text, Azure::Unreachable(why, "the cause"), 503, Some("2"), text);
    expect_all(vec![
        failed(Unavailable::Resolve, "name resolution failed [REMORA-NET-01]: the cause"),
        failed(Unavailable::Connect, "connection failed [REMORA-NET-02]: the cause"),
        failed(Unavailable::Tls, "TLS failed [REMORA-NET-03]: the cause"),
        relayed("silence", Azure::Silent, 504, None, "did not answer in time [REMORA-RBAC-05]"),
    ]);
}

#[test]
fn a_corrupt_frame_is_400_and_never_leaves() {
    let corrupt = |body: &[u8], text| refused(text, write(body), 400, KeptAlive, text);
    expect_all(vec![
        corrupt(b"", "snappy: body is empty or ends before its length"),
        corrupt(&SMALL_BODY[..3], "not forwarded: snappy"),
        corrupt(b"\x02\x04\x0a\x01", "; a body must be one remote-write message in snappy's block format"),
        // A series with a label whose name is the byte 0xff.
        corrupt(b"\x07\x18\x0a\x05\x0a\x03\x0a\x01\xff", "not utf-8 at byte 6; correct the label at its source"),
        corrupt(b"\xff\xff\xff\xff\x0f", " bytes at byte 4; lower the sender's batch size (max_samples_per_send)"),
        refused("no body at all", "POST /api/v1/write HTTP/1.1\r\nHost: h\r\n\r\n", 400, KeptAlive, "snappy"),
    ]);
}

#[test]
fn a_body_over_the_limit_is_400_however_it_comes() {
    let limit = POLICY.max_body_bytes;
    let endless = [
        &b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n"[..],
        &vec![0; 70_000],
    ]
    .concat();
    expect_all(vec![
        refused("announced", write(&vec![0; limit + 1]), 400, Drained, "raise MAX_BODY_BYTES"),
        refused("in chunks", endless, 400, Drained, "body larger than 65536 bytes"),
        refused(
            "more than there are numbers",
            "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Length: 18446744073709551615\r\n\r\n",
            400,
            Drained,
            "MAX_BODY_BYTES",
        ),
    ]);
}

#[test]
fn media_that_no_receiver_takes_is_415() {
    let write_as =
        |fields: &str| format!("POST /api/v1/write HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: 0\r\n\r\n");
    expect_all(vec![
        refused("zstd", write_as("Content-Encoding: zstd\r\n"), 415, KeptAlive, "must be snappy"),
        refused(
            "json",
            write_as("Content-Type: application/json\r\n"),
            415,
            KeptAlive,
            "must be application/x-protobuf",
        ),
        refused("proto", write_as("Content-Type: application/x-protobuf;proto=x\r\n"), 415, KeptAlive, "WriteRequest"),
    ]);
}

#[test]
fn other_paths_and_methods_are_404_and_405() {
    let of = |line: &str| format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_all(vec![
        refused("path", of("POST /api/v1/push"), 404, KeptAlive, "/api/v1/write"),
        refused("path in other case", of("POST /API/v1/write"), 404, KeptAlive, "/api/v1/write"),
        refused("encoded path", of("POST /api/v1/%77rite"), 404, KeptAlive, "/api/v1/write"),
        refused("GET", of("GET /api/v1/write"), 405, KeptAlive, "only POST"),
        refused("lower case", of("post /api/v1/write"), 405, KeptAlive, "only POST"),
        refused("DELETE", of("DELETE /health"), 405, KeptAlive, "only GET, HEAD"),
        refused("OPTIONS", of("OPTIONS *"), 404, KeptAlive, "no such path"),
    ]);
}

#[test]
fn the_methods_that_would_do_are_named() {
    for (line, allow) in [("PUT /api/v1/write", "POST"), ("POST /ready", "GET, HEAD"), ("POST /", "GET, HEAD")] {
        let mut bench = Bench::new();
        bench.send(format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        assert_eq!(bench.answer().field("allow"), Some(allow), "{line}");
    }
}

#[test]
fn a_write_from_elsewhere_is_403_unless_it_is_allowed() {
    let foreign = refused("foreign", write(SMALL_BODY), 403, Closed, "ALLOWED_SOURCES");
    expect(foreign, POLICY, Peer::Foreign);
    let allowed = relayed("allowed", Azure::Answers(204, "", ""), 204, None, "");
    expect(allowed, POLICY, Peer::Allowed);
}

#[test]
fn over_capacity_is_503_with_retry_after() {
    let refused = Azure::Unreachable(Unavailable::Capacity, "no connection to spare");
    expect(relayed("capacity", refused, 503, Some("1"), "over capacity"), POLICY, Peer::Loopback);

    let mut out = [0; 1024];
    let length = remora_core::forward::reply::crowded(&mut out);
    let told = crate::message::message(&out[..length]);
    assert_eq!((told.status(), told.field("retry-after")), (503, Some("1")));
    assert_eq!(told.field("connection"), Some("close"));
    assert!(told.text().contains("MAX_CONNECTIONS"));
}

#[test]
fn heads_that_cannot_be_read_get_their_status_and_nothing_more() {
    let of = |fields: &str| write_with(fields, SMALL_BODY);
    let long = format!("X: {}\r\n", "a".repeat(9000));
    expect_all(vec![
        refused("length and chunks", of("Transfer-Encoding: chunked\r\n"), 400, Drained, "transfer-encoding"),
        refused("two lengths", of("Content-Length: 4\r\n"), 400, Drained, "content-length"),
        refused("two media types", of("Content-Type: x\r\n"), 400, Drained, "repeated"),
        refused("two codings", of("Content-Encoding: snappy\r\n"), 400, Drained, "repeated"),
        refused("expectation", of("Expect: 200-ok\r\n"), 417, Drained, "expectation"),
        refused("too many fields", of(&"X: y\r\n".repeat(64)), 431, Drained, "more than 64 header fields"),
        refused("too large", of(&long), 431, Drained, "too large"),
        refused(
            "TLS on the plain port",
            &b"\x16\x03\x01\x02\x00"[..],
            400,
            Drained,
            "TLS where plain http was expected",
        ),
        refused("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, Drained, "version"),
        refused(
            "gzip",
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
            Drained,
            "coding",
        ),
    ]);
}

#[test]
fn broken_chunks_are_400() {
    let chunks =
        |chunks: &str| format!("POST /api/v1/write HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
    for broken in ["x\r\n", "\r\n", "-1\r\n", "1\r\nab", "1\nab", "00000000000000001\r\n", "0\r\nno trailer\r\n"] {
        expect(refused(broken, chunks(broken), 400, Drained, ""), POLICY, Peer::Loopback);
    }
    let more = chunks("1000\r\n") + &"x".repeat(20_000);
    expect(refused("more than the buffer holds", more, 400, Drained, ""), POLICY, Peer::Loopback);
}
