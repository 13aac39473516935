//! Retries without the sender's help: after a stale connection, and after a token that Azure no longer accepts.

use core::time::Duration;

use remora_core::forward::{Event, Peer, Policy, Unavailable};
use remora_core::time::Instant;

use crate::bench::{Bench, POLICY, TOKENS};
use crate::message::{BODY, SMALL_BODY, answer, write};

fn submitted() -> Bench {
    let mut bench = Bench::new();
    bench.submit(&write(BODY));
    bench.take_events();
    bench
}

#[test]
fn a_stale_connection_is_replaced_once_and_the_same_body_sent_again() {
    let mut bench = submitted();
    bench.attach(true);
    let first = bench.request();
    bench.azure_closes();
    assert_eq!(bench.take_events(), [Event::Release { reusable: false }, Event::Connect { fresh: true }]);
    assert!(bench.exchange.detach().is_some());
    let second = bench.forward(&answer(204, "", ""));
    assert_eq!(first, second);
    assert_eq!(second.body, BODY);
    assert_eq!(bench.answer().status(), 204);
}

#[test]
fn a_stale_connection_may_break_at_any_point_of_the_request() {
    for sent in [0, 1, BODY.len() / 2] {
        let mut bench = submitted();
        bench.attach(true);
        bench.request_head();
        bench.exchange.body_sent(bench.now, sent);
        bench.exchange.upstream_unwritable(bench.now);
        bench.exchange.upstream_broken(bench.now, "reset");
        bench.settle();
        assert_eq!(bench.events.last(), Some(&Event::Connect { fresh: true }), "{sent}");
        assert_eq!(bench.forward(&answer(204, "", "")).body, BODY);
        assert_eq!(bench.answer().status(), 204);
    }
}

#[test]
fn a_second_broken_connection_is_told() {
    let mut bench = submitted();
    bench.attach(true);
    bench.azure_closes();
    bench.attach(true);
    bench.exchange.upstream_broken(bench.now, "connection reset by peer");
    bench.settle();
    let told = bench.answer();
    assert_eq!(told.status(), 502);
    assert!(told.text().contains("connection reset by peer"));
}

#[test]
fn a_new_connection_that_breaks_is_not_stale() {
    let mut bench = submitted();
    bench.attach(false);
    bench.azure_closes();
    assert_eq!(bench.answer().status(), 502);
}

#[test]
fn a_connection_on_which_something_came_is_not_stale() {
    for begun in [&b"H"[..], b"HTTP/1.1 204 No Content\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"] {
        let mut bench = submitted();
        bench.attach(true);
        bench.request();
        bench.azure(begun);
        bench.azure_closes();
        assert_eq!(bench.answer().status(), 502, "{begun:?}");
    }
}

#[test]
fn what_follows_a_401_is_no_second_answer() {
    for closes in ["", "Connection: close\r\n"] {
        for follows in [&b""[..], b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"x"] {
            for ends in [true, false] {
                let mut bench = submitted();
                bench.forward(&answer(401, closes, "expired"));
                bench.azure(follows);
                if ends {
                    bench.azure_closes();
                }
                bench.refresh();
                let reusable = closes.is_empty() && follows.is_empty() && !ends;
                let expected = [Event::Refresh, Event::Release { reusable }, Event::Connect { fresh: false }];
                assert!(bench.take_events().ends_with(&expected), "{closes:?} {follows:?} {ends}");
                bench.exchange.detach();
                assert_eq!(bench.forward(&answer(204, "", "")).body, BODY);
                assert_eq!(bench.answer().status(), 204);
            }
        }
    }
}

/// A server may announce that it closes an idle connection; that is not a response to the next request.
#[test]
fn what_azure_says_unasked_is_no_answer() {
    for unasked in [answer(408, "Connection: close\r\n", ""), answer(400, "", ""), b"x".to_vec()] {
        let mut bench = submitted();
        bench.attach(true);
        bench.azure(&unasked);
        assert_eq!(bench.events.last(), Some(&Event::Connect { fresh: true }));
        bench.azure_closes();
        assert_eq!(bench.forward(&answer(204, "", "")).body, BODY);
        assert_eq!(bench.answer().status(), 204);
    }
    let mut bench = submitted();
    bench.attach(false);
    bench.azure(&answer(204, "", ""));
    assert_eq!(bench.answer().status(), 502, "on a new connection");
}

#[test]
fn a_401_forces_one_refresh_and_one_resend() {
    let mut bench = submitted();
    let first = bench.forward(&answer(401, "", ""));
    assert_eq!(bench.events.last(), Some(&Event::Refresh));
    assert!(bench.received.is_empty());
    bench.take_events();
    bench.events.push(Event::Refresh);
    bench.refresh();
    assert_eq!(bench.take_events()[1..], [Event::Release { reusable: true }, Event::Connect { fresh: false }]);
    let second = bench.forward(&answer(200, "", ""));
    assert_eq!((first.field("authorization"), second.field("authorization")), (Some(TOKENS[0]), Some(TOKENS[1])));
    assert_eq!((first.body, second.body), (BODY.to_vec(), BODY.to_vec()));
    assert_eq!(bench.answer().status(), 200);
    assert_eq!(bench.outcomes()[0].upstream_status, Some(200));
}

#[test]
fn after_a_stale_connection_a_401_is_resent_on_a_new_one() {
    let mut bench = submitted();
    bench.attach(true);
    bench.azure_closes();
    bench.forward(&answer(401, "", "expired"));
    bench.refresh();
    assert!(bench.events.ends_with(&[Event::Release { reusable: true }, Event::Connect { fresh: true }]));
}

#[test]
fn a_second_401_is_told_without_another_refresh() {
    let mut bench = submitted();
    bench.forward(&answer(401, "", ""));
    bench.refresh();
    bench.take_events();
    bench.forward(&answer(401, "", ""));
    assert_eq!(bench.answer().status(), 503);
    assert!(!bench.events.contains(&Event::Refresh));
    assert_eq!(bench.outcomes()[0].upstream_status, Some(401));
}

#[test]
fn a_401_before_the_second_try_does_not_stand_for_how_that_ends() {
    let mut bench = submitted();
    bench.forward(&answer(401, "", ""));
    bench.refresh();
    bench.attach(false);
    bench.request();
    bench.pass_deadline();
    assert_eq!(bench.answer().status(), 504);
    assert_eq!(bench.outcomes()[0].upstream_status, None);
}

#[test]
fn the_next_request_may_be_repaired_again() {
    let mut bench = submitted();
    for _ in 0..2 {
        bench.attach(true);
        bench.azure_closes();
        bench.forward(&answer(401, "", ""));
        bench.events.push(Event::Refresh);
        bench.refreshes = 0;
        bench.refresh();
        bench.forward(&answer(204, "", ""));
        assert_eq!(bench.answer().status(), 204);
        bench.submit(&write(BODY));
    }
}

#[test]
fn a_401_on_a_connection_that_azure_closes_is_resent_on_another() {
    let mut bench = submitted();
    bench.forward(&answer(401, "Connection: close\r\n", ""));
    bench.refresh();
    assert!(bench.take_events().ends_with(&[Event::Release { reusable: false }, Event::Connect { fresh: false }]));
}

#[test]
fn a_401_before_the_body_is_sent_is_resent_on_another_connection() {
    let mut bench = submitted();
    bench.attach(false);
    bench.request_head();
    bench.exchange.body_sent(bench.now, 100);
    bench.azure(&answer(401, "", "expired"));
    bench.refresh();
    let expected = [Event::Refresh, Event::Release { reusable: false }, Event::Connect { fresh: false }];
    assert_eq!(bench.take_events(), expected);
    bench.exchange.detach();
    assert_eq!(bench.forward(&answer(204, "", "")).body, BODY);
    assert_eq!(bench.answer().status(), 204);
}

#[test]
fn a_driver_may_refuse_while_the_token_is_refreshed() {
    let mut bench = submitted();
    bench.forward(&answer(401, "", "expired"));
    bench.exchange.refuse(bench.now, Unavailable::NoToken, "shutting down");
    bench.settle();
    let told = bench.answer();
    assert_eq!(told.status(), 503);
    assert!(told.text().contains("shutting down"), "{told:?}");
    assert!(bench.events.contains(&Event::Release { reusable: false }));
}

#[test]
fn a_connection_is_lent_again_only_after_a_clean_response() {
    for (reusable, bytes) in [
        (true, answer(204, "", "")),
        (true, answer(503, "", "later")),
        (true, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".to_vec()),
        (false, answer(200, "Connection: close\r\n", "")),
        (false, b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec()),
        (false, [answer(200, "", ""), b"x".to_vec()].concat()),
        (false, b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc".to_vec()),
        (true, answer(500, "", &"x".repeat(65_536))),
        (false, answer(500, "", &"x".repeat(65_537))),
    ] {
        let mut bench = submitted();
        bench.forward(&bytes);
        assert_eq!(bench.answers().len(), 1);
        assert!(bench.events.contains(&Event::Release { reusable }), "{:?}", String::from_utf8_lossy(&bytes[..40]));
    }
}

/// The old address of a workspace that has moved refuses for as long as it is asked.
#[test]
fn a_connection_that_may_lead_elsewhere_is_given_up() {
    for (status, reusable) in [
        (204, true),
        (400, true),
        (413, true),
        (429, true),
        (500, true),
        (307, false),
        (403, false),
        (404, false),
        (405, false),
        (408, false),
        (421, false),
    ] {
        let mut bench = submitted();
        bench.forward(&answer(status, "", ""));
        assert!(bench.events.contains(&Event::Release { reusable }), "{status}");
    }
    // The first 401 says something about the token, the second about the host as well.
    let mut bench = submitted();
    bench.forward(&answer(401, "", ""));
    bench.refresh();
    assert!(bench.events.contains(&Event::Release { reusable: true }));
    bench.forward(&answer(401, "", ""));
    assert!(bench.events.contains(&Event::Release { reusable: false }));
    // So does one to a token that could not be newer.
    let mut bench = submitted();
    bench.forward(&answer(401, "", ""));
    bench.exchange.unrefreshed(bench.now, None);
    bench.settle();
    assert!(bench.events.contains(&Event::Release { reusable: false }));
}

#[test]
fn interim_responses_are_swallowed() {
    let mut bench = submitted();
    let interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(50);
    bench.forward(&[interim, answer(204, "", "")].concat());
    assert_eq!(bench.answers().len(), 1);
    assert!(bench.events.contains(&Event::Release { reusable: true }));
}

#[test]
fn the_hold_begins_with_the_first_refusal_after_a_success_and_ends() {
    let refusal_hold = Duration::from_secs(250);
    let mut bench = Bench::with(Policy { refusal_hold, ..POLICY }, Peer::Loopback);
    // Seconds since the last request, the status from Azure, the status to the sender.
    for (after, status, told) in [
        (300, 403, 503),
        (249, 204, 204),
        (300, 403, 503),
        (249, 404, 503),
        (1, 403, 403),
        (100, 401, 401),
        (0, 204, 204),
        (10, 403, 503),
        // What lies apart by more than the hold did not last so long.
        (251, 403, 503),
        (250, 403, 403),
        (251, 403, 503),
    ] {
        bench.pass(Duration::from_secs(after));
        bench.submit(&write(SMALL_BODY));
        bench.forward(&answer(status, "", ""));
        if status == 401 {
            bench.exchange.unrefreshed(bench.now, None);
            bench.settle();
        }
        assert_eq!(bench.answer().status(), told, "{status} after {after} s");
    }
}

#[test]
fn neither_a_verdict_nor_what_passes_by_itself_begins_a_hold() {
    for status in [400, 408, 409, 413, 415, 421, 422, 425, 429, 500] {
        let mut bench = Bench::with(Policy { refusal_hold: Duration::from_secs(250), ..POLICY }, Peer::Loopback);
        bench.submit(&write(SMALL_BODY));
        bench.forward(&answer(status, "", ""));
        bench.answer();
        bench.pass(Duration::from_secs(200));
        assert_eq!(refused(&mut bench), 503, "after {status}");
        bench.pass(Duration::from_secs(249));
        assert_eq!(refused(&mut bench), 503, "after {status}");
    }
}

#[test]
fn a_hold_ends_though_each_refusal_comes_later_than_it_lasts() {
    let policy = Policy { refusal_hold: Duration::from_secs(10), ..POLICY };
    let mut bench = Bench::with(policy, Peer::Loopback);
    bench.pass(Duration::from_secs(300));
    assert_eq!(refused(&mut bench), 503);
    for told_to_wait in [30, 60] {
        bench.pass(Duration::from_secs(told_to_wait + 1));
        assert_eq!(refused(&mut bench), 403, "after {told_to_wait} s");
    }
}

/// The status to the sender of a write that Azure refuses.
fn refused(bench: &mut Bench) -> u16 {
    bench.submit(&write(SMALL_BODY));
    bench.forward(&answer(403, "", ""));
    bench.answer().status()
}

#[test]
fn a_success_on_one_connection_holds_for_all() {
    let mut bench = Bench::with(Policy { refusal_hold: Duration::from_secs(300), ..POLICY }, Peer::Loopback);
    assert_eq!(refused(&mut bench), 503);
    bench.pass(Duration::from_secs(150));
    let mut other = bench.beside();
    other.submit(&write(SMALL_BODY));
    other.forward(&answer(204, "", ""));
    bench.pass(Duration::from_secs(200));
    assert_eq!(refused(&mut bench), 503);
    bench.pass(Duration::from_secs(300));
    assert_eq!(refused(&mut bench), 403);
}

#[test]
fn a_success_of_another_thread_holds_for_this_one_as_well() {
    let mut bench = Bench::with(Policy { refusal_hold: Duration::from_secs(300), ..POLICY }, Peer::Loopback);
    assert_eq!(refused(&mut bench), 503);
    bench.pass(Duration::from_secs(150));
    let latest = bench.now;
    bench.gateway.learn_success(latest);
    bench.pass(Duration::from_secs(200));
    assert_eq!(refused(&mut bench), 503);
    // News of a success before the last one changes nothing.
    bench.gateway.learn_success(Instant::ZERO);
    assert_eq!(bench.gateway.last_success(), Some(latest));
}

#[test]
fn a_buffer_that_came_too_late_is_given_back() {
    let mut bench = submitted();
    bench.exchange.client_broken(bench.now);
    bench.settle();
    assert!(bench.exchange.is_done());
    bench.take_events();
    bench.attach(false);
    assert_eq!(bench.take_events(), [Event::Release { reusable: true }]);
    assert!(bench.exchange.detach().is_some());
}

#[test]
fn results_that_nobody_waits_for_change_nothing() {
    let mut bench = submitted();
    bench.pass_deadline();
    assert_eq!(bench.answer().status(), 503);
    bench.take_events();
    let now = bench.now;
    bench.exchange.refuse(now, Unavailable::Connect, "late");
    bench.exchange.refreshed(now);
    bench.exchange.unrefreshed(now, Some("late"));
    bench.exchange.reserved(now);
    bench.exchange.readiness_detail(now, "late");
    bench.exchange.upstream_eof(now);
    bench.exchange.upstream_broken(now, "late");
    bench.settle();
    assert!(bench.events.is_empty() && bench.received.is_empty() && bench.is_kept_alive());
}
