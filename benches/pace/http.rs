//! One request and its response on a connection that stays open.

use std::io::{self, Read, Write};

/// Maximum bytes of a response, head and body.
const LONGEST: usize = 16 * 1024;

/// A whole remote-write request.
pub(crate) fn post(host: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Prometheus/2.42.0\r\nContent-Encoding: snappy\r\n\
         Content-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Sends a request and reads its response, which must be a 2xx, to its end.
pub(crate) fn exchange(stream: &mut (impl Read + Write), request: &[u8]) -> io::Result<()> {
    stream.write_all(request)?;
    let mut answer = [0; LONGEST];
    let mut filled = 0;
    loop {
        let room = answer.get_mut(filled..).unwrap_or_default();
        let n = match stream.read(room) {
            // Stopping the process interrupts a read with a timeout (`signal(7)`).
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            done => done?,
        };
        if n == 0 {
            return Err(io::Error::other("the connection ended within an answer"));
        }
        filled += n;
        if is_whole(answer.get(..filled).unwrap_or_default())? {
            return Ok(());
        }
    }
}

/// Whether a response is complete; an error when it is not a 2xx or has no `Content-Length`.
fn is_whole(answer: &[u8]) -> io::Result<bool> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(start) = head.parse(answer).map_err(unreadable)? else { return Ok(false) };
    let status = head.code.unwrap_or(0);
    if !(200..300).contains(&status) {
        return Err(io::Error::other(format!("answered {status}")));
    }
    let length = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    match length.map(|field| str::from_utf8(field.value).ok().and_then(|value| value.parse::<usize>().ok())) {
        Some(Some(length)) => Ok(answer.len() >= start + length),
        None if status == 204 => Ok(true),
        _ => Err(io::Error::other("an answer without a length")),
    }
}

fn unreadable(error: httparse::Error) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_with_its_body() {
        assert!(is_whole(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap());
        assert!(!is_whole(b"HTTP/1.1 204 No Content\r\n").unwrap());
        assert!(!is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab").unwrap());
        assert!(is_whole(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").unwrap());
    }

    #[test]
    fn a_refusal_and_an_answer_without_length_are_errors() {
        assert!(is_whole(b"HTTP/1.1 503 No\r\n\r\n").unwrap_err().to_string().contains("503"));
        is_whole(b"HTTP/1.1 200 OK\r\n\r\n").unwrap_err();
    }

    #[test]
    fn a_request_is_framed_by_its_length() {
        let request = post("h", "/p", b"body");
        assert!(request.starts_with(b"POST /p HTTP/1.1\r\nHost: h\r\n"));
        assert!(request.ends_with(b"Content-Length: 4\r\n\r\nbody"));
    }
}
