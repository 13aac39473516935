//! The life of a request: store, check, forward, respond.
//!
//! [`Exchange`] is the machine for one sender connection, request after request. It owns no socket, no clock and no
//! body: bytes, times and results are handed in, and it says what to do next. [`Gateway`] holds the state that all
//! exchanges of a thread share. One table, [`reply`], defines the response to the sender for every outcome.
//!
//! The driver's loop is described in the [crate's documentation](crate#the-drivers-loop).

mod buffer;
pub mod counters;
mod exchange;
mod gateway;
mod head;
mod inbox;
mod memo;
mod outbox;
pub mod reply;
mod request;
mod response;

use core::time::Duration;

pub use exchange::{Exchange, Outcome};
pub use gateway::{Gateway, Readiness};
pub use head::{Destination, UpstreamHead};
pub use memo::HeadMemo;
pub use request::{Peer, Purpose};

use crate::metrics::Format;
use crate::remote_write::Level;

/// The limits and rules that every exchange follows.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Maximum request body in bytes: compressed, as received, without chunk framing.
    pub max_body_bytes: usize,
    /// Maximum decoded body in bytes.
    pub max_decoded_bytes: u32,
    /// How thoroughly a frame is checked; `None` forwards it unchecked.
    pub check: Option<Level>,
    /// How long a 4xx that does not concern the data is answered as 503, counted from the first such refusal since the
    /// last success, and anew after as long a time, at least two minutes, without one.
    pub refusal_hold: Duration,
    /// Answer Azure's 429 as 429 instead of 503.
    pub pass_rate_limit: bool,
    /// The time limits.
    pub timeouts: Timeouts,
}

impl Policy {
    /// The defaults of the program `remora`.
    pub const DEFAULT: Self = Self {
        max_body_bytes: 4 * 1024 * 1024,
        // As in Prometheus' own receiver.
        max_decoded_bytes: 32 * 1024 * 1024,
        check: Some(Level::Full),
        refusal_hold: Duration::from_secs(30 * 60),
        pass_rate_limit: false,
        timeouts: Timeouts::DEFAULT,
    };
}

/// Size in bytes of the inbox that [`Exchange::new`] takes. A head must leave 512 of them for chunks, or it is too
/// large.
pub const INBOX_BYTES: usize = 8 * 1024;

/// Size in bytes of the outbox that [`Exchange::new`] takes: every response of an exchange fits. A response that does
/// not fit a smaller one ends the connection.
pub const OUTBOX_BYTES: usize = 2 * 1024;

/// Size in bytes of the response buffer that [`Exchange::attach`] takes. A head of Azure's that does not leave more than
/// [`reply::MAX_TEXT`] of them for the body is too large.
pub const RESPONSE_BYTES: usize = 8 * 1024;

/// Received body bytes that extend [`Timeouts::body_start`] by one millisecond.
pub const PACE: usize = 16;

/// The part of [`Timeouts::upstream`] that is left to a request whose body was late. Together with
/// [`Timeouts::admission`] it is not more than 30 s.
pub const LEAST_UPSTREAM: Duration = Duration::from_secs(5);

/// One time limit for each phase of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Between requests. Longer than the five minutes for which Prometheus keeps an idle connection. A peer that may not
    /// write gets the time for a head.
    pub idle: Duration,
    /// From the first byte of a head to its end.
    pub head: Duration,
    /// From the end of the head until storage for the body is reserved, or the page is written. Less than the 30 s for
    /// which Prometheus waits for a response (`remote_timeout`), so that it learns the reason.
    pub admission: Duration,
    /// Initial limit for the body, which occupies memory that other requests wait for. Received bytes extend it, see
    /// [`PACE`].
    pub body_start: Duration,
    /// Maximum for the body to arrive, however far it was extended.
    pub body: Duration,
    /// From the end of the head to Azure's complete response: room, body, token, connection, both directions, retries.
    /// Less than 30 s for the same reason. After a late body it still leaves [`LEAST_UPSTREAM`].
    pub upstream: Duration,
    /// For the sender to read its response.
    pub answer: Duration,
    /// For draining the rest of a body after an early response.
    pub drain: Duration,
}

impl Timeouts {
    /// The defaults. The upstream limit is configurable.
    pub const DEFAULT: Self = Self {
        idle: Duration::from_secs(360),
        head: Duration::from_secs(10),
        admission: Duration::from_secs(25),
        body_start: Duration::from_secs(5),
        body: Duration::from_secs(30),
        upstream: Duration::from_secs(25),
        answer: Duration::from_secs(10),
        drain: Duration::from_secs(5),
    };
}

/// What the driver must do; events are to be handled in order. The list is complete on purpose: a driver that ignores an
/// event leaves an exchange waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Find room for a body of this many bytes, then call [`Exchange::reserved`]. Until then nothing is read. Not sent
    /// for a chunked body, which takes room as it arrives.
    Reserve(usize),
    /// The body is complete: run [`Exchange::frame_check`] over it and hand the verdict to [`Exchange::checked`]. There is
    /// no deadline.
    Check,
    /// Find a usable token and a connection, then call [`Exchange::attach`] or [`Exchange::refuse`].
    Connect {
        /// An idle connection turned out stale: open a new one.
        fresh: bool,
    },
    /// Azure answered 401: force a token refresh, then call [`Exchange::refreshed`] or [`Exchange::unrefreshed`].
    Refresh,
    /// The upstream connection is no longer needed here.
    Release {
        /// Request and response were transferred completely, so the connection can carry another request.
        reusable: bool,
    },
    /// Render a page and store it, then call [`Exchange::page_ready`], or [`Exchange::exhausted`] if there is no room.
    Page(Page),
    /// `/ready` was requested: call [`Exchange::readiness_detail`] with the reason why there is no token, or an empty
    /// string.
    Readiness,
    /// The response is decided or, for a page, fully sent. The stored bytes and their memory are no longer needed. Not
    /// sent if the sender's connection ends before: then [`Event::Close`] frees them.
    Answered(Outcome),
    /// Shut down the sending direction of the sender's connection and keep reading.
    HalfClose,
    /// The exchange is over; close the sender's connection.
    Close,
}

/// A page about the process that only the driver can render, and that may be longer than core's own responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// `/metrics`.
    Metrics(Format),
    /// `/status`, in JSON.
    Status,
}

impl Page {
    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Metrics(format) => format.content_type(),
            Self::Status => "application/json",
        }
    }
}

/// Which operations on the two connections would make progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent directions")]
pub struct Interest {
    /// The exchange can take bytes from the sender.
    pub client_read: bool,
    /// [`Exchange::client_pending`] or the page, see [`Exchange::page_offset`], has bytes for the sender.
    pub client_write: bool,
    /// The exchange can take bytes from Azure.
    pub upstream_read: bool,
    /// [`Exchange::outgoing`] is not [`Outgoing::Done`]. Bytes that were handed over and wait to be sent are the driver's
    /// own to flush.
    pub upstream_write: bool,
}

/// The part of the upstream request to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// The head, by [`Exchange::encode_head`].
    Head,
    /// The stored body from this byte on.
    Body {
        /// Body bytes already sent.
        from: usize,
    },
    /// Nothing.
    Done,
}

/// Why a request cannot be forwarded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no usable token.
    NoToken,
    /// Azure refused the token, and there is no new one yet.
    TokenRefused,
    /// A limit is reached: of memory, of requests forwarded at once or of connections from senders.
    Capacity,
    /// The name did not resolve.
    Resolve,
    /// No address accepted the connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke before Azure's response was complete.
    Broken,
    /// The upstream response is not valid HTTP, or its head is too large.
    Unreadable,
    /// The upstream deadline passed.
    Timeout,
}
