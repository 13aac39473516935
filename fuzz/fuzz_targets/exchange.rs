//! The life of requests under typed operations: nothing is acknowledged that Azure did not receive completely and
//! acknowledge, no corrupt frame is forwarded, no good one is permanently refused, no event is lost, every exchange
//! ends, and no call makes it panic.

#![cfg_attr(fuzzing, no_main)]

use arbitrary::{Arbitrary, Unstructured};
use remora_fuzz::exchange::operation::Conversation;

remora_fuzz::target!(judge);

fn judge(input: &[u8]) {
    if let Ok(conversation) = Conversation::arbitrary_take_rest(Unstructured::new(input)) {
        remora_fuzz::exchange::run(&conversation);
    }
}
