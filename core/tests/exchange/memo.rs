//! A driver's memo of heads changes nothing but the work.

use remora_core::forward::{Event, Exchange, HeadMemo, Peer, Policy};

use crate::bench::{Bench, POLICY};
use crate::heads;
use crate::message::{BODY, SMALL_BODY, answer, chunked_write, write, write_with};

/// What has come of a request: events, what was sent to Azure, what the sender received, what was counted.
type Account = (Vec<Event>, Vec<Vec<u8>>, Vec<u8>, String);

/// A sender on a connection of its own sends `bytes`; Azure accepts every write.
fn account(bench: &mut Bench, bytes: &[u8]) -> Account {
    let mut sent = Vec::new();
    let mut rest = bytes;
    loop {
        rest = bench.offer(rest);
        let Some(Event::Connect { .. }) = bench.events.last() else { break };
        bench.attach(false);
        sent.push(bench.request_bytes());
        bench.azure(&answer(204, "", ""));
    }
    let counted = format!("{:?}", bench.gateway.counters);
    (bench.take_events(), sent, core::mem::take(&mut bench.received), counted)
}

/// Sends `requests`, each on a new connection of one process, with a memo and without: it must make no difference.
fn compare(requests: &[&[u8]]) {
    let with_policy = || Bench::with(Policy { max_body_bytes: 600, ..POLICY }, Peer::Loopback);
    let (mut with, mut without) = (with_policy(), with_policy());
    with.memo = Some(HeadMemo::default());
    for request in requests {
        let memo = with.memo.take();
        (with, without) = (with.beside(), without.beside());
        with.memo = memo;
        let (with, without) = (account(&mut with, request), account(&mut without, request));
        assert_eq!(with, without, "{}", request.escape_ascii());
    }
}

/// A write with all the fields of the sender's that are passed on.
fn usual(body: &[u8]) -> Vec<u8> {
    let fields = "User-Agent: Prometheus/2.42.0\r\nRetry-Attempt: 1\r\ntraceparent: 00-1-2-01\r\ntracestate: a=b\r\n";
    write_with(fields, body)
}

#[test]
fn writes_that_differ_in_their_length_and_body() {
    let long = [b"\x80\x04", &[0xff; 510][..]].concat();
    let (one, two) = (usual(SMALL_BODY), usual(b"\x03\x08\x0a\x01\x0a"));
    compare(&[&one, &two, &one, &usual(&long), &usual(&BODY[..600]), &usual(&BODY[..599]), &usual(BODY), &one]);
    compare(&[
        &one,
        &chunked_write(SMALL_BODY, 2),
        &one,
        b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n",
        &one,
        &write(SMALL_BODY),
    ]);
}

#[test]
fn heads_that_differ_in_one_byte() {
    let first = usual(SMALL_BODY);
    let head = first.len() - SMALL_BODY.len();
    for at in 0..head {
        for byte in [b'0', b'3', b'9', b'x', b' ', b'\r', b'\n', b':', b',', 0x80, first[at] ^ 0x20] {
            let mut next = first.clone();
            next[at] = byte;
            compare(&[&first, &next]);
        }
    }
}

#[test]
fn heads_that_differ_in_the_digits() {
    let text = String::from_utf8(write_with("Expect: 100-continue\r\n", SMALL_BODY)).unwrap();
    let others = "004 000 003 599 600 601 999 +04 -04  04 04  0x4 0 4 1e2";
    for (first, others) in [("4", "34590+-a \t"), ("004", others)] {
        for other in others.as_bytes().chunks(if first.len() == 1 { 1 } else { 4 }) {
            let other = core::str::from_utf8(&other[..first.len()]).unwrap();
            let request = |digits| text.replace("Length: 4", &format!("Length: {digits}")).into_bytes();
            compare(&[&request(first), &request(other), &request(first)]);
            // The sender waits for `100 Continue`, if there is a body.
            let head = |digits| request(digits)[..request(digits).len() - SMALL_BODY.len()].to_vec();
            compare(&[&request(other), &head(first), &head(other), &head(first)]);
        }
    }
}

#[test]
fn hostile_heads_before_and_after_a_usual_one() {
    let usual = usual(SMALL_BODY);
    for (_, head, _) in heads::heads() {
        compare(&[&usual, &head, &usual, &[&head[..], SMALL_BODY].concat(), &usual]);
    }
}

#[test]
fn heads_that_name_their_length_in_another_field_too() {
    for fields in [
        "X-Content-Length: 5\r\n",
        "Content-Length-X: 5\r\n",
        "X: \r\nY: Content-Length: 5\r\n",
        "Content-Length:5\r\n",
    ] {
        let first = write_with(fields, SMALL_BODY);
        let next = String::from_utf8(first.clone()).unwrap().replace(": 5", ": 4").replace(":5", ":3");
        compare(&[&first, next.as_bytes(), &first]);
    }
}

#[test]
fn heads_in_pieces_and_behind_an_empty_line() {
    let usual = usual(SMALL_BODY);
    let late = [b"\r\n", &usual[..]].concat();
    compare(&[&late, &late, &usual, &late]);
    compare(&[&usual, &[&usual[..], &usual, &late, &usual].concat(), &usual]);
    for at in 1..usual.len() {
        let (mut with, mut without) = (Bench::new(), Bench::new());
        with.memo = Some(HeadMemo::default());
        for bench in [&mut with, &mut without] {
            account(bench, &usual);
            bench.send(&usual[..at]);
        }
        assert_eq!(account(&mut with, &usual[at..]), account(&mut without, &usual[at..]), "cut at {at}");
    }
}

#[test]
fn writes_of_a_peer_that_may_not() {
    let bench = Bench::new();
    let mut memo = Some(HeadMemo::default());
    for (peer, status) in [(Peer::Loopback, 204), (Peer::Foreign, 403), (Peer::Loopback, 204)] {
        let mut bench = bench.beside_from(peer);
        bench.memo = memo.take();
        let bytes = account(&mut bench, &usual(SMALL_BODY)).2;
        assert_eq!(crate::message::message(&bytes).status(), status, "{peer:?}");
        memo = bench.memo.take();
    }
}

#[test]
fn heads_that_a_small_inbox_has_no_room_for() {
    let request = usual(SMALL_BODY);
    let mut bench = Bench::new();
    bench.memo = Some(HeadMemo::default());
    account(&mut bench, &request);
    let (mut inbox, mut outbox) = ([0; 600], [0; 2048]);
    let mut exchange = Exchange::new(bench.now, bench.gateway, Peer::Loopback, &mut inbox, &mut outbox);
    exchange.client_space()[..request.len()].copy_from_slice(&request);
    exchange.client_filled_with(bench.now, request.len(), bench.memo.as_mut().unwrap());
    let Some(Event::Answered(outcome)) = exchange.poll_event() else { panic!("{exchange:?}") };
    assert_eq!(outcome.status, 431);
}
