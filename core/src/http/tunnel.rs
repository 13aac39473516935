//! A tunnel through an HTTP proxy: the request for it and the proxy's response (RFC 9110 §9.3.6).
//!
//! Traffic in an open tunnel is not HTTP. A TLS client speaks first, so a proxy that sends anything after its response
//! has mixed up its connections.

use core::fmt;

use super::head::decode_scanned_status;
use super::{EncodeError, HeadError, HeadScan, HeadWriter};

/// Writes the request for a tunnel to `authority`, a host with its port, into `out` and returns its length.
/// `credentials` is `user:password` in base64, for basic authentication (RFC 7617).
pub fn encode_connect(authority: &str, credentials: Option<&[u8]>, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut head = HeadWriter::connect(out, authority);
    head.field("Host", authority.as_bytes());
    if let Some(credentials) = credentials {
        head.constant(b"Proxy-Authorization: Basic ").text(credentials).constant(b"\r\n");
    }
    head.finish()
}

/// Why there is no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TunnelError {
    /// The response is not valid HTTP.
    Head(HeadError),
    /// The proxy refused to open the tunnel.
    Refused {
        /// The status of its response.
        status: u16,
    },
    /// Unexpected bytes follow the response.
    Excess,
    /// The proxy closed before its response was complete. Raised by the caller.
    Closed,
}

impl TunnelError {
    /// The caller's buffer is full and the response's head has not ended. Raised by the caller.
    pub const TOO_LARGE: Self = Self::Head(HeadError::TooLarge);
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Refused { status: 407 } => f.write_str("http: the proxy requires a login; put it in HTTPS_PROXY"),
            Self::Refused { status } => write!(f, "http: the proxy answered {status} to CONNECT"),
            Self::Excess => f.write_str("http: the proxy sent more than its response to CONNECT"),
            Self::Closed => f.write_str("http: the proxy closed the connection before it answered CONNECT"),
        }
    }
}

impl core::error::Error for TunnelError {}

/// Reads the proxy's response as it arrives.
#[derive(Debug, Default)]
pub struct TunnelAnswer {
    scan: HeadScan,
}

impl TunnelAnswer {
    /// Continues where the last call stopped; `filled` is everything that has arrived so far. True once the tunnel is
    /// open.
    ///
    /// The size of a response is bounded by the caller's buffer: if that is full before `true`, it is
    /// [`TunnelError::TOO_LARGE`].
    pub fn read(&mut self, filled: &[u8]) -> Result<bool, TunnelError> {
        let Some(length) = self.scan.scan(filled).map_err(TunnelError::Head)? else { return Ok(false) };
        let head = filled.get(..length).unwrap_or_default();
        // A 2xx has no body whatever its fields say, so only its status counts (RFC 9110 §9.3.6).
        match decode_scanned_status(head).map_err(TunnelError::Head)? {
            200..=299 if filled.len() > length => Err(TunnelError::Excess),
            200..=299 => Ok(true),
            status => Err(TunnelError::Refused { status }),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;

    use super::*;

    fn answer(bytes: &[u8]) -> Result<bool, TunnelError> {
        let mut answer = TunnelAnswer::default();
        let whole = TunnelAnswer::default().read(bytes);
        let cut = (0..=bytes.len()).map(|end| answer.read(&bytes[..end])).find(|read| *read != Ok(false));
        assert_eq!(cut.unwrap_or(Ok(false)), whole, "byte by byte");
        whole
    }

    #[test]
    fn a_request_names_the_authority_twice_and_the_credentials() {
        let mut out = [0; 256];
        let length = encode_connect("x.example:443", Some(b"dTpw"), &mut out).unwrap();
        let expected =
            b"CONNECT x.example:443 HTTP/1.1\r\nHost: x.example:443\r\nProxy-Authorization: Basic dTpw\r\n\r\n";
        assert_eq!(&out[..length], expected);
        let length = encode_connect("[::1]:443", None, &mut out).unwrap();
        assert_eq!(&out[..length], b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n\r\n");
    }

    #[test]
    fn what_would_break_a_line_is_not_written() {
        let mut out = [0; 256];
        assert_eq!(encode_connect("x\r\ny", None, &mut out), Err(EncodeError::IllegalValue));
        assert_eq!(encode_connect("x:1", Some(b"dTpw\r\n"), &mut out), Err(EncodeError::IllegalValue));
        assert_eq!(encode_connect("x:1", None, &mut out[..8]), Err(EncodeError::NoRoom));
    }

    #[test]
    fn any_success_opens_the_tunnel() {
        for bytes in [
            &b"HTTP/1.1 200 Connection established\r\n\r\n"[..],
            b"HTTP/1.0 200 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nVia: 1.1 squid\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: x\r\nContent-Length: 5\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
        ] {
            assert_eq!(answer(bytes), Ok(true), "{}", bytes.escape_ascii());
        }
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\nVia: x\r\n"), Ok(false));
    }

    #[test]
    fn refused() {
        let refused = |status| TunnelError::Refused { status };
        assert_eq!(answer(b"HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n"), Err(refused(407)));
        assert_eq!(refused(407).to_string(), "http: the proxy requires a login; put it in HTTPS_PROXY");
        assert_eq!(TunnelAnswer::default().read(b"HTTP/1.1 503 x\r\n\r\n<html>"), Err(refused(503)));
        assert_eq!(refused(503).to_string(), "http: the proxy answered 503 to CONNECT");
    }

    #[test]
    fn excess() {
        let error = TunnelAnswer::default().read(b"HTTP/1.1 200 OK\r\n\r\nx");
        assert_eq!(error, Err(TunnelError::Excess));
        assert_eq!(TunnelError::Excess.to_string(), "http: the proxy sent more than its response to CONNECT");
    }

    #[test]
    fn head() {
        assert_eq!(answer(b"\x15\x03\x01"), Err(TunnelError::Head(HeadError::Tls)));
        let error = TunnelError::Head(HeadError::Tls);
        assert_eq!(error.to_string(), "http: TLS where plain http was expected");
    }

    #[test]
    fn closed() {
        let line = "http: the proxy closed the connection before it answered CONNECT";
        assert_eq!(TunnelError::Closed.to_string(), line);
    }
}
