//! The threads of the process as one of them sees them, and what they tell each other.
//!
//! Each thread has a reactor, an executor and a [`Hub`] of its own, and a part of the limits; nothing of theirs is shared
//! while requests are forwarded. What there is one of, the first thread keeps: the listeners, the signals, the exchange of
//! tokens and the end of the minute. It deals out connections to the thread that has the fewest, so that few long-lived
//! ones are spread evenly, which a listener for each thread (`SO_REUSEPORT`) would leave to chance.
//!
//! Threads talk by [`Message`]. Where there is one thread, there is nobody to write to, and nothing of this runs.

mod worker;

use std::cell::Cell;
use std::fmt;
use std::iter;
use std::net::TcpStream;
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

/// How far the threads' times of the last success may lie apart. They decide for how long refusals are held back, which
/// is counted in minutes.
const APART: Duration = Duration::from_secs(1);

/// What one thread tells or asks another.
pub(crate) enum Message {
    /// Serve this connection.
    Connection(TcpStream, Peer, LoadGuard),
    /// This is known of the token now.
    Token(Known),
    /// Azure accepted a request at this time.
    Accepted(Instant),
    /// To the first thread: something was counted that the minute's end has to tell.
    Minute,
    /// What was counted since the last time?
    EndMinute(Sender<Answer>),
    /// The process is stopping.
    Drain,
    /// Answer when nothing is open and no sender has more to say: whether that took time.
    Settle(Sender<Answer>),
    /// How many requests of senders are open?
    Open(Sender<Answer>),
    /// What was counted so far, for this page?
    Snapshot(Page, Sender<Answer>),
}

/// What is answered. One type for all questions, for each type of a channel is code of its own.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The minute has ended.
    Minute(Minute),
    /// Whether settling took time.
    Waited(bool),
    /// So many requests of senders are open.
    Open(usize),
    /// What was counted.
    Snapshot(Box<Snapshot>),
}

/// A connection's place in the count of its thread, which ends with it.
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
    /// Its connections, also those on their way to it.
    load: Arc<AtomicUsize>,
}

/// All threads, from the place of one.
pub(crate) struct Threads {
    /// Place of this thread; 0 is the first.
    place: usize,
    load: Arc<AtomicUsize>,
    /// The others in their order, so that a worker's first one is the first thread.
    others: Vec<Thread>,
    /// The latest success that all threads know of.
    told: Cell<Instant>,
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Threads {
    /// The views of so many threads, each with its mailbox.
    pub(crate) fn views(threads: usize) -> Vec<(Self, Receiver<Message>)> {
        let (all, mailboxes): (Vec<_>, Vec<_>) = iter::repeat_with(|| {
            let (mailbox, mail) = channel::unbounded();
            (Thread { mailbox, load: Arc::default() }, mail)
        })
        .take(threads)
        .unzip();
        let view = |place: usize| {
            let mut others = all.clone();
            let load = others.remove(place).load;
            Self { place, load, others, told: Cell::default() }
        };
        mailboxes.into_iter().enumerate().map(|(place, mail)| (view(place), mail)).collect()
    }

    /// Place of this thread; 0 is the first.
    pub(crate) const fn place(&self) -> usize {
        self.place
    }

    /// Tells all others.
    pub(crate) fn tell(&self, mail: impl Fn() -> Message) {
        // A thread ends only with the process.
        self.others.iter().for_each(|other| drop(other.mailbox.try_send(mail())));
    }

    /// Asks all others.
    pub(crate) async fn ask(&self, question: &dyn Fn(Sender<Answer>) -> Message) -> Vec<Answer> {
        let mut asked = Vec::with_capacity(self.others.len());
        for other in &self.others {
            let (answer, answered) = channel::bounded(1);
            let _ = other.mailbox.try_send(question(answer));
            asked.push(answered);
        }
        let mut answers = Vec::with_capacity(asked.len());
        for answered in asked {
            answers.extend(answered.recv().await);
        }
        answers
    }

    /// Sees to it that the minute is summed up; false where this is the first thread, whose task it is.
    pub(crate) fn tell_first(&self) -> bool {
        let first = self.others.first().filter(|_| self.place > 0);
        first.is_some_and(|first| first.mailbox.try_send(Message::Minute).is_ok())
    }

    /// Tells the others of the last success, unless they know of one about as late.
    pub(crate) fn tell_success(&self, last: Option<Instant>) {
        if let Some(at) = last.filter(|at| !self.others.is_empty() && at.since(self.told.get()) >= APART) {
            self.told.set(at);
            self.tell(|| Message::Accepted(at));
        }
    }

    /// The thread that gets the next connection, where it is another one, and its guard there.
    fn deal(&self) -> (Option<&Thread>, LoadGuard) {
        let load = |load: &AtomicUsize| load.load(Ordering::Relaxed);
        let least = self.others.iter().min_by_key(|other| load(&other.load));
        match least.filter(|other| load(&other.load) < load(&self.load)) {
            Some(other) => (Some(other), LoadGuard::take(&other.load)),
            None => (None, LoadGuard::take(&self.load)),
        }
    }
}

/// Has a connection served by the thread with the fewest.
pub(crate) fn deal(hub: &'static Hub, stream: TcpStream, peer: Peer) -> std::io::Result<()> {
    let (other, guard) = hub.threads.deal();
    match other {
        Some(other) => drop(other.mailbox.try_send(Message::Connection(stream, peer, guard))),
        None => listen::admit(hub, stream, peer, guard)?,
    }
    Ok(())
}

/// Reads what the others write, for ever.
pub(crate) async fn receive(hub: &'static Hub, mailbox: Receiver<Message>) {
    while let Ok(mail) = mailbox.recv().await {
        open(hub, mail);
        // Who was told to make place has its turn before the next one comes.
        future::yield_now().await;
    }
}

fn open(hub: &'static Hub, mail: Message) {
    match mail {
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
        Message::EndMinute(answer) => reply(&answer, Answer::Minute(hub.traffic.end_minute())),
        Message::Drain => hub.drain(),
        Message::Settle(answer) => {
            let settle = async move { reply(&answer, Answer::Waited(hub.traffic.settle(hub.clock).await)) };
            hub.executor.spawn(settle).detach();
        }
        Message::Open(answer) => reply(&answer, Answer::Open(hub.traffic.open_of_senders())),
        Message::Snapshot(page, answer) => reply(&answer, Answer::Snapshot(Box::new(Snapshot::of(hub, page)))),
    }
}

fn reply(answer: &Sender<Answer>, with: Answer) {
    // Who asked may have stopped waiting.
    let _ = answer.try_send(with);
}

#[cfg(test)]
mod tests;
