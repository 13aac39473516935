use super::*;
use crate::clock::Clock;
use crate::pool::buffers;
use crate::reactor::Reactor;
use smol::future::poll_once;
use std::io::Write as _;
use std::net::TcpListener;

fn arena(segments: usize) -> &'static Arena {
    Box::leak(Box::new(Pool::new(buffers(segments, SEGMENT).unwrap())))
}

fn content(body: &Body, from: usize) -> Vec<u8> {
    body.slices(from).flatten().copied().collect()
}

#[test]
fn appended_bytes_stay_in_order_across_segments() {
    let arena = arena(3);
    let mut body = Body::new(arena);
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
    let mut body = Body::new(arena);
    assert_eq!(body.append(&[1; SEGMENT]), SEGMENT);
    assert_eq!(body.append(b"x"), 0);
    drop(body);
    assert_eq!(arena.free(), 1);
}

#[test]
fn a_body_that_fits_into_the_reserve_takes_room_where_it_is() {
    smol::block_on(async {
        let (usual, small_arena) = (arena(3), arena(2));
        let lent = || (usual.lent(), small_arena.lent());
        let mut bodies = [(); 4].map(|()| Body::with_small(usual, small_arena));
        let [first, second, third, fourth] = &mut bodies;
        let (large, small) = (3 * SEGMENT, 2 * SEGMENT);
        first.reserve(large, 0).await;
        assert!(poll_once(second.reserve(large, 0)).await.is_none(), "the small arena is too small for it");
        third.reserve(small, 0).await;
        assert_eq!(lent(), (3, 2));
        assert!(poll_once(fourth.reserve(small, 0)).await.is_none(), "neither has room");
        third.clear();
        fourth.reserve(small, 0).await;
        assert_eq!(lent(), (3, 2));
        first.clear();
        third.reserve(small, 0).await;
        assert_eq!(lent(), (2, 2));
        drop(bodies);
        assert_eq!(lent(), (0, 0));
    });
}

#[test]
fn a_body_that_grows_begins_in_the_reserve_where_nothing_else_is_free() {
    let (usual, small_arena) = (arena(2), arena(2));
    let mut bodies = [(); 3].map(|()| Body::with_small(usual, small_arena));
    let [first, second, third] = &mut bodies;
    let full = [1; SEGMENT];
    assert_eq!([first.append(&full), first.append(&full)], [SEGMENT; 2]);
    assert_eq!(first.append(b"x"), 0, "a body that began elsewhere gets nothing of the small arena");
    assert_eq!(second.append(&full), SEGMENT);
    first.clear();
    assert_eq!(second.append(&full), SEGMENT);
    assert_eq!((usual.lent(), small_arena.lent()), (0, 2));
    assert_eq!(second.append(b"x"), 0, "it stays in the small arena");
    assert_eq!(third.append(&full), SEGMENT);
    assert_eq!((usual.lent(), small_arena.lent()), (1, 2));
    second.clear();
    assert_eq!([second.append(&full), second.append(b"x")], [SEGMENT, 0], "it begins anew in the usual one");
    drop(bodies);
    assert_eq!((usual.lent(), small_arena.lent()), (0, 0));
}

#[test]
fn a_body_that_has_begun_grows_past_those_that_wait() {
    smol::block_on(async {
        let (usual, small_arena) = (arena(3), arena(1));
        let mut bodies = [(); 3].map(|()| Body::with_small(usual, small_arena));
        let [begun, waiting, new] = &mut bodies;
        let full = [1; SEGMENT];
        assert_eq!(begun.append(&full), SEGMENT);
        let mut large = Box::pin(waiting.reserve(3 * SEGMENT, 0));
        assert!(poll_once(&mut large).await.is_none());
        assert_eq!(begun.append(&full), SEGMENT);
        assert_eq!(new.append(&full), SEGMENT);
        assert_eq!((usual.lent(), small_arena.lent()), (2, 1), "a new one takes nothing from who waits");
    });
}

/// A connection: the sender's end and the receiver's.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (sender, listener.accept().unwrap().0)
}

/// Sends `bytes` and reads them ahead; returns the first part.
fn read_ahead(body: &mut Body, reactor: &'static Reactor, bytes: &[u8], remainder: usize) -> Vec<u8> {
    let (mut sender, receiver) = pair();
    sender.write_all(bytes).unwrap();
    // Once all have arrived, one read takes as much as there is room for.
    while receiver.peek(&mut vec![0; bytes.len()]).unwrap() < bytes.len() {}
    receiver.set_nonblocking(true).unwrap();
    let receiver = Socket::new(reactor, receiver).unwrap();
    let mut first = vec![0; 100];
    let n = body.read_ahead(&receiver, &mut first, remainder).unwrap();
    first.truncate(n);
    first
}

/// Takes out what was read ahead, as from a socket.
fn taken(body: &mut Body) -> Vec<u8> {
    let (mut all, mut space) = (Vec::new(), [0; 7000]);
    while body.has_ahead() {
        let n = body.take_ahead(&mut space);
        all.extend_from_slice(&space[..n]);
    }
    all
}

fn pattern(length: usize) -> Vec<u8> {
    (0..251).cycle().take(length).collect()
}

#[test]
fn a_body_that_was_read_ahead_stays_where_it_is() {
    let reactor = Reactor::new(Clock::start()).unwrap();
    let whole = async {
        let (usual, small_arena) = (arena(9), arena(8));
        let mut body = Body::with_small(usual, small_arena);
        // A head of 60 bytes, a body of two segments, and the beginning of what follows.
        let (bytes, length) = (pattern(60 + 2 * SEGMENT + 5), 2 * SEGMENT);
        assert_eq!(read_ahead(&mut body, reactor, &bytes, 1), bytes[..100]);
        assert_eq!(usual.lent(), 3, "what it did not use went back");
        body.reserve(length, 60).await;
        assert_eq!(body.claim(length), 0, "there is a gap before it");
        assert_eq!(body.append(&bytes[60..100]), 40);
        assert_eq!(body.claim(length - 40), length - 40);
        assert_eq!(content(&body, 0), bytes[60..60 + length]);
        assert_eq!(content(&body, SEGMENT - 60), bytes[SEGMENT..60 + length]);
        body.clear();
        assert_eq!((usual.lent(), small_arena.lent()), (2, 0), "the connection may have taken some of the one before");
        assert_eq!(taken(&mut body), bytes[60 + length..]);
        assert_eq!(usual.lent(), 0);
    };
    reactor.block_on(whole).unwrap();
}

#[test]
fn a_body_that_cannot_stay_is_taken_as_from_a_socket() {
    let reactor = Reactor::new(Clock::start()).unwrap();
    let whole = async {
        let usual = arena(9);
        let mut body = Body::new(usual);
        let bytes = pattern(3 * SEGMENT);
        assert_eq!(read_ahead(&mut body, reactor, &bytes, 1), bytes[..100]);
        // Less is stored than was taken, as with chunks, and in the same memory.
        assert_eq!(body.append(&bytes[60..100]), 40);
        let mut space = [0; 1000];
        let mut stored = bytes[60..100].to_vec();
        while body.has_ahead() {
            let n = body.take_ahead(&mut space);
            let mut piece = &space[..n - 1];
            stored.extend_from_slice(piece);
            while !piece.is_empty() {
                piece = &piece[body.append(piece)..];
            }
        }
        assert_eq!(content(&body, 0), stored);
        body.clear();
        assert_eq!(usual.lent(), 0);
    };
    reactor.block_on(whole).unwrap();
}

#[test]
fn bytes_read_ahead_move_where_there_is_room() {
    let reactor = Reactor::new(Clock::start()).unwrap();
    let whole = async {
        let (usual, small_arena) = (arena(4), arena(4));
        let [mut body, mut other] = [(); 2].map(|()| Body::with_small(usual, small_arena));
        let bytes = pattern(SEGMENT + 50);
        assert_eq!(read_ahead(&mut body, reactor, &bytes, 1), bytes[..100]);
        other.reserve(2 * SEGMENT, 0).await;
        assert_eq!((usual.lent(), small_arena.lent()), (4, 0));
        body.reserve(3 * SEGMENT, 60).await;
        assert_eq!((usual.lent(), small_arena.lent()), (2, 4), "the body begins behind its head");
        assert_eq!(body.append(&bytes[60..100]), 40);
        assert_eq!(body.claim(3 * SEGMENT), bytes.len() - 100);
        assert_eq!(content(&body, 0), bytes[60..]);
        drop((body, other));
        assert_eq!((usual.lent(), small_arena.lent()), (0, 0));
    };
    reactor.block_on(whole).unwrap();
}

#[test]
fn nothing_is_read_ahead_into_what_others_need() {
    let reactor = Reactor::new(Clock::start()).unwrap();
    let whole = async {
        let usual = arena(4);
        let mut body = Body::new(usual);
        let bytes = pattern(4 * SEGMENT);
        assert_eq!(read_ahead(&mut body, reactor, &bytes, 4), bytes[..100]);
        assert!(!body.has_ahead() && usual.lent() == 0);
        assert_eq!(read_ahead(&mut body, reactor, &bytes, 3), bytes[..100]);
        assert_eq!((body.ahead.len(), usual.lent()), (SEGMENT - 100, 1));
        let mut large = Body::new(usual);
        let mut waiting = Box::pin(large.reserve(4 * SEGMENT, 0));
        assert!(poll_once(&mut waiting).await.is_none());
        let mut next = Body::new(usual);
        assert_eq!(read_ahead(&mut next, reactor, &bytes, 0), bytes[..100]);
        assert!(!next.has_ahead(), "somebody waits");
    };
    reactor.block_on(whole).unwrap();
}

#[test]
fn a_socket_is_read_into_many_segments_and_what_comes_after_the_body_apart() {
    let (mut sender, receiver) = pair();
    let bytes: Vec<u8> = (0..253).cycle().take(SEGMENT * 2).collect();
    sender.write_all(&bytes).unwrap();
    sender.write_all(b"next request").unwrap();
    receiver.set_nonblocking(true).unwrap();
    let reactor = Reactor::new(Clock::start()).unwrap();
    let receiver = Socket::new(reactor, receiver).unwrap();

    reactor
        .block_on(async {
            let mut body = Body::new(arena(2));
            body.reserve(bytes.len() - 3, 0).await;
            // Stands in for the bytes that came with the head.
            assert_eq!(body.append(&bytes[..10]), 10);
            let (mut beyond, mut after) = ([0; 5], 0);
            while body.len < bytes.len() - 3 {
                let from = body.len;
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

#[test]
fn bytes_taken_out_find_room_after_another_body() {
    let reactor = Reactor::new(Clock::start()).unwrap();
    let whole = async {
        let usual = arena(9);
        let mut body = Body::new(usual);
        let bytes = pattern(3 * SEGMENT);
        read_ahead(&mut body, reactor, &bytes, 1);
        // A whole request, and as much of the next ones as a connection takes, up to the end of a segment.
        while body.ahead.start < SEGMENT {
            let most = INBOX_BYTES.min(SEGMENT - body.ahead.start);
            body.take_ahead(&mut [0; INBOX_BYTES][..most]);
        }
        body.clear();
        assert_eq!(body.append(&[7; INBOX_BYTES]), INBOX_BYTES);
        assert_eq!(taken(&mut body), bytes[SEGMENT..]);
        assert_eq!(content(&body, 0), [7; INBOX_BYTES]);
    };
    reactor.block_on(whole).unwrap();
}

#[test]
fn reserved_room_stays_when_nothing_is_ahead_any_more() {
    let reactor = Reactor::new(Clock::start()).unwrap();
    let whole = async {
        let usual = arena(9);
        let mut body = Body::new(usual);
        read_ahead(&mut body, reactor, &pattern(150), 1);
        body.clear();
        body.reserve(3 * SEGMENT, 60).await;
        assert_eq!(body.take_ahead(&mut [0; 100]), 50);
        assert_eq!(usual.lent(), 3);
        body.clear();
        assert_eq!(usual.lent(), 0);
    };
    reactor.block_on(whole).unwrap();
}

#[test]
fn no_room_is_not_the_end_of_a_sender() {
    let reactor = Reactor::new(Clock::start()).unwrap();
    let (mut sender, receiver) = pair();
    receiver.set_nonblocking(true).unwrap();
    let receiver = Socket::new(reactor, receiver).unwrap();
    sender.write_all(b"more").unwrap();
    let mut body = Body::new(arena(1));
    let error = body.read_from(&receiver, 10, &mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
