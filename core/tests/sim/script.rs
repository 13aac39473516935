//! What a sender sends, and how it must be answered.

use crate::frame;
use crate::random::Random;

/// How one side of a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Closed,
    Reset,
    Silent,
}

impl Loss {
    pub(crate) const ALL: [Self; 3] = [Self::Closed, Self::Reset, Self::Silent];
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A write of this frame, which can be forwarded.
    Good { frame: Vec<u8> },
    /// Answered here with one of these statuses, and never forwarded.
    Local { statuses: &'static [u16] },
    /// Answered with the driver's page, or 503.
    Page,
}

/// When the sender begins a part of its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// At once.
    Open,
    /// When this many responses have arrived.
    Answers(usize),
    /// When `100 Continue` or a response has arrived, or 200 milliseconds have passed.
    Invitation,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) head: Vec<u8>,
    pub(crate) head_gate: Gate,
    pub(crate) body: Vec<u8>,
    pub(crate) body_gate: Gate,
    /// The sender asked to close the connection, or it is unknown where the next request begins.
    pub(crate) last: bool,
    pub(crate) is_head: bool,
}

/// A sender's part of a conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) requests: Vec<Request>,
    /// The sender is lost after this many bytes.
    pub(crate) lost: Option<(usize, Loss)>,
}

impl Script {
    pub(crate) fn len(&self) -> usize {
        self.requests.iter().map(|request| request.head.len() + request.body.len()).sum()
    }

    pub(crate) fn random(random: &mut Random, max_body: usize) -> Self {
        let pipelined = random.chance(40);
        let mut requests: Vec<Request> = Vec::new();
        for number in 0..random.range(1, 4) {
            let mut request = Request::random(random, number, max_body);
            if !pipelined || random.chance(30) {
                request.head_gate = Gate::Answers(number);
            }
            let last = request.last;
            requests.push(request);
            if last && random.chance(70) {
                break;
            }
        }
        let mut script = Self { requests, lost: None };
        if random.chance(15) {
            script.lost = Some((random.range(0, script.len()), random.pick(&Loss::ALL)));
        }
        script
    }
}

/// Fields that must not reach a receiver.
const PRIVATE: &str = "Authorization: Bearer of-the-sender\r\nCookie: of-the-sender\r\n";

impl Request {
    fn random(random: &mut Random, number: usize, max_body: usize) -> Self {
        match random.range(0, 9) {
            0 if random.chance(30) => Self::page(random),
            0 => Self::local(random),
            1 => Self::broken(random),
            2 => {
                let size = random.pick(&[0, 10, 3000]);
                let frame = frame::corrupt(number, size, random);
                Self::write(random, frame, "", Some(&[400]))
            }
            3 if random.chance(20) => {
                // Over the limit by one byte or by many.
                let over = vec![0; max_body + random.pick(&[1, 3000])];
                Self::write(random, over, "", Some(&[400]))
            }
            _ => {
                let size = if random.chance(5) {
                    random.range(5000, 31_000)
                } else {
                    random.pick(&[0, 1, 60, 300, 900, 2500])
                };
                let second = random.chance(25);
                let frame = frame::good(number, size.min(max_body - 200), second);
                let media = "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request\r\n";
                Self::write(random, frame, if second { media } else { "" }, None)
            }
        }
    }

    /// A write in a random shape.
    pub(crate) fn write(random: &mut Random, frame: Vec<u8>, media: &str, statuses: Option<&'static [u16]>) -> Self {
        let minor = u8::from(!random.chance(8));
        let close = random.chance(8);
        let expects = random.chance(10) && !frame.is_empty();
        let mut fields = format!("{PRIVATE}{media}");
        for (chance, line) in [
            (50, "Content-Encoding: snappy\r\n"),
            (50, "User-Agent: sender/1\r\n"),
            (20, "traceparent: 00-1-2-01\r\n"),
            (20, "Connection: cookie, x-private\r\nX-Private: of-the-sender\r\n"),
        ] {
            if random.chance(chance) {
                fields.push_str(line);
            }
        }
        if close {
            fields.push_str("Connection: close\r\n");
        }
        if expects {
            fields.push_str("Expect: 100-continue\r\n");
        }
        let chunked = minor == 1 && random.chance(40);
        let body = if chunked { chunks(random, &frame) } else { frame.clone() };
        let framing =
            if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {}", frame.len()) };
        let head = format!("POST /api/v1/write HTTP/1.{minor}\r\nHost: h\r\n{fields}{framing}\r\n\r\n");
        Self {
            kind: statuses.map_or(Kind::Good { frame }, |statuses| Kind::Local { statuses }),
            head: head.into_bytes(),
            head_gate: Gate::Open,
            body,
            body_gate: if expects && minor == 1 { Gate::Invitation } else { Gate::Open },
            last: close || minor == 0,
            is_head: false,
        }
    }

    fn of(head: String, body: &[u8], statuses: &'static [u16], last: bool) -> Self {
        let is_head = head.starts_with("HEAD");
        Self {
            kind: Kind::Local { statuses },
            head: head.into_bytes(),
            head_gate: Gate::Open,
            body: body.to_vec(),
            body_gate: Gate::Open,
            last,
            is_head,
        }
    }

    /// A request for a page longer than the exchange's own responses.
    fn page(random: &mut Random) -> Self {
        let line = random.pick(&["GET /metrics", "HEAD /metrics", "GET /status"]);
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
        Self { kind: Kind::Page, ..Self::of(head, b"", &[], false) }
    }

    /// A request that is understood and answered here.
    fn local(random: &mut Random) -> Self {
        let body: &[u8] = random.pick(&[b"", b"0123456789"]);
        let (line, fields, statuses): (_, _, &'static [u16]) = random.pick(&[
            ("GET /health", "", &[200]),
            ("HEAD /health", "", &[200]),
            ("GET /ready", "", &[200, 503]),
            ("GET /", "", &[200]),
            ("GET /other", "", &[404]),
            ("HEAD /other", "", &[404]),
            ("PUT /api/v1/write", "", &[405]),
            ("POST /health", "", &[405]),
            ("POST /api/v1/write", "Content-Encoding: zstd\r\n", &[415]),
            ("POST /api/v1/write", "Content-Type: text/plain\r\n", &[415]),
        ]);
        let head = format!("{line} HTTP/1.1\r\nHost: h\r\n{fields}Content-Length: {}\r\n\r\n", body.len());
        Self::of(head, body, statuses, false)
    }

    /// A request after which it is unknown where the next one begins.
    fn broken(random: &mut Random) -> Self {
        let (line, fields, body, statuses): (_, _, &[u8], &'static [u16]) = random.pick(&[
            ("\x16\x03\x01", "", b"", &[400]),
            (
                "POST /api/v1/write HTTP/1.1",
                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                b"0\r\n\r\n",
                &[400],
            ),
            ("POST /api/v1/write HTTP/1.1", "Content-Length: +5\r\n", b"\x02\x04\x0a\x00\x00", &[400]),
            (
                "POST /api/v1/write HTTP/1.1",
                "Transfer-Encoding: chunked\r\n",
                b"4\r\n\x02\x04\x0a\x00x\r\n0\r\n\r\n",
                &[400],
            ),
            ("POST /api/v1/write HTTP/1.1", "Transfer-Encoding: chunked\r\n", b"-1\r\n", &[400]),
            ("POST /api/v1/write HTTP/1.1", "Transfer-Encoding: gzip, chunked\r\n", b"", &[501]),
            ("PRI * HTTP/2.0", "", b"SM\r\n\r\n", &[505]),
            ("POST /api/v1/write HTTP/1.1", "Expect: tea\r\n", b"", &[417]),
        ]);
        Self::of(format!("{line}\r\nHost: h\r\n{fields}\r\n"), body, statuses, true)
    }
}

/// `frame` in chunks of random sizes, with or without extension and trailer.
fn chunks(random: &mut Random, frame: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut rest = frame;
    while !rest.is_empty() {
        let (chunk, tail) = rest.split_at(random.range(1, rest.len().min(8000)));
        let extension = if random.chance(5) { ";a=b" } else { "" };
        body.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
        rest = tail;
    }
    body.extend_from_slice(if random.chance(10) { b"0\r\nX: y\r\n\r\n" } else { b"0\r\n\r\n" });
    body
}
