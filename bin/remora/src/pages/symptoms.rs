//! What users see before they know a code: the statuses of Azure's answers and the names of the alerts.

use remora_core::forward::reply;
use remora_core::http::digits::decimal;

use super::{LIVE_01, LIVE_03, PROM_02, Page, RBAC_01, RBAC_02, RBAC_03, RBAC_04, TOK_05, TOK_10, find};

/// A symptom and the pages of its possible causes.
#[derive(Clone, Debug)]
pub(crate) struct Symptom {
    /// Its name where it is seen.
    pub(crate) name: String,
    /// What to know or to do first; empty if the pages say it all.
    pub(crate) lead: &'static str,
    /// The pages, the first one first.
    pub(crate) pages: Vec<&'static Page>,
}

/// Alert, lead, pages: the alerts of `scripts/deploy/prometheus-rule.yaml`.
pub(crate) static ALERTS: &[(&str, &str, &[&Page])] = &[
    ("RemoraTokenRefreshFailing", "", &[&TOK_10]),
    ("RemoraTokenExpiring", "", &[&TOK_10]),
    ("RemoraTokenMissing", "", &[&TOK_10]),
    ("RemoraFederatedTokenExpired", "", &[&TOK_05]),
    (
        "RemoraUpstreamRejecting",
        "The label code is Azure's status: 401 is RBAC-04, 403 is RBAC-01, 404 is RBAC-02.",
        &[&RBAC_04, &RBAC_01, &RBAC_02],
    ),
    (
        "RemoraSamplesRefused",
        "The log has each answer, Azure's or Remora's own; RUNBOOK.md says what to do about each status and reason.",
        &[&LIVE_03, &RBAC_04, &RBAC_01, &RBAC_02],
    ),
    (
        "RemoraSamplesLost",
        "Some samples are gone, even if it was only one batch. The log's error lines say which answer dropped them.",
        &[&LIVE_03, &RBAC_04, &RBAC_01, &RBAC_02],
    ),
    ("RemoraThrottled", "", &[&RBAC_03]),
    ("RemoraHighErrorRatio", "The log lines \"request not accepted\" say why.", &[&LIVE_03]),
    ("RemoraNothingAccepted", "In the pod, /remora check --write names the cause.", &[&LIVE_03]),
    ("RemoraSamplesTooOld", "", &[&PROM_02]),
    ("RemoraOverloaded", "The log lines \"request not accepted\" name BODY_MEMORY or MAX_IN_FLIGHT.", &[&PROM_02]),
    ("RemoraBodyMemoryFull", "Raise BODY_MEMORY, and the container's memory limit by twice the increase.", &[&PROM_02]),
    ("RemoraUnreachable", "", &[&LIVE_01]),
    (
        "RemoraDown",
        "Check that the PodMonitor or the scrape configuration is in place, and that the sidecar runs.",
        &[&LIVE_01],
    ),
];

/// Statuses of Azure with a page, as they are listed.
pub(crate) const STATUSES: [&str; 5] = ["401", "403", "404", "429", "5xx"];

/// The symptom with this name: a status such as `403`, `5xx`, or an alert in any case.
pub(crate) fn symptom(name: &str) -> Option<Symptom> {
    let name = name.trim();
    let alert = ALERTS.iter().find(|(alert, ..)| alert.eq_ignore_ascii_case(name));
    alert.map(|(alert, lead, pages)| Symptom { name: (*alert).to_owned(), lead, pages: pages.to_vec() }).or_else(|| {
        let status =
            if name.eq_ignore_ascii_case("5xx") { 500 } else { u16::try_from(decimal(name.as_bytes())?).ok()? };
        let lead = "This is about Azure's answers; one of Remora's own begins with \"remora:\" and says what to do.";
        Some(Symptom { name: name.to_owned(), lead, pages: vec![find(reply::code(status)?)?] })
    })
}

#[cfg(test)]
mod tests {
    use super::super::RBAC_05;
    use super::*;

    #[test]
    fn every_alert_has_a_page_and_no_other_name_does() {
        let rules = include_str!("../../../../scripts/deploy/prometheus-rule.yaml");
        let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
        assert_eq!(ALERTS.iter().map(|(alert, ..)| *alert).collect::<Vec<_>>(), alerts);
        assert!(ALERTS.iter().all(|(_, _, pages)| !pages.is_empty()));
    }

    #[test]
    fn a_status_has_the_page_that_the_log_names() {
        for (status, page) in
            [("401", &RBAC_04), ("403", &RBAC_01), ("404", &RBAC_02), ("429", &RBAC_03), ("503", &RBAC_05)]
        {
            assert_eq!(symptom(status).expect(status).pages, [page], "{status}");
        }
        assert!(STATUSES.iter().all(|status| symptom(status).is_some()));
        for name in ["200", "413", "+403", "", "40", "70021"] {
            assert!(symptom(name).is_none(), "{name}");
        }
    }
}
