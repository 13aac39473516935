//! Which message a request claims to carry, read from Content-Type and Content-Encoding before the body is looked at.
//!
//! Sources: remote-write 2.0, "Protocol"; RFC 9110 §5.6.6 (parameters), §8.3.1 (media type), §8.4 (content coding).

use core::fmt;

use super::Version;
use crate::http::is_token_byte;

/// Why a request's media type is refused. The sender gets 415; vmagent then falls back to snappy, and 2.0 senders may
/// fall back to version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MediaFault {
    /// The Content-Encoding is not `snappy`.
    Encoding,
    /// The Content-Type is not `application/x-protobuf`.
    Type,
    /// The Content-Type's parameters do not follow the grammar, or `proto` appears twice.
    Parameter,
    /// The `proto` parameter names a message that is not one of remote-write.
    Message,
}

impl fmt::Display for MediaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "remote write: content-encoding must be snappy",
            Self::Type => "remote write: content-type must be application/x-protobuf",
            Self::Parameter => "remote write: malformed content-type parameters",
            Self::Message => {
                "remote write: content-type proto must be prometheus.WriteRequest or io.prometheus.write.v2.Request"
            }
        })
    }
}

impl core::error::Error for MediaFault {}

/// Reads the values of Content-Type and Content-Encoding; `None` means that the header is missing.
///
/// Like Prometheus' own receiver, it takes a missing Content-Type as version 1 and a missing or empty Content-Encoding
/// as snappy. Case, whitespace around parameters and quotes make no difference; what goes upstream is
/// [`Version::content_type`], since that receiver would misread some of these forms.
pub fn negotiate(content_type: Option<&[u8]>, content_encoding: Option<&[u8]>) -> Result<Version, MediaFault> {
    let encoding = content_encoding.unwrap_or_default().trim_ascii();
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case(b"snappy") {
        return Err(MediaFault::Encoding);
    }
    let Some(content_type) = content_type else { return Ok(Version::V1) };
    let (media_type, parameters) = split_before_semicolon(content_type);
    if !media_type.trim_ascii().eq_ignore_ascii_case(b"application/x-protobuf") {
        return Err(MediaFault::Type);
    }
    match proto(parameters)? {
        None => Ok(Version::V1),
        Some(name) if name.eq_ignore_ascii_case(b"prometheus.WriteRequest") => Ok(Version::V1),
        Some(name) if name.eq_ignore_ascii_case(b"io.prometheus.write.v2.Request") => Ok(Version::V2),
        Some(_) => Err(MediaFault::Message),
    }
}

/// The value of the one `proto` parameter in `*( OWS ";" OWS [ parameter ] )`.
fn proto(parameters: &[u8]) -> Result<Option<&[u8]>, MediaFault> {
    let mut found = None;
    let mut rest = parameters;
    while let Some((b';', tail)) = rest.split_first() {
        let tail = tail.trim_ascii_start();
        if tail.is_empty() || tail.first() == Some(&b';') {
            rest = tail;
            continue;
        }
        let Parameter { name, value, rest: tail } = parameter(tail)?;
        if name.eq_ignore_ascii_case(b"proto") && found.replace(value).is_some() {
            return Err(MediaFault::Parameter);
        }
        rest = tail.trim_ascii_start();
    }
    if rest.is_empty() { Ok(found) } else { Err(MediaFault::Parameter) }
}

/// One parameter, its value without quotes, and what follows.
struct Parameter<'h> {
    name: &'h [u8],
    value: &'h [u8],
    rest: &'h [u8],
}

fn parameter(bytes: &[u8]) -> Result<Parameter<'_>, MediaFault> {
    let (name, rest) = token(bytes)?;
    let Some((b'=', rest)) = rest.split_first() else { return Err(MediaFault::Parameter) };
    let (value, rest) = match rest.split_first() {
        Some((b'"', quoted)) => quoted_string(quoted)?,
        _ => token(rest)?,
    };
    Ok(Parameter { name, value, rest })
}

/// A token (RFC 9110 §5.6.2), at least one character long.
fn token(bytes: &[u8]) -> Result<(&[u8], &[u8]), MediaFault> {
    let length = bytes.iter().take_while(|&&byte| is_token_byte(byte)).count();
    match bytes.split_at_checked(length) {
        Some((token, rest)) if !token.is_empty() => Ok((token, rest)),
        _ => Err(MediaFault::Parameter),
    }
}

/// The text before the closing quote, and the rest after it. Escapes stay as they are: no message name needs one.
fn quoted_string(bytes: &[u8]) -> Result<(&[u8], &[u8]), MediaFault> {
    let mut escaped = false;
    let end = bytes.iter().position(|&byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    match end.and_then(|end| bytes.split_at_checked(end)) {
        Some((value, [_, rest @ ..])) => Ok((value, rest)),
        _ => Err(MediaFault::Parameter),
    }
}

fn split_before_semicolon(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|&byte| byte == b';').unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;

    use super::*;

    const V2: &str = "io.prometheus.write.v2.Request";

    fn of_type(content_type: &str) -> Result<Version, MediaFault> {
        negotiate(Some(content_type.as_bytes()), Some(b"snappy"))
    }

    #[test]
    fn published_forms() {
        assert_eq!(of_type("application/x-protobuf"), Ok(Version::V1));
        assert_eq!(of_type("application/x-protobuf;proto=prometheus.WriteRequest"), Ok(Version::V1));
        assert_eq!(of_type("application/x-protobuf;proto=io.prometheus.write.v2.Request"), Ok(Version::V2));
        for version in [Version::V1, Version::V2] {
            assert_eq!(of_type(version.content_type()), Ok(version));
        }
    }

    #[test]
    fn missing_headers_are_version_1_and_snappy() {
        assert_eq!(negotiate(None, None), Ok(Version::V1));
        assert_eq!(negotiate(None, Some(b"")), Ok(Version::V1));
    }

    #[test]
    fn white_space_quotes_and_case_make_no_difference() {
        for form in [
            "application/x-protobuf; proto=NAME",
            "application/x-protobuf ;\tproto=NAME ",
            "application/x-protobuf;proto=\"NAME\"",
            " Application/X-Protobuf;Proto=NAME",
            "application/x-protobuf;charset=utf-8;proto=NAME;",
            "application/x-protobuf;note=\"a;\\\"proto=b\";;proto=NAME",
        ] {
            let form = form.replace("NAME", V2);
            assert_eq!(of_type(&form), Ok(Version::V2), "{form}");
        }
        assert_eq!(negotiate(None, Some(b" Snappy ")), Ok(Version::V1));
    }

    #[test]
    fn encoding() {
        for encoding in ["zstd", "gzip", "deflate", "identity", "snappy, snappy", "x-snappy-framed"] {
            assert_eq!(negotiate(None, Some(encoding.as_bytes())), Err(MediaFault::Encoding), "{encoding}");
        }
    }

    #[test]
    fn media_type() {
        for media_type in ["application/json", "image/png", "", "application/x-protobuf2", "x-protobuf", ";proto=x"] {
            assert_eq!(of_type(media_type), Err(MediaFault::Type), "{media_type}");
        }
    }

    #[test]
    fn malformed_parameter() {
        for parameters in ["proto", "proto=", "=x", "proto=\"x", "a b", "proto =x", "proto=x y", "proto=x;proto=x"] {
            let form = format!("application/x-protobuf;{parameters}");
            assert_eq!(of_type(&form), Err(MediaFault::Parameter), "{form}");
        }
    }

    #[test]
    fn unknown_message() {
        for name in ["io.prometheus.write.v3.Request", "WriteRequest", "\"\"", "\"prometheus\\.WriteRequest\""] {
            let form = format!("application/x-protobuf;proto={name}");
            assert_eq!(of_type(&form), Err(MediaFault::Message), "{form}");
        }
    }
}
