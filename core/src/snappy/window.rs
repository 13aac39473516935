//! The lent window: the latest part of the output, from which copies take their bytes.

/// The longest copy that a tag can express, in bytes. Where possible a whole chunk is written, whatever the length that
/// counts: a branch on the length would be as hard to predict as the data.
pub(super) const CHUNK: usize = 64;

/// The shortest window in bytes: a chunk to write, and as much to copy from.
pub(super) const SHORTEST: usize = 2 * CHUNK;

// The words of `Window::new`.
const _: () = assert!(SHORTEST == 128);

/// Memory for a [`Decoder`](super::Decoder): a ring of the last bytes decoded.
///
/// A copy may begin anywhere since the ring's front was last written, or further back up to its length less 63 bytes;
/// older bytes may be overwritten. So a window of 64 KiB serves all encoders that begin anew every 64 KiB, as
/// golang/snappy and the C++ one do.
#[derive(Debug)]
pub struct Window<'w> {
    // Its length is a power of two and at least two chunks. Up to `CHUNK - 1` of its oldest bytes, those from `at` on,
    // may already be overwritten.
    bytes: &'w mut [u8],
    /// Where the next byte goes; the window's length when the next one has to wrap.
    at: usize,
}

impl<'w> Window<'w> {
    /// A window in these bytes, whose content does not matter; `None` unless their number is a power of two of at least
    /// 128 that fits 32 bits.
    pub fn new(bytes: &'w mut [u8]) -> Option<Self> {
        let len = bytes.len();
        let is_valid = len.is_power_of_two() && len >= SHORTEST && u32::try_from(len).is_ok();
        is_valid.then_some(Self { bytes, at: 0 })
    }

    /// The same window for another block, until that is decoded.
    pub const fn lend(&mut self) -> Window<'_> {
        Window { bytes: self.bytes, at: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// How far back a copy may begin, in bytes: at the window's front, or over it where nothing can be overwritten yet.
    pub(super) fn reach(&self) -> usize {
        self.at.max(self.len().saturating_sub(CHUNK).saturating_add(1))
    }

    /// Continues at the front when the end is reached. From here on, bytes lent before are overwritten.
    pub(super) const fn wrap(&mut self) {
        if self.at == self.bytes.len() {
            self.at = 0;
        }
    }

    /// The bytes from `from` to where the next one goes.
    pub(super) fn since(&self, from: usize) -> &[u8] {
        self.bytes.get(from..self.at).unwrap_or_default()
    }

    /// Appends as many of `bytes` as fit before the end, and returns how many.
    pub(super) fn append(&mut self, bytes: &[u8]) -> usize {
        let space = self.bytes.get_mut(self.at..).unwrap_or_default();
        let count = bytes.len().min(space.len());
        if let (Some(to), Some(from)) = (space.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(count);
        count
    }

    /// Appends up to `length` bytes, starting `offset` bytes back, as far as source and target stay before the window's
    /// end, and returns how many; 0 when the window is full. `offset` is at least 1, and was within
    /// [`reach`](Self::reach) when the copy began.
    pub(super) fn copy(&mut self, offset: usize, length: usize) -> usize {
        // The length of the window is a power of two: the mask wraps an offset that reaches back over the front.
        let from = self.at.wrapping_sub(offset) & self.len().wrapping_sub(1);
        let count = length.min(self.len().saturating_sub(from.max(self.at)));
        let next = self.at.saturating_add(count);
        if from < self.at {
            repeat(self.bytes.get_mut(from..next).unwrap_or_default(), offset);
        } else {
            // The source lies ahead, in the oldest bytes; none is overwritten before it is read.
            let span = self.bytes.get_mut(self.at..from.saturating_add(count)).unwrap_or_default();
            span.copy_within(span.len().saturating_sub(count).., 0);
        }
        self.at = next;
        count
    }

    /// Appends the first `length` of `bytes`, at most [`CHUNK`], and returns the others; `None`, with nothing appended,
    /// when they are more, or a chunk is not available or does not fit.
    #[inline]
    pub(super) fn append_front<'i>(&mut self, bytes: &'i [u8], length: usize) -> Option<&'i [u8]> {
        if length > CHUNK {
            return None;
        }
        self.write_chunk(*bytes.first_chunk()?)?;
        self.at = self.at.saturating_add(length);
        bytes.get(length..)
    }

    /// Appends `length` bytes, at most [`CHUNK`], starting `offset` bytes back; `None`, with nothing appended, when the
    /// copy would repeat itself or reaches over the window's front, or a chunk does not fit.
    #[inline]
    pub(super) fn copy_front(&mut self, offset: usize, length: usize) -> Option<()> {
        if length > offset {
            return None;
        }
        let from = self.at.checked_sub(offset)?;
        // Its bytes from `at` on are none of the output, and come to lie behind what counts.
        self.write_chunk(*self.bytes.get(from..)?.first_chunk()?)?;
        self.at = self.at.saturating_add(length);
        Some(())
    }

    /// Writes a chunk where the next byte goes; `None` when it does not fit.
    #[inline]
    fn write_chunk(&mut self, chunk: [u8; CHUNK]) -> Option<()> {
        *self.bytes.get_mut(self.at..)?.first_chunk_mut()? = chunk;
        Some(())
    }

    /// The same window as another value, up to `end`. With [`resume`](Self::resume) it lets a loop keep it in
    /// registers.
    #[inline]
    pub(super) fn up_to(&mut self, end: usize) -> Window<'_> {
        let end = end.min(self.bytes.len());
        Window { bytes: self.bytes.get_mut(..end).unwrap_or_default(), at: self.at }
    }

    /// Continues where that one stopped.
    #[inline]
    pub(super) const fn resume(&mut self, at: usize) {
        self.at = at;
    }
}

/// Fills `span` after its first `period` bytes with repetitions of them, each pass doubling what is there.
#[inline]
fn repeat(span: &mut [u8], period: usize) {
    let mut filled = period;
    while filled < span.len() {
        let count = filled.min(span.len().saturating_sub(filled));
        span.copy_within(..count, filled);
        filled = filled.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = SHORTEST;

    /// Under Miri only some of many like cases: all would take minutes.
    const STEP: usize = if cfg!(miri) { 21 } else { 1 };

    /// `count` numbered bytes in a window of two chunks, appended one at a time.
    fn filled(bytes: &mut [u8; LEN], count: u8) -> Window<'_> {
        let mut window = Window::new(bytes).unwrap();
        for byte in 0..count {
            window.wrap();
            assert_eq!(window.append(&[byte]), 1);
        }
        window.wrap();
        window
    }

    #[test]
    fn only_a_power_of_two_of_at_least_128_bytes_is_a_window() {
        let mut bytes = [0; 512];
        for len in 0..=512 {
            assert_eq!(Window::new(&mut bytes[..len]).is_some(), [128, 256, 512].contains(&len), "{len}");
        }
    }

    #[test]
    fn a_chunk_of_which_part_counts_is_the_same_as_that_part() {
        for length in (1..=CHUNK).step_by(STEP) {
            for offset in (length..=64).step_by(STEP) {
                let (mut chunks, mut parts) = ([0; LEN], [0; LEN]);
                let (mut window, mut other) = (filled(&mut chunks, 64), filled(&mut parts, 64));
                assert_eq!(window.copy_front(offset, length), Some(()));
                assert_eq!(other.copy(offset, length), length);
                assert_eq!(window.since(0), other.since(0), "{length} from {offset} back");
            }
            let (mut chunks, mut parts) = ([0; LEN], [0; LEN]);
            let (mut window, mut other) = (filled(&mut chunks, 64), filled(&mut parts, 64));
            let mut literal = [100; CHUNK + 1];
            literal[length - 1] = 7;
            assert_eq!(window.append_front(&literal, length), literal.get(length..));
            assert_eq!(other.append(&literal[..length]), length);
            assert_eq!(window.since(0), other.since(0));
        }
    }

    #[test]
    fn what_is_no_chunk_is_left_to_parts() {
        let mut bytes = [0; LEN];
        let mut window = filled(&mut bytes, 64);
        assert_eq!(window.copy_front(63, 64), None, "it repeats itself");
        assert_eq!(window.copy_front(0, 1), None, "it repeats nothing");
        assert_eq!(window.copy_front(65, 1), None, "before the front");
        assert_eq!(window.append_front(&[0; CHUNK - 1], 1), None, "too little input");
        assert_eq!(window.append_front(&[0; CHUNK + 1], CHUNK + 1), None, "too long");
        assert_eq!(window.append(&[0]), 1);
        assert_eq!(window.append_front(&[0; CHUNK], 1), None, "no room");
        assert_eq!(window.copy_front(64, 1), None, "no room");
        assert_eq!(window.at(), 65);
    }

    #[test]
    fn a_copy_by_parts_repeats_itself_and_crosses_the_end() {
        let mut bytes = [0; LEN];
        let mut window = filled(&mut bytes, 130);
        assert_eq!(window.since(0), [128, 129]);
        assert_eq!(window.copy(3, 4), 1, "the source ends with the window");
        assert_eq!(window.copy(3, 3), 3);
        assert_eq!(window.since(0), [128, 129, 127, 128, 129, 127]);
        assert_eq!(window.append(&[7; LEN]), LEN - 6);
        assert_eq!(window.copy(LEN, 1), 0, "full");
    }

    /// The reach says which bytes of the last turn are still there after any chunk.
    #[test]
    fn what_is_within_reach_was_never_overwritten() {
        for count in (128..=255).step_by(STEP) {
            let mut bytes = [0; LEN];
            let mut window = filled(&mut bytes, count);
            if window.append_front(&[0xee; CHUNK], 1).is_none() {
                assert_eq!(window.append(&[0xee]), 1);
            }
            window.wrap();
            let reach = window.reach();
            assert_eq!(window.copy(reach, 1), 1);
            let byte = window.since(window.at() - 1)[0];
            assert_eq!(usize::from(byte), usize::from(count) + 1 - reach, "{reach} back after {count}");
        }
    }
}
