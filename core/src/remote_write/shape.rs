//! The shapes that make up nearly all of a real body, recognised in one step when the input starts with a complete one.
//! Each function either describes exactly what the walker would find byte by byte, or returns `None` and leaves it to
//! the walker; none of them reports a fault.

use super::schema::Message;
use super::varint;
use super::{Level, text};

// The keys of fields 1, 2, 4 and 5 where these have a length: number and wire type ("Message Structure").
pub(super) const FIELD_1: u8 = 1 << 3 | 2;
pub(super) const FIELD_2: u8 = 2 << 3 | 2;
pub(super) const FIELD_4: u8 = 4 << 3 | 2;
pub(super) const FIELD_5: u8 = 5 << 3 | 2;

/// The beginning of a series, which is a field of a request: `0a length` in version 1, `2a length` in version 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Series {
    /// Which message it is.
    pub(super) message: Message,
    /// Key and length, in bytes.
    pub(super) header: usize,
    /// All of the field, in bytes.
    pub(super) length: usize,
}

/// The series at the front of a request.
#[inline]
pub(super) fn series(request: Message, bytes: &[u8]) -> Option<Series> {
    let (&key, rest) = bytes.split_first()?;
    let message = match (request, key) {
        (Message::RequestV1, FIELD_1) => Message::SeriesV1,
        (Message::RequestV2, FIELD_5) => Message::SeriesV2,
        _ => return None,
    };
    let (content_length, content) = varint::decode(rest)?;
    let header = bytes.len().checked_sub(content.len())?;
    let length = usize::try_from(content_length).ok()?.checked_add(header)?;
    (length <= bytes.len()).then_some(Series { message, header, length })
}

/// The labels of version 1 at the front, at least one. Returns their length.
#[inline]
pub(super) fn labels(bytes: &[u8], level: Level) -> Option<usize> {
    let mut rest = bytes;
    while let Some(tail) = label(rest, level) {
        rest = tail;
    }
    let passed = bytes.len().checked_sub(rest.len())?;
    (passed > 0).then_some(passed)
}

/// A label of version 1 as every encoder writes it, name then value, each under 128 bytes: `0a len | 0a len name | 12
/// len value`. Returns what follows it.
#[inline]
fn label(bytes: &[u8], level: Level) -> Option<&[u8]> {
    let &[FIELD_1, length @ ..0x80, FIELD_1, name_length] = bytes.first_chunk::<4>()? else { return None };
    let length = usize::from(length).saturating_add(2);
    let (field, tail) = bytes.split_at_checked(length)?;
    let texts = field.get(4..)?;
    let (&[FIELD_2, value_length], value) = texts.get(usize::from(name_length)..)?.split_first_chunk::<2>()? else {
        return None;
    };
    let whole = usize::from(value_length) == value.len();
    // Keys and lengths are below 128 here: the texts are ASCII if and only if all these bytes are.
    (whole && (level == Level::Wire || text::is_ascii(texts))).then_some(tail)
}

/// A sample of either version, value then timestamp, either of which is omitted when 0: `12 len | 09 8 bytes | 10
/// varint`. Returns its length, including the key, and the timestamp in milliseconds.
#[inline]
pub(super) fn sample(bytes: &[u8]) -> Option<(usize, i64)> {
    let (body, length) = short_field(bytes, FIELD_2)?;
    // No branch: whether a value is 0 is as hard to predict as the data.
    let value = usize::from(body.first() == Some(&0x09)).wrapping_mul(9);
    let rest = body.get(value..)?;
    let Some((&key, rest)) = rest.split_first() else { return Some((length, 0)) };
    let timestamp = varint::decode_last(bytes.get(..length)?, rest.len())?;
    (key == 0x10).then_some((length, timestamp.cast_signed()))
}

/// A symbol of version 2 under 128 bytes: `22 len text`. Returns its length, including the key.
#[inline]
pub(super) fn symbol(bytes: &[u8], level: Level) -> Option<usize> {
    let (body, length) = short_field(bytes, FIELD_4)?;
    (level == Level::Wire || text::is_ascii(body)).then_some(length)
}

/// The contents of a packed run of label references.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct References {
    /// Whether their number is odd.
    pub(super) odd: bool,
    /// The highest one and its offset from the field's key; the first offset if there are several.
    pub(super) highest: Option<(u32, usize)>,
}

/// Label references of version 2, packed into under 128 bytes: `0a len varints`. Returns the field's length, including
/// the key.
#[inline]
pub(super) fn references(bytes: &[u8]) -> Option<(usize, References)> {
    let (body, length) = short_field(bytes, FIELD_1)?;
    let mut references = References { odd: false, highest: None };
    let mut rest = body;
    while !rest.is_empty() {
        let (value, tail) = varint::decode(rest)?;
        let reference = varint::low_half(value);
        if references.highest.is_none_or(|(highest, _)| reference > highest) {
            references.highest = Some((reference, length.saturating_sub(rest.len())));
        }
        references.odd = !references.odd;
        rest = tail;
    }
    Some((length, references))
}

/// The metadata that Prometheus writes for every series that has none: `2a 00`.
#[inline]
pub(super) fn empty_metadata(bytes: &[u8]) -> Option<usize> {
    let (body, length) = short_field(bytes, FIELD_5)?;
    body.is_empty().then_some(length)
}

/// The content of a length-delimited field of under 128 bytes with a one-byte `key`, and the length of the whole field.
#[inline]
fn short_field(bytes: &[u8], key: u8) -> Option<(&[u8], usize)> {
    let (&[found, length], rest) = bytes.split_first_chunk::<2>()?;
    let length = usize::from(length);
    if found != key || length >= 0x80 {
        return None;
    }
    Some((rest.get(..length)?, length.saturating_add(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABEL: &[u8] = b"\x0a\x08\x0a\x03job\x12\x01x";

    #[test]
    fn a_label_is_described_whole_or_not_at_all() {
        assert_eq!(label(LABEL, Level::Full), Some(b"".as_slice()));
        assert_eq!(label(b"\x0a\x04\x0a\0\x12\0rest", Level::Full), Some(b"rest".as_slice()));
        for end in 0..LABEL.len() {
            assert_eq!(label(&LABEL[..end], Level::Full), None, "cut at {end}");
        }
        assert_eq!(label(b"\x0a\x08\x12\x01x\x0a\x03job", Level::Full), None, "value first");
        assert_eq!(label(b"\x0a\x09\x0a\x03job\x12\x01x\x18", Level::Full), None, "more in it");
        assert_eq!(label(b"\x0a\x08\x0a\x03j\xc3b\x12\x01x", Level::Full), None, "not ASCII");
        assert_eq!(label(b"\x0a\x08\x0a\x03j\xc3b\x12\x01x", Level::Wire), Some(b"".as_slice()));
    }

    #[test]
    fn labels_are_passed_up_to_what_is_none() {
        let two_and_more = [LABEL, LABEL, b"\x0a\x01"].concat();
        assert_eq!(labels(&two_and_more, Level::Full), Some(20));
        assert_eq!(labels(LABEL, Level::Full), Some(10));
        assert_eq!(labels(&LABEL[1..], Level::Full), None);
    }

    #[test]
    fn a_series_is_known_by_the_key_of_its_request() {
        let series_of = |message, length| Some(Series { message, header: 2, length });
        assert_eq!(series(Message::RequestV1, b"\x0a\x01\x08\x0a"), series_of(Message::SeriesV1, 3));
        assert_eq!(series(Message::RequestV2, b"\x2a\x00"), series_of(Message::SeriesV2, 2));
        assert_eq!(series(Message::RequestV1, b"\x2a\x00"), None);
        assert_eq!(series(Message::SeriesV1, b"\x0a\x00"), None, "a label");
        assert_eq!(series(Message::RequestV1, b"\x0a\x02\x08"), None, "cut short");
        assert_eq!(series(Message::RequestV1, b"\x0a\x80"), None, "length cut short");
    }

    #[test]
    fn samples_with_and_without_zeros() {
        assert_eq!(sample(b"\x12\x00"), Some((2, 0)));
        assert_eq!(sample(b"\x12\x07\x10\xfb\xd3\x87\xbc\xa1\x31"), Some((9, 1_692_611_504_635)));
        assert_eq!(sample(b"\x12\x09\x09\0\0\0\0\0\0\xf0\x7f"), Some((11, 0)));
        assert_eq!(sample(b"\x12\x0b\x09\0\0\0\0\0\0\xf0\x7f\x10\x05"), Some((13, 5)));
        assert_eq!(sample(b"\x12\x0b\x10\x05\x09\0\0\0\0\0\0\xf0\x7f"), None, "other order");
        assert_eq!(sample(b"\x12\x07\x10\xfb\xd3\x87\xbc\xa1\xb1"), None, "cut varint");
        assert_eq!(sample(b"\x12\x08\x10\xfb\xd3\x87\xbc\xa1\x31\x00"), None, "more in it");
        assert_eq!(sample(b"\x12\x02\x10\x05"), None, "shorter than a word");
    }

    #[test]
    fn symbols() {
        assert_eq!(symbol(b"\x22\x00", Level::Full), Some(2));
        assert_eq!(symbol(b"\x22\x03job", Level::Full), Some(5));
        assert_eq!(symbol(b"\x22\x04job", Level::Full), None, "cut short");
        assert_eq!(symbol(b"\x22\x01\xff", Level::Full), None);
        assert_eq!(symbol(b"\x22\x01\xff", Level::Wire), Some(3));
    }

    #[test]
    fn packed_references() {
        let found = |odd, highest| Some(References { odd, highest });
        assert_eq!(references(b"\x0a\x00").map(|(_, references)| references), found(false, None));
        let (length, three) = references(b"\x0a\x04\x07\x90\x01\x07\x12").unwrap();
        assert_eq!((length, Some(three)), (6, found(true, Some((144, 3)))));
        assert_eq!(references(b"\x0a\x02\x05\x05").map(|(_, references)| references), found(false, Some((5, 2))));
        assert_eq!(references(b"\x0a\x02\x07\x90\x01"), None, "runs past its end");
        assert_eq!(references(b"\x0a\x02\x07"), None, "cut short");
    }

    #[test]
    fn metadata() {
        assert_eq!(empty_metadata(b"\x2a\x00\x2a"), Some(2));
        assert_eq!(empty_metadata(b"\x2a\x02\x08\x01"), None);
    }
}
