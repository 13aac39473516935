//! The machine for one sender connection.

mod client;
mod upstream;

use core::fmt;
use core::time::Duration;

use super::gateway::{Gateway, Readiness};
use super::inbox::Inbox;
use super::outbox::Outbox;
use super::reply::{self, Line, Rejection, Reply};
use super::request::{Peer, Purpose, Request, Route};
use super::response::Response;
use super::{Event, Interest, Outgoing, Unavailable};
use crate::http::{Framing, HeadError};
use crate::remote_write::{self, Counts, Version};
use crate::time::Instant;

/// How a request ended, as the sender sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The status of the response.
    pub status: u16,
    /// Azure's last status, if it responded.
    pub upstream_status: Option<u16>,
    /// Why the request could not be forwarded, if that is the case.
    pub unavailable: Option<Unavailable>,
    /// After how many seconds the sender was told to come back.
    pub retry_after: Option<u8>,
    /// What the request was for.
    pub purpose: Purpose,
    /// Size of the stored body or page in bytes.
    pub body_bytes: usize,
    /// What the frame check counted.
    pub counts: Option<Counts>,
    /// When the head was complete.
    pub began: Instant,
}

impl Outcome {
    /// Whether the sender got a success status (RFC 9110 §15.3).
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Whether this is a write that was not accepted.
    pub fn is_failed_write(&self) -> bool {
        self.purpose == Purpose::Write && !self.is_success()
    }
}

/// The state of the exchange. Each phase has one deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Between requests.
    Idle,
    /// Part of a head has arrived.
    Head,
    /// The head is decoded; storage for the body is not reserved yet.
    Reserve,
    /// The body is arriving.
    Body,
    /// The body is being checked.
    Check,
    /// Waiting for a token and a connection.
    Connect,
    /// Request and response are being transferred upstream.
    Forward,
    /// The token is being refreshed after a 401.
    Refresh,
    /// Waiting for the driver to say why there is no token.
    Readiness,
    /// The driver is writing a page.
    Page,
    /// A page is being sent.
    Send,
    /// The response is being sent.
    Answer,
    /// The response is sent; the rest of the body is read and discarded.
    Drain,
    /// Nothing more will happen.
    Done,
}

/// The upstream side of an exchange while a connection is attached.
#[derive(Debug)]
struct Link<'m> {
    response: Response<'m>,
    outgoing: Outgoing,
    reused: bool,
    /// Bytes handed to the connection have not been sent yet.
    backlog: bool,
    /// No further request may use the connection: writing failed, or the response says so.
    spent: bool,
}

/// One sender connection, request after request. For how it is driven see the
/// [crate's documentation](crate#the-drivers-loop).
///
/// Every call that may change what is to be done takes the time `now`, even where it is not needed yet. Between such
/// calls, what the queries return stays the same, with two exceptions: [`park`](Self::park) and [`resume`](Self::resume)
/// take and give the space for bytes from the sender, and [`body_piece`](Self::body_piece) is empty until
/// [`poll_event`](Self::poll_event) has returned all events.
pub struct Exchange<'m> {
    gateway: &'m Gateway,
    peer: Peer,
    inbox: Inbox<'m>,
    outbox: Outbox<'m>,
    phase: Phase,
    deadline: Instant,
    events: heapless::Deque<Event, 8>,
    request: Request,
    stored: usize,
    record: Record,
    began: Instant,
    /// When the time limit for the body began.
    body_began: Instant,
    close_after: bool,
    /// Page bytes already sent; the page is `stored` bytes long.
    sent: usize,
    link: Option<Link<'m>>,
    released: Option<&'m mut [u8]>,
}

/// What has become of the open request. The next one begins with an empty record.
#[derive(Debug, Default)]
struct Record {
    counts: Option<Counts>,
    upstream_status: Option<u16>,
    unavailable: Option<Unavailable>,
    /// The token was refreshed once after a 401.
    refreshed: bool,
    /// It was sent again once, on a fresh connection.
    reconnected: bool,
}

impl fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("phase", &self.phase)
            .field("deadline", &self.deadline)
            .field("stored", &self.stored)
            .finish_non_exhaustive()
    }
}

impl<'m> Exchange<'m> {
    /// A new connection from `peer`. `inbox` bounds the head, `outbox` the response: usually [`INBOX_BYTES`] and
    /// [`OUTBOX_BYTES`].
    ///
    /// [`INBOX_BYTES`]: super::INBOX_BYTES
    /// [`OUTBOX_BYTES`]: super::OUTBOX_BYTES
    pub fn new(now: Instant, gateway: &'m Gateway, peer: Peer, inbox: &'m mut [u8], outbox: &'m mut [u8]) -> Self {
        Self {
            gateway,
            peer,
            inbox: Inbox::new(inbox),
            outbox: Outbox::new(outbox),
            phase: Phase::Idle,
            deadline: now.saturating_add(idle(gateway, peer)),
            events: heapless::Deque::new(),
            // A placeholder until the first head.
            request: Request::malformed(HeadError::Malformed, peer),
            stored: 0,
            record: Record::default(),
            began: now,
            body_began: now,
            close_after: false,
            sent: 0,
            link: None,
            released: None,
        }
    }

    /// The next event, if any. May change after every call that takes `now`.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Which reads and writes would make progress. May change after every call that takes `now`.
    pub fn interest(&self) -> Interest {
        let forward = self.phase == Phase::Forward;
        let reading = match self.phase {
            Phase::Idle | Phase::Head | Phase::Drain => true,
            Phase::Body => self.inbox.piece().is_empty(),
            _ => false,
        };
        Interest {
            client_read: reading,
            client_write: !self.outbox.pending().is_empty() || self.page_offset().is_some(),
            upstream_read: forward,
            upstream_write: forward && self.outgoing() != Outgoing::Done,
        }
    }

    /// Gives up the buffers between two requests, inbox first, when they are empty: an idle connection needs none.
    /// Nothing may be read from the sender until [`Exchange::resume`] supplies new ones.
    // Inline, like the next two, so that only a driver that parks connections carries the code.
    #[inline]
    pub fn park(&mut self) -> Option<(&'m mut [u8], &'m mut [u8])> {
        let empty = self.inbox.is_empty() && self.outbox.pending().is_empty();
        let silent = self.phase == Phase::Idle && empty && !self.is_parked();
        silent.then(|| (self.inbox.lend(), core::mem::replace(&mut self.outbox, Outbox::new(&mut [])).into_buffer()))
    }

    /// Whether the exchange has no buffers: after [`Exchange::park`], and after [`Exchange::new`] with empty ones.
    #[inline]
    pub const fn is_parked(&self) -> bool {
        self.inbox.is_lent()
    }

    /// Supplies new buffers, as for [`Exchange::new`].
    #[inline]
    pub fn resume(&mut self, inbox: &'m mut [u8], outbox: &'m mut [u8]) {
        self.inbox.resume(inbox);
        self.outbox = Outbox::new(outbox);
    }

    /// Returns the buffers, inbox first, for the next connection.
    pub fn into_buffers(self) -> (&'m mut [u8], &'m mut [u8]) {
        (self.inbox.into_buffer(), self.outbox.into_buffer())
    }

    /// The latest time to call [`Exchange::wake`]. May change after every call that takes `now`.
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The latest time at which a request that waits for its turn may begin to be forwarded, after [`Event::Connect`]:
    /// half of its remaining time. One that waited until the deadline would blame Azure or the network for a queue in
    /// this process.
    // Inline, so that only a driver that limits concurrent forwarding carries the code.
    #[inline]
    pub const fn begin_by(&self, now: Instant) -> Instant {
        let left = self.deadline.as_millis().saturating_sub(now.as_millis());
        Instant::from_millis(now.as_millis().saturating_add(left / 2))
    }

    /// Whether a request is open, from the first byte of its head to the last of its response.
    pub fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Drain | Phase::Done)
    }

    /// Whether the exchange is over.
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Whether the last response has a body, whatever its text.
    // Inline, so that only a driver that asks carries the code.
    #[inline]
    pub fn answer_has_body(&self) -> bool {
        !self.outbox.text().is_empty()
    }

    /// The body of the last response, for a log, up to the first byte that is not UTF-8.
    pub fn answer_text(&self) -> &str {
        self.outbox.text().trim_ascii_end().utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default()
    }

    /// Time has passed. Whether the deadline has passed is decided here, not by the timer that woke the driver.
    pub fn wake(&mut self, now: Instant) {
        if now < self.deadline {
            return;
        }
        match self.phase {
            Phase::Idle | Phase::Head | Phase::Answer | Phase::Send | Phase::Drain => self.close(),
            Phase::Reserve => self.refuse_full(now),
            Phase::Page => self.refuse_page(now),
            Phase::Body => self.judge_pace(now),
            Phase::Connect => self.refuse_now(now, Unavailable::Connect, "no connection in time"),
            Phase::Refresh => self.unrefreshed(now, Some("no new token arrived in time")),
            Phase::Forward => {
                self.release(false);
                self.refuse_now(now, Unavailable::Timeout, "");
            }
            Phase::Check | Phase::Readiness | Phase::Done => {}
        }
    }

    fn enter(&mut self, phase: Phase, deadline: Instant) {
        self.phase = phase;
        self.deadline = deadline;
    }

    fn push(&mut self, event: Event) {
        // Eight slots are more than any phase fills before the driver polls again.
        let pushed = self.events.push_back(event);
        debug_assert!(pushed.is_ok(), "{event:?} found no place");
    }

    /// Ends the exchange. Bytes not yet sent to the sender are discarded.
    fn close(&mut self) {
        self.release(false);
        self.outbox.discard();
        self.enter(Phase::Done, Instant::NEVER);
        self.push(Event::Close);
    }

    /// Answers that the request is refused here.
    fn reject(&mut self, now: Instant, why: Rejection) {
        self.gateway.counters.rejected(why);
        let (reply, line) = reply::rejected(why);
        self.answer(now, reply, line.as_bytes());
    }

    /// Answers that the request cannot be forwarded now.
    fn refuse_now(&mut self, now: Instant, why: Unavailable, detail: &str) {
        self.gateway.counters.unavailable(why);
        self.record.unavailable = Some(why);
        let (reply, line) = reply::unavailable(why, detail);
        self.answer(now, reply, line.as_bytes());
    }

    /// Answers that there is no room for the body.
    fn refuse_full(&mut self, now: Instant) {
        self.refuse_now(now, Unavailable::Capacity, "the body memory is full; raise BODY_MEMORY");
    }

    /// Answers that there is no room for the page. Requests for pages are not counted.
    fn refuse_page(&mut self, now: Instant) {
        let (reply, line) =
            reply::unavailable(Unavailable::Capacity, "too many concurrent requests for /metrics or /status");
        self.answer(now, reply, line.as_bytes());
    }

    fn answer(&mut self, now: Instant, mut reply: Reply<'_>, text: &[u8]) {
        self.fit(&mut reply);
        let encoded = self.outbox.answer(&reply, text);
        let outcome = self.outcome(reply.status, reply.retry_after);
        self.gateway.counters.answered(now, &outcome, text.len());
        self.push(Event::Answered(outcome));
        self.enter(Phase::Answer, now.saturating_add(self.gateway.policy.timeouts.answer));
        if encoded.is_err() {
            self.close();
        }
    }

    /// Adapts the reply to the open request, and decides whether another request may follow.
    fn fit(&mut self, reply: &mut Reply<'_>) {
        // A body that is still arriving is not worth waiting for: the response is sent at once and the rest drained.
        let whole = self.inbox.skip().unwrap_or(false);
        let stays = self.request.keep_alive && !self.gateway.sends_away(self.peer);
        self.close_after = !(whole && stays);
        reply.close = self.close_after;
        reply.head_only = self.request.head_only;
    }

    const fn outcome(&self, status: u16, retry_after: Option<u8>) -> Outcome {
        Outcome {
            status,
            upstream_status: self.record.upstream_status,
            unavailable: self.record.unavailable,
            retry_after,
            purpose: self.request.route.purpose(),
            body_bytes: self.stored,
            counts: self.record.counts,
            began: self.began,
        }
    }

    /// The protocol version of the open write.
    const fn version(&self) -> Version {
        match self.request.route {
            Route::Write(version) => version,
            _ => Version::V1,
        }
    }
}

/// How long a connection may be idle. A peer that may not write has no reason to keep one.
const fn idle(gateway: &Gateway, peer: Peer) -> Duration {
    let timeouts = &gateway.policy.timeouts;
    if peer.may_write() { timeouts.idle } else { timeouts.head }
}
