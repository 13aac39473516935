//! One pass over a stored body: snappy, protobuf within it, and a verdict at the end.

use super::fault::{Fault, FaultKind};
use super::tally::Counts;
use super::walker::Walker;
use super::{Level, MAX_AGE, Version};
use crate::snappy::{Decoder, SnappyError, Window};

/// What the check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A receiver can decode the body.
    Good(Counts),
    /// A receiver cannot be relied on to decode it: the sender gets 400 and the body is not forwarded.
    Corrupt(Fault),
    /// The check could not reach a verdict.
    Unchecked(Why),
}

/// Why there is no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// A copy reaches further back than the window remembers. Not corrupt: encoders that treat the whole input as one
    /// block (klauspost/compress) write such copies. A pass with a window at least as long as the decoded body decides.
    OffsetBeyondWindow {
        /// How far back the copy reaches, in bytes.
        offset: u32,
    },
}

#[derive(Clone, Copy, Debug)]
enum Stop {
    Corrupt(Fault),
    Unchecked(Why),
}

/// Checks one compressed body that arrives in pieces of any size.
///
/// The pieces go to [`feed`](Self::feed) in order; [`finish`](Self::finish) returns the verdict. It does not depend on
/// where the pieces are cut.
///
/// ```
/// use remora_core::remote_write::{Check, Level, USUAL_WINDOW, Verdict, Version};
/// use remora_core::snappy::Window;
///
/// // One series {a="b"} without samples: a literal of 10 bytes, announced as 10 bytes.
/// let body = b"\x0a\x24\x0a\x08\x0a\x06\x0a\x01a\x12\x01b";
/// let mut bytes = [0; USUAL_WINDOW];
/// let window = Window::new(&mut bytes).expect("a power of two");
/// let mut check = Check::new(Version::V1, Level::Full, window, 1 << 20);
/// body.chunks(3).for_each(|piece| check.feed(piece));
/// let Verdict::Good(counts) = check.finish() else { panic!("a receiver can decode it") };
/// assert_eq!((counts.series, counts.samples), (1, 0));
/// ```
#[derive(Debug)]
pub struct Check<'w> {
    decoder: Result<Decoder<'w>, Stop>,
    walker: Walker,
    decoded_len: Option<u32>,
}

impl<'w> Check<'w> {
    /// A check that decodes into `window` and refuses bodies that announce more than `max_decoded` bytes.
    pub fn new(version: Version, level: Level, window: Window<'w>, max_decoded: u32) -> Self {
        Self { decoder: Ok(Decoder::new(window, max_decoded)), walker: Walker::new(version, level), decoded_len: None }
    }

    /// From here on, counts data older than [`MAX_AGE`] at `unix_ms`, milliseconds since 1970, as [`Counts::too_old`].
    #[must_use]
    pub fn at(mut self, unix_ms: i64) -> Self {
        let age = i64::try_from(MAX_AGE.as_millis()).unwrap_or(i64::MAX);
        self.walker.too_old_before(unix_ms.saturating_sub(age));
        self
    }

    /// Checks the next bytes of the body. After a fault they are ignored.
    pub fn feed(&mut self, compressed: &[u8]) {
        let Ok(decoder) = &mut self.decoder else { return };
        let outcome = advance(decoder, &mut self.walker, compressed);
        self.decoded_len = decoder.declared();
        if let Err(stop) = outcome {
            self.decoder = Err(stop);
        }
    }

    /// The window size, in bytes, with which a second pass reaches a verdict, when a copy reached back further than
    /// this window. May change with every [`feed`](Self::feed).
    pub fn larger_window(&self) -> Option<usize> {
        let Err(Stop::Unchecked(Why::OffsetBeyondWindow { .. })) = self.decoder else { return None };
        let decoded = usize::try_from(self.decoded_len?).ok()?;
        decoded.checked_next_power_of_two()
    }

    /// Ends the body.
    pub fn finish(self) -> Verdict {
        let outcome = self.decoder.and_then(|decoder| {
            decoder.finish().map_err(|error| stop(error, decoder.position()))?;
            self.walker.finish().map_err(Stop::Corrupt)
        });
        match outcome {
            Ok(counts) => Verdict::Good(counts),
            Err(Stop::Corrupt(fault)) => Verdict::Corrupt(fault),
            Err(Stop::Unchecked(why)) => Verdict::Unchecked(why),
        }
    }
}

fn advance(decoder: &mut Decoder<'_>, walker: &mut Walker, compressed: &[u8]) -> Result<(), Stop> {
    let mut rest = compressed;
    loop {
        let step = match decoder.step(rest) {
            Ok(step) => step,
            Err(error) => return Err(stop(error, decoder.position())),
        };
        rest = rest.get(step.used..).unwrap_or_default();
        walker.feed(step.run, step.declared).map_err(Stop::Corrupt)?;
        if step.run.is_empty() && rest.is_empty() {
            return Ok(());
        }
    }
}

fn stop(error: SnappyError, at: u64) -> Stop {
    match error {
        SnappyError::OffsetBeyondWindow { offset } => Stop::Unchecked(Why::OffsetBeyondWindow { offset }),
        _ => Stop::Corrupt(Fault { kind: FaultKind::Snappy(error), at }),
    }
}
