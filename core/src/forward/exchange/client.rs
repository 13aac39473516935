//! The sender's side: head, body, response, drain.

use super::super::{HeadMemo, PACE, Timeouts};
use super::{
    Event, Exchange, Framing, Instant, Line, Phase, Readiness, Record, Rejection, Reply, Request, Route, idle,
    remote_write,
};
use crate::snappy::Window;
use crate::time::millis;

macro_rules! pages {
    () => {
        concat!(
            "remora ",
            env!("CARGO_PKG_VERSION"),
            "\n",
            "GET /health         200 while the process runs\n",
            "GET /ready          503 until the first token or for a minute\n",
            "GET /ready/token    503 until the first token\n",
            "GET /metrics        Prometheus metrics\n",
            "GET /status         state and configuration as JSON, only on loopback\n",
        )
    };
}

const PAGES: &[u8] = pages!().as_bytes();
const INDEX: &[u8] = concat!(pages!(), "POST /api/v1/write  remote-write, forwarded to Azure Monitor\n").as_bytes();

impl Exchange<'_> {
    /// Where bytes from the sender go while [`super::Interest::client_read`] is set and [`Exchange::body_room`] is 0.
    pub fn client_space(&mut self) -> &mut [u8] {
        self.inbox.space()
    }

    /// Whether a request is about to begin in [`Exchange::client_space`]. A driver may then read more than fits there
    /// and keep the surplus, usually body: it comes after the bytes in the space, and must be fed to the exchange like
    /// bytes read from the sender, before any read later.
    // Inline, like the next, so that only a driver that reads ahead carries the code.
    #[inline]
    pub fn may_read_ahead(&self) -> bool {
        self.phase == Phase::Idle && self.inbox.is_empty() && self.peer.may_write()
    }

    /// Length in bytes of the open request's head, after which its body begins.
    #[inline]
    pub fn head_length(&self) -> usize {
        self.inbox.head().len()
    }

    /// `n` bytes from the sender were put into [`Exchange::client_space`].
    pub fn client_filled(&mut self, now: Instant, n: usize) {
        match self.phase {
            Phase::Idle | Phase::Head => {
                self.inbox.filled(n);
                self.read_head(now);
            }
            Phase::Body => {
                self.inbox.filled(n);
                self.pump(now);
            }
            _ => self.inbox.discard(),
        }
    }

    /// [`Exchange::client_filled`] for a driver that keeps a memo: the head of a write that differs from the last one
    /// only in the digits of its Content-Length is not decoded again.
    #[inline]
    pub fn client_filled_with(&mut self, now: Instant, n: usize, memo: &mut HeadMemo) {
        if self.phase != Phase::Idle || !self.peer.may_write() {
            return self.client_filled(now, n);
        }
        self.inbox.filled(n);
        match memo.recall(self.inbox.arrived(), self.gateway.policy.max_body_bytes) {
            Some((request, length)) if length <= self.inbox.longest_head() => {
                self.inbox.end_head(length);
                self.request = request;
                self.begin(now);
            }
            _ => {
                self.read_head(now);
                if self.phase == Phase::Reserve {
                    memo.learn(self.inbox.head(), &self.request);
                }
            }
        }
    }

    /// The sender has closed its sending direction.
    pub fn client_eof(&mut self, _now: Instant) {
        // Once the whole request has arrived, a half-closed sender still waits for its response.
        if matches!(self.phase, Phase::Idle | Phase::Head | Phase::Reserve | Phase::Body | Phase::Drain) {
            self.close();
        }
    }

    /// The sender's connection broke.
    pub fn client_broken(&mut self, _now: Instant) {
        if self.phase != Phase::Done {
            self.close();
        }
    }

    /// Bytes to send to the sender.
    pub fn client_pending(&self) -> &[u8] {
        self.outbox.pending()
    }

    /// The same bytes, for a driver that overwrites what must not be told, such as a token that Azure repeats: only the
    /// driver knows it. Their number cannot change.
    // Inline, so that only a driver that does this carries the code.
    #[inline]
    pub fn client_pending_mut(&mut self) -> &mut [u8] {
        self.outbox.pending_mut()
    }

    /// Offset of the next page byte to send, once [`Exchange::client_pending`] is empty.
    pub fn page_offset(&self) -> Option<usize> {
        let due = self.phase == Phase::Send && self.sent < self.stored && self.outbox.pending().is_empty();
        due.then_some(self.sent)
    }

    /// The first `n` bytes of [`Exchange::client_pending`] were sent or, if that was empty, the next `n` of the page.
    pub fn client_drained(&mut self, now: Instant, n: usize) {
        if self.page_offset().is_some() {
            self.sent = self.sent.saturating_add(n).min(self.stored);
        } else {
            self.outbox.drained(n);
        }
        match self.phase {
            _ if !self.outbox.pending().is_empty() => {}
            Phase::Answer => self.answered(now),
            Phase::Send if self.sent >= self.stored => {
                self.push(Event::Answered(self.outcome(200, None)));
                self.answered(now);
            }
            _ => {}
        }
    }

    /// The page requested by [`Event::Page`] is written and is `length` bytes long.
    pub fn page_ready(&mut self, now: Instant, length: usize) {
        let Route::Page(page) = self.request.route else { return };
        if self.phase != Phase::Page {
            return;
        }
        let mut reply = Reply { content_type: page.content_type().as_bytes(), ..Reply::text(200) };
        self.fit(&mut reply);
        self.stored = if reply.head_only { 0 } else { length };
        self.sent = 0;
        let announced = self.outbox.announce(&reply, length);
        self.enter(Phase::Send, now.saturating_add(self.gateway.policy.timeouts.answer));
        if announced.is_err() {
            self.close();
        }
    }

    /// The room requested by [`Event::Reserve`] is reserved.
    pub fn reserved(&mut self, now: Instant) {
        if self.phase == Phase::Reserve {
            self.begin_body(now);
        }
    }

    /// There is no room for the body, the bytes of [`Exchange::body_piece`] or the page.
    pub fn exhausted(&mut self, now: Instant) {
        match self.phase {
            Phase::Reserve | Phase::Body => self.refuse_full(now),
            Phase::Page => self.refuse_page(now),
            _ => {}
        }
    }

    /// Body bytes that came with the head or in chunks: to be stored after those already stored. None while events wait:
    /// [`Event::Answered`] frees what the last request has stored, and would free these as well.
    pub fn body_piece(&self) -> &[u8] {
        if self.phase == Phase::Body && self.events.is_empty() { self.inbox.piece() } else { &[] }
    }

    /// The first `n` bytes of [`Exchange::body_piece`] are stored.
    pub fn body_taken(&mut self, now: Instant, n: usize) {
        let n = n.min(self.body_piece().len());
        self.inbox.taken(n);
        self.stored = self.stored.saturating_add(n);
        self.pump(now);
    }

    /// Bytes that may be read from the sender straight into the store.
    pub fn body_room(&self) -> usize {
        if self.phase == Phase::Body { self.inbox.room() } else { 0 }
    }

    /// `n` bytes were read from the sender: the first [`Exchange::body_room`] of them straight into the store, any
    /// further ones into [`Exchange::client_space`]. If both were offered and the read came back short, nothing more
    /// has arrived yet.
    pub fn body_filled(&mut self, now: Instant, n: usize) {
        let body = n.min(self.body_room());
        self.stored = self.stored.saturating_add(body);
        match self.inbox.advance(body) {
            Ok(()) => {
                self.inbox.filled(n.saturating_sub(body));
                self.pump(now);
            }
            Err(error) => self.reject(now, Rejection::Body(error)),
        }
    }

    /// The check of the stored body that [`Event::Check`] asks for, at `unix_ms`, milliseconds since 1970 by the wall
    /// clock. Feed it the body and hand its verdict to [`Exchange::checked`]. For the length of `window` see
    /// [`USUAL_WINDOW`](remote_write::USUAL_WINDOW).
    pub fn frame_check<'w>(&self, unix_ms: i64, window: Window<'w>) -> remote_write::Check<'w> {
        let policy = &self.gateway.policy;
        let level = policy.check.unwrap_or(remote_write::Level::Full);
        remote_write::Check::new(self.version(), level, window, policy.max_decoded_bytes).at(unix_ms)
    }

    /// The verdict on the stored body.
    pub fn checked(&mut self, now: Instant, verdict: remote_write::Verdict) {
        if self.phase != Phase::Check {
            return;
        }
        self.gateway.counters.frame(Some(&verdict));
        match verdict {
            remote_write::Verdict::Corrupt(fault) => return self.reject(now, Rejection::Frame(fault)),
            remote_write::Verdict::Good(counts) => self.record.counts = Some(counts),
            remote_write::Verdict::Unchecked(_) => {}
        }
        self.begin_forward(now);
    }

    /// The reason why there is no token, requested by [`Event::Readiness`]. `detail` may name tenant and client, so peers
    /// outside the pod, and requests for another host, are referred to the log instead.
    pub fn readiness_detail(&mut self, now: Instant, detail: &str) {
        if self.phase != Phase::Readiness {
            return;
        }
        let Route::Ready { strict, near } = self.request.route else { return };
        let detail = if near { detail } else { "the log says why" };
        let degraded = if strict && !self.gateway.had_token() { 503 } else { 200 };
        let (status, line) = match self.gateway.readiness(now) {
            Readiness::Ready => (200, Line::plain(format_args!("ready"))),
            Readiness::Degraded => (degraded, Line::plain(format_args!("degraded: {detail}"))),
            Readiness::Waiting => (503, Line::plain(format_args!("waiting for the first token: {detail}"))),
            Readiness::Draining => (503, Line::plain(format_args!("shutting down"))),
        };
        self.answer(now, Reply::text(status), line.as_bytes());
    }

    fn read_head(&mut self, now: Instant) {
        match self.inbox.scan() {
            Ok(true) => self.dispatch(now),
            Ok(false) if self.phase == Phase::Idle => {
                self.enter(Phase::Head, now.saturating_add(self.gateway.policy.timeouts.head));
            }
            Ok(false) => {}
            Err(error) => {
                self.began = now;
                self.request = Request::malformed(error, self.peer);
                self.inbox.abandon();
                self.reject(now, Rejection::Head(error));
            }
        }
    }

    /// A head is complete.
    fn dispatch(&mut self, now: Instant) {
        self.request = Request::decode(self.inbox.head(), self.peer, self.gateway.policy.max_body_bytes);
        self.begin(now);
    }

    /// Begins the request that a complete head stands for.
    fn begin(&mut self, now: Instant) {
        self.began = now;
        self.inbox.begin_body(self.request.framing);
        if self.request.has_authorization {
            self.gateway.counters.authorization_dropped();
        }
        match self.request.route {
            Route::Write(_) => self.admit(now),
            Route::Health => self.answer(now, Reply::text(200), b"ok\n"),
            Route::Index => {
                let text = if self.peer.may_write() { INDEX } else { PAGES };
                self.answer(now, Reply::text(200), text);
            }
            Route::Ready { .. } => {
                self.enter(Phase::Readiness, Instant::NEVER);
                self.push(Event::Readiness);
            }
            Route::Page(page) => {
                self.enter(Phase::Page, now.saturating_add(self.gateway.policy.timeouts.admission));
                self.push(Event::Page(page));
            }
            Route::Rejected(why) | Route::Missing(why) => {
                if let Rejection::Head(_) = why {
                    self.inbox.abandon();
                }
                self.reject(now, why);
            }
        }
    }

    /// A body of known length waits for its room; a chunked one takes room as it arrives.
    fn admit(&mut self, now: Instant) {
        match self.request.framing {
            Framing::Length(length) => {
                self.enter(Phase::Reserve, now.saturating_add(self.gateway.policy.timeouts.admission));
                self.push(Event::Reserve(usize::try_from(length).unwrap_or(usize::MAX)));
            }
            _ => self.begin_body(now),
        }
    }

    fn begin_body(&mut self, now: Instant) {
        self.body_began = now;
        self.phase = Phase::Body;
        self.judge_pace(now);
        self.pump(now);
        if self.phase == Phase::Body && self.request.expect_continue && self.inbox.piece().is_empty() {
            self.outbox.invite();
        }
    }

    /// Sets the body's deadline from the bytes received so far, and refuses a body that has missed it. Called at the
    /// start and when the deadline passes, so that a body in time costs nothing.
    pub(super) fn judge_pace(&mut self, now: Instant) {
        let Timeouts { body_start, body, .. } = self.gateway.policy.timeouts;
        let earned = u64::try_from(self.stored / PACE).unwrap_or(u64::MAX);
        // In milliseconds, because sums of durations take a third of a kilobyte of code.
        let limit = millis(body_start).saturating_add(earned).min(millis(body));
        self.deadline = Instant::from_millis(self.body_began.as_millis().saturating_add(limit));
        if self.deadline <= now {
            self.reject(now, Rejection::SlowBody);
        }
    }

    fn pump(&mut self, now: Instant) {
        if self.phase != Phase::Body {
            return;
        }
        let limit = self.gateway.policy.max_body_bytes;
        match self.inbox.pump() {
            Err(error) => self.reject(now, Rejection::Body(error)),
            Ok(()) if self.stored.saturating_add(self.inbox.piece().len()) > limit => {
                self.reject(now, Rejection::TooLarge { limit });
            }
            Ok(()) if self.inbox.is_complete() => self.body_complete(now),
            Ok(()) => {}
        }
    }

    fn body_complete(&mut self, now: Instant) {
        if self.gateway.policy.check.is_some() {
            self.enter(Phase::Check, Instant::NEVER);
            self.push(Event::Check);
        } else {
            self.gateway.counters.frame(None);
            self.begin_forward(now);
        }
    }

    /// The response has been sent.
    fn answered(&mut self, now: Instant) {
        if !self.close_after {
            self.restart(now);
        } else if self.inbox.is_complete() {
            self.close();
        } else {
            self.inbox.discard();
            self.enter(Phase::Drain, now.saturating_add(self.gateway.policy.timeouts.drain));
            self.push(Event::HalfClose);
        }
    }

    fn restart(&mut self, now: Instant) {
        self.stored = 0;
        self.record = Record::default();
        self.inbox.restart();
        self.enter(Phase::Idle, now.saturating_add(idle(self.gateway, self.peer)));
        if !self.inbox.is_empty() {
            self.read_head(now);
        }
    }
}
