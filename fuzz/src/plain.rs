//! The simplest readings of HTTP: whole texts, split at their line ends. Slow, short, and independent of the code under
//! test.

use remora_core::http::Framing;
use remora_core::http::{MAX_EXTENSION_BYTES, MAX_TRAILER_BYTES};

/// The framing of a request head; `None` if its lines contradict each other.
pub fn request_framing(head: &[u8]) -> Option<Framing> {
    declared(head, Framing::Empty)
}

/// The framing of a response head (RFC 9112 §6.3); `None` if its lines contradict each other.
pub fn response_framing(status: u16, head: &[u8]) -> Option<Framing> {
    let framing = declared(head, Framing::UntilClose)?;
    Some(if matches!(status, 100..=199 | 204 | 304) { Framing::Empty } else { framing })
}

/// The framing that Content-Length and Transfer-Encoding declare together; `otherwise` if neither is present.
fn declared(head: &[u8], otherwise: Framing) -> Option<Framing> {
    // One character per byte, so that nothing is lost.
    let text: String = head.iter().copied().map(char::from).collect();
    let text = text.strip_prefix("\r\n").unwrap_or(&text).strip_suffix("\r\n\r\n")?;
    let lines: Vec<_> = text.split("\r\n").skip(1).map(|line| line.split_once(':')).collect::<Option<_>>()?;
    let values = |wanted: &str| -> Vec<&str> {
        let named = lines.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.trim_matches([' ', '\t'])).collect()
    };
    if text.replace("\r\n", "").contains(['\r', '\n', '\0']) {
        return None;
    }
    match (&*values("content-length"), &*values("transfer-encoding")) {
        ([], []) => Some(otherwise),
        ([length], []) if is_of(length, u8::is_ascii_digit) => length.parse().ok().map(Framing::Length),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Some(Framing::Chunked),
        _ => None,
    }
}

/// The data of a chunked body and how many bytes of `input` the body has; `None` if it is truncated or faulty.
pub fn chunked(input: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut data, mut rest, mut extensions) = (Vec::new(), input, 0);
    loop {
        let (size, after) = line(rest)?;
        let digits = size.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (digits, extension) = size.split_at(digits);
        extensions += extension.len();
        if !(1..=16).contains(&digits.len()) || !is_extension(extension) || extensions > MAX_EXTENSION_BYTES.into() {
            return None;
        }
        let size = u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        if size == 0 {
            return Some((data, input.len() - after_trailers(after)?.len()));
        }
        let (chunk, after) = after.split_at_checked(usize::try_from(size).ok()?)?;
        data.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n")?;
    }
}

/// The bytes after the empty line that ends the trailers, each of which is name, colon and text.
fn after_trailers(input: &[u8]) -> Option<&[u8]> {
    let mut rest = input;
    loop {
        let (trailer, after) = line(rest)?;
        rest = after;
        if input.len() - rest.len() > MAX_TRAILER_BYTES.into() {
            return None;
        }
        if trailer.is_empty() {
            return Some(rest);
        }
        let colon = trailer.iter().position(|&byte| byte == b':')?;
        if !is_of(str::from_utf8(&trailer[..colon]).ok()?, is_token_byte) || !is_text(&trailer[colon..]) {
            return None;
        }
    }
}

/// The first line and the bytes after its CRLF.
fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.windows(2).position(|two| two == b"\r\n")?;
    Some((&input[..end], &input[end + 2..]))
}

/// Nothing, or a semicolon, a name and any text, with whitespace allowed around the semicolon.
fn is_extension(extension: &[u8]) -> bool {
    let text: String = extension.iter().copied().map(char::from).collect();
    let blank = [' ', '\t'];
    let name = text.trim_start_matches(blank).strip_prefix(';').map(|rest| rest.trim_start_matches(blank));
    let named = name.is_some_and(|name| name.bytes().next().is_some_and(|byte| is_token_byte(&byte)));
    extension.is_empty() || (named && is_text(extension))
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Whether `text` has at least one byte, and all are of the `kind`.
fn is_of(text: &str, kind: fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().all(kind)
}

/// tchar of RFC 9110 §5.6.2.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape of the standard library's tests of bytes")]
fn is_token_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}
