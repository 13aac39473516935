//! How each request is read: one table of every known way in which parsers have read one head differently.

#[path = "hostile/heads.rs"]
mod table;

use remora_core::http::{Framing as F, HeadError as E, HeadScan, MAX_FIELDS, decode_request, field_slots};
use table::heads;

/// How a head is read when it arrives in reads that end at `cuts`; `None` when it has no end.
fn taken_for(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Option<Result<F, E>> {
    let mut scan = HeadScan::default();
    for filled in cuts.into_iter().chain([bytes.len()]).filter_map(|cut| bytes.get(..cut)) {
        match scan.scan(filled) {
            Err(error) => return Some(Err(error)),
            Ok(Some(len)) => return bytes.get(..len).map(framing_of),
            Ok(None) => {}
        }
    }
    None
}

fn framing_of(head: &[u8]) -> Result<F, E> {
    decode_request(head, &mut field_slots()).map(|head| head.framing)
}

#[test]
fn every_head_is_taken_for_what_the_table_says() {
    let wrong: Vec<_> = heads().filter(|(_, head, expected)| taken_for(head, []) != Some(*expected)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn reads_do_not_change_what_a_head_is_taken_for() {
    for (label, head, expected) in heads() {
        assert_eq!(taken_for(&head, 0..head.len()), Some(expected), "{label}, byte by byte");
        for cut in 0..head.len() {
            assert_eq!(taken_for(&head, [cut]), Some(expected), "{label}, cut at {cut}");
        }
    }
}

#[test]
fn what_follows_a_head_does_not_change_it() {
    for (label, head, expected) in heads() {
        for next in [&b"\r\n"[..], b"\n", b" ", b"0\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n"] {
            let bytes = [&head, next].concat();
            assert_eq!(taken_for(&bytes, []), Some(expected), "{label}");
        }
    }
}

#[test]
fn a_taken_head_has_no_end_before_its_end() {
    for (label, head, _) in heads().filter(|(_, _, expected)| expected.is_ok()) {
        for cut in 0..head.len() {
            assert_eq!(HeadScan::default().scan(&head[..cut]), Ok(None), "{label}, cut at {cut}");
            assert_eq!(framing_of(&head[..cut]), Err(E::Malformed), "{label}, cut at {cut}");
        }
    }
}

/// httparse accepts everything that we accept, and more.
#[test]
fn what_is_taken_httparse_takes_too() {
    for (label, head, _) in heads().filter(|(_, _, expected)| expected.is_ok()) {
        let (mut slots, mut theirs) = (field_slots(), [httparse::EMPTY_HEADER; MAX_FIELDS]);
        let ours = decode_request(&head, &mut slots).expect(label);
        let mut request = httparse::Request::new(&mut theirs);
        assert_eq!(request.parse(&head), Ok(httparse::Status::Complete(head.len())), "{label}");
        assert_eq!((Some(ours.method), Some(ours.target)), (request.method, request.path), "{label}");
        let lines = request.headers.iter().map(|line| (line.name, line.value));
        assert!(ours.fields.iter().eq(lines), "{label}");
    }
}

/// Changing any single byte: if the head is still accepted, a plain reading of its lines gives the same framing.
#[test]
fn no_single_byte_hides_a_line() {
    for (label, head, _) in heads() {
        for at in 0..head.len() {
            for byte in *b"\0\t\n\x0b\r :,;x5\x80" {
                let mut changed = head.clone();
                changed[at] = byte;
                if let Some(Ok(framing)) = taken_for(&changed, []) {
                    assert_eq!(plainly_framed(&changed), Some(framing), "{label}: {}", changed.escape_ascii());
                }
            }
        }
    }
}

/// The framing of a head by the simplest reading: split at CRLF, split at the first colon, count.
fn plainly_framed(bytes: &[u8]) -> Option<F> {
    let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
    let (head, _) = text.trim_start_matches("\r\n").split_once("\r\n\r\n")?;
    let fields: Vec<_> = head.split("\r\n").skip(1).map(|line| line.split_once(':')).collect::<Option<_>>()?;
    let values = |wanted: &str| -> Vec<&str> {
        let named = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    };
    if head.replace("\r\n", "").contains(['\r', '\n', '\0', '\x0b']) {
        return None;
    }
    match (&*values("content-length"), &*values("transfer-encoding")) {
        ([], []) => Some(F::Empty),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length.parse().ok().map(F::Length),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Some(F::Chunked),
        _ => None,
    }
}

#[test]
fn a_request_of_prometheus_is_read_whole() {
    let head = b"POST /api/v1/write?x HTTP/1.1\r\nHost: 127.0.0.1:8081\r\nUser-Agent: Prometheus/2.42.0\r\n\
        Content-Length: 15540\r\nContent-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
        X-Prometheus-Remote-Write-Version: 0.1.0\r\n\r\n";
    let mut slots = field_slots();
    let request = decode_request(head, &mut slots).expect("a good head");
    assert_eq!((request.method, request.path(), request.minor_version), ("POST", "/api/v1/write", 1));
    assert_eq!((request.framing, request.keep_alive, request.expect_continue), (F::Length(15540), true, false));
    assert_eq!(request.fields.first("content-encoding"), Some(&b"snappy"[..]));
    assert_eq!(request.fields.iter().count(), 6);
}

#[test]
fn connection_and_expect_say_what_happens_next() {
    let decoded = |head: &str| {
        let mut slots = field_slots();
        let request = decode_request(head.as_bytes(), &mut slots).expect(head);
        (request.keep_alive, request.expect_continue)
    };
    for (version, lines, expected) in [
        ("1.1", "", (true, false)),
        ("1.1", "Connection: close\r\n", (false, false)),
        ("1.1", "Connection: keep-alive\r\nConnection: x, CLOSE\r\n", (false, false)),
        ("1.1", "Connection: closed\r\n", (true, false)),
        ("1.1", "Expect: 100-Continue\r\nContent-Length: 1\r\n", (true, true)),
        ("1.1", "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", (true, true)),
        ("1.1", "Expect: 100-continue\r\n", (true, false)),
        ("1.0", "Connection: keep-alive\r\n", (false, false)),
        ("1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n", (false, false)),
    ] {
        assert_eq!(decoded(&format!("POST / HTTP/{version}\r\nHost: h\r\n{lines}\r\n")), expected, "{lines}");
    }
}

/// CVE-2021-40346: a name whose length overflows a narrow counter.
#[test]
fn a_name_of_64_kib_is_a_name() {
    let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{}: y\r\nContent-Length: 5\r\n\r\n", "x".repeat(65_536 + 270));
    assert_eq!(taken_for(head.as_bytes(), []), Some(Ok(F::Length(5))));
}
