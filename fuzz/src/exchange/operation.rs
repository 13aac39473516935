//! What a conversation is made of. The fuzzer's bytes become these values.

use arbitrary::Arbitrary;
use core::time::Duration;

use remora_core::forward::{self, Policy, Unavailable};
use remora_core::remote_write::Level;

/// A connection of a sender, what it sends, and what happens.
#[derive(Arbitrary, Clone, Debug)]
pub struct Conversation {
    /// How the process is configured.
    pub settings: Settings,
    /// Where the sender sits.
    pub peer: Peer,
    /// What the sender sends, in this order; no more than the first four.
    pub requests: Vec<Request>,
    /// What the sender sends behind the requests, whatever it may be.
    pub tail: Vec<u8>,
    /// What happens.
    pub operations: Vec<Operation>,
}

/// What decides over what the sender is told.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Settings {
    /// What is checked.
    pub check: Check,
    /// Refusals of the credential are no longer held back.
    pub hold_is_over: bool,
    /// A 429 is told as one.
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

/// What is checked of a frame.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// All that can be.
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

/// Where the sender sits.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// In the pod.
    Loopback,
    /// On the list.
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
        /// The frame is cut short, so that no receiver can read it.
        corrupt: bool,
        /// Bytes by which the frame is longer than need be.
        size: u8,
        /// Remote-write 2.0.
        second_version: bool,
        /// The length of its chunks; with a length in the head where that is 0.
        chunk: u8,
        /// Asks to be invited to send the body.
        expect: bool,
        /// Announces that it is the last.
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
    /// So many milliseconds pass.
    Pass(u16),
    /// Time passes up to the exchange's deadline.
    Deadline,
    /// All goes well until nothing moves any more.
    Run,
    /// Up to so many bytes of the sender arrive.
    Say(u16),
    /// The sender closes its sending direction.
    SenderEnds,
    /// The sender's connection breaks.
    SenderBreaks,
    /// The sender takes up to so many bytes.
    Listen(u16),
    /// The driver stores up to so many bytes.
    Store(u16),
    /// The driver has no room for the bytes that wait.
    Exhaust,
    /// Room, a connection or a token is found, whichever is being looked for.
    Find {
        /// The connection was used before.
        reused: bool,
    },
    /// None is found.
    Miss(Cause),
    /// Up to so many bytes go to Azure.
    Upload(u16),
    /// Writing to Azure fails.
    UploadBreaks,
    /// Azure answers; its bytes do not arrive yet.
    Answer(Answer),
    /// Up to so many bytes of Azure's arrive.
    Deliver(u16),
    /// Azure closes its sending direction.
    AzureEnds,
    /// The connection to Azure breaks.
    AzureBreaks,
    /// The process gets its first token.
    TokenGranted,
    /// The process is asked to stop.
    Drain,
    /// The driver breaks its contract. From here on only panics and endless conversations are wrong.
    Misuse(Misuse),
}

/// Why the driver found nothing.
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

/// What Azure says.
#[derive(Arbitrary, Clone, Debug)]
pub enum Answer {
    /// A response.
    Response {
        /// Which status.
        status: u8,
        /// The length of its body.
        size: u8,
        /// Its body comes in chunks.
        chunked: bool,
        /// An interim response comes first.
        interim: bool,
        /// It announces the end of the connection.
        close: bool,
    },
    /// Bytes that may be anything.
    Raw(Vec<u8>),
}

/// A call that nobody asked for.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Misuse {
    /// More bytes from the sender than there was room for.
    ClientFilled(u16),
    /// More bytes taken by the sender than were pending.
    ClientDrained(u16),
    /// Room where none was asked for.
    Reserved,
    /// More bytes stored than were lent.
    BodyTaken(u16),
    /// Bytes read past the exchange without being asked to.
    BodyFilled(u16),
    /// A verdict that nobody waits for.
    Checked,
    /// A connection that nobody waits for.
    Attach,
    /// A token that nobody waits for.
    Refreshed,
    /// A head that is said to be sent.
    HeadSent,
    /// More of the body than there is.
    BodySent(u16),
    /// More bytes from Azure than there was room for.
    UpstreamFilled(u16),
    /// A report that nobody waits for.
    Report,
    /// A page that nobody asked for.
    PageReady(u16),
    /// Time that goes back.
    Past,
}
