//! A stream that, for a fault, sends a response slowly or ends the connection within it, at an exact byte and in a
//! given way.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use smol::Timer;
use smol::future::FutureExt;
use smol::io::{AsyncRead, AsyncWrite};
use smol::net::TcpStream;

/// Time for the peer to read what was sent before a reset: a RST discards data still waiting at the receiver.
const BEFORE_RESET: Duration = Duration::from_millis(50);

/// How the connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// TCP RST.
    Reset,
    /// TCP FIN without a TLS `close_notify`.
    Abrupt,
    /// TLS `close_notify`, then FIN.
    Orderly,
}

/// Where a response is cut: at whichever of its two limits comes first.
#[derive(Debug, Clone)]
pub(crate) struct Cut {
    end: End,
    /// Bytes of the response that may still be sent.
    left: usize,
    /// Bytes after the response's head that may be sent.
    after_head: usize,
    /// How many bytes of the head's final CR LF CR LF were the last ones sent.
    closing: usize,
}

impl Cut {
    /// Lets `total` bytes pass, and at most `after_head` bytes after the head.
    pub(crate) fn new(end: End, total: usize, after_head: usize) -> Self {
        Cut { end, left: total, after_head, closing: 0 }
    }

    /// Advances over as many of `bytes` as may be sent, and returns their number.
    fn pass(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        for byte in bytes {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            passed += 1;
            self.look_for_end_of_head(*byte);
        }
        passed
    }

    fn look_for_end_of_head(&mut self, byte: u8) {
        const CLOSING: &[u8; 4] = b"\r\n\r\n";
        if self.closing == CLOSING.len() {
            return;
        }
        self.closing = match CLOSING.get(self.closing) {
            Some(expected) if *expected == byte => self.closing + 1,
            _ => usize::from(byte == b'\r'),
        };
        if self.closing == CLOSING.len() {
            self.left = self.left.min(self.after_head);
        }
    }
}

/// The request handler's control over the connection on which it responds.
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    cut: Arc<Mutex<Option<Cut>>>,
    /// The delay of each byte.
    pace: Arc<Mutex<Option<Duration>>>,
    socket: TcpStream,
}

impl Hold {
    pub(crate) fn new(socket: TcpStream) -> Self {
        Hold { cut: Arc::default(), pace: Arc::default(), socket }
    }

    /// Sends everything from now on byte by byte, each after this delay.
    pub(crate) fn slow(&self, pace: Duration) {
        *self.pace.lock() = Some(pace);
    }

    /// Cuts the response that is about to be sent.
    pub(crate) fn cut(&self, cut: Cut) {
        *self.cut.lock() = Some(cut);
    }

    /// Makes the next close of the connection a TCP RST.
    pub(crate) fn reset_on_close(&self) -> io::Result<()> {
        reset_on_close(&self.socket)
    }
}

/// Makes the next close of `socket` a TCP RST.
pub(crate) fn reset_on_close(socket: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO))?)
}

/// The plaintext side of a connection, cut if its [`Hold`] says so.
#[derive(Debug)]
pub(crate) struct CutStream<S> {
    inner: S,
    hold: Hold,
    waiting: Option<Timer>,
}

impl<S: AsyncWrite + Unpin> CutStream<S> {
    pub(crate) fn new(inner: S, hold: Hold) -> Self {
        CutStream { inner, hold, waiting: None }
    }

    fn reached(&self) -> Option<End> {
        self.hold.cut.lock().as_ref().filter(|cut| cut.left == 0).map(|cut| cut.end)
    }

    /// Ready once the next byte may be sent.
    fn poll_pace(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(pace) = *self.hold.pace.lock() else { return Poll::Ready(()) };
        ready!(self.waiting.get_or_insert_with(|| Timer::after(pace)).poll(context));
        Poll::Ready(())
    }

    /// Ends the connection; always yields an error, on which the HTTP server drops it.
    fn end(&mut self, end: End, context: &mut Context<'_>) -> Poll<io::Error> {
        if let Err(error) = ready!(Pin::new(&mut self.inner).poll_flush(context)) {
            return Poll::Ready(error);
        }
        match end {
            End::Abrupt => {}
            End::Orderly => ready!(Pin::new(&mut self.inner).poll_close(context)).unwrap_or_default(),
            End::Reset => {
                let timer = self.waiting.get_or_insert_with(|| Timer::after(BEFORE_RESET));
                ready!(timer.poll(context));
                self.hold.reset_on_close().unwrap_or_default();
            }
        }
        Poll::Ready(io::Error::other("cut by a fault"))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CutStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CutStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(end) = self.reached() {
            return self.end(end, context).map(Err);
        }
        ready!(self.poll_pace(context));
        let bytes = if self.hold.pace.lock().is_some() { bytes.get(..1).unwrap_or(bytes) } else { bytes };
        let allowed = self.hold.cut.lock().clone().map_or(bytes.len(), |mut cut| cut.pass(bytes));
        let written = ready!(Pin::new(&mut self.inner).poll_write(context, bytes.get(..allowed).unwrap_or(bytes)))?;
        self.waiting = None;
        if let Some(cut) = self.hold.cut.lock().as_mut() {
            cut.pass(bytes.get(..written).unwrap_or(bytes));
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(end) = self.reached() {
            return self.end(end, context).map(Err);
        }
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";

    fn passed(total: usize, after_head: usize, step: usize) -> usize {
        let mut cut = Cut::new(End::Reset, total, after_head);
        ANSWER.chunks(step).map(|piece| cut.pass(piece)).sum()
    }

    #[test]
    fn passes_exactly_what_it_may_however_the_answer_is_split() {
        let head = ANSWER.len() - 4;
        for step in 1..=ANSWER.len() {
            assert_eq!(passed(usize::MAX, 0, step), head);
            assert_eq!(passed(usize::MAX, 2, step), head + 2);
            assert_eq!(passed(usize::MAX, 4, step), ANSWER.len());
            assert_eq!(passed(5, 4, step), 5);
            assert_eq!(passed(0, 4, step), 0);
        }
    }
}
