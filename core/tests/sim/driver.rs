//! The driver under the exchange: the loop of the crate's README, on links instead of sockets.

use std::collections::VecDeque;

use remora_core::forward::{Destination, Event, Exchange, HeadMemo, Outcome, Outgoing, Unavailable, UpstreamHead};
use remora_core::snappy::Window;
use remora_core::time::Instant;

use crate::azure::Azure;
use crate::link::{End, Read};
use crate::random::Random;
use crate::sender::Sender;

/// The driver's page: longer than the exchange's own responses may be.
pub(crate) const PAGE: &[u8] = &[b'p'; 5000];

/// A job that takes time, during which the driver does nothing else.
#[derive(Clone, Copy, Debug)]
struct Job {
    due: u64,
    event: Event,
}

/// How a driver goes about its work. The exchange must cope with every variant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// Handles events after each operation, not only after all of them.
    pub(crate) eager: bool,
    /// Tries the operations in any order.
    pub(crate) shuffles: bool,
    /// Reports the result of a job even after the deadline has passed.
    pub(crate) stubborn: bool,
}

/// What may go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Luck {
    /// Nothing; Azure may still refuse.
    Good,
    /// Links and Azure.
    Mixed,
    /// Also the driver's part: tokens, names, connections and room may be missing.
    Bad,
}

/// What the driver saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) outcomes: Vec<Outcome>,
    /// Most events that were waiting at once.
    pub(crate) most_events: usize,
    /// Most body bytes that were stored at once.
    pub(crate) most_stored: usize,
}

pub(crate) struct Driver<'m> {
    pub(crate) exchange: Exchange<'m>,
    /// In every other conversation.
    memo: Option<HeadMemo>,
    pub(crate) log: Log,
    /// Response buffers that are not in use.
    pub(crate) spare: Vec<&'m mut [u8]>,
    manner: Manner,
    luck: Luck,
    random: Random,
    events: VecDeque<Event>,
    job: Option<Job>,
    pub(crate) body: Vec<u8>,
    reserved: usize,
    /// The connection to Azure, and what it has not taken yet.
    upstream: Option<usize>,
    unsent: Vec<u8>,
    excess: bool,
    idle: Vec<usize>,
    token: usize,
}

impl<'m> Driver<'m> {
    pub(crate) fn new(
        exchange: Exchange<'m>,
        spare: Vec<&'m mut [u8]>,
        (manner, luck): (Manner, Luck),
        random: &mut Random,
    ) -> Self {
        Self {
            exchange,
            memo: random.chance(50).then(HeadMemo::default),
            log: Log::default(),
            spare,
            manner,
            luck,
            random: Random::new(random.next()),
            events: VecDeque::new(),
            job: None,
            body: Vec::new(),
            reserved: 0,
            upstream: None,
            unsent: Vec::new(),
            excess: false,
            idle: Vec::new(),
            token: 0,
        }
    }

    /// Does what can be done now; true when something moved.
    pub(crate) fn turn(&mut self, now: u64, sender: &mut Sender, azure: &mut Azure) -> bool {
        let at = Instant::from_millis(now);
        if let Some(job) = self.job {
            if now >= job.due {
                self.job = None;
                self.finish(at, job.event, azure);
            } else if at >= self.exchange.deadline() {
                self.job = None;
                self.exchange.wake(at);
                if self.manner.stubborn {
                    self.finish(at, job.event, azure);
                }
            } else {
                return false;
            }
        }
        self.exchange.wake(at);
        let mut moved = self.handle_events(now, sender, azure);
        let mut operations = [0, 1, 2, 3, 4];
        if self.manner.shuffles {
            (0..5).for_each(|i| operations.swap(i, self.random.range(0, 4)));
        }
        for operation in operations {
            if self.job.is_some() {
                return true;
            }
            moved |= self.operate(operation, now, sender, azure);
            if self.manner.eager {
                moved |= self.handle_events(now, sender, azure);
            }
        }
        moved | self.handle_events(now, sender, azure)
    }

    /// When the current job is done.
    pub(crate) fn next(&self, now: u64) -> Option<u64> {
        self.job.map(|job| job.due).filter(|due| *due > now && *due < u64::MAX)
    }

    /// The exchange is over: handles the last events.
    pub(crate) fn conclude(&mut self, now: u64, sender: &mut Sender, azure: &mut Azure) {
        self.handle_events(now, sender, azure);
    }

    fn handle_events(&mut self, now: u64, sender: &mut Sender, azure: &mut Azure) -> bool {
        let mut some = false;
        while self.job.is_none() {
            let waiting = self.events.len();
            self.events.extend(core::iter::from_fn(|| self.exchange.poll_event()));
            self.log.most_events = self.log.most_events.max(self.events.len() - waiting);
            let Some(event) = self.events.pop_front() else { return some };
            some = true;
            self.handle(now, event, sender, azure);
        }
        some
    }

    fn handle(&mut self, now: u64, event: Event, sender: &mut Sender, azure: &mut Azure) {
        let at = Instant::from_millis(now);
        match event {
            Event::Reserve(_) | Event::Connect { .. } | Event::Refresh => {
                let lasts = self.random.pick(&[0, 0, 2, 30]);
                let due = if self.luck == Luck::Bad && self.random.chance(3) { u64::MAX } else { now + lasts };
                self.job = Some(Job { due, event });
            }
            Event::Check => self.check(at),
            Event::Page(_) => self.write_page(at),
            Event::Readiness => self.exchange.readiness_detail(at, "the cause"),
            Event::Release { reusable } => self.release(now, reusable, azure),
            Event::Answered(outcome) => {
                self.log.outcomes.push(outcome);
                self.body.clear();
                self.reserved = 0;
            }
            Event::HalfClose => sender.down.end(now, End::Closed),
            Event::Close => {
                sender.down.end(now, End::Closed);
                sender.up.deafen();
            }
        }
    }

    fn finish(&mut self, at: Instant, event: Event, azure: &mut Azure) {
        let fails = self.luck == Luck::Bad && self.random.chance(10);
        match event {
            Event::Reserve(bytes) => {
                self.reserved = bytes;
                self.exchange.reserved(at);
            }
            Event::Connect { .. } if fails => {
                let why = self.random.pick(&[
                    Unavailable::NoToken,
                    Unavailable::Resolve,
                    Unavailable::Connect,
                    Unavailable::Tls,
                ]);
                self.exchange.refuse(at, why, "the cause");
            }
            Event::Connect { fresh } => {
                let now = at.as_millis();
                self.idle.retain(|&number| azure.connections[number].down.is_quiet(now));
                let idle = if fresh { None } else { self.idle.pop() };
                self.upstream = Some(idle.unwrap_or_else(|| azure.open()));
                self.excess = false;
                let buffer = self.spare.pop().expect("one response buffer at a time");
                self.exchange.attach(at, buffer, idle.is_some());
            }
            Event::Refresh if fails => self.exchange.unrefreshed(at, Some("the cause")),
            _ => {
                self.token += 1;
                self.exchange.refreshed(at);
            }
        }
    }

    fn check(&mut self, at: Instant) {
        let mut bytes = vec![0; 1 << 16];
        let mut check = self.exchange.frame_check(0, Window::new(&mut bytes).unwrap());
        self.body.chunks(5000).for_each(|piece| check.feed(piece));
        let verdict = check.finish();
        self.exchange.checked(at, verdict);
    }

    fn write_page(&mut self, at: Instant) {
        if self.luck == Luck::Bad && self.random.chance(10) {
            return self.exchange.exhausted(at);
        }
        self.body.extend_from_slice(PAGE);
        self.exchange.page_ready(at, PAGE.len());
    }

    fn release(&mut self, now: u64, reusable: bool, azure: &mut Azure) {
        self.spare.extend(self.exchange.detach());
        let Some(number) = self.upstream.take() else { return };
        let flushed = self.unsent.is_empty();
        self.unsent.clear();
        if reusable && flushed && !self.excess {
            self.idle.push(number);
        } else {
            azure.connections[number].up.end(now, End::Closed);
        }
    }

    fn operate(&mut self, operation: u8, now: u64, sender: &mut Sender, azure: &mut Azure) -> bool {
        let interest = self.exchange.interest();
        match operation {
            0 => interest.client_write && self.write_client(now, sender),
            1 => self.store(now),
            2 => interest.client_read && self.read_client(now, sender),
            3 => (interest.upstream_write || !self.unsent.is_empty()) && self.write_upstream(now, azure),
            _ => interest.upstream_read && self.read_upstream(now, azure),
        }
    }

    fn write_client(&mut self, now: u64, sender: &mut Sender) -> bool {
        let at = Instant::from_millis(now);
        let bytes = self.exchange.page_offset().map_or(self.exchange.client_pending(), |from| &self.body[from..]);
        match sender.down.write(now, bytes) {
            Some(0) => return false,
            Some(n) => self.exchange.client_drained(at, n),
            None => self.exchange.client_broken(at),
        }
        true
    }

    fn store(&mut self, now: u64) -> bool {
        let at = Instant::from_millis(now);
        let n = self.exchange.body_piece().len().min(self.random.range(1, 20_000));
        if n == 0 {
            return false;
        }
        if self.luck == Luck::Bad && self.body.len() >= self.reserved && self.random.chance(2) {
            self.exchange.exhausted(at);
        } else {
            self.body.extend_from_slice(&self.exchange.body_piece()[..n]);
            self.exchange.body_taken(at, n);
        }
        self.log.most_stored = self.log.most_stored.max(self.body.len());
        true
    }

    fn read_client(&mut self, now: u64, sender: &mut Sender) -> bool {
        let at = Instant::from_millis(now);
        let whole = self.exchange.body_room();
        let room = whole.min(4096);
        let read = if room > 0 {
            // A read may go beyond the body if all of the body's room is offered.
            let beyond = if room == whole && self.random.chance(2) { self.exchange.client_space().len() } else { 0 };
            let mut buffer = vec![0; room + beyond];
            let read = sender.up.read(now, &mut buffer);
            if let Read::Bytes(n) = read {
                let body = n.min(room);
                self.body.extend_from_slice(&buffer[..body]);
                self.exchange.client_space()[..n - body].copy_from_slice(&buffer[body..n]);
            }
            assert!(self.body.len() <= self.reserved, "{} bytes where {} are reserved", self.body.len(), self.reserved);
            read
        } else {
            sender.up.read(now, self.exchange.client_space())
        };
        match read {
            Read::Blocked => return false,
            Read::Bytes(n) if room > 0 => self.exchange.body_filled(at, n),
            Read::Bytes(n) => match &mut self.memo {
                Some(memo) => self.exchange.client_filled_with(at, n, memo),
                None => self.exchange.client_filled(at, n),
            },
            Read::End => self.exchange.client_eof(at),
            Read::Reset => self.exchange.client_broken(at),
        }
        self.log.most_stored = self.log.most_stored.max(self.body.len());
        true
    }

    fn write_upstream(&mut self, now: u64, azure: &mut Azure) -> bool {
        let Some(number) = self.upstream else { return false };
        let at = Instant::from_millis(now);
        if self.unsent.is_empty() {
            match self.exchange.outgoing() {
                Outgoing::Head => {
                    let authorization = format!("Bearer secret-{}", self.token);
                    let to = Destination { authority: "azure", target: "/x", authorization: authorization.as_bytes() };
                    let mut head = UpstreamHead::new([0; 2048], &to).expect("room for what heads have in common");
                    let n = self.exchange.encode_head(&mut head).expect("room for a head");
                    self.unsent.extend_from_slice(&head.as_bytes()[..n]);
                    self.exchange.head_sent(at);
                }
                Outgoing::Body { from } => {
                    let n = (self.body.len() - from).min(self.random.range(1, 16 * 1024));
                    self.unsent.extend_from_slice(&self.body[from..from + n]);
                    self.exchange.body_sent(at, n);
                }
                Outgoing::Done => {}
            }
        }
        if let Some(n) = azure.connections[number].up.write(now, &self.unsent) {
            self.unsent.drain(..n);
            return n > 0;
        }
        self.unsent.clear();
        self.exchange.upstream_unwritable(at);
        false
    }

    fn read_upstream(&mut self, now: u64, azure: &mut Azure) -> bool {
        let Some(number) = self.upstream else { return false };
        let at = Instant::from_millis(now);
        self.exchange.upstream_backlog(!self.unsent.is_empty());
        let mut buffer = [0; 3000];
        match azure.connections[number].down.read(now, &mut buffer) {
            Read::Blocked => return false,
            Read::Bytes(n) => self.feed(at, &buffer[..n]),
            Read::End => self.exchange.upstream_eof(at),
            Read::Reset => self.exchange.upstream_broken(at, "reset"),
        }
        true
    }

    fn feed(&mut self, at: Instant, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.exchange.upstream_space();
            let n = space.len().min(bytes.len());
            if n == 0 {
                self.excess = true;
                return;
            }
            space[..n].copy_from_slice(&bytes[..n]);
            self.exchange.upstream_filled(at, n);
            bytes = &bytes[n..];
        }
    }
}
