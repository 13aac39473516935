//! Wakes a reactor's thread, from itself or from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};

/// While the thread is awake, ringing is a flag; while it sleeps, a write that its epoll sees.
#[derive(Debug)]
pub(super) struct Bell {
    rung: AtomicBool,
    asleep: AtomicBool,
    /// Registered edge-triggered, so each write wakes and nobody has to read.
    event: OwnedFd,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { rung: AtomicBool::new(false), asleep: AtomicBool::new(false), event })
    }

    /// Forgets what rang so far: it is about to be looked after.
    pub(super) fn hush(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }

    /// From now on ringing writes; true when it rang before.
    pub(super) fn begin_sleep(&self) -> bool {
        // In this order: who rings after the flag is read sees that somebody sleeps.
        self.asleep.store(true, Ordering::SeqCst);
        self.rung.load(Ordering::SeqCst)
    }

    pub(super) fn end_sleep(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::SeqCst) && self.asleep.load(Ordering::SeqCst) {
            // It can only fail when the count is full, and then the epoll has seen it.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
