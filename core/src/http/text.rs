//! Finds runs of bytes that are allowed in a line, a word at a time.

/// One in each byte of a word.
const ONES: usize = usize::MAX / 0xff;
/// The high bit of each byte.
const HIGH: usize = ONES * 0x80;
const WORD: usize = size_of::<usize>();

/// How many bytes at the start of `bytes` are not control characters.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<WORD>();
    let mut plain = 0_usize;
    for word in words {
        let controls = controls(usize::from_le_bytes(*word));
        if controls != 0 {
            return plain.saturating_add(controls.trailing_zeros() as usize / 8);
        }
        plain = plain.saturating_add(WORD);
    }
    plain.saturating_add(rest.iter().take_while(|byte| !byte.is_ascii_control()).count())
}

/// Whether all of `bytes` is allowed in a line.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let rest = bytes.get(plain_prefix(bytes)..).unwrap_or_default();
    rest.iter().copied().all(is_text_byte)
}

/// HTAB, SP, VCHAR and obs-text (RFC 9110 §5.5).
pub(super) const fn is_text_byte(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// The high bits of the bytes in `word` that are below 0x20 or equal to 0x7f. A borrow may propagate from such a byte
/// to higher ones, so only the lowest set bit, or the absence of any, can be trusted.
const fn controls(word: usize) -> usize {
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    let is_delete = delete.wrapping_sub(ONES) & !delete;
    (below_space | is_delete) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_of_a_word() {
        for byte in 0..=u8::MAX {
            for place in 0..2 * WORD {
                for around in [b' ', b'~', 0x80, 0xff] {
                    let mut bytes = [around; 2 * WORD + 3];
                    bytes[place] = byte;
                    let plain = if byte.is_ascii_control() { place } else { bytes.len() };
                    assert_eq!(plain_prefix(&bytes), plain, "{byte} at {place} among {around}");
                    assert_eq!(is_text(&bytes), byte == b'\t' || !byte.is_ascii_control(), "{byte} at {place}");
                }
            }
        }
    }
}
