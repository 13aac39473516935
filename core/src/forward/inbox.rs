//! Bytes from a sender: the head stays where it came in, body bytes are lent piece by piece to whoever stores them.

use core::ops::Range;

use super::buffer::move_down;
use crate::http::{BodyDecoder, BodyError, Framing, HeadError, HeadScan, Piece};

/// Real heads are shorter than this, so that a connection touches one page of its buffer.
const USUAL_HEAD: usize = 2048;

/// Room that a head must leave for chunks.
const CHUNK_ROOM: usize = 512;

/// The buffer of one sender connection.
#[derive(Debug)]
pub(super) struct Inbox<'m> {
    buffer: &'m mut [u8],
    filled: usize,
    head: usize,
    /// A head is being looked for.
    seeking: bool,
    /// Where the body bytes begin that the decoder has not seen.
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

    /// Gives the buffer away while nothing is in it.
    pub(super) fn lend(&mut self) -> &'m mut [u8] {
        core::mem::take(&mut self.buffer)
    }

    /// Whether there is no buffer.
    pub(super) const fn is_lent(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next buffer.
    pub(super) fn resume(&mut self, buffer: &'m mut [u8]) {
        self.buffer = buffer;
    }

    /// Gives the buffer back.
    pub(super) fn into_buffer(self) -> &'m mut [u8] {
        self.buffer
    }

    /// Where the next bytes go. Until a head is whole, first the usual length of one, then the rest.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let usual = self.seeking && self.filled < USUAL_HEAD;
        let end = if usual { USUAL_HEAD.min(self.buffer.len()) } else { self.buffer.len() };
        self.buffer.get_mut(self.filled..end).unwrap_or_default()
    }

    pub(super) fn filled(&mut self, n: usize) {
        self.filled = self.filled.saturating_add(n).min(self.buffer.len());
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Looks for the end of the head; true when the head is whole.
    pub(super) fn scan(&mut self) -> Result<bool, HeadError> {
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        let longest = self.buffer.len().saturating_sub(CHUNK_ROOM);
        match self.scan.scan(bytes)? {
            Some(length) if length <= longest => {
                self.head = length;
                self.cursor = length;
                self.seeking = false;
                Ok(true)
            }
            None if self.filled < longest => Ok(false),
            _ => Err(HeadError::TooLarge),
        }
    }

    /// The head, once it is whole.
    pub(super) fn head(&self) -> &[u8] {
        self.buffer.get(..self.head).unwrap_or_default()
    }

    /// Begins a body behind the head.
    pub(super) fn begin_body(&mut self, framing: Framing) {
        self.decoder = BodyDecoder::new(framing);
        self.piece = 0..0;
        self.complete = false;
    }

    /// Nobody knows where the next request would begin: all that comes counts as body.
    pub(super) fn abandon(&mut self) {
        self.begin_body(Framing::UntilClose);
    }

    /// Whether the body has come to its end.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Body bytes that wait to be stored.
    pub(super) fn piece(&self) -> &[u8] {
        self.buffer.get(self.piece.clone()).unwrap_or_default()
    }

    /// Takes note that the first `n` bytes of the piece are stored.
    pub(super) fn taken(&mut self, n: usize) {
        self.piece.start = self.piece.start.saturating_add(n).min(self.piece.end);
    }

    /// Decodes on, unless a piece waits. The body may be complete or a piece may wait afterwards.
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

    /// Bytes that may be read from the sender straight into the store, past this buffer; only with a body of known
    /// length.
    pub(super) fn room(&self) -> usize {
        let direct = self.piece.is_empty() && self.cursor == self.filled;
        let left = self.decoder.remaining().filter(|_| direct).unwrap_or(0);
        usize::try_from(left).unwrap_or(usize::MAX)
    }

    /// Takes note of `n` body bytes that were read past this buffer.
    pub(super) fn advance(&mut self, n: usize) -> Result<(), BodyError> {
        self.decoder.advance(n)?;
        self.pump()
    }

    /// Passes over the body bytes that are here; true when that was all of the body.
    pub(super) fn skip(&mut self) -> Result<bool, BodyError> {
        loop {
            self.piece.start = self.piece.end;
            self.pump()?;
            if self.piece.is_empty() {
                return Ok(self.complete);
            }
        }
    }

    /// Forgets everything that is here.
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
