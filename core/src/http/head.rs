//! The head of a message, read in place: start line, fields, and what they say about the body and the connection.

use core::mem::MaybeUninit;

use httparse::{Header, ParserConfig, Status};

use super::fault::HeadError;
use super::fields::{Fields, field_slots, is_token, split_list};
use super::framing::{self, Framing};
use super::scan::HeadScan;
use super::target;

/// The head of a request, as RFC 9112 §3 names its parts.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'h, 'b> {
    /// Case matters: `post` is not `POST`.
    pub method: &'b str,
    /// As sent, including the query. For routing see [`RequestHead::path`].
    pub target: &'b str,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// All field lines.
    pub fields: Fields<'h, 'b>,
    /// Where the body ends; never [`Framing::UntilClose`].
    pub framing: Framing,
    /// Whether the sender may send another request after this one. Never for HTTP/1.0.
    pub keep_alive: bool,
    /// Whether the sender waits for `100 Continue` before it sends its body (RFC 9110 §10.1.1).
    pub expect_continue: bool,
}

impl<'b> RequestHead<'_, 'b> {
    /// The target's path: without query and, in the absolute form, without scheme and authority. At least `/`.
    pub fn path(&self) -> &'b str {
        target::path(self.target)
    }
}

/// The head of a response to a POST, as RFC 9112 §4 names its parts. The reason phrase is left out: it has no meaning.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'h, 'b> {
    /// 100 to 599, never 101.
    pub status: u16,
    /// 0 for HTTP/1.0, 1 for HTTP/1.1.
    pub minor_version: u8,
    /// All field lines.
    pub fields: Fields<'h, 'b>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection can carry another request once the body has been read to its end.
    pub keep_alive: bool,
}

/// Decodes `head`, the bytes that [`HeadScan::scan`] delimited. Fields are put into `slots`; more fields than slots are
/// [`HeadError::TooManyFields`].
///
/// The rules of [`HeadScan`] are checked again here: what this function accepts does not depend on how the end was
/// found.
pub fn decode_request<'h, 'b>(
    head: &'b [u8],
    slots: &'h mut [MaybeUninit<Header<'b>>],
) -> Result<RequestHead<'h, 'b>, HeadError> {
    check_lines(head)?;
    decode_scanned_request(head, slots)
}

/// [`decode_request`] for a head whose lines were checked when [`HeadScan`] found its end.
pub(crate) fn decode_scanned_request<'h, 'b>(
    head: &'b [u8],
    slots: &'h mut [MaybeUninit<Header<'b>>],
) -> Result<RequestHead<'h, 'b>, HeadError> {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let mut request = httparse::Request::new(&mut []);
    check_parsed(request.parse_with_uninit_headers(head, slots), head)?;
    let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version) else {
        return Err(HeadError::Malformed);
    };
    let fields = Fields::new(request.headers);
    let framing = framing::declared(&fields, minor_version)?.unwrap_or(Framing::Empty);
    target::check_target(method, target)?;
    check_host(&fields, minor_version)?;
    Ok(RequestHead {
        method,
        target,
        minor_version,
        fields,
        framing,
        keep_alive: may_keep_alive(&fields, minor_version),
        expect_continue: expects_continue(&fields, minor_version)? && has_content(framing),
    })
}

/// Decodes `head`, the bytes that [`HeadScan::scan`] delimited, as the response to a POST. `slots` as in
/// [`decode_request`].
///
/// A 1xx, 204 or 304 has no body whatever its fields say (RFC 9112 §6.3); if they say otherwise, the connection must
/// not be reused.
pub fn decode_response<'h, 'b>(
    head: &'b [u8],
    slots: &'h mut [MaybeUninit<Header<'b>>],
) -> Result<ResponseHead<'h, 'b>, HeadError> {
    check_lines(head)?;
    decode_scanned_response(head, slots)
}

/// [`decode_response`] for a head whose lines were checked when [`HeadScan`] found its end.
pub(crate) fn decode_scanned_response<'h, 'b>(
    head: &'b [u8],
    slots: &'h mut [MaybeUninit<Header<'b>>],
) -> Result<ResponseHead<'h, 'b>, HeadError> {
    let (status, minor_version, fields) = parse_response(head, slots)?;
    let declared = framing::declared(&fields, minor_version)?;
    let framing = response_framing(status, declared);
    let ends_in_sight = match framing {
        Framing::Empty => matches!(declared, None | Some(Framing::Length(0))),
        Framing::UntilClose => false,
        Framing::Length(_) | Framing::Chunked => true,
    };
    let keep_alive = ends_in_sight && may_keep_alive(&fields, minor_version);
    Ok(ResponseHead { status, minor_version, fields, framing, keep_alive })
}

/// The status of a head whose lines have already been scanned, whatever its fields say about framing.
pub(super) fn decode_scanned_status(head: &[u8]) -> Result<u16, HeadError> {
    let (status, ..) = parse_response(head, &mut field_slots())?;
    Ok(status)
}

/// Status, minor version and fields.
fn parse_response<'h, 'b>(
    head: &'b [u8],
    slots: &'h mut [MaybeUninit<Header<'b>>],
) -> Result<(u16, u8, Fields<'h, 'b>), HeadError> {
    // Only a server should skip an empty line (RFC 9112 §2.2). Here it would be left over from the previous response.
    if head.starts_with(b"\r\n") {
        return Err(HeadError::Malformed);
    }
    let mut response = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, slots);
    check_parsed(parsed, head)?;
    let (Some(status), Some(minor_version)) = (response.code, response.version) else {
        return Err(HeadError::Malformed);
    };
    check_status(status)?;
    Ok((status, minor_version, Fields::new(response.headers)))
}

/// Checks that `head` is one head and nothing else, with well-formed lines.
fn check_lines(head: &[u8]) -> Result<(), HeadError> {
    match HeadScan::default().scan(head)? {
        Some(len) if len == head.len() => Ok(()),
        _ => Err(HeadError::Malformed),
    }
}

/// Names the fault that httparse found.
fn check_parsed(parsed: httparse::Result<usize>, head: &[u8]) -> Result<(), HeadError> {
    let error = match parsed {
        Ok(Status::Complete(len)) if len == head.len() => return Ok(()),
        Ok(_) => return Err(HeadError::Malformed),
        Err(error) => error,
    };
    Err(match error {
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::HeaderName => field_name_fault(head),
        httparse::Error::HeaderValue => HeadError::ControlCharacter,
        httparse::Error::Version if names_other_version(head) => HeadError::Version,
        _ => HeadError::Malformed,
    })
}

/// What is wrong with the first field name that is not a token.
fn field_name_fault(head: &[u8]) -> HeadError {
    match lines(head).skip(1).filter_map(name_of).find(|name| !is_token(name)) {
        Some(name) if is_token(name.trim_ascii_end()) => HeadError::SpaceBeforeColon,
        _ => HeadError::FieldName,
    }
}

/// The part of a line before its first colon.
fn name_of(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    line.get(..colon)
}

/// Whether the start line names an HTTP version that is well formed (RFC 9112 §2.3) but not supported.
fn names_other_version(head: &[u8]) -> bool {
    let start_line = lines(head).next().unwrap_or_default();
    start_line.split(|&byte| byte == b' ').any(|word| match word.strip_prefix(b"HTTP/") {
        Some(b"1.0" | b"1.1") => false,
        Some([major, b'.', minor]) => major.is_ascii_digit() && minor.is_ascii_digit(),
        _ => false,
    })
}

/// The lines of a checked head without their line ends.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// RFC 9112 §3.2: exactly one Host in HTTP/1.1, at most one in HTTP/1.0, which predates it.
fn check_host(fields: &Fields<'_, '_>, minor_version: u8) -> Result<(), HeadError> {
    match fields.only("host") {
        Ok(Some(host)) if target::is_host(host) => Ok(()),
        Ok(Some(_)) => Err(HeadError::BadHost),
        Ok(None) if minor_version == 0 => Ok(()),
        Ok(None) => Err(HeadError::MissingHost),
        Err(_) => Err(HeadError::RepeatedHost),
    }
}

/// HTTP/1.0 has no persistence without an extension that a proxy must not use (RFC 9112 §9.3).
fn may_keep_alive(fields: &Fields<'_, '_>, minor_version: u8) -> bool {
    minor_version == 1 && !fields.has_token("connection", "close")
}

/// RFC 9110 §10.1.1: in HTTP/1.0 the field is ignored.
fn expects_continue(fields: &Fields<'_, '_>, minor_version: u8) -> Result<bool, HeadError> {
    let mut expects = false;
    for value in fields.all("expect").filter(|_| minor_version == 1) {
        if !split_list(value).all(|expectation| expectation.eq_ignore_ascii_case(b"100-continue")) {
            return Err(HeadError::Expectation);
        }
        expects = true;
    }
    Ok(expects)
}

const fn has_content(framing: Framing) -> bool {
    !matches!(framing, Framing::Empty | Framing::Length(0))
}

const fn check_status(status: u16) -> Result<(), HeadError> {
    match status {
        101 => Err(HeadError::SwitchingProtocols),
        100..=599 => Ok(()),
        _ => Err(HeadError::StatusCode),
    }
}

/// RFC 9112 §6.3, items 1, 4, 6 and 8.
fn response_framing(status: u16, declared: Option<Framing>) -> Framing {
    match status {
        100..=199 | 204 | 304 => Framing::Empty,
        _ => declared.unwrap_or(Framing::UntilClose),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;

    use super::*;
    use crate::http::MAX_FIELDS;

    /// The fault of an HTTP/1.1 request with a valid Host and these lines.
    fn fault_of(lines: &str) -> HeadError {
        fault_of_head(&format!("POST /api/v1/write HTTP/1.1\r\nHost: h\r\n{lines}\r\n"))
    }

    fn fault_of_head(head: &str) -> HeadError {
        decode_request(head.as_bytes(), &mut field_slots()).expect_err("must be refused")
    }

    /// The fault of a response with this head.
    fn fault_of_response(head: &str) -> HeadError {
        decode_response(head.as_bytes(), &mut field_slots()).expect_err("must be refused")
    }

    #[test]
    fn too_many_fields() {
        let beside_host = MAX_FIELDS - 1;
        let head = format!("POST / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(beside_host));
        assert!(decode_request(head.as_bytes(), &mut field_slots()).is_ok());
        assert_eq!(fault_of(&"X: y\r\n".repeat(MAX_FIELDS)), HeadError::TooManyFields);
    }

    /// The caller need not have used [`HeadScan`], so each of its faults is found here as well.
    #[test]
    fn faults_of_the_scan() {
        assert_eq!(fault_of("A: b\n"), HeadError::BareLineFeed);
        assert_eq!(fault_of("A: b\rc\r\n"), HeadError::BareCarriageReturn);
        assert_eq!(fault_of("A: b\0c\r\n"), HeadError::ControlCharacter);
        assert_eq!(fault_of("A: b\r\n c\r\n"), HeadError::Folded);
        assert_eq!(fault_of_head("POST / HTTP/1.1\r\nHost: h\r\n"), HeadError::Malformed);
        assert_eq!(fault_of_head("POST / HTTP/1.1\r\nHost: h\r\n\r\nbody"), HeadError::Malformed);
        assert_eq!(fault_of_response("HTTP/1.1 200 OK\r\nA: b\n\r\n"), HeadError::BareLineFeed);
    }

    #[test]
    fn space_before_colon() {
        assert_eq!(fault_of("Content-Length : 5\r\n"), HeadError::SpaceBeforeColon);
        assert_eq!(fault_of("Content-Length\t: 5\r\n"), HeadError::SpaceBeforeColon);
    }

    #[test]
    fn field_name() {
        assert_eq!(fault_of(": 5\r\n"), HeadError::FieldName);
        assert_eq!(fault_of("no colon\r\n"), HeadError::FieldName);
        assert_eq!(fault_of("Content Length: 5\r\n"), HeadError::FieldName);
        assert_eq!(fault_of("Content-Length\u{e9}: 5\r\n"), HeadError::FieldName);
    }

    #[test]
    fn conflicting_length() {
        assert_eq!(fault_of("Content-Length: 5\r\nContent-Length: 6\r\n"), HeadError::ConflictingLength);
        assert_eq!(fault_of("Content-Length: 5\r\ncontent-length: 5\r\n"), HeadError::ConflictingLength);
    }

    #[test]
    fn bad_length() {
        assert_eq!(fault_of("Content-Length: +5\r\n"), HeadError::BadLength);
    }

    #[test]
    fn length_with_transfer_encoding() {
        let lines = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(fault_of(lines), HeadError::LengthWithTransferEncoding);
    }

    #[test]
    fn transfer_encoding() {
        assert_eq!(fault_of("Transfer-Encoding: identity\r\n"), HeadError::TransferEncoding);
        let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(fault_of(twice), HeadError::TransferEncoding);
    }

    #[test]
    fn unknown_coding() {
        assert_eq!(fault_of("Transfer-Encoding: gzip, chunked\r\n"), HeadError::UnknownCoding);
    }

    #[test]
    fn transfer_encoding_in_http_10() {
        let head = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(fault_of_head(head), HeadError::TransferEncodingInHttp10);
    }

    #[test]
    fn missing_host() {
        assert_eq!(fault_of_head("POST / HTTP/1.1\r\n\r\n"), HeadError::MissingHost);
        assert!(decode_request(b"POST / HTTP/1.0\r\n\r\n", &mut field_slots()).is_ok());
    }

    #[test]
    fn repeated_host() {
        assert_eq!(fault_of("Host: h\r\n"), HeadError::RepeatedHost);
        assert_eq!(fault_of_head("POST / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), HeadError::RepeatedHost);
    }

    #[test]
    fn bad_host() {
        assert_eq!(fault_of_head("POST / HTTP/1.1\r\nHost:\r\n\r\n"), HeadError::BadHost);
    }

    #[test]
    fn target() {
        assert_eq!(fault_of_head("POST write HTTP/1.1\r\nHost: h\r\n\r\n"), HeadError::Target);
    }

    #[test]
    fn version() {
        assert_eq!(fault_of_head("PRI * HTTP/2.0\r\n\r\n"), HeadError::Version);
        assert_eq!(fault_of_response("HTTP/2.0 200 OK\r\n\r\n"), HeadError::Version);
    }

    #[test]
    fn expectation() {
        assert_eq!(fault_of("Expect: 200-ok\r\n"), HeadError::Expectation);
    }

    #[test]
    fn status_code() {
        assert_eq!(fault_of_response("HTTP/1.1 099 Low\r\n\r\n"), HeadError::StatusCode);
        assert_eq!(fault_of_response("HTTP/1.1 600 High\r\n\r\n"), HeadError::StatusCode);
    }

    #[test]
    fn switching_protocols() {
        assert_eq!(fault_of_response("HTTP/1.1 101 Switching Protocols\r\n\r\n"), HeadError::SwitchingProtocols);
    }

    #[test]
    fn malformed() {
        assert_eq!(fault_of_head("POST /\r\nHost: h\r\n\r\n"), HeadError::Malformed);
        assert_eq!(fault_of_response("HTTP/1.1 20 OK\r\n\r\n"), HeadError::Malformed);
        assert_eq!(fault_of_response("\r\nHTTP/1.1 200 OK\r\n\r\n"), HeadError::Malformed);
    }
}
