//! What can be wrong with a body, and where.

use core::fmt;

use crate::snappy::SnappyError;

/// Why a body is refused, and where. The sender built it wrong; sending it again does not help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Where, in bytes from 0: in the compressed body for [`FaultKind::Snappy`], in the decoded message for all others.
    /// It is the start of the field at fault; for [`FaultKind::Utf8`] the first byte that is wrong, or the end of text
    /// that is cut short; for what is found at the end of a message, that end.
    pub at: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.at)
    }
}

impl core::error::Error for Fault {}

/// What is wrong with a body. All but [`Snappy`](Self::Snappy) are faults of the protobuf message in it; section names
/// are those of the protobuf encoding guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The body is not a valid snappy block.
    Snappy(SnappyError),
    /// A number takes more than 10 bytes or 64 bits ("Base 128 Varints").
    Varint,
    /// A field or element is cut off by the end of the message or packed run that holds it.
    Cut,
    /// A field's length exceeds what is left of the message that holds it.
    Length {
        /// The length in bytes.
        length: u64,
    },
    /// A field key that does not fit 32 bits. Decoders that truncate it would read another field.
    Key {
        /// The key.
        key: u64,
    },
    /// Field number 0.
    FieldZero,
    /// Wire type 6 or 7, which do not exist ("Message Structure").
    WireType {
        /// The wire type.
        wire: u8,
    },
    /// A field of the schema with a wire type that its type cannot have.
    FieldType {
        /// The field's number.
        field: u32,
        /// The wire type found.
        wire: u8,
    },
    /// The end of a group that is not open, or is not the innermost open one.
    GroupEnd {
        /// The field number of the end.
        field: u32,
    },
    /// A group that is still open where its message ends.
    GroupOpen {
        /// The field number of the group.
        field: u32,
    },
    /// Groups nested deeper than 16, which no sender uses.
    TooDeep,
    /// A packed run of 8-byte numbers whose length is not a multiple of 8.
    PackedLength {
        /// The length in bytes.
        length: u64,
    },
    /// Text that is not UTF-8.
    Utf8,
    /// An odd number of label references; they are pairs of name and value (remote-write 2.0, "Symbols").
    OddReferences,
    /// A reference to a symbol that the request does not have.
    Reference {
        /// The reference, counted from 0.
        reference: u32,
        /// How many symbols there are.
        symbols: u32,
    },
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Snappy(error) => error.fmt(f),
            Self::Varint => f.write_str("protobuf: number longer than 10 bytes or 64 bits"),
            Self::Cut => f.write_str("protobuf: field cut off by the end of its message"),
            Self::Length { length } => write!(f, "protobuf: length {length} runs past the message"),
            Self::Key { key } => write!(f, "protobuf: field key {key} exceeds 32 bits"),
            Self::FieldZero => f.write_str("protobuf: field number 0"),
            Self::WireType { wire } => write!(f, "protobuf: unknown wire type {wire}"),
            Self::FieldType { field, wire } => write!(f, "protobuf: wire type {wire} on field {field}"),
            Self::GroupEnd { field } => write!(f, "protobuf: unmatched end of group {field}"),
            Self::GroupOpen { field } => write!(f, "protobuf: group {field} is not closed"),
            Self::TooDeep => f.write_str("protobuf: groups nested deeper than 16"),
            Self::PackedLength { length } => write!(f, "protobuf: packed length {length} is not a multiple of 8"),
            Self::Utf8 => f.write_str("protobuf: text is not utf-8"),
            Self::OddReferences => f.write_str("protobuf: odd number of label references"),
            Self::Reference { reference, symbols } => {
                write!(f, "protobuf: reference {reference} is beyond the {symbols} symbols")
            }
        }
    }
}
