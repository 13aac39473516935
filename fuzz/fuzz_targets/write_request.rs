//! The check of a whole body against `snap` and `prost`: both accept it, with equal counts, or both refuse it.
//!
//! The lowest bit of an input's first byte chooses the protocol version, the byte seeds the cuts; the rest is the body
//! as a sender posts it.

#![cfg_attr(fuzzing, no_main)]

use remora_core::remote_write::Version;
use remora_fuzz::frame;

remora_fuzz::target!(judge);

fn judge(input: &[u8]) {
    let Some((&choice, body)) = input.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V1 } else { Version::V2 };
    let expected = frame::unpacked(body).and_then(|message| frame::counts(version, &message));
    frame::judge(version, body, choice, expected);
}
