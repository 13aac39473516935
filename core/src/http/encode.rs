//! Writes heads into the caller's buffer.
//!
//! A value that could end its line early would let its author inject further lines (RUSTSEC-2024-0008), so every name
//! and value is checked when written, wherever it came from. Only constants of this crate are not.

use core::fmt;

use super::digits::Decimal;
use super::fields::is_token;
use super::text::is_text;

/// Why a head could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The buffer is too small.
    NoRoom,
    /// A target, status, field name or field value that would break its line: control characters (CR, LF and NUL among
    /// them), whitespace in a target, a name that is not a token, a status that does not have three digits.
    IllegalValue,
}

/// Writes one head, line by line. The first error is kept and returned by [`HeadWriter::finish`], so calls can be
/// chained.
///
/// ```
/// # use remora_core::http::HeadWriter;
/// let mut buf = [0; 128];
/// let mut head = HeadWriter::response(&mut buf, 503);
/// head.field("Content-Type", b"text/plain").field_decimal("Retry-After", 5);
/// let len = head.finish().unwrap();
/// assert_eq!(&buf[..len], b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\n\r\n");
/// ```
#[derive(Debug)]
pub struct HeadWriter<'a> {
    buf: &'a mut [u8],
    len: usize,
    error: Option<EncodeError>,
}

impl<'a> HeadWriter<'a> {
    /// Starts a request: `POST target HTTP/1.1`.
    pub fn request(buf: &'a mut [u8], target: &str) -> Self {
        Self::start(buf, b"POST ", target)
    }

    /// Starts a request for a tunnel: `CONNECT authority HTTP/1.1`.
    pub fn connect(buf: &'a mut [u8], authority: &str) -> Self {
        Self::start(buf, b"CONNECT ", authority)
    }

    fn start(buf: &'a mut [u8], method: &[u8], target: &str) -> Self {
        let mut head = Self { buf, len: 0, error: None };
        let legal = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic());
        head.check(legal).put(method).put(target.as_bytes()).put(b" HTTP/1.1\r\n");
        head
    }

    /// Continues after the first `len` bytes, the length that [`HeadWriter::pause`] returned.
    pub(crate) const fn resume(buf: &'a mut [u8], len: usize) -> Self {
        Self { buf, len, error: None }
    }

    /// Starts a response: `HTTP/1.1 status reason`.
    pub fn response(buf: &'a mut [u8], status: u16) -> Self {
        let mut head = Self { buf, len: 0, error: None };
        head.check((100..=999).contains(&status)).put(b"HTTP/1.1 ").put(Decimal::new(status.into()).as_bytes());
        head.put(b" ").put(reason(status).as_bytes()).put(b"\r\n");
        head
    }

    /// Adds one field line.
    pub fn field(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.check(is_token(name.as_bytes())).put(name.as_bytes()).put(b": ").text(value).put(b"\r\n")
    }

    /// Adds lines, or a part of one, that are constants of this crate.
    pub(crate) fn constant(&mut self, bytes: &'static [u8]) -> &mut Self {
        self.put(bytes)
    }

    /// Continues the value of a field.
    pub(crate) fn text(&mut self, part: &[u8]) -> &mut Self {
        self.check(is_text(part)).put(part)
    }

    /// Continues the value of a field with a number.
    pub(crate) fn decimal(&mut self, value: u64) -> &mut Self {
        self.put(Decimal::new(value).as_bytes())
    }

    /// Adds one field line whose value is a number.
    pub fn field_decimal(&mut self, name: &str, value: u64) -> &mut Self {
        self.field(name, Decimal::new(value).as_bytes())
    }

    /// Suspends a head that is not complete yet. Returns the length so far.
    pub(crate) fn pause(self) -> Result<usize, EncodeError> {
        self.error.map_or(Ok(self.len), Err)
    }

    /// Ends the head with its empty line. Returns the head's length; after an error the contents of the buffer mean
    /// nothing.
    pub fn finish(mut self) -> Result<usize, EncodeError> {
        self.put(b"\r\n");
        self.pause()
    }

    fn check(&mut self, legal: bool) -> &mut Self {
        if !legal {
            self.error.get_or_insert(EncodeError::IllegalValue);
        }
        self
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        let room = self.buf.get_mut(self.len..).and_then(|free| free.get_mut(..bytes.len()));
        match room {
            Some(room) if self.error.is_none() => {
                room.copy_from_slice(bytes);
                self.len = self.len.saturating_add(bytes.len());
            }
            _ => {
                self.error.get_or_insert(EncodeError::NoRoom);
            }
        }
        self
    }
}

/// The reason phrase of `status` (RFC 9110 §15, RFC 6585).
const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        // Upstream may send any other code; for those the phrase says no more than the class.
        _ => match status / 100 {
            2 => "Success",
            4 => "Client Error",
            5 => "Server Error",
            _ => "Status",
        },
    }
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoom => "http: head does not fit in its buffer",
            Self::IllegalValue => "http: illegal character in an outgoing head",
        })
    }
}

impl core::error::Error for EncodeError {}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn request_is_written_line_by_line() {
        let mut buf = [0; 128];
        let mut head = HeadWriter::request(&mut buf, "/dataCollectionRules/x?api-version=2023-04-24");
        head.field("Host", b"h").constant(b"Authorization: Bearer ").text(b"abc").constant(b"\r\n");
        head.field_decimal("Content-Length", 0);
        let len = head.finish().unwrap();
        assert_eq!(
            buf[..len],
            *b"POST /dataCollectionRules/x?api-version=2023-04-24 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer abc\r\n\
               Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn status_line_of_an_unlisted_code_names_its_class() {
        for (status, line) in [(100, &b"HTTP/1.1 100 Continue\r\n\r\n"[..]), (299, b"HTTP/1.1 299 Success\r\n\r\n")] {
            let mut buf = [0; 64];
            let len = HeadWriter::response(&mut buf, status).finish().unwrap();
            assert_eq!(&buf[..len], line);
        }
    }

    #[test]
    fn no_room() {
        let whole = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n".len();
        for room in 0..=whole {
            let mut buf = [0; 32];
            let mut head = HeadWriter::response(&mut buf[..room], 200);
            head.field("A", b"b");
            assert_eq!(head.finish(), if room == whole { Ok(whole) } else { Err(EncodeError::NoRoom) }, "{room}");
        }
    }

    #[test]
    fn illegal_value() {
        let written = |target: &str, name: &str, value: &[u8]| {
            let mut buf = [0; 128];
            let mut head = HeadWriter::request(&mut buf, target);
            head.field("Host", b"h").field(name, value).field("A", b"b");
            head.finish()
        };
        assert!(written("/", "Authorization", b"Bearer a\tb \xc3\xa9").is_ok());
        for value in [&b"a\r\nX: y"[..], b"a\n", b"a\r", b"a\0b", b"\x7f", b"\x0b"] {
            assert_eq!(written("/", "A", value), Err(EncodeError::IllegalValue), "{value:?}");
        }
        for name in ["", "A B", "A:", "A\r\nB", "\u{e9}"] {
            assert_eq!(written("/", name, b"x"), Err(EncodeError::IllegalValue), "{name:?}");
        }
        for target in ["", "/a b", "/\r\nX: y", "/\u{e9}"] {
            assert_eq!(written(target, "A", b"x"), Err(EncodeError::IllegalValue), "{target:?}");
        }
        assert_eq!(HeadWriter::response(&mut [0; 64], 99).finish(), Err(EncodeError::IllegalValue));
    }

    #[test]
    fn every_status_has_a_reason() {
        for status in 100..=599 {
            let mut buf = [0; 64];
            let length = HeadWriter::response(&mut buf, status).finish().unwrap();
            let line = core::str::from_utf8(&buf[..length]).unwrap();
            let (start, reason) = line.trim_end().split_at("HTTP/1.1 100 ".len());
            assert_eq!(start.split(' ').nth(1), Some(std::format!("{status}").as_str()));
            assert!(reason.starts_with(|first: char| first.is_ascii_uppercase()), "{line}");
        }
    }

    #[test]
    fn first_error_stays() {
        let mut buf = [0; 32];
        let mut head = HeadWriter::request(&mut buf, "/");
        head.field("A", b"\n").field("B", &[b'x'; 64]);
        assert_eq!(head.finish(), Err(EncodeError::IllegalValue));
    }

    #[test]
    fn nothing_is_written_after_an_error() {
        let mut buf = [0; 32];
        let mut head = HeadWriter::request(&mut buf, "/");
        head.field("A", b"secret\n").field("B", b"c");
        assert!(head.finish().is_err());
        assert!(!buf.windows(6).any(|bytes| bytes == b"secret"));
    }
}
