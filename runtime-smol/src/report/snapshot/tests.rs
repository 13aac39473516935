use std::path::Path;
use std::time::Duration;

use remora_core::forward::{Outcome, Purpose};

use super::*;
use crate::fixture;
use crate::trust::Trust;

fn snapshot(page: Page, count: impl FnOnce(&Hub)) -> Snapshot {
    let config = fixture::config("https://h.example/write", Path::new("/none"));
    let hub = fixture::hub(&config, &Trust::load(&config.trust).unwrap());
    count(hub);
    Snapshot::of(hub, page)
}

fn refuse(hub: &Hub, at: u64, status: u16) {
    let at = Instant::from_millis(at);
    let purpose = Purpose::Write;
    let outcome = Outcome {
        status,
        upstream_status: None,
        unavailable: None,
        retry_after: None,
        purpose,
        body_bytes: 0,
        counts: None,
        began: at,
    };
    hub.traffic.write_failed(at, &outcome, "remora: cause; repair");
    hub.traffic.wrote(at, &outcome);
}

#[test]
fn numbers_add_up_and_the_later_event_counts() {
    let mut one = snapshot(Page::Status, |hub| {
        hub.traffic.opened(true);
        hub.traffic.turn_away();
        refuse(hub, 50, 418);
        hub.traffic.note_oldest(Instant::from_millis(50), Duration::from_secs(3));
        hub.gateway.learn_success(Instant::from_millis(70));
        // Never given back.
        let _ = hub.memory.responses.try_take();
    });
    let mut all = snapshot(Page::Status, |hub| {
        hub.traffic.opened(true);
        hub.senders.enter(Instant::ZERO);
        hub.traffic.abandon();
        hub.traffic.note_oldest(Instant::from_millis(40), Duration::from_secs(9));
        // A write without samples.
        refuse(hub, 60, 415);
        hub.gateway.learn_success(Instant::from_millis(90));
    });
    (one.hold, all.hold) = (Duration::from_secs(2), Duration::from_secs(4));
    all.include(&one);
    assert_eq!(all.hold, Duration::from_secs(2));
    assert_eq!((all.open, all.turned_away, all.abandoned, all.idle), (2, 1, 1, 0));
    assert_eq!((all.senders, all.responses), (Usage { all: 14, lent: 1 }, Usage { all: 6, lent: 1 }));
    assert_eq!(all.segments, Usage { all: 24, lent: 0 });
    assert_eq!(all.last_success, Some(Instant::from_millis(90)));
    assert_eq!(all.oldest.age, Duration::from_secs(3), "of the later write");
    assert_eq!(all.last_failed.map(|failed| failed.status), Some(415));
}

#[test]
fn an_earlier_refusal_does_not_hide_a_later_one() {
    let (none, one) = (snapshot(Page::Status, |_| {}), snapshot(Page::Status, |hub| refuse(hub, 5, 418)));
    let mut all = snapshot(Page::Status, |hub| refuse(hub, 6, 419));
    all.include(&none);
    all.include(&one);
    assert_eq!(all.last_failed.map(|failed| failed.status), Some(419));
}
