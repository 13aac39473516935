//! Frames: made by hand, and judged by `snap` and `prost`.

use remora_core::remote_write::{Check, Counts, Fault, FaultKind, Level, Verdict, Version};
use remora_core::snappy::{SnappyError, Window};

use crate::cuts::Cuts;

// The published schemas, as the tests of the check have them.
#[expect(clippy::cast_possible_truncation, reason = "no list here has 2^32 entries")]
#[path = "../../core/tests/write_requests/schema.rs"]
mod schema;

/// Longest decoded message, in bytes. Small, so that a large announced length costs nothing.
pub const LIMIT: u32 = 1 << 17;

/// The window of the first pass, in bytes.
const WINDOW: usize = 1 << 16;

/// One sample: a double (field 1) and a time (field 2).
const SAMPLE: &[u8] = b"\x09\0\0\0\0\0\0\xf0\x3f\x10\x01";

/// `message` as a snappy block of short literals. Fed byte by byte, it reaches the walker byte by byte.
pub fn in_literals(message: &[u8]) -> Vec<u8> {
    let mut block = varint(message.len());
    for literal in message.chunks(60) {
        block.push((literal.len().to_le_bytes()[0] - 1) << 2);
        block.extend_from_slice(literal);
    }
    block
}

/// A good frame of about `size` bytes more than the minimum, different for each number.
pub fn good(version: Version, number: usize, size: usize) -> Vec<u8> {
    let name = format!("frame_{number}_{}", "x".repeat(size));
    let message = match version {
        Version::V1 => {
            let label = [field(1, b"__name__"), field(2, name.as_bytes())].concat();
            field(1, &[field(1, &label), field(2, SAMPLE)].concat())
        }
        Version::V2 => {
            let symbols = [field(4, b""), field(4, b"__name__"), field(4, name.as_bytes())].concat();
            [symbols, field(5, &[field(1, &[1, 2]), field(2, SAMPLE)].concat())].concat()
        }
    };
    in_literals(&message)
}

/// A length-delimited protobuf field.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], varint(content.len()).as_slice(), content].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

/// The message in a snappy block, by `snap`; `None` if the block is invalid or longer than [`LIMIT`].
pub fn unpacked(block: &[u8]) -> Option<Vec<u8>> {
    let length = snap::raw::decompress_len(block).ok()?;
    let within = u32::try_from(length).is_ok_and(|length| length <= LIMIT);
    within.then(|| snap::raw::Decoder::new().decompress_vec(block).ok())?
}

/// The counts of `message`, by `prost`; `None` if it has to be refused.
pub fn counts(version: Version, message: &[u8]) -> Option<Counts> {
    schema::counts(version, message)
}

/// Compares the check of `block` with the `expected` result, at both levels and however it is cut.
pub fn judge(version: Version, block: &[u8], seed: u8, expected: Option<Counts>) {
    let full = verdict_cut_anyhow(version, Level::Full, block, seed);
    let wire = verdict_cut_anyhow(version, Level::Wire, block, seed);
    match (full, expected) {
        (Verdict::Good(ours), Some(theirs)) => assert_eq!(ours, theirs, "the counts differ"),
        (Verdict::Corrupt(_), None) => {}
        (Verdict::Corrupt(fault), Some(_)) => assert!(is_our_rule(fault), "only we refuse: {fault}"),
        (verdict, theirs) => panic!("{verdict:?}, but snap and prost find {theirs:?}"),
    }
    if !matches!(full, Verdict::Corrupt(fault) if fault.kind == FaultKind::Utf8) {
        assert_eq!(wire, full, "text makes no difference here");
    }
}

/// The two rules that are stricter than those of `snap` and `prost`: the limit on the decoded length, which `snap` does
/// not have, and the nesting of groups, where `prost` allows 100 and the check 16.
const fn is_our_rule(fault: Fault) -> bool {
    matches!(fault.kind, FaultKind::Snappy(SnappyError::TooLarge { .. }) | FaultKind::TooDeep)
}

/// The verdict on `block`, which must be the same however it is cut.
fn verdict_cut_anyhow(version: Version, level: Level, block: &[u8], seed: u8) -> Verdict {
    let whole = verdict(version, level, block, Cuts::Whole);
    for cuts in Cuts::others(seed) {
        assert_eq!(verdict(version, level, block, cuts), whole, "{cuts:?}");
    }
    whole
}

/// The verdict on `block`, after a second pass if the first one asks for a larger window.
fn verdict(version: Version, level: Level, block: &[u8], cuts: Cuts) -> Verdict {
    let mut size = WINDOW;
    loop {
        let mut bytes = vec![0xa5; size];
        let window = Window::new(&mut bytes).expect("a power of two");
        let mut check = Check::new(version, level, window, LIMIT).at(schema::NOW);
        cuts.pieces(block).for_each(|piece| check.feed(piece));
        match check.larger_window() {
            Some(larger) => {
                assert!(larger > size, "{larger} bytes are no larger window than {size}");
                size = larger;
            }
            None => return check.finish(),
        }
    }
}
