//! Pages that the driver writes: `/metrics` and `/status`.

use remora_core::forward::{Event, Interest, Page, Peer};
use remora_core::metrics::Format;

use crate::bench::{Bench, POLICY, TIMEOUTS};
use crate::message::{Message, SMALL_BODY, answer, chunked_write, write, write_with};

/// More than the outbox holds.
const PAGE: &[u8] = &[b'p'; 5000];

fn get(path: &str) -> Vec<u8> {
    ask("GET", path, "")
}

fn ask(method: &str, path: &str, fields: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").into_bytes()
}

#[test]
fn a_page_longer_than_an_answer_arrives_whole_and_the_connection_goes_on() {
    let mut bench = Bench::new();
    bench.send(&get("/metrics"));
    assert_eq!(bench.events, [Event::Page(Page::Metrics(Format::Text))]);
    assert!(bench.exchange.is_open());
    bench.deliver(PAGE);
    let told = bench.answer();
    assert_eq!((told.status(), told.body.as_slice()), (200, PAGE));
    assert_eq!(told.field("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(bench.is_kept_alive() && bench.stored.is_empty());
    assert_eq!(bench.outcomes().len(), 1);
    bench.send(&get("/health"));
    assert_eq!(bench.answer().text(), "ok\n");
    bench.send(&get("/metrics"));
    bench.deliver(PAGE);
    assert_eq!(bench.exchange.answer_text(), "", "a page is not for the log, still less the answer before it");
}

#[test]
fn a_body_right_behind_a_page_is_not_freed_with_it() {
    let mut bench = Bench::new();
    bench.offer(&[get("/metrics"), chunked_write(SMALL_BODY, 3)].concat());
    bench.exchange.page_ready(bench.now, PAGE.len());
    let head = bench.exchange.client_pending().len();
    bench.exchange.client_drained(bench.now, head);
    bench.exchange.client_drained(bench.now, PAGE.len());
    assert!(bench.exchange.body_piece().is_empty(), "the page is not freed yet");
    bench.settle();
    assert_eq!(bench.forward(&answer(204, "", "")).body, SMALL_BODY);
}

#[test]
fn the_format_follows_accept() {
    let mut bench = Bench::new();
    let fields = "Accept: application/openmetrics-text;version=1.0.0;q=0.5\r\nAccept: text/plain;q=0.4\r\n";
    bench.send(&ask("GET", "/metrics", fields));
    assert_eq!(bench.events, [Event::Page(Page::Metrics(Format::OpenMetrics))]);
    bench.deliver(PAGE);
    let expected = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(bench.answer().field("content-type"), Some(expected));
}

#[test]
fn head_gets_the_length_of_the_page_and_nothing_of_it() {
    let mut bench = Bench::new();
    bench.send(&ask("HEAD", "/metrics", ""));
    bench.deliver(PAGE);
    let head = String::from_utf8(core::mem::take(&mut bench.received)).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(bench.is_kept_alive() && bench.stored.is_empty());
}

#[test]
fn status_is_for_the_pod_alone() {
    for (peer, status) in
        [(Peer::Loopback, 200), (Peer::Watcher { near: true }, 200), (Peer::Allowed, 403), (Peer::Foreign, 403)]
    {
        let mut bench = Bench::with(POLICY, peer);
        bench.send(&get("/status"));
        if status == 200 {
            assert_eq!(bench.events, [Event::Page(Page::Status)]);
            bench.deliver(PAGE);
        }
        let told = bench.answer();
        assert_eq!(told.status(), status, "{peer:?}");
        let kind = if status == 200 { "application/json" } else { "text/plain; charset=utf-8" };
        assert_eq!(told.field("content-type"), Some(kind));
    }
}

/// A page from elsewhere in a browser beside this process, or at the end of a port-forward.
#[test]
fn a_browser_neither_writes_nor_reads_the_status() {
    let watcher = Peer::Watcher { near: true };
    let written = || write_with("Origin: https://elsewhere.example\r\n", SMALL_BODY);
    let asked = || ask("GET", "/status", "Origin: null\r\n");
    for (peer, request, text) in [
        (Peer::Loopback, written(), "accepted only from this pod"),
        (Peer::Loopback, asked(), "only on loopback"),
        (watcher, written(), "LISTENING_PORT does"),
        (watcher, asked(), "only on loopback"),
    ] {
        let mut bench = Bench::with(POLICY, peer);
        bench.send(&request);
        let told = bench.answer();
        assert_eq!(told.status(), 403);
        assert!(told.text().contains(text), "{}", told.text());
        assert!(!bench.outcomes()[0].is_failed_write(), "it is not this pod's");
    }
}

/// The owner of a name can have it lead to loopback; a page from its host may then read answers, and sends no Origin.
#[test]
fn only_under_a_name_of_this_machine_is_told_what_concerns_the_pod_alone() {
    let local = ["localhost", "LOCALHOST:8081", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8081"];
    let foreign = ["h", "localhost.h", "xlocalhost", "127.h", "127.0.0.1.h:8081", "10.0.0.1", "[::2]", "[2001:db8::1]"];
    for (host, near) in local.map(|host| (host, true)).into_iter().chain(foreign.map(|host| (host, false))) {
        let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes();
        let mut bench = Bench::new();
        bench.send(&ask("/status"));
        assert_eq!(bench.take_events().contains(&Event::Page(Page::Status)), near, "{host}");
        let mut bench = Bench::new();
        bench.send(&ask("/ready"));
        bench.exchange.readiness_detail(bench.now, "no label");
        bench.settle();
        let told = bench.answer();
        assert_eq!((told.status(), told.text().contains("no label")), (503, near), "{host}");
    }
    let mut bench = Bench::new();
    bench.send(b"GET /status HTTP/1.0\r\n\r\n");
    assert_eq!(bench.answer().status(), 403, "no Host");
}

#[test]
fn everybody_may_read_metrics_but_nobody_may_write_at_the_watchers_port() {
    for peer in [Peer::Loopback, Peer::Watcher { near: true }, Peer::Allowed, Peer::Foreign] {
        let mut bench = Bench::with(POLICY, peer);
        bench.send(&get("/metrics"));
        bench.deliver(PAGE);
        assert_eq!(bench.answer().status(), 200, "{peer:?}");
    }
    for near in [true, false] {
        let mut bench = Bench::with(POLICY, Peer::Watcher { near });
        bench.send(&write(SMALL_BODY));
        let told = bench.answer();
        assert_eq!(told.status(), 403);
        assert!(told.text().contains("LISTENING_PORT"), "{}", told.text());
        let mut bench = Bench::with(POLICY, Peer::Watcher { near });
        bench.send(&get("/status"));
        let shown = bench.take_events().contains(&Event::Page(Page::Status));
        assert_eq!(shown, near);
    }
}

#[test]
fn without_room_for_the_page_it_is_503() {
    let full = |bench: &mut Bench| {
        let told = bench.answer();
        assert_eq!((told.status(), told.field("retry-after")), (503, Some("1")));
        assert!(told.text().contains("too many concurrent requests") && bench.is_kept_alive());
    };
    let mut bench = Bench::new();
    bench.send(&get("/metrics"));
    bench.exchange.exhausted(bench.now);
    bench.settle();
    full(&mut bench);
    bench.send(&get("/status"));
    assert_eq!(bench.exchange.deadline(), bench.now.saturating_add(TIMEOUTS.admission));
    bench.pass_deadline();
    full(&mut bench);
    bench.exchange.page_ready(bench.now, PAGE.len());
    assert!(!bench.exchange.interest().client_write, "a page that comes too late");
}

#[test]
fn a_reader_that_does_not_read_is_let_go() {
    let mut bench = Bench::new();
    bench.send(&get("/metrics"));
    bench.exchange.page_ready(bench.now, PAGE.len());
    let head = bench.exchange.client_pending().len();
    assert_eq!(bench.exchange.page_offset(), None, "the head is first");
    bench.exchange.client_drained(bench.now, head - 1);
    assert_eq!((bench.exchange.page_offset(), bench.exchange.client_pending().len()), (None, 1), "all of the head");
    bench.exchange.client_drained(bench.now, 1);
    assert_eq!(bench.exchange.page_offset(), Some(0));
    bench.exchange.client_drained(bench.now, 4999);
    assert_eq!(bench.exchange.page_offset(), Some(4999));
    assert!(bench.exchange.interest().client_write, "the last byte");
    assert_eq!(bench.exchange.deadline(), bench.now.saturating_add(TIMEOUTS.answer));
    bench.exchange.wake(bench.exchange.deadline());
    assert!(bench.exchange.is_done());
}

#[test]
fn nothing_is_left_to_send_after_the_end() {
    let mut bench = Bench::new();
    bench.send(&get("/metrics"));
    bench.exchange.page_ready(bench.now, PAGE.len());
    bench.exchange.wake(bench.exchange.deadline());
    assert!(bench.exchange.is_done());
    assert_eq!(bench.exchange.interest(), Interest::default());
}

#[test]
fn pages_and_writes_on_one_connection_keep_their_order() {
    let mut bench = Bench::new();
    let all = [get("/metrics"), write(SMALL_BODY), get("/metrics")].concat();
    let rest = bench.offer(&all).to_vec();
    bench.deliver(PAGE);
    assert_eq!(bench.forward(&answer(204, "", "")).body, SMALL_BODY);
    bench.send(&rest);
    bench.deliver(PAGE);
    assert_eq!(bench.answers().iter().map(Message::status).collect::<Vec<_>>(), [200, 204, 200]);
}

#[test]
fn the_index_lists_writes_to_those_who_may_write() {
    for (peer, writes) in
        [(Peer::Loopback, 1), (Peer::Allowed, 1), (Peer::Watcher { near: true }, 0), (Peer::Foreign, 0)]
    {
        let mut bench = Bench::with(POLICY, peer);
        bench.send(&get("/"));
        let told = bench.answer();
        let lines = told.text().lines().filter(|line| line.starts_with("POST /api/v1/write")).count();
        assert_eq!((told.status(), lines), (200, writes), "{peer:?}");
        assert_eq!(told.text().lines().filter(|line| line.starts_with("GET /")).count(), 5);
    }
}
