//! The families of the adapter's own numbers.

use remora_core::metrics::{Family, Kind};

pub(super) const BUILD: Family = Family::new(Kind::Info, "remora_build_info", "Version, build target and TLS library.");

pub(super) const READY: Family = Family::gauge(
    "remora_ready",
    "1 while there is a usable token and no shutdown. /ready, which gates the pod, is more lenient.",
);

pub(super) const LAST_SUCCESS: Family =
    Family::gauge("remora_last_success_timestamp_seconds", "Time when Azure last accepted a request; 0 if never.");

pub(super) const HOLD: Family = Family::gauge(
    "remora_refusal_hold_remaining_seconds",
    "How long a 4xx that does not concern the data, such as 403, would still be reported as 503. Each thread counts by \
     itself; this is the shortest.",
);

pub(super) const OLDEST: Family = Family::gauge(
    "remora_oldest_sample_age_seconds",
    "Age of the oldest sample in the last write that had any, when the write was answered.",
);

pub(super) const IN_FLIGHT: Family = Family::gauge("remora_requests_in_flight", "Open requests.");

pub(super) const FORWARDS_LIMIT: Family =
    Family::gauge("remora_requests_forwarded_limit", "Maximum number of requests forwarded at once: MAX_IN_FLIGHT.");

pub(super) const CONNECTIONS: Family =
    Family::gauge("remora_connections", "Open connections from peers that may write.");

pub(super) const CONNECTIONS_LIMIT: Family = Family::gauge(
    "remora_connections_limit",
    "Maximum number of connections from peers that may write: MAX_CONNECTIONS.",
);

pub(super) const CONNECTIONS_REJECTED: Family = Family::counter(
    "remora_connections_rejected_total",
    "Connections from peers that may write: turned away because all slots were taken, or closed to make room for another.",
);

pub(super) const BODY_MEMORY: Family =
    Family::gauge("remora_body_memory_bytes", "Memory for all bodies together: BODY_MEMORY.");

pub(super) const BODY_MEMORY_USED: Family = Family::gauge("remora_body_memory_used_bytes", "Body memory in use.");

pub(super) const TOKEN_EXPIRY: Family = Family::gauge(
    "remora_token_expiry_timestamp_seconds",
    "Time when the newest access token expires; 0 if there is none.",
);

pub(super) const CLOCK_SKEW: Family = Family::gauge(
    "remora_clock_skew_seconds",
    "How far this machine's clock was ahead of or behind the token endpoint's when the token was granted; 0 below a minute.",
);

pub(super) const ASSERTION_EXPIRY: Family = Family::gauge(
    "remora_federated_token_expiry_timestamp_seconds",
    "Time when the projected service account token expires; 0 if none can be read.",
);

pub(super) const UPSTREAM_CONNECTIONS: Family =
    Family::gauge("remora_upstream_connections", "Connections to Azure: in use or being opened, and idle.")
        .by("state", &["active", "idle"]);

/// All families, in the order of the page.
pub(super) const ALL: &[Family] = &[
    BUILD,
    READY,
    LAST_SUCCESS,
    HOLD,
    OLDEST,
    IN_FLIGHT,
    FORWARDS_LIMIT,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    CONNECTIONS_REJECTED,
    BODY_MEMORY,
    BODY_MEMORY_USED,
    TOKEN_EXPIRY,
    CLOCK_SKEW,
    ASSERTION_EXPIRY,
    UPSTREAM_CONNECTIONS,
];
