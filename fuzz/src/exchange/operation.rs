//! The parts of a conversation, made from the fuzzer's bytes.

use arbitrary::Arbitrary;
use core::time::Duration;

use remora_core::forward::{self, Policy, Unavailable};
use remora_core::remote_write::Level;

/// A sender's connection, what it sends, and the operations.
#[derive(Arbitrary, Clone, Debug)]
pub struct Conversation {
    /// How the process is configured.
    pub settings: Settings,
    /// Where the sender connects from.
    pub peer: Peer,
    /// The sender's requests, in this order; only the first four are used.
    pub requests: Vec<Request>,
    /// Arbitrary bytes that the sender sends after the requests.
    pub tail: Vec<u8>,
    /// The operations, in order.
    pub operations: Vec<Operation>,
}

/// Settings that affect the responses to the sender.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Settings {
    /// How frames are checked.
    pub check: Check,
    /// Refusals that do not concern the data are no longer held back.
    pub hold_is_over: bool,
    /// A 429 is passed on as 429.
    pub pass_rate_limit: bool,
}

impl Settings {
    pub(super) fn policy(self) -> Policy {
        Policy {
            check: self.check.into(),
            refusal_hold: if self.hold_is_over { Duration::ZERO } else { Duration::MAX },
            pass_rate_limit: self.pass_rate_limit,
            ..super::POLICY
        }
    }
}

/// How much of a frame is checked.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Everything.
    Full,
    /// The wire format.
    Wire,
    /// Nothing.
    Off,
}

impl From<Check> for Option<Level> {
    fn from(check: Check) -> Self {
        match check {
            Check::Full => Some(Level::Full),
            Check::Wire => Some(Level::Wire),
            Check::Off => None,
        }
    }
}

/// Where the sender connects from.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// In the same pod.
    Loopback,
    /// On the list of allowed sources.
    Allowed,
    /// Elsewhere.
    Foreign,
}

impl From<Peer> for forward::Peer {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer::Loopback => Self::Loopback,
            Peer::Allowed => Self::Allowed,
            Peer::Foreign => Self::Foreign,
        }
    }
}

/// One request.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Request {
    /// A remote-write request.
    Write {
        /// The frame is truncated, so that no receiver can read it.
        corrupt: bool,
        /// Bytes by which the frame is longer than necessary.
        size: u8,
        /// Remote-write 2.0.
        second_version: bool,
        /// The length of its chunks; 0 for a `Content-Length` instead.
        chunk: u8,
        /// Sends `Expect: 100-continue`.
        expect: bool,
        /// Sends `Connection: close`.
        close: bool,
    },
    /// A request for one of the other paths.
    Probe {
        /// Which one.
        path: u8,
        /// HEAD instead of GET.
        head: bool,
    },
}

/// Something that happens.
#[derive(Arbitrary, Clone, Debug)]
pub enum Operation {
    /// This many milliseconds pass.
    Pass(u16),
    /// Time passes up to the exchange's deadline.
    Deadline,
    /// All goes well until nothing moves any more.
    Run,
    /// Up to this many bytes of the sender arrive.
    Say(u16),
    /// The sender closes its sending direction.
    SenderEnds,
    /// The sender's connection breaks.
    SenderBreaks,
    /// The sender reads up to this many bytes.
    Listen(u16),
    /// The driver stores up to this many bytes.
    Store(u16),
    /// The driver has no room for the waiting bytes.
    Exhaust,
    /// The driver's current job succeeds: room, a connection, a page or a token.
    Find {
        /// The connection was used before.
        reused: bool,
    },
    /// The driver's current job fails.
    Miss(Cause),
    /// Up to this many bytes go to Azure.
    Upload(u16),
    /// Writing to Azure fails.
    UploadBreaks,
    /// Azure responds; its bytes do not arrive yet.
    Answer(Answer),
    /// Up to this many bytes from Azure arrive.
    Deliver(u16),
    /// Azure closes its sending direction.
    AzureEnds,
    /// The connection to Azure breaks.
    AzureBreaks,
    /// The process gets a token, the first or a later one.
    TokenGranted,
    /// The process is asked to stop.
    Drain,
    /// The driver breaks its contract. From here on only panics, leaked secrets and endless conversations count as
    /// failures.
    Misuse(Misuse),
}

/// Why the driver's job failed.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Cause {
    /// [`Unavailable::NoToken`].
    NoToken,
    /// [`Unavailable::Capacity`].
    Capacity,
    /// [`Unavailable::Resolve`].
    Resolve,
    /// [`Unavailable::Tls`].
    Tls,
    /// [`Unavailable::Connect`].
    Connect,
}

impl From<Cause> for Unavailable {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::NoToken => Self::NoToken,
            Cause::Capacity => Self::Capacity,
            Cause::Resolve => Self::Resolve,
            Cause::Tls => Self::Tls,
            Cause::Connect => Self::Connect,
        }
    }
}

/// What Azure sends.
#[derive(Arbitrary, Clone, Debug)]
pub enum Answer {
    /// A response.
    Response {
        /// Which status.
        status: u8,
        /// The length of its body.
        size: u8,
        /// Its body is chunked.
        chunked: bool,
        /// An interim response comes first.
        interim: bool,
        /// It has `Connection: close`.
        close: bool,
    },
    /// Arbitrary bytes.
    Raw(Vec<u8>),
}

/// A call that breaks the contract.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Misuse {
    /// More bytes from the sender than there was room for.
    ClientFilled(u16),
    /// More bytes taken by the sender than were pending.
    ClientDrained(u16),
    /// Room that was not requested.
    Reserved,
    /// More bytes stored than were lent.
    BodyTaken(u16),
    /// Bytes read straight into the store without being requested.
    BodyFilled(u16),
    /// A verdict that is not awaited.
    Checked,
    /// A connection that is not awaited.
    Attach,
    /// A token that is not awaited.
    Refreshed,
    /// A head reported as sent.
    HeadSent,
    /// More body bytes than there are.
    BodySent(u16),
    /// More bytes from Azure than there was room for.
    UpstreamFilled(u16),
    /// A report that is not awaited.
    Report,
    /// A page that was not requested.
    PageReady(u16),
    /// Time that goes back.
    Past,
}
