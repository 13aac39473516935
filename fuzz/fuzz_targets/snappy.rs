//! The decoder against `snap`: it accepts the same blocks and produces the same bytes, whatever the window and the
//! cuts.
//!
//! The first byte of an input chooses the window and seeds the cuts; the rest is the block.

#![cfg_attr(fuzzing, no_main)]

use remora_core::snappy::{Decoder, SnappyError, Window};
use remora_fuzz::cuts::Cuts;
use remora_fuzz::frame::{LIMIT, unpacked};

remora_fuzz::target!(judge);

/// The bytes of a block, or its fault and position.
type Outcome = Result<Vec<u8>, (SnappyError, u64)>;

/// No block within the limit reaches back further than this.
const WHOLE_WINDOW: usize = LIMIT as usize;

fn judge(input: &[u8]) {
    let Some((&choice, block)) = input.split_first() else { return };
    let window = 128 << (choice % 10);
    let ours = match decode_cut_anyhow(block, window, choice) {
        Err((SnappyError::OffsetBeyondWindow { .. }, _)) => decode_cut_anyhow(block, WHOLE_WINDOW, choice),
        outcome => outcome,
    };
    match (ours, unpacked(block)) {
        (Ok(ours), Some(theirs)) => assert!(ours == theirs, "the bytes differ"),
        (Ok(_), None) => panic!("only snap refuses"),
        (Err((error, _)), Some(_)) => panic!("only we refuse: {error}"),
        (Err((SnappyError::OffsetBeyondWindow { offset }, _)), None) => panic!("nothing lies {offset} bytes back"),
        (Err(_), None) => {}
    }
}

/// The outcome for `block`, which must be the same however it is cut.
fn decode_cut_anyhow(block: &[u8], window: usize, seed: u8) -> Outcome {
    let whole = decode(block, window, Cuts::Whole);
    for cuts in Cuts::others(seed) {
        assert!(decode(block, window, cuts) == whole, "{cuts:?} makes a difference");
    }
    whole
}

fn decode(block: &[u8], window: usize, cuts: Cuts) -> Outcome {
    let mut bytes = vec![0xa5; window];
    let mut decoder = Decoder::new(Window::new(&mut bytes).expect("a power of two"), LIMIT);
    let mut output = Vec::new();
    for piece in cuts.pieces(block) {
        let drained = drain(&mut decoder, piece, &mut output);
        drained.map_err(|error| (error, decoder.position()))?;
    }
    let end = decoder.finish();
    end.map(|()| output).map_err(|error| (error, decoder.position()))
}

fn drain(decoder: &mut Decoder<'_>, mut rest: &[u8], output: &mut Vec<u8>) -> Result<(), SnappyError> {
    loop {
        let step = decoder.step(rest)?;
        output.extend_from_slice(step.run);
        rest = &rest[step.used..];
        if step.run.is_empty() && rest.is_empty() {
            return Ok(());
        }
    }
}
