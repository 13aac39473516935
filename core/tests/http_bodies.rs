//! Bodies cut in every way: every vector at every cut, and random chunked bodies, intact and damaged, against a second
//! decoder that reads them in one go.
#![expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "the second decoder is to be plain, and a panic in it is a failed test"
)]

#[path = "hostile/chunks.rs"]
mod table;

use remora_core::http::{BodyDecoder, BodyError as E, Framing as F, HeadScan, Piece, decode_request, field_slots};
use table::FAULTY_BODIES;

/// The result of decoding: the data and how many bytes of the input the body took, or its fault, or `Truncated` at the
/// end of the input.
type Outcome = Result<(Vec<u8>, usize), E>;

/// Framing, the bytes after the head, the data, the bytes of the next message.
type WholeBody = (F, &'static [u8], &'static [u8], &'static [u8]);

const WHOLE_BODIES: &[WholeBody] = &[
    (F::Empty, b"", b"", b"POST"),
    (F::Length(0), b"", b"", b"POST"),
    (F::Length(5), b"0\r\n\r\n", b"0\r\n\r\n", b"POST"),
    (F::Chunked, b"0\r\n\r\n", b"", b"POST"),
    (F::Chunked, b"0000000000000000\r\n\r\n", b"", b"0\r\n\r\n"),
    (F::Chunked, b"3\r\nabc\r\n0\r\n\r\n", b"abc", b"\r\n"),
    (F::Chunked, b"0003\r\nabc\r\n1\r\nd\r\n00\r\n\r\n", b"abcd", b"POST"),
    (F::Chunked, b"a\r\n0123456789\r\nB\r\n0123456789a\r\n0\r\n\r\n", b"01234567890123456789a", b"POST"),
    (F::Chunked, b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n", b"POST"),
    (F::Chunked, b"2;a\r\n\r\n\r\n0;b=\"c;\"\r\n\r\n", b"\r\n", b"POST"),
    (F::Chunked, b"1 ; a = b\r\nx\r\n0\t;c\r\n\r\n", b"x", b"POST"),
    (F::Chunked, b"1\r\nx\r\n0\r\nA: b\r\nContent-Length:\r\n\r\n", b"x", b"POST"),
];

/// Decodes `input` as it arrives in reads that end at `cuts`, and then ends.
fn decode(framing: F, input: &[u8], cuts: impl IntoIterator<Item = usize>) -> Outcome {
    let (mut body, mut data, mut consumed) = (BodyDecoder::new(framing), Vec::new(), 0);
    for arrived in cuts.into_iter().chain([input.len()]) {
        loop {
            let (used, piece) = body.next(&input[consumed..arrived])?;
            consumed += used;
            match piece {
                Piece::Data(run) => data.extend_from_slice(run),
                Piece::NeedMore => break assert_eq!(consumed, arrived, "input left over"),
                Piece::End => return Ok((data, consumed)),
            }
        }
    }
    body.end_of_input().map(|()| (data, consumed))
}

#[test]
fn whole_bodies_end_where_the_next_message_begins() {
    for (framing, bytes, data, next) in WHOLE_BODIES {
        let input = [*bytes, *next].concat();
        let expected = Ok((data.to_vec(), bytes.len()));
        assert_eq!(decode(*framing, &input, []), expected, "{}", bytes.escape_ascii());
        assert_eq!(decode(*framing, &input, 0..input.len()), expected, "{}, byte by byte", bytes.escape_ascii());
        for (first, second) in pairs(input.len()) {
            let cut = decode(*framing, &input, [first, second]);
            assert_eq!(cut, expected, "{} cut at {first} and {second}", bytes.escape_ascii());
        }
    }
}

#[test]
fn whole_bodies_are_not_whole_before_their_end() {
    for (framing, bytes, ..) in WHOLE_BODIES {
        for len in 0..bytes.len() {
            assert_eq!(decode(*framing, &bytes[..len], []), Err(E::Truncated), "{}", bytes[..len].escape_ascii());
        }
    }
}

#[test]
fn faulty_bodies_have_the_same_fault_at_every_cut() {
    for (label, input, fault) in FAULTY_BODIES {
        assert_eq!(decode(F::Chunked, input, []), Err(*fault), "{label}");
        assert_eq!(decode(F::Chunked, input, 0..input.len()), Err(*fault), "{label}, byte by byte");
        for (first, second) in pairs(input.len()) {
            assert_eq!(decode(F::Chunked, input, [first, second]), Err(*fault), "{label}, {first}, {second}");
        }
    }
}

/// All ways to cut `len` bytes in three.
fn pairs(len: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..=len).flat_map(move |second| (0..=second).map(move |first| (first, second)))
}

#[test]
fn a_body_until_close_is_everything() {
    let input = b"0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(decode(F::UntilClose, input, 0..input.len()), Ok((input.to_vec(), input.len())));
}

/// RUSTSEC-2020-0093, RUSTSEC-2025-0037: a request inside a body is data, however the body is framed.
#[test]
fn requests_within_bodies_are_not_requests() {
    let hidden = "POST /hidden HTTP/1.1\r\nHost: h\r\n\r\n";
    let len = hidden.len();
    let head = "Host: h\r\nTransfer-Encoding: chunked\r\n";
    let stream = format!(
        "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: {len}\r\n\r\n{hidden}\
         POST /b HTTP/1.1\r\n{head}\r\n{len:x}\r\n{hidden}\r\n0\r\nX: POST /hidden HTTP/1.1\r\n\r\n\
         POST /c HTTP/1.1\r\nHost: h\r\n\r\n\r\n\
         POST /d HTTP/1.1\r\n{head}\r\n0\r\n\r\n"
    );
    let (mut rest, mut targets) = (stream.as_bytes(), Vec::new());
    while let Some(head_len) = HeadScan::default().scan(rest).unwrap() {
        let mut slots = field_slots();
        let head = decode_request(&rest[..head_len], &mut slots).unwrap();
        let (_, body_len) = decode(head.framing, &rest[head_len..], []).unwrap();
        targets.push(head.target);
        rest = &rest[head_len + body_len..];
    }
    assert_eq!(targets, ["/a", "/b", "/c", "/d"]);
    assert!(rest.is_empty());
}

/// Pseudo-random numbers, the same in every run (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }

    /// A well-formed chunked body and its data.
    fn chunked_body(&mut self) -> (Vec<u8>, Vec<u8>) {
        let (mut bytes, mut data) = (Vec::new(), Vec::new());
        for _ in 0..self.below(5) {
            let chunk: Vec<u8> = (0..=self.below(20)).map(|_| b"\r\n0;a\xff"[self.below(6)]).collect();
            let size = match self.below(3) {
                0 => format!("{:x}", chunk.len()),
                1 => format!("{:X}", chunk.len()),
                _ => format!("{:04x}", chunk.len()),
            };
            let extension = self.one_of(&["", "", ";a", " ; a=\"b;\"", "\t;c=d;e"]);
            bytes.extend_from_slice(&[size.as_bytes(), extension.as_bytes(), b"\r\n", &chunk, b"\r\n"].concat());
            data.extend(chunk);
        }
        let last = self.one_of(&["0\r\n", "000\r\n", "0;x\r\n"]);
        let trailers = self.one_of(&["", "", "A: b\r\n", "A:\r\nB-c: \td;\r\n"]);
        bytes.extend_from_slice(&[last, trailers, "\r\n"].concat().into_bytes());
        (bytes, data)
    }

    /// Changes, inserts or removes one byte.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len());
        let byte = b"\r\n 0159afg;:\0"[self.below(13)];
        match self.below(3) {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
    }

    /// Ascending ends of reads.
    fn cuts(&mut self, len: usize) -> Vec<usize> {
        let mut cuts: Vec<_> = (0..self.below(6)).map(|_| self.below(len + 1)).collect();
        cuts.sort_unstable();
        cuts
    }
}

/// The simplest possible decoder, with the whole body at hand; `None` for every fault, including a missing end. It
/// checks no bounds: the bodies here are far below them.
fn read_at_once(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut rest, mut data) = (input, Vec::new());
    loop {
        let (size_line, after) = line(rest)?;
        rest = after;
        let size = chunk_size(size_line)?;
        if size == 0 {
            break;
        }
        data.extend_from_slice(rest.get(..size)?);
        rest = rest[size..].strip_prefix(b"\r\n")?;
    }
    loop {
        let (trailer, after) = line(rest)?;
        rest = after;
        if trailer.is_empty() {
            return Some((data, input.len() - rest.len()));
        }
        let name = &trailer[..trailer.iter().position(|&byte| byte == b':')?];
        if name.is_empty() || !name.iter().copied().all(is_token_byte) {
            return None;
        }
    }
}

/// The bytes before the first CRLF, and those after it. `None` if the line holds a control character other than the
/// tab.
fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.windows(2).position(|pair| pair == b"\r\n")?;
    let text = &input[..end];
    text.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control()).then_some((text, &input[end + 2..]))
}

/// The size at the start of a chunk-size line whose extension, if any, has a name.
fn chunk_size(line: &[u8]) -> Option<usize> {
    let text: String = line.iter().map(|&byte| char::from(byte)).collect();
    let digits = match text.split_once(';') {
        None => &*text,
        Some((size, extension)) => {
            let name = extension.trim_start_matches([' ', '\t']).bytes().next()?;
            is_token_byte(name).then(|| size.trim_end_matches([' ', '\t']))?
        }
    };
    let plain = digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if plain { usize::from_str_radix(digits, 16).ok() } else { None }
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[test]
fn random_bodies_decode_to_their_data() {
    let mut random = Random(0x5eed_0001);
    for _ in 0..20_000 {
        let (bytes, data) = random.chunked_body();
        let input = [&*bytes, b"POST"].concat();
        let cuts = random.cuts(input.len());
        assert_eq!(decode(F::Chunked, &input, cuts), Ok((data, bytes.len())), "{}", input.escape_ascii());
    }
}

#[test]
fn damaged_bodies_are_taken_exactly_when_the_plain_reading_takes_them() {
    let mut random = Random(0x5eed_0002);
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..100_000 {
        let (mut input, _) = random.chunked_body();
        for _ in 0..=random.below(3) {
            random.damage(&mut input);
        }
        let expected = read_at_once(&input);
        let cuts = random.cuts(input.len());
        let outcome = decode(F::Chunked, &input, cuts);
        assert_eq!(outcome.clone().ok(), expected, "{} {outcome:?}", input.escape_ascii());
        assert_eq!(decode(F::Chunked, &input, []), outcome, "{}", input.escape_ascii());
        *if expected.is_some() { &mut taken } else { &mut refused } += 1;
    }
    assert!(taken > 1_000 && refused > 1_000, "{taken} taken, {refused} refused: the damage is one-sided");
}
