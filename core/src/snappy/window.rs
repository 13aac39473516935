//! The lent window: the latest part of the output, from which copies take their bytes.

/// A ring of the last bytes decoded. Its length is a power of two.
#[derive(Debug)]
pub(super) struct Window<'w> {
    bytes: &'w mut [u8],
    /// Where the next byte goes; the window's length when the next one has to wrap.
    at: usize,
}

impl<'w> Window<'w> {
    pub(super) const fn new(bytes: &'w mut [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) const fn at(&self) -> usize {
        self.at
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
    /// end, and returns how many; 0 when the window is full. `offset` is from 1 to the window's length.
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

    /// Appends all of `bytes`; `false`, with nothing done, when they would cross the window's end.
    #[inline]
    pub(super) fn append_whole(&mut self, bytes: &[u8]) -> bool {
        let next = self.at.saturating_add(bytes.len());
        let Some(to) = self.bytes.get_mut(self.at..next) else { return false };
        transfer(to, bytes);
        self.at = next;
        true
    }

    /// Appends all `length` bytes, starting `offset` bytes back; `false`, with nothing done, when source or target
    /// would cross an end of the window, or `offset` is 0.
    #[inline]
    pub(super) fn copy_whole(&mut self, offset: usize, length: usize) -> bool {
        let next = self.at.saturating_add(length);
        let Some(from) = self.at.checked_sub(offset) else { return false };
        let Some((past, ahead)) = self.bytes.split_at_mut_checked(self.at) else { return false };
        let (Some(past), Some(to)) = (past.get(from..), ahead.get_mut(..length)) else { return false };
        match past.get(..length) {
            Some(past) => transfer(to, past),
            None if past.is_empty() => return false,
            None => repeat(self.bytes.get_mut(from..next).unwrap_or_default(), offset),
        }
        self.at = next;
        true
    }

    /// The same window as another value, up to `end`. With [`resume`](Self::resume) it lets a loop keep it in
    /// registers.
    #[inline]
    pub(super) fn lend(&mut self, end: usize) -> Window<'_> {
        let end = end.min(self.bytes.len());
        Window { bytes: self.bytes.get_mut(..end).unwrap_or_default(), at: self.at }
    }

    /// Continues where the lent window stopped.
    #[inline]
    pub(super) const fn resume(&mut self, at: usize) {
        self.at = at;
    }
}

/// Copies between slices of equal length. Most elements are shorter than a cache line, for which two chunks, one from
/// each end and possibly overlapping, cost less than a call.
#[inline]
fn transfer(to: &mut [u8], from: &[u8]) {
    let done = match from.len() {
        0..4 => transfer_few(to, from),
        4..8 => transfer_ends::<4>(to, from),
        8..16 => transfer_ends::<8>(to, from),
        16..32 => transfer_ends::<16>(to, from),
        32..=64 => transfer_ends::<32>(to, from),
        _ => None,
    };
    if done.is_none() {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    }
}

/// Up to three bytes: the first, the middle and the last one.
#[inline]
fn transfer_few(to: &mut [u8], from: &[u8]) -> Option<()> {
    let middle = from.len() / 2;
    *to.get_mut(middle)? = *from.get(middle)?;
    *to.first_mut()? = *from.first()?;
    *to.last_mut()? = *from.last()?;
    Some(())
}

#[inline]
fn transfer_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<()> {
    let (head, tail) = (from.first_chunk::<N>()?, from.last_chunk::<N>()?);
    *to.first_chunk_mut::<N>()? = *head;
    *to.last_chunk_mut::<N>()? = *tail;
    Some(())
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

    /// `count` numbered bytes in a window of 16.
    fn filled(bytes: &mut [u8; 16], count: u8) -> Window<'_> {
        let mut window = Window::new(bytes);
        for byte in 0..count {
            window.wrap();
            assert!(window.append_whole(&[byte]));
        }
        window.wrap();
        window
    }

    #[test]
    fn a_copy_within_the_window_is_the_same_whole_and_by_parts() {
        for offset in 1..=6 {
            for length in 1..=10 {
                let (mut whole, mut parts) = ([0; 16], [0; 16]);
                let mut window = filled(&mut whole, 6);
                assert!(window.copy_whole(offset, length));
                let mut other = filled(&mut parts, 6);
                assert_eq!(other.copy(offset, length), length);
                assert_eq!(window.since(0), other.since(0));
                let expected = window.since(0)[6 - offset];
                assert_eq!(window.since(0)[6], expected);
            }
        }
    }

    #[test]
    fn what_crosses_an_end_is_done_by_parts_only() {
        let mut bytes = [0; 16];
        let mut window = filled(&mut bytes, 18);
        assert!(!window.copy_whole(3, 1), "the source is at the old end");
        assert_eq!(window.copy(3, 4), 1);
        assert_eq!(window.copy(3, 3), 3);
        assert_eq!(window.since(0), [16, 17, 15, 16, 17, 15]);
        assert!(!window.append_whole(&[0; 11]));
        assert_eq!(window.append(&[7; 11]), 10);
        assert_eq!(window.copy(16, 1), 0, "full");
        window.wrap();
        assert_eq!(window.copy(16, 1), 1, "the oldest byte stands where it goes");
        assert_eq!(window.since(0), [16]);
    }
}
