//! It makes no difference where the bytes are cut.

use remora_core::forward::{Event, Outgoing, Peer, Policy};

use crate::bench::{Bench, POLICY};
use crate::message::{Message, SMALL_BODY, answer, chunked_write, write, write_with};

/// The outcome of the requests on one connection: what the sender received, and what was sent to Azure.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    received: Vec<u8>,
    sent: Vec<Message>,
}

/// Sends the sender's bytes in `pieces`; `azure` is the response to each forwarded request.
fn account(pieces: &[&[u8]], azure: &[u8], peer: Peer) -> Account {
    let mut bench = Bench::with(Policy { max_body_bytes: 600, ..POLICY }, peer);
    let mut sent = Vec::new();
    let mut received = Vec::new();
    for piece in pieces {
        let mut rest = piece.to_vec();
        loop {
            rest = bench.offer(&rest).to_vec();
            if bench.events.last().is_some_and(|event| format!("{event:?}").starts_with("Connect")) {
                sent.push(bench.forward(azure));
            } else {
                break;
            }
        }
        received.append(&mut bench.received);
    }
    Account { received, sent }
}

/// The account of `request`, which must be the same wherever it is cut in two, and byte by byte.
fn account_cut_anyhow(request: &[u8], azure: &[u8], peer: Peer) -> Account {
    let whole = account(&[request], azure, peer);
    for at in 1..request.len() {
        let (first, second) = request.split_at(at);
        assert_eq!(account(&[first, second], azure, peer), whole, "cut at {at}");
    }
    let bytes: Vec<_> = request.chunks(1).collect();
    assert_eq!(account(&bytes, azure, peer), whole, "byte by byte");
    whole
}

#[test]
fn a_good_request_is_the_same_however_it_is_cut() {
    let azure = answer(204, "", "");
    let with_trailer =
        b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n\x02\x04\r\n02\r\n\
                         \x0a\x00\r\n0\r\nX: y\r\n\r\n";
    for request in [
        write(SMALL_BODY),
        chunked_write(SMALL_BODY, 3),
        write_with("User-Agent: x/1\r\ntraceparent: 00-1-2-01\r\n", SMALL_BODY),
        with_trailer.to_vec(),
    ] {
        let whole = account_cut_anyhow(&request, &azure, Peer::Loopback);
        assert_eq!(whole.sent[0].body, SMALL_BODY);
        assert_eq!(whole.received, b"HTTP/1.1 204 No Content\r\n\r\n");
    }
}

#[test]
fn two_requests_are_the_same_however_they_are_cut() {
    let two = [write_with("User-Agent: x/1\r\n", SMALL_BODY), chunked_write(b"\x00", 1)].concat();
    let whole = account_cut_anyhow(&two, &answer(503, "Retry-After: 1\r\n", "x"), Peer::Loopback);
    assert_eq!(whole.sent.iter().map(|sent| sent.body.as_slice()).collect::<Vec<_>>(), [SMALL_BODY, b"\x00"]);
}

#[test]
fn a_broken_request_has_the_same_status_however_it_is_cut() {
    let status = |account: &Account| account.received[..12].to_vec();
    for request in [
        &b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\n\x02\x04\x0a\x00"[..],
        b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\x02\x04x\r\n0\r\n\r\n",
        b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Length: 601\r\n\r\n\x02\x04\x0a\x00",
        b"POST /api/v1/write HTTP/1.1\r\nHost: h\nContent-Length: 4\r\n\r\n",
        b"POST /other HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n\x02\x04\x0a\x00",
    ] {
        let whole = account(&[request], b"", Peer::Loopback);
        for at in 1..request.len() {
            let (first, second) = request.split_at(at);
            let cut = account(&[first, second], b"", Peer::Loopback);
            assert_eq!(status(&cut), status(&whole), "cut at {at}");
            assert!(cut.sent.is_empty());
        }
    }
}

/// Whether Azure closes the connection after its response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Open,
    Closed,
}

/// The response that the sender gets for Azure's `bytes`, which arrive in pieces that end at `cuts`.
fn told(bytes: &[u8], cuts: &[usize], ends: Ends) -> Vec<u8> {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.attach(false);
    bench.request();
    let mut from = 0;
    for &to in cuts.iter().chain([&bytes.len()]) {
        bench.azure(&bytes[from..to]);
        from = to;
    }
    if bench.exchange.is_open() && ends == Ends::Closed {
        bench.azure_closes();
    }
    bench.received
}

#[test]
fn a_response_is_the_same_however_it_is_cut() {
    for response in [
        answer(204, "", ""),
        answer(400, "Content-Type: application/json\r\n", "{\"error\": {}}"),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 x\r\nRetry-After: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\
          \r\n2\r\nde\r\n0\r\n\r\n"
            .to_vec(),
        b"HTTP/1.1 500 x\r\n\r\nuntil it closes".to_vec(),
        b"HTTP/1.1 307 x\r\nLocation: /\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_vec(),
        answer(500, "", &"long ".repeat(400)),
    ] {
        let whole = told(&response, &[], Ends::Closed);
        assert!(whole.starts_with(b"HTTP/1.1 "));
        for at in 0..response.len() {
            assert_eq!(told(&response, &[at], Ends::Closed), whole, "cut at {at}");
        }
        assert_eq!(told(&response, &(0..response.len()).collect::<Vec<_>>(), Ends::Closed), whole, "byte by byte");
    }
}

/// Whether a head is too long does not depend on how it arrives, and a head of any length gets the sender a response.
#[test]
fn a_response_head_of_any_length_is_either_taken_or_refused() {
    for length in (6900..7400).step_by(7).chain(8000..8192) {
        let padding = length - answer(200, "X: \r\nContent-Length: 1500\r\n", "").len() + "Content-Length: 0\r\n".len();
        let head = format!("HTTP/1.1 200 Reason\r\nX: {}\r\nContent-Length: 1500\r\n\r\n", "x".repeat(padding));
        assert_eq!(head.len(), length);
        let response = [head.as_bytes(), &[b'y'; 1500]].concat();
        let whole = told(&response, &[], Ends::Open);
        assert!(!whole.is_empty(), "no answer after a head of {length} bytes");
        assert_eq!(told(&response, &[length / 2], Ends::Open), whole, "{length}");
    }
}

#[test]
fn a_body_is_sent_in_any_pieces() {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.attach(false);
    bench.request_head();
    for from in 0..SMALL_BODY.len() {
        assert_eq!(bench.exchange.outgoing(), Outgoing::Body { from });
        assert!(bench.exchange.interest().upstream_write);
        bench.exchange.body_sent(bench.now, 1);
    }
    assert_eq!(bench.exchange.outgoing(), Outgoing::Done);
    assert!(!bench.exchange.interest().upstream_write);
}

#[test]
fn an_answer_is_taken_in_any_pieces() {
    let mut bench = Bench::new();
    let head = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
    bench.exchange.client_space()[..head.len()].copy_from_slice(head);
    bench.exchange.client_filled(bench.now, head.len());
    let mut received = Vec::new();
    while bench.exchange.interest().client_write {
        received.push(bench.exchange.client_pending()[0]);
        bench.exchange.client_drained(bench.now, 1);
    }
    assert_eq!(crate::message::message(&received).text(), "ok\n");
    assert!(!bench.exchange.is_open());
}

#[test]
fn chunks_behind_a_long_head_come_in_more_than_a_few_bytes() {
    for length in [2000, 2040, 2047, 2048] {
        let fixed = "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nX: \r\nTransfer-Encoding: chunked\r\n\r\n";
        let head = fixed.replace("X: ", &format!("X: {}", "x".repeat(length - fixed.len())));
        let mut bench = Bench::new();
        bench.send(head.as_bytes());
        assert!(bench.exchange.client_space().len() >= 512, "{length}");
    }
}

#[test]
fn a_driver_may_read_ahead_where_a_write_may_begin() {
    let request = write(SMALL_BODY);
    let head = request.len() - SMALL_BODY.len();
    let mut bench = Bench::new();
    assert!(bench.exchange.may_read_ahead());
    let room = bench.exchange.client_space().len();
    bench.send(&request[..10]);
    assert!(!bench.exchange.may_read_ahead(), "the rest of a head may be short");
    bench.submit(&request[10..]);
    assert_eq!(bench.exchange.head_length(), head);
    assert!(!bench.exchange.may_read_ahead());
    bench.forward(&answer(204, "", ""));
    assert!(bench.exchange.may_read_ahead());
    assert_eq!(bench.exchange.client_space().len(), room, "no more than for the first head");
    assert!(!Bench::with(POLICY, Peer::Foreign).exchange.may_read_ahead(), "who may not write has nothing to send");
}

#[test]
fn body_bytes_that_came_with_the_head_are_stored_before_more_is_read() {
    let mut bench = Bench::new();
    let request = write(SMALL_BODY);
    let first = request.len() - 1;
    bench.exchange.client_space()[..first].copy_from_slice(&request[..first]);
    bench.exchange.client_filled(bench.now, first);
    assert_eq!(bench.exchange.poll_event(), Some(Event::Reserve(SMALL_BODY.len())));
    bench.exchange.reserved(bench.now);
    assert_eq!(bench.exchange.body_piece(), &SMALL_BODY[..3]);
    assert!(!bench.exchange.interest().client_read);
    bench.settle();
    assert!(bench.exchange.interest().client_read);
    bench.submit(&request[first..]);
}

/// Azure's head leaves room for the part of its body that is told, and for one byte more.
#[test]
fn a_response_head_leaves_room_for_the_text_or_is_refused_however_it_is_cut() {
    let fixed = "HTTP/1.1 400 Bad Request\r\nX: \r\nContent-Length: 4\r\n\r\n";
    for (length, status) in [(8192 - 1025, 400), (8192 - 1024, 502)] {
        let head = fixed.replace("X: ", &format!("X: {}", "x".repeat(length - fixed.len())));
        for size in [1, length + 4] {
            let mut bench = Bench::new();
            bench.submit(&write(SMALL_BODY));
            bench.attach(false);
            bench.request();
            for piece in format!("{head}text").as_bytes().chunks(size) {
                bench.azure(piece);
            }
            assert_eq!(bench.answer().status(), status, "{length} bytes in pieces of {size}");
        }
    }
}

#[test]
fn a_request_head_leaves_room_for_chunks_or_is_refused_however_it_is_cut() {
    let fixed = "GET /health HTTP/1.1\r\nHost: h\r\nX: \r\n\r\n";
    for (length, status) in [(8192 - 512, 200), (8192 - 511, 431)] {
        let head = fixed.replace("X: ", &format!("X: {}", "x".repeat(length - fixed.len())));
        for size in [1, length] {
            let mut bench = Bench::new();
            for piece in head.as_bytes().chunks(size) {
                bench.offer(piece);
            }
            assert_eq!(bench.answer().status(), status, "{length} bytes in pieces of {size}");
        }
    }
}
