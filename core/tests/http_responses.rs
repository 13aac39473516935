//! How each response from upstream is read. As strict as for requests: a response read wrongly may acknowledge the next
//! request's samples.

use remora_core::http::{
    BodyDecoder, Framing as F, HeadError as E, HeadScan, Piece, ResponseHead, decode_response, field_slots,
};

/// Status, framing, whether the connection may carry another request.
type Taken = (u16, F, bool);

const RESPONSES: &[(&str, &[u8], Result<Taken, E>)] = &[
    ("9112 6.3 length", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", Ok((200, F::Length(2), true))),
    ("9112 6.3 chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", Ok((200, F::Chunked, true))),
    ("9112 6.3 neither", b"HTTP/1.1 200 OK\r\n\r\n", Ok((200, F::UntilClose, false))),
    ("9112 4 no reason", b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", Ok((200, F::Length(0), true))),
    ("no space after the code", b"HTTP/1.1 429\r\nContent-Length: 0\r\n\r\n", Ok((429, F::Length(0), true))),
    ("9112 4 any reason", b"HTTP/1.1 500 \xff 200 OK\r\nContent-Length: 0\r\n\r\n", Ok((500, F::Length(0), true))),
    (
        "no Host is asked for",
        b"HTTP/1.1 299 x\r\nHost: a\r\nHost: b\r\nContent-Length: 0\r\n\r\n",
        Ok((299, F::Length(0), true)),
    ),
    (
        "9112 9.3 close",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\n",
        Ok((200, F::Length(2), false)),
    ),
    (
        "HTTP/1.0",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n",
        Ok((200, F::Length(2), false)),
    ),
    ("HTTP/1.0 until close", b"HTTP/1.0 200 OK\r\n\r\n", Ok((200, F::UntilClose, false))),
    (
        "RUSTSEC-2022-0066 largest length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n",
        Ok((200, F::Length(u64::MAX), true)),
    ),
    ("9112 6.3 204", b"HTTP/1.1 204 No Content\r\n\r\n", Ok((204, F::Empty, true))),
    ("204 with zero", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", Ok((204, F::Empty, true))),
    ("204 that announces a body", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Ok((204, F::Empty, false))),
    (
        "204 that announces chunks",
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
        Ok((204, F::Empty, false)),
    ),
    ("9112 6.3 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Ok((304, F::Empty, false))),
    ("9110 15.2 100", b"HTTP/1.1 100 Continue\r\n\r\n", Ok((100, F::Empty, true))),
    ("9110 15.2 103", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", Ok((103, F::Empty, true))),
    ("9110 15.2.2 101", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", Err(E::SwitchingProtocols)),
    ("9110 15 below 100", b"HTTP/1.1 000 x\r\n\r\n", Err(E::StatusCode)),
    ("9110 15 above 599", b"HTTP/1.1 999 x\r\n\r\n", Err(E::StatusCode)),
    ("two digits", b"HTTP/1.1 20 x\r\n\r\n", Err(E::Malformed)),
    ("four digits", b"HTTP/1.1 2000 x\r\n\r\n", Err(E::Malformed)),
    ("plus sign", b"HTTP/1.1 +20 x\r\n\r\n", Err(E::Malformed)),
    ("two spaces", b"HTTP/1.1  200 OK\r\n\r\n", Err(E::Malformed)),
    ("empty line first", b"\r\nHTTP/1.1 200 OK\r\n\r\n", Err(E::Malformed)),
    ("HTTP/2.0", b"HTTP/2.0 200 OK\r\n\r\n", Err(E::Version)),
    ("other protocol", b"ICY 200 OK\r\n\r\n", Err(E::Malformed)),
    ("lower case", b"http/1.1 200 OK\r\n\r\n", Err(E::Malformed)),
    ("a request", b"POST / HTTP/1.1\r\nHost: h\r\n\r\n", Err(E::Malformed)),
    ("LF in the reason", b"HTTP/1.1 200 OK\nX: y\r\n\r\n", Err(E::BareLineFeed)),
    ("CR in the reason", b"HTTP/1.1 200 O\rK\r\n\r\n", Err(E::BareCarriageReturn)),
    ("folded", b"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", Err(E::Folded)),
    ("NUL in a value", b"HTTP/1.1 200 OK\r\nX: \0\r\n\r\n", Err(E::ControlCharacter)),
    ("space before the colon", b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n", Err(E::SpaceBeforeColon)),
    ("empty name", b"HTTP/1.1 200 OK\r\n: 5\r\n\r\n", Err(E::FieldName)),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", Err(E::ConflictingLength)),
    ("plus in a length", b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", Err(E::BadLength)),
    (
        "length and coding",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        Err(E::LengthWithTransferEncoding),
    ),
    ("other coding", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", Err(E::TransferEncoding)),
    ("list of codings", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Err(E::UnknownCoding)),
    ("coding in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Err(E::TransferEncodingInHttp10)),
    ("fault in a 204", b"HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", Err(E::BadLength)),
];

/// How a response is read when it arrives in reads that end at `cuts`; `None` when its head has no end.
fn taken_for(bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Option<Result<Taken, E>> {
    let mut scan = HeadScan::default();
    for filled in cuts.into_iter().chain([bytes.len()]).filter_map(|cut| bytes.get(..cut)) {
        match scan.scan(filled) {
            Err(error) => return Some(Err(error)),
            Ok(Some(len)) => {
                let mut slots = field_slots();
                let head = decode_response(filled.get(..len)?, &mut slots);
                return Some(
                    head.map(|ResponseHead { status, framing, keep_alive, .. }| (status, framing, keep_alive)),
                );
            }
            Ok(None) => {}
        }
    }
    None
}

#[test]
fn every_response_is_taken_for_what_the_table_says() {
    for (label, head, expected) in RESPONSES {
        assert_eq!(taken_for(head, []), Some(*expected), "{label}");
    }
}

#[test]
fn reads_do_not_change_what_a_response_is_taken_for() {
    for (label, head, expected) in RESPONSES {
        assert_eq!(taken_for(head, 0..head.len()), Some(*expected), "{label}, byte by byte");
        for cut in 0..head.len() {
            assert_eq!(taken_for(head, [cut]), Some(*expected), "{label}, cut at {cut}");
        }
    }
}

/// A 204 followed by the bytes that its Content-Length announces: they do not belong to any response.
#[test]
fn bytes_after_a_204_are_not_its_body() {
    let bytes = b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello";
    let len = HeadScan::default().scan(bytes).unwrap().unwrap();
    let mut slots = field_slots();
    let head = decode_response(&bytes[..len], &mut slots).unwrap();
    assert_eq!(BodyDecoder::new(head.framing).next(&bytes[len..]), Ok((0, Piece::End)));
    assert!(!head.keep_alive);
}

#[test]
fn fields_that_are_handed_on_are_found() {
    let head = b"HTTP/1.1 200 OK\r\nretry-after: 30\r\nX-Prometheus-Remote-Write-Samples-Written:  7 \r\n\r\n";
    let mut slots = field_slots();
    let fields = decode_response(head, &mut slots).unwrap().fields;
    assert_eq!(fields.first("Retry-After"), Some(&b"30"[..]));
    assert_eq!(fields.only("X-Prometheus-Remote-Write-Samples-Written"), Ok(Some(&b"7"[..])));
}
