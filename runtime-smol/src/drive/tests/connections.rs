//! Connections to Azure: which are kept, which are used again, and what an answer on them counts.

use super::*;

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

#[test]
fn a_sender_that_does_not_wait_for_the_answer_is_counted() {
    fn late(body: &[u8]) -> String {
        thread::sleep(Duration::from_millis(300));
        no_content(body)
    }
    let hub = hub(late, |_| {});
    served(hub, |socket| answers(socket, &[request(b"body", None, "")]));
    assert_eq!(hub.traffic.abandoned(), 0, "this one waits");
    served(hub, |mut socket| socket.write_all(&request(b"body", None, "")).unwrap());
    assert_eq!(hub.traffic.abandoned(), 1);
}
