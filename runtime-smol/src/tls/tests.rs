//! Sessions against rustls' own server, in memory: bytes are moved by hand, in pieces of any size.

use std::io::{Read as _, Write as _};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

use super::*;

/// A server certificate for `localhost`, signed by itself.
fn certificate() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.der().clone(), PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap())
}

/// A client session and the server at its other end.
struct Pair {
    client: Session,
    server: ServerConnection,
    /// What the client decrypted.
    plain: Vec<u8>,
    plain_at_server: Vec<u8>,
}

impl Pair {
    fn new(adjust: impl FnOnce(&mut ServerConfig)) -> Self {
        let (certificate, key) = certificate();
        let client = Client::new(std::slice::from_ref(&certificate)).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        adjust(&mut config);
        let server = ServerConnection::new(Arc::new(config)).unwrap();
        Self { client: client.open("localhost").unwrap(), server, plain: Vec::new(), plain_at_server: Vec::new() }
    }

    /// Moves bytes both ways, `step` at a time towards the client, until neither side has any.
    fn settle(&mut self, step: usize) -> Result<(), TlsError> {
        loop {
            let turned = self.client.turn(&mut |bytes| self.plain.extend_from_slice(bytes));
            let mut moved = self.send_to_server();
            turned?;
            let mut records = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut records).unwrap();
            }
            moved |= !records.is_empty();
            for mut piece in records.chunks(step) {
                while !piece.is_empty() {
                    let space = self.client.space();
                    let n = space.len().min(piece.len());
                    space[..n].copy_from_slice(&piece[..n]);
                    self.client.received(n);
                    piece = &piece[n..];
                }
                self.client.turn(&mut |bytes| self.plain.extend_from_slice(bytes))?;
            }
            if !moved {
                return Ok(());
            }
        }
    }

    fn send_to_server(&mut self) -> bool {
        let bytes = self.client.outgoing().to_vec();
        self.client.sent(bytes.len());
        self.server_takes(&bytes);
        !bytes.is_empty()
    }

    fn server_takes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.server.read_tls(&mut bytes).unwrap();
            // A refused handshake is seen by the client through the alert; nothing more to read is an error here.
            let _ = self.server.process_new_packets();
            let _ = self.server.reader().read_to_end(&mut self.plain_at_server);
        }
    }
}

#[test]
fn a_handshake_in_pieces_of_any_size() {
    for step in [1, 7, 100, 4096] {
        let mut pair = Pair::new(|_| {});
        pair.settle(step).unwrap();
        assert!(pair.client.is_established(), "in steps of {step}");
        assert!(pair.client.outgoing().is_empty());
    }
}

#[test]
fn fragmented_handshake_messages_are_put_together() {
    let mut pair = Pair::new(|config| config.max_fragment_size = Some(64));
    pair.settle(11).unwrap();
    assert!(pair.client.is_established());
    pair.server.writer().write_all(&[7; 1000]).unwrap();
    pair.settle(13).unwrap();
    assert_eq!(pair.plain, [7; 1000]);
}

#[test]
fn sealed_bytes_arrive_in_order_and_whole() {
    let mut pair = Pair::new(|_| {});
    pair.settle(4096).unwrap();
    let body: Vec<u8> = (0..251).cycle().take(40_000).collect();
    let mut sealed = Records::default();
    pair.client.seal(b"head", &mut sealed, &mut |_| {}).unwrap();
    for segment in body.chunks(16 * 1024) {
        pair.client.seal(segment, &mut sealed, &mut |_| {}).unwrap();
    }
    assert!(pair.client.outgoing().is_empty(), "sealing fills the shared buffer only");
    pair.server_takes(sealed.as_bytes());
    assert_eq!(pair.plain_at_server, [b"head", &body[..]].concat());
}

#[test]
fn what_a_socket_did_not_take_is_kept_and_sent_later() {
    let mut pair = Pair::new(|_| {});
    pair.settle(4096).unwrap();
    let mut sealed = Records::default();
    pair.client.seal(&vec![9; 20_000], &mut sealed, &mut |_| {}).unwrap();
    let (taken, left) = sealed.as_bytes().split_at(777);
    pair.server_takes(taken);
    pair.client.keep(left);
    assert_eq!(pair.client.outgoing().len(), left.len());
    pair.send_to_server();
    assert_eq!(pair.plain_at_server, vec![9; 20_000]);
}

#[test]
fn a_record_larger_than_the_buffer_grows_it_and_it_shrinks_again() {
    let mut pair = Pair::new(|_| {});
    pair.settle(1000).unwrap();
    pair.server.writer().write_all(&[5; 16 * 1024]).unwrap();
    pair.settle(1000).unwrap();
    assert_eq!(pair.plain.len(), 16 * 1024);
    assert_eq!(pair.client.incoming.len(), SMALL);
}

/// README's fourth guarantee counts idle connections with this.
#[test]
fn an_idle_session_keeps_no_more_than_its_small_buffer_its_keys_and_the_peer_s_chain() {
    let mut pair = Pair::new(|_| {});
    pair.settle(4096).unwrap();
    let mut sealed = Records::default();
    pair.client.seal(&vec![9; 20_000], &mut sealed, &mut |_| {}).unwrap();
    pair.server_takes(sealed.as_bytes());
    pair.server.writer().write_all(&vec![7; 15_000]).unwrap();
    pair.settle(4096).unwrap();
    let client = pair.client;
    let dropped = allocation_counter::measure(|| drop(client));
    assert!(dropped.bytes_current > -12 * 1024, "{dropped:?}");
}

#[test]
fn a_certificate_of_nobodys_is_refused_with_an_alert() {
    let mut pair = Pair::new(|_| {});
    pair.client = Client::new(&[]).unwrap().open("localhost").unwrap();
    let error = pair.settle(4096).unwrap_err().to_string();
    assert!(error.contains("UnknownIssuer"), "{error}");
    pair.send_to_server();
    let told = pair.server.process_new_packets().unwrap_err().to_string();
    assert!(told.contains("UnknownCA"), "{told}");
}

#[test]
fn a_wrong_name_is_refused() {
    let (certificate, _) = certificate();
    let mut pair = Pair::new(|_| {});
    pair.client = Client::new(&[certificate]).unwrap().open("example.org").unwrap();
    assert!(pair.settle(4096).is_err());
}

#[test]
fn a_goodbye_is_seen_on_both_sides() {
    let mut pair = Pair::new(|_| {});
    pair.settle(4096).unwrap();
    pair.server.send_close_notify();
    pair.settle(4096).unwrap();
    assert!(pair.client.is_peer_closed());
    pair.client.close();
    pair.send_to_server();
    assert_eq!(pair.server.reader().read(&mut [0; 8]).unwrap(), 0, "a clean end, not a truncation");
}

#[test]
fn a_key_update_in_the_middle_changes_nothing() {
    let mut pair = Pair::new(|_| {});
    pair.settle(4096).unwrap();
    pair.server.refresh_traffic_keys().unwrap();
    pair.server.writer().write_all(b"after").unwrap();
    pair.settle(3).unwrap();
    assert_eq!(pair.plain, b"after");
    let mut sealed = Records::default();
    pair.client.seal(b"answer", &mut sealed, &mut |_| {}).unwrap();
    pair.server_takes(sealed.as_bytes());
    assert_eq!(pair.plain_at_server, b"answer");
}

#[test]
fn garbage_is_an_error_and_stays_one() {
    let mut pair = Pair::new(|_| {});
    pair.client.turn(&mut |_| {}).unwrap();
    pair.client.space()[..5].copy_from_slice(b"hello");
    pair.client.received(5);
    assert!(pair.client.turn(&mut |_| {}).is_err());
    assert!(pair.client.turn(&mut |_| {}).is_err());
}
