//! The tasks of one thread, run in the order in which they were woken.
//!
//! A thread whose reactor already wakes it needs one queue of woken tasks. smol's `LocalExecutor` has three, because it
//! also serves threads that take each other's tasks and sleepers that each wait for a task of their own.
//!
//! A task that nothing can wake any more is cancelled, wherever it waits: async-task drops one whose last waker is gone.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use async_task::Runnable;
use smol::Task;

/// The most tasks that run before the reactor looks at the sockets again.
const MOST: usize = 256;

/// The executor of one thread. What wakes its tasks stays for as long as the process, so that it may outlive them.
pub(crate) struct Executor {
    woken: &'static Woken,
    /// Those that run next, taken from the queue together; what [`MOST`] leaves of them runs first the next time.
    next: RefCell<VecDeque<Runnable>>,
}

/// What wakes a task, on this thread or another.
struct Woken {
    queue: Mutex<Queue>,
    /// Wakes the thread.
    bell: Waker,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Runnable>,
    /// The thread has found the queue empty and may sleep.
    found_empty: bool,
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

impl Executor {
    /// An executor of the calling thread, which `bell` wakes.
    pub(crate) fn new(bell: Waker) -> Self {
        Self { woken: Box::leak(Box::new(Woken { queue: Mutex::default(), bell })), next: RefCell::default() }
    }

    /// Starts a task. It is cancelled when the handle is dropped, unless it is detached.
    pub(crate) fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Task<T> {
        let woken = self.woken;
        let (runnable, task) = async_task::spawn_local(future, move |runnable| woken.push(runnable));
        runnable.schedule();
        task
    }

    /// Runs the tasks until `future` completes. To be polled by the reactor whose bell this executor has, which alone
    /// learns that a task was woken.
    pub(crate) async fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let root = Arc::new(Root { woken: AtomicBool::new(true), bell: self.woken.bell.clone() });
        let waker = Waker::from(Arc::clone(&root));
        let mut future = pin!(future);
        poll_fn(|_| {
            if root.woken.swap(false, Ordering::Acquire)
                && let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker))
            {
                return Poll::Ready(value);
            }
            self.run_woken();
            Poll::Pending
        })
        .await
    }

    /// Runs what was woken, and what that wakes.
    fn run_woken(&self) {
        let mut next = self.next.borrow_mut();
        for _ in 0..MOST {
            if next.is_empty() {
                self.woken.take(&mut next);
            }
            let Some(runnable) = next.pop_front() else { return };
            runnable.run();
        }
        // There may be more.
        self.woken.bell.wake_by_ref();
    }
}

impl Woken {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, runnable: Runnable) {
        let mut queue = self.queue();
        queue.tasks.push_back(runnable);
        let sleeps = std::mem::take(&mut queue.found_empty);
        drop(queue);
        if sleeps {
            self.bell.wake_by_ref();
        }
    }

    /// Exchanges the woken tasks for the empty `next`. If there are none, the next one woken rings.
    fn take(&self, next: &mut VecDeque<Runnable>) {
        let mut queue = self.queue();
        queue.found_empty = queue.tasks.is_empty();
        std::mem::swap(&mut queue.tasks, next);
    }
}

/// Wakes the future beside the tasks, so that it is polled only when it was woken.
struct Root {
    woken: AtomicBool,
    bell: Waker,
}

impl Wake for Root {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.bell.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use smol::channel;
    use smol::future::yield_now;

    use super::*;
    use crate::clock::Clock;
    use crate::reactor::Reactor;

    /// A bell that counts.
    #[derive(Default)]
    struct Rings(AtomicUsize);

    impl Wake for Rings {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn executor() -> (Executor, Arc<Rings>) {
        let rings = Arc::new(Rings::default());
        (Executor::new(Waker::from(Arc::clone(&rings))), rings)
    }

    #[test]
    fn tasks_run_in_the_order_in_which_they_were_woken() {
        let (executor, _) = executor();
        let order = Rc::new(RefCell::new(Vec::new()));
        for name in ["a", "b"] {
            let order = Rc::clone(&order);
            let task = async move {
                for _ in 0..2 {
                    order.borrow_mut().push(name);
                    yield_now().await;
                }
            };
            executor.spawn(task).detach();
        }
        executor.run_woken();
        assert_eq!(*order.borrow(), ["a", "b", "a", "b"]);
    }

    #[test]
    fn only_the_first_wake_after_the_queue_was_empty_rings() {
        let (executor, rings) = executor();
        let (to, from) = channel::unbounded();
        executor.spawn(async move { while from.recv().await.is_ok() {} }).detach();
        assert_eq!(rings.0.load(Ordering::Relaxed), 0, "before its first run, the thread is awake");
        executor.run_woken();
        to.try_send(()).unwrap();
        executor.spawn(yield_now()).detach();
        assert_eq!(rings.0.load(Ordering::Relaxed), 1);
        executor.run_woken();
        to.try_send(()).unwrap();
        assert_eq!(rings.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_task_that_is_always_ready_leaves_time_for_the_sockets() {
        let (executor, rings) = executor();
        let ran = Rc::new(Cell::new(0));
        let counted = Rc::clone(&ran);
        let busy = async move {
            loop {
                counted.set(counted.get() + 1);
                yield_now().await;
            }
        };
        executor.spawn(busy).detach();
        executor.run_woken();
        assert_eq!((ran.get(), rings.0.load(Ordering::Relaxed)), (MOST, 1), "it goes on, and does not sleep before");
    }

    #[test]
    fn many_tasks_that_are_woken_together_leave_time_for_the_sockets() {
        let (executor, rings) = executor();
        let order = Rc::new(RefCell::new(Vec::new()));
        for i in 0..MOST + 2 {
            let order = Rc::clone(&order);
            executor.spawn(async move { order.borrow_mut().push(i) }).detach();
        }
        executor.run_woken();
        assert_eq!((order.borrow().len(), rings.0.load(Ordering::Relaxed)), (MOST, 1));
        executor.run_woken();
        assert!(order.borrow().iter().copied().eq(0..MOST + 2));
        assert_eq!(rings.0.load(Ordering::Relaxed), 1, "nothing is left");
    }

    #[test]
    fn another_thread_wakes_a_task_of_a_sleeping_thread() {
        let clock = Clock::start();
        let reactor = Reactor::new(clock).unwrap();
        let executor = Executor::new(reactor.waker());
        let (to, from) = channel::unbounded();
        let sender = thread::spawn(move || {
            // Long enough for the other to fall asleep each time.
            for i in 1..=3 {
                thread::sleep(Duration::from_millis(20));
                to.try_send(i).unwrap();
            }
        });
        let received = executor.spawn(async move {
            let mut sum = 0;
            while let Ok(i) = from.recv().await {
                sum += i;
            }
            sum
        });
        let in_time = clock.before(clock.now().saturating_add(Duration::from_secs(10)), received);
        assert_eq!(reactor.block_on(executor.run(in_time)).unwrap(), Some(6));
        sender.join().unwrap();
    }

    #[test]
    fn a_dropped_handle_cancels_its_task() {
        let (executor, _) = executor();
        let held = Rc::new(());
        let task = executor.spawn({
            let held = Rc::clone(&held);
            async move {
                std::future::pending::<()>().await;
                drop(held);
            }
        });
        executor.run_woken();
        assert_eq!(Rc::strong_count(&held), 2);
        drop(task);
        executor.run_woken();
        assert_eq!(Rc::strong_count(&held), 1);
    }

    #[test]
    fn what_waits_for_the_tasks_is_polled_once_woken() {
        let (executor, rings) = executor();
        let polls = Cell::new(0);
        let (to, from) = channel::unbounded();
        executor.spawn(async move { to.send(5).await }).detach();
        let mut receive = pin!(from.recv());
        let mut running = pin!(executor.run(poll_fn(|cx| {
            polls.set(polls.get() + 1);
            receive.as_mut().poll(cx)
        })));
        let mut poll = || running.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(poll(), Poll::Pending);
        assert_eq!((polls.get(), rings.0.load(Ordering::Relaxed)), (1, 1), "the task ran, and woke it");
        assert_eq!(poll(), Poll::Ready(Ok(5)));
        assert_eq!(polls.get(), 2);
    }

    #[test]
    fn what_is_not_woken_is_not_polled() {
        let (executor, _) = executor();
        let polls = Cell::new(0);
        let mut running = pin!(executor.run(poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::<()>::Pending
        })));
        for _ in 0..3 {
            assert!(running.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(polls.get(), 1);
    }
}
