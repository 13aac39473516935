//! Connection slots. Senders have theirs and guests, the peers that may not write (probes, scrapes and strangers), have
//! others, so that strangers cannot take those of senders, and senders cannot lock out a probe, after which the kubelet
//! would restart the container.
//!
//! When all are taken, a new connection still gets in if another can make room for it: of the guests the oldest, so that
//! silent connections do not lock out a probe; of the senders the one that has been idle longest, so that connections
//! kept for later do not lock out a sender with something to write. A sender whose idle connection is closed opens
//! another, as HTTP clients do (RFC 9112 §9.3.1).

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use remora_core::time::Instant;

/// Most guests of a thread that may stay.
const GUESTS: usize = 64;

/// Most connections that may be leaving at a time: until one has left, it exists beside its successor.
pub(crate) const LEAVING: usize = 8;

/// Connections that the guests of a thread may have.
pub(crate) const SLOTS_OF_GUESTS: usize = GUESTS + LEAVING;

/// How long a sender's connection has been idle before it makes room for another: as long as Prometheus waits to fill a
/// batch (`batch_send_deadline`). Less would let senders that all write replace one another.
pub(crate) const IDLE: Duration = Duration::from_secs(5);

/// The slots for one kind of peer on one thread.
#[derive(Debug)]
pub(crate) struct Slots {
    most: usize,
    rule: Rule,
    /// In order of arrival, without those dismissed.
    taken: RefCell<VecDeque<Rc<Slot>>>,
    /// How many are dismissed and have not left yet.
    leaving: Cell<usize>,
}

/// Which connection makes room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Oldest,
    IdleLongest,
}

/// The slot of one connection.
#[derive(Debug)]
pub(crate) struct Slot {
    /// Since when nothing of a request has arrived; `None` while one is open.
    idle_since: Cell<Option<Instant>>,
    dismissed: Cell<bool>,
    /// Its connection was asked to leave without another in its place.
    ended: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Slots {
    pub(crate) fn of_senders(most: usize) -> Self {
        Self::new(most, Rule::IdleLongest)
    }

    pub(crate) fn of_guests() -> Self {
        Self::new(GUESTS, Rule::Oldest)
    }

    fn new(most: usize, rule: Rule) -> Self {
        Self { most, rule, taken: RefCell::default(), leaving: Cell::default() }
    }

    /// How many connections there may be.
    pub(crate) const fn most(&self) -> usize {
        self.most
    }

    /// How many are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.borrow().len()
    }

    /// Whether a new connection must replace one.
    pub(crate) fn is_full(&self) -> bool {
        self.taken() >= self.most
    }

    /// A slot for a new connection; at the limit, in place of another. `None` if no other can make room, or if
    /// [`LEAVING`] are leaving already.
    pub(crate) fn enter(&self, now: Instant) -> Option<Rc<Slot>> {
        if self.is_full() && !self.dismiss_one(now) {
            return None;
        }
        let slot = Rc::new(Slot {
            idle_since: Cell::new(Some(now)),
            dismissed: Cell::default(),
            ended: Cell::default(),
            waker: RefCell::default(),
        });
        self.taken.borrow_mut().push_back(Rc::clone(&slot));
        Some(slot)
    }

    /// Takes back the slot of a connection that has ended.
    pub(crate) fn leave(&self, slot: &Rc<Slot>) {
        if slot.dismissed.get() {
            self.leaving.set(self.leaving.get().saturating_sub(1));
        } else {
            self.taken.borrow_mut().retain(|other| !Rc::ptr_eq(other, slot));
        }
    }

    /// Asks one to leave; false if none can. Its connection ends as soon as its task has run.
    fn dismiss_one(&self, now: Instant) -> bool {
        if self.leaving.get() >= LEAVING {
            return false;
        }
        let mut taken = self.taken.borrow_mut();
        let place = match self.rule {
            Rule::Oldest => Some(0),
            Rule::IdleLongest => idle_longest(&taken, now),
        };
        let Some(slot) = place.and_then(|place| taken.remove(place)) else { return false };
        drop(taken);
        self.leaving.set(self.leaving.get() + 1);
        slot.dismissed.set(true);
        slot.wake();
        true
    }
}

/// Position of the connection that has been idle longest, and at least [`IDLE`].
fn idle_longest(slots: &VecDeque<Rc<Slot>>, now: Instant) -> Option<usize> {
    let idle = slots.iter().enumerate().filter_map(|(place, slot)| Some((slot.idle_since.get()?, place)));
    let (since, place) = idle.min()?;
    (now.since(since) >= IDLE).then_some(place)
}

impl Slot {
    /// Whether its connection was asked to leave.
    pub(crate) const fn is_dismissed(&self) -> bool {
        self.dismissed.get() || self.ended.get()
    }

    /// Asks its connection to leave; the slot stays taken until it has.
    pub(crate) fn end(&self) {
        self.ended.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready when its connection is asked to leave.
    pub(crate) fn poll_dismissed(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_dismissed() {
            return Poll::Ready(());
        }
        match &mut *self.waker.borrow_mut() {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Nothing of a request has arrived since the last one.
    pub(crate) fn note_idle(&self, now: Instant) {
        if self.idle_since.get().is_none() {
            self.idle_since.set(Some(now));
        }
    }

    /// A request has begun to arrive.
    pub(crate) fn note_busy(&self) {
        self.idle_since.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::poll_once;
    use std::future::poll_fn;

    const START: Instant = Instant::ZERO;

    fn all_of(slots: &Slots) -> Vec<Rc<Slot>> {
        (0..slots.most()).map_while(|_| slots.enter(START)).collect()
    }

    #[test]
    fn at_the_limit_a_new_guest_replaces_the_oldest() {
        let guests = Slots::of_guests();
        let all = all_of(&guests);
        assert_eq!(all.len(), GUESTS);
        assert!(all.iter().all(|guest| !guest.is_dismissed()));
        guests.leave(&all[1]);
        let last = guests.enter(START).expect("a slot is free");
        assert!(!all[0].is_dismissed());
        assert!(guests.is_full() && guests.enter(START).is_some());
        assert!(guests.enter(START).is_some());
        assert_eq!([&all[0], &all[2], &all[3], &last].map(|guest| guest.is_dismissed()), [true, true, false, false]);
    }

    #[test]
    fn no_more_are_dismissed_than_leave() {
        let guests = Slots::of_guests();
        let all = all_of(&guests);
        assert_eq!((0..GUESTS).filter(|_| guests.enter(START).is_some()).count(), LEAVING);
        guests.leave(&all[LEAVING]);
        guests.enter(START).expect("the slot of one that left by itself");
        assert!(guests.enter(START).is_none());
        guests.leave(&all[0]);
        assert!(guests.enter(START).is_some());
    }

    #[test]
    fn at_the_limit_a_new_sender_replaces_the_one_idle_longest() {
        let senders = Slots::of_senders(3);
        let all = all_of(&senders);
        let later = |ms| START.saturating_add(Duration::from_millis(ms));
        all[0].note_busy();
        all[1].note_busy();
        all[1].note_idle(later(100));
        all[2].note_busy();
        all[2].note_idle(later(50));
        // Still idle, and since then.
        all[2].note_idle(later(200));
        assert!(senders.enter(later(5_049)).is_none(), "none was idle long enough");
        let fourth = senders.enter(later(5_050)).expect("one was idle long enough");
        assert_eq!([&all[0], &all[1], &all[2], &fourth].map(|slot| slot.is_dismissed()), [false, false, true, false]);
        assert_eq!(senders.taken(), 3);
        senders.leave(&all[2]);
        assert_eq!(senders.taken(), 3, "its place is taken");
        senders.enter(later(5_100)).expect("the next one");
        assert!(all[1].is_dismissed());
    }

    #[test]
    fn a_busy_sender_is_never_replaced() {
        let senders = Slots::of_senders(2);
        for slot in all_of(&senders) {
            slot.note_busy();
        }
        assert!(senders.enter(Instant::from_millis(3_600_000)).is_none());
    }

    #[test]
    fn a_connection_that_is_ended_keeps_its_slot_until_it_leaves() {
        let guests = Slots::of_guests();
        let all = all_of(&guests);
        all[1].end();
        assert!(all[1].is_dismissed() && guests.is_full());
        guests.leave(&all[1]);
        assert_eq!(guests.taken(), GUESTS - 1);
        // Also if its place had been taken.
        all[0].end();
        assert!(guests.enter(START).is_some() && guests.enter(START).is_some());
        guests.leave(&all[0]);
        assert_eq!(guests.leaving.get(), 0);
    }

    #[test]
    fn a_waiting_connection_is_woken_when_dismissed() {
        smol::block_on(async {
            let guests = Slots::of_guests();
            let guest = guests.enter(START).unwrap();
            let mut dismissed = Box::pin(poll_fn(|cx| guest.poll_dismissed(cx)));
            assert!(poll_once(&mut dismissed).await.is_none());
            assert!(guests.dismiss_one(START));
            dismissed.await;
        });
    }
}
