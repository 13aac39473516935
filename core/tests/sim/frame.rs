//! Identifiable frames, made without the code under test: a snappy block of literals, and in it one series whose label
//! value is the frame's number.

use crate::random::Random;

/// Appends a length-delimited protobuf field.
fn field(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, content.len());
    out.extend_from_slice(content);
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// One sample: a double (field 1) and a time (field 2).
const SAMPLE: &[u8] = b"\x09\0\0\0\0\0\0\xf0\x3f\x10\x01";

fn v1(name: &[u8]) -> Vec<u8> {
    let (mut label, mut series, mut message) = (Vec::new(), Vec::new(), Vec::new());
    field(&mut label, 1, b"__name__");
    field(&mut label, 2, name);
    field(&mut series, 1, &label);
    field(&mut series, 2, SAMPLE);
    field(&mut message, 1, &series);
    message
}

fn v2(name: &[u8]) -> Vec<u8> {
    let (mut series, mut message) = (Vec::new(), Vec::new());
    for symbol in [&b""[..], b"__name__", name] {
        field(&mut message, 4, symbol);
    }
    field(&mut series, 1, &[1, 2]);
    field(&mut series, 2, SAMPLE);
    field(&mut message, 5, &series);
    message
}

/// A snappy block of literals only (`format_description.txt` §2.1).
fn pack(message: &[u8]) -> Vec<u8> {
    let mut block = Vec::new();
    varint(&mut block, message.len());
    for literal in message.chunks(1 << 16) {
        block.push(61 << 2);
        block.extend_from_slice(&((literal.len() - 1) as u16).to_le_bytes());
        block.extend_from_slice(literal);
    }
    block
}

/// A good frame of about `size` bytes, different for each number.
pub(crate) fn good(number: usize, size: usize, second_version: bool) -> Vec<u8> {
    let name = format!("frame_{number}_{}", "x".repeat(size));
    pack(&if second_version { v2(name.as_bytes()) } else { v1(name.as_bytes()) })
}

/// A frame of remote-write 1.0 that no receiver can read.
pub(crate) fn corrupt(number: usize, size: usize, random: &mut Random) -> Vec<u8> {
    let mut frame = good(number, size, false);
    match random.range(0, 3) {
        0 => frame.truncate(random.range(0, frame.len() - 1)),
        1 => frame.push(0),
        2 => frame[0] ^= 1,
        // The label's name is 0xff now, which is not UTF-8.
        _ => {
            let name = frame.windows(6).position(|six| six == b"frame_").expect("the number");
            frame[name] = 0xff;
        }
    }
    frame
}
