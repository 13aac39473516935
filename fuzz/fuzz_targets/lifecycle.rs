//! The life of a token under typed operations: one fetch at a time, a token that is usable until it expires, no wake-up
//! in the past, no fetch in a pause that the server asked for.

#![cfg_attr(fuzzing, no_main)]

use arbitrary::{Arbitrary, Unstructured};
use remora_fuzz::lifecycle::{Model, Operation};

remora_fuzz::target!(judge);

/// The machine's parameters and the operations on it.
#[derive(Arbitrary, Debug)]
struct Life {
    seed: u32,
    start: u32,
    operations: Vec<Operation>,
}

fn judge(input: &[u8]) {
    let Ok(life) = Life::arbitrary_take_rest(Unstructured::new(input)) else { return };
    let mut model = Model::new(life.seed, life.start);
    life.operations.into_iter().for_each(|operation| model.apply(operation));
}
