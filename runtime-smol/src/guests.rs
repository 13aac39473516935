//! Connections of peers that may not write: probes, scrapes and strangers. They have their own slots, so strangers
//! cannot take those of senders and senders cannot lock out a probe, after which the kubelet would restart the
//! container. When all are taken, a new one replaces the oldest, so that silent connections do not lock out a probe
//! either.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Most guests that may stay.
const STAYING: usize = 64;

/// Most guests that may be leaving at a time: until one has left, it takes a slot beside its successor.
const LEAVING: usize = 8;

/// Connections that the guests of a thread may have.
pub(crate) const SLOTS: usize = STAYING + LEAVING;

/// The guests of one thread.
#[derive(Debug, Default)]
pub(crate) struct Guests {
    /// In order of arrival, without those dismissed.
    staying: RefCell<VecDeque<Rc<Guest>>>,
    /// How many are dismissed and have not left yet.
    leaving: Cell<usize>,
}

/// One guest.
#[derive(Debug, Default)]
pub(crate) struct Guest {
    dismissed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Guests {
    /// Whether the next guest replaces one.
    pub(crate) fn is_full(&self) -> bool {
        self.staying.borrow().len() >= STAYING
    }

    /// Adds a guest; at the limit, in place of the oldest. `None` if too many are leaving already.
    pub(crate) fn enter(&self) -> Option<Rc<Guest>> {
        if self.is_full() && !self.dismiss_first() {
            return None;
        }
        let guest = Rc::<Guest>::default();
        self.staying.borrow_mut().push_back(Rc::clone(&guest));
        Some(guest)
    }

    /// Removes a guest whose connection has ended.
    pub(crate) fn leave(&self, guest: &Rc<Guest>) {
        if guest.is_dismissed() {
            self.leaving.set(self.leaving.get().saturating_sub(1));
        } else {
            self.staying.borrow_mut().retain(|other| !Rc::ptr_eq(other, guest));
        }
    }

    /// Asks the oldest guest to leave; false if there is none, or if `LEAVING` are leaving already. Its slot is free as
    /// soon as its task has run.
    fn dismiss_first(&self) -> bool {
        if self.leaving.get() >= LEAVING {
            return false;
        }
        let first = self.staying.borrow_mut().pop_front();
        let Some(guest) = first else { return false };
        self.leaving.set(self.leaving.get() + 1);
        guest.dismissed.set(true);
        if let Some(waker) = guest.waker.take() {
            waker.wake();
        }
        true
    }
}

impl Guest {
    /// Whether it was asked to leave.
    pub(crate) const fn is_dismissed(&self) -> bool {
        self.dismissed.get()
    }

    /// Ready when it is asked to leave.
    pub(crate) fn poll_dismissed(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_dismissed() {
            return Poll::Ready(());
        }
        self.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use smol::future::poll_once;
    use std::future::poll_fn;

    #[test]
    fn at_the_limit_a_new_one_replaces_the_oldest() {
        let guests = Guests::default();
        let all: Vec<_> = (0..STAYING).map_while(|_| guests.enter()).collect();
        assert_eq!(all.len(), STAYING);
        assert!(all.iter().all(|guest| !guest.is_dismissed()));
        guests.leave(&all[1]);
        let last = guests.enter().expect("a slot is free");
        assert!(!all[0].is_dismissed());
        assert!(guests.is_full() && guests.enter().is_some());
        assert!(guests.enter().is_some());
        assert_eq!([&all[0], &all[2], &all[3], &last].map(|guest| guest.is_dismissed()), [true, true, false, false]);
    }

    #[test]
    fn no_more_are_dismissed_than_leave() {
        let guests = Guests::default();
        let all: Vec<_> = (0..STAYING).map_while(|_| guests.enter()).collect();
        assert_eq!((0..STAYING).filter(|_| guests.enter().is_some()).count(), LEAVING);
        guests.leave(&all[LEAVING]);
        guests.enter().expect("the slot of one that left by itself");
        assert!(guests.enter().is_none());
        guests.leave(&all[0]);
        assert!(guests.enter().is_some());
    }

    #[test]
    fn a_waiting_guest_is_woken_when_dismissed() {
        smol::block_on(async {
            let guests = Guests::default();
            let guest = guests.enter().unwrap();
            let mut dismissed = Box::pin(poll_fn(|cx| guest.poll_dismissed(cx)));
            assert!(poll_once(&mut dismissed).await.is_none());
            assert!(guests.dismiss_first());
            dismissed.await;
        });
    }
}
