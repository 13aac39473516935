//! What can be wrong with a head.

use core::fmt;

use super::MAX_FIELDS;

/// Why a head is refused. Whatever the variant, the connection is closed after the response: where the next message
/// would begin is unknown or in dispute.
///
/// In a response from upstream each of these makes the response unusable; [`HeadError::status`] is for requests only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeadError {
    /// The caller's buffer is full and the head has not ended. Raised by the caller: [`HeadScan`](super::HeadScan) has
    /// no limit.
    TooLarge,
    /// More field lines than slots.
    TooManyFields,
    /// A line that ends in LF alone.
    BareLineFeed,
    /// A CR not followed by LF.
    BareCarriageReturn,
    /// A control character, including NUL, other than CRLF and a tab in a field value (RFC 9110 §5.5).
    ControlCharacter,
    /// The head begins like a TLS record (RFC 8446 §5.1), on a port for plain HTTP.
    Tls,
    /// A field line that starts with a space or tab: obsolete folding, or whitespace before the first field.
    Folded,
    /// Whitespace between a field's name and its colon (RFC 9112 §5.1).
    SpaceBeforeColon,
    /// A field name that is empty or not a token, or a field line without a colon.
    FieldName,
    /// A field that may appear only once appears more than once.
    RepeatedField,
    /// More than one Content-Length, equal or not (RFC 9112 §6.3 allows refusing both).
    ConflictingLength,
    /// A Content-Length that is not 1*DIGIT, or above `u64::MAX`.
    BadLength,
    /// Content-Length and Transfer-Encoding in one head.
    LengthWithTransferEncoding,
    /// A Transfer-Encoding other than exactly `chunked`, or more than one.
    TransferEncoding,
    /// Codings unknown to Remora, followed by `chunked` at the end of the list.
    UnknownCoding,
    /// Transfer-Encoding in an HTTP/1.0 message (RFC 9112 §6.1: the framing is faulty).
    TransferEncodingInHttp10,
    /// An HTTP/1.1 request without Host.
    MissingHost,
    /// More than one Host.
    RepeatedHost,
    /// A Host that is not a name or address with an optional port.
    BadHost,
    /// A target that is neither a path nor an absolute http or https URI (except `*` for OPTIONS and an authority for
    /// CONNECT).
    Target,
    /// An HTTP version other than 1.0 and 1.1.
    Version,
    /// An Expect other than `100-continue`.
    Expectation,
    /// A status code outside of 100 to 599.
    StatusCode,
    /// 101 from upstream: Remora never asks to switch protocols.
    SwitchingProtocols,
    /// A start line that cannot be parsed, too many empty lines before it, or bytes that are not exactly one head.
    Malformed,
}

impl HeadError {
    /// The response status for such a request. Retrying the same bytes never helps, yet the code is the one that the
    /// RFC names, even if 5xx: no sender in use produces such heads.
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

// The words of `TooManyFields` below.
const _: () = assert!(MAX_FIELDS == 64);

impl HeadError {
    /// The fault in words.
    pub(crate) const fn text(self) -> &'static str {
        match self {
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
        }
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
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
