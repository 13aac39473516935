//! The check of whole bodies: against an independent decoder, fault by fault, and on bodies from a real sender.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod bodies;
mod faults;
mod generate;
mod oracle;
mod schema;

use fastrand::Rng;
use remora_core::remote_write::{Check, Level, Verdict, Version};
use remora_core::snappy::Window;

const LIMIT: u32 = 32 << 20;
const WINDOW: usize = 1 << 16;

/// Checks `body` in the pieces that `next_piece` asks for.
fn check(version: Version, level: Level, body: &[u8], mut next_piece: impl FnMut() -> usize) -> Verdict {
    let mut bytes = vec![0xa5; WINDOW];
    let mut check = Check::new(version, level, Window::new(&mut bytes).unwrap(), LIMIT).at(schema::NOW);
    let mut left = body;
    while !left.is_empty() {
        let (piece, tail) = left.split_at(next_piece().clamp(1, left.len()));
        check.feed(piece);
        left = tail;
    }
    check.finish()
}

/// `message` as a snappy body of literals only. Fed byte by byte, it reaches the walker byte by byte.
fn in_literals(message: &[u8]) -> Vec<u8> {
    let mut body = varint(message.len() as u64);
    for literal in message.chunks(60) {
        body.push((literal.len() as u8 - 1) << 2);
        body.extend_from_slice(literal);
    }
    body
}

/// The verdict on `message`, which must be the same whole, byte by byte and in random pieces.
fn check_cut_anyhow(version: Version, level: Level, message: &[u8], rng: &mut Rng) -> Verdict {
    let body = in_literals(message);
    let whole = check(version, level, &body, || usize::MAX);
    assert_eq!(check(version, level, &body, || 1), whole, "byte by byte: {message:02x?}");
    assert_eq!(check(version, level, &body, || rng.usize(1..40)), whole, "in pieces: {message:02x?}");
    let packed = snap::raw::Encoder::new().compress_vec(message).unwrap();
    assert_eq!(check(version, level, &packed, || rng.usize(1..40)), whole, "packed: {message:02x?}");
    whole
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}
