//! What can be wrong with a snappy block.

use core::fmt;

/// Why a body is not a snappy block. Each is the sender's fault and final, except
/// [`OffsetBeyondWindow`](Self::OffsetBeyondWindow), which a larger window resolves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnappyError {
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
    /// A copy that reaches back beyond the start of the output.
    OffsetBeforeStart {
        /// How far back it reaches, in bytes.
        offset: u32,
    },
    /// A copy that reaches further back than the window remembers. The body may still be valid.
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
            Self::NoLength => f.write_str("snappy: body is empty or ends before its length"),
            Self::LengthVarint => f.write_str("snappy: length preamble exceeds 5 bytes or 32 bits"),
            Self::TooLarge { declared, limit } => {
                write!(f, "snappy: decoded length {declared} exceeds the limit of {limit} bytes")
            }
            Self::ZeroOffset => f.write_str("snappy: copy offset 0"),
            Self::OffsetBeforeStart { offset } => write!(f, "snappy: copy offset {offset} before the start"),
            Self::OffsetBeyondWindow { offset } => write!(f, "snappy: copy offset {offset} beyond the window"),
            Self::Overrun { declared } => write!(f, "snappy: more output than the declared {declared} bytes"),
            Self::Truncated { produced, declared } => {
                write!(f, "snappy: body ends after {produced} of {declared} decoded bytes")
            }
        }
    }
}

impl core::error::Error for SnappyError {}
