//! The simulator: an exchange between a scripted sender and a scripted Azure, under a virtual clock, on links that cut,
//! delay, reset and fall silent. Every conversation comes from one seed and can be run again from it.
//!
//! `REMORA_SIM_RUNS` sets how many conversations the random test runs, `REMORA_SIM_SEED` runs and prints one.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "a test that fails may panic"
)]

mod azure;
mod conversation;
mod driver;
mod frame;
mod judge;
mod link;
mod random;
mod script;
mod sender;

use std::collections::BTreeSet;
use std::{env, thread};

use conversation::{Account, Conversation};
use random::Random;
use script::Loss;

/// Conversations of the random test unless the environment overrides it.
const RUNS: u64 = 20_000;

/// Threads of the random test.
const THREADS: u64 = 4;

/// Statuses that senders must have received after this many conversations.
const USUAL: (u64, [u16; 14]) = (2000, [200, 204, 400, 404, 405, 409, 415, 417, 500, 501, 502, 503, 504, 505]);

/// Runs one conversation and judges it; `name` says how to reproduce it.
fn check(name: &str, conversation: &Conversation) -> Account {
    let checked = std::panic::catch_unwind(|| {
        let account = conversation::run(conversation);
        judge::judge(conversation, &account);
        account
    });
    checked.unwrap_or_else(|_| panic!("run this one again with {name}"))
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect(name))
}

/// Runs every fourth conversation from `first` on; returns the statuses that senders received.
fn check_share(first: u64, runs: u64) -> BTreeSet<u16> {
    let seeds = (first..runs).step_by(THREADS as usize);
    let accounts = seeds.map(|seed| check(&format!("REMORA_SIM_SEED={seed}"), &Conversation::random(seed)));
    accounts.flat_map(|account| account.answers).map(|answer| answer.status).collect()
}

#[test]
fn random_conversations_keep_the_guarantees() {
    if let Some(seed) = number("REMORA_SIM_SEED") {
        let conversation = Conversation::random(seed);
        println!("{conversation:#?}");
        println!("{:#?}", check("the same seed", &conversation));
        return;
    }
    let runs = number("REMORA_SIM_RUNS").unwrap_or(RUNS);
    let told: BTreeSet<u16> = thread::scope(|scope| {
        let shares: Vec<_> = (0..THREADS).map(|first| scope.spawn(move || check_share(first, runs))).collect();
        shares.into_iter().flat_map(|share| share.join().expect("every conversation of a share")).collect()
    });
    let (enough, usual) = USUAL;
    assert!(runs < enough || usual.iter().all(|status| told.contains(status)), "only {told:?} ever came about");
}

/// The conversation that is cut at every byte: two writes with a length, then one in chunks.
fn plain(seed: u64) -> Conversation {
    Conversation::plain(&mut Random::new(seed))
}

#[test]
fn a_sender_may_be_lost_at_every_byte() {
    let bytes = plain(1).script.len();
    for at in 0..=bytes {
        for how in Loss::ALL {
            let mut conversation = plain(1);
            conversation.script.lost = Some((at, how));
            check(&format!("{how:?} at byte {at}"), &conversation);
        }
    }
}

#[test]
fn azure_may_be_lost_at_every_byte_of_a_request() {
    let most = conversation::run(&plain(1)).attempts.iter().map(|attempt| attempt.bytes).max().unwrap();
    for at in 0..=most {
        for how in Loss::ALL {
            for which in 0..3 {
                let mut conversation = plain(1);
                conversation.plans[which].request_lost = Some((at, how));
                check(&format!("{how:?} at byte {at}"), &conversation);
            }
        }
    }
}

#[test]
fn azure_may_be_lost_at_every_byte_of_a_response() {
    let conversation = plain(1);
    for which in 0..3 {
        for at in 0..=conversation.plans[which].response().len() {
            for how in Loss::ALL {
                let mut conversation = plain(1);
                conversation.plans[which].response_lost = Some((at, how));
                check(&format!("{how:?} at byte {at}"), &conversation);
            }
        }
    }
}
