use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::*;
use crate::config::CheckLevel;
use crate::fixture;
use crate::identity::Grant;
use crate::secret::Bearer;
use crate::tls::server;
use crate::trust::Trust;

/// With the head two records.
const BODY: usize = 30_000;

fn hub(azure: SocketAddr, trust: &Trust) -> &'static Hub {
    let mut config = fixture::config(&format!("https://localhost:{}/write", azure.port()), Path::new("/none"));
    config.check = CheckLevel::Off;
    let hub = fixture::hub(&config, trust);
    let lifetime = Duration::from_secs(3600);
    hub.tokens.hold(Grant { bearer: Bearer::new(&"t".repeat(1500)).unwrap(), lifetime, refresh_in: None });
    hub
}

/// Posts a body so many times, each after the answer to the one before, then closes.
fn send(to: SocketAddr, times: usize) {
    let mut socket = TcpStream::connect(to).unwrap();
    let fields = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nUser-Agent: Prometheus/2.42.0";
    let mut request =
        format!("POST /api/v1/write HTTP/1.1\r\nHost: x\r\n{fields}\r\nContent-Length: {BODY}\r\n\r\n").into_bytes();
    request.extend(vec![7; BODY]);
    let mut answer = [0; 256];
    for _ in 0..times {
        socket.write_all(&request).unwrap();
        let n = socket.read(&mut answer).unwrap();
        assert!(answer[..n].starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&answer[..n]));
    }
}

/// Allocations on the forwarding thread while one connection brings so many requests.
fn allocations(hub: &'static Hub, requests: usize) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sender = thread::spawn(move || send(address, requests));
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let stream = Socket::new(hub.reactor, stream).unwrap();
    let counted = allocation_counter::measure(|| {
        let serve = serve(hub, stream, Peer::Loopback, None);
        hub.reactor.block_on(hub.executor.run(serve)).unwrap();
    });
    assert_eq!(hub.buffers.lent(), 0);
    sender.join().unwrap();
    counted.count_total
}

/// rustls makes a buffer for each record that it seals or opens: two for the request, whose head shares the first, and one
/// for the answer. It also lists the pieces of what it seals.
#[test]
fn a_request_allocates_one_buffer_a_record_a_list_and_nothing_else() {
    let (azure, certificate) = server::ingestion("localhost");
    let hub = hub(azure, &Trust { certificates: vec![certificate], unusable: 0 });
    // The connection to Azure, and lists that grow to their length.
    allocations(hub, 10);
    let (few, many) = (allocations(hub, 100), allocations(hub, 10_100));
    assert_eq!(many - few, 10_000 * 4);
}
