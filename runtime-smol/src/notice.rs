//! What happens, told to whoever prints it. Nothing here formats a line.

use std::net::IpAddr;
use std::time::Duration;

use remora_core::forward::{Purpose, Unavailable};

use crate::identity::Failure;

/// Takes notices. Called on the threads that forward: it must be quick.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn notice(&self, notice: &Notice<'_>);
}

/// What happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// The port is open.
    Listening {
        /// The port.
        port: u16,
    },
    /// Entra granted a token.
    TokenGranted {
        /// How long it serves.
        lifetime: Duration,
    },
    /// Entra granted none.
    TokenFailed {
        /// Why.
        failure: &'a Failure,
        /// The old token still serves.
        serving: bool,
    },
    /// A request other than a probe was answered with something else than success.
    NotAccepted {
        /// What the sender was told.
        status: u16,
        /// What Azure said, where it came to an answer.
        upstream_status: Option<u16>,
        /// Why it could not be forwarded, where that is so.
        unavailable: Option<Unavailable>,
        /// What was asked for.
        purpose: Purpose,
        /// The text of the answer.
        text: &'a str,
        /// Who was told, where that is not this pod.
        peer: Option<IpAddr>,
    },
    /// A write, or a request that is not served here, was answered. Comes once for each: worth a line only to who asked
    /// for all of them.
    Answered {
        /// What the sender was told.
        status: u16,
        /// What Azure said, where it came to an answer.
        upstream_status: Option<u16>,
        /// Bytes of the body, compressed as it came.
        bytes: usize,
        /// Samples in the body, where the frame check found it good.
        samples: Option<u32>,
        /// Time from the head to the answer.
        took: Duration,
    },
    /// A write held samples that were older than Azure takes.
    TooOld {
        /// How many.
        samples: u32,
        /// Age of the oldest of them.
        oldest: Duration,
    },
    /// A minute has passed in which there was traffic, or a notice that may come again and again.
    Minute(Minute),
    /// A connection was turned away because all slots are taken.
    Crowded,
    /// The process may have fewer file descriptors than its limits come to.
    FewFiles {
        /// How many it may have.
        limit: u64,
        /// How many it may need.
        wanted: u64,
    },
    /// Accepting a connection failed.
    AcceptFailed {
        /// The error.
        error: &'a std::io::Error,
    },
    /// A signal asked the process to stop.
    Stopping {
        /// Requests that are open.
        open: usize,
    },
}

/// The traffic of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    /// Writes that Azure accepted.
    pub succeeded: u64,
    /// Writes that were answered otherwise.
    pub failed: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
    /// Time from head to answer, summed up.
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
