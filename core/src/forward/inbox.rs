//! Bytes from a sender: the head stays where it was read, body bytes are lent piece by piece to be stored.

use core::ops::Range;

use super::buffer::move_down;
use crate::http::{BodyDecoder, BodyError, Framing, HeadError, HeadScan, Piece};

/// Bytes read at first for a head. Real heads are shorter, so a connection touches one page of its buffer.
const USUAL_HEAD: usize = 2048;

/// Bytes of the buffer that a head must leave for chunks, which are decoded behind it.
const CHUNK_ROOM: usize = 512;

/// The buffer of one sender connection.
#[derive(Debug)]
pub(super) struct Inbox<'m> {
    buffer: &'m mut [u8],
    filled: usize,
    head: usize,
    /// The end of a head is being searched for.
    seeking: bool,
    /// Start of the body bytes that the decoder has not seen.
    cursor: usize,
    scan: HeadScan,
    decoder: BodyDecoder,
    piece: Range<usize>,
    complete: bool,
}

impl<'m> Inbox<'m> {
    pub(super) fn new(buffer: &'m mut [u8]) -> Self {
        Self {
            buffer,
            filled: 0,
            head: 0,
            seeking: true,
            cursor: 0,
            scan: HeadScan::default(),
            decoder: BodyDecoder::new(Framing::Empty),
            piece: 0..0,
            complete: false,
        }
    }

    /// Gives up the buffer while it is empty.
    pub(super) fn lend(&mut self) -> &'m mut [u8] {
        core::mem::take(&mut self.buffer)
    }

    /// Whether there is no buffer.
    pub(super) const fn is_lent(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Supplies a new buffer.
    pub(super) fn resume(&mut self, buffer: &'m mut [u8]) {
        self.buffer = buffer;
    }

    /// Returns the buffer.
    pub(super) fn into_buffer(self) -> &'m mut [u8] {
        self.buffer
    }

    /// Where the next bytes go. Until a head is complete, first the usual length of one, then the rest of the buffer.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let usual = self.seeking && self.filled < USUAL_HEAD;
        let end = if usual { USUAL_HEAD.min(self.buffer.len()) } else { self.buffer.len() };
        self.buffer.get_mut(self.filled..end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn filled(&mut self, n: usize) {
        self.filled = self.filled.saturating_add(n).min(self.buffer.len());
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Looks for the end of the head; true when the head is complete.
    pub(super) fn scan(&mut self) -> Result<bool, HeadError> {
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        let longest = self.longest_head();
        match self.scan.scan(bytes)? {
            Some(length) if length <= longest => {
                self.end_head(length);
                Ok(true)
            }
            None if self.filled < longest => Ok(false),
            _ => Err(HeadError::TooLarge),
        }
    }

    /// Longest head that is accepted, in bytes.
    #[inline]
    pub(super) const fn longest_head(&self) -> usize {
        self.buffer.len().saturating_sub(CHUNK_ROOM)
    }

    /// The head is `length` bytes long.
    #[inline]
    pub(super) const fn end_head(&mut self, length: usize) {
        self.head = length;
        self.cursor = length;
        self.seeking = false;
    }

    /// Everything that has arrived.
    #[inline]
    pub(super) fn arrived(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    /// The head, once it is complete.
    pub(super) fn head(&self) -> &[u8] {
        self.buffer.get(..self.head).unwrap_or_default()
    }

    /// Begins a body after the head.
    pub(super) fn begin_body(&mut self, framing: Framing) {
        self.decoder = BodyDecoder::new(framing);
        self.piece = 0..0;
        self.complete = false;
    }

    /// Where the next request would begin is unknown: all further bytes count as body.
    pub(super) fn abandon(&mut self) {
        self.begin_body(Framing::UntilClose);
    }

    /// Whether the body has ended.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Body bytes that wait to be stored.
    pub(super) fn piece(&self) -> &[u8] {
        self.buffer.get(self.piece.clone()).unwrap_or_default()
    }

    /// Records that the first `n` bytes of the piece are stored.
    pub(super) fn taken(&mut self, n: usize) {
        self.piece.start = self.piece.start.saturating_add(n).min(self.piece.end);
    }

    /// Continues decoding unless a piece is waiting. Afterwards the body may be complete or a piece may be waiting.
    pub(super) fn pump(&mut self) -> Result<(), BodyError> {
        while self.piece.is_empty() && !self.complete {
            let input = self.buffer.get(self.cursor..self.filled).unwrap_or_default();
            let (used, piece) = self.decoder.next(input)?;
            self.cursor = self.cursor.saturating_add(used).min(self.filled);
            match piece {
                Piece::Data(data) => self.piece = self.cursor.saturating_sub(data.len())..self.cursor,
                Piece::End => self.complete = true,
                Piece::NeedMore => {
                    self.filled = self.head;
                    self.cursor = self.head;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Bytes that may be read from the sender straight into the store, bypassing this buffer; 0 unless the body's
    /// length is known.
    pub(super) fn room(&self) -> usize {
        let direct = self.piece.is_empty() && self.cursor == self.filled;
        let left = self.decoder.remaining().filter(|_| direct).unwrap_or(0);
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Records `n` body bytes that bypassed this buffer.
    pub(super) fn advance(&mut self, n: usize) -> Result<(), BodyError> {
        self.decoder.advance(n)?;
        self.pump()
    }

    /// Skips the body bytes in the buffer; true when the body is complete.
    pub(super) fn skip(&mut self) -> Result<bool, BodyError> {
        loop {
            self.piece.start = self.piece.end;
            self.pump()?;
            if self.piece.is_empty() {
                return Ok(self.complete);
            }
        }
    }

    /// Discards everything in the buffer.
    pub(super) fn discard(&mut self) {
        self.filled = 0;
        self.head = 0;
        self.cursor = 0;
    }

    /// Begins the next request with the bytes that follow the last one.
    pub(super) fn restart(&mut self) {
        let length = self.filled.saturating_sub(self.cursor);
        move_down(self.buffer, self.cursor, length, 0);
        self.discard();
        self.filled = length;
        self.scan = HeadScan::default();
        self.seeking = true;
    }
}
