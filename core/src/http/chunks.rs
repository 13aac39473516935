//! The chunked coding (RFC 9112 §7.1) as a machine that takes one byte of framing at a time.
//!
//! Three rules each go back to a security advisory about a lenient parser: a size has at least one digit (an empty one
//! is not the last chunk), extensions and trailers are bounded over the whole body (CVE-2023-39326), and every line
//! ends in CRLF (CVE-2025-22871).

use super::body::{BodyError, Piece, take};
use super::digits::hex_digit;
use super::fields::is_token_byte;
use super::text::is_text_byte;

/// Maximum bytes of chunk extensions in one body, including whitespace and semicolons. They are skipped.
pub const MAX_EXTENSION_BYTES: u16 = 1024;

/// Maximum bytes of one body's trailer section, including line ends. It is skipped: nothing in a trailer may change
/// what the head said.
pub const MAX_TRAILER_BYTES: u16 = 1024;

/// Maximum hexadecimal digits of a chunk size, including leading zeros: as many as fit a `u64`.
const MAX_SIZE_DIGITS: u8 = 16;

#[derive(Clone, Debug)]
pub(super) struct Chunks {
    at: At,
    /// In the size line, the value so far; afterwards, the bytes of the chunk still to come.
    left: u64,
    digits: u8,
    extension_room: u16,
    trailer_room: u16,
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// chunk-size, before its first digit.
    Size,
    /// chunk-size, after a digit.
    SizeDigits,
    /// Whitespace after the size, which is allowed only before an extension.
    BeforeExtension,
    /// After the semicolon of an extension, before its name.
    ExtensionName,
    /// The rest of the extensions of a line.
    Extension,
    /// After the CR of the size line.
    SizeEnd,
    Data,
    /// chunk-data is complete, CR is next.
    DataEnd,
    /// After the CR that follows chunk-data.
    DataLineFeed,
    /// The start of a trailer line, or of the empty line that ends the body.
    TrailerStart,
    /// A trailer's name, after its first byte.
    TrailerName,
    /// A trailer's value.
    TrailerValue,
    /// After the CR of a trailer line.
    TrailerEnd,
    /// After the CR of the empty line.
    LastLineFeed,
    End,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self { at: At::Size, left: 0, digits: 0, extension_room: MAX_EXTENSION_BYTES, trailer_room: MAX_TRAILER_BYTES }
    }

    /// Skips framing until there is data to lend, the body's end, or nothing left to read.
    pub(super) fn next<'i>(&mut self, input: &'i [u8]) -> Result<(usize, Piece<'i>), BodyError> {
        let mut consumed = 0_usize;
        let mut rest = input;
        while self.at != At::Data && self.at != At::End {
            let Some((&byte, after)) = rest.split_first() else {
                return Ok((consumed, Piece::NeedMore));
            };
            self.at = self.after(byte)?;
            consumed = consumed.saturating_add(1);
            rest = after;
        }
        if self.at == At::End {
            return Ok((consumed, Piece::End));
        }
        let (len, piece) = take(&mut self.left, rest);
        if self.left == 0 {
            self.at = At::DataEnd;
        }
        Ok((consumed.saturating_add(len), piece))
    }

    fn after(&mut self, byte: u8) -> Result<At, BodyError> {
        match self.at {
            At::Size => self.first_digit(byte),
            At::SizeDigits => self.after_digit(byte),
            At::BeforeExtension | At::ExtensionName | At::Extension => self.within_extension(byte),
            At::SizeEnd => line_feed(byte, if self.left == 0 { At::TrailerStart } else { At::Data }),
            At::DataEnd if byte == b'\r' => Ok(At::DataLineFeed),
            At::DataLineFeed if byte == b'\n' => Ok(At::Size),
            At::DataEnd | At::DataLineFeed => Err(BodyError::MissingChunkEnd),
            At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerEnd | At::LastLineFeed => {
                self.within_trailer(byte)
            }
            // `next` never calls this in these states.
            At::Data | At::End => Ok(self.at),
        }
    }

    fn first_digit(&mut self, byte: u8) -> Result<At, BodyError> {
        let digit = hex_digit(byte).ok_or(match byte {
            b'\n' => BodyError::BareLineFeed,
            b'\r' | b';' => BodyError::MissingSize,
            _ => BodyError::BadSize,
        })?;
        self.left = u64::from(digit);
        self.digits = 1;
        Ok(At::SizeDigits)
    }

    fn after_digit(&mut self, byte: u8) -> Result<At, BodyError> {
        match byte {
            b'\r' => Ok(At::SizeEnd),
            b'\n' => Err(BodyError::BareLineFeed),
            b';' | b' ' | b'\t' => {
                self.at = At::BeforeExtension;
                self.within_extension(byte)
            }
            _ => self.further_digit(hex_digit(byte).ok_or(BodyError::BadSize)?),
        }
    }

    fn further_digit(&mut self, digit: u8) -> Result<At, BodyError> {
        if self.digits >= MAX_SIZE_DIGITS {
            return Err(BodyError::SizeOverflow);
        }
        self.digits = self.digits.saturating_add(1);
        // Sixteen digits of four bits each: nothing is shifted out.
        self.left = (self.left << 4) | u64::from(digit);
        Ok(At::SizeDigits)
    }

    /// chunk-ext = *( BWS ";" BWS chunk-ext-name … ). The name's first byte is checked, since parsers disagree on "5;"
    /// alone; the rest is opaque.
    fn within_extension(&mut self, byte: u8) -> Result<At, BodyError> {
        if byte != b'\r' {
            self.extension_room = self.extension_room.checked_sub(1).ok_or(BodyError::ExtensionTooLong)?;
        }
        match (self.at, byte) {
            (_, b'\n') => Err(BodyError::BareLineFeed),
            (At::BeforeExtension | At::ExtensionName, b' ' | b'\t') => Ok(self.at),
            (At::BeforeExtension, b';') => Ok(At::ExtensionName),
            (At::BeforeExtension, _) => Err(BodyError::BadSize),
            (At::ExtensionName, _) if !is_token_byte(byte) => Err(BodyError::BadExtension),
            (At::Extension, b'\r') => Ok(At::SizeEnd),
            _ if is_text_byte(byte) => Ok(At::Extension),
            _ => Err(BodyError::BadExtension),
        }
    }

    fn within_trailer(&mut self, byte: u8) -> Result<At, BodyError> {
        self.trailer_room = self.trailer_room.checked_sub(1).ok_or(BodyError::TrailerTooLong)?;
        match (self.at, byte) {
            (At::TrailerEnd, _) => line_feed(byte, At::TrailerStart),
            (At::LastLineFeed, _) => line_feed(byte, At::End),
            (_, b'\n') => Err(BodyError::BareLineFeed),
            (At::TrailerStart, b'\r') => Ok(At::LastLineFeed),
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerStart | At::TrailerName, _) if is_token_byte(byte) => Ok(At::TrailerName),
            (At::TrailerValue, b'\r') => Ok(At::TrailerEnd),
            (At::TrailerValue, _) if is_text_byte(byte) => Ok(At::TrailerValue),
            _ => Err(BodyError::BadTrailer),
        }
    }
}

/// `next`, if `byte` is the LF that must follow a CR.
const fn line_feed(byte: u8, next: At) -> Result<At, BodyError> {
    if byte == b'\n' { Ok(next) } else { Err(BodyError::BareCarriageReturn) }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    use super::*;

    /// The fault that ends a body of these bytes.
    fn fault_of(body: &[u8]) -> BodyError {
        let (mut chunks, mut rest) = (Chunks::new(), body);
        loop {
            match chunks.next(rest) {
                Ok((used, Piece::Data(_))) => rest = &rest[used..],
                Ok((_, piece)) => panic!("{piece:?} instead of a fault"),
                Err(error) => return error,
            }
        }
    }

    /// Whether these bytes are exactly one complete body.
    fn is_whole(body: &[u8]) -> bool {
        let (mut chunks, mut rest) = (Chunks::new(), body);
        while let Ok((used, piece)) = chunks.next(rest) {
            rest = &rest[used..];
            match piece {
                Piece::Data(_) => {}
                Piece::End => return rest.is_empty(),
                Piece::NeedMore => return false,
            }
        }
        false
    }

    #[test]
    fn missing_size() {
        assert_eq!(fault_of(b"\r\n"), BodyError::MissingSize);
        assert_eq!(fault_of(b";x\r\n"), BodyError::MissingSize);
        assert_eq!(fault_of(b"1\r\na\r\n\r\n"), BodyError::MissingSize);
    }

    #[test]
    fn bad_size() {
        for body in [&b"g\r\n"[..], b"-1\r\n", b"+1\r\n", b"0x1\r\n", b"1_0\r\n", b" 1\r\n", b"1 \r\n", b"1 1\r\n"] {
            assert_eq!(fault_of(body), BodyError::BadSize, "{body:?}");
        }
    }

    #[test]
    fn size_overflow() {
        assert_eq!(fault_of(b"10000000000000000\r\n"), BodyError::SizeOverflow);
        assert_eq!(fault_of(b"00000000000000001\r\n"), BodyError::SizeOverflow);
        let mut largest = Chunks::new();
        assert_eq!(largest.next(b"ffffFFFFffffFFFF\r\nab"), Ok((20, Piece::Data(b"ab"))));
        assert_eq!(largest.left, u64::MAX - 2);
    }

    #[test]
    fn bad_extension() {
        for body in [&b"1;\r\n"[..], b"1;;a\r\n", b"1; \r\n", b"1;=b\r\n", b"1;a=\0\r\n", b"1;a\x7f\r\n"] {
            assert_eq!(fault_of(body), BodyError::BadExtension, "{body:?}");
        }
    }

    #[test]
    fn extension_too_long() {
        let room = usize::from(MAX_EXTENSION_BYTES);
        let body = |name_len| [b"0;", &*std::vec![b'a'; name_len], b"\r\n\r\n"].concat();
        assert!(is_whole(&body(room - 1)));
        assert_eq!(fault_of(&body(room)), BodyError::ExtensionTooLong);
    }

    /// The bound is for the body, not for each chunk: many small chunks cost as much to read as a long line.
    #[test]
    fn extension_too_long_over_many_chunks() {
        let chunk = b"1;aaaaaaa\r\nx\r\n";
        let body = |chunks| [chunk.repeat(chunks), b"0\r\n\r\n".to_vec()].concat();
        assert!(is_whole(&body(128)));
        assert_eq!(fault_of(&body(129)), BodyError::ExtensionTooLong);
    }

    #[test]
    fn missing_chunk_end() {
        for body in [&b"1\r\nab\r\n"[..], b"1\r\na\n", b"1\r\na\rb", b"1\r\na0\r\n\r\n", b"1\r\naXX0\r\n\r\n"] {
            assert_eq!(fault_of(body), BodyError::MissingChunkEnd, "{body:?}");
        }
    }

    #[test]
    fn bad_trailer() {
        for line in [&b" a: b"[..], b": b", b"a\r\n", b"a b: c", b"a: \0", b"a : b", b"\xe9: b"] {
            assert_eq!(fault_of(&[b"0\r\n", line, b"\r\n\r\n"].concat()), BodyError::BadTrailer, "{line:?}");
        }
    }

    #[test]
    fn trailer_too_long() {
        let room = usize::from(MAX_TRAILER_BYTES);
        let body = |value_len| [b"0\r\na:", &*std::vec![b'b'; value_len], b"\r\n\r\n"].concat();
        assert!(is_whole(&body(room - 6)));
        assert_eq!(fault_of(&body(room - 5)), BodyError::TrailerTooLong);
    }

    #[test]
    fn bare_line_feed() {
        for body in
            [&b"\n"[..], b"1\n", b"1;a\n", b"1 \n", b"1;\n", b"0\n", b"0\r\n\n", b"0\r\na: b\n", b"1\r\na\r\n\n"]
        {
            assert_eq!(fault_of(body), BodyError::BareLineFeed, "{body:?}");
        }
    }

    #[test]
    fn bare_carriage_return() {
        for body in [&b"1\ra"[..], b"1\r\r\n", b"1;a\rb", b"0\r\n\ra", b"0\r\na: b\rc", b"0\r\n\r\r\n"] {
            assert_eq!(fault_of(body), BodyError::BareCarriageReturn, "{body:?}");
        }
    }

    #[test]
    fn extensions_and_trailers_are_skipped() {
        let body = b"2 ;a\r\nab\r\n1\t; b=\"\xc3\xa9;\" ;c\r\nc\r\n000;d\r\nContent-Length: 5\r\nX:\r\n\r\n";
        let (mut chunks, mut rest, mut data) = (Chunks::new(), &body[..], Vec::new());
        while let Ok((used, Piece::Data(run))) = chunks.next(rest) {
            data.extend_from_slice(run);
            rest = &rest[used..];
        }
        assert_eq!(data, b"abc");
        assert!(is_whole(body));
    }
}
