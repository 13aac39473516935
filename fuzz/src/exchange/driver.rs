//! The driver under the exchange: the loop of the crate's README, one operation at a time.

use core::time::Duration;

use remora_core::forward::{
    Destination, Event, Exchange, Gateway, HeadMemo, Outcome, Outgoing, Unavailable, UpstreamHead,
};
use remora_core::remote_write::{Verdict, Why};
use remora_core::snappy::Window;
use remora_core::time::Instant;

use super::answers;
use super::judge::Attempt;
use super::operation::{Conversation, Misuse, Operation, Peer, Settings};
use super::request::{self, Kind};

/// Slots for events in an exchange. Once all are taken, another event would be lost.
const EVENT_ROOM: usize = 8;

/// Maximum connections per request: one, another in place of a stale one, and another after a 401.
const MOST_CONNECTIONS: usize = 3;

/// Longest piece of a body that is handed to the connection at once. Bytes of it that are not sent yet wait there.
const PIECE: usize = 100;

/// Bytes of the driver's pages: more than the exchange's own responses may have.
const PAGE: usize = 3000;

/// How long a token is usable, in time that only operations advance.
const TOKEN_LIFE: Duration = Duration::from_secs(60);

/// Turns after which a run is considered to be looping.
const MOST_TURNS: usize = 20_000;

/// The sender, the driver and Azure.
#[derive(Debug)]
pub(super) struct Driver<'m> {
    pub(super) exchange: Exchange<'m>,
    gateway: &'m Gateway,
    memo: HeadMemo,
    pub(super) settings: Settings,
    pub(super) peer: Peer,
    now: Instant,
    /// The driver has kept its contract so far.
    pub(super) is_lawful: bool,
    /// The sender's bytes, how many of them were sent, and the kinds of the requests in them.
    script: Vec<u8>,
    said: usize,
    pub(super) kinds: Vec<Kind>,
    /// What the sender received.
    pub(super) received: Vec<u8>,
    /// The event that the driver is working on.
    job: Option<Event>,
    stored: Vec<u8>,
    reserved: usize,
    /// The buffers of the connection while it is parked.
    parked: Option<(&'m mut [u8], &'m mut [u8])>,
    /// The response buffer while it is not in use.
    pub(super) buffer: Option<&'m mut [u8]>,
    /// The connection to Azure.
    pub(super) attempt: Option<Attempt>,
    /// Azure's final status on the last released connection of the open request.
    pub(super) last_said: Option<u16>,
    /// Connections of the open request so far.
    connections: usize,
    pub(super) outcomes: Vec<Outcome>,
}

impl<'m> Driver<'m> {
    pub(super) fn new(
        exchange: Exchange<'m>,
        gateway: &'m Gateway,
        buffer: &'m mut [u8],
        conversation: &Conversation,
    ) -> Self {
        let (script, kinds) = request::script(conversation);
        Self {
            exchange,
            gateway,
            memo: HeadMemo::default(),
            settings: conversation.settings,
            peer: conversation.peer,
            now: Instant::ZERO,
            is_lawful: true,
            script,
            said: 0,
            kinds,
            received: Vec::new(),
            job: None,
            stored: Vec::new(),
            reserved: 0,
            parked: None,
            buffer: Some(buffer),
            attempt: None,
            last_said: None,
            connections: 0,
            outcomes: Vec::new(),
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.exchange.is_done()
    }

    /// Applies an operation if it is possible, then handles the events that follow.
    pub(super) fn apply(&mut self, operation: &Operation) {
        let now = self.now;
        match operation {
            Operation::Pass(ms) => self.pass(now.saturating_add(Duration::from_millis((*ms).into()))),
            Operation::Deadline => self.pass(self.exchange.deadline()),
            Operation::Run => self.run(),
            Operation::Say(n) => drop(self.say((*n).into())),
            Operation::SenderEnds if self.exchange.interest().client_read => {
                self.resume();
                self.exchange.client_eof(now);
            }
            Operation::SenderBreaks => self.exchange.client_broken(now),
            Operation::Listen(n) => drop(self.listen((*n).into())),
            Operation::Store(n) => drop(self.store((*n).into())),
            Operation::Exhaust if !self.exchange.body_piece().is_empty() => self.exchange.exhausted(now),
            Operation::Find { reused } => drop(self.find(*reused)),
            Operation::Miss(cause) => self.miss((*cause).into()),
            Operation::Upload(n) => drop(self.upload((*n).into())),
            Operation::UploadBreaks => self.exchange.upstream_unwritable(now),
            Operation::Answer(answer) => {
                if let Some(attempt) = &mut self.attempt {
                    answers::write(&mut attempt.saying, answer);
                }
            }
            Operation::Deliver(n) => drop(self.deliver((*n).into())),
            Operation::AzureEnds if self.exchange.interest().upstream_read => self.exchange.upstream_eof(now),
            Operation::AzureBreaks => self.exchange.upstream_broken(now, "reset"),
            Operation::TokenGranted => self.gateway.token_granted(now.saturating_add(TOKEN_LIFE)),
            Operation::Drain => self.gateway.drain(),
            Operation::Misuse(misuse) => self.misuse(*misuse),
            // Not possible now: the exchange does not read there, or no piece is waiting.
            Operation::SenderEnds | Operation::AzureEnds | Operation::Exhaust => {}
        }
        self.handle_events();
    }

    /// Lets time pass to `then`, unless that is never. Meanwhile, others may use the buffers.
    fn pass(&mut self, then: Instant) {
        if then < Instant::NEVER {
            self.parked = self.exchange.park().or(self.parked.take());
            self.now = self.now.max(then);
            self.exchange.wake(self.now);
        }
    }

    /// Gives the buffers back, overwritten as by others.
    fn resume(&mut self) {
        if let Some((inbox, outbox)) = self.parked.take() {
            inbox.fill(b'i');
            outbox.fill(b'o');
            self.exchange.resume(inbox, outbox);
        }
    }

    fn run(&mut self) {
        for _ in 0..MOST_TURNS {
            let moved = self.listen(usize::MAX)
                || self.store(usize::MAX)
                || self.find(false)
                || self.upload(usize::MAX)
                || self.deliver(usize::MAX)
                || self.say(usize::MAX);
            if !moved {
                return;
            }
            self.handle_events();
        }
        panic!("no rest after {MOST_TURNS} turns: {:?}", self.exchange);
    }

    fn say(&mut self, most: usize) -> bool {
        if self.said == self.script.len() || !self.exchange.interest().client_read {
            return false;
        }
        self.resume();
        let rest = &self.script[self.said..];
        let room = self.exchange.body_room();
        // An even `most` allows bytes beyond the body, an odd one does not.
        let beyond = if room > 0 && most % 2 == 1 { 0 } else { self.exchange.client_space().len() };
        let n = rest.len().min(room.saturating_add(beyond)).min(most);
        let bytes = &rest[..n];
        if n > 0 && room > 0 {
            let (body, beyond) = bytes.split_at(room.min(n));
            self.stored.extend_from_slice(body);
            assert!(self.stored.len() <= self.reserved || !self.is_lawful, "more than is reserved");
            self.exchange.client_space()[..beyond.len()].copy_from_slice(beyond);
            self.exchange.body_filled(self.now, n);
        } else if n > 0 {
            self.exchange.client_space()[..n].copy_from_slice(bytes);
            self.exchange.client_filled_with(self.now, n, &mut self.memo);
        }
        self.said += n;
        n > 0
    }

    fn listen(&mut self, most: usize) -> bool {
        let page = self.exchange.page_offset().map(|from| self.stored.get(from..).unwrap_or_default());
        let pending = page.unwrap_or(self.exchange.client_pending());
        assert!(self.exchange.interest().client_write != pending.is_empty() || !self.is_lawful);
        let n = pending.len().min(most);
        self.received.extend_from_slice(&pending[..n]);
        if n > 0 {
            self.exchange.client_drained(self.now, n);
        }
        n > 0
    }

    fn store(&mut self, most: usize) -> bool {
        let piece = self.exchange.body_piece();
        let n = piece.len().min(most);
        self.stored.extend_from_slice(&piece[..n]);
        if n > 0 {
            assert!(
                self.stored.len() <= super::POLICY.max_body_bytes || !self.is_lawful,
                "more than the limit is stored"
            );
            self.exchange.body_taken(self.now, n);
        }
        n > 0
    }

    fn find(&mut self, reused: bool) -> bool {
        let Some(job) = self.job.take() else { return false };
        match job {
            Event::Reserve(bytes) => {
                self.reserved = bytes;
                self.exchange.reserved(self.now);
            }
            Event::Connect { fresh } => self.attach(reused && !fresh),
            Event::Page(_) => {
                self.stored.extend_from_slice(&[b'p'; PAGE]);
                self.exchange.page_ready(self.now, PAGE);
            }
            _ => self.exchange.refreshed(self.now),
        }
        true
    }

    fn attach(&mut self, reused: bool) {
        let Some(buffer) = self.buffer.take() else {
            return assert!(!self.is_lawful, "a second response buffer is needed");
        };
        (self.attempt, self.last_said) = (Some(Attempt::new(self.outcomes.len())), None);
        self.connections += 1;
        assert!(self.connections <= MOST_CONNECTIONS || !self.is_lawful, "no end of connections");
        self.exchange.attach(self.now, buffer, reused);
    }

    fn miss(&mut self, why: Unavailable) {
        match self.job.take() {
            Some(Event::Reserve(_) | Event::Page(_)) => self.exchange.exhausted(self.now),
            Some(Event::Connect { .. }) => self.exchange.refuse(self.now, why, "the cause"),
            Some(_) => self.exchange.unrefreshed(self.now, (why != Unavailable::NoToken).then_some("the cause")),
            None => {}
        }
    }

    fn upload(&mut self, most: usize) -> bool {
        let Some(attempt) = &mut self.attempt else { return false };
        if attempt.unsent.is_empty() && self.exchange.interest().upstream_write {
            match self.exchange.outgoing() {
                Outgoing::Head => {
                    let to = Destination { authority: "azure", target: "/x", authorization: b"Bearer secret" };
                    let mut head = UpstreamHead::new([0; 2048], &to).expect("room for what heads have in common");
                    let n = self.exchange.encode_head(&mut head).expect("room for a head");
                    attempt.unsent.extend_from_slice(&head.as_bytes()[..n]);
                    self.exchange.head_sent(self.now);
                }
                Outgoing::Body { from } => {
                    let rest = self.stored.get(from..).unwrap_or_default();
                    let n = rest.len().min(PIECE);
                    attempt.unsent.extend_from_slice(&rest[..n]);
                    self.exchange.body_sent(self.now, n);
                }
                Outgoing::Done => {}
            }
        }
        let n = attempt.unsent.len().min(most);
        attempt.sent.extend(attempt.unsent.drain(..n));
        n > 0
    }

    fn deliver(&mut self, most: usize) -> bool {
        let Some(attempt) = self.attempt.as_mut().filter(|_| self.exchange.interest().upstream_read) else {
            return false;
        };
        self.exchange.upstream_backlog(!attempt.unsent.is_empty());
        let space = self.exchange.upstream_space();
        let n = attempt.saying.len().min(space.len()).min(most);
        let bytes: Vec<_> = attempt.saying.drain(..n).collect();
        space[..n].copy_from_slice(&bytes);
        attempt.said.extend(bytes);
        if n > 0 {
            self.exchange.upstream_filled(self.now, n);
        }
        n > 0
    }

    /// Handles events until there are none.
    fn handle_events(&mut self) {
        let mut waiting = 0;
        while let Some(event) = self.exchange.poll_event() {
            waiting += 1;
            assert!(waiting < EVENT_ROOM || !self.is_lawful, "{waiting} events at once");
            self.handle(event);
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Reserve(_) | Event::Page(_) | Event::Connect { .. } | Event::Refresh => self.job = Some(event),
            Event::Check => self.check(),
            Event::Readiness => self.exchange.readiness_detail(self.now, "the cause"),
            Event::Release { .. } => {
                self.judge_attempt();
                self.buffer = self.exchange.detach().or(self.buffer.take());
                self.last_said = self.said_by_azure();
                self.attempt = None;
            }
            Event::Answered(outcome) => {
                self.judge_outcome(&outcome);
                self.outcomes.push(outcome);
                self.stored.clear();
                (self.reserved, self.connections, self.last_said) = (0, 0, None);
                // A page that comes too late is not kept.
                self.job.take_if(|job| matches!(job, Event::Page(_)));
            }
            Event::HalfClose | Event::Close => {}
        }
    }

    fn check(&mut self) {
        let mut bytes = [0; 1 << 12];
        let mut check = self.exchange.frame_check(0, Window::new(&mut bytes).unwrap());
        self.stored.chunks(700).for_each(|piece| check.feed(piece));
        let verdict = check.finish();
        self.exchange.checked(self.now, verdict);
    }

    fn misuse(&mut self, misuse: Misuse) {
        self.is_lawful = false;
        let (exchange, now) = (&mut self.exchange, self.now);
        match misuse {
            Misuse::ClientFilled(n) => exchange.client_filled(now, n.into()),
            Misuse::ClientDrained(n) => exchange.client_drained(now, n.into()),
            Misuse::Reserved => exchange.reserved(now),
            Misuse::BodyTaken(n) => exchange.body_taken(now, n.into()),
            Misuse::BodyFilled(n) => exchange.body_filled(now, n.into()),
            Misuse::Checked => exchange.checked(now, Verdict::Unchecked(Why::OffsetBeyondWindow { offset: 0 })),
            Misuse::Attach => self.attach(true),
            Misuse::Refreshed => exchange.refreshed(now),
            Misuse::HeadSent => exchange.head_sent(now),
            Misuse::BodySent(n) => exchange.body_sent(now, n.into()),
            Misuse::UpstreamFilled(n) => exchange.upstream_filled(now, n.into()),
            Misuse::Report => exchange.readiness_detail(now, ""),
            Misuse::PageReady(n) => exchange.page_ready(now, n.into()),
            Misuse::Past => exchange.wake(Instant::ZERO),
        }
    }
}
