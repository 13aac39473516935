//! One request and its response on a probe's connection. Heads and bodies are decoded by the core's own decoder.

use std::io;

use remora_core::http::{BodyDecoder, HeadScan, HeadWriter, Piece, decode_response, field_slots};
use remora_core::remote_write::Version;
use remora_smol::endpoint::Endpoint;
use remora_smol::probe::Link;
use remora_smol::text::is_more_than_text;
use zeroize::Zeroizing;

use crate::config::fault::{masked, masked_words};

/// Longest head of a response, in bytes.
const MAX_HEAD: usize = 64 * 1024;
/// Longest body line that is shown, in characters. Azure's refusals name the identity near their end.
const MAX_LINE: usize = 1000;
/// Most interim responses before the final one.
const MAX_INTERIM: usize = 4;

/// A response.
#[derive(Debug)]
pub(super) struct Answer {
    /// Status code.
    pub(super) status: u16,
    /// The `Date` field.
    pub(super) date: Option<String>,
    /// The `Location` field.
    pub(super) location: Option<String>,
    /// The body, or the beginning of it.
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The body as text for a report: its first line, truncated, without secrets and without terminal control
    /// characters.
    pub(super) fn line(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = masked_words(text.lines().next().unwrap_or_default());
        line.chars().map(|c| if is_more_than_text(c) { ' ' } else { c }).take(MAX_LINE).collect()
    }

    /// The host that a redirect names, with its port. A relative one names none (RFC 9110 §10.2.2).
    pub(super) fn redirected_to(&self) -> Option<String> {
        let (_, rest) = self.location.as_deref()?.split_once("//")?;
        let authority = rest.split(['/', '?', '#']).next().filter(|authority| !authority.is_empty())?;
        Some(masked(authority))
    }
}

/// The head of a GET request with `Connection: close`.
pub(super) fn get(authority: &str, target: &str) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "GET {target} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: remora/{version}\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    )
    .into_bytes()
}

/// A write with a body of one byte: a zero is an empty snappy block, which holds a write request without series.
pub(super) fn empty_write(endpoint: &Endpoint, authorization: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let (target, version) = (endpoint.target(), Version::V1);
    let mut request = Zeroizing::new(vec![0; 1024 + target.len() + authorization.len()]);
    let mut head = HeadWriter::request(&mut request, target);
    head.field("Host", endpoint.authority().as_bytes());
    head.field("User-Agent", concat!("remora/", env!("CARGO_PKG_VERSION")).as_bytes());
    head.field("Content-Type", version.content_type().as_bytes());
    head.field("Content-Encoding", b"snappy");
    head.field("X-Prometheus-Remote-Write-Version", version.protocol().as_bytes());
    head.field("Content-Length", b"1");
    head.field("Authorization", authorization);
    let length = head.finish().map_err(io::Error::other)?;
    request.truncate(length);
    request.push(0);
    Ok(request)
}

/// Reads one response and at most `limit` bytes of its body.
pub(super) fn answer(link: &mut Link, limit: usize) -> io::Result<Answer> {
    let mut received = Vec::new();
    for _ in 0..MAX_INTERIM {
        let length = head_length(link, &mut received)?;
        let head: Vec<u8> = received.drain(..length).collect();
        let mut slots = field_slots();
        let head = decode_response(&head, &mut slots).map_err(|error| io::Error::other(error.to_string()))?;
        if (100..200).contains(&head.status) {
            continue;
        }
        let text = |name| head.fields.first(name).and_then(|text| std::str::from_utf8(text).ok()).map(str::to_owned);
        let (date, location) = (text("date"), text("location"));
        let body = body(link, received, BodyDecoder::new(head.framing), limit)?;
        return Ok(Answer { status: head.status, date, location, body });
    }
    Err(io::Error::other("only interim responses"))
}

/// Receives until a head is complete.
fn head_length(link: &mut Link, received: &mut Vec<u8>) -> io::Result<usize> {
    let mut scan = HeadScan::default();
    loop {
        match scan.scan(received).map_err(|error| io::Error::other(error.to_string()))? {
            Some(length) => return Ok(length),
            None if received.len() > MAX_HEAD => return Err(io::Error::other("the response head does not end")),
            None if !link.receive(received)? => return Err(io::ErrorKind::UnexpectedEof.into()),
            None => {}
        }
    }
}

/// Receives a body until it ends or reaches `limit` bytes.
fn body(link: &mut Link, mut received: Vec<u8>, mut decoder: BodyDecoder, limit: usize) -> io::Result<Vec<u8>> {
    let broken = |error: remora_core::http::BodyError| io::Error::other(error.to_string());
    let mut body = Vec::new();
    loop {
        let (consumed, piece) = decoder.next(&received).map_err(broken)?;
        match piece {
            Piece::Data(bytes) => body.extend_from_slice(bytes),
            Piece::End => return Ok(body),
            Piece::NeedMore => {
                received.clear();
                if !link.receive(&mut received)? {
                    decoder.end_of_input().map_err(broken)?;
                    return Ok(body);
                }
                continue;
            }
        }
        if body.len() >= limit {
            body.truncate(limit);
            return Ok(body);
        }
        received.drain(..consumed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::*;

    /// Reads a response that arrives in these pieces.
    fn read(pieces: &'static [&'static str], limit: usize) -> io::Result<Answer> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let _ = socket.read(&mut [0; 1024]);
            for piece in pieces {
                // The client may already have read enough and closed.
                let _ = socket.write_all(piece.as_bytes());
                thread::sleep(Duration::from_millis(5));
            }
        });
        let mut link = Link::open(&[address], Duration::from_secs(5)).unwrap();
        link.send(&get("h", "/")).unwrap();
        let answer = answer(&mut link, limit);
        server.join().unwrap();
        answer
    }

    #[test]
    fn bodies_of_every_framing_are_read() {
        for pieces in [
            &["HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\n\r\nhe", "llo"][..],
            &["HTTP/1.1 200 OK\r\ndate: d\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", "3\r\nllo\r\n0\r\n\r\n"],
            &["HTTP/1.0 200 OK\r\nDate: d\r\n\r\nhel", "lo"],
            &["HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Length: 5\r\n\r\nhello"],
        ] {
            let answer = read(pieces, 100).unwrap();
            assert_eq!((answer.status, answer.date.as_deref(), &*answer.body), (200, Some("d"), &b"hello"[..]));
        }
    }

    #[test]
    fn a_long_body_is_cut() {
        assert_eq!(read(&["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello all"], 5).unwrap().body, b"hello");
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for pieces in [&["SSH-2.0-OpenSSH_9.2\r\n"][..], &[], &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"]] {
            assert!(read(pieces, 100).is_err(), "{pieces:?}");
        }
    }

    #[test]
    fn a_line_for_a_report_obeys_no_terminal() {
        let answer = Answer { status: 500, date: None, location: None, body: b"a\x1b[2Jb\nc".to_vec() };
        assert_eq!(answer.line(), "a [2Jb");
    }

    #[test]
    fn a_redirect_names_its_host_without_a_login() {
        let answer = read(&["HTTP/1.1 302 Found\r\nLocation: http://a.example/x\r\nContent-Length: 0\r\n\r\n"], 9);
        assert_eq!(answer.unwrap().redirected_to().as_deref(), Some("a.example"));
        for (location, host) in [
            ("https://portal.corp.example:8443?from=x//y", Some("portal.corp.example:8443")),
            ("//portal.example", Some("portal.example")),
            ("http://user:secret@portal.example/", Some("***@portal.example")),
            ("/login", None),
            ("http://", None),
        ] {
            let answer = Answer { status: 302, date: None, location: Some(location.to_owned()), body: Vec::new() };
            assert_eq!(answer.redirected_to().as_deref(), host, "{location}");
        }
    }
}
