//! Snappy block format, decoded a segment at a time into a lent window. It keeps no more of the output than the window
//! holds, and knows nothing of what the decoded bytes mean.
//!
//! Rules are those of `google/snappy format_description.txt`, read as strictly as the C++ decoder reads them, because
//! only a body that every receiver decodes in the same way may be passed on: the preamble takes at most 5 bytes and fits
//! 32 bits, a copy never has offset 0 (S2's "repeat"), and the output ends exactly at the announced length. A literal
//! of up to 60 bytes may use a long length field.

use core::fmt;

/// How many bytes a step decodes before it lends them. Small enough to stay in the first-level cache between decoding
/// and reading; one element may overshoot it.
const RUN: usize = 16 * 1024;

/// The smallest window that [`Decoder::new`] takes, in bytes.
const MIN_WINDOW: usize = 16;

/// Why a body is not a snappy block. Each is the sender's fault and final, except
/// [`OffsetBeyondWindow`](Self::OffsetBeyondWindow), which a larger window mends, and
/// [`WindowNotPowerOfTwo`](Self::WindowNotPowerOfTwo), which is the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnappyError {
    /// The lent window's length is not a power of two of at least 16 bytes that fits 32 bits.
    WindowNotPowerOfTwo,
    /// The body ends before its length preamble does; an empty body is the usual case.
    NoLength,
    /// The length preamble is longer than 5 bytes or does not fit 32 bits (`format_description.txt` §1).
    LengthVarint,
    /// The announced length exceeds the limit. Found before anything is decoded.
    TooLarge {
        /// The announced length in bytes.
        declared: u32,
        /// The limit in bytes.
        limit: u32,
    },
    /// A copy with offset 0 (§2.2).
    ZeroOffset,
    /// A copy that reaches back over the start of the output.
    OffsetBeforeStart {
        /// How far back it reaches, in bytes.
        offset: u32,
    },
    /// A copy that reaches further back than the window remembers. The body may still be a good one.
    OffsetBeyondWindow {
        /// How far back it reaches, in bytes.
        offset: u32,
    },
    /// An element that would make the output longer than announced.
    Overrun {
        /// The announced length in bytes.
        declared: u32,
    },
    /// The body ends before the announced length is reached, or within an element.
    Truncated {
        /// Bytes that were decoded.
        produced: u32,
        /// The announced length in bytes.
        declared: u32,
    },
}

impl fmt::Display for SnappyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WindowNotPowerOfTwo => f.write_str("snappy: window length is no power of two from 16 bytes on"),
            Self::NoLength => f.write_str("snappy: body ends before its length"),
            Self::LengthVarint => f.write_str("snappy: length preamble over 5 bytes or 32 bits"),
            Self::TooLarge { declared, limit } => {
                write!(f, "snappy: decoded length {declared} over the limit of {limit} bytes")
            }
            Self::ZeroOffset => f.write_str("snappy: copy offset 0"),
            Self::OffsetBeforeStart { offset } => write!(f, "snappy: copy offset {offset} before the start"),
            Self::OffsetBeyondWindow { offset } => write!(f, "snappy: copy offset {offset} beyond the window"),
            Self::Overrun { declared } => write!(f, "snappy: more output than the announced {declared} bytes"),
            Self::Truncated { produced, declared } => {
                write!(f, "snappy: body ends after {produced} of {declared} decoded bytes")
            }
        }
    }
}

impl core::error::Error for SnappyError {}

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

/// Where the decoder stands between two bytes of input.
#[derive(Clone, Copy, Debug)]
enum State {
    /// In the length preamble, `read` bytes of it taken.
    Preamble { value: u32, read: u8 },
    /// Before a tag byte.
    Element,
    /// Behind `tag`, `read` bytes of its operand (length or offset, little-endian) taken.
    Operand { tag: u8, value: u32, read: u8 },
    /// In a literal of which `left` bytes are missing.
    Literal { left: usize },
    /// In a copy of which `left` bytes are missing.
    Copy { left: usize, offset: usize },
}

/// Decodes one snappy block from input in pieces of any size.
///
/// Call [`step`](Self::step) with what is left of a piece until it neither uses nor lends anything, go on with the next
/// piece, and end with [`finish`](Self::finish). An error stays: every later call returns it again. Bytes decoded
/// before the fault are lent first, so the order of what a caller sees does not depend on how the input was cut.
#[derive(Debug)]
pub struct Decoder<'w> {
    window: &'w mut [u8],
    /// Where the next decoded byte goes in `window`; its length when the next step has to wrap.
    at: usize,
    max_decoded: u32,
    declared: usize,
    /// Output of all elements begun so far; the missing bytes of the last one count as well.
    claimed: usize,
    /// Compressed bytes offered up to the end of the current input.
    offered: u64,
    /// Position of the preamble byte or tag that is being decoded.
    element_at: u64,
    state: State,
    failed: Option<SnappyError>,
}

impl<'w> Decoder<'w> {
    /// A decoder that remembers as much output as `window` is long and refuses bodies that announce more than
    /// `max_decoded` bytes. The window's content does not matter.
    pub fn new(window: &'w mut [u8], max_decoded: u32) -> Result<Self, SnappyError> {
        let len = window.len();
        if !len.is_power_of_two() || len < MIN_WINDOW || u32::try_from(len).is_err() {
            return Err(SnappyError::WindowNotPowerOfTwo);
        }
        Ok(Self {
            window,
            at: 0,
            max_decoded,
            declared: 0,
            claimed: 0,
            offered: 0,
            element_at: 0,
            state: State::Preamble { value: 0, read: 0 },
            failed: None,
        })
    }

    /// Decodes from the front of `input` until it is used up or a run is full. The run is valid until the next call.
    pub fn step<'d>(&'d mut self, input: &'d [u8]) -> Result<Step<'d>, SnappyError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.at == self.window.len() {
            self.at = 0;
        }
        let from = self.at;
        let mut rest = input;
        self.offered = self.offered.saturating_add(input.len() as u64);
        let outcome = self.fill(&mut rest, from.saturating_add(RUN).min(self.window.len()));
        self.offered = self.offered.saturating_sub(rest.len() as u64);
        self.failed = outcome.err();
        match self.failed {
            Some(error) if self.at == from => Err(error),
            _ => Ok(Step {
                used: input.len().saturating_sub(rest.len()),
                run: self.window.get(from..self.at).unwrap_or_default(),
                declared: narrow(self.declared),
            }),
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
    /// or how far the body went where it is cut short.
    pub fn position(&self) -> u64 {
        if self.failed.is_some() { self.element_at } else { self.offered }
    }

    /// Decodes until the window is filled up to `stop` or `rest` is used up.
    fn fill(&mut self, rest: &mut &[u8], stop: usize) -> Result<(), SnappyError> {
        while self.at < stop {
            match self.state {
                State::Literal { left } => {
                    if rest.is_empty() {
                        return Ok(());
                    }
                    self.literal(rest, left);
                }
                State::Copy { left, offset } => self.copy(left, offset),
                State::Element if rest.len() >= LONGEST_HEADER => self.element(rest)?,
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

    /// Begins the element in front, whose header is whole in `rest`. Gives what [`byte`](Self::byte) gives, sooner.
    #[inline]
    fn element(&mut self, rest: &mut &[u8]) -> Result<(), SnappyError> {
        let Some(&[tag, a, b, c, d]) = rest.first_chunk::<LONGEST_HEADER>() else { return Ok(()) };
        let width = operand_width(tag);
        let operand = u32::from_le_bytes([a, b, c, d]) & operand_mask(width);
        self.element_at = self.offered.saturating_sub(rest.len() as u64);
        *rest = rest.get(usize::from(width).saturating_add(1)..).unwrap_or_default();
        self.begin(tag, operand)
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
            // Literal and copy take no byte here: `fill` works them off.
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
        // Past the end the operand does not matter, and must not delay the verdict.
        if read == operand_width(tag) || self.claimed == self.declared {
            return self.begin(tag, value);
        }
        self.state = State::Operand { tag, value, read };
        Ok(())
    }

    /// Judges an element and sets out to produce it.
    #[inline]
    fn begin(&mut self, tag: u8, operand: u32) -> Result<(), SnappyError> {
        let room = self.declared.saturating_sub(self.claimed);
        // Every form stores the length less one: `last` is the index of the element's last byte.
        let (last, offset) = match tag & 0b11 {
            0b00 if tag < LONG_LITERAL => (usize::from(tag >> 2), None),
            0b00 => (operand as usize, None),
            0b01 => (usize::from((tag >> 2) & 0b111).saturating_add(3), Some((u32::from(tag >> 5) << 8) | operand)),
            _ => (usize::from(tag >> 2), Some(operand)),
        };
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
            back if back > self.window.len() => Err(SnappyError::OffsetBeyondWindow { offset }),
            back => Ok(back),
        }
    }

    /// Moves as much of a literal as `rest` has and the window takes.
    fn literal(&mut self, rest: &mut &[u8], left: usize) {
        let space = self.window.get_mut(self.at..).unwrap_or_default();
        let count = left.min(rest.len()).min(space.len());
        if let (Some(space), Some((bytes, tail))) = (space.get_mut(..count), rest.split_at_checked(count)) {
            space.copy_from_slice(bytes);
            *rest = tail;
        }
        self.moved(count, left, |left| State::Literal { left });
    }

    /// Moves as much of a copy as lies between the window's end and the further of its two ends.
    fn copy(&mut self, left: usize, offset: usize) {
        // The length is a power of two, so the mask wraps what reaches back over the front.
        let from = self.at.wrapping_sub(offset) & self.window.len().wrapping_sub(1);
        let count = left.min(self.window.len().saturating_sub(from.max(self.at)));
        if from < self.at {
            let span = self.window.get_mut(from..self.at.saturating_add(count)).unwrap_or_default();
            repeat(span, offset);
        } else {
            // The source lies ahead, at the old end of the window: no byte is overwritten before it is read.
            let span = self.window.get_mut(self.at..from.saturating_add(count)).unwrap_or_default();
            span.copy_within(span.len().saturating_sub(count).., 0);
        }
        self.moved(count, left, |left| State::Copy { left, offset });
    }

    fn moved(&mut self, count: usize, left: usize, rest: impl Fn(usize) -> State) {
        self.at = self.at.saturating_add(count);
        self.state = match left.saturating_sub(count) {
            0 => State::Element,
            left => rest(left),
        };
    }
}

/// Tags of literals from this one on (low bits 00) carry their length in the bytes that follow.
const LONG_LITERAL: u8 = 60 << 2;

/// A tag and the widest operand, in bytes.
const LONGEST_HEADER: usize = 5;

/// How many bytes of length or offset follow `tag` (`format_description.txt` §2).
#[inline]
fn operand_width(tag: u8) -> u8 {
    match tag & 0b11 {
        0b00 => (tag >> 2).saturating_sub(59),
        0b01 => 1,
        0b10 => 2,
        _ => 4,
    }
}

/// The low `width` bytes.
#[inline]
fn operand_mask(width: u8) -> u32 {
    match width {
        0 => 0,
        1 => 0xff,
        2 => 0xffff,
        3 => 0x00ff_ffff,
        _ => u32::MAX,
    }
}

/// Fills `span` behind its first `period` bytes with repetitions of them, each pass doubling what is there.
#[inline]
fn repeat(span: &mut [u8], period: usize) {
    let mut filled = period;
    while filled < span.len() {
        let count = filled.min(span.len().saturating_sub(filled));
        span.copy_within(..count, filled);
        filled = filled.saturating_add(count);
    }
}

/// Lengths here come from 32-bit numbers, so nothing is lost.
fn narrow(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
