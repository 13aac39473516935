//! What an exchange keeps of a request head: its route, and the positions of the fields that go upstream.

use super::Page;
use super::buffer::Place;
use super::reply::Rejection;
use crate::http::{self, EncodeError, Framing, HeadError, HeadWriter, RequestHead};
use crate::metrics::Format;
use crate::remote_write::{self, Version};

/// Where a sender connects from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// In the same pod.
    Loopback,
    /// Elsewhere, and listed in `ALLOWED_SOURCES`.
    Allowed,
    /// On a port that does not accept writes.
    Watcher {
        /// In the same pod.
        near: bool,
    },
    /// Anywhere else.
    Foreign,
}

impl Peer {
    /// Whether writes are accepted from it.
    pub const fn may_write(self) -> bool {
        matches!(self, Self::Loopback | Self::Allowed)
    }

    /// Whether it is in the same pod, where nothing about the process needs to be hidden.
    pub(super) const fn is_near(self) -> bool {
        matches!(self, Self::Loopback | Self::Watcher { near: true })
    }
}

/// Longest header value of the sender that goes upstream, in bytes: Trace Context §3.3.1.5 asks for 512 of
/// `tracestate`.
const LONGEST: usize = 512;

/// Fields forwarded unchanged, unless they are longer than [`LONGEST`]. Apart from `User-Agent`, nothing else of the
/// sender's head is forwarded, above all not `Authorization`.
const PASSED_ON: [&str; 3] = ["retry-attempt", "traceparent", "tracestate"];

/// Our product name, appended to the sender's `User-Agent` (RFC 9110 §10.1.5), and the name of the field after it.
const PRODUCT: &str = concat!("remora/", env!("CARGO_PKG_VERSION"), "\r\nContent-Length: ");

/// What the request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Forward a body of this protocol version.
    Write(Version),
    /// `/health`.
    Health,
    /// `/ready`.
    Ready {
        /// `/ready/token`: not before the first token.
        strict: bool,
        /// The peer may learn why there is no token.
        near: bool,
    },
    /// `/`.
    Index,
    /// A page written by the driver.
    Page(Page),
    /// Refuse.
    Rejected(Rejection),
    /// Refuse a page: it does not exist, or is not for this peer.
    Missing(Rejection),
}

impl Route {
    pub(super) const fn purpose(self) -> Purpose {
        match self {
            Self::Rejected(
                Rejection::Head(_) | Rejection::Path | Rejection::Method { .. } | Rejection::Peer | Rejection::Port,
            ) => Purpose::Stray,
            Self::Write(_) | Self::Rejected(_) => Purpose::Write,
            Self::Missing(_) => Purpose::Lookup,
            Self::Health | Self::Ready { .. } | Self::Index | Self::Page(_) => Purpose::Probe,
        }
    }
}

/// How a request is counted and logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Samples.
    Write,
    /// A query about the process; not worth a log line.
    Probe,
    /// A query for something that is not here. Worth a log line, since a probe may use the wrong path; no samples are
    /// lost.
    Lookup,
    /// A request that is not served here, or not to this peer, and may hold samples. Worth a log line: some senders
    /// repeat it forever.
    Stray,
}

/// The parts of a request's head that outlive its decoding, as positions in the buffer that holds it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four independent facts")]
pub(super) struct Request {
    pub(super) route: Route,
    pub(super) framing: Framing,
    pub(super) keep_alive: bool,
    pub(super) expect_continue: bool,
    /// A HEAD request: the response has no body.
    pub(super) head_only: bool,
    /// The sender sent a credential of its own.
    pub(super) has_authorization: bool,
    user_agent: Place,
    passed_on: [Place; PASSED_ON.len()],
}

impl Request {
    /// A request whose head could not be decoded. It holds no samples if it is from a peer that may not write.
    pub(super) fn malformed(error: HeadError, peer: Peer) -> Self {
        let why = Rejection::Head(error);
        Self {
            route: if peer.may_write() { Route::Rejected(why) } else { Route::Missing(why) },
            framing: Framing::Empty,
            keep_alive: false,
            expect_continue: false,
            head_only: false,
            has_authorization: false,
            user_agent: Place::default(),
            passed_on: [Place::default(); PASSED_ON.len()],
        }
    }

    /// Decodes `head`, which ends with its empty line.
    pub(super) fn decode(head: &[u8], peer: Peer, max_body_bytes: usize) -> Self {
        let mut slots = http::field_slots();
        match http::decode_scanned_request(head, &mut slots) {
            Ok(decoded) => Self::of(head, &decoded, peer, max_body_bytes),
            Err(error) => Self::malformed(error, peer),
        }
    }

    fn of(head: &[u8], decoded: &RequestHead<'_, '_>, peer: Peer, max_body_bytes: usize) -> Self {
        // Fields named in Connection are meant for this hop only (RFC 9110 §7.6.1).
        let passes = |name| !decoded.fields.has_token("connection", name);
        let first = |name| decoded.fields.first(name).filter(|value| value.len() <= LONGEST && passes(name));
        let find = |name| first(name).map(|value| Place::of(head, value)).unwrap_or_default();
        let mut passed_on = [Place::default(); PASSED_ON.len()];
        for (place, name) in passed_on.iter_mut().zip(PASSED_ON) {
            *place = find(name);
        }
        Self {
            route: route(decoded, peer, max_body_bytes),
            framing: decoded.framing,
            keep_alive: decoded.keep_alive,
            expect_continue: decoded.expect_continue,
            head_only: decoded.method == "HEAD",
            has_authorization: decoded.fields.first("authorization").is_some(),
            user_agent: find("user-agent"),
            passed_on,
        }
    }

    /// The same request with a body of `length` bytes.
    #[inline]
    pub(super) fn with_length(&self, length: u64) -> Self {
        Self { framing: Framing::Length(length), ..self.clone() }
    }

    /// Completes the upstream request's head and returns its length. `head` is the buffer that was decoded.
    pub(super) fn encode_upstream(
        &self,
        head: &[u8],
        version: Version,
        body_bytes: usize,
        mut writer: HeadWriter<'_>,
    ) -> Result<usize, EncodeError> {
        writer.constant(b"User-Agent: ");
        if let Some(sender) = self.user_agent.within(head) {
            writer.text(sender).constant(b" ");
        }
        writer.constant(PRODUCT.as_bytes()).decimal(u64::try_from(body_bytes).unwrap_or(u64::MAX));
        writer.constant(version.field_lines());
        for (name, place) in PASSED_ON.iter().zip(self.passed_on) {
            if let Some(value) = place.within(head) {
                writer.field(name, value);
            }
        }
        writer.finish()
    }
}

/// The order of the checks follows how senders react: a refusal that is permanent comes before one that is not.
fn route(head: &RequestHead<'_, '_>, peer: Peer, max_body_bytes: usize) -> Route {
    let read = matches!(head.method, "GET" | "HEAD");
    // Only browsers send Origin (RFC 6454 §7): a page from elsewhere may ask one that runs beside this process.
    let peer = match peer {
        _ if head.fields.first("origin").is_none() => peer,
        Peer::Watcher { .. } => Peer::Watcher { near: false },
        _ => Peer::Foreign,
    };
    // That page may read what it gets if its own host's name leads here, and then there is no Origin.
    let is_near = || peer.is_near() && head.fields.first("host").is_some_and(is_loopback);
    let page = match head.path() {
        "/api/v1/write" if read => return Route::Missing(Rejection::Method { allow: "POST" }),
        "/api/v1/write" => return write(head, peer, max_body_bytes).map_or_else(Route::Rejected, Route::Write),
        "/health" | "/healthz" | "/livez" | "/-/healthy" => Route::Health,
        "/ready" | "/readyz" | "/-/ready" => Route::Ready { strict: false, near: is_near() },
        "/ready/token" => Route::Ready { strict: true, near: is_near() },
        "/metrics" => Route::Page(Page::Metrics(Format::negotiate(head.fields.members("accept")))),
        "/status" if is_near() => Route::Page(Page::Status),
        "/status" => Route::Missing(Rejection::Status),
        "/" => Route::Index,
        _ if read => return Route::Missing(Rejection::Path),
        _ => return Route::Rejected(Rejection::Path),
    };
    if read { page } else { Route::Rejected(Rejection::Method { allow: "GET, HEAD" }) }
}

/// Whether a valid Host names this machine: `localhost`, or a loopback address.
fn is_loopback(host: &[u8]) -> bool {
    let (name, port) = host.split_at_checked(b"localhost".len()).unwrap_or((host, b""));
    let is_name = name.eq_ignore_ascii_case(b"localhost") && (port.is_empty() || port.starts_with(b":"));
    // No name in DNS is without letters.
    let is_v4 = host.starts_with(b"127.") && !host.iter().any(u8::is_ascii_alphabetic);
    is_name || is_v4 || host.starts_with(b"[::1]")
}

fn write(head: &RequestHead<'_, '_>, peer: Peer, max_body_bytes: usize) -> Result<Version, Rejection> {
    if head.method != "POST" {
        return Err(Rejection::Method { allow: "POST" });
    }
    if !peer.may_write() {
        return Err(if let Peer::Watcher { .. } = peer { Rejection::Port } else { Rejection::Peer });
    }
    let media = head.fields.only("content-type").map_err(Rejection::Head)?;
    let coding = head.fields.only("content-encoding").map_err(Rejection::Head)?;
    let version = remote_write::negotiate(media, coding).map_err(Rejection::Media)?;
    let too_large =
        matches!(head.framing, Framing::Length(n) if usize::try_from(n).map_or(true, |n| n > max_body_bytes));
    if too_large { Err(Rejection::TooLarge { limit: max_body_bytes }) } else { Ok(version) }
}
