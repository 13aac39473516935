//! Snappy block format, decoded a segment at a time into a lent window. It keeps no more of the output than the window
//! holds, and does not interpret the decoded bytes.
//!
//! The rules are those of `google/snappy format_description.txt`, applied as strictly as in the C++ decoder, because
//! only a body that every receiver decodes in the same way may be forwarded: the preamble takes at most 5 bytes and
//! fits 32 bits, a copy never has offset 0 (S2's "repeat"), and the output ends exactly at the announced length. A
//! literal of up to 60 bytes may use a long length field.

mod element;
mod error;
mod window;

pub use error::SnappyError;
pub use window::Window;

use element::{Element, operand_width};

/// How many bytes a step decodes before it lends them. Small enough to stay in a near cache between decoding and
/// reading, long enough that few messages are cut; one element may overshoot it.
const RUN: usize = 32 * 1024;

/// What one call of [`Decoder::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'d> {
    /// Bytes taken from the front of the input.
    pub used: usize,
    /// The decoded bytes that follow those of the step before. Empty only when the input is used up.
    pub run: &'d [u8],
    /// The announced length of the output in bytes; 0 until the preamble has been read.
    pub declared: u32,
}

/// The state of the decoder between two bytes of input.
#[derive(Clone, Copy, Debug)]
enum State {
    /// In the length preamble, after `read` bytes of it.
    Preamble { value: u32, read: u8 },
    /// Before a tag byte.
    Element,
    /// After `tag` and `read` bytes of its operand (length or offset, little-endian).
    Operand { tag: u8, value: u32, read: u8 },
    /// In a literal of which `left` bytes are missing.
    Literal { left: usize },
    /// In a copy of which `left` bytes are missing.
    Copy { left: usize, offset: usize },
}

/// Decodes one snappy block from input in pieces of any size.
///
/// Call [`step`](Self::step) with what is left of a piece until it neither uses nor lends anything, continue with the
/// next piece, and end with [`finish`](Self::finish). Errors are final: every later call returns the same error. Bytes
/// decoded before the fault are lent first, so what a caller sees does not depend on how the input was cut.
///
/// ```
/// use remora_core::snappy::{Decoder, Window};
///
/// // 6 bytes: the literal "ab", then 4 bytes from 2 bytes back.
/// let mut rest = &b"\x06\x04ab\x01\x02"[..];
/// let mut bytes = [0; 128];
/// let window = Window::new(&mut bytes).expect("a power of two");
/// let mut decoder = Decoder::new(window, 1 << 20);
/// let mut decoded = Vec::new();
/// loop {
///     let step = decoder.step(rest)?;
///     decoded.extend_from_slice(step.run);
///     rest = &rest[step.used..];
///     if step.run.is_empty() && rest.is_empty() {
///         break;
///     }
/// }
/// decoder.finish()?;
/// assert_eq!(decoded, b"ababab");
/// # Ok::<(), remora_core::snappy::SnappyError>(())
/// ```
#[derive(Debug)]
pub struct Decoder<'w> {
    window: Window<'w>,
    max_decoded: u32,
    declared: usize,
    /// Output of all elements begun so far, including the missing bytes of the last one.
    claimed: usize,
    /// Compressed bytes offered up to the end of the current input.
    offered: u64,
    /// Position of the preamble byte or tag that is being decoded.
    element_at: u64,
    state: State,
    failed: Option<SnappyError>,
}

impl<'w> Decoder<'w> {
    /// A decoder that keeps the latest output in `window` and refuses bodies that announce more than `max_decoded` bytes.
    pub const fn new(window: Window<'w>, max_decoded: u32) -> Self {
        Self {
            window,
            max_decoded,
            declared: 0,
            claimed: 0,
            offered: 0,
            element_at: 0,
            state: State::Preamble { value: 0, read: 0 },
            failed: None,
        }
    }

    /// Decodes from the front of `input` until it is used up or a run is full. The run is valid until the next call.
    pub fn step<'d>(&'d mut self, input: &'d [u8]) -> Result<Step<'d>, SnappyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.window.wrap();
        let from = self.window.at();
        let mut rest = input;
        self.offered = self.offered.saturating_add(input.len() as u64);
        let outcome = self.fill(&mut rest, from.saturating_add(RUN).min(self.window.len()));
        self.offered = self.offered.saturating_sub(rest.len() as u64);
        self.failed = outcome.err();
        let run = self.window.since(from);
        match self.failed {
            Some(error) if run.is_empty() => Err(error),
            _ => Ok(Step { used: input.len().saturating_sub(rest.len()), run, declared: narrow(self.declared) }),
        }
    }

    /// Ends the input: `Ok` when exactly the announced output was decoded.
    pub fn finish(&self) -> Result<(), SnappyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let missing = match self.state {
            State::Preamble { .. } => return Err(SnappyError::NoLength),
            State::Element if self.claimed == self.declared => return Ok(()),
            State::Element | State::Operand { .. } => 0,
            State::Literal { left } | State::Copy { left, .. } => left,
        };
        let produced = self.claimed.saturating_sub(missing);
        Err(SnappyError::Truncated { produced: narrow(produced), declared: narrow(self.declared) })
    }

    /// The announced length of the output in bytes, once the preamble has been read and found within the limit.
    pub fn declared(&self) -> Option<u32> {
        match self.state {
            State::Preamble { .. } => None,
            _ => Some(narrow(self.declared)),
        }
    }

    /// Where an error was found: the position in the compressed body, in bytes, of the preamble byte or tag at fault,
    /// or the body's length if it is cut short.
    pub fn position(&self) -> u64 {
        if self.failed.is_some() { self.element_at } else { self.offered }
    }

    /// Decodes until the window is filled up to `stop` or `rest` is used up.
    fn fill(&mut self, rest: &mut &[u8], stop: usize) -> Result<(), SnappyError> {
        while self.window.at() < stop {
            if matches!(self.state, State::Element) && self.plain_elements(rest, stop) {
                continue;
            }
            match self.state {
                State::Copy { left, offset } => {
                    let left = left.saturating_sub(self.window.copy(offset, left));
                    self.state = if left == 0 { State::Element } else { State::Copy { left, offset } };
                }
                State::Literal { left } => {
                    let Some(missing) = self.literal(rest, left) else { return Ok(()) };
                    self.state = if missing == 0 { State::Element } else { State::Literal { left: missing } };
                }
                State::Preamble { .. } | State::Element | State::Operand { .. } => {
                    let position = self.offered.saturating_sub(rest.len() as u64);
                    let Some((&byte, tail)) = rest.split_first() else { return Ok(()) };
                    *rest = tail;
                    self.byte(byte, position)?;
                }
            }
        }
        Ok(())
    }

    /// Moves as much of a literal as `rest` has and the window takes. Returns how many bytes are still missing; `None`
    /// when `rest` is used up.
    fn literal(&mut self, rest: &mut &[u8], left: usize) -> Option<usize> {
        let moved = self.window.append(rest.get(..left).unwrap_or(rest));
        *rest = rest.get(moved..).unwrap_or_default();
        (moved > 0).then(|| left.saturating_sub(moved))
    }

    /// Decodes the elements at the front that are complete in `rest` and fit the window, each in one step. It leaves
    /// all others, including faults, to [`byte`](Self::byte), and finds nothing that `byte` would not. `false` when it
    /// did nothing.
    fn plain_elements(&mut self, rest: &mut &[u8], stop: usize) -> bool {
        let from = self.window.at();
        // Where the announced output ends, as an index into the window.
        let end = from.saturating_add(self.declared.saturating_sub(self.claimed));
        let mut window = self.window.up_to(end);
        let mut left = *rest;
        while window.at() < stop
            && let Some(tail) = plain_element(&mut window, left)
        {
            left = tail;
        }
        let at = window.at();
        self.window.resume(at);
        self.claimed = self.claimed.saturating_add(at.saturating_sub(from));
        *rest = left;
        at > from
    }

    /// Takes one byte of the preamble, a tag or an operand.
    fn byte(&mut self, byte: u8, position: u64) -> Result<(), SnappyError> {
        match self.state {
            State::Preamble { value, read } => {
                self.element_at = position;
                self.preamble(byte, value, read)
            }
            State::Operand { tag, value, read } => {
                let value = value | u32::from(byte).wrapping_shl(u32::from(read).wrapping_mul(8));
                self.operand(tag, value, read.saturating_add(1))
            }
            // Literals and copies take no byte here: `fill` handles them.
            State::Element | State::Literal { .. } | State::Copy { .. } => {
                self.element_at = position;
                self.operand(byte, 0, 0)
            }
        }
    }

    fn preamble(&mut self, byte: u8, value: u32, read: u8) -> Result<(), SnappyError> {
        if read == 4 && byte > 0x0f {
            return Err(SnappyError::LengthVarint);
        }
        let value = value | u32::from(byte & 0x7f).wrapping_shl(u32::from(read).wrapping_mul(7));
        if byte >= 0x80 {
            self.state = State::Preamble { value, read: read.saturating_add(1) };
            return Ok(());
        }
        if value > self.max_decoded {
            return Err(SnappyError::TooLarge { declared: value, limit: self.max_decoded });
        }
        self.declared = value as usize;
        self.state = State::Element;
        Ok(())
    }

    fn operand(&mut self, tag: u8, value: u32, read: u8) -> Result<(), SnappyError> {
        // After the end of the output the operand does not matter, and must not delay the verdict.
        if read == operand_width(tag) || self.claimed == self.declared {
            return self.begin(tag, value);
        }
        self.state = State::Operand { tag, value, read };
        Ok(())
    }

    /// Checks an element and begins to produce it.
    fn begin(&mut self, tag: u8, operand: u32) -> Result<(), SnappyError> {
        let room = self.declared.saturating_sub(self.claimed);
        let Element { last, offset } = Element::decode(tag, operand);
        if last >= room {
            return Err(SnappyError::Overrun { declared: narrow(self.declared) });
        }
        let length = last.saturating_add(1);
        self.state = match offset {
            None => State::Literal { left: length },
            Some(offset) => State::Copy { left: length, offset: self.reachable(offset)? },
        };
        self.claimed = self.claimed.saturating_add(length);
        Ok(())
    }

    fn reachable(&self, offset: u32) -> Result<usize, SnappyError> {
        match offset as usize {
            0 => Err(SnappyError::ZeroOffset),
            back if back > self.claimed => Err(SnappyError::OffsetBeforeStart { offset }),
            back if back > self.window.reach() => Err(SnappyError::OffsetBeyondWindow { offset }),
            back => Ok(back),
        }
    }
}

/// Decodes the element at the front of `bytes` into `window`, no further than its end, and returns what follows it;
/// `None`, with nothing done, when that is not possible in one step.
#[inline]
fn plain_element<'i>(window: &mut Window<'_>, bytes: &'i [u8]) -> Option<&'i [u8]> {
    let (Element { last, offset }, header) = Element::decode_front(bytes)?;
    let length = last.checked_add(1)?;
    let rest = bytes.get(header..)?;
    match offset {
        Some(offset) => window.copy_front(offset as usize, length).map(|()| rest),
        None => window.append_front(rest, length),
    }
}

/// Lengths here come from 32-bit numbers, so nothing is lost.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::window::SHORTEST;
    use super::*;

    /// The fault of `body`, decoded whole and byte by byte into the smallest window, at most 256 bytes long.
    fn assert_fault(body: &[u8], error: SnappyError, at: u64, line: &str) {
        for piece in [1, 64] {
            let mut bytes = [0; SHORTEST];
            let mut decoder = Decoder::new(Window::new(&mut bytes).unwrap(), 256);
            let found = body.chunks(piece).try_for_each(|piece| drain(&mut decoder, piece));
            assert_eq!(found.and_then(|()| decoder.finish()), Err(error), "in pieces of {piece}");
            assert_eq!(decoder.position(), at, "in pieces of {piece}");
            assert_eq!(decoder.finish(), Err(error), "it stays");
        }
        assert_eq!(error.to_string(), line);
    }

    fn drain(decoder: &mut Decoder<'_>, mut rest: &[u8]) -> Result<(), SnappyError> {
        loop {
            let step = decoder.step(rest)?;
            if step.run.is_empty() && step.used == rest.len() {
                return Ok(());
            }
            rest = &rest[step.used..];
        }
    }

    #[test]
    fn no_length() {
        let line = "snappy: body is empty or ends before its length";
        assert_fault(b"", SnappyError::NoLength, 0, line);
        assert_fault(b"\x80\x80", SnappyError::NoLength, 2, line);
    }

    #[test]
    fn length_varint() {
        let line = "snappy: length preamble exceeds 5 bytes or 32 bits";
        assert_fault(b"\x80\x80\x80\x80\x80\x00", SnappyError::LengthVarint, 4, line);
        assert_fault(b"\x80\x80\x80\x80\x10", SnappyError::LengthVarint, 4, line);
    }

    #[test]
    fn too_large() {
        let line = "snappy: decoded length 257 exceeds the limit of 256 bytes";
        assert_fault(b"\x81\x02", SnappyError::TooLarge { declared: 257, limit: 256 }, 1, line);
        let line = "snappy: decoded length 4294967295 exceeds the limit of 256 bytes";
        assert_fault(b"\xff\xff\xff\xff\x0f", SnappyError::TooLarge { declared: u32::MAX, limit: 256 }, 4, line);
    }

    #[test]
    fn zero_offset() {
        let line = "snappy: copy offset 0";
        assert_fault(b"\x08\x00a\x01\x00", SnappyError::ZeroOffset, 3, line);
        assert_fault(b"\x08\x00a\x02\x00\x00", SnappyError::ZeroOffset, 3, line);
    }

    #[test]
    fn offset_before_start() {
        let line = "snappy: copy offset 2 before the start";
        assert_fault(b"\x08\x00a\x01\x02\x00", SnappyError::OffsetBeforeStart { offset: 2 }, 3, line);
        let line = "snappy: copy offset 4294967295 before the start";
        let error = SnappyError::OffsetBeforeStart { offset: u32::MAX };
        assert_fault(b"\x08\x03\xff\xff\xff\xff", error, 1, line);
    }

    #[test]
    fn offset_beyond_window() {
        // 130 bytes, then a copy from 66 bytes back, whose source may have been overwritten.
        let line = "snappy: copy offset 66 beyond the window";
        let body = [b"\xc0\x01\xf0\x81".as_slice(), &[b'a'; 130], b"\x01\x42"].concat();
        assert_fault(&body, SnappyError::OffsetBeyondWindow { offset: 66 }, 134, line);
    }

    #[test]
    fn overrun() {
        let line = "snappy: more output than the declared 2 bytes";
        let error = SnappyError::Overrun { declared: 2 };
        assert_fault(b"\x02\x08abc", error, 1, line);
        assert_fault(b"\x02\x00a\x01\x01", error, 3, line);
        assert_fault(b"\x02\x04ab\x00", error, 4, line);
        assert_fault(b"\x02\xfc\xff\xff\xff\xff", error, 1, line);
        // Long enough for whole chunks.
        let body = |announced| [&[announced], b"\xf0\x3f".as_slice(), &[b'a'; 64], b"\xfe\x40\x00", &[0; 100]].concat();
        let line = "snappy: more output than the declared 127 bytes";
        assert_fault(&body(127), SnappyError::Overrun { declared: 127 }, 67, line);
    }

    #[test]
    fn truncated() {
        let line = "snappy: body ends after 2 of 9 decoded bytes";
        let error = SnappyError::Truncated { produced: 2, declared: 9 };
        assert_fault(b"\x09\x04ab", error, 4, line);
        assert_fault(b"\x09\x08ab", error, 4, line);
        assert_fault(b"\x09\x04ab\x09", error, 5, line);
    }

    #[test]
    fn the_announced_length_is_known_as_soon_as_it_is_read() {
        let mut bytes = [0; SHORTEST];
        let mut decoder = Decoder::new(Window::new(&mut bytes).unwrap(), 1 << 20);
        assert_eq!(decoder.declared(), None);
        drain(&mut decoder, b"\x80").unwrap();
        assert_eq!(decoder.declared(), None);
        drain(&mut decoder, b"\x02").unwrap();
        assert_eq!(decoder.declared(), Some(256));
    }
}
