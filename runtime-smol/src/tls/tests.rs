//! Sessions against rustls' own server, in memory: bytes are moved by hand, in pieces of any size.

use std::io::{Read as _, Write as _};

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, SupportedCipherSuite, SupportedProtocolVersion, Tls13CipherSuite};

use super::*;

/// A self-signed server certificate for `localhost`.
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
        Self::of(rustls::ALL_VERSIONS, adjust)
    }

    fn of(versions: &[&'static SupportedProtocolVersion], adjust: impl FnOnce(&mut ServerConfig)) -> Self {
        let (certificate, key) = certificate();
        let client = Client::new(&Roots::Own(vec![certificate.clone()])).unwrap();
        let mut config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
            .with_protocol_versions(versions)
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
                    self.client.read_from(&mut piece).unwrap();
                    self.client.turn(&mut |bytes| self.plain.extend_from_slice(bytes))?;
                }
            }
            if !moved {
                return Ok(());
            }
        }
    }

    fn send_to_server(&mut self) -> bool {
        let mut records = Vec::new();
        while self.client.has_outgoing() {
            self.client.write_to(&mut records).unwrap();
        }
        self.server_takes(&records);
        !records.is_empty()
    }

    fn seal(&mut self, pieces: &[&[u8]]) -> Result<(), TlsError> {
        let pieces: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        self.client.seal(&pieces)
    }

    fn server_takes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            self.server.read_tls(&mut bytes).unwrap();
            // The client sees a refused handshake by its alert; having nothing more to read is an error here.
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
        assert!(!pair.client.has_outgoing());
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

/// Lengths of the records in `bytes`, without their headers (RFC 8446 §5.1).
fn records(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = bytes {
        lengths.push(usize::from(u16::from_be_bytes([*high, *low])));
        bytes = &rest[*lengths.last().unwrap()..];
    }
    lengths
}

#[test]
fn pieces_arrive_in_order_and_whole_in_as_few_records_as_they_fit_into() {
    let mut pair = Pair::new(|_| {});
    pair.settle(4096).unwrap();
    let body: Vec<u8> = (0..251).cycle().take(40_000).collect();
    pair.seal(&[b"head", &body[..100], &body[100..16_484], &body[16_484..]]).unwrap();
    let mut sealed = Vec::new();
    pair.client.write_to(&mut sealed).unwrap();
    assert!(!pair.client.has_outgoing(), "one write takes them all");
    // Each record grows by its type and its tag.
    assert_eq!(records(&sealed), [16_384 + 17, 16_384 + 17, 40_004 - 2 * 16_384 + 17]);
    pair.server_takes(&sealed);
    assert_eq!(pair.plain_at_server, [b"head", &body[..]].concat());
}

#[test]
fn records_that_a_socket_did_not_take_are_sent_later() {
    let mut pair = Pair::new(|_| {});
    pair.settle(4096).unwrap();
    pair.seal(&[&vec![9; 20_000]]).unwrap();
    let mut socket = [0; 777];
    assert_eq!(pair.client.write_to(&mut &mut socket[..]).unwrap(), 777);
    assert!(pair.client.has_outgoing());
    pair.server_takes(&socket);
    pair.send_to_server();
    assert_eq!(pair.plain_at_server, vec![9; 20_000]);
}

#[test]
fn a_record_longer_than_one_read_arrives() {
    let mut pair = Pair::new(|_| {});
    pair.settle(1000).unwrap();
    pair.server.writer().write_all(&[5; 16 * 1024]).unwrap();
    pair.settle(1000).unwrap();
    assert_eq!(pair.plain, [5; 16 * 1024]);
}

/// README's fourth guarantee counts idle connections with this size.
#[test]
fn an_idle_session_keeps_no_more_than_its_small_buffer_its_keys_and_the_peer_s_chain() {
    let mut pair = Pair::new(|_| {});
    pair.settle(4096).unwrap();
    pair.seal(&[&vec![9; 20_000]]).unwrap();
    pair.send_to_server();
    pair.server.writer().write_all(&vec![7; 15_000]).unwrap();
    pair.settle(4096).unwrap();
    let client = pair.client;
    let dropped = allocation_counter::measure(|| drop(client));
    assert!(dropped.bytes_current > -12 * 1024, "{dropped:?}");
}

/// A TLS 1.3 pair whose client may seal 4 records with one key.
fn short_lived() -> Pair {
    let mut provider = (*provider()).clone();
    for suite in &mut provider.cipher_suites {
        if let SupportedCipherSuite::Tls13(theirs) = *suite {
            let common = crypto::CipherSuiteCommon { confidentiality_limit: 4, ..theirs.common };
            *suite = SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite { common, ..*theirs })));
        }
    }
    let mut pair = Pair::new(|_| {});
    let (certificate, key) = certificate();
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(store(&Roots::Own(vec![certificate.clone()])))
        .with_no_client_auth();
    let server = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    pair.client = Client(Arc::new(config)).open("localhost").unwrap();
    pair.server = ServerConnection::new(Arc::new(server)).unwrap();
    pair.settle(4096).unwrap();
    pair
}

#[test]
fn keys_are_renewed_before_they_are_used_up() {
    let mut pair = short_lived();
    let mut sent = Vec::new();
    for i in 0..20 {
        let body = vec![i; 40_000];
        pair.seal(&[b"head", &body]).unwrap();
        pair.settle(4096).unwrap();
        sent.extend(b"head");
        sent.extend(body);
    }
    assert_eq!(pair.plain_at_server, sent);
}

#[test]
fn a_session_is_worn_after_its_records_and_counts_them_as_the_wire_does() {
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut pair = Pair::of(&[version], |_| {});
        pair.settle(4096).unwrap();
        let mut wire = Vec::new();
        for length in [1, RECORD - 4, RECORD - 3, 5 * RECORD] {
            pair.seal(&[b"head", &vec![7; length]]).unwrap();
            while pair.client.has_outgoing() {
                pair.client.write_to(&mut wire).unwrap();
            }
        }
        assert_eq!(pair.client.records, 1 + 1 + 2 + 6);
        assert_eq!(pair.client.records, lengths(&wire).count());
        pair.client.records = MOST_RECORDS - 1;
        assert!(!pair.client.is_worn());
        pair.seal(&[b"one more"]).unwrap();
        assert!(pair.client.is_worn());
    }
}

/// So that a request begun before a session is worn out can finish.
#[test]
fn a_session_is_worn_long_before_its_keys_are() {
    for suite in &provider().cipher_suites {
        let common = match suite {
            SupportedCipherSuite::Tls12(suite) => &suite.common,
            SupportedCipherSuite::Tls13(suite) => &suite.common,
        };
        assert!(common.confidentiality_limit >= 2 * MOST_RECORDS as u64, "{suite:?}");
    }
}

/// Lengths of the records in `wire`.
fn lengths(wire: &[u8]) -> impl Iterator<Item = usize> {
    let mut rest = wire;
    std::iter::from_fn(move || {
        let (header, behind) = rest.split_first_chunk::<5>()?;
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        rest = &behind[length..];
        Some(length)
    })
}

#[test]
fn an_untrusted_certificate_is_refused_with_an_alert() {
    let mut pair = Pair::new(|_| {});
    pair.client = Client::new(&Roots::BuiltIn).unwrap().open("localhost").unwrap();
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
    pair.client = Client::new(&Roots::Own(vec![certificate])).unwrap().open("example.org").unwrap();
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
    pair.seal(&[b"answer"]).unwrap();
    pair.send_to_server();
    assert_eq!(pair.plain_at_server, b"answer");
}

#[test]
fn garbage_is_an_error_and_stays_one() {
    let mut pair = Pair::new(|_| {});
    pair.client.turn(&mut |_| {}).unwrap();
    pair.client.read_from(&mut &b"hello"[..]).unwrap();
    assert!(pair.client.turn(&mut |_| {}).is_err());
    assert!(pair.client.turn(&mut |_| {}).is_err());
}
