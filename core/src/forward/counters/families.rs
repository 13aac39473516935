//! The metric families of exchanges.

use super::Counters;
use crate::metrics::{Family, Kind, Series};

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

/// A family and its counters.
pub(super) struct Counted {
    pub(super) family: Family,
    pub(super) series: fn(&Counters) -> Series<'_>,
}

/// Everything that exchanges count, in the order of the page.
pub(super) const ALL: &[Counted] = &[
    Counted {
        family: Family::counter(
            "remora_requests_total",
            "Requests answered, by status. GET and HEAD, such as probes and scrapes, are not counted.",
        )
        .by("code", CODES),
        series: |counters| counters.requests.series(),
    },
    Counted {
        family: Family::new(
            Kind::Histogram,
            "remora_request_duration_seconds",
            "Time from the head of a write to its answer, including Azure's part.",
        ),
        series: |counters| counters.durations.series(),
    },
    Counted {
        family: Family::counter("remora_request_bytes_total", "Body bytes of writes, compressed, as received."),
        series: |counters| counters.request_bytes.series(),
    },
    Counted {
        family: Family::counter("remora_response_bytes_total", "Body bytes of the answers to writes."),
        series: |counters| counters.response_bytes.series(),
    },
    Counted {
        family: Family::counter("remora_requests_rejected_total", "Requests refused by Remora itself, by reason.")
            .by("reason", RejectedFor::LABELS),
        series: |counters| counters.rejected.series(),
    },
    Counted {
        family: Family::counter(
            "remora_authorization_dropped_total",
            "Requests with their own Authorization header, which is never forwarded.",
        ),
        series: |counters| counters.authorization.series(),
    },
    Counted {
        family: Family::counter("remora_upstream_responses_total", "Azure's answers, by status; one for each attempt.")
            .by("code", CODES),
        series: |counters| counters.upstream_responses.series(),
    },
    Counted {
        family: Family::counter(
            "remora_upstream_errors_total",
            "Attempts that ended without an answer from Azure and were not repeated: in resolve, connect or tls; later \
             as broken, unreadable or timeout.",
        )
        .by("reason", UpstreamError::LABELS),
        series: |counters| counters.upstream_errors.series(),
    },
    Counted {
        family: Family::counter(
            "remora_upstream_retries_total",
            "Requests sent again: with another token after a 401, or on another connection after a stale one.",
        )
        .by("reason", Repair::LABELS),
        series: |counters| counters.repairs.series(),
    },
    Counted {
        family: Family::counter("remora_upstream_connections_opened_total", "Connections opened to Azure."),
        series: |counters| counters.opened.series(),
    },
    Counted {
        family: Family::counter(
            "remora_upstream_refusals_held_total",
            "Refusals by Azure that were reported to the sender as 503, so that it retries.",
        ),
        series: |counters| counters.held.series(),
    },
    Counted {
        family: Family::counter("remora_frames_total", "Bodies, by result of the frame check.")
            .by("verdict", FrameVerdict::LABELS),
        series: |counters| counters.frames.series(),
    },
    // The contents of good frames. Refused data is lost unless the sender keeps it; deferred data is sent again.
    Counted {
        family: Family::counter("remora_series_total", "Time series in good frames, by outcome of the request.")
            .by("outcome", Fate::LABELS),
        series: |counters| counters.data[0].series(),
    },
    Counted {
        family: Family::counter(
            "remora_samples_total",
            "Samples in good frames, excluding histograms, by outcome of the request.",
        )
        .by("outcome", Fate::LABELS),
        series: |counters| counters.data[1].series(),
    },
    Counted {
        family: Family::counter(
            "remora_histograms_total",
            "Native histograms in good frames, by outcome of the request.",
        )
        .by("outcome", Fate::LABELS),
        series: |counters| counters.data[2].series(),
    },
    Counted {
        family: Family::counter("remora_exemplars_total", "Exemplars in good frames, by outcome of the request.")
            .by("outcome", Fate::LABELS),
        series: |counters| counters.data[3].series(),
    },
    Counted {
        family: Family::counter("remora_metadata_total", "Metadata entries in good frames, by outcome of the request.")
            .by("outcome", Fate::LABELS),
        series: |counters| counters.data[4].series(),
    },
    Counted {
        family: Family::counter(
            "remora_samples_too_old_total",
            "Samples and histograms already older than 20 minutes when last received, which Azure no longer accepts.",
        ),
        series: |counters| counters.too_old.series(),
    },
];
