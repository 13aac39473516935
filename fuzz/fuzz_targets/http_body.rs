//! Decoding of bodies: chunked ones against a decoder that reads them in one go, and all of them against other cuts.
//!
//! An input's first byte chooses the framing and seeds the cuts: mostly chunks, otherwise empty, a length or until
//! close. The rest is what arrives after the head.

#![cfg_attr(fuzzing, no_main)]

use remora_core::http::{BodyDecoder, BodyError, Framing, Piece};
use remora_fuzz::cuts::Cuts;
use remora_fuzz::plain;

remora_fuzz::target!(judge);

/// The data of a body and how many bytes of the input it took, or its fault.
type Outcome = Result<(Vec<u8>, usize), BodyError>;

fn judge(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let framing = match choice {
        0 => Framing::Empty,
        1 => Framing::UntilClose,
        length @ 2..64 => Framing::Length(length.into()),
        _ => Framing::Chunked,
    };
    let whole = decode(framing, bytes, Cuts::Whole);
    for cuts in Cuts::others(choice) {
        assert_eq!(decode(framing, bytes, cuts), whole, "{cuts:?}");
    }
    assert_eq!(whole.ok(), expected(framing, bytes), "{framing:?}");
}

/// The result for `bytes`; `None` if the body is truncated or faulty.
fn expected(framing: Framing, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    match framing {
        Framing::Empty => Some((Vec::new(), 0)),
        Framing::UntilClose => Some((bytes.to_vec(), bytes.len())),
        Framing::Length(length) => {
            let length = usize::try_from(length).ok()?;
            bytes.get(..length).map(|body| (body.to_vec(), length))
        }
        Framing::Chunked => plain::chunked(bytes),
    }
}

/// Decodes `input` as it arrives, and then ends.
fn decode(framing: Framing, input: &[u8], cuts: Cuts) -> Outcome {
    let (mut body, mut data, mut consumed) = (BodyDecoder::new(framing), Vec::new(), 0);
    for arrived in cuts.arrivals(input) {
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
