use std::cell::RefCell;

use remora_core::time::Instant;
use remora_core::token::{Action, Event, Lifecycle, Policy};
use remora_smol::Skew;

use super::*;
use crate::log::Format;

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn journal() -> Journal {
    journal_at(Level::Info)
}

fn journal_at(level: Level) -> Journal {
    LINES.take();
    let keep = |line: &str| LINES.with_borrow_mut(|lines| lines.push(line.trim_end().to_owned()));
    Journal::new(Log::to(keep, level, Format::Logfmt))
}

/// The lines since the last call, without their timestamps.
fn lines() -> Vec<String> {
    LINES.take().iter().map(|line| line.split_once(' ').map_or_else(String::new, |(_, rest)| rest.to_owned())).collect()
}

fn failure(message: &str, code: Option<u32>) -> Failure {
    let mut failure = Failure::default();
    failure.message.push_str(message);
    (failure.status, failure.code) = (code.map(|_| 401), code);
    failure
}

/// When the exchange that failed is tried again.
const NEXT: Duration = Duration::from_secs(30);

const NO_TOKEN: Notice<'_> = Notice::NotAccepted {
    status: 503,
    upstream_status: None,
    unavailable: Some(Unavailable::NoToken),
    purpose: Purpose::Write,
    text: "remora: no usable token: AADSTS700016: x",
    peer: None,
};

/// A response from Azure, or a rejection, as a sender in the pod receives it.
fn told(status: u16, upstream_status: Option<u16>, text: &str) -> Notice<'_> {
    told_to(None, status, upstream_status, text)
}

fn told_to(peer: Option<IpAddr>, status: u16, upstream_status: Option<u16>, text: &str) -> Notice<'_> {
    let purpose = if peer.is_some() { Purpose::Stray } else { Purpose::Write };
    Notice::NotAccepted { status, upstream_status, unavailable: None, purpose, text, peer }
}

const QUIET: Notice<'_> = Notice::Minute(Minute { succeeded: 0, failed: 0, bytes: 0, busy: Duration::ZERO });

#[test]
fn a_failure_is_told_at_once_then_once_a_minute_and_after_ten_quiet_minutes_at_once_again() {
    let journal = journal();
    let first =
        "level=warn msg=\"request not accepted\" status=503 answer=\"remora: no usable token: AADSTS700016: x\"";
    (0..1000).for_each(|_| journal.notice(&NO_TOKEN));
    assert_eq!(lines(), [first]);
    journal.notice(&QUIET);
    assert_eq!(lines(), [format!("{first} repeated=999")]);
    journal.notice(&NO_TOKEN);
    assert!(lines().is_empty());
    journal.notice(&QUIET);
    assert_eq!(lines(), [format!("{first} repeated=1")]);
    (0..MEMORY).for_each(|_| journal.notice(&QUIET));
    journal.notice(&NO_TOKEN);
    assert_eq!(lines(), [first]);
}

#[test]
fn strangers_do_not_blur_what_distinguishes_this_pods_failures() {
    let journal = journal();
    for status in 0..u16::try_from(MOST_KINDS).unwrap() {
        journal.notice(&told_to(Some([10, 0, 0, 1].into()), 400 + status, None, "remora: malformed"));
    }
    assert_eq!(lines().len(), MOST_KINDS);
    journal.notice(&told(400, Some(400), "remora: Azure answered 400: one reason"));
    journal.notice(&told(400, Some(400), "remora: Azure answered 400: another reason"));
    assert_eq!(lines().len(), 2);
}

#[test]
fn strangers_do_not_hide_a_refusal_of_this_pods_writes() {
    let journal = journal();
    let foreign = told_to(Some([10, 0, 0, 1].into()), 403, None, "remora: writes are accepted only from this pod");
    let (status, text) = (404, "remora: no such path");
    let probe = Notice::NotAccepted {
        status,
        upstream_status: None,
        unavailable: None,
        purpose: Purpose::Lookup,
        text,
        peer: None,
    };
    let refused = told(503, Some(403), "remora: Azure answered 403");
    for notice in [&foreign, &probe, &refused] {
        journal.notice(notice);
    }
    lines();
    for _ in 0..100 {
        journal.notice(&foreign);
        journal.notice(&probe);
    }
    journal.notice(&refused);
    journal.notice(&QUIET);
    let summed = lines();
    assert!(summed.iter().any(|line| line.contains("azure_status=403") && line.contains("repeated=1")), "{summed:?}");
    assert_eq!(summed.len(), 3, "the strangers' and the probes' own: {summed:?}");
}

#[test]
fn every_answer_has_a_line_at_debug_and_none_above() {
    let took = Duration::from_micros(12_900);
    let stored = Notice::Answered { status: 204, upstream_status: Some(200), bytes: 1536, samples: Some(500), took };
    let stray = Notice::Answered { status: 404, upstream_status: None, bytes: 0, samples: None, took: Duration::ZERO };
    let journal = journal_at(Level::Debug);
    for notice in [&stored, &stored, &stray] {
        journal.notice(notice);
    }
    let line = "level=debug msg=\"request answered\" status=204 azure_status=200 bytes=1536 samples=500 duration_ms=12";
    let last = "level=debug msg=\"request answered\" status=404 bytes=0 duration_ms=0";
    assert_eq!(lines(), [line, line, last]);
    let journal = journal_at(Level::Info);
    journal.notice(&stored);
    assert!(lines().is_empty());
}

#[test]
fn the_end_of_a_minute_without_a_success_is_told_once() {
    let journal = journal();
    let answered = |status, upstream_status| {
        journal.notice(&Notice::Answered { status, upstream_status, bytes: 1, samples: None, took: Duration::ZERO });
    };
    let minute = |succeeded, failed| {
        let bytes = succeeded + failed;
        journal.notice(&Notice::Minute(Minute { succeeded, failed, bytes, busy: Duration::ZERO }));
    };
    minute(1, 9);
    answered(204, Some(204));
    minute(0, 9);
    journal.notice(&QUIET);
    lines();
    answered(503, Some(500));
    answered(400, None);
    assert!(lines().is_empty());
    answered(204, Some(204));
    answered(204, Some(204));
    assert_eq!(lines(), ["level=info msg=\"Azure accepts writes again\""]);
}

#[test]
fn failures_are_told_apart_by_what_repairs_them() {
    let journal = journal();
    let refused = |status, upstream_status, text| journal.notice(&told(status, upstream_status, text));
    let unavailable = |why, text| {
        let (status, unavailable, purpose) = (503, Some(why), Purpose::Write);
        journal.notice(&Notice::NotAccepted { status, upstream_status: None, unavailable, purpose, text, peer: None });
    };
    unavailable(Unavailable::Resolve, "remora: name resolution failed: h: no address");
    unavailable(Unavailable::Connect, "remora: connection failed: h: refused");
    unavailable(Unavailable::Capacity, "remora: over capacity, try again: the body memory is full; raise BODY_MEMORY");
    unavailable(Unavailable::Capacity, "remora: over capacity, try again: already forwarding MAX_IN_FLIGHT requests");
    refused(503, Some(403), "remora: Azure answered 403; the identity needs a role: trace 1");
    refused(403, Some(403), "trace 2");
    journal.notice(&Notice::TokenFailed { failure: &failure("AADSTS1: a", Some(1)), serving: true, next: NEXT });
    journal.notice(&Notice::TokenFailed { failure: &failure("AADSTS2: a", Some(2)), serving: true, next: NEXT });
    journal.notice(&Notice::TokenFailed { failure: &failure("h: timed out", None), serving: true, next: NEXT });
    assert_eq!(lines().len(), 9);
    // The same failures again, with different IDs.
    unavailable(Unavailable::Resolve, "remora: name resolution failed: h: try again");
    refused(503, Some(403), "remora: Azure answered 403; the identity needs a role: trace 3");
    refused(503, Some(403), "remora: Azure answered 403; the identity needs a role: trace 4");
    journal.notice(&Notice::TokenFailed { failure: &failure("AADSTS1: b", Some(1)), serving: true, next: NEXT });
    assert!(lines().is_empty());
    journal.notice(&QUIET);
    let told = lines();
    assert_eq!(told.len(), 2, "{told:?}");
    // As they last occurred.
    assert!(told[0].contains("AADSTS1: b") && told[0].ends_with("repeated=1"), "{told:?}");
    assert!(told[1].contains("trace 4") && told[1].ends_with("repeated=2 others=1 distinct=2"), "{told:?}");
    refused(403, Some(403), "another reason");
    assert!(lines()[0].contains("another reason"));
}

#[test]
fn the_end_of_the_old_token_is_an_error_of_its_own() {
    let journal = journal();
    for (serving, start) in [
        (true, "level=warn msg=\"token exchange failed\""),
        (false, "level=error msg=\"token exchange failed, and there is no usable token\""),
    ] {
        journal.notice(&Notice::TokenFailed { failure: &failure("h: timed out", None), serving, next: NEXT });
        let told = lines();
        assert!(told[0].starts_with(start), "{told:?}");
        assert!(told[0].ends_with(&format!("old_token_serves={serving} next_attempt_s=30")), "{told:?}");
    }
}

#[test]
fn what_is_wrong_with_a_request_is_told_in_its_own_words() {
    let journal = journal();
    let refused = |text| journal.notice(&told(400, None, text));
    refused("remora: remote write: snappy: copy offset 882 at byte 12");
    refused("remora: remote write: snappy: body is empty or ends before its length");
    assert_eq!(lines().len(), 2);
    refused("remora: remote write: snappy: copy offset 7 at byte 1234");
    assert!(lines().is_empty());
    let stray = |purpose| {
        let (status, text) = (400, "remora: http: malformed");
        journal.notice(&Notice::NotAccepted {
            status,
            upstream_status: None,
            unavailable: None,
            purpose,
            text,
            peer: None,
        });
        lines().concat()
    };
    assert!(
        stray(Purpose::Write).starts_with("level=error msg=\"request permanently rejected by Remora: senders such")
    );
    assert!(stray(Purpose::Stray).starts_with("level=warn msg=\"request permanently rejected by Remora: if it was a"));
    assert!(stray(Purpose::Lookup).starts_with("level=warn msg=\"request not accepted\""));
    journal.notice(&told(415, None, "remora: zstd"));
    assert!(lines()[0].starts_with("level=warn msg=\"request permanently rejected by Remora: senders other than"));
}

#[test]
fn no_number_of_different_failures_fills_the_log() {
    let journal = journal();
    for number in 0..10_000 {
        journal.notice(&told(503, Some(number), "remora: x"));
    }
    assert_eq!(lines().len(), 2 * MOST_KINDS + 1);
    journal.notice(&QUIET);
    assert_eq!(lines().len(), 1);
}

#[test]
fn many_wordings_of_one_failure_do_not_hide_another() {
    let journal = journal();
    for word in ('a'..='z').flat_map(|first| ('a'..='z').map(move |second| format!("unknown label {first}{second}"))) {
        journal.notice(&told(400, Some(400), &word));
    }
    journal.notice(&told(503, Some(429), "remora: Azure answered 429 (throttled)"));
    lines();
    journal.notice(&told(500, Some(500), "out of order"));
    assert_eq!(
        lines(),
        ["level=warn msg=\"request not accepted\" status=500 azure_status=500 answer=\"out of order\" \
        see=\"remora explain REMORA-RBAC-05\""]
    );
}

#[test]
fn samples_too_old_are_warned_of_once_a_minute() {
    let journal = journal();
    let oldest = Duration::from_secs(1500);
    (0..50).for_each(|_| journal.notice(&Notice::TooOld { samples: 7, oldest }));
    journal.notice(&QUIET);
    let told = lines();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("samples=7 oldest_age_s=1500") && told[1].contains("repeated=49"), "{told:?}");
}

#[test]
fn a_wrong_clock_is_told_with_the_token() {
    let journal = journal();
    let skew = Some(Skew { by: Duration::from_secs(3660), ahead: true });
    journal.notice(&Notice::TokenGranted { lifetime: Duration::from_secs(60), skew });
    journal.notice(&Notice::TokenGranted { lifetime: Duration::from_secs(60), skew: None });
    let told = lines();
    assert_eq!(told.len(), 3, "{told:?}");
    let clock =
        "level=warn msg=\"this machine's clock differs from the token endpoint's\" clock=\"1h 1m ahead\" fix=\"let";
    assert!(told[1].starts_with(clock) && told[1].ends_with("see=\"remora explain REMORA-NET-04\""), "{told:?}");
}

#[test]
fn an_hour_of_health_is_one_line_a_minute() {
    let journal = journal();
    for _ in 0..60 {
        journal.notice(&Notice::Minute(Minute { succeeded: 60_000, bytes: 1, ..Minute::default() }));
    }
    assert_eq!(lines().len(), 60);
}

/// 3,600,000 refused requests, and as many exchanges as the lifecycle allows, in 60 minutes: a first line and a line a
/// minute for the exchanges, the same for the requests, and a line a minute for the traffic. 1 + 60 + 1 + 60 + 60.
#[test]
fn an_hour_of_a_dead_entra_under_a_thousand_requests_a_second_stays_below_200_lines() {
    let journal = journal();
    let mut life = Lifecycle::new(Policy::DEFAULT, 7);
    let (mut due, mut exchanges) = (Instant::ZERO, 0);
    for second in 0..3600 {
        let now = Instant::from_millis(second * 1000);
        if now >= due {
            let Action::Fetch(fetch) = life.handle(now, Event::Wake) else { panic!("no exchange is due") };
            let failed = Event::Failed { fetch, retry_after: None, throttled: false };
            let Action::WaitUntil(then) = life.handle(now, failed) else { panic!("no pause") };
            (due, exchanges) = (then, exchanges + 1);
            let failure = failure("login.example: io: Connection refused", None);
            journal.notice(&Notice::TokenFailed { failure: &failure, serving: false, next: NEXT });
        }
        (0..1000).for_each(|_| journal.notice(&NO_TOKEN));
        if second % 60 == 59 {
            journal.notice(&Notice::Minute(Minute { failed: 60_000, ..Minute::default() }));
        }
    }
    assert!(exchanges > 120, "{exchanges}");
    assert_eq!(lines().len(), 182);
}

#[test]
fn what_senders_will_not_repeat_is_an_error_that_names_its_page() {
    let journal = journal();
    let refused = |status, upstream_status, text| journal.notice(&told(status, upstream_status, text));
    refused(503, Some(403), "remora: Azure answered 403; the identity needs a role [REMORA-RBAC-01]: no role");
    refused(403, Some(403), "no role");
    refused(400, Some(400), "out of order");
    refused(429, Some(429), "slow down");
    refused(503, Some(400), "remora: a web page answered 400");
    let told = lines();
    assert!(!told[4].contains("see="), "nothing is dropped: {told:?}");
    assert!(told[0].starts_with("level=warn msg=\"request not accepted\" status=503"), "{told:?}");
    assert!(!told[0].contains("see="), "its code is in the answer: {told:?}");
    let lost = "level=error msg=\"request permanently rejected by Azure: senders such as Prometheus drop its samples\"";
    assert_eq!(
        told[1],
        format!("{lost} status=403 azure_status=403 answer=\"no role\" see=\"remora explain REMORA-RBAC-01\"")
    );
    assert_eq!(
        told[2],
        format!("{lost} status=400 azure_status=400 answer=\"out of order\" see=\"remora explain 400\"")
    );
    assert!(
        told[3].starts_with("level=warn") && told[3].ends_with("see=\"remora explain REMORA-RBAC-03\""),
        "{told:?}"
    );
}

#[test]
fn who_was_refused_stands_in_the_line_where_it_is_not_this_pod() {
    let journal = journal();
    let peer = Some([192, 0, 2, 7].into());
    journal.notice(&told_to(peer, 403, None, "remora: no"));
    assert!(lines()[0].ends_with(" status=403 answer=\"remora: no\" peer=192.0.2.7"));
}

#[test]
fn a_sender_that_is_too_impatient_is_told_with_what_repairs_it() {
    let journal = journal();
    journal.notice(&Notice::Abandoned { after: Duration::from_millis(5_012) });
    let told = lines();
    assert!(told[0].starts_with("level=warn msg=\"the sender hung up before its write was answered, "), "{told:?}");
    assert!(told[0].contains(" after_ms=5012 fix=\"raise the sender's timeout above UPSTREAM_TIMEOUT "), "{told:?}");
}

#[test]
fn a_connection_too_many_is_told_with_what_repairs_it() {
    let journal = journal();
    journal.notice(&Notice::Crowded);
    let line = "level=warn msg=\"connection turned away: all slots are taken\" fix=\"raise MAX_CONNECTIONS\"";
    assert_eq!(lines(), [line]);
    for topic in Topic::ALL {
        assert!(!topic.message().contains("MAX_CONNECTIONS"), "{}", topic.message());
    }
}

#[test]
fn a_lack_of_open_files_is_told_with_what_repairs_it() {
    let journal = journal();
    journal.notice(&Notice::FewFiles { limit: 64, wanted: 540 });
    journal.notice(&Notice::AcceptFailed { error: &Errno::MFILE.into() });
    journal.notice(&Notice::AcceptFailed { error: &Errno::CONNABORTED.into() });
    journal.notice(&QUIET);
    let told = lines();
    let fix = format!(" fix=\"{FILES}\"");
    assert!(["MAX_CONNECTIONS", "MAX_IN_FLIGHT", "THREADS"].iter().all(|setting| fix.contains(setting)), "{fix}");
    assert!(told[0].contains("limit=64 wanted=540") && told[0].ends_with(&fix), "{told:?}");
    assert!(told[1].contains("msg=\"accept failed\"") && told[1].ends_with(&fix), "{told:?}");
    assert_eq!(accept(&Errno::CONNABORTED.into()).len(), 1);
}
