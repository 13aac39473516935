//! What is open, and what went through in the current minute.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use event_listener::Event;
use remora_core::forward::Outcome;
use remora_core::time::Instant;

use crate::notice::Minute;

/// How long a stopping process waits for another request on connections that stay open: Prometheus, stopped at the
/// same time, still sends what it holds.
const QUIET: Duration = Duration::from_secs(2);

/// The counters. One thread owns them.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    connections: Cell<usize>,
    open: Cell<usize>,
    last_write: Cell<Instant>,
    minute: RefCell<Minute>,
    counting: Cell<bool>,
    less: Event,
}

impl Traffic {
    pub(crate) fn connected(&self) {
        self.connections.set(self.connections.get() + 1);
    }

    pub(crate) fn disconnected(&self) {
        self.connections.set(self.connections.get().saturating_sub(1));
        self.less.notify(usize::MAX);
    }

    /// A request began or ended.
    pub(crate) fn turned(&self, open: bool) {
        if open {
            self.open.set(self.open.get() + 1);
        } else {
            self.open.set(self.open.get().saturating_sub(1));
            self.less.notify(usize::MAX);
        }
    }

    /// Requests that are open.
    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    /// Counts a write; true when it is the first of a minute, so that somebody must see to the minute's end.
    pub(crate) fn wrote(&self, now: Instant, outcome: &Outcome) -> bool {
        self.last_write.set(now);
        let mut minute = self.minute.borrow_mut();
        let count = if (200..300).contains(&outcome.status) { &mut minute.succeeded } else { &mut minute.failed };
        *count += 1;
        minute.bytes += u64::try_from(outcome.body_bytes).unwrap_or(u64::MAX);
        minute.busy += now.since(outcome.began);
        !self.counting.replace(true)
    }

    /// Ends the minute.
    pub(crate) fn end_minute(&self) -> Minute {
        self.counting.set(false);
        self.minute.take()
    }

    /// When a stopping process may end: `None` while a request is open, otherwise from what time on.
    fn settled(&self, now: Instant) -> Option<Instant> {
        match (self.open.get(), self.connections.get()) {
            (0, 0) => Some(now),
            (0, _) => Some(self.last_write.get().saturating_add(QUIET)),
            _ => None,
        }
    }

    /// Completes when nothing is open and no sender has more to say.
    pub(crate) async fn settle(&self, clock: crate::clock::Clock) {
        loop {
            let less = self.less.listen();
            match self.settled(clock.now()) {
                Some(at) if at <= clock.now() => return,
                Some(at) => {
                    smol::future::or(clock.until(at), less).await;
                }
                None => less.await,
            }
        }
    }
}
