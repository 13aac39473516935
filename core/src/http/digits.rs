//! Numbers on the wire, read and written here and nowhere else.
//!
//! `str::parse` takes a leading `+`, which made `Content-Length: +5` two different lengths on two hops
//! (RUSTSEC-2021-0078). The grammar of every number in HTTP is 1*DIGIT or 1*HEXDIG, and so is this reader's.

/// The value of 1*DIGIT. `None` for no digit, any other byte, or more than a `u64` holds.
pub fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0_u64, |value, &byte| {
        let digit = byte.is_ascii_digit().then_some(byte & 0x0f)?;
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The value of one HEXDIG in either case, 0 to 15.
pub const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte & 0x0f),
        // The letters' low four bits count from 1 in both cases.
        b'a'..=b'f' | b'A'..=b'F' => Some((byte & 0x0f).wrapping_add(9)),
        _ => None,
    }
}

/// The decimal digits of a `u64`, without leading zeros.
#[derive(Clone, Copy, Debug)]
pub struct Decimal {
    digits: [u8; Self::MAX_LEN],
    len: usize,
}

impl Decimal {
    /// Digits of `u64::MAX`.
    pub const MAX_LEN: usize = 20;

    /// Encodes `value`.
    pub fn new(value: u64) -> Self {
        let mut digits = [b'0'; Self::MAX_LEN];
        let (mut rest, mut len) = (value, 0_usize);
        for slot in digits.iter_mut().rev() {
            *slot |= u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            len = len.saturating_add(1);
            if rest == 0 {
                break;
            }
        }
        Self { digits, len }
    }

    /// One to twenty ASCII digits.
    pub fn as_bytes(&self) -> &[u8] {
        let unused = Self::MAX_LEN.saturating_sub(self.len);
        self.digits.get(unused..).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_takes_digits_only() {
        let numbers: [(&[u8], Option<u64>); 14] = [
            (b"0", Some(0)),
            (b"007", Some(7)),
            (b"18446744073709551615", Some(u64::MAX)),
            (b"18446744073709551616", None),
            (b"99999999999999999999999", None),
            (b"", None),
            (b"+5", None),
            (b"-5", None),
            (b"0x5", None),
            (b"5_0", None),
            (b" 5", None),
            (b"5 ", None),
            (b"5,5", None),
            (b"\xd9\xa5", None),
        ];
        for (bytes, value) in numbers {
            assert_eq!(decimal(bytes), value, "{bytes:?}");
        }
    }

    #[test]
    fn hex_digit_takes_the_22_hex_characters_only() {
        for byte in 0..=u8::MAX {
            let expected = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            assert_eq!(hex_digit(byte), expected, "{byte:#x}");
        }
    }

    #[test]
    fn decimal_is_encoded_without_leading_zeros() {
        assert_eq!(Decimal::new(0).as_bytes(), b"0");
        assert_eq!(Decimal::new(10).as_bytes(), b"10");
        assert_eq!(Decimal::new(u64::MAX).as_bytes(), b"18446744073709551615");
    }

    #[test]
    fn encoded_decimals_decode_to_themselves() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1_u64 << shift) - 1] {
                assert_eq!(decimal(Decimal::new(value).as_bytes()), Some(value));
            }
        }
    }
}
