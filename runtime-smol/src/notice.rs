//! Events, reported to an [`Observer`]. Nothing here formats a line.

use std::net::IpAddr;
use std::time::Duration;

use remora_core::forward::{Purpose, Unavailable};

use crate::identity::{Failure, Skew};

/// Receives notices. Called on the forwarding threads, so it must be quick.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notice(&self, notice: &Notice<'_>);
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A port is open.
    Listening {
        /// The port.
        port: u16,
    },
    /// A token was granted.
    TokenGranted {
        /// How long it is valid.
        lifetime: Duration,
        /// How wrong this machine's clock is, by the token endpoint's; `None` if they agree within a minute.
        skew: Option<Skew>,
    },
    /// No token was granted.
    TokenFailed {
        /// Why.
        failure: &'a Failure,
        /// Whether the old token still serves: it has not expired, and Azure has not refused it since it last accepted a
        /// request.
        serving: bool,
        /// Until the next attempt.
        next: Duration,
    },
    /// A request other than a probe was answered with something other than success.
    NotAccepted {
        /// Status sent to the sender.
        status: u16,
        /// Status of Azure's answer, if there was one.
        upstream_status: Option<u16>,
        /// Why it could not be forwarded, if so.
        unavailable: Option<Unavailable>,
        /// What was asked for.
        purpose: Purpose,
        /// The text of the answer.
        text: &'a str,
        /// The peer, if it is not in this pod.
        peer: Option<IpAddr>,
    },
    /// A write, or a request that is not served here, was answered. Sent once for each: worth a line only if all of
    /// them are to be logged.
    Answered {
        /// Status sent to the sender.
        status: u16,
        /// Status of Azure's answer, if there was one.
        upstream_status: Option<u16>,
        /// Bytes of the body as received, compressed.
        bytes: usize,
        /// Samples in the body, if the frame check passed it.
        samples: Option<u32>,
        /// Time from the head to the answer.
        took: Duration,
    },
    /// A sender had ended its side of the connection before its write was answered.
    Abandoned {
        /// How long the write took, if it was forwarded all the same, or waited for its turn.
        after: Duration,
    },
    /// A write contained samples older than Azure accepts.
    TooOld {
        /// How many.
        samples: u32,
        /// Age of the oldest of them.
        oldest: Duration,
    },
    /// A minute has passed in which there were writes or repeatable notices.
    Minute(Minute),
    /// A sender's connection was turned away: all slots are taken, and no other connection could make room for it.
    Crowded,
    /// The open-file limit is lower than the configured limits may require.
    FewFiles {
        /// How many are allowed.
        limit: u64,
        /// How many may be needed.
        wanted: u64,
    },
    /// Accepting a connection failed.
    AcceptFailed {
        /// The error.
        error: &'a std::io::Error,
    },
    /// A signal asked the process to stop.
    Stopping {
        /// Open requests of peers that may write.
        open: usize,
    },
}

/// The traffic of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Writes that Azure accepted.
    pub succeeded: u64,
    /// All other writes.
    pub failed: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Total time from head to answer.
    pub busy: Duration,
}

impl Minute {
    /// Adds what another thread counted.
    pub(crate) fn include(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.bytes += other.bytes;
        self.busy += other.busy;
    }
}
