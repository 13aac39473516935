//! Azure's side: connect, send, read, retry.

use super::{Event, Exchange, Instant, Line, Link, Outgoing, Phase, Reply, Unavailable};
use crate::forward::LEAST_UPSTREAM;
use crate::forward::counters::Repair;
use crate::forward::head::UpstreamHead;
use crate::forward::reply::{self, Relay};
use crate::forward::response::{Message, Progress, Response, ResponseError};
use crate::http::{EncodeError, HeadWriter};

impl<'m> Exchange<'m> {
    /// The connection and the token requested by [`Event::Connect`] are available. `buffer` holds the response,
    /// usually [`RESPONSE_BYTES`](crate::forward::RESPONSE_BYTES); [`Exchange::detach`] returns it after
    /// [`Event::Release`].
    pub fn attach(&mut self, _now: Instant, buffer: &'m mut [u8], reused: bool) {
        if !reused {
            self.gateway.counters.opened();
        }
        if self.phase != Phase::Connect {
            // The connection is no longer needed, and nothing was sent on it.
            self.released = Some(buffer);
            return self.push(Event::Release { reusable: true });
        }
        self.phase = Phase::Forward;
        self.link = Some(Link {
            response: Response::new(buffer),
            outgoing: Outgoing::Head,
            reused,
            // Until the driver says otherwise, so that one that never does acknowledges nothing.
            backlog: true,
            spent: false,
        });
    }

    /// The response buffer, after [`Event::Release`].
    pub fn detach(&mut self) -> Option<&'m mut [u8]> {
        self.released.take()
    }

    /// The request cannot be forwarded now: after [`Event::Connect`] or [`Event::Refresh`], or while it is forwarded.
    /// `detail` is one line in the driver's words.
    pub fn refuse(&mut self, now: Instant, why: Unavailable, detail: &str) {
        if matches!(self.phase, Phase::Connect | Phase::Forward | Phase::Refresh) {
            self.release(false);
            self.refuse_now(now, why, detail);
        }
    }

    /// The token was refreshed, as requested by [`Event::Refresh`].
    pub fn refreshed(&mut self, _now: Instant) {
        if self.phase == Phase::Refresh {
            self.gateway.counters.repaired(Repair::Token);
            // The first attempt's status says nothing about the outcome.
            self.record.upstream_status = None;
            self.release_refused();
            // Another stale connection could not be repaired.
            self.connect(self.record.reconnected);
        }
    }

    /// There is no other token: `cause`, one line in the driver's words, says why it could not be refreshed. Without a
    /// cause, the refused token is as new as any could be, and Azure's 401 is the answer.
    pub fn unrefreshed(&mut self, now: Instant, cause: Option<&str>) {
        if self.phase == Phase::Refresh {
            if let Some(cause) = cause {
                self.refuse_now(now, Unavailable::TokenRefused, cause);
                self.release_refused();
            } else {
                self.relay(now, 401, false);
                self.release(false);
            }
        }
    }

    /// Releases the connection on which Azure answered 401.
    fn release_refused(&mut self) {
        self.release(self.link.as_ref().is_some_and(|link| !link.spent));
    }

    /// Completes the upstream request's head in `head` and returns its length, counted from the start of the buffer.
    pub fn encode_head<B: AsRef<[u8]> + AsMut<[u8]>>(&self, head: &mut UpstreamHead<B>) -> Result<usize, EncodeError> {
        self.complete_head(head.writer())
    }

    fn complete_head(&self, writer: HeadWriter<'_>) -> Result<usize, EncodeError> {
        self.request.encode_upstream(self.inbox.head(), self.version(), self.stored, writer)
    }

    /// What is left to send upstream. May change after every call that takes `now`.
    pub fn outgoing(&self) -> Outgoing {
        self.link.as_ref().map_or(Outgoing::Done, |link| link.outgoing)
    }

    /// The head was handed to the connection.
    pub fn head_sent(&mut self, _now: Instant) {
        let next = if self.stored == 0 { Outgoing::Done } else { Outgoing::Body { from: 0 } };
        if let Some(link) = &mut self.link {
            link.outgoing = next;
        }
    }

    /// `n` more bytes of the body were handed to the connection.
    pub fn body_sent(&mut self, _now: Instant, n: usize) {
        let stored = self.stored;
        if let Some(Link { outgoing, .. }) = &mut self.link
            && let Outgoing::Body { from } = *outgoing
        {
            let from = from.saturating_add(n);
            *outgoing = if from < stored { Outgoing::Body { from } } else { Outgoing::Done };
        }
    }

    /// Whether bytes handed to the connection are still waiting there. Must be called before each read from Azure: a
    /// success that arrives while part of the body is unsent acknowledges nothing. Until the first call, bytes count as
    /// waiting.
    pub fn upstream_backlog(&mut self, waits: bool) {
        if let Some(link) = &mut self.link {
            link.backlog = waits;
        }
    }

    /// Where bytes from Azure go.
    pub fn upstream_space(&mut self) -> &mut [u8] {
        self.link.as_mut().map(|link| link.response.space()).unwrap_or_default()
    }

    /// `n` bytes from Azure were put into [`Exchange::upstream_space`].
    pub fn upstream_filled(&mut self, now: Instant, n: usize) {
        if self.spend_unasked() {
            return;
        }
        let Some(link) = &mut self.link else { return };
        if link.outgoing == Outgoing::Head {
            // No request was sent yet. Servers may send 408 before they close an idle connection.
            return self.lost(now, "it sent data before any request");
        }
        let progress = link.response.filled(n);
        self.progressed(now, progress);
    }

    /// Marks the connection as spent if no response is awaited, as while the token is refreshed after a 401: whatever
    /// comes then ends the connection, and is no second answer. Returns whether it did.
    fn spend_unasked(&mut self) -> bool {
        let unasked = self.phase != Phase::Forward;
        if unasked && let Some(link) = &mut self.link {
            link.spent = true;
        }
        unasked
    }

    /// Azure closed its sending direction.
    pub fn upstream_eof(&mut self, now: Instant) {
        self.lost(now, "it closed the connection");
    }

    /// Reading from Azure failed. `detail` is one line in the driver's words.
    pub fn upstream_broken(&mut self, now: Instant, detail: &str) {
        self.lost(now, detail);
    }

    /// Writing to Azure failed. A response that it may have sent before is still read.
    pub fn upstream_unwritable(&mut self, _now: Instant) {
        if let Some(link) = &mut self.link {
            link.outgoing = Outgoing::Done;
            link.spent = true;
        }
    }

    pub(super) fn begin_forward(&mut self, now: Instant) {
        let upstream = self.gateway.policy.timeouts.upstream;
        // The sender's own timeout began with the head.
        self.deadline = self.began.saturating_add(upstream).max(now.saturating_add(LEAST_UPSTREAM.min(upstream)));
        self.connect(false);
    }

    /// Asks for a connection; the deadline of the whole upstream side stays as it is.
    fn connect(&mut self, fresh: bool) {
        self.phase = Phase::Connect;
        self.push(Event::Connect { fresh });
    }

    pub(super) fn release(&mut self, reusable: bool) {
        if let Some(link) = self.link.take() {
            self.released = Some(link.response.into_buffer());
            self.push(Event::Release { reusable });
        }
    }

    fn progressed(&mut self, now: Instant, progress: Result<Progress, ResponseError>) {
        match progress {
            Ok(Progress::Partial) => {}
            Ok(Progress::Complete { status, keep_alive }) => self.conclude(now, status, keep_alive),
            Err(error) => {
                self.release(false);
                self.refuse_now(now, Unavailable::Unreadable, error.text());
            }
        }
    }

    /// The connection ended before the response did. A reused connection may have been closed while idle: the request
    /// is retried once on a fresh one. Receivers accept the same samples twice, so sending them again is safe.
    fn lost(&mut self, now: Instant, detail: &str) {
        if self.spend_unasked() {
            return;
        }
        let Some(link) = &mut self.link else { return };
        let stale = link.reused && link.response.is_untouched() && !self.record.reconnected;
        if stale {
            self.record.reconnected = true;
            self.gateway.counters.repaired(Repair::Connection);
            self.release(false);
            return self.connect(true);
        }
        if let Some(progress) = link.response.end_of_input() {
            self.progressed(now, Ok(progress));
        } else {
            self.release(false);
            self.refuse_now(now, Unavailable::Broken, detail);
        }
    }

    /// Azure's response is complete.
    fn conclude(&mut self, now: Instant, status: u16, keep_alive: bool) {
        let sent =
            self.link.as_ref().is_some_and(|link| link.outgoing == Outgoing::Done && !link.backlog && !link.spent);
        let whole = keep_alive && sent;
        let is_page = self.link.as_ref().is_some_and(|link| link.response.is_web_page());
        if is_page && (200..300).contains(&status) {
            return self.progressed(now, Err(ResponseError::WebPage));
        }
        self.record.upstream_status = Some(status);
        self.gateway.counters.upstream_answered(status);
        if let Some(link) = &mut self.link {
            link.response.hide_tokens();
            link.spent = !whole;
        }
        if status == 401 && !self.record.refreshed {
            self.record.refreshed = true;
            self.phase = Phase::Refresh;
            return self.push(Event::Refresh);
        }
        if (200..300).contains(&status) {
            if !sent {
                return self.premature(now, status);
            }
            self.gateway.accepted(now);
        }
        self.relay(now, status, is_page);
        self.release(whole && reply::keeps_connection(status, is_page));
    }

    /// A success that arrives before the body has left this process acknowledges nothing.
    fn premature(&mut self, now: Instant, status: u16) {
        let text = Line::azure(status, " before the body was sent", &[]);
        self.release(false);
        self.answer(now, Reply::text(502), text.as_bytes());
    }

    /// Translates Azure's response into the response to the sender.
    fn relay(&mut self, now: Instant, status: u16, is_page: bool) {
        // Taken, so that the message can borrow from it while `answer` borrows `self`.
        let Some(link) = self.link.take() else { return };
        let Message { retry_after: asked, content_type, written, body } = link.response.message();
        let is_held = reply::is_refusal(status, is_page) && self.gateway.refused(now);
        match Relay::of(status, is_held, self.gateway.policy.pass_rate_limit) {
            Relay::AsItIs => {
                let plain = Reply::text(status);
                let content_type = content_type.unwrap_or(plain.content_type);
                let reply = Reply { retry_after: asked, written, content_type, ..plain };
                self.answer(now, reply, body);
            }
            Relay::Hold { retry_after } => {
                self.gateway.counters.held();
                let text = Line::azure(status, reply::hint(status, is_page), body);
                let retry_after = Some(asked.unwrap_or(retry_after));
                self.answer(now, Reply { retry_after, ..Reply::text(503) }, text.as_bytes());
            }
            Relay::BadGateway => {
                let text =
                    Line::azure(status, ", which is not a valid response to remote write; check INGESTION_URL", &[]);
                self.answer(now, Reply::text(502), text.as_bytes());
            }
        }
        self.link = Some(link);
    }
}
