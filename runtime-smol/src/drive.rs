//! Drives one sender connection: handles the events of the core's exchange, reads and writes while that makes progress,
//! and waits otherwise. Interpreting the bytes is left to the exchange.

mod check;
mod connect;
mod wait;

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem;
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::task::{Context, Poll};

use remora_core::forward::{Event, Exchange, Interest, Outcome, Outgoing, Page, Peer, Purpose, Unavailable};
use remora_core::time::Instant;
use smol::future;

use crate::body::{Body, Segment};
use crate::credential::Credential;
use crate::hub::Hub;
use crate::reactor::{Alarm, Socket};
use crate::report;
use crate::slots::Slot;
use crate::threads::Message;
use crate::upstream::{LinkError, Read, Upstream};
use wait::{Waited, queued, within};

/// Productive passes over both sockets before yielding to other tasks.
const PASSES: u32 = 16;

/// Most segments sealed at once.
const SEALED_AT_ONCE: usize = 8;

/// Serves `stream` until it is closed, or until it has to leave its slot.
pub(crate) async fn serve(hub: &'static Hub, stream: Socket<TcpStream>, peer: Peer, slot: Rc<Slot>) {
    let exchange = Exchange::new(hub.now(), &hub.gateway, peer, &mut [], &mut []);
    let mut connection = Connection {
        hub,
        stream,
        sender: peer.may_write(),
        slot,
        exchange,
        now: hub.now(),
        alarm: Alarm::new(hub.reactor),
        body: Body::with_small(&hub.memory.arena, &hub.memory.small_arena),
        page: Body::new(&hub.memory.pages),
        upstream: None,
        attached: false,
        credential: None,
        turn: None,
        open: false,
    };
    connection.run().await;
    connection.note_open(false);
    connection.end_turn();
    connection.end_page();
    if !connection.exchange.is_parked() {
        hub.memory.buffers.give([connection.exchange.into_buffers()]);
    }
}

struct Connection {
    hub: &'static Hub,
    stream: Socket<TcpStream>,
    /// The peer may write.
    sender: bool,
    slot: Rc<Slot>,
    exchange: Exchange<'static>,
    /// The time when this task last resumed; read again whenever other tasks may have run.
    now: Instant,
    alarm: Alarm,
    body: Body,
    page: Body,
    upstream: Option<Box<Upstream>>,
    /// The open request had a connection to Azure.
    attached: bool,
    credential: Option<Rc<Credential>>,
    /// The response buffer of a request that is sent again: it has had its turn.
    turn: Option<Segment>,
    /// The traffic counters include an open request of this connection.
    open: bool,
}

impl Connection {
    async fn run(&mut self) {
        let mut passes = 0;
        while !self.exchange.is_done() {
            while let Some(event) = self.exchange.poll_event() {
                self.handle(event).await;
            }
            // Between two passes, once it is known what the last one ended.
            if passes == PASSES {
                passes = 0;
                // A peer that never pauses must not outlast a deadline.
                self.exchange.wake(self.now);
                future::yield_now().await;
                self.look_at_clock();
                continue;
            }
            self.note_open(self.exchange.is_open());
            if self.slot.is_dismissed() {
                self.exchange.client_broken(self.now);
            } else if self.pass() {
                passes += 1;
            } else if self.now >= self.exchange.deadline() {
                // Only after reading what has arrived: the deadline may have passed because this thread was busy.
                self.exchange.wake(self.now);
            } else if !self.exchange.is_done() {
                self.park();
                self.wait().await;
                self.look_at_clock();
            }
        }
        while let Some(event) = self.exchange.poll_event() {
            self.handle(event).await;
        }
    }

    fn look_at_clock(&mut self) {
        self.now = self.hub.now();
    }

    fn note_open(&mut self, open: bool) {
        if open != self.open {
            self.open = open;
            let traffic = &self.hub.traffic;
            if open { traffic.opened(self.sender) } else { traffic.closed(self.sender) }
        }
    }

    async fn handle(&mut self, event: Event) {
        match event {
            Event::Reserve(bytes) => self.reserve(bytes).await,
            Event::Check => self.check().await,
            Event::Connect { fresh } => self.connect(fresh).await,
            Event::Refresh => self.refresh().await,
            Event::Release { reusable } => self.release(reusable),
            Event::Page(page) => self.write_page(page).await,
            Event::Readiness => {
                let cause = self.hub.tokens.cause();
                self.exchange.readiness_detail(self.now, &cause);
            }
            Event::Answered(outcome) => self.answered(&outcome),
            Event::HalfClose => drop(self.stream.get_ref().shutdown(Shutdown::Write)),
            Event::Close => drop(self.stream.get_ref().shutdown(Shutdown::Both)),
        }
    }

    async fn reserve(&mut self, bytes: usize) {
        // A request that waits for room counts as open.
        self.note_open(true);
        let head = self.exchange.head_length();
        if future::poll_once(self.body.reserve(bytes, head)).await.is_some() {
            return self.exchange.reserved(self.now);
        }
        let reserve = self.body.reserve(bytes, head);
        let waited = Box::pin(queued(self.hub, &self.stream, self.exchange.deadline(), reserve)).await;
        self.look_at_clock();
        match waited {
            Waited::For(()) => self.exchange.reserved(self.now),
            Waited::TooLong => self.exchange.wake(self.now),
            Waited::WithoutSender => self.exchange.client_broken(self.now),
        }
    }

    /// Writes a page that covers all threads.
    async fn write_page(&mut self, page: Page) {
        let ask = |to| Message::Snapshot(page, to);
        let others = within(self.hub, &self.exchange, self.hub.threads.ask(&ask)).await;
        self.look_at_clock();
        let Some(others) = others else { return self.exchange.wake(self.now) };
        loop {
            if let Some(length) = report::write(self.hub, &others, page, &mut self.page) {
                self.hub.memory.readers.borrow_mut().push_back(Rc::clone(&self.slot));
                return self.exchange.page_ready(self.now, length);
            }
            self.page.clear();
            if !self.hub.memory.end_reader() {
                return self.exchange.exhausted(self.now);
            }
            // The one that was ended gives its page back.
            future::yield_now().await;
            self.look_at_clock();
        }
    }

    /// Gives the page back, if there is one.
    fn end_page(&mut self) {
        if self.page.len() > 0 {
            self.page.clear();
            self.hub.memory.readers.borrow_mut().retain(|slot| !Rc::ptr_eq(slot, &self.slot));
        }
    }

    async fn refresh(&mut self) {
        let Some(credential) = &self.credential else { return };
        let hub = self.hub;
        let replaced = within(hub, &self.exchange, hub.tokens.replace(credential.grant)).await;
        self.look_at_clock();
        match replaced {
            Some(true) => self.exchange.refreshed(self.now),
            Some(false) => {
                let cause = hub.tokens.failure().map(|failure| failure.to_string());
                self.exchange.unrefreshed(self.now, cause.as_deref());
            }
            None => self.exchange.wake(self.now),
        }
    }

    fn release(&mut self, reusable: bool) {
        self.turn = self.exchange.detach();
        if !self.attached {
            self.end_turn();
        }
        if let Some(upstream) = self.upstream.take() {
            if reusable && upstream.is_reusable() {
                self.hub.keep(self.now, upstream);
            } else {
                upstream.close();
            }
        }
    }

    /// Lets another request have the response buffer.
    fn end_turn(&mut self) {
        self.hub.memory.responses.give(self.turn.take());
    }

    fn answered(&mut self, outcome: &Outcome) {
        // Azure's answer to a write that it accepts has no body.
        if outcome.upstream_status.is_some()
            && self.exchange.answer_has_body()
            && let Some(credential) = &self.credential
        {
            credential.hide_in(self.exchange.client_pending_mut());
        }
        self.body.clear();
        self.end_page();
        self.credential = None;
        self.end_turn();
        if mem::take(&mut self.attached) && outcome.upstream_status.is_none() {
            self.hub.forget_connections();
        }
        if outcome.purpose == Purpose::Write && self.sender {
            self.hub.traffic.note_activity(self.now);
            if self.stream.has_ended() {
                self.hub.abandoned(self.now.since(outcome.began));
            }
        }
        let peer = || self.stream.get_ref().peer_addr().ok().map(|from| from.ip().to_canonical());
        self.hub.answered(self.now, outcome, self.exchange.answer_text(), peer);
    }

    /// Tries every operation that is wanted and may succeed; true if one made progress.
    fn pass(&mut self) -> bool {
        let Interest { client_read, client_write, upstream_read, upstream_write } = self.exchange.interest();
        let wrote = client_write && self.stream.is_writable() && self.write_client();
        let stored = self.store();
        let readable = client_read && (self.body.has_ahead() || self.stream.is_readable());
        let read = readable && self.resume() && self.read_client();
        let upstream = self.upstream.as_ref();
        let writing = upstream.is_some_and(|up| (upstream_write || !up.is_flushed()) && up.stream.is_writable());
        let reading = upstream.is_some_and(|up| upstream_read && up.stream.is_readable());
        let sent = writing && self.write_upstream();
        let received = reading && self.read_upstream();
        wrote || stored || read || sent || received
    }

    /// Returns the buffers to the pool if they are empty and no request is open.
    fn park(&mut self) {
        self.hub.memory.buffers.give(self.exchange.park());
        if self.exchange.is_parked() {
            self.slot.note_idle(self.now);
        }
    }

    /// Takes buffers, of which there are as many as connections, unless it has them; true if it has them now.
    fn resume(&mut self) -> bool {
        if self.exchange.is_parked()
            && let Some((inbox, outbox)) = self.hub.memory.buffers.try_take()
        {
            self.exchange.resume(inbox, outbox);
            self.slot.note_busy();
        }
        !self.exchange.is_parked()
    }

    fn write_client(&mut self) -> bool {
        let page = self.exchange.page_offset().and_then(|from| self.page.slices(from).next());
        match self.stream.write(page.unwrap_or(self.exchange.client_pending())) {
            Ok(n) => self.exchange.client_drained(self.now, n),
            Err(error) if is_blocked(&error) => return false,
            Err(_) => self.exchange.client_broken(self.now),
        }
        true
    }

    /// Stores body bytes that arrived with the head or in chunks; false if there were none.
    fn store(&mut self) -> bool {
        if self.exchange.body_piece().is_empty() {
            return false;
        }
        match self.body.append(self.exchange.body_piece()) {
            0 => self.exchange.exhausted(self.now),
            n => self.exchange.body_taken(self.now, n),
        }
        true
    }

    fn read_client(&mut self) -> bool {
        let now = self.now;
        let room = self.exchange.body_room();
        if self.body.has_ahead() {
            match self.body.claim(room) {
                0 => {
                    let n = self.body.take_ahead(self.exchange.client_space());
                    self.exchange.client_filled(now, n);
                }
                n => self.exchange.body_filled(now, n),
            }
            return true;
        }
        let read = if room > 0 {
            self.body.read_from(&self.stream, room, self.exchange.client_space())
        } else if self.exchange.may_read_ahead() {
            self.body.read_ahead(&self.stream, self.exchange.client_space(), self.hub.memory.longest_body)
        } else {
            self.stream.read(self.exchange.client_space())
        };
        match read {
            Ok(0) => self.exchange.client_eof(now),
            Ok(n) if room > 0 => self.exchange.body_filled(now, n),
            Ok(n) => self.exchange.client_filled_with(now, n, &mut self.hub.head_memo.borrow_mut()),
            Err(error) if is_blocked(&error) => return false,
            Err(_) => self.exchange.client_broken(now),
        }
        true
    }

    /// Sends pending records; once none is left, seals and sends more.
    fn write_upstream(&mut self) -> bool {
        self.try_write_upstream().unwrap_or_else(|_| {
            self.exchange.upstream_unwritable(self.now);
            true
        })
    }

    fn try_write_upstream(&mut self) -> Result<bool, LinkError> {
        let Self { hub, now, exchange, upstream, body, credential, .. } = self;
        let (Some(upstream), Some(credential)) = (upstream, credential) else { return Ok(false) };
        if upstream.flush().map_err(LinkError::Io)? {
            return Ok(false);
        }
        let now = *now;
        let mut head = None;
        if exchange.outgoing() == Outgoing::Head {
            // The sender's fields are bounded by the exchange, so only the token can be too long.
            let encoded = credential.head(&hub.connector).and_then(|mut head| {
                let length = exchange.encode_head(&mut head)?;
                Ok((head, length))
            });
            let Ok(encoded) = encoded else {
                exchange.refuse(now, Unavailable::NoToken, "the token does not fit in a request head");
                return Ok(true);
            };
            exchange.head_sent(now);
            head = Some(encoded);
        }
        // The head, followed by segments of the body.
        let mut pieces = heapless::Vec::<_, { 1 + SEALED_AT_ONCE }>::new();
        if let Some((head, length)) = &head {
            pieces.extend(head.as_bytes().get(..*length).map(IoSlice::new));
        }
        if let Outgoing::Body { from } = exchange.outgoing() {
            for slice in body.slices(from) {
                if pieces.push(IoSlice::new(slice)).is_err() {
                    break;
                }
                exchange.body_sent(now, slice.len());
            }
        }
        upstream.send(&pieces)?;
        Ok(!pieces.is_empty())
    }

    fn read_upstream(&mut self) -> bool {
        let Self { now, exchange, upstream, .. } = self;
        let now = *now;
        let Some(upstream) = upstream else { return false };
        exchange.upstream_backlog(!upstream.is_clear());
        match upstream.try_read(&mut |bytes| feed(exchange, now, bytes)) {
            Ok(Read::Blocked) => return false,
            Ok(Read::Some) => {}
            Ok(Read::End) => exchange.upstream_eof(now),
            Err(error) => exchange.upstream_broken(now, &error.to_string()),
        }
        true
    }

    /// Waits until a wanted operation may succeed, the slot has to be left, or the deadline passes.
    async fn wait(&mut self) {
        poll_fn(|cx| self.poll_ready(cx)).await;
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let interest = self.exchange.interest();
        let mut ready = interest.client_read && (self.body.has_ahead() || self.stream.poll_readable(cx).is_ready());
        ready |= interest.client_write && self.stream.poll_writable(cx).is_ready();
        if let Some(upstream) = &self.upstream {
            ready |= interest.upstream_read && upstream.stream.poll_readable(cx).is_ready();
            let writing = interest.upstream_write || !upstream.is_flushed();
            ready |= writing && upstream.stream.poll_writable(cx).is_ready();
        }
        ready |= self.slot.poll_dismissed(cx).is_ready();
        ready |= self.alarm.poll(self.exchange.deadline(), cx).is_ready();
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// Hands decrypted bytes to the exchange; false if it has no space for some, which are unsolicited.
fn feed(exchange: &mut Exchange<'_>, now: Instant, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let space = exchange.upstream_space();
        let n = space.len().min(bytes.len());
        if n == 0 {
            return false;
        }
        let (next, rest) = bytes.split_at(n);
        if let Some(space) = space.get_mut(..n) {
            space.copy_from_slice(next);
        }
        exchange.upstream_filled(now, n);
        bytes = rest;
    }
    true
}

fn is_blocked(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
