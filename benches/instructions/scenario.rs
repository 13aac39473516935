//! The scenarios: a name, an input made beforehand, and the work done on it.

use remora_core::forward::HeadMemo;
use remora_core::http::{BodyDecoder, Framing, HeadScan, Piece, decode_request, field_slots};
use remora_core::remote_write::{Check, Level, Verdict, Version};
use remora_core::snappy::Window;

use crate::conversation::hold;
use crate::messages::in_version_2;

/// What a scenario works with, from one time to the next.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The window of a check, or buffers.
    memory: Vec<u8>,
    memo: HeadMemo,
}

impl Default for Tools {
    fn default() -> Self {
        Self { memory: vec![0; 1 << 16], memo: HeadMemo::default() }
    }
}

/// A segment of the body store, in bytes: the pieces in which bodies are read and checked.
const SEGMENT: usize = 16 * 1024;

/// The largest decoded body that is accepted, in bytes.
const MAX_DECODED: u32 = 32 << 20;

/// Size of a chunk from a Go client, in bytes.
const CHUNK: usize = 4096;

/// A body posted by Prometheus 2.42: 2,000 samples.
const BODY: &[u8] = include_bytes!("../../core/tests/vectors/prometheus-2.42-2000-samples.snappy");

/// The head of that request.
const HEAD: &[u8] = b"POST /api/v1/write HTTP/1.1\r\nHost: localhost:8081\r\nUser-Agent: Prometheus/2.42.0\r\n\
    Content-Length: 61022\r\nContent-Encoding: snappy\r\nContent-Type: application/x-protobuf\r\n\
    X-Prometheus-Remote-Write-Version: 0.1.0\r\n\r\n";

/// One scenario whose instructions are counted.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Its name in the baseline.
    pub(crate) name: &'static str,
    /// Makes its input.
    pub(crate) input: fn() -> Vec<u8>,
    /// Runs it once. Returns a number that depends on all of the work; `None` if core refuses the input.
    pub(crate) once: fn(&[u8], &mut Tools) -> Option<usize>,
}

/// In the order of the baseline.
pub(crate) const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "check-full",
        input: body,
        once: |body, tools| check(Version::V1, Level::Full, body, &mut tools.memory),
    },
    Scenario {
        name: "check-wire",
        input: body,
        once: |body, tools| check(Version::V1, Level::Wire, body, &mut tools.memory),
    },
    Scenario {
        name: "check-full-version-2",
        input: body_of_version_2,
        once: |body, tools| check(Version::V2, Level::Full, body, &mut tools.memory),
    },
    Scenario { name: "head", input: head, once: |head, _| decode_head(head) },
    Scenario { name: "chunks", input: chunked_body, once: |body, _| unchunk(body) },
    Scenario { name: "exchange", input: request, once: |bytes, tools| hold(bytes, &mut tools.memory, None) },
    Scenario {
        name: "exchange-known",
        input: request,
        once: |bytes, tools| hold(bytes, &mut tools.memory, Some(&mut tools.memo)),
    },
];

fn body() -> Vec<u8> {
    BODY.to_vec()
}

fn body_of_version_2() -> Vec<u8> {
    // An empty body, which no check accepts, if it fails.
    in_version_2(BODY).unwrap_or_default()
}

fn head() -> Vec<u8> {
    HEAD.to_vec()
}

fn request() -> Vec<u8> {
    [HEAD, BODY].concat()
}

fn chunked_body() -> Vec<u8> {
    let chunks =
        BODY.chunks(CHUNK).flat_map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    chunks.chain(*b"0\r\n\r\n").collect()
}

/// Checks a body in segments, as it is stored; returns the number of series.
fn check(version: Version, level: Level, body: &[u8], window: &mut [u8]) -> Option<usize> {
    let mut check = Check::new(version, level, Window::new(window)?, MAX_DECODED);
    body.chunks(SEGMENT).for_each(|segment| check.feed(segment));
    match check.finish() {
        Verdict::Good(counts) => usize::try_from(counts.series).ok(),
        _ => None,
    }
}

/// Finds a head's end and decodes it; returns the number of its fields.
fn decode_head(bytes: &[u8]) -> Option<usize> {
    let end = HeadScan::default().scan(bytes).ok()??;
    let mut slots = field_slots();
    let head = decode_request(bytes.get(..end)?, &mut slots).ok()?;
    Some(head.fields.iter().count())
}

/// Decodes a chunked body, read in segments; returns its length.
fn unchunk(body: &[u8]) -> Option<usize> {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let mut length = 0;
    for segment in body.chunks(SEGMENT) {
        let mut rest = segment;
        loop {
            let (used, piece) = decoder.next(rest).ok()?;
            rest = rest.get(used..)?;
            match piece {
                Piece::Data(data) => length += data.len(),
                Piece::NeedMore => break,
                Piece::End => return Some(length),
            }
        }
    }
    None
}
