//! A stored request body, or a page being sent: 16 KiB segments from an arena of its thread.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::TcpStream;
use std::ops::Range;

use remora_core::forward::INBOX_BYTES;
use smol::future;

use crate::pool::Pool;
use crate::reactor::Socket;

/// Bytes of a segment: one TLS record (RFC 8446 §5.1).
pub(crate) const SEGMENT: usize = 16 * 1024;

/// Most buffers that one read fills.
const VECTORED: usize = 16;

/// Segments that are read into before the head has given the body's length.
const AHEAD: usize = 8;

/// A segment. The arena it comes from lives as long as the process.
pub(crate) type Segment = &'static mut [u8];

/// A store of segments. A thread has one for bodies, a small one for bodies that find no room there, and one for pages.
pub(crate) type Arena = Pool<Segment>;

/// One body. Its segments come from one arena and return to it on drop.
///
/// Bytes read before the head has given the body's length lie in the same segments, at the offset that they have in the
/// request, so that nothing has to be moved:
///
/// ```text
/// request   | head | body ............................................ | next request
/// segments  0      start ....... end ............. ahead.start .............. ahead.end
///                    stored        in the inbox        read ahead
/// ```
///
/// Where the offsets do not match, as with chunks and pipelined requests, the bytes read ahead are taken out as if from
/// a socket. Storing never overwrites them: it only fills the room of bytes taken out before.
#[derive(Debug)]
pub(crate) struct Body {
    arena: &'static Arena,
    /// A smaller arena, for a body that fits into it and finds no room in the other.
    small: Option<&'static Arena>,
    /// Whether the segments are from the small arena.
    from_small: bool,
    segments: Vec<Segment>,
    /// Where the body begins in the first segment.
    start: usize,
    len: usize,
    /// Where in the segments the bytes read ahead are.
    ahead: Range<usize>,
    /// Whether they are at the offset that they have in their request.
    aligned: bool,
    /// Whether a body has begun, or room for one was reserved.
    begun: bool,
}

impl Body {
    pub(crate) const fn new(arena: &'static Arena) -> Self {
        Self::of(arena, None)
    }

    pub(crate) const fn with_small(arena: &'static Arena, small: &'static Arena) -> Self {
        Self::of(arena, Some(small))
    }

    const fn of(arena: &'static Arena, small: Option<&'static Arena>) -> Self {
        let segments = Vec::new();
        Self { arena, small, from_small: false, segments, start: 0, len: 0, ahead: 0..0, aligned: false, begun: false }
    }

    /// Bytes that are stored.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Forgets the stored bytes and returns the segments, except those that hold bytes read ahead or room for those
    /// taken out. The vector keeps its capacity for the next body.
    pub(crate) fn clear(&mut self) {
        // No more than an inbox holds was taken out and is not stored yet.
        let over = self.ahead.start.saturating_sub(INBOX_BYTES) / SEGMENT;
        let over = if self.has_ahead() { over } else { self.segments.len() };
        self.give_back(0..over);
        self.ahead = self.ahead.start.saturating_sub(over * SEGMENT)..self.ahead.end.saturating_sub(over * SEGMENT);
        self.aligned = false;
        self.begun = false;
        self.from_small &= !self.segments.is_empty();
        self.start = 0;
        self.len = 0;
    }

    /// Waits until there is room for a body of `bytes` bytes, which is still empty and begins `after` bytes into its
    /// request.
    pub(crate) async fn reserve(&mut self, bytes: usize, after: usize) {
        self.begun = true;
        self.start = if self.aligned && self.has_ahead() { after } else { 0 };
        let end = self.start.saturating_add(bytes).max(self.ahead.end);
        let wanted = end.div_ceil(SEGMENT);
        let missing = wanted.saturating_sub(self.segments.len());
        if missing == 0 {
            return;
        }
        let (here, other) = match self.small {
            Some(small) if self.from_small => (small, Some(self.arena)),
            small => (self.arena, small),
        };
        let more = here.take(missing, &mut self.segments);
        let Some(other) = other.filter(|other| wanted <= other.size()) else {
            return more.await;
        };
        let mut segments = Vec::new();
        let all = other.take(wanted, &mut segments);
        let stay = async {
            more.await;
            false
        };
        let move_over = async {
            all.await;
            true
        };
        if future::or(stay, move_over).await {
            self.move_to(segments);
        }
    }

    /// Replaces all segments with those of the other arena.
    fn move_to(&mut self, mut segments: Vec<Segment>) {
        for (to, from) in segments.iter_mut().zip(&self.segments) {
            to.copy_from_slice(from);
        }
        self.give_back(0..self.segments.len());
        self.segments.append(&mut segments);
        self.from_small = !self.from_small;
    }

    /// Stores as many bytes as fit, taking one more segment if one is free; returns how many.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> usize {
        if self.room() == 0 {
            self.grow();
        }
        let (segment, at) = (self.end() / SEGMENT, self.end() % SEGMENT);
        let to = if self.has_ahead() { SEGMENT.min(at + self.ahead.start.saturating_sub(self.end())) } else { SEGMENT };
        let Some(space) = self.segments.get_mut(segment).and_then(|segment| segment.get_mut(at..to)) else { return 0 };
        let n = bytes.len().min(space.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..n), bytes.get(..n)) {
            space.copy_from_slice(bytes);
        }
        self.len += n;
        self.begun = true;
        n
    }

    /// Reads up to `most` bytes from a socket directly into many segments, and what follows them into `beyond`; returns
    /// the total.
    pub(crate) fn read_from(
        &mut self,
        socket: &Socket<TcpStream>,
        most: usize,
        beyond: &mut [u8],
    ) -> io::Result<usize> {
        let end = self.end();
        let mut slices = heapless::Vec::new();
        let mut room = spaces(&mut self.segments, end..end.saturating_add(most), &mut slices);
        let stored = room;
        let beyond_length = beyond.len();
        if room == most && slices.push(IoSliceMut::new(beyond)).is_ok() {
            room += beyond_length;
        }
        // A read into no space returns 0, which would look like the sender's end.
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = socket.read_vectored(&mut slices, room)?;
        self.len += n.min(stored);
        Ok(n)
    }

    /// Reads from a socket into `first`, which is empty and takes the start of the next request, and then into spare
    /// segments, leaving at least `remainder` of them in the arena. Returns how many bytes are in `first`.
    pub(crate) fn read_ahead(
        &mut self,
        socket: &Socket<TcpStream>,
        first: &mut [u8],
        remainder: usize,
    ) -> io::Result<usize> {
        let from = first.len();
        let mut slices = heapless::Vec::new();
        let _ = slices.push(IoSliceMut::new(first));
        self.arena.take_spare(AHEAD, remainder, &mut self.segments);
        let room = spaces(&mut self.segments, from..AHEAD * SEGMENT, &mut slices);
        let read = socket.read_vectored(&mut slices, from + room);
        drop(slices);
        let n = read.as_ref().map_or(0, |n| *n);
        self.ahead = from..from.max(n);
        self.aligned = true;
        let used = if self.has_ahead() { n.div_ceil(SEGMENT) } else { 0 };
        self.give_back(used..self.segments.len());
        read.map(|n| n.min(from))
    }

    /// Whether any bytes read ahead are left.
    pub(crate) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Stores up to `most` of the bytes read ahead by leaving them where they are; returns how many: 0 unless they
    /// directly follow the stored bytes.
    pub(crate) fn claim(&mut self, most: usize) -> usize {
        let n = if self.ahead.start == self.end() { self.ahead.len().min(most) } else { 0 };
        self.len += n;
        self.ahead.start += n;
        n
    }

    /// Moves bytes read ahead into `space`; returns how many.
    pub(crate) fn take_ahead(&mut self, space: &mut [u8]) -> usize {
        let (segment, at) = (self.ahead.start / SEGMENT, self.ahead.start % SEGMENT);
        let there = self.segments.get(segment).and_then(|segment| segment.get(at..)).unwrap_or_default();
        let n = there.len().min(self.ahead.len()).min(space.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..n), there.get(..n)) {
            space.copy_from_slice(bytes);
        }
        self.ahead.start += n;
        if !self.has_ahead() && !self.begun {
            self.clear();
        }
        n
    }

    /// The stored bytes from `from` on, segment by segment.
    pub(crate) fn slices(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        let from = self.start.saturating_add(from);
        let first = from / SEGMENT;
        self.segments.iter().enumerate().skip(first).map_while(move |(i, segment)| {
            let start = if i == first { from % SEGMENT } else { 0 };
            let end = self.end().saturating_sub(i * SEGMENT).min(SEGMENT);
            segment.get(start..end).filter(|slice| !slice.is_empty())
        })
    }

    /// A body that began in the small arena stays there. One that has segments goes ahead of those waiting for their
    /// first.
    fn grow(&mut self) {
        let has_segments = !self.segments.is_empty();
        let usual = match (self.from_small, has_segments) {
            (true, _) => None,
            (false, true) => self.arena.take_free(),
            (false, false) => self.arena.try_take(),
        };
        if let Some(segment) = usual {
            self.segments.push(segment);
        } else if let Some(small) = self.small.filter(|_| self.from_small || !has_segments) {
            self.segments.extend(small.take_free());
            self.from_small = !self.segments.is_empty();
        }
    }

    /// Offset just past the last stored byte.
    const fn end(&self) -> usize {
        self.start.saturating_add(self.len)
    }

    fn room(&self) -> usize {
        (self.segments.len() * SEGMENT).saturating_sub(self.end())
    }

    /// In reverse, so that the segment taken first is the next to be taken.
    fn give_back(&mut self, which: Range<usize>) {
        let arena = self.small.filter(|_| self.from_small).unwrap_or(self.arena);
        arena.give(self.segments.drain(which).rev());
    }
}

/// Adds the parts of `segments` in the range `places`, counted from the start of the first, to `slices`, as far as they
/// exist; returns their total length.
fn spaces<'s>(
    segments: &'s mut [Segment],
    places: Range<usize>,
    slices: &mut heapless::Vec<IoSliceMut<'s>, VECTORED>,
) -> usize {
    let (first, at) = (places.start / SEGMENT, places.start % SEGMENT);
    let mut left = places.len();
    let mut room = 0;
    for (i, segment) in segments.iter_mut().skip(first).enumerate() {
        let from = if i == 0 { at } else { 0 };
        let to = SEGMENT.min(from.saturating_add(left));
        let Some(space) = segment.get_mut(from..to).filter(|space| !space.is_empty()) else { break };
        if slices.push(IoSliceMut::new(space)).is_err() {
            break;
        }
        left -= to - from;
        room += to - from;
    }
    room
}

impl Drop for Body {
    fn drop(&mut self) {
        self.give_back(0..self.segments.len());
    }
}

/// Appends text; an error if the arena has no segment to spare.
impl fmt::Write for Body {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let n = self.append(rest);
            rest = rest.get(n..).filter(|_| n > 0).ok_or(fmt::Error)?;
        }
        Ok(())
    }
}

/// Appends bytes, as long as the arena has a segment to spare.
impl io::Write for Body {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(self.append(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
