//! The metric families of exchanges.

use crate::metrics::{Family, Kind};

/// Statuses with a series of their own, and the same statuses as label values, followed by `other`.
macro_rules! codes {
    ($($code:literal)*) => {
        pub(super) const STATUSES: &[u16] = &[$($code),*];
        pub(super) const CODES: &[&str] = &[$(stringify!($code)),*, "other"];
    };
}

codes!(200 204 400 401 403 404 405 408 409 413 415 422 429 500 502 503 504);

/// The values of a label as an enum, in the order of their series.
macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $label:literal)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(in crate::forward) enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl $name {
            pub(super) const LABELS: &[&str] = &[$($label),*];

            /// The index of its series.
            pub(super) const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

labels! {
    /// Why a request was refused here.
    RejectedFor {
        MalformedHead "malformed_head"
        MalformedBody "malformed_body"
        UnknownPath "unknown_path"
        BadMethod "bad_method"
        ForeignPeer "foreign_peer"
        MediaType "media_type"
        TooLarge "too_large"
        CorruptFrame "corrupt_frame"
        SlowBody "slow_body"
        NoToken "no_token"
        Overload "overload"
    }
}

labels! {
    /// Why an attempt ended without a response from Azure.
    UpstreamError {
        Resolve "resolve"
        Connect "connect"
        Tls "tls"
        Broken "broken"
        Unreadable "unreadable"
        Timeout "timeout"
    }
}

labels! {
    /// A retry that the sender does not notice.
    Repair {
        /// Another token after a 401.
        Token "token"
        /// A fresh connection in place of one that was closed while it was idle.
        Connection "connection"
    }
}

labels! {
    /// What the frame check found.
    FrameVerdict {
        Good "good"
        Corrupt "corrupt"
        Unchecked "unchecked"
    }
}

labels! {
    /// The outcome of the request that carried the data.
    Fate {
        Forwarded "forwarded"
        Refused "refused"
        Deferred "deferred"
    }
}

pub(super) const REQUESTS: Family = Family::counter(
    "remora_requests_total",
    "Requests answered, by status. GET and HEAD, such as probes and scrapes, are not counted.",
)
.by("code", CODES);

pub(super) const DURATION: Family = Family::new(
    Kind::Histogram,
    "remora_request_duration_seconds",
    "Time from the head of a write to its answer, including Azure's part.",
);

pub(super) const REQUEST_BYTES: Family =
    Family::counter("remora_request_bytes_total", "Body bytes of writes, compressed, as received.");

pub(super) const RESPONSE_BYTES: Family =
    Family::counter("remora_response_bytes_total", "Body bytes of the answers to writes.");

pub(super) const REJECTED: Family =
    Family::counter("remora_requests_rejected_total", "Requests refused by Remora itself, by reason.")
        .by("reason", RejectedFor::LABELS);

pub(super) const AUTHORIZATION: Family = Family::counter(
    "remora_authorization_dropped_total",
    "Requests with their own Authorization header, which is never forwarded.",
);

pub(super) const UPSTREAM_RESPONSES: Family =
    Family::counter("remora_upstream_responses_total", "Azure's answers, by status; one for each attempt.")
        .by("code", CODES);

pub(super) const UPSTREAM_ERRORS: Family = Family::counter(
    "remora_upstream_errors_total",
    "Attempts that ended without an answer from Azure and were not repeated, by reason.",
)
.by("reason", UpstreamError::LABELS);

pub(super) const UPSTREAM_RETRIES: Family = Family::counter(
    "remora_upstream_retries_total",
    "Requests sent again: with another token after a 401, or on another connection after a stale one.",
)
.by("reason", Repair::LABELS);

pub(super) const UPSTREAM_OPENED: Family =
    Family::counter("remora_upstream_connections_opened_total", "Connections opened to Azure.");

pub(super) const HELD: Family = Family::counter(
    "remora_upstream_refusals_held_total",
    "Refusals by Azure that were reported to the sender as 503, so that it retries.",
);

pub(super) const FRAME_VERDICTS: Family =
    Family::counter("remora_frames_total", "Bodies, by result of the frame check.").by("verdict", FrameVerdict::LABELS);

/// The contents of good frames. Refused data is lost unless the sender keeps it; deferred data is sent again.
pub(super) const DATA: [Family; 5] = [
    Family::counter("remora_series_total", "Time series in good frames, by outcome of the request.")
        .by("outcome", Fate::LABELS),
    Family::counter("remora_samples_total", "Samples in good frames, excluding histograms, by outcome of the request.")
        .by("outcome", Fate::LABELS),
    Family::counter("remora_histograms_total", "Native histograms in good frames, by outcome of the request.")
        .by("outcome", Fate::LABELS),
    Family::counter("remora_exemplars_total", "Exemplars in good frames, by outcome of the request.")
        .by("outcome", Fate::LABELS),
    Family::counter("remora_metadata_total", "Metadata entries in good frames, by outcome of the request.")
        .by("outcome", Fate::LABELS),
];

pub(super) const TOO_OLD: Family = Family::counter(
    "remora_samples_too_old_total",
    "Samples and histograms already older than 20 minutes when last received, which Azure no longer accepts.",
);

/// All families, in the order in which they are reported.
pub const ALL: &[Family] = &[
    REQUESTS,
    DURATION,
    REQUEST_BYTES,
    RESPONSE_BYTES,
    REJECTED,
    AUTHORIZATION,
    UPSTREAM_RESPONSES,
    UPSTREAM_ERRORS,
    UPSTREAM_RETRIES,
    UPSTREAM_OPENED,
    HELD,
    FRAME_VERDICTS,
    DATA[0],
    DATA[1],
    DATA[2],
    DATA[3],
    DATA[4],
    TOO_OLD,
];
