use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::net::sockopt;
use rustls_pki_types::CertificateDer;

use super::*;
use crate::body::SEGMENT;
use crate::config::Config;
use crate::fixture;
use crate::identity::Grant;
use crate::secret::Bearer;
use crate::slots::{IDLE, Slots};
use crate::tls::server;
use crate::trust::Trust;
use crate::upstream::LIFE;

#[cfg(test)]
mod connections;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod slots;

/// Together with the head, two TLS records.
const BODY: usize = 30_000;

/// A hub with a token, whose ingestion endpoint is a server that answers each body with the result of `answer`.
fn hub(answer: fn(&[u8]) -> String, adjust: impl FnOnce(&mut Config)) -> &'static Hub {
    hub_of(server::answering("localhost", answer), adjust)
}

/// A hub with a token, whose ingestion endpoint is this server with this certificate.
fn hub_of(azure: (SocketAddr, CertificateDer<'static>), adjust: impl FnOnce(&mut Config)) -> &'static Hub {
    hub_with(&"t".repeat(1500), azure, adjust)
}

/// The same with this token.
fn hub_with(
    token: &str,
    azure: (SocketAddr, CertificateDer<'static>),
    adjust: impl FnOnce(&mut Config),
) -> &'static Hub {
    let (azure, certificate) = azure;
    let mut config = fixture::config(&format!("https://localhost:{}/write", azure.port()), Path::new("/none"));
    config.check = None;
    adjust(&mut config);
    let hub = fixture::hub(&config, &Trust::own(vec![certificate]).unwrap());
    let lifetime = Duration::from_secs(3600);
    hub.tokens.hold(Grant { bearer: Bearer::new(token).unwrap(), lifetime, refresh_in: None, skew: None });
    hub
}

fn no_content(_: &[u8]) -> String {
    "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
}

/// A request with `body`, in chunks of length `chunk` if given, and the header lines `more`.
fn request(body: &[u8], chunk: Option<usize>, more: &str) -> Vec<u8> {
    let fields = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nUser-Agent: Prometheus/2.42.0";
    let framing = if chunk.is_some() {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {}", body.len())
    };
    let head = format!("POST /api/v1/write HTTP/1.1\r\nHost: x\r\n{fields}\r\n{framing}\r\n{more}\r\n");
    let mut bytes = head.into_bytes();
    let Some(chunk) = chunk else { return [bytes, body.to_vec()].concat() };
    for piece in body.chunks(chunk) {
        bytes.extend(format!("{:x}\r\n", piece.len()).bytes().chain(piece.iter().copied()).chain(*b"\r\n"));
    }
    bytes.extend(b"0\r\n\r\n");
    bytes
}

/// Status and text of the next answer; `None` at the end of the stream.
fn answer(reader: &mut impl BufRead) -> Option<(u16, String)> {
    let (start, text) = server::take_message(reader)?;
    Some((start.get(9..12)?.parse().ok()?, String::from_utf8(text).unwrap()))
}

/// A connection whose other end `sender` uses on its own thread.
fn connection<T: Send + 'static>(
    hub: &'static Hub,
    sender: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (Socket<TcpStream>, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let sender = thread::spawn(move || sender(TcpStream::connect(address).unwrap()));
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    (Socket::new(hub.reactor, stream).unwrap(), sender)
}

/// The result of `sender` on a connection that is served to its end; asserts that nothing is lent out afterwards.
fn served<T: Send + 'static>(hub: &'static Hub, sender: impl FnOnce(TcpStream) -> T + Send + 'static) -> T {
    let (stream, sender) = connection(hub, sender);
    hub.reactor.block_on(hub.executor.run(serve(hub, stream, Peer::Loopback, slot(hub)))).unwrap();
    assert_eq!(
        [
            hub.memory.arena.lent(),
            hub.memory.small_arena.lent(),
            hub.memory.buffers.lent(),
            hub.memory.responses.lent(),
            hub.memory.pages.lent(),
            hub.memory.readers.borrow().len()
        ],
        [0; 6]
    );
    assert_eq!(hub.traffic.open(), 0);
    sender.join().unwrap()
}

/// The answers to requests that are each sent after the answer to the previous one.
fn answers(mut socket: TcpStream, requests: &[Vec<u8>]) -> Vec<(u16, String)> {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let each = requests.iter().map(|request| {
        socket.write_all(request).unwrap();
        answer(&mut reader).unwrap()
    });
    each.collect()
}

/// A slot that nothing else competes for.
fn slot(hub: &Hub) -> Rc<Slot> {
    Slots::of_guests().enter(hub.now()).unwrap()
}

/// Opens a connection to Azure whose send buffer is as small as possible and whose receive buffer is large, and keeps it
/// as an idle one.
fn keep_idle(hub: &'static Hub) {
    let deadline = hub.now().saturating_add(Duration::from_secs(20));
    let connecting = hub.connector.connect(hub.clock, deadline);
    let upstream = hub.reactor.block_on(hub.executor.run(connecting)).unwrap().unwrap();
    sockopt::set_socket_send_buffer_size(upstream.stream.get_ref(), 1).unwrap();
    sockopt::set_socket_recv_buffer_size(upstream.stream.get_ref(), 1 << 20).unwrap();
    hub.idle.keep(hub.now(), Box::new(upstream));
}

/// Runs both, which must end within 10 seconds.
fn beside(hub: &'static Hub, serving: impl Future<Output = ()>, meanwhile: impl Future<Output = ()>) {
    let both = future::zip(serving, meanwhile);
    let in_time = hub.clock.before(hub.now().saturating_add(Duration::from_secs(10)), both);
    hub.reactor.block_on(hub.executor.run(in_time)).unwrap().expect("they end");
}

/// Allocations on the forwarding thread while one connection sends this many requests.
fn allocations(hub: &'static Hub, requests: usize) -> u64 {
    let (stream, sender) = connection(hub, move |mut socket| {
        let request = request(&vec![7; BODY], None, "");
        let mut room = [0; 256];
        for _ in 0..requests {
            socket.write_all(&request).unwrap();
            let n = socket.read(&mut room).unwrap();
            assert!(room[..n].starts_with(b"HTTP/1.1 204"), "{}", String::from_utf8_lossy(&room[..n]));
        }
    });
    let counted = allocation_counter::measure(|| {
        let serve = serve(hub, stream, Peer::Loopback, slot(hub));
        hub.reactor.block_on(hub.executor.run(serve)).unwrap();
    });
    assert_eq!(hub.memory.buffers.lent(), 0);
    sender.join().unwrap();
    counted.count_total
}

/// rustls allocates a buffer for each record it seals or opens: two for the request, whose head shares the first, and
/// one for the response. It also allocates a list of the pieces it seals.
#[test]
fn a_request_allocates_one_buffer_a_record_a_list_and_nothing_else() {
    let hub = hub(no_content, |_| {});
    // Opens the connection to Azure and lets lists grow to their final size.
    allocations(hub, 10);
    let (few, many) = (allocations(hub, 100), allocations(hub, 10_100));
    assert_eq!(many - few, 10_000 * 4);
}

/// Pseudo-random numbers, the same in each run (Marsaglia, "Xorshift RNGs", 2003).
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap() % bound
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.below(256).to_le_bytes()[0]).collect()
    }
}

/// Length and hash (FNV-1a) of a body.
fn digest(body: &[u8]) -> String {
    let hash = body
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{} {hash:x}", body.len())
}

fn told(body: &[u8]) -> String {
    let text = digest(body);
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
}

/// However requests are framed and batched, each body arrives as it was sent, and the answers come in order.
#[test]
fn pipelined_requests_arrive_whole_and_in_order() {
    let hub = hub(told, |config| (config.limits.body_memory, config.limits.max_body_bytes) = (4 << 20, 300_000));
    for seed in 1..120 {
        let mut chance = Chance(seed << 32 | 0x9e37_79b9);
        let (mut wire, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..=chance.below(60) {
            // Most are small, so that one read returns many; some end on a segment boundary.
            let length = 1 + match chance.below(12) {
                0 => chance.below(290_000),
                1 => chance.below(40_000),
                2 => (2 * SEGMENT).saturating_sub((wire.len() + 190) % SEGMENT),
                _ => chance.below(1500),
            };
            let body = chance.bytes(length);
            let chunk = (chance.below(3) == 0).then(|| 1 + chance.below(length.min(30_000)));
            let more = if chance.below(8) == 0 {
                format!("X-P: {}\r\n", "p".repeat(chance.below(7000)))
            } else {
                String::new()
            };
            wire.extend(request(&body, chunk, &more));
            expected.push((200, digest(&body)));
            if chance.below(6) == 0 {
                wire.extend(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
                expected.push((200, "ok\n".to_owned()));
            }
        }
        let count = expected.len();
        let got: Vec<_> = served(hub, move |mut socket| {
            let mut reader = BufReader::new(socket.try_clone().unwrap());
            let writer = thread::spawn(move || socket.write_all(&wire));
            let got = (0..count).map_while(|_| answer(&mut reader)).collect();
            // After a refusal the rest is not read, so writing may fail.
            drop(reader);
            let _ = writer.join();
            got
        });
        let wrong = got.iter().zip(&expected).position(|(got, expected)| got != expected);
        assert_eq!(wrong.map(|i| &got[i]), None, "answer {wrong:?} of {count}, seed {seed}");
        assert_eq!(got.len(), count, "seed {seed}");
    }
}

#[test]
fn a_body_right_behind_a_page_arrives_whole() {
    let hub = hub(told, |config| config.upstream_timeout = Duration::from_secs(2));
    for chunk in [None, Some(100)] {
        let wire = [b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", &*request(&[7; 1000], chunk, "")].concat();
        let behind = served(hub, move |mut socket| {
            socket.write_all(&wire).unwrap();
            let mut reader = BufReader::new(socket);
            assert_eq!(answer(&mut reader).unwrap().0, 200);
            answer(&mut reader).unwrap()
        });
        assert_eq!(behind, (200, digest(&[7; 1000])), "{chunk:?}");
    }
}

/// A token without the form of a JSON web token.
const OPAQUE: &str = "0.opaque~token/of+32=characters!";

#[test]
fn one_that_has_read_its_page_holds_none() {
    let hub = hub(no_content, |_| {});
    let told = served(hub, |socket| {
        answers(socket, &[b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(), request(b"body", None, "")])
    });
    assert_eq!(told.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 204]);
    assert!(!hub.memory.end_reader());
}

#[test]
fn an_opaque_token_that_azure_repeats_is_not_told() {
    fn repeated(body: &[u8]) -> String {
        let status = std::str::from_utf8(body).unwrap();
        let text = format!("you sent Bearer {OPAQUE}{}{OPAQUE}", " ".repeat(1024 - 16 - 32 - 20));
        format!("HTTP/1.1 {status} No\r\nContent-Type: x/{OPAQUE}\r\nContent-Length: {}\r\n\r\n{text}", text.len())
    }
    let hub = hub_with(OPAQUE, server::answering("localhost", repeated), |_| {});
    for (status, told) in [("400", 400), ("403", 503), ("500", 500), ("200", 200)] {
        let request = request(status.as_bytes(), None, "Connection: close\r\n");
        let answer = served(hub, move |mut socket| {
            socket.write_all(&request).unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            answer
        });
        assert!(answer.starts_with(&format!("HTTP/1.1 {told} ")), "{answer}");
        assert!(answer.contains("you sent Bearer ****") && !answer.contains("opaque"), "{answer}");
        let logged = hub.traffic.last_failed().expect("a failed write").text;
        assert!(logged.contains("you sent Bearer ****") && !logged.contains("opaque"), "{logged}");
    }
}

#[test]
fn a_token_in_a_text_that_is_not_utf_8_is_not_told() {
    fn repeated(_: &[u8]) -> Vec<u8> {
        let text = [b"\xff ", OPAQUE.as_bytes()].concat();
        let head = format!("HTTP/1.1 400 No\r\nContent-Length: {}\r\n\r\n", text.len());
        [head.as_bytes(), &text].concat()
    }
    let hub = hub_with(OPAQUE, server::answering("localhost", repeated), |_| {});
    let request = request(b"body", None, "Connection: close\r\n");
    let answer = served(hub, move |mut socket| {
        socket.write_all(&request).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).unwrap();
        answer
    });
    assert!(answer.starts_with(b"HTTP/1.1 400 ") && answer.ends_with(&[b"\xff ", &[b'*'; 32][..]].concat()));
}

#[test]
fn a_request_without_a_turn_is_refused_in_time() {
    let hub = hub(no_content, |config| config.upstream_timeout = Duration::from_secs(4));
    let _held: Vec<_> = std::iter::from_fn(|| hub.memory.responses.try_take()).collect();
    let (stream, sender) = connection(hub, |socket| answers(socket, &[request(b"body", None, "")]));
    let began = hub.now();
    hub.reactor.block_on(hub.executor.run(serve(hub, stream, Peer::Loopback, slot(hub)))).unwrap();
    assert!(hub.now().since(began) < Duration::from_millis(3600));
    let told = sender.join().unwrap();
    assert_eq!(told[0].0, 503);
    assert!(told[0].1.contains("over capacity, try again: already forwarding MAX_IN_FLIGHT"), "{}", told[0].1);
}

/// A request that is sent again, here because its connection turned out stale, has had its turn: it does not wait for
/// those that have not.
#[test]
fn a_request_that_is_sent_again_keeps_its_turn() {
    /// Ends the connection of the first body that is to be sent again, late enough for another request to queue up.
    fn stale_once(body: &[u8]) -> String {
        static ENDED: AtomicBool = AtomicBool::new(false);
        if body != b"again" || ENDED.swap(true, Ordering::Relaxed) {
            return no_content(body);
        }
        thread::sleep(Duration::from_millis(200));
        String::new()
    }
    let hub = hub(stale_once, |config| config.upstream_timeout = Duration::from_secs(2));
    assert_eq!(served(hub, |socket| answers(socket, &[request(b"first", None, "")]))[0].0, 204);
    let (all, first) = (&hub.memory.responses, hub.gateway.last_success());
    let held: Vec<_> = std::iter::from_fn(|| all.try_take()).take(all.size() - 1).collect();
    let (stream, sender) = connection(hub, |socket| answers(socket, &[request(b"again", None, "")]));
    beside(hub, serve(hub, stream, Peer::Loopback, slot(hub)), async {
        while all.free() > 0 {
            future::yield_now().await;
        }
        let next = all.take_one().await;
        assert!(hub.gateway.last_success() > first, "it was answered before");
        all.give([next]);
    });
    all.give(held);
    assert_eq!(sender.join().unwrap()[0].0, 204);
    assert_eq!(all.lent(), 0);
}

#[test]
fn a_token_that_expires_while_its_request_waits_is_not_sent() {
    let hub = hub(no_content, |_| {});
    let (bearer, lifetime) = (Bearer::new("short").unwrap(), Duration::from_secs(4));
    hub.tokens.hold(Grant { bearer, lifetime, refresh_in: None, skew: None });
    let held: Vec<_> = std::iter::from_fn(|| hub.memory.responses.try_take()).collect();
    let (stream, sender) = connection(hub, |socket| answers(socket, &[request(b"body", None, "")]));
    beside(hub, serve(hub, stream, Peer::Loopback, slot(hub)), async {
        while hub.traffic.open() == 0 {
            future::yield_now().await;
        }
        assert!(hub.tokens.usable().is_some(), "it begins to wait with a token");
        hub.clock.until(hub.tokens.expires().unwrap()).await;
        hub.memory.responses.give(held);
    });
    let told = sender.join().unwrap();
    assert_eq!(told[0].0, 503);
    assert!(told[0].1.contains("no usable token") && told[0].1.contains("has expired"), "{}", told[0].1);
    assert_eq!((hub.memory.responses.lent(), hub.gateway.last_success()), (0, None));
}

#[test]
fn a_write_refused_because_of_its_peer_is_no_failure_of_this_pods() {
    let hub = hub(no_content, |_| {});
    let refused = request(b"body", None, "Origin: https://elsewhere.example\r\n");
    assert_eq!(served(hub, |socket| answers(socket, &[refused]))[0].0, 403);
    assert!(hub.traffic.last_failed().is_none());
    assert_eq!(hub.traffic.end_minute(), crate::notice::Minute::default());
    let large = request(&vec![7; 1 << 16], None, "");
    assert_eq!(served(hub, |socket| answers(socket, &[large]))[0].0, 400);
    assert_eq!(hub.traffic.last_failed().map(|failed| failed.status), Some(400));
    assert_eq!(hub.traffic.end_minute().failed, 1);
}
