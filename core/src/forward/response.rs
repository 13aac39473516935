//! Azure's response, read into a lent buffer: its head, and as much of its body as a sender would log.
//!
//! The buffer holds, in this order, the head, the part of the body that is kept, and bytes not decoded yet.

use super::buffer::{Place, move_down};
use super::reply::{self, MAX_TEXT, WRITTEN};
use crate::http::{self, BodyDecoder, BodyError, HeadError, HeadScan, Piece, ResponseHead, digits};

/// Longest field value taken from Azure's response, in bytes, so that every response to the sender fits its buffer.
const LONGEST_VALUE: usize = 128;

/// Longest response body, in bytes, that is read to its end so that the connection can be reused.
const MAX_BODY: usize = 64 * 1024;

/// How the media type of a web page starts, and how its text does.
const HTML: &[u8] = b"text/html";
const MARKUP: &[u8] = b"<";

/// How much of a response has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// More bytes are needed.
    Partial,
    /// The response is complete, or as much of it as is read.
    Complete {
        /// The status.
        status: u16,
        /// Whether the response allows another request on the connection.
        keep_alive: bool,
    },
}

/// What is wrong with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseError {
    /// The head.
    Head(HeadError),
    /// The body's framing.
    Body(BodyError),
    /// A success that is a web page.
    WebPage,
}

impl ResponseError {
    /// The fault in words.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Head(error) => error.text(),
            Self::Body(error) => error.text(),
            Self::WebPage => "it is a web page, which Azure does not send; is there a proxy on the way?",
        }
    }
}

/// The reader. Bytes go in through [`Response::space`] and [`Response::filled`].
#[derive(Debug)]
pub(super) struct Response<'m> {
    buffer: &'m mut [u8],
    scan: HeadScan,
    filled: usize,
    head: usize,
    kept: usize,
    seen: usize,
    interim: bool,
    body: Option<Body>,
}

#[derive(Debug)]
struct Body {
    status: u16,
    keep_alive: bool,
    /// The positions of the values of [`TOLD`] in the buffer.
    told: [Place; TOLD.len()],
    decoder: BodyDecoder,
}

/// Response fields that concern the sender, in the order in which [`Response::message`] reads them.
const TOLD: [&str; 5] = ["retry-after", "content-type", WRITTEN[0], WRITTEN[1], WRITTEN[2]];

/// The parts of a complete response that concern the sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'r> {
    /// Azure's `Retry-After` in seconds, if any, capped.
    pub(super) retry_after: Option<u8>,
    /// The media type, unless it is too long or looks like a token.
    pub(super) content_type: Option<&'r [u8]>,
    /// The values of [`WRITTEN`], if they are numbers.
    pub(super) written: [Option<&'r [u8]>; WRITTEN.len()],
    /// The part of the body that is kept.
    pub(super) body: &'r [u8],
}

impl<'m> Response<'m> {
    pub(super) fn new(buffer: &'m mut [u8]) -> Self {
        Self { buffer, scan: HeadScan::default(), filled: 0, head: 0, kept: 0, seen: 0, interim: false, body: None }
    }

    /// Returns the buffer.
    pub(super) fn into_buffer(self) -> &'m mut [u8] {
        self.buffer
    }

    /// Whether no byte of a response has arrived.
    pub(super) const fn is_untouched(&self) -> bool {
        self.filled == 0 && !self.interim && self.body.is_none()
    }

    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// Decodes `n` bytes that were put into the space.
    pub(super) fn filled(&mut self, n: usize) -> Result<Progress, ResponseError> {
        self.filled = self.filled.saturating_add(n).min(self.buffer.len());
        while self.body.is_none() {
            if !self.read_head()? {
                return Ok(Progress::Partial);
            }
        }
        self.read_body()
    }

    /// The peer sent its last byte: the response, if that completes it.
    pub(super) fn end_of_input(&mut self) -> Option<Progress> {
        let body = self.body.as_mut()?;
        body.decoder.end_of_input().ok()?;
        Some(Progress::Complete { status: body.status, keep_alive: false })
    }

    /// Overwrites tokens in the kept part of the body: a service that echoes a request must not put its token into the
    /// sender's log.
    pub(super) fn hide_tokens(&mut self) {
        let kept = self.head..self.head.saturating_add(self.kept);
        hide_tokens(self.buffer.get_mut(kept).unwrap_or_default());
    }

    /// Whether the response is a web page, which something other than Azure has sent: a proxy that inspects TLS, or
    /// whatever has taken over an address. Azure's own texts are JSON.
    pub(super) fn is_web_page(&self) -> bool {
        let Message { content_type, body, .. } = self.message();
        let media = content_type.and_then(|media| media.get(..HTML.len()));
        media.is_some_and(|media| media.eq_ignore_ascii_case(HTML)) || body.trim_ascii_start().starts_with(MARKUP)
    }

    /// The parts from which the response to the sender is made.
    pub(super) fn message(&self) -> Message<'_> {
        let head = self.buffer.get(..self.head).unwrap_or_default();
        let told = |i: usize| self.body.as_ref()?.told.get(i)?.within(head);
        let count = |i| told(i).filter(|value| digits::decimal(value).is_some());
        let is_media = |value: &&[u8]| !value.windows(3).any(|bytes| bytes == b"eyJ");
        Message {
            retry_after: told(0).map(reply::retry_after),
            content_type: told(1).filter(is_media),
            written: [count(2), count(3), count(4)],
            body: self.buffer.get(self.head..self.head.saturating_add(self.kept)).unwrap_or_default(),
        }
    }

    /// Decodes a head if it is complete. Interim responses are skipped (RFC 9110 §15.2).
    fn read_head(&mut self) -> Result<bool, ResponseError> {
        let bytes = self.buffer.get(..self.filled).unwrap_or_default();
        let Some(length) = self.scan.scan(bytes).map_err(ResponseError::Head)? else {
            let full = self.filled.saturating_add(MAX_TEXT) >= self.buffer.len();
            return if full { Err(ResponseError::Head(HeadError::TooLarge)) } else { Ok(false) };
        };
        // Room for the text that is kept, and for at least one byte that is not.
        if length.saturating_add(MAX_TEXT) >= self.buffer.len() {
            return Err(ResponseError::Head(HeadError::TooLarge));
        }
        let mut slots = http::field_slots();
        let head = bytes.get(..length).unwrap_or_default();
        let decoded = http::decode_scanned_response(head, &mut slots);
        let ResponseHead { status, framing, keep_alive, fields, .. } = decoded.map_err(ResponseError::Head)?;
        if (100..200).contains(&status) {
            self.filled = self.filled.saturating_sub(length);
            move_down(self.buffer, length, self.filled, 0);
            self.scan = HeadScan::default();
            self.interim = true;
            return Ok(true);
        }
        self.head = length;
        let short = |name| fields.first(name).filter(|value| value.len() <= LONGEST_VALUE);
        let mut told = [Place::default(); TOLD.len()];
        for (place, name) in told.iter_mut().zip(TOLD) {
            *place = short(name).map(|value| Place::of(head, value)).unwrap_or_default();
        }
        self.body = Some(Body { status, keep_alive, told, decoder: BodyDecoder::new(framing) });
        Ok(true)
    }

    fn read_body(&mut self) -> Result<Progress, ResponseError> {
        let Some(body) = self.body.as_mut() else { return Ok(Progress::Partial) };
        let keep = self.head.saturating_add(self.kept);
        let mut start = keep;
        loop {
            let input = self.buffer.get(start..self.filled).unwrap_or_default();
            let (used, piece) = body.decoder.next(input).map_err(ResponseError::Body)?;
            let length = match piece {
                Piece::Data(data) => data.len(),
                Piece::End => {
                    let clean = start.saturating_add(used) == self.filled;
                    return Ok(Progress::Complete { status: body.status, keep_alive: body.keep_alive && clean });
                }
                Piece::NeedMore => {
                    self.filled = self.head.saturating_add(self.kept);
                    return Ok(Progress::Partial);
                }
            };
            start = start.saturating_add(used).min(self.filled);
            self.seen = self.seen.saturating_add(length);
            let room = MAX_TEXT.saturating_sub(self.kept).min(length);
            let from = start.saturating_sub(length);
            let to = self.head.saturating_add(self.kept);
            move_down(self.buffer, from, room, to);
            self.kept = self.kept.saturating_add(room);
            if self.seen > MAX_BODY {
                return Ok(Progress::Complete { status: body.status, keep_alive: false });
            }
        }
    }
}

/// Replaces JSON web tokens, each of which begins with `{"` in base64, by `*` (RFC 7519 §3).
fn hide_tokens(text: &mut [u8]) {
    let mut hiding = false;
    for at in 0..text.len() {
        let begins = text.get(at..).is_some_and(|rest| rest.starts_with(b"eyJ"));
        let Some(byte) = text.get_mut(at) else { return };
        hiding = (hiding || begins) && (byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if hiding {
            *byte = b'*';
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;

    use super::*;

    #[test]
    fn tokens_are_hidden_wherever_they_stand() {
        for (text, hidden) in [
            (&b"echo Bearer eyJh.eyJz-_.c2ln\""[..], &b"echo Bearer ****************\""[..]),
            (b"eyJ", b"***"),
            (b"\"eyJhb\",ey", b"\"*****\",ey"),
            (b"keyJar eye", b"k***** eye"),
            (b"", b""),
        ] {
            let mut text = text.to_vec();
            hide_tokens(&mut text);
            assert_eq!(text.escape_ascii().to_string(), hidden.escape_ascii().to_string());
        }
    }
}
