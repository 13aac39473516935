//! Connections to the ingestion endpoint with their TLS sessions, and the list of idle ones.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, IoSlice};
use std::net::TcpStream;
use std::time::Duration;

use remora_core::time::Instant;

use crate::reactor::Socket;
use crate::tls::{Session, TlsError};

/// How long an idle connection is kept. Front ends of this kind close idle connections after two to four minutes.
const IDLE: Duration = Duration::from_secs(90);

/// Reads after which an idle connection counts as unusable: a peer that does not stop sending must not hold the thread.
const MOST_READS: usize = 8;

/// How long a connection is reused. The name's addresses may change, which an open connection does not notice.
pub(crate) const LIFE: Duration = Duration::from_secs(5 * 60);

/// Most idle connections kept by a thread: Prometheus' default maximum number of shards.
pub(crate) const MOST_IDLE: usize = 50;

/// Why reading or writing failed.
#[derive(Debug)]
pub(crate) enum LinkError {
    Io(io::Error),
    Tls(TlsError),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

/// The result of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// There was nothing to read.
    Blocked,
    /// Bytes arrived; those decrypted went to the sink.
    Some,
    /// The peer will send no more.
    End,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) stream: Socket<TcpStream>,
    session: Session,
    /// When it was opened.
    since: Instant,
    /// Writing failed: nothing more is sent, but what the peer sent before is still read.
    unwritable: bool,
    /// The peer sent data that no request asked for.
    unsolicited: bool,
}

impl Upstream {
    pub(crate) const fn new(now: Instant, stream: Socket<TcpStream>, session: Session) -> Self {
        Self { stream, session, since: now, unwritable: false, unsolicited: false }
    }

    pub(crate) async fn handshake(&mut self) -> Result<(), LinkError> {
        loop {
            let turned = self.session.turn(&mut |_| self.unsolicited = true);
            let mut flushed = self.flush();
            while let Ok(true) = flushed {
                self.stream.writable().await;
                flushed = self.flush();
            }
            // A TLS error says more than a failure to send its alert.
            turned.map_err(LinkError::Tls)?;
            flushed.map_err(LinkError::Io)?;
            if self.unsolicited {
                return Err(LinkError::Io(io::Error::other("it sent data before any request")));
            }
            if self.session.is_established() {
                return Ok(());
            }
            match self.fill() {
                Ok(Read::Blocked) => self.stream.readable().await,
                Ok(Read::Some) => {}
                Ok(Read::End) => return Err(LinkError::Io(io::ErrorKind::UnexpectedEof.into())),
                Err(error) => return Err(LinkError::Io(error)),
            }
        }
    }

    /// Reads once and hands decrypted bytes to `sink`, which returns false if they are unsolicited.
    pub(crate) fn try_read(&mut self, sink: &mut dyn FnMut(&[u8]) -> bool) -> Result<Read, LinkError> {
        let read = self.fill().map_err(LinkError::Io)?;
        if read == Read::Some {
            let turned = self.session.turn(&mut |bytes| self.unsolicited |= !sink(bytes));
            // An alert or a key update that does not fit now is sent by a later flush.
            let _ = self.flush();
            turned.map_err(LinkError::Tls)?;
        }
        Ok(if self.session.is_peer_closed() { Read::End } else { read })
    }

    /// Sends pending records; true if any are left.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        while self.session.has_outgoing() {
            if !self.stream.is_writable() {
                return Ok(true);
            }
            match self.session.write_to(&mut &self.stream) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.unwritable = true;
                    return Err(error);
                }
            }
        }
        Ok(false)
    }

    /// Whether there is nothing to [`Upstream::flush`]; always true once writing has failed.
    pub(crate) fn is_flushed(&self) -> bool {
        self.unwritable || !self.session.has_outgoing()
    }

    /// Encrypts `pieces` as one stream and sends what the socket takes, usually with one write. There must be nothing
    /// left to [`Upstream::flush`].
    pub(crate) fn send(&mut self, pieces: &[IoSlice<'_>]) -> Result<(), LinkError> {
        self.session.seal(pieces).map_err(LinkError::Tls)?;
        self.flush().map_err(LinkError::Io)?;
        Ok(())
    }

    /// Whether everything handed over has been passed to the kernel.
    pub(crate) fn is_clear(&self) -> bool {
        !self.unwritable && !self.session.has_outgoing()
    }

    /// Whether it can carry another request: everything was sent, and nothing came unasked.
    pub(crate) fn is_reusable(&self) -> bool {
        self.is_clear() && !self.unsolicited
    }

    /// Whether it should carry no new request.
    pub(crate) fn is_worn(&self, now: Instant) -> bool {
        self.session.is_worn() || now.since(self.since) >= LIFE
    }

    /// See [`Session::wear_out`].
    #[cfg(test)]
    pub(crate) const fn wear_out(&mut self) {
        self.session.wear_out();
    }

    /// Closes the connection, with a `close_notify` alert if the socket takes it at once.
    pub(crate) fn close(mut self) {
        self.session.close();
        let _ = self.flush();
    }

    /// Whether an idle connection can still be used, found out in at most [`MOST_READS`] reads. TLS messages such as
    /// session tickets may have arrived meanwhile; any data is unsolicited.
    fn is_alive(&mut self) -> bool {
        for _ in 0..MOST_READS {
            match self.try_read(&mut |_| false) {
                Ok(Read::Blocked) => return self.is_reusable(),
                Ok(Read::Some) if !self.unsolicited => {}
                _ => return false,
            }
        }
        false
    }

    fn fill(&mut self) -> io::Result<Read> {
        if !self.stream.is_readable() {
            return Ok(Read::Blocked);
        }
        match self.session.read_from(&mut &self.stream) {
            Ok(0) => Ok(Read::End),
            Ok(_) => Ok(Read::Some),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(Read::Blocked)
            }
            Err(error) => Err(error),
        }
    }
}

/// Idle connections, the most recently used last.
#[derive(Debug, Default)]
pub(crate) struct Idle {
    /// Each with the time at which it is closed, the earliest first.
    connections: RefCell<Vec<(Box<Upstream>, Instant)>>,
    /// A task calls [`Idle::sweep`] when due.
    swept: Cell<bool>,
}

impl Idle {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.connections.borrow().len()
    }

    /// The most recently used one that is still usable; closes those found unusable.
    pub(crate) fn take(&self, now: Instant) -> Option<Box<Upstream>> {
        loop {
            let (mut upstream, _) = self.connections.borrow_mut().pop()?;
            if !upstream.is_worn(now) && upstream.is_alive() {
                return Some(upstream);
            }
            upstream.close();
        }
    }

    /// Keeps one, up to [`MOST_IDLE`]; if true, the caller must call [`Idle::sweep`] until it returns `None`.
    pub(crate) fn keep(&self, now: Instant, upstream: Box<Upstream>) -> bool {
        let mut idle = self.connections.borrow_mut();
        if idle.len() >= MOST_IDLE {
            drop(idle);
            upstream.close();
            return false;
        }
        idle.push((upstream, now.saturating_add(IDLE)));
        !self.swept.replace(true)
    }

    /// Closes them all.
    pub(crate) fn close_all(&self) {
        for (upstream, _) in self.connections.take() {
            upstream.close();
        }
    }

    /// Closes those whose time is up; returns when to call it again, if any are left.
    pub(crate) fn sweep(&self, now: Instant) -> Option<Instant> {
        let mut idle = self.connections.borrow_mut();
        let over = idle.iter().take_while(|(_, end)| *end <= now).count();
        let ended: Vec<_> = idle.drain(..over).collect();
        let next = idle.first().map(|(_, end)| *end);
        self.swept.set(next.is_some());
        drop(idle);
        for (upstream, _) in ended {
            upstream.close();
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::clock::Clock;
    use crate::reactor::Reactor;
    use crate::tls;
    use crate::trust::Roots;

    const fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    /// Connections without a handshake.
    fn connections() -> impl Iterator<Item = Box<Upstream>> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let reactor = Reactor::new(Clock::start()).unwrap();
        let client = tls::Client::new(&Roots::BuiltIn).unwrap();
        std::iter::repeat_with(move || {
            let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            stream.set_nonblocking(true).unwrap();
            let stream = Socket::new(reactor, stream).unwrap();
            Box::new(Upstream::new(Instant::ZERO, stream, client.open("localhost").unwrap()))
        })
    }

    #[test]
    fn idle_connections_are_kept_up_to_a_number() {
        let idle = Idle::default();
        let to_be_swept = connections().take(MOST_IDLE + 1).map(|upstream| idle.keep(at(0), upstream));
        assert_eq!(to_be_swept.filter(|first| *first).count(), 1, "one task sweeps");
        assert_eq!(idle.len(), MOST_IDLE);
    }

    #[test]
    fn idle_connections_are_closed_when_their_time_is_up() {
        let (idle, mut connections) = (Idle::default(), connections());
        assert!(idle.keep(at(0), connections.next().unwrap()));
        assert!(!idle.keep(at(10), connections.next().unwrap()));
        let (first, second) = (at(0).saturating_add(IDLE), at(10).saturating_add(IDLE));
        assert_eq!((idle.sweep(at(10)), idle.len()), (Some(first), 2));
        assert_eq!((idle.sweep(first), idle.len()), (Some(second), 1));
        assert_eq!((idle.sweep(second), idle.len()), (None, 0));
        assert!(idle.keep(second, connections.next().unwrap()), "the task has ended");
    }
}
