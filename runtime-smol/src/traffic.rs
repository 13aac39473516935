//! Counters of open connections and requests, and of the current minute's writes.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use event_listener::Event;
use remora_core::forward::Outcome;
use remora_core::time::Instant;

use crate::notice::Minute;

/// How long a stopping process waits for another write on connections that stay open. Prometheus, stopped at the same
/// time, still sends what it holds, and may wait up to 5 s to fill a batch (`batch_send_deadline`).
const QUIET: Duration = Duration::from_secs(6);

/// How much later than it was told a sender may come back.
const LATE: Duration = Duration::from_secs(1);

/// A write that was not accepted, with the answer its sender got.
#[derive(Clone, Debug)]
pub(crate) struct FailedWrite {
    pub(crate) at: Instant,
    pub(crate) status: u16,
    pub(crate) upstream_status: Option<u16>,
    pub(crate) text: String,
}

/// The oldest sample of a write.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OldestSample {
    /// When the write was answered.
    pub(crate) at: Instant,
    /// How old the sample was then.
    pub(crate) age: Duration,
}

/// The counters. One thread owns them.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Connections of peers that may write.
    senders: Cell<usize>,
    open: Cell<usize>,
    /// Those of peers that may write.
    open_of_senders: Cell<usize>,
    /// When a sender last connected or had its write answered, or when the process began to stop.
    heard: Cell<Instant>,
    turned_away: Cell<u64>,
    abandoned: Cell<u64>,
    oldest: Cell<OldestSample>,
    last_failed: RefCell<Option<FailedWrite>>,
    /// When the last sender that was told to come back later does so.
    expected: Cell<Instant>,
    minute: RefCell<Minute>,
    counting: Cell<bool>,
    less: Event,
}

impl Traffic {
    /// Counts a new connection; `sender` if its peer may write.
    pub(crate) fn connected(&self, now: Instant, sender: bool) {
        if sender {
            self.senders.set(self.senders.get() + 1);
            self.note_activity(now);
        }
    }

    /// A connection ended.
    pub(crate) fn disconnected(&self, sender: bool) {
        self.senders.set(self.senders.get().saturating_sub(usize::from(sender)));
        self.less.notify(usize::MAX);
    }

    /// A request began; `sender` if its peer may write.
    pub(crate) fn opened(&self, sender: bool) {
        self.open.set(self.open.get() + 1);
        self.open_of_senders.set(self.open_of_senders.get() + usize::from(sender));
    }

    /// A request ended.
    pub(crate) fn closed(&self, sender: bool) {
        self.open.set(self.open.get().saturating_sub(1));
        self.open_of_senders.set(self.open_of_senders.get().saturating_sub(usize::from(sender)));
        self.less.notify(usize::MAX);
    }

    /// Open requests.
    pub(crate) fn open(&self) -> usize {
        self.open.get()
    }

    /// Open requests of peers that may write: a stopping process waits only for these.
    pub(crate) fn open_of_senders(&self) -> usize {
        self.open_of_senders.get()
    }

    /// A sender's connection was turned away, or closed to make room for another.
    pub(crate) fn turn_away(&self) {
        self.turned_away.set(self.turned_away.get() + 1);
    }

    /// Senders' connections that were turned away, or closed to make room for another.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away.get()
    }

    /// A sender hung up before its write was answered.
    pub(crate) fn abandon(&self) {
        self.abandoned.set(self.abandoned.get() + 1);
    }

    /// Writes whose sender hung up before the answer.
    pub(crate) fn abandoned(&self) -> u64 {
        self.abandoned.get()
    }

    /// Records the age of a write's oldest sample.
    pub(crate) fn note_oldest(&self, at: Instant, age: Duration) {
        self.oldest.set(OldestSample { at, age });
    }

    /// The oldest sample of the last write with samples.
    pub(crate) fn oldest(&self) -> OldestSample {
        self.oldest.get()
    }

    /// Records a write that was not accepted.
    pub(crate) fn write_failed(&self, now: Instant, outcome: &Outcome, text: &str) {
        let Outcome { status, upstream_status, .. } = *outcome;
        *self.last_failed.borrow_mut() = Some(FailedWrite { at: now, status, upstream_status, text: text.to_owned() });
    }

    /// The last write that was not accepted.
    pub(crate) fn last_failed(&self) -> Option<FailedWrite> {
        self.last_failed.borrow().clone()
    }

    /// A sender connected or had its write answered, or the process began to stop: senders get [`QUIET`] from now on.
    pub(crate) fn note_activity(&self, now: Instant) {
        self.heard.set(now);
    }

    /// Counts a write.
    pub(crate) fn wrote(&self, now: Instant, outcome: &Outcome) {
        if let Some(seconds) = outcome.retry_after {
            let back = now.saturating_add(Duration::from_secs(seconds.into()) + LATE);
            self.expected.set(self.expected.get().max(back));
        }
        let mut minute = self.minute.borrow_mut();
        let count = if outcome.is_success() { &mut minute.succeeded } else { &mut minute.failed };
        *count += 1;
        minute.bytes += u64::try_from(outcome.body_bytes).unwrap_or(u64::MAX);
        minute.busy += now.since(outcome.began);
    }

    /// Begins a minute, unless one is in progress; true if the caller must schedule its end.
    pub(crate) fn begin_minute(&self) -> bool {
        !self.counting.replace(true)
    }

    /// Ends the minute and returns its counts.
    pub(crate) fn end_minute(&self) -> Minute {
        self.counting.set(false);
        self.minute.take()
    }

    /// When a stopping process may end; `None` while a sender's request is open.
    fn settled(&self, now: Instant) -> Option<Instant> {
        match (self.open_of_senders.get(), self.senders.get()) {
            (0, 0) => Some(now),
            (0, _) => Some(self.heard.get().saturating_add(QUIET).max(self.expected.get())),
            _ => None,
        }
    }

    /// Completes once no sender's request is open and senders have left or been quiet; returns whether it had to wait.
    pub(crate) async fn settle(&self, clock: crate::clock::Clock) -> bool {
        let mut waited = false;
        loop {
            let less = self.less.listen();
            match self.settled(clock.now()) {
                Some(at) if at <= clock.now() => return waited,
                Some(at) => {
                    smol::future::or(clock.until(at), less).await;
                }
                None => less.await,
            }
            waited = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use remora_core::forward::Purpose;

    use super::*;

    #[test]
    fn a_silent_sender_has_time_from_the_signal_on() {
        let (traffic, signal) = (Traffic::default(), Instant::from_millis(500_000));
        traffic.connected(Instant::from_millis(400_000), true);
        traffic.note_activity(signal);
        assert_eq!(traffic.settled(signal), Some(signal.saturating_add(QUIET)));
        traffic.opened(true);
        assert_eq!(traffic.settled(signal), None);
        traffic.closed(true);
        traffic.disconnected(true);
        assert_eq!(traffic.settled(signal), Some(signal));
    }

    #[test]
    fn a_sender_that_connects_late_has_as_much_time_as_the_others() {
        let (traffic, signal) = (Traffic::default(), Instant::from_millis(500_000));
        traffic.note_activity(signal);
        let late = signal.saturating_add(QUIET);
        traffic.connected(late, true);
        assert_eq!(traffic.settled(late), Some(late.saturating_add(QUIET)));
    }

    #[test]
    fn a_sender_that_was_told_to_come_back_is_waited_for() {
        let (traffic, signal) = (Traffic::default(), Instant::from_millis(500_000));
        let refused = |retry_after| Outcome {
            status: 503,
            upstream_status: Some(429),
            unavailable: None,
            retry_after,
            purpose: Purpose::Write,
            body_bytes: 0,
            counts: None,
            began: signal,
        };
        traffic.connected(signal, true);
        for retry_after in [Some(10), Some(1), None] {
            traffic.wrote(signal, &refused(retry_after));
        }
        traffic.note_activity(signal);
        assert_eq!(traffic.settled(signal), Some(signal.saturating_add(Duration::from_secs(10) + LATE)));
        traffic.disconnected(true);
        assert_eq!(traffic.settled(signal), Some(signal), "it has left");
    }

    #[test]
    fn a_minute_counts_writes_their_bytes_and_their_time() {
        let (traffic, began) = (Traffic::default(), Instant::from_millis(500_000));
        for status in [204, 204, 503] {
            let outcome = Outcome {
                status,
                upstream_status: None,
                unavailable: None,
                retry_after: None,
                purpose: Purpose::Write,
                body_bytes: 1000,
                counts: None,
                began,
            };
            traffic.wrote(began.saturating_add(Duration::from_millis(40)), &outcome);
        }
        let minute = Minute { succeeded: 2, failed: 1, bytes: 3000, busy: Duration::from_millis(120) };
        assert_eq!(traffic.end_minute(), minute);
        assert_eq!(traffic.end_minute(), Minute::default());
    }

    #[test]
    fn shutdown_does_not_wait_for_peers_that_may_not_write() {
        let (traffic, now) = (Traffic::default(), Instant::from_millis(500_000));
        traffic.note_activity(now);
        traffic.connected(now.saturating_add(QUIET), false);
        traffic.opened(false);
        assert_eq!(traffic.settled(now), Some(now));
    }
}
