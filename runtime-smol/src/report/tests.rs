use std::path::{Path, PathBuf};
use std::time::Duration;

use remora_core::forward::{Outcome, Purpose};

use super::*;
use crate::body::SEGMENT;
use crate::config::{Application, ApplicationCredential, Client, Identity, SecretSource};
use crate::endpoint::Endpoint;
use crate::fixture;
use crate::identity::{Grant, Skew, exchange_once};
use crate::pool::{Pool, buffers};
use crate::secret::{Bearer, Secret};
use crate::tls::server::answering;
use crate::trust::Trust;

/// A service-account token that expires on 2026-08-22 at 10:00 UTC, in a file that is removed on drop.
struct TokenFile(PathBuf);

impl TokenFile {
    fn new(of: &str) -> Self {
        let path = std::env::temp_dir().join(format!("remora-{of}-{}", std::process::id()));
        std::fs::write(&path, "e30.eyJleHAiOjE3ODczOTI4MDB9.x").unwrap();
        Self(path)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn hub(token_file: &Path) -> &'static Hub {
    let config = fixture::config("https://h.example/write?api-version=1", token_file);
    fixture::hub(&config, &Trust::load(&config.trust).unwrap())
}

fn page(hub: &'static Hub, page: Page) -> String {
    let mut body = Body::new(&hub.memory.pages);
    let length = write(hub, &[], page, &mut body).unwrap();
    let bytes: Vec<u8> = body.slices(0).flatten().copied().collect();
    assert_eq!(bytes.len(), length);
    String::from_utf8(bytes).unwrap()
}

#[test]
fn a_page_has_every_family_of_the_tables_in_their_order() {
    let page = page(hub(Path::new("/nowhere")), Page::Metrics(Format::Text));
    let types: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let kind = |family: &Family| if family.name == "remora_build_info" { "gauge" } else { family.kind.word() };
    let table: Vec<_> = families().map(|family| format!("{} {}", family.name, kind(family))).collect();
    assert_eq!(types, table);
    for line in [
        "remora_build_info{version=\"1.2.3\",target=\"x86\",tls=\"t\"} 1",
        "remora_ready 0",
        "remora_federated_token_expiry_timestamp_seconds 0",
        "remora_connections_limit 7",
        "remora_requests_forwarded_limit 3",
        "remora_body_memory_bytes 196608",
        "remora_body_memory_used_bytes 0",
        "remora_token_request_failures_total{reason=\"unanswered\"} 0",
    ] {
        assert!(page.lines().any(|seen| seen == line), "{line} in {page}");
    }
}

#[test]
fn each_number_has_its_own_name() {
    let hub = hub(Path::new("/nowhere"));
    let now = hub.now();
    hub.gateway.learn_success(now);
    hub.traffic.note_oldest(now, Duration::from_millis(61_005));
    let skew = Some(Skew { by: Duration::from_secs(120), ahead: true });
    hub.tokens.hold(Grant {
        bearer: Bearer::new("t").unwrap(),
        lifetime: Duration::from_secs(60),
        refresh_in: None,
        skew,
    });
    hub.traffic.opened(true);
    hub.traffic.opened(false);
    (0..3).for_each(|_| hub.traffic.turn_away());
    (0..5).for_each(|_| hub.traffic.abandon());
    let _slot = hub.senders.enter(now);
    // Never given back.
    let _ = hub.memory.responses.try_take();
    let _ = hub.memory.arena.try_take();
    let page = page(hub, Page::Metrics(Format::Text));
    let succeeded = format!("remora_last_success_timestamp_seconds {}", hub.clock.unix_ms_at(now) / 1000);
    for line in [
        &*succeeded,
        "remora_refusal_hold_remaining_seconds 1800.000",
        "remora_oldest_sample_age_seconds 61.005",
        "remora_clock_skew_seconds 120.000",
        "remora_requests_in_flight 2",
        "remora_connections 1",
        "remora_connections_rejected_total 3",
        "remora_requests_abandoned_total 5",
        "remora_body_memory_used_bytes 16384",
        "remora_upstream_connections{state=\"active\"} 1",
        "remora_upstream_connections{state=\"idle\"} 0",
    ] {
        assert!(page.lines().any(|seen| seen == line), "{line} in {page}");
    }
}

#[test]
fn a_page_is_written_without_an_allocation() {
    let file = TokenFile::new("page");
    let hub = hub(&file.0);
    let mut body = Body::new(&hub.memory.pages);
    // The vector of a connection's segments is allocated once.
    assert!(write(hub, &[], Page::Metrics(Format::Text), &mut body).is_some());
    for format in [Format::Text, Format::OpenMetrics] {
        let measured = allocation_counter::measure(|| {
            body.clear();
            assert!(write(hub, &[], Page::Metrics(format), &mut body).is_some());
        });
        assert_eq!(measured.count_total, 0, "{format:?}");
    }
}

#[test]
fn a_full_store_holds_no_page_and_loses_nothing() {
    let hub = hub(Path::new("/nowhere"));
    let others: Vec<_> = std::iter::from_fn(|| hub.memory.pages.try_take()).collect();
    let mut body = Body::new(&hub.memory.pages);
    for page in [Page::Metrics(Format::Text), Page::Status] {
        assert!(write(hub, &[], page, &mut body).is_none());
    }
    hub.memory.pages.give(others);
    let small: &'static Pool<_> = Box::leak(Box::new(Pool::new(buffers(1, SEGMENT).unwrap())));
    let mut body = Body::new(small);
    let pages = std::iter::repeat_with(|| write(hub, &[], Page::Metrics(Format::Text), &mut body)).take(3);
    assert!(pages.last().unwrap().is_none(), "three pages in one segment");
    body.clear();
    assert_eq!((small.free(), hub.memory.pages.lent()), (1, 0));
}

#[test]
fn status_tells_what_is_and_what_was() {
    let file = TokenFile::new("status");
    let hub = hub(&file.0);
    let outcome = Outcome {
        status: 418,
        upstream_status: None,
        unavailable: None,
        retry_after: None,
        purpose: Purpose::Write,
        body_bytes: 0,
        counts: None,
        began: hub.now(),
    };
    hub.traffic.write_failed(hub.now(), &outcome, "remora: cause; repair");

    let status: serde_json::Value = serde_json::from_str(&page(hub, Page::Status)).unwrap();
    let at = |pointer: &str| status.pointer(pointer).unwrap_or_else(|| panic!("{pointer} in {status}"));
    for (pointer, value) in [
        ("/version", "1.2.3".into()),
        ("/readiness", "waiting".into()),
        ("/healthy", false.into()),
        ("/identity/azure_client_id", "client".into()),
        ("/configuration/listening_port", "1".into()),
        ("/token/usable", false.into()),
        ("/token/expires", serde_json::Value::Null),
        ("/token/federated_token_expires", "2026-08-22T10:00:00Z".into()),
        ("/token/failure", serde_json::Value::Null),
        ("/last_success", serde_json::Value::Null),
        ("/last_failure/status", 418.into()),
        ("/last_failure/answer", "remora: cause; repair".into()),
        ("/counters/remora_requests_total/other", 0.into()),
        ("/counters/remora_token_request_duration_seconds/count", 0.into()),
        ("/counters/remora_body_memory_bytes", 196_608.into()),
    ] {
        assert_eq!(*at(pointer), value, "{pointer}");
    }
    assert!(at("/counters/process_start_time_seconds").as_u64().unwrap() > 1_000_000_000);
}

#[test]
fn a_secret_that_the_token_endpoint_repeats_is_neither_logged_nor_in_the_status() {
    const SECRET: &str = "hush-1~+/";
    let (address, certificate) = answering("localhost", |form| {
        let form = String::from_utf8_lossy(form);
        assert!(form.contains("client_secret=hush-1"), "{form}");
        let body = serde_json::json!({"error": "invalid_client", "error_description": format!("{form} or {SECRET}")});
        let body = body.to_string();
        format!("HTTP/1.1 401 Unauthorized\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    });
    let client = Client {
        client_id: "client".to_owned(),
        tenant_id: "tenant".to_owned(),
        authority: Endpoint::parse(&format!("https://localhost:{}/", address.port())).unwrap(),
        scope: "scope/.default".to_owned(),
    };
    let credential = ApplicationCredential::Secret(SecretSource::Value(Secret::new(SECRET)));
    let identity = Identity::Application(Application { client, credential });
    let failure = exchange_once(&identity, &Trust::own(vec![certificate]).unwrap(), None).expect_err("refused");
    assert!(failure.message.ends_with("client_secret=*** or ***"), "{failure}");
    assert!(!format!("{failure} {failure:?} {:?}", failure.fields()).contains("hush"), "{failure:?}");

    let hub = hub(Path::new("/nowhere"));
    hub.tokens.end(Err(failure));
    let status = page(hub, Page::Status);
    assert!(status.contains("client_secret=***") && !status.contains("hush"), "{status}");
}
