//! Probes against peers on loopback.

use std::net::TcpListener;

use rustls_pki_types::CertificateDer;

use super::*;
use crate::tls::server::echo;

const LIMIT: Duration = Duration::from_secs(5);

fn trusting(certificate: CertificateDer<'static>) -> Trust {
    Trust::own(vec![certificate]).unwrap()
}

fn fault(link: &mut Link, host: &str, trust: &Trust) -> (Option<CertificateFault>, Option<Presented>) {
    match link.secure(host, trust) {
        Err(HandshakeError::Tls { fault, presented, .. }) => (fault, presented),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bytes_go_both_ways_over_tls() {
    let (address, certificate) = echo("localhost");
    let mut link = Link::open(&[address], LIMIT).unwrap();
    link.secure("localhost", &trusting(certificate)).unwrap();
    link.send(b"x").unwrap();
    let mut received = Vec::new();
    while link.receive(&mut received).unwrap() {}
    assert_eq!(received, b"x");
}

#[test]
fn a_stranger_is_named() {
    let (address, _) = echo("localhost");
    let (_, other) = echo("localhost");
    let mut link = Link::open(&[address], LIMIT).unwrap();
    let (fault, presented) = fault(&mut link, "localhost", &trusting(other));
    assert_eq!(fault, Some(CertificateFault::Untrusted));
    assert_eq!(presented.unwrap().issuer, "CN=rcgen self signed cert");
}

#[test]
fn a_certificate_for_another_host_is_told_apart() {
    let (address, certificate) = echo("other.example");
    let mut link = Link::open(&[address], LIMIT).unwrap();
    assert_eq!(fault(&mut link, "localhost", &trusting(certificate)).0, Some(CertificateFault::WrongName));
}

#[test]
fn a_silent_peer_is_left_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut link = Link::open(&[listener.local_addr().unwrap()], Duration::from_secs(1)).unwrap();
    let error = link.receive(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(link.send(b"x").unwrap_err().kind(), io::ErrorKind::TimedOut);
}

#[test]
fn the_second_address_is_tried() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let live = listener.local_addr().unwrap();
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(Link::open(&[dead, live], LIMIT).unwrap().peer().unwrap(), live);
    assert_eq!(Link::open(&[dead], LIMIT).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn addresses_need_no_resolver_and_nonsense_has_none() {
    assert_eq!(resolve("127.0.0.1", 5, LIMIT).unwrap(), ["127.0.0.1:5".parse().unwrap()]);
    assert!(resolve("no-such-name.invalid", 5, LIMIT).is_err());
}
