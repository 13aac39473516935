//! A stored request body, or a page on its way out: segments of 16 KiB from the process's one arena.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::TcpStream;
use std::rc::Rc;

use smol::future;

use crate::pool::Pool;
use crate::reactor::Socket;

/// Bytes of a segment: one TLS record (RFC 8446 §5.1).
pub(crate) const SEGMENT: usize = 16 * 1024;

/// Segments read into by one system call.
const VECTORED: usize = 16;

/// A segment. The arena it comes from lives as long as the process.
pub(crate) type Segment = &'static mut [u8];

/// The arena: every buffered body byte of the process lies in it.
pub(crate) type Arena = Pool<Segment>;

/// One body. Its segments are from one arena, and go back there when it is dropped.
#[derive(Debug)]
pub(crate) struct Body {
    arena: Rc<Arena>,
    /// A smaller arena, for a body that fits into it and finds no room in the other.
    reserve: Option<Rc<Arena>>,
    /// The segments are from the reserve.
    reserved: bool,
    segments: Vec<Segment>,
    len: usize,
}

impl Body {
    pub(crate) fn new(arena: &Rc<Arena>) -> Self {
        Self::of(arena, None)
    }

    pub(crate) fn with_reserve(arena: &Rc<Arena>, reserve: &Rc<Arena>) -> Self {
        Self::of(arena, Some(Rc::clone(reserve)))
    }

    fn of(arena: &Rc<Arena>, reserve: Option<Rc<Arena>>) -> Self {
        Self { arena: Rc::clone(arena), reserve, reserved: false, segments: Vec::new(), len: 0 }
    }

    /// Bytes that are stored.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Forgets what is stored and gives the segments back. The list that named them stays, for the next body.
    pub(crate) fn clear(&mut self) {
        self.reserve.as_ref().filter(|_| self.reserved).unwrap_or(&self.arena).give(self.segments.drain(..));
        self.reserved = false;
        self.len = 0;
    }

    /// Waits until there is room for a body of that many bytes, which is empty so far.
    pub(crate) async fn reserve(&mut self, bytes: usize) {
        let wanted = bytes.div_ceil(SEGMENT);
        let usual = self.arena.take(wanted, &mut self.segments);
        let Some(reserve) = self.reserve.as_ref().filter(|reserve| wanted <= reserve.size()) else {
            return usual.await;
        };
        let mut segments = Vec::new();
        let reserved = reserve.take(wanted, &mut segments);
        if future::or(async { (usual.await, false).1 }, async { (reserved.await, true).1 }).await {
            self.segments.append(&mut segments);
            self.reserved = true;
        }
    }

    /// Stores what there is room for, taking a segment more if one is free; returns how much that was.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> usize {
        if self.room() == 0 {
            self.grow();
        }
        let (segment, at) = (self.len / SEGMENT, self.len % SEGMENT);
        let Some(space) = self.segments.get_mut(segment).and_then(|segment| segment.get_mut(at..)) else { return 0 };
        let n = bytes.len().min(space.len());
        if let (Some(space), Some(bytes)) = (space.get_mut(..n), bytes.get(..n)) {
            space.copy_from_slice(bytes);
        }
        self.len += n;
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
        let (first, at) = (self.len / SEGMENT, self.len % SEGMENT);
        let mut left = most.min(self.room());
        let mut room = 0;
        let mut slices = heapless::Vec::<IoSliceMut<'_>, VECTORED>::new();
        for (i, segment) in self.segments.iter_mut().skip(first).enumerate() {
            let from = if i == 0 { at } else { 0 };
            let to = SEGMENT.min(from.saturating_add(left));
            let Some(space) = segment.get_mut(from..to).filter(|space| !space.is_empty()) else { break };
            if slices.push(IoSliceMut::new(space)).is_err() {
                break;
            }
            left -= to - from;
            room += to - from;
        }
        let stored = room;
        let beyond_length = beyond.len();
        if room == most && slices.push(IoSliceMut::new(beyond)).is_ok() {
            room += beyond_length;
        }
        let n = socket.read_vectored(&mut slices, room)?;
        self.len += n.min(stored);
        Ok(n)
    }

    /// The stored bytes from `from` on, segment by segment.
    pub(crate) fn slices(&self, from: usize) -> impl Iterator<Item = &[u8]> {
        let first = from / SEGMENT;
        self.segments.iter().enumerate().skip(first).map_while(move |(i, segment)| {
            let start = if i == first { from % SEGMENT } else { 0 };
            let end = self.len.saturating_sub(i * SEGMENT).min(SEGMENT);
            segment.get(start..end).filter(|slice| !slice.is_empty())
        })
    }

    /// Copies all that is stored if it fits, otherwise nothing; returns how much that was.
    pub(crate) fn copy_to(&self, mut space: &mut [u8]) -> usize {
        if self.len > space.len() {
            return 0;
        }
        for slice in self.slices(0) {
            let (to, rest) = space.split_at_mut(slice.len());
            to.copy_from_slice(slice);
            space = rest;
        }
        self.len
    }

    /// A body that begins where only the reserve has room stays there. One that has begun need not queue with those that
    /// have not.
    fn grow(&mut self) {
        let begun = !self.segments.is_empty();
        let usual = match (self.reserved, begun) {
            (true, _) => None,
            (false, true) => self.arena.take_free(),
            (false, false) => self.arena.try_take(),
        };
        if let Some(segment) = usual {
            self.segments.push(segment);
        } else if let Some(reserve) = self.reserve.as_ref().filter(|_| self.reserved || !begun) {
            self.segments.extend(reserve.take_free());
            self.reserved = !self.segments.is_empty();
        }
    }

    fn room(&self) -> usize {
        (self.segments.len() * SEGMENT).saturating_sub(self.len)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.clear();
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
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::pool::buffers;
    use crate::reactor::Reactor;
    use smol::future::poll_once;
    use std::io::Write as _;
    use std::net::TcpListener;

    fn arena(segments: usize) -> Rc<Arena> {
        Pool::new(buffers(segments, SEGMENT).unwrap())
    }

    fn content(body: &Body, from: usize) -> Vec<u8> {
        body.slices(from).flatten().copied().collect()
    }

    #[test]
    fn what_is_appended_stands_in_order_across_segments() {
        let arena = arena(3);
        let mut body = Body::new(&arena);
        let bytes: Vec<u8> = (0..251).cycle().take(SEGMENT * 2 + 5).collect();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            rest = &rest[body.append(rest)..];
        }
        assert_eq!(content(&body, 0), bytes);
        for from in [1, SEGMENT - 1, SEGMENT, SEGMENT + 1, bytes.len() - 1] {
            assert_eq!(content(&body, from), bytes[from..]);
        }
        assert!(content(&body, bytes.len()).is_empty());
    }

    #[test]
    fn an_empty_arena_takes_nothing_and_gets_everything_back() {
        let arena = arena(1);
        let mut body = Body::new(&arena);
        assert_eq!(body.append(&[1; SEGMENT]), SEGMENT);
        assert_eq!(body.append(b"x"), 0);
        drop(body);
        assert_eq!(arena.free(), 1);
    }

    #[test]
    fn a_body_that_fits_into_the_reserve_takes_room_where_it_is() {
        smol::block_on(async {
            let (usual, reserve) = (arena(3), arena(2));
            let lent = || (usual.lent(), reserve.lent());
            let mut bodies = [(); 4].map(|()| Body::with_reserve(&usual, &reserve));
            let [first, second, third, fourth] = &mut bodies;
            let (large, small) = (3 * SEGMENT, 2 * SEGMENT);
            first.reserve(large).await;
            assert!(poll_once(second.reserve(large)).await.is_none(), "the reserve is too small for it");
            third.reserve(small).await;
            assert_eq!(lent(), (3, 2));
            assert!(poll_once(fourth.reserve(small)).await.is_none(), "neither has room");
            third.clear();
            fourth.reserve(small).await;
            assert_eq!(lent(), (3, 2));
            first.clear();
            third.reserve(small).await;
            assert_eq!(lent(), (2, 2));
            drop(bodies);
            assert_eq!(lent(), (0, 0));
        });
    }

    #[test]
    fn a_body_that_grows_begins_in_the_reserve_where_nothing_else_is_free() {
        let (usual, reserve) = (arena(2), arena(2));
        let mut bodies = [(); 3].map(|()| Body::with_reserve(&usual, &reserve));
        let [first, second, third] = &mut bodies;
        let full = [1; SEGMENT];
        assert_eq!([first.append(&full), first.append(&full)], [SEGMENT; 2]);
        assert_eq!(first.append(b"x"), 0, "a body that began elsewhere gets nothing of the reserve");
        assert_eq!(second.append(&full), SEGMENT);
        first.clear();
        assert_eq!(second.append(&full), SEGMENT);
        assert_eq!((usual.lent(), reserve.lent()), (0, 2));
        assert_eq!(second.append(b"x"), 0, "it stays in the reserve");
        assert_eq!(third.append(&full), SEGMENT);
        assert_eq!((usual.lent(), reserve.lent()), (1, 2));
        second.clear();
        assert_eq!([second.append(&full), second.append(b"x")], [SEGMENT, 0], "it begins anew in the usual one");
        drop(bodies);
        assert_eq!((usual.lent(), reserve.lent()), (0, 0));
    }

    #[test]
    fn a_body_that_has_begun_grows_past_those_that_wait() {
        smol::block_on(async {
            let (usual, reserve) = (arena(3), arena(1));
            let mut bodies = [(); 3].map(|()| Body::with_reserve(&usual, &reserve));
            let [begun, waiting, new] = &mut bodies;
            let full = [1; SEGMENT];
            assert_eq!(begun.append(&full), SEGMENT);
            let mut large = Box::pin(waiting.reserve(3 * SEGMENT));
            assert!(poll_once(&mut large).await.is_none());
            assert_eq!(begun.append(&full), SEGMENT);
            assert_eq!(new.append(&full), SEGMENT);
            assert_eq!((usual.lent(), reserve.lent()), (2, 1), "a new one takes nothing from who waits");
        });
    }

    #[test]
    fn a_socket_is_read_into_many_segments_and_what_comes_after_the_body_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (receiver, _) = listener.accept().unwrap();
        let bytes: Vec<u8> = (0..253).cycle().take(SEGMENT * 2).collect();
        sender.write_all(&bytes).unwrap();
        sender.write_all(b"next request").unwrap();
        receiver.set_nonblocking(true).unwrap();
        let reactor = Reactor::new(Clock::start()).unwrap();
        let receiver = Socket::new(reactor, receiver).unwrap();

        reactor
            .block_on(async {
                let mut body = Body::new(&arena(2));
                body.reserve(bytes.len() - 3).await;
                assert_eq!(body.append(&bytes[..10]), 10);
                let (mut beyond, mut after) = ([0; 5], 0);
                while body.len < bytes.len() - 3 {
                    let from = body.len;
                    // The test's own stand-in for the bytes that came with the head.
                    receiver.readable().await;
                    let n = body.read_from(&receiver, bytes.len() - 3 - from, &mut beyond[..]).unwrap();
                    assert!(n > 0);
                    after += (from + n).saturating_sub(bytes.len() - 3);
                }
                assert_eq!(body.len, bytes.len() - 3);
                assert_eq!(content(&body, 10)[..], bytes[..bytes.len() - 13]);
                assert_eq!(beyond[..after], bytes[bytes.len() - 13..][..after]);
            })
            .unwrap();
    }
}
