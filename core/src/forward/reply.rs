//! The response to the sender: for every outcome a status, and one line that says why.
//!
//! The lines name the settings of the program `remora`. A driver with other settings has its own words where it passes
//! a detail.
//!
//! The status decides whether samples are lost. Prometheus drops a batch on every 4xx and retries 5xx; vmagent drops on
//! 400, 409 and 415 and retries everything else forever; OpenTelemetry gives up after about five seconds. The first
//! 1,024 bytes of the body appear in the sender's log.

use core::fmt::{self, Write as _};

use super::{PACE, Timeouts, Unavailable};
use crate::http::{BodyError, EncodeError, HeadError, HeadWriter, digits};
use crate::remote_write::{Fault, FaultKind, MediaFault};
use crate::snappy::SnappyError;

/// Maximum response body in bytes: as much as Prometheus logs.
pub const MAX_TEXT: usize = 1024;

/// Longest `Retry-After` sent, in seconds. Prometheus honours any value; Azure refuses samples older than 20 minutes.
const LONGEST_RETRY: u8 = 60;

/// Why a request is refused here, without Azure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The head is not acceptable HTTP/1.1.
    Head(HeadError),
    /// The body's framing is broken.
    Body(BodyError),
    /// The path does not exist.
    Path,
    /// The path does not support the method.
    Method {
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// Not from this pod and not from an allowed source.
    Peer,
    /// The port does not accept writes.
    Port,
    /// `/status` is not available to other pods.
    Status,
    /// The content type or coding is not one that receivers accept.
    Media(MediaFault),
    /// The body is larger than the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The frame is corrupt.
    Frame(Fault),
    /// The body did not arrive in time.
    SlowBody,
}

impl Rejection {
    /// The status of the response.
    pub const fn status(self) -> u16 {
        match self {
            Self::Head(error) => error.status(),
            Self::Body(_) | Self::TooLarge { .. } | Self::Frame(_) => 400,
            Self::Path => 404,
            Self::Method { .. } => 405,
            Self::Peer | Self::Port | Self::Status => 403,
            Self::Media(_) => 415,
            // A 408 would make Prometheus drop the batch.
            Self::SlowBody => 503,
        }
    }
}

// The words of `SlowBody` below.
const _: () = {
    let Timeouts { body_start, body, .. } = Timeouts::DEFAULT;
    assert!(body_start.as_secs() == 5 && PACE == 16 && body.as_secs() == 30);
};

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => error.fmt(f),
            Self::Body(error) => error.fmt(f),
            Self::Path => f.write_str("no such path; remote-write goes to /api/v1/write"),
            Self::Method { allow } => {
                write!(f, "this path accepts only {allow}; remote-write is a POST to /api/v1/write")
            }
            Self::Peer => f.write_str(
                "writes are accepted only from this pod and from no browser; to allow other pods, list their addresses in \
                 ALLOWED_SOURCES",
            ),
            Self::Port => f.write_str("this port does not accept writes; LISTENING_PORT does"),
            Self::Status => f.write_str(
                "/status is available only on loopback, under the name localhost or a loopback address; use kubectl exec \
                 or port-forward",
            ),
            Self::Media(fault) => fault.fmt(f),
            Self::TooLarge { limit } => {
                write!(f, "body larger than {limit} bytes; lower the sender's batch size or raise MAX_BODY_BYTES")
            }
            Self::Frame(fault) => {
                let remedy = match fault.kind {
                    FaultKind::Snappy(SnappyError::TooLarge { .. }) => {
                        "lower the sender's batch size (max_samples_per_send)"
                    }
                    FaultKind::Utf8 => "correct the label at its source, or leave it to Azure with CHECK=wire",
                    _ => "a body must be one remote-write message in snappy's block format",
                };
                write!(f, "not forwarded: {fault}; {remedy}")
            }
            Self::SlowBody => f.write_str(
                "the body did not arrive in time: the limit is 5 s plus 1 s for each 16 kB received, at most 30 s",
            ),
        }
    }
}

impl Unavailable {
    /// The status of the response.
    pub const fn status(self) -> u16 {
        match self {
            Self::NoToken | Self::TokenRefused | Self::Capacity | Self::Resolve | Self::Connect | Self::Tls => 503,
            Self::Broken | Self::Unreadable => 502,
            Self::Timeout => 504,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::NoToken => "no usable token",
            Self::TokenRefused => "Azure refused the token, and it could not be refreshed",
            Self::Capacity => "over capacity, try again",
            Self::Resolve => "name resolution failed",
            Self::Connect => "connection failed",
            Self::Tls => "TLS failed",
            Self::Broken => "the connection to Azure broke before its answer was complete",
            Self::Unreadable => "Azure's answer could not be read",
            Self::Timeout => "Azure did not answer in time",
        }
    }

    /// The code of the page that explains it, as accepted by `remora explain`. A lack of capacity has none: its line says
    /// it all.
    pub const fn code(self) -> Option<&'static str> {
        Some(match self {
            Self::NoToken => "REMORA-TOK-10",
            Self::TokenRefused => "REMORA-RBAC-04",
            Self::Capacity => return None,
            Self::Resolve => "REMORA-NET-01",
            Self::Connect => "REMORA-NET-02",
            Self::Tls => "REMORA-NET-03",
            Self::Broken | Self::Unreadable | Self::Timeout => "REMORA-RBAC-05",
        })
    }

    /// Seconds after which another attempt makes sense: about as long as the cause usually lasts. Where Azure or the way
    /// to it failed halfway, the sender's own backoff decides.
    const fn retry_after(self) -> Option<u8> {
        match self {
            Self::NoToken | Self::TokenRefused => Some(5),
            Self::Capacity => Some(1),
            Self::Resolve | Self::Connect | Self::Tls => Some(2),
            Self::Broken | Self::Unreadable | Self::Timeout => None,
        }
    }
}

/// What the sender gets for Azure's response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relay {
    /// Status and body unchanged.
    AsItIs,
    /// 503 in place of a refusal that may yet be resolved.
    Hold {
        /// Seconds.
        retry_after: u8,
    },
    /// 502 for redirects and whatever else is not a response to a POST.
    BadGateway,
}

impl Relay {
    /// What the sender gets for `status`, which is held back if `is_held`.
    pub(super) const fn of(status: u16, is_held: bool, pass_rate_limit: bool) -> Self {
        match status {
            429 if !pass_rate_limit => Self::Hold { retry_after: 10 },
            408 | 421 | 425 => Self::Hold { retry_after: 1 },
            _ if is_held => Self::Hold { retry_after: 30 },
            200..=299 | 400..=599 => Self::AsItIs,
            _ => Self::BadGateway,
        }
    }
}

/// Whether a status is a verdict on the data, which a retry cannot change. A web page, which is not Azure's, can only be
/// one on the length.
const fn is_verdict(status: u16, is_page: bool) -> bool {
    status == 413 || matches!(status, 400 | 409 | 415 | 422) && !is_page
}

/// Whether a status is a refusal that does not concern the data: a 401 after a forced refresh, a role assignment or
/// rule that does not exist yet, an address that is not Azure's. After 408, 421 and 425 the same request may be repeated
/// unchanged (RFC 9110 §15.5.9 and §15.5.20, RFC 8470 §5.2), and a 429 asks only for a pause.
pub(super) const fn is_refusal(status: u16, is_page: bool) -> bool {
    matches!(status, 400..=499) && !is_verdict(status, is_page) && !matches!(status, 408 | 421 | 425 | 429)
}

/// Whether the connection may carry another request after this status. If the workspace has moved, its old address
/// keeps refusing, and only a new connection resolves the name again (421: RFC 9110 §15.5.20).
pub(super) const fn keeps_connection(status: u16, is_page: bool) -> bool {
    is_verdict(status, is_page) || matches!(status, 200..=299 | 429 | 500..=599)
}

/// Azure's `Retry-After` in seconds, capped at [`LONGEST_RETRY`]. An HTTP date (RFC 9110 §10.2.3), which needs a
/// calendar, counts as half of that.
pub(super) fn retry_after(value: &[u8]) -> u8 {
    let longest = LONGEST_RETRY.into();
    let [seconds, ..] = digits::decimal(value).unwrap_or(longest / 2).min(longest).to_le_bytes();
    seconds
}

/// The status and fields of a response.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    /// Seconds.
    pub(super) retry_after: Option<u8>,
    pub(super) allow: Option<&'static str>,
    pub(super) content_type: &'a [u8],
    pub(super) close: bool,
    /// `X-Prometheus-Remote-Write-*-Written`, samples, histograms, exemplars.
    pub(super) written: [Option<&'a [u8]>; 3],
    /// Suppresses the body, but not `Content-Length` (RFC 9110 §9.3.2).
    pub(super) head_only: bool,
}

/// The headers in which a receiver reports how much it stored (remote-write 2.0 specification, "Required Written
/// Response Headers").
pub(super) const WRITTEN: [&str; 3] = [
    "x-prometheus-remote-write-samples-written",
    "x-prometheus-remote-write-histograms-written",
    "x-prometheus-remote-write-exemplars-written",
];

impl Reply<'_> {
    pub(super) const fn text(status: u16) -> Self {
        Self {
            status,
            retry_after: None,
            allow: None,
            content_type: b"text/plain; charset=utf-8",
            close: false,
            written: [None; 3],
            head_only: false,
        }
    }

    /// Writes the response with `text` as its body, which is not to be sent if `head_only`, into `out`; returns where the
    /// body starts and where it ends.
    pub(super) fn encode(&self, text: &[u8], out: &mut [u8]) -> Result<(usize, usize), EncodeError> {
        let start = self.encode_head(text.len(), out)?;
        let body = if self.is_bodiless() { &[] } else { text };
        let room = out.get_mut(start..).and_then(|room| room.split_at_mut_checked(body.len()));
        room.ok_or(EncodeError::NoRoom)?.0.copy_from_slice(body);
        Ok((start, start.saturating_add(body.len())))
    }

    /// Writes the head of the response into `out`, for a body of `length` bytes that is sent separately; returns its
    /// length.
    pub(super) fn encode_head(&self, length: usize, out: &mut [u8]) -> Result<usize, EncodeError> {
        let mut head = HeadWriter::response(out, self.status);
        if !self.is_bodiless() {
            head.field_decimal("Content-Length", u64::try_from(length).unwrap_or(u64::MAX));
            if length > 0 {
                head.field("Content-Type", self.content_type);
            }
        }
        if let Some(seconds) = self.retry_after {
            head.field_decimal("Retry-After", seconds.into());
        }
        if let Some(allow) = self.allow {
            head.field("Allow", allow.as_bytes());
        }
        for (name, value) in WRITTEN.iter().zip(self.written) {
            if let Some(value) = value {
                head.field(name, value);
            }
        }
        if self.close {
            head.field("Connection", b"close");
        }
        head.finish()
    }

    const fn is_bodiless(&self) -> bool {
        matches!(self.status, 204 | 304)
    }
}

/// One line of text of at most [`MAX_TEXT`] bytes; the rest is cut off.
#[derive(Debug, Default)]
pub(super) struct Line(heapless::Vec<u8, MAX_TEXT>);

impl Line {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A line without a prefix.
    pub(super) fn plain(arguments: fmt::Arguments<'_>) -> Self {
        let mut line = Self::default();
        // Writing cannot fail: what does not fit is cut off.
        let _ = line.write_fmt(arguments);
        line.end()
    }

    /// A line that begins with `remora: `.
    pub(super) fn remora(arguments: fmt::Arguments<'_>) -> Self {
        Self::plain(format_args!("remora: {arguments}"))
    }

    /// A line for a request that cannot be forwarded now, with the driver's detail.
    pub(super) fn unavailable(why: Unavailable, detail: &str) -> Self {
        let colon = if detail.is_empty() { "" } else { ": " };
        Self::remora(format_args!("{}{}{colon}{detail}", why.words(), Code(why.code())))
    }

    /// A line about Azure's response, with the beginning of its body made printable.
    pub(super) fn azure(status: u16, what: &str, body: &[u8]) -> Self {
        let mut line = Self::default();
        let _ = line.write_fmt(format_args!("remora: Azure answered {status}{what}{}", Code(code(status))));
        if !body.is_empty() {
            let _ = line.write_str(": ");
        }
        for &byte in body {
            let printable = if byte.is_ascii_graphic() || byte >= 0x80 { byte } else { b' ' };
            let _ = line.0.push(printable);
        }
        line.end()
    }

    /// Ends the line with a line feed, which replaces the last byte if there is no room.
    fn end(mut self) -> Self {
        if self.0.is_full() {
            self.0.pop();
        }
        let _ = self.0.push(b'\n');
        self
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let _ = self.0.push(byte);
        }
        Ok(())
    }
}

/// Whether a sender drops the samples of a write with this response status. Prometheus retries 5xx, and 429 if
/// configured to, which is expected wherever 429 is passed on.
pub const fn drops_samples(status: u16) -> bool {
    matches!(status, 400..=428 | 430..=499)
}

/// The code of the page that explains a status from Azure. Verdicts on the data have none.
pub const fn code(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "REMORA-RBAC-04",
        403 => "REMORA-RBAC-01",
        404 => "REMORA-RBAC-02",
        429 => "REMORA-RBAC-03",
        500..=599 => "REMORA-RBAC-05",
        _ => return None,
    })
}

/// A code as it appears in a line: ` [REMORA-NET-01]`, or nothing.
struct Code(Option<&'static str>);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |code| write!(f, " [{code}]"))
    }
}

/// What a held-back status means, for [`Line::azure`].
pub(super) const fn hint(status: u16, is_page: bool) -> &'static str {
    match status {
        400 | 409 | 415 | 422 if is_page => " with a web page, which Azure does not send; is there a proxy on the way?",
        401 => " even after the token was refreshed; check INGESTION_AAD_AUDIENCE and CLOUD",
        403 => {
            "; the role Monitoring Metrics Publisher on the data collection rule is missing or newer than 30 minutes, or \
             the endpoint accepts only its private link"
        }
        404 => "; check host, rule and stream in INGESTION_URL",
        429 => " (throttled)",
        _ => "",
    }
}

/// The reply and its line for a request that cannot be forwarded now.
pub(super) fn unavailable(why: Unavailable, detail: &str) -> (Reply<'static>, Line) {
    let reply = Reply { retry_after: why.retry_after(), ..Reply::text(why.status()) };
    (reply, Line::unavailable(why, detail))
}

/// Writes the response to a connection for which there is no slot into `out`; returns its length.
pub fn crowded(out: &mut [u8]) -> usize {
    let (reply, line) = unavailable(Unavailable::Capacity, "all connection slots are taken; raise MAX_CONNECTIONS");
    let reply = Reply { close: true, ..reply };
    reply.encode(line.as_bytes(), out).map_or(0, |(_, end)| end)
}

/// The reply and its line for a rejection.
pub(super) fn rejected(why: Rejection) -> (Reply<'static>, Line) {
    let allow = if let Rejection::Method { allow } = why { Some(allow) } else { None };
    let retry_after = matches!(why, Rejection::SlowBody).then_some(1);
    (Reply { retry_after, allow, ..Reply::text(why.status()) }, Line::remora(format_args!("{why}")))
}
