//! An exchange under typed operations: a sender, an Azure and a driver that carry out the fuzzer's operations one by
//! one, and a judge that checks what must hold for every such conversation.

mod answers;
mod driver;
mod judge;
pub mod operation;
mod request;

use core::time::Duration;

use remora_core::forward::{Exchange, Gateway, Policy, Timeouts};
use remora_core::remote_write::Level;
use remora_core::time::Instant;

use driver::Driver;
use operation::{Conversation, Operation};

use crate::frame;

const POLICY: Policy = Policy {
    max_body_bytes: 2048,
    max_decoded_bytes: frame::LIMIT,
    check: Some(Level::Full),
    refusal_hold: Duration::MAX,
    pass_rate_limit: false,
    timeouts: Timeouts::DEFAULT,
};

const INBOX: usize = 2048;
const OUTBOX: usize = 2048;
const RESPONSE: usize = 2048;

/// Maximum operations in one conversation.
const MOST_OPERATIONS: usize = 200;

/// Deadlines that may lie between the last operation and the end: at most one for each phase.
const MOST_DEADLINES: usize = 8;

/// Runs a conversation to its end and judges it.
pub fn run(conversation: &Conversation) {
    let gateway = Gateway::new(Instant::ZERO, conversation.settings.policy());
    let (mut inbox, mut outbox, mut response) = ([0; INBOX], [0; OUTBOX], [0; RESPONSE]);
    let peer = conversation.peer.into();
    let exchange = Exchange::new(Instant::ZERO, &gateway, peer, &mut inbox, &mut outbox);
    let mut driver = Driver::new(exchange, &gateway, &mut response, conversation);
    for operation in conversation.operations.iter().take(MOST_OPERATIONS) {
        driver.apply(operation);
    }
    end(&mut driver);
    driver.judge_end();
}

/// No further operations: only deadlines end the exchange.
fn end(driver: &mut Driver<'_>) {
    for _ in 0..MOST_DEADLINES {
        if driver.is_done() {
            return;
        }
        driver.apply(&Operation::Deadline);
    }
    panic!("no end after {MOST_DEADLINES} deadlines: {driver:?}");
}
