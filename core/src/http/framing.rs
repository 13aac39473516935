//! Where a body ends: the decision of RFC 9112 §6.3, without the choices it leaves to the recipient.

use super::HeadError;
use super::fields::{Fields, is_token, split_list};

/// The length of a body, as its head declares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    Empty,
    /// This many bytes. The peer chooses the number, so it must not size an allocation by itself.
    Length(u64),
    /// Chunks until the last one.
    Chunked,
    /// All bytes until the peer closes. Responses only: a request is never delimited by closing.
    UntilClose,
}

/// The framing that Content-Length and Transfer-Encoding declare; `None` when neither is present.
pub(super) fn declared(fields: &Fields<'_, '_>, minor_version: u8) -> Result<Option<Framing>, HeadError> {
    let length = content_length(fields);
    let mut codings = fields.all("transfer-encoding");
    let Some(coding) = codings.next() else {
        return Ok(length?.map(Framing::Length));
    };
    if minor_version == 0 {
        return Err(HeadError::TransferEncodingInHttp10);
    }
    if length != Ok(None) {
        return Err(HeadError::LengthWithTransferEncoding);
    }
    if codings.next().is_some() {
        return Err(HeadError::TransferEncoding);
    }
    transfer_coding(coding).map(Some)
}

/// The one Content-Length.
fn content_length(fields: &Fields<'_, '_>) -> Result<Option<u64>, HeadError> {
    match fields.only("content-length") {
        Ok(Some(digits)) => super::digits::decimal(digits).map(Some).ok_or(HeadError::BadLength),
        Ok(None) => Ok(None),
        Err(_) => Err(HeadError::ConflictingLength),
    }
}

/// `chunked` alone is the only supported coding. A list of other codings that ends in `chunked` is well formed but not
/// supported (501); without `chunked` at the end of the list a body has no end, which is the sender's fault (RFC 9112
/// §6.1, §6.3).
fn transfer_coding(value: &[u8]) -> Result<Framing, HeadError> {
    if is_chunked(value) {
        return Ok(Framing::Chunked);
    }
    let comma = value.iter().rposition(|&byte| byte == b',').ok_or(HeadError::TransferEncoding)?;
    let (others, last) = value.split_at_checked(comma).ok_or(HeadError::TransferEncoding)?;
    let ends_in_chunked = last.strip_prefix(b",").is_some_and(|last| is_chunked(last.trim_ascii_start()));
    if ends_in_chunked && split_list(others).all(|member| is_token(member) && !is_chunked(member)) {
        Err(HeadError::UnknownCoding)
    } else {
        Err(HeadError::TransferEncoding)
    }
}

fn is_chunked(coding: &[u8]) -> bool {
    coding.eq_ignore_ascii_case(b"chunked")
}

#[cfg(test)]
mod tests {
    use httparse::Header;

    use super::*;

    /// What the given `name`, `value` pairs declare in HTTP/1.1.
    fn declared_by(lines: &[(&'static str, &'static str)]) -> Result<Option<Framing>, HeadError> {
        let mut slots = [httparse::EMPTY_HEADER; 4];
        for (slot, (name, value)) in slots.iter_mut().zip(lines) {
            *slot = Header { name, value: value.as_bytes() };
        }
        declared(&Fields::new(&slots[..lines.len()]), 1)
    }

    #[test]
    fn nothing_declared_is_told_apart_from_zero() {
        assert_eq!(declared_by(&[]), Ok(None));
        assert_eq!(declared_by(&[("content-length", "0")]), Ok(Some(Framing::Length(0))));
    }

    #[test]
    fn one_length_and_one_chunked_are_taken() {
        assert_eq!(declared_by(&[("Content-Length", "0042")]), Ok(Some(Framing::Length(42))));
        assert_eq!(declared_by(&[("Transfer-Encoding", "chunked")]), Ok(Some(Framing::Chunked)));
        assert_eq!(declared_by(&[("TRANSFER-ENCODING", "ChunkeD")]), Ok(Some(Framing::Chunked)));
    }

    #[test]
    fn a_bad_length_does_not_hide_transfer_encoding() {
        let both = Err(HeadError::LengthWithTransferEncoding);
        assert_eq!(declared_by(&[("content-length", "x"), ("transfer-encoding", "chunked")]), both);
        assert_eq!(declared_by(&[("transfer-encoding", ""), ("content-length", "")]), both);
    }

    #[test]
    fn codings_before_chunked_are_unknown_and_all_else_is_faulty() {
        for value in ["gzip, chunked", "gzip,deflate\t, chunked", "x,CHUNKED"] {
            assert_eq!(declared_by(&[("transfer-encoding", value)]), Err(HeadError::UnknownCoding), "{value}");
        }
        for value in [
            "",
            "gzip",
            "identity",
            "xchunked",
            "chunked;a=b",
            "chunked, chunked",
            "chunked, gzip, chunked",
            ",chunked",
            "chunked,",
            ", ,chunked",
            "gzip;q=1, chunked",
            "chunked, identity",
            "\"chunked\"",
            "chunked chunked",
        ] {
            assert_eq!(declared_by(&[("transfer-encoding", value)]), Err(HeadError::TransferEncoding), "{value}");
        }
    }
}
