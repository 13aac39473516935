//! What the adapter measures itself: each family with its values.

use std::time::Duration;

use remora_core::metrics::{Family, Kind, Sink, Value};
use remora_core::time::Instant;

use super::{Snapshot, assertion_expiry};
use crate::body::SEGMENT;
use crate::hub::Hub;

pub(super) const BUILD: Family = Family::new(Kind::Info, "remora_build_info", "Version, build target and TLS library.");

const UPSTREAM_CONNECTIONS: Family =
    Family::gauge("remora_upstream_connections", "Connections to Azure: in use or being opened, and idle.")
        .by("state", &["active", "idle"]);

/// A family of one series, and its value.
struct Measured {
    family: Family,
    value: fn(&Hub, &Snapshot) -> Value,
}

/// The families of one series, in the order of the page.
const MEASURED: &[Measured] = &[
    Measured {
        family: Family::gauge(
            "remora_ready",
            "1 while there is a usable token and no shutdown. /ready, which gates the pod, is more lenient.",
        ),
        value: |hub, _| Value::Whole(hub.can_forward().into()),
    },
    Measured {
        family: Family::gauge(
            "remora_last_success_timestamp_seconds",
            "Time when Azure last accepted a request; 0 if never.",
        ),
        value: |hub, snapshot| time(hub, snapshot.last_success),
    },
    Measured {
        family: Family::gauge(
            "remora_refusal_hold_remaining_seconds",
            "How long a 4xx that does not concern the data, such as 403, would still be reported as 503. Each thread counts \
             by itself; this is the shortest.",
        ),
        value: |_, snapshot| Value::seconds(snapshot.hold),
    },
    Measured {
        family: Family::gauge(
            "remora_oldest_sample_age_seconds",
            "Age of the oldest sample in the last write that had any, when the write was answered.",
        ),
        value: |_, snapshot| Value::seconds(snapshot.oldest.age),
    },
    Measured {
        family: Family::gauge("remora_requests_in_flight", "Open requests."),
        value: |_, snapshot| whole(snapshot.open),
    },
    Measured {
        family: Family::gauge(
            "remora_requests_forwarded_limit",
            "Maximum number of requests forwarded at once: MAX_IN_FLIGHT.",
        ),
        value: |_, snapshot| whole(snapshot.responses.all),
    },
    Measured {
        family: Family::counter(
            "remora_requests_abandoned_total",
            "Writes whose sender had hung up before they were answered. It sends them again, also those that Azure stored.",
        ),
        value: |_, snapshot| Value::Whole(snapshot.abandoned),
    },
    Measured {
        family: Family::gauge("remora_connections", "Open connections from peers that may write."),
        value: |_, snapshot| whole(snapshot.senders.lent),
    },
    Measured {
        family: Family::gauge(
            "remora_connections_limit",
            "Maximum number of connections from peers that may write: MAX_CONNECTIONS.",
        ),
        value: |_, snapshot| whole(snapshot.senders.all),
    },
    Measured {
        family: Family::counter(
            "remora_connections_rejected_total",
            "Connections from peers that may write: turned away because all slots were taken, or \
             closed to make room for another.",
        ),
        value: |_, snapshot| Value::Whole(snapshot.turned_away),
    },
    Measured {
        family: Family::gauge("remora_body_memory_bytes", "Memory for all bodies together: BODY_MEMORY."),
        value: |_, snapshot| bytes(snapshot.segments.all),
    },
    Measured {
        family: Family::gauge("remora_body_memory_used_bytes", "Body memory in use."),
        value: |_, snapshot| bytes(snapshot.segments.lent),
    },
    Measured {
        family: Family::gauge(
            "remora_token_expiry_timestamp_seconds",
            "Time when the newest access token expires; 0 if there is none.",
        ),
        value: |hub, _| time(hub, hub.tokens.expires()),
    },
    Measured {
        family: Family::gauge(
            "remora_clock_skew_seconds",
            "How far this machine's clock was ahead of or behind the token endpoint's when the token was \
             granted; 0 below a minute.",
        ),
        value: |hub, _| Value::seconds(hub.tokens.skew().map_or(Duration::ZERO, |skew| skew.by)),
    },
    Measured {
        family: Family::gauge(
            "remora_federated_token_expiry_timestamp_seconds",
            "Time when the projected service account token expires; 0 if none can be read.",
        ),
        value: |hub, _| Value::Whole(assertion_expiry(hub).unwrap_or_default()),
    },
];

/// All families, in the order of the page.
pub(super) fn all() -> impl Iterator<Item = &'static Family> {
    let measured = MEASURED.iter().map(|measured| &measured.family);
    [&BUILD].into_iter().chain(measured).chain([&UPSTREAM_CONNECTIONS])
}

/// Reports all but [`BUILD`].
pub(super) fn report(hub: &Hub, snapshot: &Snapshot, to: &mut dyn Sink) {
    for Measured { family, value } in MEASURED {
        to.values(family, &mut [value(hub, snapshot)].into_iter());
    }
    let upstream = [snapshot.responses.lent, snapshot.idle];
    to.values(&UPSTREAM_CONNECTIONS, &mut upstream.into_iter().map(whole));
}

/// In seconds since 1970.
fn time(hub: &Hub, at: Option<Instant>) -> Value {
    Value::Whole(at.map_or(0, |at| hub.clock.unix_ms_at(at) / 1000))
}

fn bytes(segments: usize) -> Value {
    whole(segments.saturating_mul(SEGMENT))
}

fn whole(n: usize) -> Value {
    Value::Whole(u64::try_from(n).unwrap_or(u64::MAX))
}
