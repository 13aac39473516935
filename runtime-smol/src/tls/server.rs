//! A TLS server on loopback for the tests of other modules.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::net::sockopt;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// Small enough that a body of several records does not fit in.
const RECEIVE_BUFFER: usize = 8 * 1024;

/// A server that echoes one byte and sends `close_notify`, and its certificate.
pub(crate) fn echo(host: &str) -> (SocketAddr, CertificateDer<'static>) {
    let (config, certificate) = config(host);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut server = ServerConnection::new(config).unwrap();
        let mut stream = Stream::new(&mut server, &mut socket);
        let mut byte = [0];
        // A client that refused the certificate is gone.
        if stream.read_exact(&mut byte).is_ok() {
            stream.write_all(&byte).unwrap();
            server.send_close_notify();
            let _ = server.write_tls(&mut socket);
        }
    });
    (address, certificate)
}

/// A server that sends `text` together with its part of the handshake, on one connection, and its certificate.
pub(crate) fn hasty(host: &str, text: &'static str) -> (SocketAddr, CertificateDer<'static>) {
    let (config, certificate) = config(host);
    let mut config = ServerConfig::clone(&config);
    config.send_half_rtt_data = true;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        server.writer().write_all(text.as_bytes()).unwrap();
        while server.complete_io(&mut socket).is_ok_and(|(read, _)| read > 0) {}
    });
    (address, certificate)
}

/// A server that answers every complete request with the result of `answer` for its body, on any number of connections,
/// and its certificate. An empty answer ends the connection.
pub(crate) fn answering<A: AsRef<[u8]> + 'static>(
    host: &str,
    answer: fn(&[u8]) -> A,
) -> (SocketAddr, CertificateDer<'static>) {
    let (config, certificate) = config(host);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        while let Ok((mut socket, _)) = listener.accept() {
            let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
            thread::spawn(move || {
                let mut reader = BufReader::with_capacity(1 << 17, Stream::new(&mut server, &mut socket));
                while let Some((_, body)) = take_message(&mut reader) {
                    let answer = answer(&body);
                    if answer.as_ref().is_empty() {
                        return;
                    }
                    reader.get_mut().write_all(answer.as_ref()).unwrap();
                }
            });
        }
    });
    (address, certificate)
}

/// A server with a small receive buffer that has `serve` serve each connection once the handshake is complete, given
/// how many connections came before; and its certificate.
pub(crate) fn serving(
    host: &str,
    serve: fn(usize, Stream<'_, ServerConnection, TcpStream>),
) -> (SocketAddr, CertificateDer<'static>) {
    let (config, certificate) = config(host);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    sockopt::set_socket_recv_buffer_size(&listener, RECEIVE_BUFFER).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for place in 0.. {
            let (mut socket, _) = listener.accept().unwrap();
            let mut server = ServerConnection::new(Arc::clone(&config)).unwrap();
            thread::spawn(move || {
                while server.is_handshaking() || server.wants_write() {
                    server.complete_io(&mut socket).unwrap();
                }
                serve(place, Stream::new(&mut server, &mut socket));
            });
        }
    });
    (address, certificate)
}

/// A server that sends so many session tickets after the handshake that they fill many reads; its certificate, and what
/// tells when they are sent.
pub(crate) fn generous(host: &str) -> (SocketAddr, CertificateDer<'static>, Receiver<()>) {
    let (config, certificate) = config(host);
    let mut config = ServerConfig::clone(&config);
    config.send_tls13_tickets = 600;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sent, all_sent) = mpsc::channel();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        while server.is_handshaking() || server.wants_write() {
            server.complete_io(&mut socket).unwrap();
        }
        sent.send(()).unwrap();
        while server.complete_io(&mut socket).is_ok_and(|(read, _)| read > 0) {}
    });
    (address, certificate, all_sent)
}

/// The start line and the body of one message with or without a Content-Length; `None` at the end of the connection.
pub(crate) fn take_message(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut start, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        if start.is_empty() {
            start = line;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((start, body))
}

fn config(host: &str) -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (Arc::new(config), certificate)
}
