//! Wakes a reactor's thread, from itself or from another thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use rustix::event::{EventfdFlags, eventfd};

/// While the thread is awake, ringing sets a flag; while it sleeps, ringing also writes, which its epoll sees.
#[derive(Debug)]
pub(super) struct Bell {
    rung: AtomicBool,
    asleep: AtomicBool,
    /// Registered edge-triggered, so each write wakes and nothing has to be read.
    event: OwnedFd,
}

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self { rung: AtomicBool::new(false), asleep: AtomicBool::new(false), event })
    }

    /// Clears the flag: what rang is about to be handled.
    pub(super) fn hush(&self) {
        // Reads too, so that what was written before the ring is seen.
        self.rung.swap(false, Ordering::SeqCst);
    }

    /// From now on ringing also writes; true if it has rung already.
    pub(super) fn begin_sleep(&self) -> bool {
        // In this order: a ring after `rung` is read sees `asleep`.
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
            // This can fail only when the counter is full, and then epoll has seen it.
            let _ = rustix::io::write(&self.event, &1_u64.to_ne_bytes());
        }
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
