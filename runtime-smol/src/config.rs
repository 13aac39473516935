//! The sidecar's configuration as plain data: the caller parses and checks every value. Nothing here reads the
//! environment.

mod identity;

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use remora_core::remote_write::Level;

pub use self::identity::{
    Application, ApplicationCredential, Authorities, CertificateFile, Client, Identity, ManagedEndpoint,
    ManagedIdentity, SecretSource, Selection, TokenProxy, WorkloadIdentity,
};
use crate::endpoint::Endpoint;

/// The whole configuration of one process.
#[derive(Clone, Debug)]
pub struct Config {
    /// Ports, and the networks that may write.
    pub listen: Listen,
    /// The data collection rule's write URL; accepted bodies are posted there, whatever path the sender used.
    pub ingestion: Endpoint,
    /// The process's identity in Microsoft Entra.
    pub identity: Identity,
    /// Bounds on memory and concurrency.
    pub limits: Limits,
    /// Longest time from the end of a request's body to the end of Azure's answer, including waiting for a slot,
    /// connecting and resending.
    pub upstream_timeout: Duration,
    /// How long a 4xx that does not concern the data is answered as 503, counted from the first such refusal since the
    /// last success, and anew after as long a time, at least two minutes, without one.
    pub refusal_hold: Duration,
    /// Whether a 429 reaches the sender as 429; otherwise it becomes a 503, which Prometheus retries by default.
    pub pass_rate_limit: bool,
    /// How much of a body is checked before it is forwarded; `None` for nothing.
    pub check: Option<Level>,
    /// Longest time for which senders are still served after the first stop signal.
    pub shutdown_grace: Duration,
    /// Certificate authorities that TLS peers are checked against.
    pub trust: TrustSource,
    /// Proxy for the token exchange and, where its URL is `http://`, for ingestion.
    pub proxy: Option<Proxy>,
}

/// Ports, and the networks that may write.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Port of every endpoint, bound on all interfaces.
    pub port: u16,
    /// Second port with the same endpoints except the write path.
    pub admin_port: Option<u16>,
    /// Networks that may write in addition to loopback.
    pub allowed_sources: Vec<IpNet>,
}

/// Bytes of each thread's part of the arena reserved for bodies that fit there, so that a few large or slow ones do not
/// stop all others.
pub const SMALL_ARENA: usize = 128 * 1024;

/// Bounds on memory and concurrency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the arena that holds all bodies, complete and in progress.
    pub body_memory: usize,
    /// Bytes of the longest accepted body; at most a thread's part of `body_memory` less [`SMALL_ARENA`].
    pub max_body_bytes: usize,
    /// Sender connections open at once; at least one for each thread.
    pub max_connections: usize,
    /// Requests forwarded at once, which is also the bound on connections to the ingestion endpoint; at least one
    /// for each thread.
    pub max_in_flight: usize,
    /// Forwarding threads. The bounds above cover all of them together, except the one on a body.
    pub threads: NonZeroUsize,
}

impl Limits {
    /// The share of the thread with this index; of connections and requests, the first threads get the remainder.
    pub(crate) fn part(self, index: usize) -> Self {
        Self {
            body_memory: self.body_memory / self.threads,
            max_connections: self.share(self.max_connections, index),
            max_in_flight: self.share(self.max_in_flight, index),
            ..self
        }
    }

    /// Segments of `length` bytes for bodies beyond [`SMALL_ARENA`]. Rounded up so that the longest body fits.
    pub(crate) const fn segments(self, length: usize) -> usize {
        self.body_memory.saturating_sub(SMALL_ARENA).div_ceil(length)
    }

    fn share(self, whole: usize, index: usize) -> usize {
        let left_over = whole % self.threads;
        whole / self.threads + usize::from(index < left_over)
    }
}

/// Certificate authorities that TLS peers are checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustSource {
    /// Mozilla's roots, compiled in.
    BuiltIn,
    /// The PEM certificates of one file, in place of the built-in roots.
    File(PathBuf),
    /// Those of all files in these folders.
    Dirs(Vec<PathBuf>),
    /// Both.
    FileAndDirs {
        /// As in [`TrustSource::File`].
        file: PathBuf,
        /// As in [`TrustSource::Dirs`].
        dirs: Vec<PathBuf>,
    },
}

impl TrustSource {
    /// The file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(file) | Self::FileAndDirs { file, .. } => Some(file),
            Self::BuiltIn | Self::Dirs(_) => None,
        }
    }

    /// The folders; empty if there are none.
    pub fn dirs(&self) -> &[PathBuf] {
        match self {
            Self::Dirs(dirs) | Self::FileAndDirs { dirs, .. } => dirs,
            Self::BuiltIn | Self::File(_) => &[],
        }
    }
}

/// An HTTP proxy that tunnels connections with CONNECT.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// `http://` or `https://` URL; it may contain a password and is therefore left out of `Debug`.
    pub url: String,
    /// Comma-separated hosts and domains that are reached directly.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("no_proxy", &self.no_proxy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_all_threads_are_the_whole() {
        let body_memory = 3 << 20;
        let threads = |count| NonZeroUsize::new(count).unwrap();
        let (max_body_bytes, max_connections, max_in_flight) = (1024, 8, 4);
        let whole = Limits { body_memory, max_body_bytes, max_connections, max_in_flight, threads: threads(3) };
        let parts: Vec<_> = (0..3).map(|index| whole.part(index)).collect();
        let of = |limit: fn(&Limits) -> usize| parts.iter().map(limit).collect::<Vec<_>>();
        assert_eq!(of(|part| part.body_memory), [1 << 20; 3]);
        assert_eq!(of(|part| part.max_body_bytes), [1024; 3]);
        assert_eq!((of(|part| part.max_connections), of(|part| part.max_in_flight)), (vec![3, 3, 2], vec![2, 1, 1]));
        let one = Limits { threads: threads(1), ..whole };
        assert_eq!(one.part(0), one);
    }

    #[test]
    fn the_longest_body_fits_into_the_segments() {
        for (body_memory, threads) in [(8 << 20, 3), (1_131_072, 1), (256 << 10, 1), (8 << 20, 1)] {
            let threads = NonZeroUsize::new(threads).unwrap();
            let max_body_bytes = body_memory / threads - SMALL_ARENA;
            let part = Limits { body_memory, max_body_bytes, max_connections: 64, max_in_flight: 64, threads }.part(0);
            assert!(max_body_bytes.div_ceil(16_384) <= part.segments(16_384), "{body_memory} for {threads}");
        }
    }
}
