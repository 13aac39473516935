//! The life of a request, step by step, and what each outcome means to the sender.
//!
//! Every test drives one `forward::Exchange` by hand: bytes in, time in, events out. The output is read as a sender and
//! as Azure would read it.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails may panic"
)]

mod bench;
#[path = "../hostile/chunks.rs"]
mod chunks;
mod counters;
mod deadlines;
mod early;
#[path = "../hostile/heads.rs"]
mod heads;
mod hostile;
mod memo;
mod message;
mod pages;
mod repairs;
mod secrets;
mod splits;
mod table;
mod upstream_head;
mod web_pages;
