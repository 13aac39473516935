//! The life of a request: store, check, forward, answer.
//!
//! [`Exchange`] is the machine for one sender connection, request after request. It owns no socket, no clock and no
//! body: bytes, times and results are handed in, and it says what to do next. [`Gateway`] is the little that all
//! exchanges of a thread share. What a sender is told, and why, stands in one table: [`reply`].
//!
//! The driver's loop is written down in this crate's README.

mod buffer;
pub mod counters;
mod exchange;
mod gateway;
mod head;
mod inbox;
mod outbox;
pub mod reply;
mod request;
mod response;

use core::time::Duration;

pub use exchange::{Exchange, Outcome};
pub use gateway::{Gateway, Readiness};
pub use head::{Upstream, UpstreamHead};
pub use request::{Peer, Purpose};

use crate::metrics::Format;
use crate::remote_write::Level;

/// What every exchange keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Longest request body in bytes, as it comes over the wire without chunk framing.
    pub max_body_bytes: usize,
    /// Longest decoded body in bytes.
    pub max_decoded_bytes: u32,
    /// How thoroughly a frame is checked; `None` forwards it unread.
    pub check: Option<Level>,
    /// How long a 4xx that is no verdict on the data is answered 503, after the start or the last success.
    pub refusal_hold: Duration,
    /// Answer Azure's 429 as 429 instead of 503.
    pub pass_rate_limit: bool,
    /// The time limits.
    pub timeouts: Timeouts,
}

/// Bytes of a body that earn it a millisecond more than [`Timeouts::body_start`].
pub const PACE: usize = 16;

/// One time limit for each phase of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Between requests. Longer than the five minutes for which Prometheus keeps an idle connection.
    pub idle: Duration,
    /// From the first byte of a head to its end.
    pub head: Duration,
    /// From the end of the head until storage for the body is there.
    pub admission: Duration,
    /// For the body to arrive if nothing comes of it: it holds room that others wait for. What comes earns it more, by
    /// [`PACE`].
    pub body_start: Duration,
    /// For the body to arrive, at most.
    pub body: Duration,
    /// From the whole body to Azure's whole answer: token, connection, both directions, repairs.
    pub upstream: Duration,
    /// For the sender to take its answer.
    pub answer: Duration,
    /// For the rest of a body after an early answer.
    pub drain: Duration,
}

impl Timeouts {
    /// The values in use. The upstream limit is configurable.
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

/// What the driver has to do, in the order in which it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Find room for a body of this many bytes, then call [`Exchange::reserved`]. Until then nothing is read.
    Reserve(usize),
    /// The body is whole: run [`Exchange::frame_check`] over it and hand the verdict to [`Exchange::checked`].
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
        /// Request and response went through whole, so that another request may follow.
        reusable: bool,
    },
    /// Write a page and keep it, then call [`Exchange::page_ready`], or [`Exchange::exhausted`] where there is no room.
    Page(Page),
    /// `/ready` was asked for: call [`Exchange::report`] with the reason why there is no token, or an empty text.
    Report,
    /// The answer is decided, and a page is with the sender. What is stored, and its room, are no longer needed.
    Answered(Outcome),
    /// Shut down the sending direction of the sender's connection and go on reading.
    HalfClose,
    /// The exchange is over; close the sender's connection.
    Close,
}

/// A text about the process that only the driver can write, and that may be longer than an answer of ours.
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
    /// Bytes from the sender are wanted.
    pub client_read: bool,
    /// [`Exchange::client_pending`] or the page that [`Exchange::page`] tells of has bytes for the sender.
    pub client_write: bool,
    /// Bytes from Azure are wanted.
    pub upstream_read: bool,
    /// [`Exchange::outgoing`] is not [`Outgoing::Done`].
    pub upstream_write: bool,
}

/// The part of the upstream request that is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// The head, by [`Exchange::encode_head`].
    Head,
    /// The stored body from this byte on.
    Body {
        /// Bytes of the body that are sent already.
        from: usize,
    },
    /// Nothing.
    Done,
}

/// Why a request cannot be forwarded now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no token that serves.
    NoToken,
    /// Azure refused the token, and there is no other one yet.
    TokenRefused,
    /// No room or no connection to spare.
    Capacity,
    /// The name did not resolve.
    Resolve,
    /// No address accepted the connection.
    Connect,
    /// The TLS handshake failed.
    Tls,
    /// The connection broke before Azure's answer was complete.
    Broken,
    /// What came is not an HTTP response, or is too long for one.
    Unreadable,
    /// The time for the upstream side ran out.
    Timeout,
}
