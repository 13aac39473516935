//! A TLS server on loopback for the tests of other modules.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, Stream};

/// A server that answers one byte with the same byte and a goodbye, and its certificate.
pub(crate) fn echo(host: &str) -> (SocketAddr, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = Stream::new(&mut server, &mut socket);
        let mut byte = [0];
        // A client that refused the certificate has gone.
        if stream.read_exact(&mut byte).is_ok() {
            stream.write_all(&byte).unwrap();
            server.send_close_notify();
            let _ = server.write_tls(&mut socket);
        }
    });
    (address, certificate)
}
