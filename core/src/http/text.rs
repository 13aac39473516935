//! Runs of bytes that a line may hold, a word at a time.

/// One in each byte of a word.
const ONES: usize = usize::MAX / 0xff;
/// The high bit of each byte.
const HIGH: usize = ONES * 0x80;
const WORD: usize = size_of::<usize>();

/// How many bytes at the start of `bytes` are no control characters.
pub(super) fn plain_prefix(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<WORD>();
    let whole = words.iter().take_while(|word| is_plain(usize::from_ne_bytes(**word))).count().saturating_mul(WORD);
    let rest = bytes.get(whole..).unwrap_or_default();
    whole.saturating_add(rest.iter().take_while(|byte| !byte.is_ascii_control()).count())
}

/// Whether a line may hold all of `bytes`: the one control character that may stand there is the tab (RFC 9110 §5.5).
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let rest = bytes.get(plain_prefix(bytes)..).unwrap_or_default();
    rest.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Whether no byte of `word` is below 0x20 or equal to 0x7f. A borrow may spill over from a byte that is, so only the
/// whole answer counts.
const fn is_plain(word: usize) -> bool {
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let delete = word ^ (ONES * 0x7f);
    let is_delete = delete.wrapping_sub(ONES) & !delete;
    (below_space | is_delete) & HIGH == 0
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
