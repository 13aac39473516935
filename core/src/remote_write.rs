//! Remote-write frames: which message a request claims to carry, and whether the body holds it. Nothing is stored or
//! changed; the result is a verdict and counts.
//!
//! A [`Check`] decodes the snappy block into a lent window and walks the protobuf message in it, byte for byte as the
//! sender wrote it: any field order, unknown fields, any labels. It refuses what receivers could read in two ways or
//! not at all. The meaning of the data (duplicate names, times, missing `__name__`) is left to the receiver.
//!
//! Sources: the remote-write specifications 1.0 and 2.0, `prometheus/prompb/*.proto`, and the protobuf encoding guide.

mod check;
mod fault;
mod media;
mod schema;
mod shape;
mod tally;
mod text;
mod varint;
mod walker;

use core::time::Duration;

pub use check::{Check, Verdict, Why};
pub use fault::{Fault, FaultKind};
pub use media::{MediaFault, negotiate};
pub use tally::Counts;

/// How old a sample may be for an Azure Monitor workspace to accept it ("Azure Monitor service limits", Prometheus
/// metrics). Older ones are refused there, not always with an error.
pub const MAX_AGE: Duration = Duration::from_secs(20 * 60);

/// Size in bytes of a window for [`Check::new`] that suffices for the encoders of all common senders, which compress a
/// body in blocks of 64 KiB. Where a copy reaches back further than the window, [`Check::larger_window`] says what a
/// second pass needs.
pub const USUAL_WINDOW: usize = 64 * 1024;

/// Which message the body holds. Only the Content-Type decides (remote-write 2.0, "Protocol").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `prometheus.WriteRequest`, remote-write 1.0.
    V1,
    /// `io.prometheus.write.v2.Request`, remote-write 2.0.
    V2,
}

impl Version {
    /// The Content-Type to send upstream, in the one spelling that every receiver reads in the same way. Prometheus'
    /// own parser takes a space before `proto=` as part of the parameter's name, and so version 2 for version 1.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::V1 => "application/x-protobuf",
            Self::V2 => "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        }
    }

    /// The value of `X-Prometheus-Remote-Write-Version`.
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::V1 => "0.1.0",
            Self::V2 => "2.0.0",
        }
    }

    /// Both as field lines, after the end of the line before them. Made beforehand: they go out with every request.
    pub(crate) const fn field_lines(self) -> &'static [u8] {
        match self {
            Self::V1 => b"\r\nContent-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n",
            Self::V2 => {
                b"\r\nContent-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n\
                  X-Prometheus-Remote-Write-Version: 2.0.0\r\n"
            }
        }
    }
}

/// How much of a body is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The wire format, references, and that all text is UTF-8. Receivers that accept other bytes in a string skip or
    /// refuse the series later.
    Full,
    /// The same, except that text is not checked for UTF-8.
    Wire,
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn field_lines_say_the_same_as_the_values() {
        for version in [Version::V1, Version::V2] {
            let (media, protocol) = (version.content_type(), version.protocol());
            let lines = std::format!("\r\nContent-Type: {media}\r\nX-Prometheus-Remote-Write-Version: {protocol}\r\n");
            assert_eq!(version.field_lines(), lines.as_bytes());
        }
    }
}
