//! Socket readiness and connection deadlines: one edge-triggered epoll for each thread.
//!
//! async-io's reactor re-arms each socket for each wait, sets a timer for each deadline, and shares one epoll with its
//! own thread; that costs a forwarded request some ten system calls besides those that move bytes. Here a socket is
//! registered once, its known readiness is kept beside it, deadlines are a table that is scanned before the thread
//! sleeps, and a wait is one system call. The forwarding path uses this reactor; rarer work, such as connection
//! attempts, signals and pauses, uses async-io, whose thread wakes this one.

mod alarm;
mod bell;
mod socket;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use remora_core::time::Instant;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use slab::Slab;

use crate::clock::Clock;
use alarm::Alarms;
use bell::Bell;

pub(crate) use alarm::Alarm;
pub(crate) use socket::Socket;

/// Room for events in one wait, at least.
const EVENTS: usize = 64;

/// The bell's event data, in place of a source's key.
const BELL: u64 = u64::MAX;

/// The reactor of one thread. It lives as long as the process.
pub(crate) struct Reactor {
    epoll: OwnedFd,
    bell: Arc<Bell>,
    sources: RefCell<Slab<Source>>,
    generations: Cell<u32>,
    alarms: RefCell<Alarms>,
    clock: Clock,
}

/// What is known of one socket.
#[derive(Debug, Default)]
struct Source {
    /// Distinguishes it from an earlier source with the same key, whose events may still be pending.
    generation: u32,
    reading: Side,
    writing: Side,
    /// The waker waits for the end of what the peer sends.
    end_awaited: bool,
    waker: Option<Waker>,
}

/// One direction of a socket.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// An operation is worth trying.
    ready: bool,
    /// The peer sends no more, or sending now fails with the cause: operations never block again.
    ended: bool,
    /// The waker waits for this side.
    awaited: bool,
}

impl Side {
    const READY: Self = Self { ready: true, ended: false, awaited: false };

    /// An operation found nothing more to do.
    const fn exhausted(&mut self) {
        self.ready = self.ended;
    }

    /// Records an event; true if the waker is to be woken.
    const fn happened(&mut self, ready: bool, ended: bool) -> bool {
        self.ended |= ended;
        self.ready |= ready || self.ended;
        let wake = self.ready && self.awaited;
        self.awaited &= !wake;
        wake
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor").field("sources", &self.sources.borrow().len()).finish_non_exhaustive()
    }
}

impl Reactor {
    /// A reactor whose deadlines are measured by `clock`.
    pub(crate) fn new(clock: Clock) -> io::Result<&'static Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let bell = Arc::new(Bell::new()?);
        epoll::add(&epoll, &*bell, EventData::new_u64(BELL), EventFlags::IN | EventFlags::ET)?;
        let (sources, alarms) = (RefCell::default(), RefCell::default());
        Ok(Box::leak(Box::new(Self { epoll, bell, sources, generations: Cell::new(0), alarms, clock })))
    }

    /// Wakes this reactor's thread.
    pub(crate) fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.bell))
    }

    /// Runs `future` to completion on this thread, which sleeps in between. An error comes from epoll itself.
    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> io::Result<T> {
        let waker = self.waker();
        let mut cx = Context::from_waker(&waker);
        let mut future = pin!(future);
        let mut events = Vec::new();
        loop {
            self.bell.hush();
            if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
                return Ok(value);
            }
            self.turn(&mut events)?;
        }
    }

    /// Sleeps until something happens, unless the bell has already rung; wakes the tasks concerned.
    fn turn(&self, events: &mut Vec<Event>) -> io::Result<()> {
        // Room for all events: a deadline may fire only after everything that came before it was seen.
        events.clear();
        events.reserve(EVENTS.max(self.sources.borrow().len() + 1));
        let awake = self.bell.begin_sleep();
        let timeout = if awake { Some(Timespec::default()) } else { self.until_next_alarm() };
        let waited = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), timeout.as_ref());
        self.bell.end_sleep();
        match waited {
            Ok(_) => {}
            // Events that arrived meanwhile come next, before deadlines that have passed by now.
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let mut sources = self.sources.borrow_mut();
        events.drain(..).for_each(|event| happened(&mut sources, event));
        drop(sources);
        self.alarms.borrow_mut().ring(self.clock.now());
        Ok(())
    }

    /// How long to sleep at most; `None` means forever.
    fn until_next_alarm(&self) -> Option<Timespec> {
        let next = self.alarms.borrow_mut().next();
        // A time beyond the kernel's range counts as none.
        (next != Instant::NEVER).then(|| Timespec::try_from(next.since(self.clock.now())).ok()).flatten()
    }

    /// Starts watching a socket; returns its key.
    fn watch(&self, socket: &impl AsFd) -> io::Result<usize> {
        let generation = self.generations.replace(self.generations.get().wrapping_add(1));
        let mut sources = self.sources.borrow_mut();
        // The readiness of a new socket is found by trying.
        let key =
            sources.insert(Source { generation, reading: Side::READY, writing: Side::READY, ..Source::default() });
        let data = EventData::new_u64(data(key, generation));
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        if let Err(error) = epoll::add(&self.epoll, socket, data, flags) {
            sources.remove(key);
            return Err(error.into());
        }
        Ok(key)
    }

    fn forget(&self, socket: &impl AsFd, key: usize) {
        // Closing the socket would do the same, but it may be handed on instead.
        let _ = epoll::delete(&self.epoll, socket);
        let source = self.sources.borrow_mut().try_remove(key);
        drop(source);
    }
}

/// A source's event data.
fn data(key: usize, generation: u32) -> u64 {
    let key = u32::try_from(key).unwrap_or(u32::MAX);
    u64::from(generation) << 32 | u64::from(key)
}

fn happened(sources: &mut Slab<Source>, event: Event) {
    // The struct is packed on some architectures, so its fields are copied out.
    let Event { flags, data, .. } = event;
    let data = data.u64();
    let key = usize::try_from(data & u64::from(u32::MAX)).unwrap_or(usize::MAX);
    let Some(source) = sources.get_mut(key).filter(|source| u64::from(source.generation) == data >> 32) else { return };
    let broken = flags.intersects(EventFlags::HUP | EventFlags::ERR);
    let ended = broken || flags.contains(EventFlags::RDHUP);
    let wake_reader = source.reading.happened(flags.contains(EventFlags::IN), ended);
    let wake_writer = source.writing.happened(flags.contains(EventFlags::OUT), broken);
    let wake_at_end = ended && std::mem::take(&mut source.end_awaited);
    if (wake_reader || wake_writer || wake_at_end)
        && let Some(waker) = &source.waker
    {
        waker.wake_by_ref();
    }
}

#[cfg(test)]
mod tests;
