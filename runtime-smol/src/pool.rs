//! A pool of equal items that are made once and lent in the order of the requests.
//!
//! Every kind of memory for requests is kept this way: the pool's size bounds what the process holds, and waiters are
//! served first come, first served, except in an unordered pool.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use memmap2::{MmapMut, MmapOptions};

/// The pool. One thread owns it.
pub(crate) struct Pool<T> {
    state: RefCell<State<T>>,
    size: usize,
}

struct State<T> {
    /// A waiter need not wait for an earlier one that needs more.
    unordered: bool,
    /// The item returned last is lent first, so that few are ever touched.
    free: Vec<T>,
    waiting: VecDeque<Waiting>,
    last_ticket: u64,
}

struct Waiting {
    ticket: u64,
    wanted: usize,
    waker: Waker,
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("size", &self.size).field("free", &self.free()).finish_non_exhaustive()
    }
}

impl<T> Pool<T> {
    pub(crate) fn new(things: impl Iterator<Item = T>) -> Self {
        Self::of(things, false)
    }

    /// A pool that serves any waiter that needs no more than is free. One that needs much may wait forever.
    pub(crate) fn unordered(things: impl Iterator<Item = T>) -> Self {
        Self::of(things, true)
    }

    fn of(things: impl Iterator<Item = T>, unordered: bool) -> Self {
        let free: Vec<T> = things.collect();
        let size = free.len();
        let state = State { unordered, free, waiting: VecDeque::new(), last_ticket: 0 };
        Self { state: RefCell::new(state), size }
    }

    /// How many items there are in total.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// How many are not lent out.
    pub(crate) fn free(&self) -> usize {
        self.state.borrow().free.len()
    }

    /// How many are lent out.
    pub(crate) fn lent(&self) -> usize {
        self.size.saturating_sub(self.free())
    }

    /// One item, if one is free and nothing waits for it.
    pub(crate) fn try_take(&self) -> Option<T> {
        let mut state = self.state.borrow_mut();
        if state.waiting.is_empty() { state.free.pop() } else { None }
    }

    /// One item, if one is free, ahead of the waiters.
    pub(crate) fn take_free(&self) -> Option<T> {
        self.state.borrow_mut().free.pop()
    }

    /// Moves up to `most` items into `lent`, leaving at least `remainder` here; none while anything waits.
    pub(crate) fn take_spare(&self, most: usize, remainder: usize, lent: &mut Vec<T>) {
        let mut state = self.state.borrow_mut();
        let spare = if state.waiting.is_empty() { state.free.len().saturating_sub(remainder) } else { 0 };
        let kept = state.free.len().saturating_sub(spare.min(most));
        lent.extend(state.free.drain(kept..).rev());
    }

    /// Moves `wanted` items into `lent`, after all earlier requests if ordered. Never completes if the pool has fewer.
    pub(crate) const fn take<'a>(&'a self, wanted: usize, lent: &'a mut Vec<T>) -> Take<'a, T> {
        Take { pool: self, wanted, lent, ticket: None }
    }

    /// One item, after all earlier requests.
    pub(crate) async fn take_one(&self) -> T {
        if let Some(one) = self.try_take() {
            return one;
        }
        let mut lent = Vec::new();
        loop {
            self.take(1, &mut lent).await;
            if let Some(one) = lent.pop() {
                return one;
            }
        }
    }

    /// Takes back what was lent.
    pub(crate) fn give(&self, things: impl IntoIterator<Item = T>) {
        let mut state = self.state.borrow_mut();
        state.free.extend(things);
        state.wake_next();
    }
}

impl<T> State<T> {
    /// Wakes the waiter that is served next.
    fn wake_next(&self) {
        let fits = |waiting: &&Waiting| waiting.wanted <= self.free.len();
        let next = if self.unordered { self.waiting.iter().find(fits) } else { self.waiting.front().filter(fits) };
        if let Some(next) = next {
            next.waker.wake_by_ref();
        }
    }
}

/// See [`Pool::take`].
pub(crate) struct Take<'a, T> {
    pool: &'a Pool<T>,
    wanted: usize,
    lent: &'a mut Vec<T>,
    ticket: Option<u64>,
}

impl<T> Future for Take<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { pool, wanted, lent, ticket } = &mut *self;
        let mut state = pool.state.borrow_mut();
        let next = match ticket {
            _ if state.unordered => true,
            None => state.waiting.is_empty(),
            Some(ticket) => state.waiting.front().is_some_and(|first| first.ticket == *ticket),
        };
        if next && *wanted <= state.free.len() {
            if let Some(ticket) = ticket.take() {
                state.waiting.retain(|waiting| waiting.ticket != ticket);
            }
            let from = state.free.len().saturating_sub(*wanted);
            lent.extend(state.free.drain(from..).rev());
            state.wake_next();
            return Poll::Ready(());
        }
        if let Some(place) = state.waiting.iter_mut().find(|waiting| Some(waiting.ticket) == *ticket) {
            place.waker.clone_from(cx.waker());
            if state.unordered {
                // A part of what it was woken for may have been taken, and the rest be enough for another one.
                state.wake_next();
            }
            return Poll::Pending;
        }
        state.last_ticket = state.last_ticket.wrapping_add(1);
        *ticket = Some(state.last_ticket);
        let waiting = Waiting { ticket: state.last_ticket, wanted: *wanted, waker: cx.waker().clone() };
        state.waiting.push_back(waiting);
        Poll::Pending
    }
}

impl<T> Drop for Take<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            let mut state = self.pool.state.borrow_mut();
            state.waiting.retain(|waiting| waiting.ticket != ticket);
            state.wake_next();
        }
    }
}

/// Zeroed memory that returns to the kernel on drop. Pages that are never used are never resident, which an allocator
/// does not guarantee.
pub(crate) fn mapping(length: usize) -> io::Result<MmapMut> {
    MmapOptions::new().len(length).map_anon()
}

/// `count` buffers of `length` bytes from one mapping that lives as long as the process.
pub(crate) fn buffers(count: usize, length: usize) -> io::Result<impl Iterator<Item = &'static mut [u8]>> {
    let memory = mapping(count.saturating_mul(length))?;
    Ok(Box::leak(Box::new(memory)).chunks_exact_mut(length))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    use smol::future::poll_once;

    use super::*;

    fn numbers(count: u32) -> Pool<u32> {
        Pool::new(0..count)
    }

    /// Whether its waker was used.
    struct Woken(AtomicBool);

    impl Woken {
        fn is(&self) -> bool {
            self.0.load(Ordering::Relaxed)
        }
    }

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn woken() -> (Arc<Woken>, Waker) {
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        (Arc::clone(&woken), Waker::from(woken))
    }

    #[test]
    fn the_item_returned_last_is_lent_first() {
        let pool = numbers(3);
        let lent = pool.try_take();
        assert_eq!(lent, Some(2));
        pool.give(lent);
        assert_eq!(pool.try_take(), Some(2));
    }

    #[test]
    fn waiters_are_served_in_order() {
        smol::block_on(async {
            let pool = numbers(4);
            let (mut held, mut three, mut one) = (Vec::new(), Vec::new(), Vec::new());
            pool.take(3, &mut held).await;
            let mut large = Box::pin(pool.take(3, &mut three));
            let mut small = Box::pin(pool.take(1, &mut one));
            assert!(poll_once(&mut large).await.is_none());
            assert!(poll_once(&mut small).await.is_none(), "one is free, but three were asked for earlier");
            assert_eq!(pool.try_take(), None);
            pool.give(held);
            assert!(poll_once(&mut large).await.is_some());
            assert!(poll_once(&mut small).await.is_some());
            drop((large, small));
            assert_eq!((three.len(), one.len()), (3, 1));
        });
    }

    #[test]
    fn a_waiter_that_gives_up_leaves_the_queue() {
        smol::block_on(async {
            let pool = numbers(2);
            let (mut two, mut one) = (Vec::new(), Vec::new());
            let held = pool.take_one().await;
            let mut large = Box::pin(pool.take(2, &mut two));
            assert!(poll_once(&mut large).await.is_none());
            let mut small = Box::pin(pool.take(1, &mut one));
            assert!(poll_once(&mut small).await.is_none());
            drop(large);
            assert!(poll_once(&mut small).await.is_some());
            drop(small);
            pool.give(one.into_iter().chain([held]));
            assert_eq!(pool.free(), 2);
        });
    }

    #[test]
    fn a_waiter_that_gives_up_wakes_the_next() {
        let [(_, wakes_large), (of_small, wakes_small)] = [(); 2].map(|()| woken());
        let pool = numbers(2);
        let (mut two, mut one) = (Vec::new(), Vec::new());
        let _held = pool.try_take();
        let (mut large, mut small) = (Box::pin(pool.take(2, &mut two)), Box::pin(pool.take(1, &mut one)));
        assert!(large.as_mut().poll(&mut Context::from_waker(&wakes_large)).is_pending());
        assert!(small.as_mut().poll(&mut Context::from_waker(&wakes_small)).is_pending());
        assert!(!of_small.is(), "two were asked for earlier");
        drop(large);
        assert!(of_small.is());
    }

    #[test]
    fn a_waiter_that_is_served_wakes_the_next() {
        let [(of_first, wakes_first), (of_second, wakes_second)] = [(); 2].map(|()| woken());
        let pool = numbers(2);
        let (mut held, mut one, mut other) = (Vec::new(), Vec::new(), Vec::new());
        smol::block_on(pool.take(2, &mut held));
        let (mut first, mut second) = (Box::pin(pool.take(1, &mut one)), Box::pin(pool.take(1, &mut other)));
        assert!(first.as_mut().poll(&mut Context::from_waker(&wakes_first)).is_pending());
        assert!(second.as_mut().poll(&mut Context::from_waker(&wakes_second)).is_pending());
        pool.give(held);
        assert!(of_first.is() && !of_second.is());
        assert!(first.as_mut().poll(&mut Context::from_waker(&wakes_first)).is_ready());
        assert!(of_second.is(), "two were given");
    }

    #[test]
    fn an_unordered_pool_serves_whom_it_can() {
        smol::block_on(async {
            let pool = Pool::unordered(0..4);
            let (mut held, mut four, mut two, mut one) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            pool.take(3, &mut held).await;
            let mut large = Box::pin(pool.take(4, &mut four));
            let mut middle = Box::pin(pool.take(2, &mut two));
            assert!(poll_once(&mut large).await.is_none());
            assert!(poll_once(&mut middle).await.is_none());
            pool.take(1, &mut one).await;
            pool.give(held.drain(..1).chain(one.drain(..)));
            assert!(poll_once(&mut middle).await.is_some(), "what it wants is free");
            drop(middle);
            pool.give(held.into_iter().chain(two));
            large.await;
            assert_eq!(four.len(), 4);
        });
    }

    #[test]
    fn in_an_unordered_pool_the_rest_of_a_taken_gift_wakes_another() {
        let [(of_large, wakes_large), (of_small, wakes_small)] = [(); 2].map(|()| woken());
        let pool = Pool::unordered(0..2);
        let (mut held, mut two, mut one) = (Vec::new(), Vec::new(), Vec::new());
        smol::block_on(pool.take(2, &mut held));
        let (mut large, mut small) = (Box::pin(pool.take(2, &mut two)), Box::pin(pool.take(1, &mut one)));
        assert!(large.as_mut().poll(&mut Context::from_waker(&wakes_large)).is_pending());
        assert!(small.as_mut().poll(&mut Context::from_waker(&wakes_small)).is_pending());
        pool.give(held);
        assert!(of_large.is() && !of_small.is());
        assert!(pool.take_free().is_some(), "a body grows before the first of the queue runs");
        assert!(large.as_mut().poll(&mut Context::from_waker(&wakes_large)).is_pending());
        assert!(of_small.is(), "one is free, and it wants one");
    }

    #[test]
    fn buffers_are_equal_and_apart() {
        let mut all: Vec<_> = buffers(3, 8).unwrap().collect();
        assert_eq!(all.len(), 3);
        all[1].fill(7);
        assert!(all[0].iter().chain(all[2].iter()).all(|&byte| byte == 0));
    }
}
