//! ASN.1 as far as certificates and key stores need it: values in values, read with `der` and told apart by place.

use ::der::asn1::{AnyRef, ObjectIdentifier};
use ::der::{Decode as _, Length, Reader as _, SliceReader, Tag};

/// A text is not what its place says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl From<::der::Error> for Malformed {
    fn from(_: ::der::Error) -> Self {
        Self
    }
}

/// One value.
pub(crate) type Any<'d> = AnyRef<'d>;

/// The values that follow each other in `bytes`.
pub(crate) fn values(bytes: &[u8]) -> Result<Vec<Any<'_>>, Malformed> {
    let mut reader = SliceReader::new(bytes)?;
    let mut values = Vec::new();
    while reader.remaining_len() != Length::ZERO {
        values.push(AnyRef::decode(&mut reader)?);
    }
    Ok(values)
}

/// The values inside of a sequence.
pub(crate) fn sequence(any: Any<'_>) -> Result<Vec<Any<'_>>, Malformed> {
    if ::der::Tagged::tag(&any) == Tag::Sequence { values(any.value()) } else { Err(Malformed) }
}

/// The one value that `bytes` are.
pub(crate) fn only(bytes: &[u8]) -> Result<Any<'_>, Malformed> {
    Ok(AnyRef::from_der(bytes)?)
}

/// The value at a place.
pub(crate) fn at<'d>(values: &[Any<'d>], place: usize) -> Result<Any<'d>, Malformed> {
    values.get(place).copied().ok_or(Malformed)
}

/// An identifier in dotted decimals, for constants: a wrong text does not compile.
pub(crate) const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

/// Whether `any` is this identifier.
pub(crate) fn is(any: Any<'_>, oid: ObjectIdentifier) -> bool {
    ::der::Tagged::tag(&any) == Tag::ObjectIdentifier && any.value() == oid.as_bytes()
}

/// The bytes of an octet string.
pub(crate) fn octets(any: Any<'_>) -> Result<&[u8], Malformed> {
    if ::der::Tagged::tag(&any) == Tag::OctetString { Ok(any.value()) } else { Err(Malformed) }
}

/// A small positive number.
pub(crate) fn number(any: Any<'_>) -> Result<u32, Malformed> {
    Ok(any.decode_as::<u32>()?)
}
