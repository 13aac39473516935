//! What is counted, as it appears on a page.

use remora_core::forward::{Peer, Policy, Unavailable, counters};
use remora_core::metrics::{Exposition, Format};

use crate::bench::{Bench, POLICY};
use crate::message::{BODY, SMALL_BODY, answer, write, write_with};

fn page(bench: &Bench) -> String {
    let mut text = String::new();
    let mut page = Exposition::new(Format::Text, &mut text);
    bench.gateway.counters.report(&mut page);
    page.finish().unwrap();
    text
}

/// The series of the page that are not 0, without histograms.
fn counted(bench: &Bench) -> Vec<String> {
    let all = page(bench);
    let series = all.lines().filter(|line| !line.starts_with('#') && !line.starts_with("remora_request_duration"));
    series.filter(|line| !line.ends_with(" 0")).map(|line| line.replace("remora_", "")).collect()
}

#[test]
fn a_write_that_azure_took() {
    let mut bench = Bench::new();
    bench.unix_ms = i64::MAX;
    bench.submit(&write_with("Authorization: Bearer of-the-sender\r\n", BODY));
    bench.forward(&answer(204, "", ""));
    let bytes = format!("request_bytes_total {}", BODY.len());
    assert_eq!(
        counted(&bench),
        [
            "requests_total{code=\"204\"} 1",
            &bytes,
            "authorization_dropped_total 1",
            "upstream_responses_total{code=\"204\"} 1",
            "upstream_connections_opened_total 1",
            "frames_total{verdict=\"good\"} 1",
            "series_total{outcome=\"forwarded\"} 500",
            "samples_total{outcome=\"forwarded\"} 500",
            "samples_too_old_total 500",
        ]
    );
    assert!(page(&bench).contains("remora_request_duration_seconds_count 1\n"));
}

#[test]
fn data_is_told_apart_by_what_became_of_it() {
    for (status, outcome) in
        [(200, "forwarded"), (400, "refused"), (429, "deferred"), (403, "deferred"), (500, "deferred")]
    {
        let mut bench = Bench::new();
        bench.unix_ms = i64::MAX;
        bench.submit(&write(BODY));
        bench.forward(&answer(status, "", ""));
        let samples: Vec<_> = counted(&bench).into_iter().filter(|line| line.starts_with("samples_")).collect();
        let mut expected = vec![format!("samples_total{{outcome=\"{outcome}\"}} 500")];
        // Counted once, however often the data is sent.
        if outcome != "deferred" {
            expected.push("samples_too_old_total 500".to_owned());
        }
        assert_eq!(samples, expected, "{status}");
    }
}

#[test]
fn repairs_and_held_refusals() {
    let mut bench = Bench::new();
    bench.submit(&write(SMALL_BODY));
    bench.attach(true);
    bench.azure_closes();
    bench.forward(&answer(401, "", ""));
    bench.refresh();
    bench.forward(&answer(403, "", "no role"));
    let seen = counted(&bench);
    for line in [
        "upstream_retries_total{reason=\"token\"} 1",
        "upstream_retries_total{reason=\"connection\"} 1",
        "upstream_responses_total{code=\"401\"} 1",
        "upstream_responses_total{code=\"403\"} 1",
        // The first one was reused.
        "upstream_connections_opened_total 2",
        "upstream_refusals_held_total 1",
        "requests_total{code=\"503\"} 1",
    ] {
        assert!(seen.iter().any(|seen| seen == line), "{line} in {seen:?}");
    }
    let bytes = format!("response_bytes_total {}", bench.answer().body.len());
    assert!(seen.contains(&bytes), "{bytes} in {seen:?}");
}

#[test]
fn refusals_of_ours_by_reason() {
    let head = |line: &str| format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes();
    let zstd = b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Encoding: zstd\r\n\r\n";
    for (peer, request, reason) in [
        (Peer::Loopback, b"\x16\x03\x01".to_vec(), "malformed_head"),
        (
            Peer::Loopback,
            b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n".to_vec(),
            "malformed_body",
        ),
        (Peer::Loopback, head("GET /other"), "unknown_path"),
        (Peer::Loopback, head("GET /api/v1/write"), "bad_method"),
        (Peer::Foreign, write(SMALL_BODY), "foreign_peer"),
        (Peer::Foreign, head("GET /status"), "foreign_peer"),
        (Peer::Watcher { near: false }, write(SMALL_BODY), "foreign_peer"),
        (Peer::Loopback, write_with("Content-Encoding: zstd\r\n", b""), "malformed_head"),
        (Peer::Loopback, zstd.to_vec(), "media_type"),
        (Peer::Loopback, write(&vec![0; 65_537]), "too_large"),
        (Peer::Loopback, write(b""), "corrupt_frame"),
    ] {
        let mut bench = Bench::with(POLICY, peer);
        bench.send(&request);
        let line = format!("requests_rejected_total{{reason=\"{reason}\"}} 1");
        assert!(counted(&bench).contains(&line), "{line} in {:?}", counted(&bench));
    }
}

#[test]
fn a_body_that_comes_too_slowly() {
    let mut bench = Bench::new();
    bench.send(&write(BODY)[..200]);
    // The bytes received extended the limit a little.
    (0..2).for_each(|_| bench.pass_deadline());
    let expected = ["requests_total{code=\"503\"} 1", "requests_rejected_total{reason=\"slow_body\"} 1"];
    let seen = counted(&bench);
    assert!(expected.iter().all(|line| seen.iter().any(|seen| seen == line)), "{seen:?}");
}

/// A sender that has 429 passed on sends the data again.
#[test]
fn data_that_was_throttled_is_deferred_however_it_is_told() {
    let mut bench = Bench::with(Policy { pass_rate_limit: true, ..POLICY }, Peer::Loopback);
    bench.unix_ms = i64::MAX;
    bench.submit(&write(BODY));
    bench.forward(&answer(429, "", ""));
    assert_eq!(bench.answer().status(), 429);
    let samples: Vec<_> = counted(&bench).into_iter().filter(|line| line.starts_with("samples_")).collect();
    assert_eq!(samples, ["samples_total{outcome=\"deferred\"} 500"]);
}

#[test]
fn failures_on_the_way_by_reason() {
    for (why, line) in [
        (Unavailable::NoToken, "requests_rejected_total{reason=\"no_token\"} 1"),
        (Unavailable::Capacity, "requests_rejected_total{reason=\"overload\"} 1"),
        (Unavailable::Resolve, "upstream_errors_total{reason=\"resolve\"} 1"),
        (Unavailable::Connect, "upstream_errors_total{reason=\"connect\"} 1"),
        (Unavailable::Tls, "upstream_errors_total{reason=\"tls\"} 1"),
        (Unavailable::TokenRefused, "requests_rejected_total{reason=\"no_token\"} 1"),
        (Unavailable::Broken, "upstream_errors_total{reason=\"broken\"} 1"),
        (Unavailable::Unreadable, "upstream_errors_total{reason=\"unreadable\"} 1"),
        (Unavailable::Timeout, "upstream_errors_total{reason=\"timeout\"} 1"),
    ] {
        let mut bench = Bench::new();
        bench.submit(&write(SMALL_BODY));
        bench.exchange.refuse(bench.now, why, "");
        bench.settle();
        assert_eq!(bench.outcomes()[0].unavailable, Some(why));
        assert!(counted(&bench).iter().any(|seen| seen == line), "{line} in {:?}", counted(&bench));
    }
}

/// An alert on refused samples must not ring when somebody looks for a page.
#[test]
fn a_look_at_a_page_that_is_not_there_is_no_request_for_the_statuses() {
    for (head, counts) in [
        ("GET /favicon.ico", false),
        ("HEAD /api/v1/write", false),
        ("GET /status", false),
        ("POST /api/v1/wrte", true),
        ("PUT /api/v1/write", true),
        // No request at all, and one without a version: from a peer that may not write, neither can hold samples.
        ("\x16\x03\x01", false),
        ("GET / HTTP/1.1\r\n", false),
    ] {
        let mut bench = Bench::with(POLICY, Peer::Foreign);
        bench.send(format!("{head} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes());
        let seen = counted(&bench);
        assert_eq!(seen.iter().any(|line| line.starts_with("requests_total")), counts, "{head}: {seen:?}");
        assert!(seen.iter().any(|line| line.starts_with("requests_rejected_total")), "{head}: {seen:?}");
    }
}

#[test]
fn probes_pages_and_unread_frames() {
    let mut bench = Bench::with(Policy { check: None, ..POLICY }, Peer::Loopback);
    bench.send(b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(counted(&bench).is_empty(), "{:?}", counted(&bench));
    bench.submit(&write(b"anything"));
    assert!(counted(&bench).contains(&"frames_total{verdict=\"unchecked\"} 1".to_owned()));
}

#[test]
fn every_family_of_the_table_is_there_from_the_start_and_no_other() {
    let page = page(&Bench::new());
    let types: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let table: Vec<_> = counters::families().map(|family| format!("{} {}", family.name, family.kind.word())).collect();
    assert_eq!(types, table);
    let series = page.lines().filter(|line| !line.starts_with('#'));
    assert!(series.clone().all(|line| line.ends_with(" 0") || line.ends_with(" 0.000")), "{page}");
    let counters = counters::families().filter(|family| family.name != "remora_request_duration_seconds");
    assert_eq!(series.count(), counters.map(|family| family.values.len().max(1)).sum::<usize>() + 15);
}
