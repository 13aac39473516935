//! Base-128 varints, decoded in one step or a byte at a time. Overlong forms are accepted, as in every protobuf
//! decoder; more than 10 bytes or 64 bits are not.

/// A varint that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// A varint of which some bytes have been read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Varint {
    value: u64,
    read: u8,
}

impl Varint {
    /// Whether no byte of it has been read.
    pub(super) const fn is_fresh(self) -> bool {
        self.read == 0
    }

    /// Takes the next byte; returns the value with the last one and is then ready for another.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<u64>, TooLong> {
        // The tenth byte holds only bit 63 and must be the last.
        if self.read == 9 && byte > 1 {
            return Err(TooLong);
        }
        let value = self.value | u64::from(byte & 0x7f).wrapping_shl(u32::from(self.read).wrapping_mul(7));
        if byte < 0x80 {
            *self = Self::default();
            return Ok(Some(value));
        }
        *self = Self { value, read: self.read.saturating_add(1) };
        Ok(None)
    }
}

/// The varint at the front of `bytes` and what follows it; `None` when it is incomplete or too long.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((u64::from(first), rest));
    }
    match bytes.first_chunk::<8>().and_then(|word| decode_word(*word)) {
        Some((value, length)) => Some((value, bytes.get(length..)?)),
        None => decode_long(bytes),
    }
}

/// The varint at the front of `bytes` and its length; `None` when it is longer.
#[inline]
fn decode_word(bytes: [u8; 8]) -> Option<(u64, usize)> {
    let word = u64::from_le_bytes(bytes);
    // The last byte is the first one whose high bit is clear.
    let ends = !word & 0x8080_8080_8080_8080;
    let through_end = ends ^ ends.wrapping_sub(1);
    // 7 bits of each byte count; neighbours are joined to 14, 28, 56.
    let by_7 = word & through_end & 0x7f7f_7f7f_7f7f_7f7f;
    let by_14 = (by_7 & 0x007f_007f_007f_007f) | ((by_7 & 0x7f00_7f00_7f00_7f00) >> 1);
    let by_28 = (by_14 & 0x0000_3fff_0000_3fff) | ((by_14 & 0x3fff_0000_3fff_0000) >> 2);
    let by_56 = (by_28 & 0x0000_0000_0fff_ffff) | ((by_28 & 0x0fff_ffff_0000_0000) >> 4);
    let length = (ends.trailing_zeros() / 8).saturating_add(1) as usize;
    (ends != 0).then_some((by_56, length))
}

/// The varint that makes up the last `length` bytes of `bytes`. `None` when they are not one varint, are more than 8,
/// or `bytes` itself is shorter than 8 bytes: one word is read, whatever `length` is.
#[inline]
pub(super) fn decode_last(bytes: &[u8], length: usize) -> Option<u64> {
    let word = u64::from_le_bytes(*bytes.last_chunk::<8>()?);
    let before = u32::try_from(8_usize.checked_sub(length)?).ok()?;
    // The bytes before the varint are shifted out; the zeros shifted in end an unterminated varint one byte too late.
    let shifted = word.checked_shr(before.saturating_mul(8))?;
    let (value, found) = decode_word(shifted.to_le_bytes())?;
    (found == length).then_some(value)
}

fn decode_long(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut varint = Varint::default();
    let mut rest = bytes;
    loop {
        let (&byte, tail) = rest.split_first()?;
        rest = tail;
        if let Some(value) = varint.push(byte).ok()? {
            return Some((value, rest));
        }
    }
}

/// What a 32-bit field keeps of a longer number (protobuf encoding guide, "Base 128 Varints"; every decoder truncates).
#[inline]
pub(super) fn low_half(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_length() {
        for shift in 0..64 {
            let value = 1u64 << shift;
            let mut bytes = [0x80; 10];
            let last = shift / 7;
            bytes[last] = 1 << (shift % 7);
            assert_eq!(decode(&bytes[..=last]), Some((value, &[][..])));
            assert_eq!(decode(&bytes[..last]), None, "cut short");
        }
    }

    #[test]
    fn at_once_and_byte_by_byte_give_the_same() {
        for shift in 0..64 {
            for pattern in [u64::MAX, 0x0123_4567_89ab_cdef, 0xaaaa_5555_aaaa_5555] {
                let mut bytes = [0x55; 12];
                let mut left = pattern >> shift;
                let mut length = 0;
                let mut pushed = Varint::default();
                let value = loop {
                    let more = if left > 0x7f { 0x80 } else { 0 };
                    bytes[length] = u8::try_from(left & 0x7f).unwrap() | more;
                    left >>= 7;
                    length += 1;
                    if let Some(value) = pushed.push(bytes[length - 1]).unwrap() {
                        break value;
                    }
                };
                assert_eq!(value, pattern >> shift);
                assert_eq!(decode(&bytes), Some((value, &bytes[length..])));
                assert_eq!(decode(&bytes[..length]), Some((value, &[][..])));
            }
        }
    }

    #[test]
    fn the_end_of_a_field_is_one_varint_or_none() {
        let field = [0xff, 0xff, 0xff, 0x85, 0x80, 0x80, 0x80, 0x80, 0x81, 0x01];
        assert_eq!(decode_last(&field, 1), Some(1));
        assert_eq!(decode_last(&field, 2), Some(0x81));
        assert_eq!(decode_last(&field, 7), Some(0x81 << 35 | 5));
        assert_eq!(decode_last(&field, 0), None);
        assert_eq!(decode_last(&field, 9), None, "longer than a word");
        assert_eq!(decode_last(&field[3..], 7), None, "shorter than a word");
        assert_eq!(decode_last(&field[..9], 3), None, "goes on behind the end");
        assert_eq!(decode_last(b"\0\0\0\0\0\0\x01\x01", 2), None, "two varints");
    }

    #[test]
    fn ten_bytes_are_the_limit_and_overlong_forms_are_fine() {
        let mut longest = [0xff; 10];
        longest[9] = 1;
        assert_eq!(decode(&longest), Some((u64::MAX, &[][..])));
        longest[9] = 2;
        assert_eq!(decode(&longest), None, "bit 64");
        assert_eq!(decode(&[0x80; 11]), None, "eleven bytes");
        let zero = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x55];
        assert_eq!(decode(&zero), Some((0, &[0x55][..])));
    }
}
