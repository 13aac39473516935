//! Takes a body out of its framing, run by run, without copying.

use core::fmt;

use super::Framing;
use super::chunks::Chunks;

/// What [`BodyDecoder::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'i> {
    /// A run of body bytes, never empty, lent from the input.
    Data(&'i [u8]),
    /// All of the input was consumed and the body continues.
    NeedMore,
    /// The body has ended. Input that was not consumed belongs to the next message.
    End,
}

/// Why a body is refused. The connection is closed after the response: where the body ends is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError {
    /// A chunk-size line without a digit. Some parsers take it for the last chunk.
    MissingSize,
    /// A byte that is invalid in or after a chunk's size.
    BadSize,
    /// More than 16 hexadecimal digits in a chunk's size.
    SizeOverflow,
    /// A chunk extension without a name, or with a control character.
    BadExtension,
    /// More than [`MAX_EXTENSION_BYTES`](super::MAX_EXTENSION_BYTES) of chunk extensions in one body.
    ExtensionTooLong,
    /// Chunk data that is not followed by CRLF.
    MissingChunkEnd,
    /// A trailer line that is not a field line.
    BadTrailer,
    /// More than [`MAX_TRAILER_BYTES`](super::MAX_TRAILER_BYTES) of trailer section.
    TrailerTooLong,
    /// A framing line that ends in LF alone.
    BareLineFeed,
    /// A CR not followed by LF, outside of chunk data.
    BareCarriageReturn,
    /// The peer closed before the body's end.
    Truncated,
    /// The caller reports more bytes than the body has left.
    Excess,
}

/// Decodes one body. Give it what has arrived, drop what it consumed, and continue until [`Piece::End`].
///
/// Errors are final: every later call returns the same error.
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Ended,
    Failed(BodyError),
}

impl BodyDecoder {
    /// A decoder at the first byte after the head.
    pub const fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Empty | Framing::Length(0) => State::Ended,
            Framing::Length(bytes) => State::Length(bytes),
            Framing::Chunked => State::Chunked(Chunks::new()),
            Framing::UntilClose => State::UntilClose,
        };
        Self { state }
    }

    /// Takes the next piece from the front of `input`; the number is how many bytes of `input` it consumes, including
    /// those lent in [`Piece::Data`]. After the end nothing more is consumed.
    pub fn next<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Piece<'i>), BodyError> {
        let step = match &mut self.state {
            State::Length(left) => Ok(take(left, input)),
            State::Chunked(chunks) => chunks.next(input),
            State::UntilClose if input.is_empty() => Ok((0, Piece::NeedMore)),
            State::UntilClose => Ok((input.len(), Piece::Data(input))),
            State::Ended => Ok((0, Piece::End)),
            State::Failed(error) => Err(*error),
        };
        match step {
            Ok((_, Piece::End)) => self.state = State::Ended,
            Err(error) => self.state = State::Failed(error),
            Ok(_) if matches!(self.state, State::Length(0)) => self.state = State::Ended,
            Ok(_) => {}
        }
        step
    }

    /// The peer has closed its side. `Ok` when the body is complete or ends by closing; [`BodyError::Truncated`]
    /// otherwise.
    pub fn end_of_input(&mut self) -> Result<(), BodyError> {
        match self.state {
            State::UntilClose | State::Ended => {
                self.state = State::Ended;
                Ok(())
            }
            State::Failed(error) => Err(error),
            State::Length(_) | State::Chunked(_) => self.fail(BodyError::Truncated),
        }
    }

    /// Body bytes still to come, if known: with a length, and after the end.
    pub const fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::Ended => Some(0),
            State::Chunked(_) | State::UntilClose | State::Failed(_) => None,
        }
    }

    /// Records that `n` body bytes bypassed the decoder, straight to where they are stored. Only for a body whose
    /// [`BodyDecoder::remaining`] is known; more than that is [`BodyError::Excess`].
    pub fn advance(&mut self, n: usize) -> Result<(), BodyError> {
        if let State::Failed(error) = self.state {
            return Err(error);
        }
        let left = u64::try_from(n).ok().and_then(|n| self.remaining()?.checked_sub(n));
        match left {
            Some(0) => self.state = State::Ended,
            Some(left) => self.state = State::Length(left),
            None if n == 0 => {}
            None => return self.fail(BodyError::Excess),
        }
        Ok(())
    }

    const fn fail(&mut self, error: BodyError) -> Result<(), BodyError> {
        self.state = State::Failed(error);
        Err(error)
    }
}

/// As much of `input` as belongs to the `left` bytes of a run.
pub(super) fn take<'i>(left: &mut u64, input: &'i [u8]) -> (usize, Piece<'i>) {
    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
    let run = input.get(..len).unwrap_or(&[]);
    if run.is_empty() {
        return (0, Piece::NeedMore);
    }
    *left = left.saturating_sub(u64::try_from(len).unwrap_or(u64::MAX));
    (len, Piece::Data(run))
}

impl BodyError {
    /// The fault in words.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::MissingSize => "http: chunk without a size",
            Self::BadSize => "http: invalid chunk size",
            Self::SizeOverflow => "http: chunk size longer than 16 digits",
            Self::BadExtension => "http: invalid chunk extension",
            Self::ExtensionTooLong => "http: chunk extensions too long",
            Self::MissingChunkEnd => "http: chunk data not followed by a line end",
            Self::BadTrailer => "http: invalid trailer field",
            Self::TrailerTooLong => "http: trailer section too long",
            Self::BareLineFeed => "http: line feed without carriage return in the body's framing",
            Self::BareCarriageReturn => "http: carriage return without line feed in the body's framing",
            Self::Truncated => "http: connection closed before the end of the body",
            Self::Excess => "http: more body bytes read than announced",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for BodyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_body_consumes_nothing() {
        for framing in [Framing::Empty, Framing::Length(0)] {
            let mut body = BodyDecoder::new(framing);
            assert_eq!(body.remaining(), Some(0));
            assert_eq!(body.next(b"POST "), Ok((0, Piece::End)));
            assert_eq!(body.end_of_input(), Ok(()));
        }
    }

    #[test]
    fn length_stops_at_the_next_message() {
        let mut body = BodyDecoder::new(Framing::Length(5));
        assert_eq!(body.next(b""), Ok((0, Piece::NeedMore)));
        assert_eq!(body.next(b"ab"), Ok((2, Piece::Data(b"ab"))));
        assert_eq!(body.remaining(), Some(3));
        assert_eq!(body.next(b"cdePOST "), Ok((3, Piece::Data(b"cde"))));
        assert_eq!(body.next(b"POST "), Ok((0, Piece::End)));
        assert_eq!(body.next(b"POST "), Ok((0, Piece::End)));
    }

    #[test]
    fn largest_length_is_no_allocation_and_no_overflow() {
        let mut body = BodyDecoder::new(Framing::Length(u64::MAX));
        assert_eq!(body.next(b"ab"), Ok((2, Piece::Data(b"ab"))));
        assert_eq!(body.remaining(), Some(u64::MAX - 2));
    }

    #[test]
    fn until_close_ends_with_the_input_only() {
        let mut body = BodyDecoder::new(Framing::UntilClose);
        assert_eq!(body.next(b"0\r\n\r\n"), Ok((5, Piece::Data(b"0\r\n\r\n"))));
        assert_eq!(body.next(b""), Ok((0, Piece::NeedMore)));
        assert_eq!(body.remaining(), None);
        assert_eq!(body.end_of_input(), Ok(()));
        assert_eq!(body.next(b"x"), Ok((0, Piece::End)));
    }

    #[test]
    fn bytes_read_past_the_decoder_count() {
        let mut body = BodyDecoder::new(Framing::Length(5));
        assert_eq!(body.next(b"a"), Ok((1, Piece::Data(b"a"))));
        assert_eq!(body.advance(3), Ok(()));
        assert_eq!(body.remaining(), Some(1));
        assert_eq!(body.advance(1), Ok(()));
        assert_eq!(body.next(b"x"), Ok((0, Piece::End)));
    }

    #[test]
    fn excess() {
        for framing in [Framing::Empty, Framing::Length(5), Framing::Chunked, Framing::UntilClose] {
            let mut body = BodyDecoder::new(framing);
            assert_eq!(body.advance(0), Ok(()));
            assert_eq!(body.advance(6), Err(BodyError::Excess), "{framing:?}");
            assert_eq!(body.next(b"x"), Err(BodyError::Excess), "{framing:?}");
        }
    }

    #[test]
    fn truncated() {
        let mut length = BodyDecoder::new(Framing::Length(2));
        assert_eq!(length.next(b"a"), Ok((1, Piece::Data(b"a"))));
        assert_eq!(length.end_of_input(), Err(BodyError::Truncated));
        assert_eq!(length.next(b"b"), Err(BodyError::Truncated));

        let mut chunked = BodyDecoder::new(Framing::Chunked);
        assert_eq!(chunked.next(b"0\r\n"), Ok((3, Piece::NeedMore)));
        assert_eq!(chunked.end_of_input(), Err(BodyError::Truncated));
    }

    #[test]
    fn framing_before_data_is_consumed_with_it() {
        let mut body = BodyDecoder::new(Framing::Chunked);
        assert_eq!(body.next(b"3\r\nab"), Ok((5, Piece::Data(b"ab"))));
        assert_eq!(body.next(b"c\r\n0\r\n\r\nPOST "), Ok((1, Piece::Data(b"c"))));
        assert_eq!(body.next(b"\r\n0\r\n\r\nPOST "), Ok((7, Piece::End)));
        assert_eq!(body.next(b"POST "), Ok((0, Piece::End)));
        assert_eq!(body.end_of_input(), Ok(()));
    }

    #[test]
    fn an_error_stays_an_error() {
        let mut body = BodyDecoder::new(Framing::Chunked);
        assert_eq!(body.next(b"x"), Err(BodyError::BadSize));
        assert_eq!(body.next(b"0\r\n\r\n"), Err(BodyError::BadSize));
        assert_eq!(body.advance(0), Err(BodyError::BadSize));
        assert_eq!(body.end_of_input(), Err(BodyError::BadSize));
    }
}
