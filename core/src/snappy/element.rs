//! Elements: the meaning of a tag and its operand (`google/snappy format_description.txt` §2).

/// Length of a tag and the widest operand, in bytes.
pub(super) const LONGEST_HEADER: usize = 5;

/// Tags of literals from this one on (low bits 00) carry their length in the bytes that follow.
const LONG_LITERAL: u8 = 60 << 2;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// The index of the last byte it produces: the length less one, as tags encode it, which always fits.
    pub(super) last: usize,
    /// How far back a copy reaches, in bytes; `None` for a literal.
    pub(super) offset: Option<u32>,
}

impl Element {
    /// The element of `tag` and its `operand`: a length less one or an offset.
    pub(super) fn decode(tag: u8, operand: u32) -> Self {
        Form::of(tag).element(tag, operand)
    }

    /// The element at the front of `bytes` and the bytes its header takes; `None` when `bytes` is shorter than the
    /// longest header.
    #[inline]
    pub(super) fn decode_front(bytes: &[u8]) -> Option<(Self, usize)> {
        let &[tag, a, b, c, d] = bytes.first_chunk::<LONGEST_HEADER>()?;
        let form = FORMS.get(usize::from(tag))?;
        let operand = u32::from_le_bytes([a, b, c, d]) & form.mask;
        Some((form.element(tag, operand), usize::from(form.width).saturating_add(1)))
    }
}

/// How many bytes of length or offset follow `tag`, least significant first.
pub(super) const fn operand_width(tag: u8) -> u8 {
    match tag & 0b11 {
        0b00 => (tag >> 2).saturating_sub(59),
        0b01 => 1,
        0b10 => 2,
        _ => 4,
    }
}

/// What a tag says before its operand is known.
#[derive(Clone, Copy)]
struct Form {
    /// The bits of the operand in a word that begins after the tag.
    mask: u32,
    /// The upper bits of a copy's offset, in their place.
    high: u16,
    /// [`Element::last`], or 0 where a literal's operand has it.
    last: u8,
    /// [`operand_width`].
    width: u8,
}

impl Form {
    /// The form of `tag` (`google/snappy format_description.txt` §2.1 and §2.2).
    const fn of(tag: u8) -> Self {
        let upper = tag >> 2;
        let (last, high) = match tag & 0b11 {
            0b00 if tag < LONG_LITERAL => (upper, 0),
            0b00 => (0, 0),
            0b01 => ((upper & 0b111).saturating_add(3), ((tag >> 5) as u16) << 8),
            _ => (upper, 0),
        };
        let width = operand_width(tag);
        let mask = match width {
            0 => 0,
            1 => 0xff,
            2 => 0xffff,
            3 => 0x00ff_ffff,
            _ => u32::MAX,
        };
        Self { mask, high, last, width }
    }

    /// The element, given its operand.
    #[inline]
    fn element(self, tag: u8, operand: u32) -> Element {
        let last = usize::from(self.last);
        match tag & 0b11 {
            0b00 => Element { last: last | operand as usize, offset: None },
            _ => Element { last, offset: Some(u32::from(self.high) | operand) },
        }
    }
}

/// The form of every tag: a lookup costs the same for all of them, whereas branches would be as hard to predict as the
/// data.
static FORMS: [Form; 256] = forms();

const fn forms() -> [Form; 256] {
    let mut forms = [Form::of(0); 256];
    let mut rest: &mut [Form] = &mut forms;
    let mut tag = 0_u8;
    while let Some((form, tail)) = rest.split_first_mut() {
        *form = Form::of(tag);
        tag = tag.wrapping_add(1);
        rest = tail;
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_of_a_body_is_read_as_byte_by_byte() {
        for tag in 0..=u8::MAX {
            let (element, header) = Element::decode_front(&[tag, 1, 2, 3, 4]).unwrap();
            let width = header - 1;
            let operand = [1, 2, 3, 4].iter().take(width).rev().fold(0, |operand, byte| operand << 8 | byte);
            assert_eq!(width, usize::from(operand_width(tag)));
            assert_eq!(element, Element::decode(tag, operand), "tag {tag:#x}");
        }
    }

    #[test]
    fn every_form_is_read_as_described() {
        let forms: [(&[u8; 5], usize, Option<u32>, usize); 9] = [
            (b"\x00....", 0, None, 1),
            (b"\xec....", 59, None, 1),
            (b"\xf0\x3c...", 60, None, 2),
            (b"\xf4\x00\x01..", 256, None, 3),
            (b"\xf8\x00\x00\x01.", 65_536, None, 4),
            (b"\xfc\xff\xff\xff\xff", u32::MAX as usize, None, 5),
            (b"\xfd\x02...", 10, Some(0x702), 2),
            (b"\xfe\x02\x01..", 63, Some(0x102), 3),
            (b"\x03\x04\x03\x02\x01", 0, Some(0x0102_0304), 5),
        ];
        for (bytes, last, offset, header) in forms {
            assert_eq!(Element::decode_front(bytes), Some((Element { last, offset }, header)), "{bytes:02x?}");
        }
        assert_eq!(Element::decode_front(b"\x00..."), None, "too short to tell at once");
    }
}
