//! The upstream of the proxies: reads each request completely and responds 204 after its last byte, like a service that
//! stores it. TLS 1.3 with one cipher per port, and one more port without TLS. A thread per connection; its own cost is
//! not measured.

mod socket;

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned, SupportedCipherSuite};

use socket::Socket;

const USAGE: &str = "usage: sink CERTIFICATE KEY PLAIN-ADDRESS AES-128-ADDRESS AES-256-ADDRESS";

const ANSWER: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";

/// Size of the buffer; a head that is not complete within it ends the connection.
const PART: usize = 64 * 1024;

/// Stack size of each thread; buffers are on the heap.
const STACK: usize = 256 * 1024;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sink: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [certificate, key, plain, short, long] = words.as_slice() else { return Err(io::Error::other(USAGE)) };
    for (address, suite) in
        [(short, cipher_suite::TLS13_AES_128_GCM_SHA256), (long, cipher_suite::TLS13_AES_256_GCM_SHA384)]
    {
        let config = with_cipher(suite, certificate, key)?;
        let listener = TcpListener::bind(address)?;
        thread::spawn(move || listen(&listener, &|stream| serve_tls(stream, &config)));
    }
    listen(&TcpListener::bind(plain)?, &|stream| serve(&mut Socket::new(stream)?));
    Ok(())
}

fn with_cipher(suite: SupportedCipherSuite, certificate: &str, key: &str) -> io::Result<Arc<ServerConfig>> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![suite];
    let chain = vec![CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?];
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(io::Error::other)?;
    Ok(Arc::new(config))
}

/// Serves every connection on a thread of its own; one that ends or fails does not affect the others.
fn listen(listener: &TcpListener, serve: &(impl Fn(TcpStream) -> io::Result<()> + Sync)) {
    thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let started = thread::Builder::new().stack_size(STACK).spawn_scoped(scope, move || {
                let _ = serve(stream);
            });
            if let Err(error) = started {
                eprintln!("sink: {error}");
            }
        }
    });
}

fn serve_tls(stream: TcpStream, config: &Arc<ServerConfig>) -> io::Result<()> {
    let tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    serve(&mut StreamOwned::new(tls, Socket::new(stream)?))
}

/// One request after the other, until the peer closes.
fn serve(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut part = vec![0; PART];
    let mut filled = 0;
    loop {
        let n = stream.read(part.get_mut(filled..).unwrap_or_default())?;
        filled += n;
        if n == 0 {
            return Ok(());
        }
        if let Some(body) = Body::after_head(part.get(..filled).unwrap_or_default())? {
            body.discard(stream, &mut part)?;
            stream.write_all(ANSWER)?;
            filled = 0;
        }
    }
}

/// How much of a body has not arrived yet.
enum Body {
    Sized(usize),
    /// Chunks, with the last bytes that arrived.
    Chunked([u8; TAIL.len()]),
}

/// The end of a chunked body. It does not occur elsewhere in the bodies of a bench.
const TAIL: &[u8; 7] = b"\r\n0\r\n\r\n";

impl Body {
    /// `None` while the head is incomplete.
    fn after_head(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Request::new(&mut fields);
        let parsed = head.parse(bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let httparse::Status::Complete(start) = parsed else { return Ok(None) };
        let there = bytes.get(start..).unwrap_or_default();
        let field = |name: &str| head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        if field("transfer-encoding").is_some() {
            let mut tail = [0; TAIL.len()];
            shift(&mut tail, there);
            return Ok(Some(Self::Chunked(tail)));
        }
        let length = field("content-length").and_then(|field| str::from_utf8(field.value).ok()?.parse().ok());
        Ok(Some(Self::Sized(length.unwrap_or(0_usize).saturating_sub(there.len()))))
    }

    fn discard(mut self, stream: &mut impl Read, part: &mut [u8]) -> io::Result<()> {
        while !self.is_complete() {
            let n = stream.read(part)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match &mut self {
                Self::Sized(left) => *left = left.saturating_sub(n),
                Self::Chunked(tail) => shift(tail, part.get(..n).unwrap_or_default()),
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        match self {
            Self::Sized(left) => *left == 0,
            Self::Chunked(tail) => tail == TAIL,
        }
    }
}

/// Keeps the last bytes that arrived.
fn shift(tail: &mut [u8; TAIL.len()], bytes: &[u8]) {
    for byte in bytes.get(bytes.len().saturating_sub(TAIL.len())..).unwrap_or_default() {
        tail.rotate_left(1);
        if let Some(last) = tail.last_mut() {
            *last = *byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(bytes: &[u8]) -> Option<usize> {
        Body::after_head(bytes).unwrap().map(|body| if let Body::Sized(left) = body { left } else { usize::MAX })
    }

    #[test]
    fn a_body_is_complete_with_its_last_byte() {
        assert_eq!(left(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n"), None);
        assert_eq!(left(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na"), Some(2));
        assert_eq!(left(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), Some(0));
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        let head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r";
        let body = Body::after_head(head).unwrap().unwrap();
        assert!(!body.is_complete());
        body.discard(&mut &b"\n0\r\n\r\n"[..], &mut [0; 4]).unwrap();
        let cut = Body::after_head(head).unwrap().unwrap();
        cut.discard(&mut &b"\n0\r\n"[..], &mut [0; 4]).unwrap_err();
    }
}
