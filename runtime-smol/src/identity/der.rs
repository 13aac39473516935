//! The ASN.1 that certificates and key stores need: nested values, read with `der` and identified by position.

use ::der::asn1::{AnyRef, ObjectIdentifier};
use ::der::{Decode as _, Length, Reader as _, SliceReader, Tag};

/// A value is not of the type that its position requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<::der::Error> for Malformed {
    fn from(_: ::der::Error) -> Self {
        Self
    }
}

/// One value.
pub(crate) type Any<'d> = AnyRef<'d>;

/// The consecutive values in `bytes`.
pub(crate) fn values(bytes: &[u8]) -> Result<Vec<Any<'_>>, Malformed> {
    let mut reader = SliceReader::new(bytes)?;
    let mut values = Vec::new();
    while reader.remaining_len() != Length::ZERO {
        values.push(AnyRef::decode(&mut reader)?);
    }
    Ok(values)
}

/// The values inside a sequence.
pub(crate) fn sequence(any: Any<'_>) -> Result<Vec<Any<'_>>, Malformed> {
    if ::der::Tagged::tag(&any) == Tag::Sequence { values(any.value()) } else { Err(Malformed) }
}

/// The single value that makes up `bytes`.
pub(crate) fn only(bytes: &[u8]) -> Result<Any<'_>, Malformed> {
    Ok(AnyRef::from_der(bytes)?)
}

/// The value at a position.
pub(crate) fn at<'d>(values: &[Any<'d>], place: usize) -> Result<Any<'d>, Malformed> {
    values.get(place).copied().ok_or(Malformed)
}

/// An object identifier in dotted decimals, for constants: an invalid one does not compile.
pub(crate) const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// Whether `any` is this object identifier.
pub(crate) fn is(any: Any<'_>, oid: ObjectIdentifier) -> bool {
    ::der::Tagged::tag(&any) == Tag::ObjectIdentifier && any.value() == oid.as_bytes()
}

/// The bytes of an octet string.
pub(crate) fn octets(any: Any<'_>) -> Result<&[u8], Malformed> {
    if ::der::Tagged::tag(&any) == Tag::OctetString { Ok(any.value()) } else { Err(Malformed) }
}

/// A non-negative number below 2^32.
pub(crate) fn number(any: Any<'_>) -> Result<u32, Malformed> {
    Ok(any.decode_as::<u32>()?)
}
