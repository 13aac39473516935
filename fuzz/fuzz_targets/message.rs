//! The walk over a message against `prost`. The message is wrapped in snappy literals here, so that every mutation
//! reaches the walker.
//!
//! The lowest bit of an input's first byte chooses the protocol version, the byte seeds the cuts; the rest is the
//! message without compression.

#![cfg_attr(fuzzing, no_main)]

use remora_core::remote_write::Version;
use remora_fuzz::frame;

remora_fuzz::target!(judge);

fn judge(input: &[u8]) {
    let Some((&choice, message)) = input.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V1 } else { Version::V2 };
    frame::judge(version, &frame::in_literals(message), choice, frame::counts(version, message));
}
