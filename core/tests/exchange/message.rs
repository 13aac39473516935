//! Messages as tests write and read them, independent of the code under test.

/// The body of a request from a real Prometheus: 500 samples, remote-write 1.0.
pub(crate) const BODY: &[u8] = include_bytes!("../vectors/prometheus-2.42-500-samples.snappy");

/// A good frame of a few bytes: one series without labels or samples.
pub(crate) const SMALL_BODY: &[u8] = b"\x02\x04\x0a\x00";

/// A write of `body` with its length, and with `fields` between Host and the media type.
pub(crate) fn write_with(fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /api/v1/write HTTP/1.1\r\nHost: localhost:8081\r\n{fields}Content-Encoding: snappy\r\nContent-Type: \
         application/x-protobuf\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// A write of `body` as a sender would make it.
pub(crate) fn write(body: &[u8]) -> Vec<u8> {
    write_with("", body)
}

/// A write of `body` in chunks of `size` bytes.
pub(crate) fn chunked_write(body: &[u8], size: usize) -> Vec<u8> {
    let mut request = b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(size) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// A response from Azure with `Content-Length`.
pub(crate) fn answer(status: u16, fields: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Reason\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// A message as it was received: start line, field lines, body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.start.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line")
    }

    /// The one value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} stands twice in {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(&self.body).expect("a body of text")
    }
}

/// The messages in `bytes`, one after the other; none of them may be truncated. Bodies have a `Content-Length`; without
/// one, as for 204 and 1xx, they are empty.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let (message, rest) = first(bytes);
        all.push(message);
        bytes = rest;
    }
    all
}

/// The one message in `bytes`.
pub(crate) fn message(bytes: &[u8]) -> Message {
    let (message, rest) = first(bytes);
    assert!(rest.is_empty(), "{} bytes follow {message:?}", rest.len());
    message
}

fn first(bytes: &[u8]) -> (Message, &[u8]) {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = core::str::from_utf8(&bytes[..end]).expect("a head of text");
    let mut lines = head.split("\r\n");
    let start = lines.next().expect("a start line").to_owned();
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let fields = lines.map(|line| split(line).expect("a field line")).collect();
    let mut message = Message { start, fields, body: Vec::new() };
    let length = message.field("content-length").map_or(0, |length| length.parse().expect("a length"));
    let rest = &bytes[end + 4..];
    message.body = rest[..length].to_vec();
    (message, &rest[length..])
}
