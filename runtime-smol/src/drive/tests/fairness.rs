//! Requests that always find something to do, beside others.

use super::*;

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
    let hub = hub_of(azure, |config| config.upstream_timeout = Duration::from_secs(5));
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
