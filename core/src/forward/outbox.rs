//! Bytes to a sender: at most an interim `100 Continue` and one response.

use core::ops::Range;

use super::reply::Reply;
use crate::http::EncodeError;

/// RFC 9110 §10.1.1.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The buffer of one sender connection.
#[derive(Debug)]
pub(super) struct Outbox<'m> {
    buffer: &'m mut [u8],
    pending: Range<usize>,
    text: Range<usize>,
}

impl<'m> Outbox<'m> {
    pub(super) const fn new(buffer: &'m mut [u8]) -> Self {
        Self { buffer, pending: 0..0, text: 0..0 }
    }

    /// Returns the buffer.
    pub(super) fn into_buffer(self) -> &'m mut [u8] {
        self.buffer
    }

    pub(super) fn pending(&self) -> &[u8] {
        self.buffer.get(self.pending.clone()).unwrap_or_default()
    }

    #[inline]
    pub(super) fn pending_mut(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.pending.clone()).unwrap_or_default()
    }

    pub(super) fn drained(&mut self, n: usize) {
        self.pending.start = self.pending.start.saturating_add(n).min(self.pending.end);
    }

    /// Discards the pending bytes.
    pub(super) fn discard(&mut self) {
        self.pending = 0..0;
    }

    /// The body of the last response, even if it was for a HEAD request.
    pub(super) fn text(&self) -> &[u8] {
        self.buffer.get(self.text.clone()).unwrap_or_default()
    }

    pub(super) fn invite(&mut self) {
        if let Some(room) = self.buffer.get_mut(..CONTINUE.len()) {
            room.copy_from_slice(CONTINUE);
            self.pending = 0..CONTINUE.len();
        }
    }

    /// Appends a response to the pending bytes.
    pub(super) fn answer(&mut self, reply: &Reply<'_>, text: &[u8]) -> Result<(), EncodeError> {
        let (base, room) = self.room()?;
        let (start, end) = reply.encode(text, room)?;
        self.text = base.saturating_add(start)..base.saturating_add(end);
        self.pending.end = if reply.head_only { self.text.start } else { self.text.end };
        Ok(())
    }

    /// Appends the head of a response whose body of `length` bytes is sent separately.
    pub(super) fn announce(&mut self, reply: &Reply<'_>, length: usize) -> Result<(), EncodeError> {
        let (base, room) = self.room()?;
        let end = base.saturating_add(reply.encode_head(length, room)?);
        self.text = end..end;
        self.pending.end = end;
        Ok(())
    }

    /// The free space after the pending bytes, and its offset.
    fn room(&mut self) -> Result<(usize, &mut [u8]), EncodeError> {
        if self.pending.is_empty() {
            self.pending = 0..0;
        }
        let base = self.pending.end;
        Ok((base, self.buffer.get_mut(base..).ok_or(EncodeError::NoRoom)?))
    }
}
