//! Connections of peers that may not write: probes, scrapes and strangers. Their number is limited; at the limit, a new
//! one replaces the oldest, so that silent connections do not keep a probe out.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Most guests that may be leaving at a time: until one has left, its successor uses a slot kept for senders.
const LEAVING: usize = 8;

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
    /// Adds a guest.
    pub(crate) fn enter(&self) -> Rc<Guest> {
        let guest = Rc::<Guest>::default();
        self.staying.borrow_mut().push_back(Rc::clone(&guest));
        guest
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
    pub(crate) fn dismiss_first(&self) -> bool {
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
    fn the_first_is_dismissed_first_and_once() {
        let guests = Guests::default();
        let all = [(); 3].map(|()| guests.enter());
        guests.leave(&all[1]);
        assert!(guests.dismiss_first());
        assert_eq!(all.each_ref().map(|guest| guest.is_dismissed()), [true, false, false]);
        assert!(guests.dismiss_first());
        assert_eq!(all.each_ref().map(|guest| guest.is_dismissed()), [true, false, true]);
        assert!(!guests.dismiss_first());
    }

    #[test]
    fn no_more_are_dismissed_than_leave() {
        let guests = Guests::default();
        let all = [(); LEAVING + 2].map(|()| guests.enter());
        assert_eq!((0..LEAVING + 2).filter(|_| guests.dismiss_first()).count(), LEAVING);
        guests.leave(&all[LEAVING]);
        assert!(!guests.dismiss_first(), "that one was not on its way out");
        guests.leave(&all[0]);
        assert!(guests.dismiss_first());
    }

    #[test]
    fn who_waits_hears_of_it() {
        smol::block_on(async {
            let guests = Guests::default();
            let guest = guests.enter();
            let mut dismissed = Box::pin(poll_fn(|cx| guest.poll_dismissed(cx)));
            assert!(poll_once(&mut dismissed).await.is_none());
            assert!(guests.dismiss_first());
            dismissed.await;
        });
    }
}
