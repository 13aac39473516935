//! Movable deadlines. Each has an entry in a table, and moving one is a store: the kernel learns of the nearest when
//! the thread goes to sleep.

use std::task::{Context, Poll, Waker};

use remora_core::time::Instant;
use slab::Slab;

use super::Reactor;

/// The table.
#[derive(Debug, Default)]
pub(super) struct Alarms(Slab<Entry>);

#[derive(Debug)]
struct Entry {
    at: Instant,
    waker: Option<Waker>,
}

impl Alarms {
    /// The nearest deadline.
    pub(super) fn next(&self) -> Instant {
        self.0.iter().map(|(_, entry)| entry.at).min().unwrap_or(Instant::NEVER)
    }

    /// Wakes all whose deadline has passed.
    pub(super) fn ring(&mut self, now: Instant) {
        for (_, entry) in self.0.iter_mut().filter(|(_, entry)| entry.at <= now) {
            entry.at = Instant::NEVER;
            if let Some(waker) = entry.waker.take() {
                waker.wake();
            }
        }
    }
}

/// One deadline at a time. It is armed only by polling.
#[derive(Debug)]
pub(crate) struct Alarm {
    reactor: &'static Reactor,
    key: usize,
    armed: bool,
}

impl Alarm {
    pub(crate) fn new(reactor: &'static Reactor) -> Self {
        let key = reactor.alarms.borrow_mut().0.insert(Entry { at: Instant::NEVER, waker: None });
        Self { reactor, key, armed: false }
    }

    /// Ready once if the deadline of the last call has passed; otherwise sets `deadline` and wakes `cx` then.
    pub(crate) fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut alarms = self.reactor.alarms.borrow_mut();
        let Some(entry) = alarms.0.get_mut(self.key) else { return Poll::Pending };
        if self.armed && entry.waker.is_none() {
            self.armed = false;
            return Poll::Ready(());
        }
        entry.at = deadline;
        self.armed = true;
        if !entry.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            entry.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let entry = self.reactor.alarms.borrow_mut().0.try_remove(self.key);
        drop(entry);
    }
}
