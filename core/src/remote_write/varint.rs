//! Base-128 varints, at once or a byte at a time. Longer forms than needed are fine, as in every protobuf decoder; more
//! than 10 bytes or 64 bits are not.

/// A varint that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// A varint of which some bytes have come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Varint {
    value: u64,
    read: u8,
}

impl Varint {
    /// Takes the next byte; gives the value with the last one and is then ready for another.
    pub(super) fn push(&mut self, byte: u8) -> Result<Option<u64>, TooLong> {
        // The tenth byte holds bit 63 alone and cannot go on.
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

/// The varint at the front of `bytes` and what follows it; `None` when it is not whole or too long.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((u64::from(first), rest));
    }
    decode_long(bytes)
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
