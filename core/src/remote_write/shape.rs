//! The shapes that make up nearly all of a real body, recognised at once when they lie whole in front. Each function
//! either describes exactly what the walker would find byte by byte, or gives `None` and leaves it to the walker; none
//! of them finds a fault.

use super::schema::Message;
use super::varint;
use super::{Level, text};

#[inline]
pub(super) fn series(message: Message, bytes: &[u8]) -> Option<(Message, usize, usize)> {
    let (key, series) = match message {
        Message::RequestV1 => (0x0a, Message::SeriesV1),
        Message::RequestV2 => (0x2a, Message::SeriesV2),
        _ => return None,
    };
    let (&found, rest) = bytes.split_first()?;
    if found != key {
        return None;
    }
    let (length, content) = varint::decode(rest)?;
    let length = usize::try_from(length).ok()?;
    let header = bytes.len().checked_sub(content.len())?;
    (length <= content.len()).then_some((series, header, length))
}

/// A label of version 1 as every encoder writes it, name then value, each under 128 bytes:
/// `0a len | 0a len name | 12 len value`. Gives its length, key included.
#[inline]
pub(super) fn label(bytes: &[u8], level: Level) -> Option<usize> {
    let &[key, length, name_key, name_length, ..] = bytes.first_chunk::<4>()?;
    let end = usize::from(length).saturating_add(2);
    let texts = bytes.get(4..end)?;
    let (&[value_key, value_length], value) = texts.get(usize::from(name_length)..)?.split_first_chunk::<2>()?;
    let is_label = [key, name_key, value_key] == [0x0a, 0x0a, 0x12] && length < 0x80;
    let whole = usize::from(value_length) == value.len();
    // Keys and lengths are below 128 here: the label is ASCII if and only if its texts are.
    (is_label && whole && (level == Level::Wire || text::is_ascii(texts))).then_some(end)
}

/// The labels in front, at least one; gives their length.
#[inline]
pub(super) fn labels(bytes: &[u8], level: Level) -> Option<usize> {
    let mut left = bytes.get(label(bytes, level)?..)?;
    while let Some(length) = label(left, level) {
        left = left.get(length..)?;
    }
    bytes.len().checked_sub(left.len())
}

/// A sample of either version, value then timestamp, either of which is left out when 0:
/// `12 len | 09 8 bytes | 10 varint`. Gives its length, key included, and the timestamp in milliseconds.
#[inline]
pub(super) fn sample(bytes: &[u8]) -> Option<(usize, i64)> {
    let (body, length) = short_field(bytes, 0x12)?;
    let rest = if body.first() == Some(&0x09) { body.get(9..)? } else { body };
    let Some((&key, rest)) = rest.split_first() else { return Some((length, 0)) };
    let timestamp = varint::decode_last(bytes.get(..length)?, rest.len())?;
    (key == 0x10).then_some((length, timestamp.cast_signed()))
}

/// A symbol of version 2 under 128 bytes: `22 len text`. Gives its length, key included.
#[inline]
pub(super) fn symbol(bytes: &[u8], level: Level) -> Option<usize> {
    let (body, length) = short_field(bytes, 0x22)?;
    (level == Level::Wire || text::is_ascii(body)).then_some(length)
}

/// What a packed run of label references holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct References {
    /// Whether they are odd in number.
    pub(super) odd: bool,
    /// The highest one, and its place from the field's key on; the first place if there are several.
    pub(super) highest: Option<(u32, usize)>,
}

/// Label references of version 2, packed into under 128 bytes: `0a len varints`. Gives the field's length, key included.
#[inline]
pub(super) fn references(bytes: &[u8]) -> Option<(usize, References)> {
    let (body, length) = short_field(bytes, 0x0a)?;
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
    let (body, length) = short_field(bytes, 0x2a)?;
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
        assert_eq!(label(LABEL, Level::Full), Some(10));
        for end in 0..LABEL.len() {
            assert_eq!(label(&LABEL[..end], Level::Full), None, "cut at {end}");
        }
        assert_eq!(label(b"\x0a\x08\x12\x01x\x0a\x03job", Level::Full), None, "value first");
        assert_eq!(label(b"\x0a\x09\x0a\x03job\x12\x01x\x18", Level::Full), None, "more in it");
        assert_eq!(label(b"\x0a\x08\x0a\x03j\xc3b\x12\x01x", Level::Full), None, "not ASCII");
        assert_eq!(label(b"\x0a\x08\x0a\x03j\xc3b\x12\x01x", Level::Wire), Some(10));
    }

    #[test]
    fn samples_with_and_without_zeros() {
        assert_eq!(sample(b"\x12\x00"), Some((2, 0)));
        assert_eq!(sample(b"\x12\x02\x10\x05"), Some((4, 5)));
        assert_eq!(sample(b"\x12\x09\x09\0\0\0\0\0\0\xf0\x7f"), Some((11, 0)));
        assert_eq!(sample(b"\x12\x0b\x09\0\0\0\0\0\0\xf0\x7f\x10\x05"), Some((13, 5)));
        assert_eq!(sample(b"\x12\x0b\x10\x05\x09\0\0\0\0\0\0\xf0\x7f"), None, "other order");
        assert_eq!(sample(b"\x12\x02\x10\x85"), None, "cut varint");
        assert_eq!(sample(b"\x12\x03\x10\x05\x00"), None, "more in it");
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
