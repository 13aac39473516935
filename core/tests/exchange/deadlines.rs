//! Each phase has its time limit, and the clock decides when it is over.

use core::time::Duration;

use remora_core::forward::{Event, Exchange, PACE, Peer, Policy, Purpose, Timeouts};
use remora_core::time::Instant;

use crate::bench::{Bench, POLICY, TIMEOUTS};
use crate::message::{BODY, SMALL_BODY, answer, write};

const MILLISECOND: Duration = Duration::from_millis(1);

/// The current phase ends `after` from now, neither earlier nor later.
fn expect_deadline(bench: &mut Bench, after: Duration) {
    assert_eq!(bench.exchange.deadline(), bench.now.saturating_add(after));
    bench.take_events();
    bench.pass(after.checked_sub(MILLISECOND).expect("a deadline ahead"));
    assert!(bench.events.is_empty(), "{:?} before the deadline", bench.events);
    bench.pass(MILLISECOND);
    assert!(!bench.events.is_empty(), "nothing at the deadline");
}

#[test]
fn an_idle_connection_is_closed() {
    let mut bench = Bench::new();
    expect_deadline(&mut bench, TIMEOUTS.idle);
    assert_eq!(bench.take_events(), [Event::Close]);
}

#[test]
fn the_idle_time_begins_with_the_end_of_the_last_answer() {
    let mut bench = Bench::new();
    bench.pass(Duration::from_secs(100));
    bench.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    expect_deadline(&mut bench, TIMEOUTS.idle);
}

#[test]
fn a_head_has_its_time_from_its_first_byte_on() {
    let mut bench = Bench::new();
    bench.send(b"P");
    let first = bench.now;
    bench.pass(Duration::from_secs(10));
    bench.send(b"OST ");
    assert_eq!(bench.exchange.deadline(), first.saturating_add(TIMEOUTS.head));
    expect_deadline(&mut bench, TIMEOUTS.head.checked_sub(Duration::from_secs(10)).unwrap());
    assert_eq!(bench.take_events(), [Event::Close]);
}

#[test]
fn a_body_that_finds_no_room_is_told_to_come_again() {
    let mut bench = Bench::without_room();
    assert!(!bench.exchange.interest().client_read, "a body without room is not read");
    expect_deadline(&mut bench, TIMEOUTS.admission);
    let told = bench.answer();
    assert_eq!((told.status(), told.field("retry-after"), told.field("connection")), (503, Some("1"), Some("close")));
}

#[test]
fn a_body_has_its_time() {
    let mut bench = Bench::new();
    let request = write(BODY);
    bench.send(&request[..request.len() - BODY.len()]);
    expect_deadline(&mut bench, TIMEOUTS.body_start);
    let told = bench.answer();
    assert_eq!((told.status(), told.field("retry-after"), told.field("connection")), (503, Some("1"), Some("close")));
    assert_eq!(bench.take_events().last(), Some(&Event::HalfClose));
    assert!(!bench.exchange.is_open(), "what is drained is no request");
    expect_deadline(&mut bench, TIMEOUTS.drain);
    assert_eq!(bench.take_events(), [Event::Close]);
}

/// How long an endless body that arrives at `pace` bytes per second is accepted.
fn time_at(pace: usize) -> Duration {
    let mut bench = Bench::with(Policy { max_body_bytes: usize::MAX, ..POLICY }, Peer::Loopback);
    let head = String::from_utf8(write(b"")).unwrap();
    bench.send(head.replace("Length: 0", "Length: 1000000000").as_bytes());
    let began = bench.now;
    while bench.outcomes().is_empty() {
        bench.pass(Duration::from_millis(100));
        if bench.exchange.body_room() > 0 {
            bench.exchange.body_filled(bench.now, pace / 10);
        }
    }
    bench.now.since(began)
}

#[test]
fn a_body_that_comes_faster_has_more_time() {
    assert_eq!(time_at(0), TIMEOUTS.body_start);
    // At half the pace, each second extends the limit by half a second.
    let half = time_at(PACE * 1000 / 2);
    let nearly = (TIMEOUTS.body_start * 2).saturating_sub(Duration::from_millis(200));
    assert!((nearly..=TIMEOUTS.body_start * 2).contains(&half), "{half:?}");
    assert_eq!(time_at(PACE * 1000 * 9 / 10), TIMEOUTS.body);
    assert_eq!(time_at(1_000_000), TIMEOUTS.body);
}

#[test]
fn a_draining_sender_does_not_gain_time_by_sending() {
    let mut bench = Bench::with(POLICY, Peer::Foreign);
    bench.send(&write(BODY)[..200]);
    let deadline = bench.exchange.deadline();
    bench.pass(Duration::from_secs(4));
    bench.send(&[0; 5000]);
    assert_eq!(bench.exchange.deadline(), deadline);
}

#[test]
fn the_time_for_azure_spans_token_connection_and_repairs() {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    let end = bench.now.saturating_add(TIMEOUTS.upstream);
    bench.pass(Duration::from_secs(5));
    bench.attach(true);
    bench.pass(Duration::from_secs(5));
    bench.azure_closes();
    bench.pass(Duration::from_secs(5));
    bench.forward(&answer(401, "", ""));
    bench.pass(Duration::from_secs(5));
    bench.refresh();
    bench.attach(false);
    assert_eq!(bench.exchange.deadline(), end);
    expect_deadline(&mut bench, Duration::from_secs(5));
    assert!(bench.events.contains(&Event::Release { reusable: false }));
    assert_eq!(bench.answer().status(), 504);
}

#[test]
fn a_late_body_shortens_the_time_for_azure() {
    // Seconds: the time limit for Azure, how long the body waits for room, and what is left for Azure.
    for (limit, wait, left) in [
        (25, 0, 25),
        (25, 1, 24),
        (25, 18, 7),
        (25, 20, 5),
        (25, 23, 5),
        (60, 23, 37),
        (6, 0, 6),
        (6, 20, 5),
        (2, 22, 2),
    ] {
        let timeouts = Timeouts { upstream: Duration::from_secs(limit), ..TIMEOUTS };
        let mut bench = Bench::with(Policy { timeouts, ..POLICY }, Peer::Loopback);
        let request = write(SMALL_BODY);
        let head = request.len() - SMALL_BODY.len();
        bench.exchange.client_space()[..head].copy_from_slice(&request[..head]);
        bench.exchange.client_filled(bench.now, head);
        assert_eq!(bench.exchange.poll_event(), Some(Event::Reserve(SMALL_BODY.len())));
        bench.pass(Duration::from_secs(wait));
        bench.exchange.reserved(bench.now);
        bench.submit(SMALL_BODY);
        bench.attach(false);
        bench.request();
        expect_deadline(&mut bench, Duration::from_secs(left));
        assert_eq!(bench.answer().status(), 504, "{limit} {wait}");
    }
}

#[test]
fn azure_does_not_gain_time_by_interim_responses() {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.attach(false);
    bench.request();
    for _ in 0..24 {
        bench.pass(Duration::from_secs(1));
        bench.azure(b"HTTP/1.1 102 Processing\r\n\r\n");
    }
    expect_deadline(&mut bench, Duration::from_secs(1));
    assert_eq!(bench.answer().status(), 504);
}

#[test]
fn a_late_wait_for_connection_or_token_is_told() {
    for (refreshing, told) in [(false, "no connection in time"), (true, "no new token arrived in time")] {
        let mut bench = Bench::new();
        bench.submit(&write(SMALL_BODY));
        if refreshing {
            bench.forward(&answer(401, "", ""));
        }
        expect_deadline(&mut bench, TIMEOUTS.upstream);
        let answer = bench.answer();
        assert_eq!(answer.status(), 503);
        assert!(answer.text().contains(told), "{answer:?}");
        assert_eq!(bench.exchange.answer_text(), answer.text().trim_end(), "one line of a log");
    }
}

#[test]
fn a_sender_that_does_not_take_its_answer_is_left() {
    let mut bench = Bench::new();
    let head = b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n";
    bench.exchange.client_space()[..head.len()].copy_from_slice(head);
    bench.exchange.client_filled(bench.now, head.len());
    let deadline = bench.now.saturating_add(TIMEOUTS.answer);
    assert_eq!(bench.exchange.deadline(), deadline);
    bench.exchange.client_drained(bench.now, 5);
    assert_eq!(bench.exchange.deadline(), deadline, "a few bytes gain no time");
    bench.exchange.wake(deadline);
    bench.exchange.poll_event();
    assert_eq!(bench.exchange.poll_event(), Some(Event::Close));
}

#[test]
fn waking_early_changes_nothing() {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.take_events();
    let deadline = bench.exchange.deadline();
    for _ in 0..100 {
        bench.exchange.wake(bench.now);
    }
    bench.settle();
    assert!(bench.events.is_empty());
    assert_eq!(bench.exchange.deadline(), deadline);
}

#[test]
fn an_exchange_that_is_over_has_no_deadline() {
    let mut bench = Bench::new();
    bench.exchange.client_eof(bench.now);
    bench.settle();
    assert_eq!((bench.exchange.is_done(), bench.exchange.deadline()), (true, Instant::NEVER));
    bench.pass(Duration::from_secs(10_000));
    assert_eq!(bench.take_events(), [Event::Close], "closed once");
}

#[test]
fn an_outcome_says_when_its_own_request_began_and_what_it_was_for() {
    let mut bench = Bench::new();
    bench.pass(Duration::from_secs(20));
    let first = bench.now;
    bench.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    bench.pass(Duration::from_secs(50));
    bench.offer(b"\x16\x03\x01");
    let told: Vec<_> = bench.outcomes().iter().map(|outcome| (outcome.began, outcome.purpose)).collect();
    assert_eq!(told, [(first, Purpose::Probe), (bench.now, Purpose::Stray)]);
    assert!(bench.outcomes().iter().all(|outcome| !outcome.is_failed_write()), "neither was a write");
}

#[test]
fn an_outcome_tells_nothing_of_the_request_before() {
    let mut bench = Bench::new();
    bench.submit(&write(BODY));
    bench.forward(&answer(204, "", ""));
    bench.send(&write(b""));
    let outcomes = bench.outcomes();
    assert_eq!((outcomes[0].body_bytes, outcomes[0].upstream_status), (BODY.len(), Some(204)));
    assert_eq!(outcomes[0].counts.map(|counts| counts.samples), Some(500));
    assert_eq!((outcomes[1].body_bytes, outcomes[1].upstream_status, outcomes[1].counts), (0, None, None));
    assert_eq!(outcomes[1].purpose, Purpose::Write);
    assert!(outcomes[0].is_success() && !outcomes[0].is_failed_write());
    assert!(!outcomes[1].is_success() && outcomes[1].is_failed_write());
}

#[test]
fn of_an_answer_that_is_cut_within_a_character_the_log_has_the_rest() {
    let mut bench = Bench::new();
    bench.submit(&write(BODY));
    bench.forward(&answer(400, "", &format!("x{}", "é".repeat(2000))));
    assert_eq!(bench.exchange.answer_text(), format!("x{}", "é".repeat(511)));
}

#[test]
fn buffers_come_back_at_their_full_length() {
    // Less than the first read of a head usually takes.
    let (inbox, outbox) = (vec![0; 1024].leak(), vec![0; 512].leak());
    let bench = Bench::new();
    let mut exchange = Exchange::new(bench.now, bench.gateway, Peer::Loopback, inbox, outbox);
    exchange.client_space()[..4].copy_from_slice(b"POST");
    exchange.client_filled(bench.now, 4);
    let (inbox, outbox) = exchange.into_buffers();
    assert_eq!((inbox.len(), outbox.len()), (1024, 512));
}

#[test]
fn an_answer_for_which_there_is_no_room_ends_the_connection() {
    for path in ["/health", "/metrics"] {
        let bench = Bench::new();
        let (inbox, outbox) = (vec![0; 1024].leak(), vec![0; 20].leak());
        let mut exchange = Exchange::new(bench.now, bench.gateway, Peer::Loopback, inbox, outbox);
        let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        exchange.client_space()[..head.len()].copy_from_slice(head.as_bytes());
        exchange.client_filled(bench.now, head.len());
        exchange.page_ready(bench.now, 1);
        assert!(exchange.is_done() && exchange.client_pending().is_empty(), "{path}");
    }
}

#[test]
fn buffers_are_given_away_between_requests_only() {
    let mut bench = Bench::new();
    bench.submit(&write(BODY));
    assert!(bench.exchange.park().is_none(), "a request is open");
    bench.forward(&answer(204, "", ""));
    assert_eq!(bench.answer().status(), 204);

    let (inbox, outbox) = bench.exchange.park().expect("nothing is open");
    assert!(bench.exchange.is_parked() && bench.exchange.park().is_none());
    assert_eq!(bench.exchange.answer_text(), "", "nothing of what others put there");
    bench.exchange.resume(inbox, outbox);
    bench.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(bench.answer().text(), "ok\n");
    bench.send(b"POST");
    assert!(bench.exchange.park().is_none(), "part of a head is here");
}

#[test]
fn a_silent_connection_ends_without_buffers() {
    let mut bench = Bench::new();
    assert!(bench.exchange.park().is_some());
    bench.pass_deadline();
    assert!(bench.exchange.is_done());
}

#[test]
fn who_may_not_write_is_not_kept_idle() {
    let (inbox, outbox) = (vec![0; 4096].leak(), vec![0; 2048].leak());
    let bench = Bench::new();
    let exchange = Exchange::new(bench.now, bench.gateway, Peer::Foreign, inbox, outbox);
    assert_eq!(exchange.deadline(), bench.now.saturating_add(TIMEOUTS.head));
}

#[test]
fn a_turn_that_comes_late_leaves_half_of_the_time() {
    let mut bench = Bench::new();
    bench.submit(&write(BODY));
    let began = bench.now;
    assert_eq!(bench.exchange.begin_by(began), began.saturating_add(TIMEOUTS.upstream / 2));
    bench.pass(TIMEOUTS.upstream / 4);
    assert_eq!(bench.exchange.begin_by(bench.now), began.saturating_add(TIMEOUTS.upstream * 5 / 8));
}
