//! The decoder against `snap` from 1.1.2 on: it accepts the same bodies and produces the same bytes, whatever the cuts,
//! and whatever the window as long as copies stay within reach. Earlier versions differ in two places, each with a test
//! of its own here.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

use fastrand::Rng;
use remora_core::snappy::{Decoder, SnappyError, Window};

const LIMIT: u32 = 1 << 20;
const WINDOW: usize = 1 << 16;

/// Decodes `body` in the pieces that `next_piece` asks for.
fn decode(body: &[u8], window: usize, mut next_piece: impl FnMut() -> usize) -> Result<Vec<u8>, (SnappyError, u64)> {
    let mut bytes = vec![0xa5; window];
    let mut decoder = Decoder::new(Window::new(&mut bytes).unwrap(), LIMIT);
    let mut output = Vec::new();
    let mut left = body;
    while !left.is_empty() {
        let (piece, tail) = left.split_at(next_piece().clamp(1, left.len()));
        left = tail;
        let mut rest = piece;
        loop {
            let step = match decoder.step(rest) {
                Ok(step) => step,
                Err(error) => return Err((error, decoder.position())),
            };
            output.extend_from_slice(step.run);
            rest = &rest[step.used..];
            if step.run.is_empty() && rest.is_empty() {
                break;
            }
        }
    }
    let end = decoder.finish();
    end.map(|()| output).map_err(|error| (error, decoder.position()))
}

/// The result for `body`, which must be the same however it is cut.
fn decode_cut_anyhow(body: &[u8], window: usize, rng: &mut Rng) -> Result<Vec<u8>, SnappyError> {
    let whole = decode(body, window, || usize::MAX);
    assert_eq!(decode(body, window, || 1), whole, "byte by byte: {body:02x?}");
    for most in [3, 300] {
        assert_eq!(decode(body, window, || rng.usize(1..=most)), whole, "pieces of up to {most}: {body:02x?}");
    }
    whole.map_err(|(error, _)| error)
}

/// Compares our result with that of `snap`.
fn compare(body: &[u8], window: usize, rng: &mut Rng) -> Result<Vec<u8>, SnappyError> {
    let ours = decode_cut_anyhow(body, window, rng);
    if let Err(SnappyError::TooLarge { .. }) = ours {
        return ours;
    }
    match (&ours, snap::raw::Decoder::new().decompress_vec(body)) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, &theirs, "{body:02x?}"),
        (Ok(_), Err(error)) => panic!("only snap refuses: {error}: {body:02x?}"),
        (Err(error), Ok(_)) => panic!("only we refuse: {error}: {body:02x?}"),
        (Err(_), Err(_)) => {}
    }
    ours
}

/// A body of random elements in all their forms, with offsets within reach.
fn random_elements(rng: &mut Rng, window: usize) -> Vec<u8> {
    let (mut elements, mut produced) = (Vec::new(), 0);
    for _ in 0..rng.usize(0..40) {
        let most_back = produced.min(reach(produced, window));
        if most_back == 0 || rng.bool() {
            let length = rng.choice([1..=20, 50..=70, 60..=400]).map_or(1, |lengths| rng.usize(lengths));
            literal_header(&mut elements, length, rng);
            elements.extend(core::iter::repeat_with(|| rng.alphanumeric() as u8).take(length));
            produced += length;
        } else {
            let offset = if rng.bool() { most_back } else { rng.usize(1..=most_back) };
            produced += copy(&mut elements, offset, rng);
        }
    }
    let mut body = Vec::new();
    let mut left = produced;
    while left >= 0x80 {
        body.push(left.to_le_bytes()[0] | 0x80);
        left >>= 7;
    }
    body.push(left.to_le_bytes()[0]);
    body.append(&mut elements);
    body
}

/// How far back a copy after `produced` bytes may begin: to the ring's front, or over it but for its oldest 63 bytes.
fn reach(produced: usize, window: usize) -> usize {
    (produced % window).max(window - 63)
}

fn literal_header(elements: &mut Vec<u8>, length: usize, rng: &mut Rng) {
    let last = length - 1;
    let shortest = if last < 60 { 0 } else { (last.ilog2() as usize / 8) + 1 };
    let width = if rng.u8(0..4) == 0 { rng.usize(shortest..=4) } else { shortest };
    match width {
        0 => elements.push(last.to_le_bytes()[0] << 2),
        _ => elements.push((59 + width).to_le_bytes()[0] << 2),
    }
    elements.extend_from_slice(&last.to_le_bytes()[..width]);
}

/// Writes a copy in one of the forms that can hold `offset`; returns its length.
fn copy(elements: &mut Vec<u8>, offset: usize, rng: &mut Rng) -> usize {
    let [low, high, ..] = offset.to_le_bytes();
    match rng.u8(0..3) {
        0 if offset < 2048 => {
            let extra = rng.u8(0..8);
            elements.extend([high << 5 | extra << 2 | 0b01, low]);
            usize::from(extra) + 4
        }
        form => {
            let extra = rng.u8(0..64);
            let wide = form == 1 || offset > 0xffff;
            elements.push(extra << 2 | if wide { 0b11 } else { 0b10 });
            elements.extend_from_slice(&offset.to_le_bytes()[..if wide { 4 } else { 2 }]);
            usize::from(extra) + 1
        }
    }
}

fn mutate(body: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(0..=body.len());
        match rng.u8(0..5) {
            0 => body.truncate(at),
            1 => body.insert(at, rng.u8(..)),
            2 if at < body.len() => drop(body.remove(at)),
            3 if at < body.len() => body[at] ^= 1 << rng.u8(0..8),
            _ if at < body.len() => body[at] = [0x00, 0x01, 0x02, 0x03, 0xf0, 0xfc, 0x80, 0xff][rng.usize(0..8)],
            _ => {}
        }
    }
}

#[test]
fn random_elements_decode_alike() {
    let mut rng = Rng::with_seed(0x5eed_0001);
    for _ in 0..1_000 {
        let window = [128, 256, 1024, WINDOW][rng.usize(0..4)];
        let body = random_elements(&mut rng, window);
        assert!(compare(&body, window, &mut rng).is_ok(), "{body:02x?}");
    }
}

#[test]
fn mutated_elements_are_judged_alike() {
    let mut rng = Rng::with_seed(0x5eed_0002);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..3_000 {
        let mut body = random_elements(&mut rng, WINDOW);
        mutate(&mut body, &mut rng);
        match compare(&body, WINDOW, &mut rng) {
            Ok(_) => accepted += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 200 && refused > 200, "one-sided: {accepted} accepted, {refused} refused");
}

#[test]
fn packed_text_and_noise_decode_alike() {
    let mut rng = Rng::with_seed(0x5eed_0003);
    for size in (0..40).map(|i| i * 7).chain([4_000, 65_535, 65_536, 65_537, 200_000]) {
        let noise: Vec<u8> = core::iter::repeat_with(|| rng.u8(..)).take(size).collect();
        let text: Vec<u8> = core::iter::repeat_with(|| b"job=node "[rng.usize(0..9)]).take(size).collect();
        for plain in [noise, text, vec![b'r'; size]] {
            let body = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
            assert_eq!(compare(&body, WINDOW, &mut rng), Ok(plain));
        }
    }
}

#[test]
fn offsets_within_reach_are_reached_and_no_further() {
    for window in [128_usize, 1024, WINDOW] {
        for produced in [window * 2 - 1, window * 2, window * 2 + 1, window * 3 - 63, window * 3 - 62] {
            let reach = reach(produced, window);
            for (offset, reached) in [(reach - 1, true), (reach, true), (reach + 1, false), (window + 1, false)] {
                let total = produced + 64 + 64;
                let mut body = vec![total as u8 | 0x80, (total >> 7) as u8 | 0x80, (total >> 14) as u8];
                // Literals of a byte, each of which is written as a chunk: there is enough input behind the last one.
                for i in 0..produced {
                    body.extend([0, (i * 7 % 251) as u8]);
                }
                let tag = body.len() as u64;
                body.push(63 << 2 | 0b11);
                body.extend_from_slice(&(offset as u32).to_le_bytes());
                body.extend([0; 128]);
                let decoded = decode(&body, window, || usize::MAX);
                let expected = snap::raw::Decoder::new().decompress_vec(&body).unwrap();
                let beyond = SnappyError::OffsetBeyondWindow { offset: offset as u32 };
                let expected = if reached { Ok(expected) } else { Err((beyond, tag)) };
                assert_eq!(decoded, expected, "{offset} back after {produced} in {window}");
            }
        }
    }
}

/// `snap` up to 1.1.1 and golang/snappy accept it, the C++ decoder does not.
#[test]
fn a_preamble_of_six_bytes_is_refused() {
    let mut rng = Rng::with_seed(0x5eed_0004);
    for body in [b"\x80\x80\x80\x80\x80\x00".as_slice(), b"\x84\x80\x80\x80\x80\x00\x0cabcd"] {
        assert_eq!(compare(body, WINDOW, &mut rng), Err(SnappyError::LengthVarint));
    }
}

/// `snap` up to 1.1.1 refuses it, all others accept it.
#[test]
fn a_short_literal_in_a_long_form_is_taken_at_the_end() {
    let mut rng = Rng::with_seed(0x5eed_0005);
    for body in [b"\x01\xf0\x00x".as_slice(), b"\x01\xf4\x00\x00x", b"\x01\xf8\x00\x00\x00x", b"\x01\xfc\0\0\0\0x"] {
        assert_eq!(compare(body, WINDOW, &mut rng), Ok(b"x".to_vec()));
    }
}

/// In S2 it repeats the last offset; snappy has no such element.
#[test]
fn offset_0_is_refused_behind_another_copy() {
    let mut rng = Rng::with_seed(0x5eed_0006);
    let body = b"\x0c\x0cabcd\x01\x04\x01\x00";
    assert_eq!(compare(body, WINDOW, &mut rng), Err(SnappyError::ZeroOffset));
}
