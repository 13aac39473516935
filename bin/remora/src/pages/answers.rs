//! Where to look when a write is not accepted: Remora's own answers by their reason, and Azure's by their status.

use std::fmt;

/// Who does not accept a write, and what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Remora refuses it; senders drop the samples.
    Refused,
    /// Remora cannot forward it now; senders retry.
    Delayed,
    /// Azure did not answer; senders retry.
    Unanswered,
    /// Azure refuses it.
    Azure,
}

impl Side {
    /// How to recognize its answers, without the colon before the list.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Refused => {
                "If the log line has no azure_status, Remora itself refused the request; remora_requests_rejected_total counts it by reason"
            }
            Self::Delayed => "Remora itself answers these with 503; senders retry, and no samples are lost",
            Self::Unanswered => {
                "Remora itself answers these when it gets no answer from Azure; senders retry, and no samples are lost. remora_upstream_errors_total counts them by reason"
            }
            Self::Azure => "If the log line has azure_status, Azure refused the request",
        }
    }

    /// The metric that counts them by reason, if they have one.
    pub(crate) const fn metric(self) -> Option<&'static str> {
        match self {
            Self::Refused | Self::Delayed => Some("remora_requests_rejected_total"),
            Self::Unanswered => Some("remora_upstream_errors_total"),
            Self::Azure => None,
        }
    }
}

/// A kind of answer to a write that is not accepted.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Whose it is.
    pub(crate) side: Side,
    /// The value of the label `reason` of the metric that counts it; empty for Azure's.
    pub(crate) reason: &'static str,
    /// The statuses, with commas between them.
    pub(crate) statuses: &'static str,
    /// What to look at.
    pub(crate) look: &'static str,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            "" => f.write_str(self.statuses),
            reason => write!(f, "{reason} ({})", self.statuses),
        }
    }
}

const WRONG_URL: &str =
    "The sender's URL, which ends in /api/v1/write. Probes and scrapes with a wrong path count only under reason";

/// Every answer, side by side; the last one is that of Azure for any other status.
pub(crate) static ANSWERS: &[Answer] = &[
    Answer {
        side: Side::Refused,
        reason: "too_large",
        statuses: "400",
        look: "MAX_BODY_BYTES and the size of the sender's batches. Make the batches smaller (Prometheus maxSamplesPerSend or max_samples_per_send, vmagent \
            -remoteWrite.maxBlockSize, OpenTelemetry Collector max_batch_size_bytes), or raise MAX_BODY_BYTES, and with it BODY_MEMORY and the \
            container's memory limit",
    },
    Answer {
        side: Side::Refused,
        reason: "corrupt_frame",
        statuses: "400",
        look: "The fault that the answer names after \"not forwarded\", and what is between the sender and Remora: a proxy that changes bodies, or the \
            sender's own encoder. A body over 32 MiB when decoded also counts: make the batches smaller. So does a label that is not UTF-8: correct it at \
            its source, or set CHECK=wire to leave it to Azure. An empty body loses nothing: Prometheus 3.4 and later send one for a batch all of whose \
            samples sampleAgeLimit has dropped, vmagent before 1.116 when it starts. With CHECK=off, only Azure judges bodies",
    },
    Answer {
        side: Side::Refused,
        reason: "malformed_body",
        statuses: "400",
        look: "What is between the sender and Remora: the chunks of a body are broken",
    },
    Answer {
        side: Side::Refused,
        reason: "malformed_head",
        statuses: "400, 417, 431, 501, 505",
        look: "The sender's URL, if it begins with https:// or the client speaks HTTP/2 without being asked; headers that the sender adds, if the head is \
            over 7.5 KiB or has more than 64 fields. From a peer that may not write, such as a scanner, it counts only under reason. The label code is other for 417, 431, 501 and 505",
    },
    Answer {
        side: Side::Refused,
        reason: "media_type",
        statuses: "415",
        look: "The sender's compression and format: snappy, remote write 1.0 or 2.0. vmagent tries zstd once and loses nothing. MIGRATION.md has settings \
            for other senders",
    },
    Answer { side: Side::Refused, reason: "unknown_path", statuses: "404", look: WRONG_URL },
    Answer { side: Side::Refused, reason: "bad_method", statuses: "405", look: WRONG_URL },
    Answer {
        side: Side::Refused,
        reason: "foreign_peer",
        statuses: "403",
        look: "For writes from outside the pod, add their network to ALLOWED_SOURCES. Send writes to LISTENING_PORT, not to ADMIN_PORT. A request for \
            /status from outside the pod, or under a name other than localhost, counts only under reason",
    },
    Answer {
        side: Side::Delayed,
        reason: "no_token",
        statuses: "503",
        look: "REMORA-TOK-10 if there is no token, REMORA-RBAC-04 if Azure refused it; the answer has the code",
    },
    Answer {
        side: Side::Delayed,
        reason: "overload",
        statuses: "503",
        look: "The limit that the answer names: BODY_MEMORY, MAX_IN_FLIGHT or, counted by remora_connections_rejected_total instead, MAX_CONNECTIONS. It is too \
            low for the senders, or Azure answers slowly",
    },
    Answer {
        side: Side::Delayed,
        reason: "slow_body",
        statuses: "503",
        look: "What holds up the sender: the body did not arrive in the time that the answer names",
    },
    Answer {
        side: Side::Unanswered,
        reason: "resolve",
        statuses: "503",
        look: "REMORA-NET-01: the name of INGESTION_URL's host, or that of the proxy, has no address",
    },
    Answer {
        side: Side::Unanswered,
        reason: "connect",
        statuses: "503",
        look: "REMORA-NET-02: the host or the proxy accepts no connection, or the proxy opens no tunnel; the answer has the cause",
    },
    Answer {
        side: Side::Unanswered,
        reason: "tls",
        statuses: "503",
        look: "REMORA-NET-03: the host did not prove its identity, or does not speak TLS; the answer has the cause",
    },
    Answer {
        side: Side::Unanswered,
        reason: "broken",
        statuses: "502",
        look: "What closes connections in use: a proxy, a firewall, a NAT gateway that restarts, or Azure. A few cost nothing; if it goes on, REMORA-RBAC-05",
    },
    Answer {
        side: Side::Unanswered,
        reason: "unreadable",
        statuses: "502",
        look: "INGESTION_URL and what is between Remora and Azure: what answers does not speak HTTP/1.1, or answers with a web page as if it had accepted the samples",
    },
    Answer {
        side: Side::Unanswered,
        reason: "timeout",
        statuses: "504",
        look: "REMORA-RBAC-05: the write was on its way, but no answer came within UPSTREAM_TIMEOUT",
    },
    Answer {
        side: Side::Azure,
        reason: "",
        statuses: "413",
        look: "The size of the sender's batches. Azure's largest body is not documented, and MAX_BODY_BYTES only limits what Remora takes. Make the batches \
            smaller: Prometheus maxSamplesPerSend or max_samples_per_send, vmagent -remoteWrite.maxBlockSize, OpenTelemetry Collector max_batch_size_bytes",
    },
    Answer {
        side: Side::Azure,
        reason: "",
        statuses: "400, 409, 415, 422",
        look: "Azure's text in the answer, and its limits in the README under Limits. If the text is about the api-version, REMORA-CFG-03. With CHECK=off, a 400 \
            may mean a corrupt body; CHECK=full names the fault",
    },
    Answer {
        side: Side::Azure,
        reason: "",
        statuses: "401, 403, 404",
        look: "REMORA-RBAC-04 for 401, REMORA-RBAC-01 for 403, REMORA-RBAC-02 for 404. REFUSAL_HOLD is over",
    },
    Answer {
        side: Side::Azure,
        reason: "",
        statuses: "any other",
        look: "INGESTION_URL: the server that answers may not be Azure. REFUSAL_HOLD is over",
    },
];

/// Remora's own answers, each with its reason.
pub(crate) fn own() -> impl Iterator<Item = &'static Answer> {
    ANSWERS.iter().filter(|answer| answer.side != Side::Azure)
}

/// The answers that a metric counts by reason.
pub(crate) fn of_metric(metric: &str) -> impl Iterator<Item = &'static Answer> {
    ANSWERS.iter().filter(move |answer| answer.side.metric() == Some(metric))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use remora_core::forward::reply;

    use super::*;

    #[test]
    fn every_reason_that_is_counted_has_one_answer() {
        let families = include_str!("../../../../core/src/forward/counters/families.rs");
        for (labels, metric, one) in [
            ("RejectedFor {", "remora_requests_rejected_total", "too_large"),
            ("UpstreamError {", "remora_upstream_errors_total", "timeout"),
        ] {
            let (_, labels) = families.split_once(labels).expect("the reasons");
            let (labels, _) = labels.split_once('}').expect("their end");
            let counted: BTreeSet<_> = labels.split('"').skip(1).step_by(2).collect();
            assert!(counted.contains(one));
            let explained: Vec<_> = of_metric(metric).map(|answer| answer.reason).collect();
            assert_eq!(explained.len(), counted.len());
            assert_eq!(BTreeSet::from_iter(explained), counted);
        }
    }

    #[test]
    fn senders_drop_what_is_refused_and_retry_the_rest() {
        for answer in own() {
            let first: u16 = answer.statuses[..3].parse().expect("a status");
            assert_eq!(reply::drops_samples(first), answer.side == Side::Refused, "{answer}");
        }
        let any_other = ANSWERS.last().expect("an answer");
        assert!(any_other.side == Side::Azure && any_other.statuses == "any other");
    }
}
