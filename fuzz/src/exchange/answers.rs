//! Responses as bytes: Azure's are written here, and those to the sender are read.

use httparse::{EMPTY_HEADER, Response, Status};

use super::operation::Answer;

/// Statuses of Azure's responses.
const STATUSES: [u16; 16] = [200, 204, 202, 204, 400, 401, 403, 404, 409, 413, 415, 429, 500, 503, 307, 100];

/// Appends what Azure sends.
pub(super) fn write(bytes: &mut Vec<u8>, answer: &Answer) {
    match answer {
        Answer::Raw(raw) => bytes.extend_from_slice(raw),
        &Answer::Response { status, size, chunked, interim, close } => {
            if interim {
                bytes.extend_from_slice(b"HTTP/1.1 102 x\r\n\r\n");
            }
            let status = STATUSES[usize::from(status) % STATUSES.len()];
            let close = if close { "Connection: close\r\n" } else { "" };
            let head = format!("HTTP/1.1 {status} x\r\nServer: of-azure\r\nRetry-After: 3\r\n{close}");
            bytes.extend_from_slice(head.as_bytes());
            let body = "y".repeat(size.into());
            let rest = match (status, chunked) {
                (100 | 204, _) => "\r\n".to_owned(),
                (_, false) => format!("Content-Length: {size}\r\n\r\n{body}"),
                (_, true) if size == 0 => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                (_, true) => format!("Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n\r\n"),
            };
            bytes.extend_from_slice(rest.as_bytes());
        }
    }
}

/// The status of the first response in `bytes` that is not an interim one.
pub(super) fn final_status(bytes: &[u8]) -> Option<u16> {
    let mut rest = bytes;
    loop {
        let (status, _, after) = head(rest)?;
        if !(100..200).contains(&status) {
            return Some(status);
        }
        rest = after;
    }
}

/// Status and head of the complete responses in `bytes`, without interim ones. `is_bodiless` says for each whether its
/// request was a HEAD.
pub(super) fn responses(bytes: &[u8], is_bodiless: impl Fn(usize) -> bool) -> Vec<(u16, &[u8])> {
    let (mut rest, mut responses) = (bytes, Vec::new());
    while let Some((status, length, after)) = head(rest) {
        let head = &rest[..rest.len() - after.len()];
        let is_final = !(100..200).contains(&status);
        let length = if is_final && !is_bodiless(responses.len()) { length } else { 0 };
        let Some(after) = after.get(length..) else { break };
        rest = after;
        if is_final {
            responses.push((status, head));
        }
    }
    responses
}

/// Status and Content-Length of the head at the front, and the bytes after it.
fn head(bytes: &[u8]) -> Option<(u16, usize, &[u8])> {
    let mut lines = [EMPTY_HEADER; 64];
    let mut response = Response::new(&mut lines);
    let Ok(Status::Complete(end)) = response.parse(bytes) else { return None };
    let length = response.headers.iter().find(|line| line.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|line| str::from_utf8(line.value).ok()?.parse().ok()).unwrap_or(0);
    Some((response.code?, length, &bytes[end..]))
}
