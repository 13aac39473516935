//! Ways to cut an input into the pieces in which it arrives.

/// One way to cut.
#[derive(Clone, Copy, Debug)]
pub enum Cuts {
    /// All at once.
    Whole,
    /// Byte by byte.
    Bytes,
    /// In pieces of 1 to 64 bytes whose lengths follow from a seed.
    Seeded(u8),
}

impl Cuts {
    /// The ways that are compared with [`Cuts::Whole`].
    pub const fn others(seed: u8) -> [Self; 2] {
        [Self::Bytes, Self::Seeded(seed)]
    }

    /// `input` in pieces, none of them empty.
    pub fn pieces(self, input: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut rest = input;
        let mut state = match self {
            Self::Seeded(seed) => u32::from(seed) | 1 << 16,
            Self::Whole | Self::Bytes => 0,
        };
        std::iter::from_fn(move || {
            let length = match self {
                Self::Whole => rest.len(),
                Self::Bytes => 1,
                Self::Seeded(_) => 1 + next(&mut state) as usize % 64,
            };
            let (piece, tail) = rest.split_at(length.min(rest.len()));
            rest = tail;
            (!piece.is_empty()).then_some(piece)
        })
    }

    /// How many bytes of `input` have arrived after each piece.
    pub fn arrivals(self, input: &[u8]) -> impl Iterator<Item = usize> {
        self.pieces(input).scan(0, |arrived, piece| {
            *arrived += piece.len();
            Some(*arrived)
        })
    }
}

/// The next number of Marsaglia's xorshift32.
const fn next(state: &mut u32) -> u32 {
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    *state >> 8
}
