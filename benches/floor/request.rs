//! One request in a buffer with room at its front, for a head that grows by one header.

use std::io;
use std::io::Read;

/// Room for the growth of the head.
const ROOM: usize = 8 * 1024;

/// Bytes of a request in memory at once; longer requests are sent in parts.
const PART: usize = 128 * 1024 + 8 * 1024;

/// The result of one receive.
pub(crate) enum Received {
    /// There is nothing to receive now.
    Nothing,
    /// A part to seal; `true` for the request's last.
    Part(bool),
    /// More must arrive before there is anything to seal.
    More,
}

/// A buffer and its contents.
pub(crate) struct Request {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the body still to arrive; `None` before the head is complete.
    left: Option<usize>,
}

impl Request {
    pub(crate) fn new() -> Self {
        Self { buffer: vec![0; ROOM + PART], start: ROOM, end: ROOM, left: None }
    }

    /// Resets it for the next request.
    pub(crate) const fn clear(&mut self) {
        self.forget_part();
        self.left = None;
    }

    /// The part was sealed.
    pub(crate) const fn forget_part(&mut self) {
        self.start = ROOM;
        self.end = ROOM;
    }

    /// The bytes to seal.
    pub(crate) fn part(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Receives once. `UnexpectedEof` means that the sender has closed.
    pub(crate) fn receive(&mut self, from: &mut impl Read, authorization: &[u8]) -> io::Result<Received> {
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        let n = match from.read(room) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Nothing),
            Err(error) => return Err(error),
        };
        self.end += n;
        match self.left {
            Some(left) => self.left = Some(less(left, n)?),
            None => self.read_head(authorization)?,
        }
        Ok(match self.left {
            Some(0) => Received::Part(true),
            Some(_) if self.end == self.buffer.len() => Received::Part(false),
            _ => Received::More,
        })
    }

    /// Rewrites the head in place as soon as it is complete.
    fn read_head(&mut self, authorization: &[u8]) -> io::Result<()> {
        let there = self.buffer.get(ROOM..self.end).unwrap_or_default();
        let Some((head, length, body)) = rewritten(there, authorization)? else { return Ok(()) };
        self.left = Some(less(length, there.len() - body)?);
        self.start = less(ROOM + body, head.len())?;
        if let Some(place) = self.buffer.get_mut(self.start..ROOM + body) {
            place.copy_from_slice(&head);
        }
        Ok(())
    }
}

fn less(whole: usize, part: usize) -> io::Result<usize> {
    whole.checked_sub(part).ok_or_else(|| io::Error::other("more bytes than the head says, or a head too long"))
}

/// The new head, the body's length and where the body begins; `None` while the head is incomplete. An Authorization
/// header of the sender is replaced.
fn rewritten(bytes: &[u8], authorization: &[u8]) -> io::Result<Option<(Vec<u8>, usize, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(body) = head.parse(bytes).map_err(unreadable)? else { return Ok(None) };
    let (Some(method), Some(path)) = (head.method, head.path) else { return Ok(None) };
    let mut made = Vec::with_capacity(body + authorization.len() + 32);
    made.extend_from_slice(format!("{method} {path} HTTP/1.1\r\n").as_bytes());
    let mut length = 0;
    for field in head.headers.iter().filter(|field| !field.name.eq_ignore_ascii_case("authorization")) {
        if field.name.eq_ignore_ascii_case("content-length") {
            let digits = str::from_utf8(field.value).map_err(io::Error::other)?;
            length = digits.parse().map_err(io::Error::other)?;
        }
        push(&mut made, field.name.as_bytes(), field.value);
    }
    push(&mut made, b"Authorization", authorization);
    made.extend_from_slice(b"\r\n");
    Ok(Some((made, length, body)))
}

fn push(head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    for part in [name, b": ", value, b"\r\n"] {
        head.extend_from_slice(part);
    }
}

fn unreadable(error: httparse::Error) -> io::Error {
    io::Error::other(error.to_string())
}
