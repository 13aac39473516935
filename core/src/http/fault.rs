//! What can be wrong with a head.

use core::fmt;

/// Why a head is refused. Whatever the variant, the connection is closed after the answer: where the next message would
/// begin is unknown or in dispute.
///
/// In a response from upstream each of these makes the response unusable; [`HeadError::status`] is for requests only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The caller's buffer is full and the head has not ended. Raised by the caller: [`HeadScan`](super::HeadScan) knows
    /// no limit.
    TooLarge,
    /// More field lines than slots.
    TooManyFields,
    /// A line that ends in LF alone.
    BareLineFeed,
    /// A CR that no LF follows.
    BareCarriageReturn,
    /// A control character other than CRLF and the tab of a field value, NUL among them (RFC 9110 §5.5).
    ControlCharacter,
    /// It begins as a TLS record does (RFC 8446 §5.1), on a port for plain HTTP.
    Tls,
    /// A field line that starts with a space or tab: obsolete folding, or whitespace before the first field.
    Folded,
    /// Whitespace between a field's name and its colon (RFC 9112 §5.1).
    SpaceBeforeColon,
    /// A field name that is empty or no token, or a field line without a colon.
    FieldName,
    /// A field that may stand once stands twice or more.
    RepeatedField,
    /// More than one Content-Length, equal or not (RFC 9112 §6.3 allows to refuse both).
    ConflictingLength,
    /// A Content-Length that is not 1*DIGIT, or above `u64::MAX`.
    BadLength,
    /// Content-Length and Transfer-Encoding in one head.
    LengthWithTransferEncoding,
    /// A Transfer-Encoding that is not `chunked` and nothing else, or more than one.
    TransferEncoding,
    /// Codings that Remora does not know, with `chunked` as the last of the list.
    UnknownCoding,
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112 §6.1: framing faulty).
    TransferEncodingInHttp10,
    /// An HTTP/1.1 request without Host.
    MissingHost,
    /// More than one Host.
    RepeatedHost,
    /// A Host that is not a name or address with an optional port.
    BadHost,
    /// A target that is neither a path nor an absolute http URI (`*` for OPTIONS and an authority for CONNECT apart).
    Target,
    /// An HTTP version other than 1.0 and 1.1.
    Version,
    /// An Expect other than `100-continue`.
    Expectation,
    /// A status code outside of 100 to 599.
    StatusCode,
    /// 101 from upstream: Remora never asks to switch protocols.
    SwitchingProtocols,
    /// A start line, or a run of empty lines before it, that has no reading.
    Malformed,
}

impl HeadError {
    /// The status that the sender of such a request gets. None of them is worth a retry of the same bytes, but the
    /// meaning of the code is the RFC's, and no sender in use makes heads like these.
    pub const fn status(self) -> u16 {
        match self {
            // RFC 6585 §5.
            Self::TooLarge | Self::TooManyFields => 431,
            // RFC 9112 §6.1.
            Self::UnknownCoding => 501,
            Self::Version => 505,
            Self::Expectation => 417,
            _ => 400,
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "http: head too large",
            Self::TooManyFields => "http: more than 64 header fields",
            Self::BareLineFeed => "http: line feed without carriage return in the head",
            Self::BareCarriageReturn => "http: carriage return without line feed in the head",
            Self::ControlCharacter => "http: control character in the head",
            Self::Tls => "http: TLS where plain http was expected",
            Self::Folded => "http: folded header line",
            Self::SpaceBeforeColon => "http: whitespace before the colon of a header field",
            Self::FieldName => "http: invalid header field name",
            Self::RepeatedField => "http: repeated header field that may appear only once",
            Self::ConflictingLength => "http: more than one content-length",
            Self::BadLength => "http: content-length is not a plain number",
            Self::LengthWithTransferEncoding => "http: content-length together with transfer-encoding",
            Self::TransferEncoding => "http: transfer-encoding other than chunked",
            Self::UnknownCoding => "http: unknown transfer coding before chunked",
            Self::TransferEncodingInHttp10 => "http: transfer-encoding in http/1.0",
            Self::MissingHost => "http: no host field",
            Self::RepeatedHost => "http: more than one host field",
            Self::BadHost => "http: invalid host field",
            Self::Target => "http: invalid request target",
            Self::Version => "http: version is neither 1.0 nor 1.1",
            Self::Expectation => "http: unknown expectation",
            Self::StatusCode => "http: status code outside 100 to 599",
            Self::SwitchingProtocols => "http: unrequested protocol switch",
            Self::Malformed => "http: malformed start line",
        })
    }
}

impl core::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::*;

    #[test]
    fn status_is_the_one_its_rfc_names() {
        for (error, status) in [
            (HeadError::TooLarge, 431),
            (HeadError::TooManyFields, 431),
            (HeadError::UnknownCoding, 501),
            (HeadError::Version, 505),
            (HeadError::Expectation, 417),
            (HeadError::TransferEncoding, 400),
            (HeadError::ConflictingLength, 400),
            (HeadError::MissingHost, 400),
        ] {
            assert_eq!(error.status(), status, "{error}");
        }
    }

    #[test]
    fn text_names_the_layer_and_the_fault() {
        assert_eq!(HeadError::BadLength.to_string(), "http: content-length is not a plain number");
        assert_eq!(HeadError::MissingHost.to_string(), "http: no host field");
    }
}
