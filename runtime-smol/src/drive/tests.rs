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

#[test]
fn a_worn_connection_to_azure_is_not_used_again() {
    let hub = hub(no_content, |_| {});
    let post = || served(hub, |socket| answers(socket, &[request(b"body", None, "")]));
    assert_eq!(post()[0].0, 204);
    let mut upstream = hub.idle.take(hub.now()).unwrap();
    upstream.wear_out();
    hub.idle.keep(hub.now(), upstream);
    assert_eq!(post()[0].0, 204);
    let other = hub.idle.take(hub.now()).unwrap();
    assert!(!other.is_worn(hub.now()), "a new one");
    hub.idle.keep(hub.now(), other);
    assert!(hub.idle.take(hub.now().saturating_add(LIFE)).is_none(), "it is too old");
}

/// However many messages without data a peer sends, finding out that there are none costs a bounded time.
#[test]
fn a_connection_that_does_not_come_to_rest_is_not_used() {
    let (azure, certificate, all_sent) = server::generous("localhost");
    let hub = hub_of((azure, certificate), |_| {});
    let soon = |after: Duration| hub.now().saturating_add(after);
    let connecting = async {
        let upstream = hub.connector.connect(hub.clock, soon(Duration::from_secs(5))).await.unwrap();
        assert!(hub.idle.keep(hub.now(), Box::new(upstream)));
        all_sent.recv().unwrap();
        // Until the reactor has heard of it.
        hub.clock.before(soon(Duration::from_millis(50)), future::pending::<()>()).await;
    };
    hub.reactor.block_on(hub.executor.run(connecting)).unwrap();
    assert!(hub.idle.take(hub.now()).is_none());
}

/// Several TLS records, more than the kernel takes at once from [`keep_idle`]'s connections, and sealed at once.
const LONG_BODY: usize = (SEALED_AT_ONCE - 1) * SEGMENT;

/// Bodies of this length fit in.
const fn with_long_bodies(config: &mut Config) {
    config.limits.max_body_bytes = SEALED_AT_ONCE * SEGMENT;
    config.limits.body_memory = 1 << 20;
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

#[test]
fn a_success_before_the_body_has_been_sent_is_none() {
    let hub = hub_of(
        server::serving("localhost", |_, mut azure| {
            azure.read_exact(&mut [0]).unwrap();
            azure.write_all(no_content(b"").as_bytes()).unwrap();
            loop {
                thread::park();
            }
        }),
        with_long_bodies,
    );
    keep_idle(hub);
    let told = served(hub, |socket| answers(socket, &[request(&vec![7; LONG_BODY], None, "")])).remove(0);
    assert_eq!((told.0, hub.gateway.last_success()), (502, None), "{}", told.1);
    assert_eq!(hub.idle.len(), 0);
}

#[test]
fn the_end_of_a_body_is_sent_although_nothing_else_happens() {
    let hub = hub_of(
        server::serving("localhost", |_, azure| {
            // Until the first of the request has come, and a little longer: Remora waits for room.
            azure.sock.peek(&mut [0]).unwrap();
            thread::sleep(Duration::from_millis(50));
            let mut reader = BufReader::new(azure);
            while let Some((_, body)) = server::take_message(&mut reader) {
                assert_eq!(body.len(), LONG_BODY);
                reader.get_mut().write_all(no_content(&body).as_bytes()).unwrap();
            }
        }),
        with_long_bodies,
    );
    keep_idle(hub);
    let told = served(hub, |socket| answers(socket, &[request(&vec![7; LONG_BODY], None, "")])).remove(0);
    assert_eq!(told.0, 204, "{}", told.1);
}

#[test]
fn a_connection_with_an_answer_too_many_is_not_kept() {
    let hub = hub_of(
        server::serving("localhost", |_, azure| {
            let mut reader = BufReader::new(azure);
            while let Some((_, body)) = server::take_message(&mut reader) {
                // Two records that arrive together.
                let azure = reader.get_mut();
                azure.conn.writer().write_all(no_content(&body).as_bytes()).unwrap();
                azure.conn.writer().write_all(no_content(&body).as_bytes()).unwrap();
                azure.conn.write_tls(azure.sock).unwrap();
            }
        }),
        |_| {},
    );
    assert_eq!(served(hub, |socket| answers(socket, &[request(b"body", None, "")]))[0].0, 204);
    assert_eq!(hub.idle.len(), 0);
}

#[test]
fn after_a_stale_connection_a_request_is_sent_on_a_new_one() {
    let hub = hub_of(
        server::serving("localhost", |place, azure| {
            let mut reader = BufReader::new(azure);
            while let Some((_, body)) = server::take_message(&mut reader)
                && place >= 2
            {
                reader.get_mut().write_all(no_content(&body).as_bytes()).unwrap();
            }
        }),
        |_| {},
    );
    keep_idle(hub);
    keep_idle(hub);
    let told = served(hub, |socket| answers(socket, &[request(b"body", None, "")])).remove(0);
    assert_eq!(told.0, 204, "{}", told.1);
}

#[test]
fn an_answer_that_comes_with_the_handshake_is_none() {
    let hasty = "HTTP/1.1 204 No Content\r\n\r\n";
    let hub = hub_of(server::hasty("localhost", hasty), |_| {});
    let (status, text) = served(hub, |socket| answers(socket, &[request(b"body", None, "")])).remove(0);
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("it sent data before any request"), "{text}");
    assert_eq!(hub.idle.len(), 0);
}

/// A thread that was busy while an answer's deadline passed does not read it to its end first.
#[test]
fn a_deadline_ends_a_request_although_there_is_always_more_to_read() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let azure = server::serving("localhost", |_, mut azure| {
        azure.read_exact(&mut [0]).unwrap();
        // More than the reads before a look at the clock take, in one piece.
        let interim = format!("HTTP/1.1 102 Processing\r\nX-Long: {}\r\n\r\n", "x".repeat(1000));
        let mut records = Vec::new();
        for text in std::iter::repeat_n(interim.as_str(), 120).chain([no_content(b"").as_str()]) {
            azure.conn.writer().write_all(text.as_bytes()).unwrap();
            azure.conn.write_tls(&mut records).unwrap();
        }
        azure.sock.write_all(&records).unwrap();
        while azure.read(&mut [0; 100]).is_ok_and(|read| read > 0) {}
    });
    let hub = hub_of(azure, |config| config.upstream_timeout = TIMEOUT);
    keep_idle(hub);
    let (stream, sender) = connection(hub, |socket| answers(socket, &[request(b"body", None, "")]));
    beside(hub, serve(hub, stream, Peer::Loopback, slot(hub)), async {
        while hub.idle.len() > 0 {
            future::yield_now().await;
        }
        // Now the request is under way. The thread is busy until its deadline has passed.
        thread::sleep(TIMEOUT);
    });
    assert_eq!(sender.join().unwrap()[0].0, 504);
}

#[test]
fn interim_responses_without_end_end_in_time_and_hold_up_nobody() {
    /// The server is further than the reader.
    static AHEAD: AtomicBool = AtomicBool::new(false);
    let azure = server::serving("localhost", |_, mut azure| {
        let some = format!("HTTP/1.1 102 Processing\r\nX-Long: {}\r\n\r\n", "x".repeat(1000));
        azure.read_exact(&mut [0]).unwrap();
        for written in 0.. {
            if azure.write_all(some.as_bytes()).is_err() {
                break;
            }
            AHEAD.store(written >= 100, Ordering::Relaxed);
        }
    });
    let hub = hub_of(azure, |config| config.upstream_timeout = Duration::from_secs(2));
    let (stream, sender) = connection(hub, |socket| answers(socket, &[request(b"body", None, "")]));
    let (other, neighbour) = connection(hub, |mut socket| {
        socket.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        socket
    });
    let neighbour = neighbour.join().unwrap();
    beside(hub, serve(hub, stream, Peer::Loopback, slot(hub)), async {
        while !AHEAD.load(Ordering::Relaxed) {
            future::yield_now().await;
        }
        serve(hub, other, Peer::Loopback, slot(hub)).await;
        assert_eq!(hub.traffic.open(), 1, "the write is not over yet");
    });
    assert_eq!(answer(&mut BufReader::new(neighbour)).unwrap().0, 200);
    assert_eq!(sender.join().unwrap()[0].0, 504);
}

#[test]
fn a_sender_that_does_not_pause_lets_others_run() {
    const REQUESTS: usize = 200;
    let hub = hub(no_content, |_| {});
    let (stream, sender) = connection(hub, |mut socket| {
        socket.write_all(&b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(REQUESTS)).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        socket
    });
    let mut sender = sender.join().unwrap();
    sender.set_nonblocking(true).unwrap();
    let mut answers = vec![0; 1 << 20];
    let mut first = 0;
    beside(hub, serve(hub, stream, Peer::Loopback, slot(hub)), async {
        while first == 0 {
            future::yield_now().await;
            first = sender.read(&mut answers).unwrap_or(0);
        }
    });
    answers.truncate(first);
    sender.set_nonblocking(false).unwrap();
    sender.read_to_end(&mut answers).unwrap();
    let count = |answers: &[u8]| answers.windows(13).filter(|window| window == b"HTTP/1.1 200 ").count();
    assert_eq!(count(&answers), REQUESTS);
    assert!(count(&answers[..first]) < REQUESTS, "all before anything else ran");
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
    let hub = hub(no_content, |config| config.upstream_timeout = Duration::from_secs(2));
    let _held: Vec<_> = std::iter::from_fn(|| hub.memory.responses.try_take()).collect();
    let (stream, sender) = connection(hub, |socket| answers(socket, &[request(b"body", None, "")]));
    let began = hub.now();
    hub.reactor.block_on(hub.executor.run(serve(hub, stream, Peer::Loopback, slot(hub)))).unwrap();
    assert!(hub.now().since(began) < Duration::from_millis(1800));
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

#[test]
fn a_request_that_waits_for_room_is_open() {
    let hub = hub(no_content, |_| {});
    let held: Vec<_> = std::iter::from_fn(|| hub.memory.arena.try_take()).collect();
    let reserve: Vec<_> = std::iter::from_fn(|| hub.memory.small_arena.try_take()).collect();
    let (stream, sender) = connection(hub, |socket| answers(socket, &[request(&vec![7; BODY], None, "")]));
    let serving = hub.executor.spawn(serve(hub, stream, Peer::Loopback, slot(hub)));
    let come = async {
        while hub.traffic.open() == 0 {
            future::yield_now().await;
        }
    };
    let in_time = hub.clock.before(hub.now().saturating_add(Duration::from_secs(10)), come);
    hub.reactor.block_on(hub.executor.run(in_time)).unwrap().expect("it is open");
    hub.memory.arena.give(held);
    hub.memory.small_arena.give(reserve);
    hub.reactor.block_on(hub.executor.run(serving)).unwrap();
    assert_eq!(sender.join().unwrap()[0].0, 204);
}

/// A slot of a sender, in place of another one if need be, as if [`IDLE`] had passed.
fn later_slot(hub: &Hub) -> Option<Rc<Slot>> {
    hub.senders.enter(hub.now().saturating_add(IDLE))
}

/// Runs both, which must end within 10 seconds.
fn beside(hub: &'static Hub, serving: impl Future<Output = ()>, meanwhile: impl Future<Output = ()>) {
    let both = future::zip(serving, meanwhile);
    let in_time = hub.clock.before(hub.now().saturating_add(Duration::from_secs(10)), both);
    hub.reactor.block_on(hub.executor.run(in_time)).unwrap().expect("they end");
}

#[test]
fn an_idle_connection_makes_room_for_another() {
    let hub = hub(no_content, |config| config.limits.max_connections = 1);
    let (stream, sender) = connection(hub, |mut socket| {
        let told = answers(socket.try_clone().unwrap(), &[request(b"body", None, "")]);
        (told[0].0, socket.read(&mut [0; 1]).unwrap())
    });
    let slot = hub.senders.enter(hub.now()).unwrap();
    beside(hub, serve(hub, stream, Peer::Loopback, Rc::clone(&slot)), async {
        while hub.gateway.last_success().is_none() || later_slot(hub).is_none() {
            future::yield_now().await;
        }
    });
    assert!(slot.is_dismissed());
    assert_eq!(sender.join().unwrap(), (204, 0));
}

#[test]
fn a_connection_with_part_of_a_request_does_not_make_room() {
    let hub = hub(no_content, |config| config.limits.max_connections = 1);
    let (go_on, wait) = std::sync::mpsc::channel();
    let (stream, sender) = connection(hub, move |mut socket| {
        let whole = request(b"body", None, "");
        let (part, rest) = whole.split_at(10);
        socket.write_all(part).unwrap();
        wait.recv().unwrap();
        answers(socket, &[rest.to_vec()])
    });
    let slot = hub.senders.enter(hub.now()).unwrap();
    beside(hub, serve(hub, stream, Peer::Loopback, slot), async {
        while hub.memory.buffers.lent() == 0 {
            future::yield_now().await;
        }
        assert!(later_slot(hub).is_none());
        go_on.send(()).unwrap();
    });
    assert_eq!(sender.join().unwrap()[0].0, 204);
}

/// A sender that leaves while it waits for its turn or for room frees its place long before a deadline.
#[test]
fn a_sender_that_leaves_the_queue_is_not_waited_for() {
    let hub = hub(no_content, |_| {});
    let leave = |hub: &'static Hub| {
        let (stream, sender) =
            connection(hub, |mut socket| socket.write_all(&request(&vec![7; BODY], None, "")).unwrap());
        let served = serve(hub, stream, Peer::Loopback, slot(hub));
        let in_time = hub.clock.before(hub.now().saturating_add(Duration::from_secs(5)), served);
        hub.reactor.block_on(hub.executor.run(in_time)).unwrap().expect("it ends");
        sender.join().unwrap();
    };
    let turns: Vec<_> = std::iter::from_fn(|| hub.memory.responses.try_take()).collect();
    leave(hub);
    hub.memory.responses.give(turns);
    let room: Vec<_> = std::iter::from_fn(|| hub.memory.arena.try_take()).collect();
    let small: Vec<_> = std::iter::from_fn(|| hub.memory.small_arena.try_take()).collect();
    leave(hub);
    hub.memory.arena.give(room);
    hub.memory.small_arena.give(small);
    assert_eq!(served(hub, |socket| answers(socket, &[request(b"body", None, "")]))[0].0, 204);
}
