//! A socket watched by a reactor, with its known readiness.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use super::{Reactor, Side, Source};

/// A non-blocking socket. An operation is worth a system call only while [`Socket::is_readable`] or
/// [`Socket::is_writable`] says so; the operations keep that up to date.
#[derive(Debug)]
pub(crate) struct Socket<S: AsFd> {
    inner: S,
    key: usize,
    reactor: &'static Reactor,
}

impl<S: AsFd> Socket<S> {
    /// Has `reactor` watch a non-blocking socket.
    pub(crate) fn new(reactor: &'static Reactor, socket: S) -> io::Result<Self> {
        let key = reactor.watch(&socket)?;
        Ok(Self { inner: socket, key, reactor })
    }

    pub(crate) const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Whether reading may yield bytes, or the end.
    pub(crate) fn is_readable(&self) -> bool {
        self.source(|source| source.reading.ready)
    }

    /// Whether there may be room for writing.
    pub(crate) fn is_writable(&self) -> bool {
        self.source(|source| source.writing.ready)
    }

    /// Whether the peer has ended its stream, although there may be bytes before the end that are not read yet.
    pub(crate) fn has_ended(&self) -> bool {
        self.source(|source| source.reading.ended)
    }

    /// To be called when reading, or accepting, has found nothing more.
    pub(crate) fn drained(&self) {
        // After the last bytes, an end still waits to be read.
        self.source(|source| source.reading.exhausted());
    }

    /// Ready when reading is worth trying.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(|source| &mut source.reading, cx)
    }

    /// Ready when writing is worth trying.
    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(|source| &mut source.writing, cx)
    }

    /// Only one task may wait for a socket, for one side or both.
    fn poll(&self, side: fn(&mut Source) -> &mut Side, cx: &mut Context<'_>) -> Poll<()> {
        let ready = self.source(|source| {
            let side = side(source);
            let ready = side.ready;
            side.awaited = !ready;
            if !ready && !source.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                source.waker = Some(cx.waker().clone());
            }
            ready
        });
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Completes once the peer has ended its stream; bytes sent before may still be unread. Nothing else may wait for
    /// this socket meanwhile.
    pub(crate) async fn ended(&self) {
        poll_fn(|cx| {
            let ended = self.source(|source| {
                source.end_awaited = !source.reading.ended;
                if source.end_awaited {
                    source.waker = Some(cx.waker().clone());
                }
                source.reading.ended
            });
            if ended { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    pub(crate) async fn readable(&self) {
        poll_fn(|cx| self.poll_readable(cx)).await;
    }

    pub(crate) async fn writable(&self) {
        poll_fn(|cx| self.poll_writable(cx)).await;
    }

    fn source<T: Default>(&self, look: impl FnOnce(&mut Source) -> T) -> T {
        self.reactor.sources.borrow_mut().get_mut(self.key).map(look).unwrap_or_default()
    }
}

impl Socket<TcpStream> {
    /// Reads once; `WouldBlock` when nothing is there.
    pub(crate) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.note_read(into.len(), (&self.inner).read(into))
    }

    /// Reads once into several buffers of `room` bytes in all.
    pub(crate) fn read_vectored(&self, into: &mut [IoSliceMut<'_>], room: usize) -> io::Result<usize> {
        self.note_read(room, (&self.inner).read_vectored(into))
    }

    /// Writes once; `WouldBlock` when there is no room.
    pub(crate) fn write(&self, from: &[u8]) -> io::Result<usize> {
        self.note_written(from.len(), (&self.inner).write(from))
    }

    fn note_written(&self, offered: usize, written: io::Result<usize>) -> io::Result<usize> {
        if is_short(offered, &written) {
            self.source(|source| source.writing.exhausted());
        }
        written
    }

    fn note_read(&self, room: usize, read: io::Result<usize>) -> io::Result<usize> {
        if is_short(room, &read) {
            self.drained();
        }
        read
    }
}

/// For protocols, such as TLS, that read and write by themselves.
impl Read for &Socket<TcpStream> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Socket::read(self, into)
    }
}

impl Write for &Socket<TcpStream> {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        Socket::write(self, from)
    }

    fn write_vectored(&mut self, from: &[IoSlice<'_>]) -> io::Result<usize> {
        self.note_written(from.iter().map(|slice| slice.len()).sum(), (&self.inner).write_vectored(from))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether an operation showed that the next one would block. For streams, a short one shows it (epoll(7)).
fn is_short(wanted: usize, done: &io::Result<usize>) -> bool {
    match done {
        Ok(n) => *n < wanted,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

impl<S: AsFd> Drop for Socket<S> {
    fn drop(&mut self) {
        self.reactor.forget(&self.inner, self.key);
    }
}
