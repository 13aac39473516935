//! Checks text that arrives in pieces, cut anywhere, for UTF-8. ASCII is checked a word at a time; the rest steps
//! through the table of well-formed sequences (Unicode 3.9, table 3-7).

/// How far into a sequence the preceding text ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Utf8 {
    /// Bytes missing from the current sequence.
    missing: u8,
    /// The range of the next of them.
    low: u8,
    high: u8,
}

impl Utf8 {
    /// The start of a text.
    pub(super) const fn new() -> Self {
        Self { missing: 0, low: 0x80, high: 0xbf }
    }

    /// Takes the next piece of the text; `Err` is the index of the first byte that is invalid there.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Result<(), usize> {
        let mut rest = piece;
        loop {
            if self.missing == 0 {
                rest = rest.get(ascii_words(rest)..).unwrap_or_default();
            }
            let Some((&byte, tail)) = rest.split_first() else { return Ok(()) };
            if !self.push(byte) {
                return Err(piece.len().saturating_sub(rest.len()));
            }
            rest = tail;
        }
    }

    /// Whether the text may end here.
    pub(super) const fn is_whole(self) -> bool {
        self.missing == 0
    }

    fn push(&mut self, byte: u8) -> bool {
        if self.missing > 0 {
            let fits = (self.low..=self.high).contains(&byte);
            *self = Self { missing: self.missing.saturating_sub(1), ..Self::new() };
            return fits;
        }
        let (missing, low, high) = match byte {
            0x00..=0x7f => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xe1..=0xef => (2, 0x80, 0xbf),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            _ => return false,
        };
        *self = Self { missing, low, high };
        true
    }
}

/// The high bit of each byte of a word: set where a byte is not ASCII.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The length of the whole words at the front of `bytes` that are ASCII.
fn ascii_words(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().take_while(|word| u64::from_ne_bytes(**word) & HIGH_BITS == 0).count().saturating_mul(8)
}

/// Whether all of `bytes` is ASCII. For short texts in one piece.
#[inline]
pub(super) fn is_ascii(bytes: &[u8]) -> bool {
    // Two words, one from each end and possibly overlapping, see all of most labels.
    if let (Some(first), Some(last), ..=32) = (bytes.first_chunk::<16>(), bytes.last_chunk::<16>(), bytes.len()) {
        let seen = u128::from_ne_bytes(*first) | u128::from_ne_bytes(*last);
        return seen & u128::from_ne_bytes([0x80; 16]) == 0;
    }
    let Some(last) = bytes.last_chunk::<8>() else { return bytes.iter().all(u8::is_ascii) };
    // The last word overlaps the one before if the length is not a multiple of 8.
    let (words, _) = bytes.as_chunks::<8>();
    let seen = words.iter().fold(u64::from_ne_bytes(*last), |seen, word| seen | u64::from_ne_bytes(*word));
    seen & HIGH_BITS == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(pieces: [&[u8]; 2]) -> bool {
        let mut utf8 = Utf8::new();
        pieces.iter().all(|piece| utf8.feed(piece).is_ok()) && utf8.is_whole()
    }

    /// All pairs, and longer sequences of the bytes at the edges of the table, agree with `core::str`.
    #[test]
    fn agrees_with_core_wherever_it_is_cut() {
        const EDGES: [u8; 9] = [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0];
        const LEADS: [u8; 9] = [0x41, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xf0, 0xf4, 0xf5];
        // Under Miri only the edges: all pairs would take an hour.
        let thin = |byte: &u8| !cfg!(miri) || LEADS.contains(byte) || EDGES.contains(byte);
        let tails = EDGES.get(if cfg!(miri) { 1..3 } else { 0..9 }).unwrap();
        for (first, second) in (0..=255).filter(thin).flat_map(|first| (0..=255).map(move |second| (first, second))) {
            if thin(&second) {
                assert_agrees(&[first, second]);
            }
            if first >= 0xc0 && EDGES.contains(&second) {
                for (third, fourth) in tails.iter().flat_map(|third| tails.iter().map(move |fourth| (third, fourth))) {
                    assert_agrees(&[first, second, *third, *fourth]);
                }
            }
        }
    }

    fn assert_agrees(text: &[u8]) {
        for end in 0..=text.len() {
            for cut in 0..=end {
                let expected = core::str::from_utf8(&text[..end]).is_ok();
                assert_eq!(accepts([&text[..cut], &text[cut..end]]), expected, "{text:x?} up to {end}");
            }
        }
    }

    #[test]
    fn a_fault_is_found_at_its_byte_behind_whole_words() {
        let mut text = [b'a'; 40];
        text[33] = 0xff;
        assert_eq!(Utf8::new().feed(&text), Err(33));
        assert!(!is_ascii(&text));
        assert!(!is_ascii(&text[30..]));
        assert!(is_ascii(&text[..33]));
    }

    #[test]
    fn a_short_text_is_ascii_if_every_byte_is() {
        // Under Miri only some lengths: all would take a minute.
        for length in (0..=70).step_by(if cfg!(miri) { 9 } else { 1 }) {
            let mut text = [b'a'; 70];
            assert!(is_ascii(&text[..length]));
            for at in 0..length {
                text[at] = 0x80;
                assert!(!is_ascii(&text[..length]), "byte {at} of {length}");
                text[at] = b'a';
            }
        }
    }
}
