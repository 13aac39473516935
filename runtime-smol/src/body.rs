//! A stored request body, or a page on its way out: segments of 16 KiB from an arena of its thread's.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::TcpStream;
use std::ops::Range;
use std::rc::Rc;

use smol::future;

use crate::pool::Pool;
use crate::reactor::Socket;

/// Bytes of a segment: one TLS record (RFC 8446 §5.1).
pub(crate) const SEGMENT: usize = 16 * 1024;

/// Segments read into by one system call.
const VECTORED: usize = 16;

/// Segments that are read into before a head tells how long the body is.
const AHEAD: usize = 8;

/// Bytes that may have been taken of what was read ahead without being stored: as many as a connection's inbox holds.
pub(crate) const TAKEN: usize = 8 * 1024;

/// A segment. The arena it comes from lives as long as the process.
pub(crate) type Segment = &'static mut [u8];

/// A store of segments. A thread has one for bodies, a small one for bodies that find no room there, and one for pages.
pub(crate) type Arena = Pool<Segment>;

/// One body. Its segments are from one arena, and go back there when it is dropped.
///
/// Bytes that were read ahead of it lie in the same segments: as far from their beginning as they are from that of the
/// request, so that what precedes them of the body fits in between and nothing has to be moved. Where that does not come
/// true, as with chunks and pipelined requests, they are read from there as from a socket. What is stored never reaches
/// them, for it has been taken from before them, and room for what is taken and not stored yet stays before them.
#[derive(Debug)]
pub(crate) struct Body {
    arena: Rc<Arena>,
    /// A smaller arena, for a body that fits into it and finds no room in the other.
    small: Option<Rc<Arena>>,
    /// The segments are from the small arena.
    from_small: bool,
    segments: Vec<Segment>,
    /// Where the body begins in the first segment.
    start: usize,
    len: usize,
    /// Where in the segments the bytes are that were read ahead.
    ahead: Range<usize>,
    /// They are as far from the first segment's beginning as from their request's.
    aligned: bool,
    /// The segments are those of a body that has begun, or for which room was reserved.
    begun: bool,
}

impl Body {
    pub(crate) fn new(arena: &Rc<Arena>) -> Self {
        Self::of(arena, None)
    }

    pub(crate) fn with_small(arena: &Rc<Arena>, small: &Rc<Arena>) -> Self {
        Self::of(arena, Some(Rc::clone(small)))
    }

    fn of(arena: &Rc<Arena>, small: Option<Rc<Arena>>) -> Self {
        let (arena, segments) = (Rc::clone(arena), Vec::new());
        Self { arena, small, from_small: false, segments, start: 0, len: 0, ahead: 0..0, aligned: false, begun: false }
    }

    /// Bytes that are stored.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Forgets what is stored and gives the segments back, except those with bytes that were read ahead, or that may have
    /// been taken of them. The list that named them stays, for the next body.
    pub(crate) fn clear(&mut self) {
        let over = self.ahead.start.saturating_sub(TAKEN) / SEGMENT;
        let over = if self.has_ahead() { over } else { self.segments.len() };
        self.give_back(0..over);
        self.ahead = self.ahead.start.saturating_sub(over * SEGMENT)..self.ahead.end.saturating_sub(over * SEGMENT);
        self.aligned = false;
        self.begun = false;
        self.from_small &= !self.segments.is_empty();
        self.start = 0;
        self.len = 0;
    }

    /// Waits until there is room for a body of that many bytes, which is empty so far and begins `after` bytes of its
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
        let usual = Rc::clone(&self.arena);
        let (here, other) = match self.small.clone() {
            Some(small) if self.from_small => (small, Some(usual)),
            small => (usual, small),
        };
        let stay = here.take(missing, &mut self.segments);
        let Some(other) = other.filter(|other| wanted <= other.size()) else {
            return stay.await;
        };
        let mut segments = Vec::new();
        let move_over = other.take(wanted, &mut segments);
        if future::or(async { (stay.await, false).1 }, async { (move_over.await, true).1 }).await {
            for (to, from) in segments.iter_mut().zip(&self.segments) {
                to.copy_from_slice(from);
            }
            self.give_back(0..self.segments.len());
            self.segments.append(&mut segments);
            self.from_small = !self.from_small;
        }
    }

    /// Stores what there is room for, taking a segment more if one is free; returns how much that was.
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

    /// Reads up to `most` bytes straight from a socket into many segments at once, and what comes after them into
    /// `beyond`; returns how much that was in all.
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
        // Nothing that is read into no space would look like the sender's end.
        if room == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = socket.read_vectored(&mut slices, room)?;
        self.len += n.min(stored);
        Ok(n)
    }

    /// Reads from a socket into `first`, which is empty and where the next request begins, and as far ahead as fits into
    /// segments that nobody will miss: `remainder` of them stay in the arena. Returns how much of it is in `first`.
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

    /// Whether there are bytes that were read ahead.
    pub(crate) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Stores up to `most` of the bytes that were read ahead by leaving them where they are; returns how much that was:
    /// nothing unless they follow what is stored.
    pub(crate) fn claim(&mut self, most: usize) -> usize {
        let n = if self.ahead.start == self.end() { self.ahead.len().min(most) } else { 0 };
        self.len += n;
        self.ahead.start += n;
        n
    }

    /// Moves bytes that were read ahead into `space`; returns how much that was.
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

    /// A body that begins where only the small arena has room stays there. One that has segments need not queue with those
    /// that have none.
    fn grow(&mut self) {
        let has_segments = !self.segments.is_empty();
        let usual = match (self.from_small, has_segments) {
            (true, _) => None,
            (false, true) => self.arena.take_free(),
            (false, false) => self.arena.try_take(),
        };
        if let Some(segment) = usual {
            self.segments.push(segment);
        } else if let Some(small) = self.small.as_ref().filter(|_| self.from_small || !has_segments) {
            self.segments.extend(small.take_free());
            self.from_small = !self.segments.is_empty();
        }
    }

    /// Behind the last byte that is stored.
    const fn end(&self) -> usize {
        self.start.saturating_add(self.len)
    }

    fn room(&self) -> usize {
        (self.segments.len() * SEGMENT).saturating_sub(self.end())
    }

    /// The one that was taken first is the last to go back, and so the next to be taken.
    fn give_back(&mut self, which: Range<usize>) {
        let arena = self.small.as_ref().filter(|_| self.from_small).unwrap_or(&self.arena);
        arena.give(self.segments.drain(which).rev());
    }
}

/// Adds the parts of `segments` that are at `places`, counted from the beginning of the first, to `slices`, as far as
/// there are such; returns their length.
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

/// Stores text as it comes; an error where the arena has no segment to spare.
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

/// Stores bytes as they come, as long as the arena has a segment to spare.
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
