//! Connections of peers that may not write: probes, scrapes and strangers. They have slots of their own: neither can
//! strangers take those of senders, nor senders keep a probe out, after which the kubelet would restart the container.
//! When all are taken, a new one replaces the oldest, so that silent connections do not keep a probe out either.

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
    reading: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Guests {
    /// Whether the next guest replaces one.
    pub(crate) fn is_full(&self) -> bool {
        self.staying.borrow().len() >= STAYING
    }

    /// Adds a guest; at the limit, in place of the oldest. None if too many are leaving already.
    pub(crate) fn enter(&self) -> Option<Rc<Guest>> {
        if self.is_full() && !self.dismiss(|_| true) {
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

    /// Asks the oldest guest to which a page is being sent to leave; false if there is none.
    pub(crate) fn dismiss_reader(&self) -> bool {
        self.dismiss(|guest| guest.reading.get())
    }

    /// Asks the oldest guest of this kind to leave; false if there is none, or if `LEAVING` are leaving already. What it
    /// holds is free as soon as its task has run.
    fn dismiss(&self, kind: impl Fn(&Guest) -> bool) -> bool {
        if self.leaving.get() >= LEAVING {
            return false;
        }
        let mut staying = self.staying.borrow_mut();
        let first = staying.iter().position(|guest| kind(guest)).and_then(|at| staying.remove(at));
        drop(staying);
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
    /// Notes whether a page is being sent to it.
    pub(crate) fn set_reading(&self, reading: bool) {
        self.reading.set(reading);
    }

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
    fn of_those_who_read_the_oldest_is_dismissed() {
        let guests = Guests::default();
        let all = [(); 3].map(|()| guests.enter().unwrap());
        assert!(!guests.dismiss_reader());
        all[1].set_reading(true);
        all[2].set_reading(true);
        assert!(guests.dismiss_reader());
        assert_eq!(all.each_ref().map(|guest| guest.is_dismissed()), [false, true, false]);
        all[2].set_reading(false);
        assert!(!guests.dismiss_reader());
    }

    #[test]
    fn who_waits_hears_of_it() {
        smol::block_on(async {
            let guests = Guests::default();
            let guest = guests.enter().unwrap();
            guest.set_reading(true);
            let mut dismissed = Box::pin(poll_fn(|cx| guest.poll_dismissed(cx)));
            assert!(poll_once(&mut dismissed).await.is_none());
            assert!(guests.dismiss_reader());
            dismissed.await;
        });
    }
}
