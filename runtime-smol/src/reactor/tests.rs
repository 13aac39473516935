use super::*;
use std::io::{IoSlice, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use smol::future;

fn reactor() -> &'static Reactor {
    Reactor::new(Clock::start()).unwrap()
}

/// Two ends of a connection; the first is watched.
fn pair(reactor: &'static Reactor) -> (Socket<TcpStream>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    (Socket::new(reactor, socket).unwrap(), peer)
}

fn after(reactor: &'static Reactor, wait: Duration) -> Alarmed {
    Alarmed { alarm: Alarm::new(reactor), at: reactor.clock.now().saturating_add(wait) }
}

struct Alarmed {
    alarm: Alarm,
    at: Instant,
}

impl Future for Alarmed {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at = self.at;
        self.alarm.poll(at, cx)
    }
}

#[test]
fn a_socket_wakes_who_waits_for_it_and_remembers_what_it_found() {
    let reactor = reactor();
    let (socket, mut peer) = pair(reactor);
    let mut room = [0; 16];
    // The readiness of a new socket is unknown until the first try.
    assert!(socket.is_readable());
    assert_eq!(socket.read(&mut room).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(!socket.is_readable());
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        peer.write_all(b"hello").unwrap();
        peer
    });
    reactor.block_on(socket.readable()).unwrap();
    assert_eq!(socket.read(&mut room).unwrap(), 5);
    assert!(!socket.is_readable(), "a short read is the last");
    drop(writer.join().unwrap());
}

#[test]
fn an_end_behind_the_last_bytes_is_not_forgotten() {
    let reactor = reactor();
    let (socket, mut peer) = pair(reactor);
    peer.write_all(b"last").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let mut room = [0; 16];
    let seen = reactor.block_on(async {
        let mut seen = Vec::new();
        loop {
            socket.readable().await;
            match socket.read(&mut room) {
                Ok(n) => seen.push(n),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            if seen.last() == Some(&0) {
                return seen;
            }
        }
    });
    assert_eq!(seen.unwrap(), [4, 0]);
}

#[test]
fn a_short_write_of_several_pieces_fills_the_socket() {
    let (socket, _peer) = pair(reactor());
    let block = vec![7; 1 << 20];
    let pieces = [IoSlice::new(&block), IoSlice::new(&block)];
    let mut tries = 0;
    while socket.is_writable() && tries < 100 {
        let _ = (&socket).write_vectored(&pieces);
        tries += 1;
    }
    assert!(!socket.is_writable());
}

#[test]
fn a_full_socket_is_writable_again_once_it_was_read_and_only_then() {
    let reactor = reactor();
    let (socket, mut peer) = pair(reactor);
    let block = vec![7; 1 << 20];
    let mut sent = 0;
    while socket.is_writable() {
        sent += socket.write(&block).unwrap_or(0);
    }
    // The peer's half-close says nothing about writing.
    peer.shutdown(Shutdown::Write).unwrap();
    let early = future::or(
        async {
            socket.writable().await;
            true
        },
        async {
            after(reactor, Duration::from_millis(50)).await;
            false
        },
    );
    assert!(!reactor.block_on(early).unwrap());
    let reader = std::thread::spawn(move || peer.read_exact(&mut vec![0; sent]));
    reactor.block_on(socket.writable()).unwrap();
    reader.join().unwrap().unwrap();
}

#[test]
fn alarms_ring_in_their_order_and_never_early() {
    let reactor = reactor();
    let start = reactor.clock.now();
    let (first, second) = (after(reactor, Duration::from_millis(20)), after(reactor, Duration::from_millis(40)));
    reactor.block_on(second).unwrap();
    assert!(reactor.clock.now().since(start) >= Duration::from_millis(40));
    reactor.block_on(first).unwrap();
}

#[test]
fn an_alarm_that_is_moved_rings_at_its_new_time() {
    let reactor = reactor();
    let start = reactor.clock.now();
    let mut alarmed = after(reactor, Duration::from_secs(3600));
    assert!(reactor.block_on(future::poll_once(&mut alarmed)).unwrap().is_none());
    alarmed.at = start.saturating_add(Duration::from_millis(30));
    reactor.block_on(&mut alarmed).unwrap();
    assert!(reactor.clock.now().since(start) >= Duration::from_millis(30));
}

#[test]
fn another_thread_wakes_a_sleeping_one() {
    let reactor = reactor();
    let (send, receive) = smol::channel::bounded(1);
    let sender = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        send.send_blocking(7).unwrap();
    });
    assert_eq!(reactor.block_on(receive.recv()).unwrap(), Ok(7));
    sender.join().unwrap();
}

#[test]
fn a_task_that_never_pauses_keeps_nobody_from_being_woken() {
    let reactor = reactor();
    let (socket, mut peer) = pair(reactor);
    let _ = socket.read(&mut [0; 1]);
    peer.write_all(b"x").unwrap();
    let busy = async {
        loop {
            future::yield_now().await;
        }
    };
    reactor.block_on(future::or(busy, socket.readable())).unwrap();
}

#[test]
fn an_event_of_a_socket_that_is_gone_is_not_its_successors() {
    let mut sources = Slab::new();
    let key = sources.insert(Source { generation: 2, ..Source::default() });
    let event = |generation| Event { flags: EventFlags::IN, data: EventData::new_u64(data(key, generation)) };
    happened(&mut sources, event(1));
    assert!(!sources[key].reading.ready);
    happened(&mut sources, event(2));
    assert!(sources[key].reading.ready);
}

#[test]
fn dropped_sockets_leave_nothing_behind() {
    let reactor = reactor();
    let (socket, _peer) = pair(reactor);
    let alarm = Alarm::new(reactor);
    assert_eq!(reactor.sources.borrow().len(), 1);
    drop((socket, alarm));
    assert!(reactor.sources.borrow().is_empty());
    assert_eq!(reactor.alarms.borrow().next(), Instant::NEVER);
}

/// A thread that was held up sees everything that arrived meanwhile before it sees that a deadline has passed.
#[test]
fn a_deadline_counts_after_all_that_came_before() {
    let reactor = reactor();
    let mut pairs: Vec<_> = (0..3 * EVENTS).map(|_| pair(reactor)).collect();
    let alarm = after(reactor, Duration::ZERO);
    for (socket, peer) in &mut pairs {
        assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        peer.write_all(b"x").unwrap();
    }
    reactor.block_on(alarm).unwrap();
    assert_eq!(pairs.iter().filter(|(socket, _)| socket.is_readable()).count(), pairs.len());
}
