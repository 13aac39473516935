//! One exchange on the bench: the test acts as its sender, its Azure and its clock.

use core::time::Duration;

use remora_core::forward::{
    Destination, Event, Exchange, Gateway, HeadMemo, Outcome, Outgoing, Peer, Policy, Timeouts, UpstreamHead,
};
use remora_core::remote_write::Level;
use remora_core::snappy::Window;
use remora_core::time::Instant;

use crate::message::{BODY, Message, message, messages, write};

/// All different, so that a deadline shows which phase set it.
pub(crate) const TIMEOUTS: Timeouts = Timeouts {
    idle: Duration::from_secs(360),
    head: Duration::from_secs(11),
    admission: Duration::from_secs(24),
    body_start: Duration::from_secs(6),
    body: Duration::from_secs(31),
    upstream: Duration::from_secs(25),
    answer: Duration::from_secs(12),
    drain: Duration::from_secs(5),
};

pub(crate) const POLICY: Policy = Policy {
    max_body_bytes: 64 * 1024,
    max_decoded_bytes: 1 << 20,
    check: Some(Level::Full),
    refusal_hold: Duration::from_secs(1800),
    pass_rate_limit: false,
    timeouts: TIMEOUTS,
};

/// The value of Authorization before and after the token is refreshed.
pub(crate) const TOKENS: [&str; 2] = ["Bearer secret-one", "Bearer secret-two"];

pub(crate) struct Bench {
    pub(crate) now: Instant,
    pub(crate) gateway: &'static Gateway,
    pub(crate) exchange: Exchange<'static>,
    /// Events that were polled but not yet checked.
    pub(crate) events: Vec<Event>,
    /// The part of the body, or the page, that the driver has stored.
    pub(crate) stored: Vec<u8>,
    /// What the sender received but has not read.
    pub(crate) received: Vec<u8>,
    /// How often the token was refreshed.
    pub(crate) refreshes: usize,
    /// The wall clock.
    pub(crate) unix_ms: i64,
    /// Whether bytes for Azure wait in the driver; `None` if it does not say.
    pub(crate) backlog: Option<bool>,
    /// The driver's memo of heads, if it keeps one.
    pub(crate) memo: Option<HeadMemo>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(POLICY, Peer::Loopback)
    }

    /// A write of [`BODY`] whose head has arrived and whose room has not been given.
    pub(crate) fn without_room() -> Self {
        let mut bench = Self::new();
        let request = write(BODY);
        let head = request.len() - BODY.len();
        bench.exchange.client_space()[..head].copy_from_slice(&request[..head]);
        bench.exchange.client_filled(bench.now, head);
        assert_eq!(bench.exchange.poll_event(), Some(Event::Reserve(BODY.len())));
        bench
    }

    pub(crate) fn with(policy: Policy, peer: Peer) -> Self {
        let now = Instant::from_millis(1_000_000);
        Self::on(now, Box::leak(Box::new(Gateway::new(now, policy))), peer)
    }

    /// Another connection of the same process.
    pub(crate) fn beside(&self) -> Self {
        self.beside_from(Peer::Loopback)
    }

    /// Another connection of the same process, from `peer`.
    pub(crate) fn beside_from(&self, peer: Peer) -> Self {
        Self::on(self.now, self.gateway, peer)
    }

    fn on(now: Instant, gateway: &'static Gateway, peer: Peer) -> Self {
        Self {
            now,
            gateway,
            exchange: Exchange::new(now, gateway, peer, buffer(8192), buffer(2048)),
            events: Vec::new(),
            stored: Vec::new(),
            received: Vec::new(),
            refreshes: 0,
            unix_ms: 0,
            backlog: Some(false),
            memo: None,
        }
    }

    /// Lets time pass and wakes the exchange.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
        self.exchange.wake(self.now);
        self.settle();
    }

    /// Lets time pass up to the deadline.
    pub(crate) fn pass_deadline(&mut self) {
        self.pass(self.exchange.deadline().since(self.now));
    }

    /// Hands over bytes of the sender as long as the exchange reads; returns the rest.
    pub(crate) fn offer<'b>(&mut self, mut bytes: &'b [u8]) -> &'b [u8] {
        while !bytes.is_empty() && self.exchange.interest().client_read {
            let room = self.exchange.body_room();
            let n = if room > 0 {
                let body = room.min(bytes.len());
                self.stored.extend_from_slice(&bytes[..body]);
                let space = self.exchange.client_space();
                let beyond = space.len().min(bytes.len() - body);
                space[..beyond].copy_from_slice(&bytes[body..body + beyond]);
                self.exchange.body_filled(self.now, body + beyond);
                body + beyond
            } else {
                let space = self.exchange.client_space();
                let n = space.len().min(bytes.len());
                assert!(n > 0, "no room for what the exchange reads");
                space[..n].copy_from_slice(&bytes[..n]);
                match &mut self.memo {
                    Some(memo) => self.exchange.client_filled_with(self.now, n, memo),
                    None => self.exchange.client_filled(self.now, n),
                }
                n
            };
            bytes = &bytes[n..];
            self.settle();
        }
        bytes
    }

    /// Hands over bytes of the sender, all of which the exchange must read.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let rest = self.offer(bytes).len();
        assert_eq!(rest, 0, "bytes that the exchange did not want; {:?}", self.exchange);
    }

    /// Does a driver's routine work: reserves room for bodies, checks them, stores pieces, sends responses.
    pub(crate) fn settle(&mut self) {
        loop {
            self.poll();
            let piece = self.exchange.body_piece();
            if let Some(from) = self.exchange.page_offset() {
                let n = (self.stored.len() - from).min(700);
                self.received.extend_from_slice(&self.stored[from..from + n]);
                self.exchange.client_drained(self.now, n);
            } else if !piece.is_empty() {
                assert_eq!(self.exchange.body_room(), 0, "later bytes would be stored before these");
                let n = piece.len();
                self.stored.extend_from_slice(piece);
                self.exchange.body_taken(self.now, n);
            } else if self.exchange.interest().client_write {
                let pending = self.exchange.client_pending();
                let n = pending.len();
                self.received.extend_from_slice(pending);
                self.exchange.client_drained(self.now, n);
            } else {
                return;
            }
        }
    }

    fn poll(&mut self) {
        while let Some(event) = self.exchange.poll_event() {
            match event {
                Event::Reserve(_) => self.exchange.reserved(self.now),
                Event::Check => self.check(),
                Event::Answered(_) => self.answered(),
                _ => {}
            }
            self.events.push(event);
        }
    }

    /// Whatever the answer is, the request holds on to neither its body nor a connection.
    fn answered(&mut self) {
        self.stored.clear();
        assert!(self.exchange.upstream_space().is_empty(), "a connection is kept: {:?}", self.exchange);
    }

    fn check(&mut self) {
        let mut bytes = vec![0; 1 << 16];
        let mut check = self.exchange.frame_check(self.unix_ms, Window::new(&mut bytes).unwrap());
        check.feed(&self.stored);
        let verdict = check.finish();
        self.exchange.checked(self.now, verdict);
    }

    /// Sends a whole write and returns when a connection is requested.
    pub(crate) fn submit(&mut self, request: &[u8]) {
        self.send(request);
        assert_eq!(self.events.last(), Some(&Event::Connect { fresh: false }), "{:?}", self.received);
    }

    /// Attaches a connection.
    pub(crate) fn attach(&mut self, reused: bool) {
        self.exchange.attach(self.now, buffer(8192), reused);
        self.settle();
    }

    /// Takes everything to be sent to Azure, as bytes.
    pub(crate) fn request_bytes(&mut self) -> Vec<u8> {
        let mut bytes = self.request_head();
        if let Outgoing::Body { from } = self.exchange.outgoing() {
            bytes.extend_from_slice(&self.stored[from..]);
            self.exchange.body_sent(self.now, self.stored.len() - from);
        }
        assert_eq!(self.exchange.outgoing(), Outgoing::Done);
        bytes
    }

    /// Takes the head to be sent to Azure.
    pub(crate) fn request_head(&mut self) -> Vec<u8> {
        assert_eq!(self.exchange.outgoing(), Outgoing::Head);
        let to = Destination {
            authority: "x.example",
            target: "/dataCollectionRules/dcr-0?api-version=1",
            authorization: TOKENS[self.refreshes].as_bytes(),
        };
        let mut head = UpstreamHead::new([0; 4096], &to).expect("room for what heads have in common");
        let length = self.exchange.encode_head(&mut head).expect("room for the head");
        self.exchange.head_sent(self.now);
        head.as_bytes()[..length].to_vec()
    }

    /// Takes the request to be sent to Azure.
    pub(crate) fn request(&mut self) -> Message {
        message(&self.request_bytes())
    }

    /// Attaches a new connection, takes the request, and hands over Azure's response.
    pub(crate) fn forward(&mut self, answer: &[u8]) -> Message {
        self.attach(false);
        let request = self.request();
        self.azure(answer);
        request
    }

    /// Hands over bytes from Azure; returns how many there was room for.
    pub(crate) fn azure(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            if let Some(waits) = self.backlog {
                self.exchange.upstream_backlog(waits);
            }
            let space = self.exchange.upstream_space();
            let n = space.len().min(rest.len());
            if n == 0 {
                break;
            }
            space[..n].copy_from_slice(&rest[..n]);
            self.exchange.upstream_filled(self.now, n);
            rest = &rest[n..];
        }
        self.settle();
        bytes.len() - rest.len()
    }

    /// Azure closes the connection.
    pub(crate) fn azure_closes(&mut self) {
        self.exchange.upstream_eof(self.now);
        self.settle();
    }

    /// Writes the requested page.
    pub(crate) fn deliver(&mut self, page: &[u8]) {
        assert!(matches!(self.events.last(), Some(Event::Page(_))), "{:?}", self.events);
        self.stored.extend_from_slice(page);
        self.exchange.page_ready(self.now, page.len());
        self.settle();
    }

    /// Reports that the token was refreshed.
    pub(crate) fn refresh(&mut self) {
        assert_eq!(self.events.last(), Some(&Event::Refresh));
        self.refreshes += 1;
        self.exchange.refreshed(self.now);
        self.settle();
    }

    /// All events since the last call.
    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// The outcomes among the events.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |event: &Event| if let Event::Answered(outcome) = event { Some(*outcome) } else { None };
        self.events.iter().filter_map(outcome).collect()
    }

    /// The responses that the sender received since the last call.
    pub(crate) fn answers(&mut self) -> Vec<Message> {
        messages(&core::mem::take(&mut self.received))
    }

    /// The one response that the sender received since the last call.
    pub(crate) fn answer(&mut self) -> Message {
        message(&core::mem::take(&mut self.received))
    }

    /// Whether the connection accepts another request.
    pub(crate) fn is_kept_alive(&self) -> bool {
        !self.exchange.is_open() && !self.events.contains(&Event::HalfClose) && !self.exchange.is_done()
    }
}

fn buffer(bytes: usize) -> &'static mut [u8] {
    Box::leak(vec![0xa5; bytes].into_boxed_slice())
}
