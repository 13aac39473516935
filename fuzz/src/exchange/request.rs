//! The sender's requests as bytes, and the permitted outcomes of each.

use remora_core::remote_write::Version;

use super::operation::{Conversation, Request};
use crate::frame;

/// Maximum requests in one conversation.
const MOST_REQUESTS: usize = 4;

/// Paths other than the one for writes.
const PATHS: [&str; 8] = ["/", "/health", "/ready", "/-/ready", "/ready/token", "/nowhere", "/metrics", "/status"];

/// The permitted outcomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// This frame may go to Azure.
    Good(Vec<u8>),
    /// It is refused here.
    Corrupt,
    /// It is answered here.
    Probe { head: bool },
}

/// All bytes of the sender, and the kind of each request in them.
pub(super) fn script(conversation: &Conversation) -> (Vec<u8>, Vec<Kind>) {
    let (mut bytes, mut kinds) = (Vec::new(), Vec::new());
    for (number, &request) in conversation.requests.iter().take(MOST_REQUESTS).enumerate() {
        kinds.push(write(&mut bytes, number, request));
    }
    bytes.extend_from_slice(&conversation.tail);
    (bytes, kinds)
}

/// Appends the request of this number.
fn write(bytes: &mut Vec<u8>, number: usize, request: Request) -> Kind {
    match request {
        Request::Probe { path, head } => {
            let path = PATHS[usize::from(path) % PATHS.len()];
            let method = if head { "HEAD" } else { "GET" };
            bytes.extend_from_slice(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
            Kind::Probe { head }
        }
        Request::Write { corrupt, size, second_version, chunk, expect, close } => {
            let version = if second_version { Version::V2 } else { Version::V1 };
            let mut frame = frame::good(version, number, size.into());
            if corrupt {
                frame.pop();
            }
            bytes.extend_from_slice(head(version, expect, close).as_bytes());
            write_body(bytes, &frame, chunk.into());
            if corrupt { Kind::Corrupt } else { Kind::Good(frame) }
        }
    }
}

/// The head of a write up to its framing.
fn head(version: Version, expect: bool, close: bool) -> String {
    let expect = if expect { "Expect: 100-continue\r\n" } else { "" };
    let close = if close { "Connection: close\r\n" } else { "" };
    format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: h\r\nAuthorization: Basic of-the-sender\r\nContent-Encoding: snappy\r\n\
         Content-Type: {}\r\n{expect}{close}",
        version.content_type()
    )
}

fn write_body(bytes: &mut Vec<u8>, frame: &[u8], chunk: usize) {
    if chunk == 0 {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n\r\n", frame.len()).as_bytes());
        return bytes.extend_from_slice(frame);
    }
    bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for piece in frame.chunks(chunk) {
        bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        bytes.extend_from_slice(piece);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
}
