//! What is timed: five ways to process one body. Each returns a number that depends on all of its work.

use std::hint::black_box;

use prost::Message;
use remora_core::remote_write::{Check, Level, Verdict, Version};
use remora_core::snappy::{Decoder, Window};

use crate::messages::{Request, WriteRequest};

/// The window, one for a whole process, in bytes.
const WINDOW: usize = 1 << 16;

/// A segment of the body store, in bytes: the pieces in which a check gets its body.
const SEGMENT: usize = 16 * 1024;

/// The largest decoded body that is accepted, in bytes.
const MAX_DECODED: u32 = 32 << 20;

/// One way to process a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Contender {
    /// `snap` into an existing buffer: the yardstick.
    Snap,
    /// Remora's decoder alone.
    Decoder,
    /// The check at a level.
    Check(Level),
    /// `snap`, then `prost` into structs, and dropping them.
    SnapAndProst,
}

impl Contender {
    pub(crate) const ALL: [Self; 5] =
        [Self::Snap, Self::Decoder, Self::Check(Level::Wire), Self::Check(Level::Full), Self::SnapAndProst];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Snap => "snap",
            Self::Decoder => "Decoder",
            Self::Check(Level::Wire) => "Check, Wire",
            Self::Check(Level::Full) => "Check, Full",
            Self::SnapAndProst => "snap + prost",
        }
    }
}

/// The buffers that all passes share, as a process would keep them.
#[derive(Debug)]
pub(crate) struct Buffers {
    version: Version,
    window: Vec<u8>,
    decoded: Vec<u8>,
}

impl Buffers {
    /// Buffers for messages of this version and of up to `decoded` bytes.
    pub(crate) fn new(version: Version, decoded: usize) -> Self {
        Self { version, window: vec![0; WINDOW], decoded: vec![0; decoded] }
    }

    /// One pass over `body`: decoded bytes for the decoders, series for the contenders that read the message. `None` if
    /// the body is refused.
    pub(crate) fn pass(&mut self, contender: Contender, body: &[u8]) -> Option<usize> {
        match contender {
            Contender::Snap => self.unpack(body).map(<[u8]>::len),
            Contender::Decoder => self.decode(body),
            Contender::Check(level) => self.check(level, body),
            Contender::SnapAndProst => match self.version {
                Version::V1 => Some(WriteRequest::decode(self.unpack(body)?).ok()?.timeseries.len()),
                Version::V2 => Some(Request::decode(self.unpack(body)?).ok()?.timeseries.len()),
            },
        }
    }

    fn unpack(&mut self, body: &[u8]) -> Option<&[u8]> {
        let length = snap::raw::Decoder::new().decompress(body, &mut self.decoded).ok()?;
        self.decoded.get(..length)
    }

    fn decode(&mut self, body: &[u8]) -> Option<usize> {
        let mut decoder = Decoder::new(Window::new(&mut self.window)?, MAX_DECODED);
        let mut length = 0;
        for segment in body.chunks(SEGMENT) {
            let mut rest = segment;
            loop {
                let step = decoder.step(rest).ok()?;
                rest = rest.get(step.used..)?;
                length += black_box(step.run).len();
                if step.run.is_empty() && rest.is_empty() {
                    break;
                }
            }
        }
        decoder.finish().ok()?;
        Some(length)
    }

    fn check(&mut self, level: Level, body: &[u8]) -> Option<usize> {
        let mut check = Check::new(self.version, level, Window::new(&mut self.window)?, MAX_DECODED);
        body.chunks(SEGMENT).for_each(|segment| check.feed(segment));
        match check.finish() {
            Verdict::Good(counts) => usize::try_from(counts.series).ok(),
            _ => None,
        }
    }
}
