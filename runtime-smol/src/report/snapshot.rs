//! The numbers of one thread, as sent to the thread that writes a page. Their sums are the process's.

use std::time::Duration;

use remora_core::forward::Page;
use remora_core::forward::counters::Counters;
use remora_core::time::Instant;

use crate::hub::Hub;
use crate::identity::exchanges::Exchanges;
use crate::pool::Pool;
use crate::threads::Reply;
use crate::traffic::{FailedWrite, OldestSample};

/// The numbers of one thread, or of several together.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(super) counters: Counters,
    pub(super) exchanges: Exchanges,
    pub(super) last_success: Option<Instant>,
    /// How long a refusal that does not concern the data would still be held back.
    pub(super) hold: Duration,
    /// The oldest sample of the last write with samples.
    pub(super) oldest: OldestSample,
    pub(super) open: usize,
    pub(super) turned_away: u64,
    pub(super) abandoned: u64,
    pub(super) idle: usize,
    /// Connections of peers that may write.
    pub(super) senders: Usage,
    pub(super) responses: Usage,
    pub(super) segments: Usage,
    /// The last write that was not accepted; only for `/status`.
    pub(super) last_failed: Option<FailedWrite>,
}

/// Usage of something limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) all: usize,
    pub(super) lent: usize,
}

impl Usage {
    fn of<T>(pool: &Pool<T>) -> Self {
        Self { all: pool.size(), lent: pool.lent() }
    }

    fn include(&mut self, other: Self) {
        self.all += other.all;
        self.lent += other.lent;
    }
}

impl Snapshot {
    /// The numbers of the hub's thread so far.
    pub(crate) fn of(hub: &Hub, page: Page) -> Self {
        let traffic = &hub.traffic;
        let mut segments = Usage::of(&hub.memory.arena);
        segments.include(Usage::of(&hub.memory.small_arena));
        Self {
            counters: hub.gateway.counters.clone(),
            exchanges: hub.tokens.exchanges.clone(),
            last_success: hub.gateway.last_success(),
            hold: hub.gateway.holds_for(hub.now()),
            oldest: traffic.oldest(),
            open: traffic.open(),
            turned_away: traffic.turned_away(),
            abandoned: traffic.abandoned(),
            idle: hub.idle.len(),
            senders: Usage { all: hub.senders.most(), lent: hub.senders.taken() },
            responses: Usage::of(&hub.memory.responses),
            segments,
            last_failed: if page == Page::Status { traffic.last_failed() } else { None },
        }
    }

    /// Its numbers together with those of the other threads.
    pub(super) fn with(hub: &Hub, others: &[Reply], page: Page) -> Self {
        let mut all = Self::of(hub, page);
        for reply in others {
            if let Reply::Snapshot(other) = reply {
                all.include(other);
            }
        }
        all
    }

    /// Adds the numbers; keeps the later of the last events, and the shorter hold.
    fn include(&mut self, other: &Self) {
        self.counters.include(&other.counters);
        self.exchanges.include(&other.exchanges);
        self.last_success = self.last_success.max(other.last_success);
        self.hold = self.hold.min(other.hold);
        if other.oldest.at > self.oldest.at {
            self.oldest = other.oldest;
        }
        self.open += other.open;
        self.turned_away += other.turned_away;
        self.abandoned += other.abandoned;
        self.idle += other.idle;
        self.senders.include(other.senders);
        self.responses.include(other.responses);
        self.segments.include(other.segments);
        let failed = |snapshot: &Self| snapshot.last_failed.as_ref().map(|failed| failed.at);
        if failed(other) > failed(self) {
            self.last_failed.clone_from(&other.last_failed);
        }
    }
}

#[cfg(test)]
mod tests;
