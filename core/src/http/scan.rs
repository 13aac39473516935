//! Finds where a head ends, and checks that its lines are well formed.

use super::HeadError;
use super::text::plain_prefix;

/// Looks for the empty line that ends a head while the head arrives piece by piece.
///
/// Every byte is examined once, however small the pieces, so a slow sender costs no more than a fast one. The size of a
/// head is bounded by the caller's buffer: when that is full and [`HeadScan::scan`] still returns `None`, the head is
/// [`HeadError::TooLarge`].
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScan {
    scanned: usize,
    at: At,
    /// A non-empty line was seen: the start line.
    started: bool,
    /// The one empty line that may come before the start line was seen (RFC 9112 §2.2).
    skipped: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    LineStart,
    Line,
    /// After the CR of a non-empty line.
    LineEnd,
    /// After a CR at the start of a line.
    EmptyLineEnd,
    HeadEnd,
}

impl HeadScan {
    /// Continues where the last call stopped; `filled` is everything that has arrived so far, from the first byte of
    /// the head.
    ///
    /// `Some(len)` is the length of the head including its final empty line, and the empty line before it if there was
    /// one. The bytes after it belong to the body. Later calls return the same result, also after an error.
    pub fn scan(&mut self, filled: &[u8]) -> Result<Option<usize>, HeadError> {
        while self.at != At::HeadEnd {
            if self.at == At::Line {
                let rest = filled.get(self.scanned..).unwrap_or_default();
                let plain = plain_prefix(rest);
                self.scanned = self.scanned.saturating_add(plain);
                // Usually the next line follows: take its first byte along, without a step for each byte.
                if let Some([b'\r', b'\n', b'!'..=b'~', ..]) = rest.get(plain..) {
                    self.scanned = self.scanned.saturating_add(3);
                    continue;
                }
            }
            let Some(&byte) = filled.get(self.scanned) else { return Ok(None) };
            self.at = self.after(byte)?;
            self.scanned = self.scanned.saturating_add(1);
        }
        Ok(Some(self.scanned))
    }

    fn after(&mut self, byte: u8) -> Result<At, HeadError> {
        match (self.at, byte) {
            (At::LineStart, b'\r') => Ok(At::EmptyLineEnd),
            (At::Line, b'\r') => Ok(At::LineEnd),
            (At::LineEnd, b'\n') => Ok(At::LineStart),
            (At::EmptyLineEnd, b'\n') => self.after_empty_line(),
            (At::LineEnd | At::EmptyLineEnd, _) => Err(HeadError::BareCarriageReturn),
            (_, b'\n') => Err(HeadError::BareLineFeed),
            (At::LineStart, b' ' | b'\t') if self.started => Err(HeadError::Folded),
            (_, b'\t') => Ok(self.within_line()),
            // Refused at once, not at the deadline.
            (At::LineStart, 0x14..=0x17) if !self.started => Err(HeadError::Tls),
            (_, byte) if byte.is_ascii_control() => Err(HeadError::ControlCharacter),
            _ => Ok(self.within_line()),
        }
    }

    const fn within_line(&mut self) -> At {
        self.started = true;
        At::Line
    }

    const fn after_empty_line(&mut self) -> Result<At, HeadError> {
        if self.started {
            return Ok(At::HeadEnd);
        }
        if self.skipped {
            return Err(HeadError::Malformed);
        }
        self.skipped = true;
        Ok(At::LineStart)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"POST / HTTP/1.1\r\nHost: h\r\n\r\n";

    fn scan(bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        HeadScan::default().scan(bytes)
    }

    #[test]
    fn head_ends_after_its_empty_line() {
        assert_eq!(scan(HEAD), Ok(Some(HEAD.len())));
        assert_eq!(scan(b"A\r\n\r\n\r\n\r\n"), Ok(Some(5)));
        assert_eq!(scan(b""), Ok(None));
        assert_eq!(scan(b"A\r\n\r"), Ok(None));
    }

    #[test]
    fn answer_stays_when_the_body_arrives() {
        let mut scan = HeadScan::default();
        assert_eq!(scan.scan(b"A\r\n\r\n"), Ok(Some(5)));
        assert_eq!(scan.scan(b"A\r\n\r\n\nbody"), Ok(Some(5)));
    }

    #[test]
    fn an_error_stays_an_error() {
        let mut scan = HeadScan::default();
        assert_eq!(scan.scan(b"A\n"), Err(HeadError::BareLineFeed));
        assert_eq!(scan.scan(b"A\n\r\n\r\n"), Err(HeadError::BareLineFeed));
    }

    #[test]
    fn every_byte_is_looked_at_once() {
        let mut scan = HeadScan::default();
        assert_eq!(scan.scan(b"A\r\nB"), Ok(None));
        // Bytes examined before may have changed since; the result must not depend on it.
        assert_eq!(scan.scan(b"\n\n\n\n\r\n\r\n"), Ok(Some(8)));
    }

    #[test]
    fn one_empty_line_may_come_first() {
        assert_eq!(scan(b"\r\nA\r\n\r\n"), Ok(Some(7)));
        assert_eq!(scan(b"\r\n\r\nA\r\n\r\n"), Err(HeadError::Malformed));
    }

    #[test]
    fn bare_line_feed() {
        for bytes in [&b"\n"[..], b"A\n", b"A\r\nB: c\n", b"A\r\n\n", b"A\r\nB: c\r\n\n"] {
            assert_eq!(scan(bytes), Err(HeadError::BareLineFeed), "{bytes:?}");
        }
    }

    #[test]
    fn bare_carriage_return() {
        for bytes in [&b"\r\r"[..], b"A\rB", b"A\r\r\n", b"A\r\nB: c\rd\r\n", b"A\r\n\rB"] {
            assert_eq!(scan(bytes), Err(HeadError::BareCarriageReturn), "{bytes:?}");
        }
    }

    #[test]
    fn folded() {
        for bytes in [&b"A\r\n B"[..], b"A\r\n\tB", b"A\r\nB: c\r\n d", b"A\r\nB: c\r\n\td"] {
            assert_eq!(scan(bytes), Err(HeadError::Folded), "{bytes:?}");
        }
    }

    #[test]
    fn tls() {
        for bytes in [&b"\x16\x03\x01"[..], b"\x14", b"\x15\x03", b"\x17", b"\r\n\x16"] {
            assert_eq!(scan(bytes), Err(HeadError::Tls), "{bytes:?}");
        }
        assert_eq!(scan(b"\x13\x03"), Err(HeadError::ControlCharacter));
        assert_eq!(scan(b"\x18\x03"), Err(HeadError::ControlCharacter));
    }

    #[test]
    fn control_character() {
        for bytes in [&b"\x1b"[..], b"A\0", b"A\r\n\x16", b"A\r\nB: \x7f", b"A\r\nB: \x0b", b"A\r\n\x0c"] {
            assert_eq!(scan(bytes), Err(HeadError::ControlCharacter), "{bytes:?}");
        }
    }
}
