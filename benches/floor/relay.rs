//! One sender's connection and its own upstream connection.

use std::io::{self, ErrorKind, Write as _};
use std::net::TcpStream;

use rustix::event::epoll::EventFlags;

use crate::request::{Received, Request};
use crate::upstream::{Sealed, Session};

/// Buffers that all connections use in turn, so that they stay in the processor's caches.
pub(crate) struct Shared {
    authorization: Vec<u8>,
    sealed: Sealed,
    answer: Vec<u8>,
    /// Buffers without a request; the one used last is the next one used.
    idle: Vec<Request>,
}

impl Shared {
    pub(crate) fn new(authorization: &str) -> Self {
        Self {
            authorization: authorization.as_bytes().to_vec(),
            sealed: Sealed::default(),
            answer: Vec::new(),
            idle: Vec::new(),
        }
    }
}

/// A sender's connection.
pub(crate) struct Relay {
    sender: TcpStream,
    pub(crate) upstream: Option<Session>,
    request: Option<Request>,
}

impl Relay {
    pub(crate) const fn new(sender: TcpStream) -> Self {
        Self { sender, upstream: None, request: None }
    }

    /// Receives from the sender and sends upstream, until one of the two would block.
    pub(crate) fn take_in(&mut self, shared: &mut Shared) -> io::Result<()> {
        let Some(upstream) = &mut self.upstream else { return Ok(()) };
        while upstream.has_sent_all() {
            let mut request = self.request.take().unwrap_or_else(|| shared.idle.pop().unwrap_or_else(Request::new));
            match request.receive(&mut self.sender, &shared.authorization)? {
                Received::More => self.request = Some(request),
                Received::Nothing => {
                    self.request = Some(request);
                    break;
                }
                Received::Part(last) => {
                    upstream.seal(request.part(), &mut shared.sealed)?;
                    upstream.send(&shared.sealed)?;
                    if last {
                        request.clear();
                        shared.idle.push(request);
                        break;
                    }
                    request.forget_part();
                    self.request = Some(request);
                }
            }
        }
        Ok(())
    }

    /// Upstream can take more, or has responded.
    pub(crate) fn upstream_event(&mut self, flags: EventFlags, shared: &mut Shared) -> io::Result<()> {
        let Some(upstream) = &mut self.upstream else { return Ok(()) };
        let waited = !upstream.has_sent_all();
        if flags.contains(EventFlags::OUT) {
            upstream.flush()?;
        }
        if flags.intersects(EventFlags::IN | EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR) {
            shared.answer.clear();
            upstream.receive(&mut shared.answer)?;
            self.answer(&shared.answer)?;
        }
        if waited { self.take_in(shared) } else { Ok(()) }
    }

    /// Passes on what was received. Responses are short, so a sender that does not take one at once is an error.
    fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match self.sender.write_all(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Err(io::Error::other("a sender takes no answer")),
            result => result,
        }
    }
}
