//! Early responses: to a sender whose body is still arriving, and from Azure while the body is still being sent;
//! pipelining, `Expect`, HTTP/1.0, HEAD.

use remora_core::forward::{Event, Interest, Outgoing, Peer, Policy, Purpose, Readiness};

use crate::bench::{Bench, POLICY};
use crate::message::{BODY, Message, SMALL_BODY, answer, chunked_write, write, write_with};

const READ_ONLY: Interest =
    Interest { client_read: true, client_write: false, upstream_read: false, upstream_write: false };

#[test]
fn an_early_refusal_announces_the_end_half_closes_and_drains() {
    let mut bench = Bench::with(POLICY, Peer::Foreign);
    let request = write(BODY);
    bench.send(&request[..1000]);
    let told = bench.answer();
    assert_eq!((told.status(), told.field("connection")), (403, Some("close")));
    assert!(!bench.outcomes()[0].is_failed_write(), "it is not this pod's");
    assert_eq!(bench.take_events().last(), Some(&Event::HalfClose));
    assert_eq!(bench.exchange.interest(), READ_ONLY);
    // What arrives now is read, never answered, and never taken for a request.
    bench.send(&request[1000..]);
    bench.send(&write(SMALL_BODY));
    assert!(bench.received.is_empty() && bench.events.is_empty());
    bench.exchange.client_eof(bench.now);
    assert_eq!(bench.exchange.poll_event(), Some(Event::Close));
    assert!(bench.exchange.is_done());
}

#[test]
fn a_refused_body_that_is_whole_already_does_not_end_the_connection() {
    for request in [write(SMALL_BODY), chunked_write(SMALL_BODY, 1)] {
        let mut bench = Bench::with(POLICY, Peer::Watcher { near: true });
        bench.send(&request);
        assert_eq!(bench.answer().status(), 403);
        assert_eq!(bench.outcomes()[0].purpose, Purpose::Stray);
        assert!(bench.is_kept_alive());
        bench.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(bench.answer().status(), 200);
    }
}

/// RUSTSEC-2020-0093, RUSTSEC-2025-0037: an unread body is not the next request.
#[test]
fn a_request_inside_a_refused_body_is_not_one() {
    let inner = write(SMALL_BODY);
    for head in ["POST /other", "PUT /api/v1/write", "GET /health"] {
        let mut bench = Bench::new();
        bench.send(format!("{head} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", inner.len()).as_bytes());
        assert_eq!(bench.answers().len(), 1);
        bench.send(&inner);
        assert!(bench.received.is_empty(), "{head}");
        assert!(!bench.events.contains(&Event::Connect { fresh: false }), "{head}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order_and_one_at_a_time() {
    let health = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
    let other = b"GET /other HTTP/1.1\r\nHost: h\r\n\r\n".to_vec();
    let all = [write(SMALL_BODY), health, chunked_write(SMALL_BODY, 3), other, write(BODY)].concat();
    let mut bench = Bench::new();
    let rest = bench.offer(&all).to_vec();
    assert!(bench.received.is_empty(), "nothing is answered before the first write is");
    assert_eq!(bench.forward(&answer(204, "", "")).body, SMALL_BODY);
    assert_eq!(bench.answers().iter().map(Message::status).collect::<Vec<_>>(), [204, 200]);
    assert_eq!(bench.forward(&answer(503, "", "")).body, SMALL_BODY);
    assert_eq!(bench.answers().iter().map(Message::status).collect::<Vec<_>>(), [503, 404]);
    bench.send(&rest);
    assert_eq!(bench.forward(&answer(200, "", "")).body, BODY);
    assert_eq!(bench.answer().status(), 200);
}

#[test]
fn nothing_is_processed_after_close() {
    let mut bench = Bench::new();
    let last = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    bench.offer(&[&last[..], &write(SMALL_BODY)].concat());
    let told = bench.answer();
    assert_eq!((told.status(), told.field("connection")), (200, Some("close")));
    assert!(bench.events.iter().all(|event| matches!(event, Event::Answered(_) | Event::Close)), "{:?}", bench.events);
    assert!(bench.exchange.is_done());
}

#[test]
fn a_sender_that_said_all_may_half_close_and_still_gets_its_answer() {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.exchange.client_eof(bench.now);
    bench.attach(false);
    bench.exchange.client_eof(bench.now);
    bench.request();
    bench.azure(&answer(204, "", ""));
    assert_eq!(bench.answer().status(), 204);
}

#[test]
fn a_sender_that_leaves_within_its_request_is_left() {
    let request = write(SMALL_BODY);
    for said in 0..request.len() {
        let mut bench = Bench::new();
        bench.send(&request[..said]);
        bench.take_events();
        bench.exchange.client_eof(bench.now);
        bench.settle();
        assert_eq!(bench.take_events(), [Event::Close], "after {said} bytes");
        assert!(bench.received.is_empty());
    }
}

#[test]
fn a_sender_that_leaves_while_its_body_waits_for_room_is_left() {
    let mut bench = Bench::without_room();
    bench.exchange.client_eof(bench.now);
    assert_eq!(bench.exchange.poll_event(), Some(Event::Close));
    assert!(bench.exchange.is_done());
}

#[test]
fn a_driver_that_stores_more_than_it_was_given_sends_no_more() {
    let mut bench = Bench::new();
    let request = write(SMALL_BODY);
    bench.exchange.client_space()[..request.len()].copy_from_slice(&request);
    bench.exchange.client_filled(bench.now, request.len());
    assert_eq!(bench.exchange.poll_event(), Some(Event::Reserve(SMALL_BODY.len())));
    bench.exchange.reserved(bench.now);
    bench.stored.extend_from_slice(SMALL_BODY);
    bench.exchange.body_taken(bench.now, SMALL_BODY.len() + 1);
    bench.settle();
    let sent = bench.forward(&answer(204, "", ""));
    assert_eq!((sent.field("content-length"), &*sent.body), (Some("4"), SMALL_BODY));
    assert_eq!(bench.outcomes()[0].body_bytes, SMALL_BODY.len());
}

#[test]
fn a_sender_that_is_lost_while_azure_is_asked_frees_the_connection() {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.attach(false);
    bench.request_head();
    bench.take_events();
    bench.exchange.client_broken(bench.now);
    bench.settle();
    assert_eq!(bench.take_events(), [Event::Release { reusable: false }, Event::Close]);
}

#[test]
fn http_1_0_gets_one_answer() {
    let request = [&b"POST /api/v1/write HTTP/1.0\r\nContent-Length: 4\r\n\r\n"[..], SMALL_BODY].concat();
    let mut bench = Bench::new();
    bench.submit(&request);
    bench.forward(&answer(204, "", ""));
    let told = bench.answer();
    assert_eq!((told.status(), told.field("connection")), (204, Some("close")));
    assert!(bench.exchange.is_done());
}

#[test]
fn expect_is_invited_once_the_body_has_room() {
    let head = write_with("Expect: 100-continue\r\n", BODY);
    let head = &head[..head.len() - BODY.len()];
    let mut bench = Bench::new();
    bench.send(head);
    assert_eq!(core::mem::take(&mut bench.received), b"HTTP/1.1 100 Continue\r\n\r\n");
    bench.submit(BODY);
    bench.forward(&answer(204, "", ""));
    assert_eq!(bench.answer().status(), 204);
    assert!(bench.is_kept_alive());
}

#[test]
fn expect_is_not_invited_when_the_body_came_along() {
    let mut bench = Bench::new();
    bench.submit(&write_with("Expect: 100-continue\r\n", SMALL_BODY));
    assert!(bench.received.is_empty());
    // Nor when all that came of it is its end, or a fault.
    let head = "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n";
    for chunks in ["0\r\n\r\n", "x\r\n"] {
        let mut bench = Bench::new();
        bench.send([head, chunks].concat().as_bytes());
        assert_eq!(bench.answer().status(), 400, "{chunks:?}");
    }
}

#[test]
fn an_answer_waits_for_the_invitation_that_is_still_leaving() {
    let request = write_with("Expect: 100-continue\r\n", BODY);
    let head = &request[..request.len() - BODY.len()];
    let mut bench = Bench::new();
    bench.exchange.client_space()[..head.len()].copy_from_slice(head);
    bench.exchange.client_filled(bench.now, head.len());
    assert_eq!(bench.exchange.poll_event(), Some(Event::Reserve(BODY.len())));
    bench.exchange.reserved(bench.now);
    bench.received.extend_from_slice(&bench.exchange.client_pending()[..10]);
    bench.exchange.client_drained(bench.now, 10);
    bench.pass_deadline();
    assert_eq!(bench.answers().iter().map(Message::status).collect::<Vec<_>>(), [100, 503]);
}

/// GO-2024-2963: the sender decides whether it sends the body after a final response, so it is unknown what comes next.
#[test]
fn expect_with_a_refusal_ends_the_connection() {
    let head = "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Encoding: zstd\r\n\
                Content-Length: 9\r\n\r\n";
    let mut bench = Bench::new();
    bench.send(head.as_bytes());
    let told = bench.answer();
    assert_eq!((told.status(), told.field("connection")), (415, Some("close")));
    assert_eq!(bench.take_events().last(), Some(&Event::HalfClose));
}

#[test]
fn head_gets_the_length_without_the_body() {
    for (path, status) in [("/health", 200), ("/other", 404), ("/api/v1/write", 405)] {
        let mut bench = Bench::new();
        bench.send(format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        let told = String::from_utf8(core::mem::take(&mut bench.received)).unwrap();
        assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told}");
        assert!(told.contains("\r\nContent-Length: ") && !told.contains("\r\nContent-Length: 0\r\n"), "{told}");
        assert!(told.ends_with("\r\n\r\n"), "{told}");
        assert_ne!(bench.exchange.answer_text(), "", "{path}: the log needs the cause");
        bench.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(bench.answer().text(), "ok\n");
    }
}

/// The reason names tenant and client.
#[test]
fn ready_tells_other_pods_less() {
    for (peer, told) in [
        (Peer::Watcher { near: true }, "no label"),
        (Peer::Allowed, "the log says why"),
        (Peer::Foreign, "the log says why"),
    ] {
        let mut bench = Bench::with(POLICY, peer);
        bench.send(b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n");
        bench.exchange.readiness_detail(bench.now, "no label");
        bench.settle();
        assert_eq!(bench.answer().text(), format!("waiting for the first token: {told}\n"), "{peer:?}");
    }
}

#[test]
fn the_admin_port_says_where_writes_go() {
    let mut bench = Bench::with(POLICY, Peer::Watcher { near: true });
    bench.send(&write(SMALL_BODY));
    let answer = bench.answer();
    assert_eq!(
        (answer.status(), answer.text()),
        (403, "remora: this port does not accept writes; LISTENING_PORT does\n")
    );
}

#[test]
fn ready_tells_what_is_missing() {
    let mut bench = Bench::new();
    let ask = |bench: &mut Bench, path, status, text| {
        bench.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
        assert_eq!(bench.take_events().last(), Some(&Event::Readiness));
        bench.exchange.readiness_detail(bench.now, "no assertion file");
        bench.settle();
        let told = bench.answer();
        assert_eq!((told.status(), told.text()), (status, text), "{path}");
    };
    let expect = |bench: &mut Bench, status, text| {
        ask(bench, "/ready", status, text);
        ask(bench, "/ready/token", status, text);
    };
    let minute = core::time::Duration::from_secs(60);
    expect(&mut bench, 503, "waiting for the first token: no assertion file\n");
    bench.pass(minute);
    ask(&mut bench, "/ready", 200, "degraded: no assertion file\n");
    ask(&mut bench, "/ready/token", 503, "degraded: no assertion file\n");
    bench.gateway.token_granted(bench.now.saturating_add(minute));
    expect(&mut bench, 200, "ready\n");
    bench.pass(minute);
    expect(&mut bench, 200, "degraded: no assertion file\n");
    bench.gateway.token_granted(bench.now.saturating_add(minute));
    expect(&mut bench, 200, "ready\n");
    bench.gateway.drain();
    expect(&mut bench, 503, "shutting down\n");
    assert_eq!(bench.gateway.readiness(bench.now), Readiness::Draining);
}

/// A Service routes senders in other pods to another process once they reconnect.
#[test]
fn while_the_process_stops_only_the_pod_itself_is_kept() {
    for (peer, kept) in [(Peer::Loopback, true), (Peer::Watcher { near: true }, true), (Peer::Allowed, false)] {
        let mut bench = Bench::with(POLICY, peer);
        for expected in [true, kept] {
            bench.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!((bench.answer().status(), bench.is_kept_alive()), (200, expected), "{peer:?}");
            bench.gateway.drain();
        }
    }
}

#[test]
fn who_may_not_write_gets_one_response_for_each_connection() {
    for peer in [Peer::Foreign, Peer::Watcher { near: false }] {
        let mut bench = Bench::with(POLICY, peer);
        bench.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
        let told = bench.answer();
        assert_eq!((told.status(), told.field("connection")), (200, Some("close")), "{peer:?}");
        assert!(!bench.is_kept_alive(), "{peer:?}");
    }
}

#[test]
fn an_answer_of_azure_may_come_while_the_body_is_leaving() {
    for (status, told) in [(413, 413), (429, 503), (503, 503), (400, 400)] {
        let mut bench = Bench::new();
        bench.submit(&write(BODY));
        bench.attach(false);
        bench.request_head();
        bench.exchange.body_sent(bench.now, 100);
        assert!(bench.exchange.interest().upstream_read, "an answer is wanted before the body is out");
        bench.azure(&answer(status, "", "too much"));
        assert_eq!(bench.answer().status(), told);
        assert!(bench.events.contains(&Event::Release { reusable: false }), "the rest of the body would follow");
        assert_eq!(bench.exchange.outgoing(), Outgoing::Done);
    }
}

#[test]
fn an_answer_is_read_although_the_body_cannot_be_sent() {
    let mut bench = Bench::new();
    bench.submit(&write(BODY));
    bench.attach(false);
    bench.request_head();
    bench.exchange.upstream_unwritable(bench.now);
    assert_eq!(bench.exchange.interest(), Interest { upstream_read: true, client_read: false, ..READ_ONLY });
    bench.azure(&answer(413, "", ""));
    assert_eq!(bench.answer().status(), 413);
    assert!(bench.events.contains(&Event::Release { reusable: false }));
}

/// Azure cannot have stored what it has not received.
#[test]
fn a_success_before_the_body_is_out_acknowledges_nothing() {
    for sent in [0, 1, BODY.len() - 1] {
        let mut bench = Bench::new();
        bench.submit(&write(BODY));
        bench.attach(false);
        bench.request_head();
        bench.exchange.body_sent(bench.now, sent);
        bench.azure(&answer(204, "", ""));
        assert_eq!(bench.answer().status(), 502, "{sent} of {} bytes", BODY.len());
    }
    let mut bench = Bench::new();
    bench.submit(&write(BODY));
    bench.attach(false);
    bench.request_head();
    bench.exchange.upstream_unwritable(bench.now);
    bench.azure(&answer(200, "", ""));
    assert_eq!(bench.answer().status(), 502, "after writing failed");
    for backlog in [Some(true), None] {
        let mut bench = Bench { backlog, ..Bench::new() };
        bench.submit(&write(BODY));
        bench.attach(false);
        bench.request();
        bench.azure(&answer(204, "", ""));
        assert_eq!(bench.answer().status(), 502, "while the last bytes wait in the driver, or may: {backlog:?}");
    }
}

#[test]
fn a_store_that_is_full_is_told() {
    let mut bench = Bench::with(Policy { max_body_bytes: 1 << 20, ..POLICY }, Peer::Loopback);
    let request = chunked_write(BODY, 4096);
    let head = request.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    bench.send(&request[..head]);
    let space = bench.exchange.client_space();
    space[..20].copy_from_slice(&request[head..head + 20]);
    bench.exchange.client_filled(bench.now, 20);
    assert!(!bench.exchange.body_piece().is_empty());
    bench.exchange.exhausted(bench.now);
    bench.settle();
    let told = bench.answer();
    assert_eq!((told.status(), told.field("retry-after"), told.field("connection")), (503, Some("1"), Some("close")));
    assert!(told.text().contains("BODY_MEMORY"));
}

#[test]
fn answers_fit_whatever_azure_puts_into_them() {
    let long = "x".repeat(6000);
    for (status, fields) in [
        (200, format!("Content-Type: {long}\r\n")),
        (400, format!("Content-Type: {long}\r\n")),
        (200, format!("X-Prometheus-Remote-Write-Samples-Written: {}\r\n", "0".repeat(3000))),
    ] {
        let mut bench = Bench::new();
        for _ in 0..3 {
            bench.submit(&write(SMALL_BODY));
            bench.forward(&answer(status, &fields, &long[..1500]));
            let told = bench.answer();
            assert_eq!(told.status(), status);
            assert_eq!(told.body, &long.as_bytes()[..1024]);
        }
    }
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.forward(&answer(403, "", &long[..1500]));
    let line = bench.answer().body;
    assert_eq!((line.len(), line.last()), (1024, Some(&b'\n')));
}
