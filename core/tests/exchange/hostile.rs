//! Hostile requests on a connection, each followed by another request: never more requests go to Azure than came in,
//! and nothing of one request ends up in the next.

use remora_core::forward::Event;
use remora_core::http::{BodyError, Framing, HeadError};

use crate::bench::Bench;
use crate::message::{Message, SMALL_BODY, answer, messages, write};
use crate::{chunks, heads};

/// The final responses to a sender's two requests, and what was sent to Azure.
struct Account {
    answers: Vec<Message>,
    sent: Vec<Message>,
    kept: bool,
}

/// Sends `bytes` in pieces of `size` to an exchange whose Azure accepts everything.
fn account(bytes: &[u8], size: usize) -> Account {
    let mut bench = Bench::new();
    let mut sent = Vec::new();
    for piece in bytes.chunks(size) {
        let mut rest = piece;
        loop {
            rest = bench.offer(rest);
            match bench.events.last() {
                Some(Event::Connect { .. }) => sent.push(bench.forward(&answer(204, "", ""))),
                Some(Event::Page(_)) => bench.deliver(b"page\n"),
                _ => break,
            }
        }
    }
    // Interim responses are left out: whether `100 Continue` is sent depends on what has already arrived.
    let answers = messages(&bench.received).into_iter().filter(|answer| answer.status() >= 200).collect();
    Account { kept: bench.is_kept_alive(), answers, sent }
}

/// Sent whole and byte by byte: the responses and the forwarded requests must be the same.
fn account_cut_anyhow(label: &str, bytes: &[u8]) -> Account {
    let (whole, single) = (account(bytes, bytes.len()), account(bytes, 1));
    let statuses = |account: &Account| account.answers.iter().map(Message::status).collect::<Vec<_>>();
    assert_eq!(statuses(&whole), statuses(&single), "{label}, byte by byte");
    assert_eq!(whole.sent, single.sent, "{label}, byte by byte");
    whole
}

/// A good frame of exactly `length` bytes, 4 to 62: an unknown field.
fn frame(length: u8) -> Vec<u8> {
    let start = [length - 2, (length - 3) << 2, 0x7a, length - 4];
    [&start[..], &vec![0; usize::from(length - 4)]].concat()
}

/// The bytes after a head of this framing: a good frame if there is room for one.
fn body(framing: Result<Framing, HeadError>) -> Vec<u8> {
    match framing {
        Ok(Framing::Length(length)) if length < 62 => {
            u8::try_from(length).ok().filter(|&length| length >= 4).map(frame).unwrap_or_default()
        }
        Ok(Framing::Chunked) => [b"5\r\n", &frame(5)[..], b"\r\n0\r\n\r\n"].concat(),
        _ => Vec::new(),
    }
}

fn is_second(request: &Message) -> bool {
    request.body == SMALL_BODY
}

#[test]
fn one_request_in_is_at_most_one_request_out() {
    let mut tried = 0;
    for (label, head, framing) in heads::heads() {
        let account = account_cut_anyhow(label, &[head, body(framing), write(SMALL_BODY)].concat());
        let statuses: Vec<_> = account.answers.iter().map(Message::status).collect();
        let accepted = statuses.iter().filter(|&&status| status == 204).count();
        assert_eq!(accepted, account.sent.len(), "{label}: {statuses:?}");
        assert!(account.sent.iter().filter(|sent| is_second(sent)).count() <= 1, "{label}");
        assert!(account.sent.iter().filter(|sent| !is_second(sent)).count() <= 1, "{label}");
        match framing {
            Err(error) => {
                assert_eq!(statuses, [error.status()], "{label}");
                assert_eq!(account.answers[0].text(), format!("remora: {error}\n"), "{label}");
                assert!(account.sent.is_empty() && !account.kept, "{label}: the second request was read");
            }
            // The second request is part of this body, which is too long to be accepted.
            Ok(Framing::Length(length)) if length > 62 => assert_eq!(statuses, [400], "{label}"),
            Ok(_) if statuses.len() == 2 => assert!(account.kept && is_second(account.sent.last().unwrap()), "{label}"),
            Ok(_) => assert!(statuses.len() == 1 && !account.kept && !account.sent.iter().any(is_second), "{label}"),
        }
        tried += 1;
    }
    assert!(tried >= 200, "{tried} heads are too few");
}

#[test]
fn nothing_behind_a_faulty_chunk_is_a_request() {
    let head = b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (label, chunks, error) in chunks::FAULTY_BODIES {
        let account = account_cut_anyhow(label, &[&head[..], chunks, &write(SMALL_BODY)].concat());
        let statuses: Vec<_> = account.answers.iter().map(Message::status).collect();
        assert!(account.sent.is_empty(), "{label}: a request went out");
        // Truncated bodies take their missing bytes from what follows, or keep waiting for them.
        let open = matches!(error, BodyError::Truncated);
        assert!(statuses == [400] || (open && statuses.is_empty()), "{label}: {statuses:?}");
        if !open {
            assert_eq!(account.answers[0].text(), format!("remora: {error}\n"), "{label}");
        }
        assert!(!account.kept, "{label}: the second request was read");
    }
}

#[test]
fn a_refused_request_with_a_whole_body_leaves_the_connection_to_the_next() {
    for (start, fields, status) in [
        ("POST /other HTTP/1.1", "", 404),
        ("PUT /api/v1/write HTTP/1.1", "", 405),
        ("POST /api/v1/write HTTP/1.1", "Content-Encoding: zstd\r\n", 415),
        ("POST /api/v1/write HTTP/1.1", "Content-Type: text/plain\r\n", 415),
        ("POST /api/v1/write HTTP/1.1", "Content-Encoding: gzip\r\nExpect: 100-continue\r\n", 415),
    ] {
        // The body is itself a request, which must not be read as one.
        let inner = write(b"\x03\x04\x0a\x00");
        let head = format!("{start}\r\nHost: h\r\n{fields}Content-Length: {}\r\n\r\n", inner.len());
        let account = account(&[head.as_bytes(), &inner, &write(SMALL_BODY)].concat(), usize::MAX);
        let statuses: Vec<_> = account.answers.iter().map(Message::status).collect();
        assert_eq!(statuses, [status, 204], "{start} {fields}");
        assert!(account.sent.len() == 1 && is_second(&account.sent[0]), "{start} {fields}");
    }
}
