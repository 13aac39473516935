//! The threads of the process from the view of one, and the messages between them.
//!
//! Each thread has its own reactor, executor and [`Hub`], and a share of the limits; these are not shared while
//! requests are forwarded. The first thread owns what exists only once: the listeners, the signals, the token exchange
//! and the summary of each minute. It assigns each connection to the thread with the fewest, so that a few long-lived
//! ones are spread evenly, which a listener for each thread (`SO_REUSEPORT`) would leave to chance.
//!
//! Threads communicate by [`Message`]. A single thread sends none, and none of this runs.

mod worker;

use std::cell::Cell;
use std::fmt;
use std::iter;
use std::net::TcpStream;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use remora_core::forward::{Page, Peer};
use remora_core::time::Instant;
use smol::channel::{self, Receiver, Sender};
use smol::future;

use crate::hub::Hub;
use crate::listen;
use crate::notice::{Minute, Notice};
use crate::report::Snapshot;
use crate::tokens::Known;

pub(crate) use worker::start;

/// How far apart the threads' times of the last success may be. They control how long refusals are held back, which is
/// counted in minutes.
const APART: Duration = Duration::from_secs(1);

/// A message or question from one thread to another.
pub(crate) enum Message {
    /// Serve this connection.
    Connection(TcpStream, Peer, LoadGuard),
    /// The state of the token has changed.
    Token(Known),
    /// Azure accepted a request at this time.
    Accepted(Instant),
    /// To the first thread: something was counted that the minute's summary must include.
    Minute,
    /// What was counted since the last summary?
    EndMinute(Sender<Reply>),
    /// The process is stopping.
    Drain,
    /// Reply once nothing is open and no sender has more to send: whether that took time.
    Settle(Sender<Reply>),
    /// How many requests of senders are open?
    Open(Sender<Reply>),
    /// What was counted so far, for this page?
    Snapshot(Page, Sender<Reply>),
}

/// The reply to a question. One type for all, because each channel type is separate code.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The minute has ended.
    Minute(Minute),
    /// Whether settling took time.
    Waited(bool),
    /// How many requests of senders are open.
    Open(usize),
    /// What was counted.
    Snapshot(Box<Snapshot>),
}

/// Counts a connection in its thread's load until dropped.
#[derive(Debug)]
pub(crate) struct LoadGuard(Arc<AtomicUsize>);

impl LoadGuard {
    fn take(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for LoadGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Another thread.
#[derive(Clone)]
struct Thread {
    mailbox: Sender<Message>,
    load: Load,
}

/// A thread's connections, including those on their way to it. Peers that may not write have slots of their own, so
/// each kind is distributed by itself.
#[derive(Clone, Debug, Default)]
struct Load {
    senders: Arc<AtomicUsize>,
    guests: Arc<AtomicUsize>,
}

impl Load {
    const fn of(&self, peer: Peer) -> &Arc<AtomicUsize> {
        if peer.may_write() { &self.senders } else { &self.guests }
    }
}

/// All threads from the view of one, and that thread's mailbox.
pub(crate) type View = (Threads, Receiver<Message>);

/// All threads, from the view of one.
pub(crate) struct Threads {
    /// Index of this thread; 0 is the first.
    index: usize,
    load: Load,
    /// The others in order, so that a worker's first entry is the first thread.
    others: Vec<Thread>,
    /// The latest success that all threads know of.
    told: Cell<Instant>,
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Threads {
    /// The views of `threads` threads, each with its mailbox: the first thread's, and those of the others.
    pub(crate) fn views(threads: NonZeroUsize) -> (View, Vec<View>) {
        let new = || {
            let (mailbox, mail) = channel::unbounded();
            (Thread { mailbox, load: Load::default() }, mail)
        };
        let (first, mail_of_first) = new();
        let (others, mail_of_others): (Vec<_>, Vec<_>) = iter::repeat_with(new).take(threads.get() - 1).unzip();
        let all: Vec<_> = iter::once(first).chain(others).collect();
        let view = |index: usize| {
            let mut others = all.clone();
            let load = others.remove(index).load;
            Self { index, load, others, told: Cell::default() }
        };
        let of_others = (1..).zip(mail_of_others).map(|(index, mail)| (view(index), mail));
        ((view(0), mail_of_first), of_others.collect())
    }

    /// Index of this thread; 0 is the first.
    pub(crate) const fn index(&self) -> usize {
        self.index
    }

    /// Sends a message to all others.
    pub(crate) fn tell(&self, message: impl Fn() -> Message) {
        // A thread ends only with the process.
        self.others.iter().for_each(|other| drop(other.mailbox.try_send(message())));
    }

    /// Asks all others, and returns their replies.
    pub(crate) async fn ask(&self, question: &dyn Fn(Sender<Reply>) -> Message) -> Vec<Reply> {
        let mut asked = Vec::with_capacity(self.others.len());
        for other in &self.others {
            let (to, reply) = channel::bounded(1);
            let _ = other.mailbox.try_send(question(to));
            asked.push(reply);
        }
        let mut replies = Vec::with_capacity(asked.len());
        for reply in asked {
            replies.extend(reply.recv().await);
        }
        replies
    }

    /// Has the first thread sum up the minute; false on the first thread, which must do it itself.
    pub(crate) fn tell_first(&self) -> bool {
        let first = self.others.first().filter(|_| self.index > 0);
        first.is_some_and(|first| first.mailbox.try_send(Message::Minute).is_ok())
    }

    /// Reports the last success to the others, unless they know of one about as recent.
    pub(crate) fn tell_success(&self, last: Option<Instant>) {
        self.tell_later(last, APART);
    }

    /// Reports a last success that was too close to the one before to be reported at once: another thread may have seen
    /// a refusal between them, which is over with it.
    pub(crate) fn tell_rest(&self, last: Option<Instant>) {
        self.tell_later(last, Duration::from_millis(1));
    }

    fn tell_later(&self, last: Option<Instant>, apart: Duration) {
        if let Some(at) = last.filter(|at| !self.others.is_empty() && at.since(self.told.get()) >= apart) {
            self.told.set(at);
            self.tell(|| Message::Accepted(at));
        }
    }

    /// The thread for the next connection, if it is another one, and the guard that counts it there.
    fn deal(&self, peer: Peer) -> (Option<&Thread>, LoadGuard) {
        let load = |load: &Load| load.of(peer).load(Ordering::Relaxed);
        let least = self.others.iter().min_by_key(|other| load(&other.load));
        match least.filter(|other| load(&other.load) < load(&self.load)) {
            Some(other) => (Some(other), LoadGuard::take(other.load.of(peer))),
            None => (None, LoadGuard::take(self.load.of(peer))),
        }
    }
}

/// Assigns a connection to the thread with the fewest of its kind.
pub(crate) fn deal(hub: &'static Hub, stream: TcpStream, peer: Peer) -> std::io::Result<()> {
    let (other, guard) = hub.threads.deal(peer);
    match other {
        Some(other) => drop(other.mailbox.try_send(Message::Connection(stream, peer, guard))),
        None => listen::admit(hub, stream, peer, guard)?,
    }
    Ok(())
}

/// Handles the messages of the other threads, forever.
pub(crate) async fn receive(hub: &'static Hub, mailbox: Receiver<Message>) {
    while let Ok(message) = mailbox.recv().await {
        handle(hub, message);
        // A guest that was asked to leave runs before the next message is handled.
        future::yield_now().await;
    }
}

fn handle(hub: &'static Hub, message: Message) {
    match message {
        Message::Connection(stream, peer, guard) => {
            if let Err(error) = listen::admit(hub, stream, peer, guard) {
                hub.notice(&Notice::AcceptFailed { error: &error });
            }
        }
        Message::Token(known) => hub.learn(known),
        Message::Accepted(at) => {
            hub.threads.told.set(at.max(hub.threads.told.get()));
            hub.gateway.learn_success(at);
        }
        Message::Minute => hub.begin_minute(),
        Message::EndMinute(to) => {
            hub.threads.tell_rest(hub.gateway.last_success());
            send(&to, Reply::Minute(hub.traffic.end_minute()));
        }
        Message::Drain => hub.drain(),
        Message::Settle(to) => {
            let settle = async move { send(&to, Reply::Waited(hub.traffic.settle(hub.clock).await)) };
            hub.executor.spawn(settle).detach();
        }
        Message::Open(to) => send(&to, Reply::Open(hub.traffic.open_of_senders())),
        Message::Snapshot(page, to) => send(&to, Reply::Snapshot(Box::new(Snapshot::of(hub, page)))),
    }
}

fn send(to: &Sender<Reply>, reply: Reply) {
    // The asker may have stopped waiting.
    let _ = to.try_send(reply);
}

#[cfg(test)]
mod tests;
