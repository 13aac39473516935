//! What users see before they know a code: the statuses of answers, the reasons that metrics count them by, and the names
//! of the alerts; and data that is missing although no alert fires.

use remora_core::forward::reply;
use remora_core::http::digits::decimal;

use super::answers::{ANSWERS, Answer, Side};
use super::{LIVE_01, NET_04, PROM_01, PROM_02, Page, RBAC_01, RBAC_02, RBAC_03, RBAC_04, TOK_05, TOK_10, find};

/// A symptom and its possible causes.
#[derive(Clone, Debug)]
pub(crate) struct Symptom {
    /// Its name where it is seen.
    pub(crate) name: String,
    /// What to know or to do first; empty if the rest says it all.
    pub(crate) lead: &'static str,
    /// The pages of the causes, the first one first.
    pub(crate) pages: Vec<&'static Page>,
    /// The answers to writes that may be behind it, side by side.
    pub(crate) answers: Vec<&'static Answer>,
}

/// An alert of `scripts/deploy/prometheus-rule.yaml`, or [`MISSING_DATA`].
#[derive(Debug)]
pub(crate) struct Alert {
    /// Its name.
    pub(crate) name: &'static str,
    /// See [`Symptom::lead`].
    pub(crate) lead: &'static str,
    pages: &'static [&'static Page],
    answers: &'static [Side],
}

/// An alert whose causes have pages.
const fn of_pages(name: &'static str, lead: &'static str, pages: &'static [&'static Page]) -> Alert {
    Alert { name, lead, pages, answers: &[] }
}

/// An alert about answers to writes, for which the log has the cause.
const fn of_answers(name: &'static str, lead: &'static str, answers: &'static [Side]) -> Alert {
    Alert { name, lead, pages: &[], answers }
}

/// Every alert, in the order of the rules.
pub(crate) static ALERTS: &[Alert] = &[
    of_pages("RemoraTokenRefreshFailing", "", &[&TOK_10]),
    of_pages("RemoraTokenExpiring", "", &[&TOK_10]),
    of_pages("RemoraTokenMissing", "", &[&TOK_10]),
    of_pages(
        "RemoraFederatedTokenExpired",
        "Look at the kubelet and the webhook first: a new pod's token would expire as well.",
        &[&TOK_05],
    ),
    of_pages(
        "RemoraUpstreamRejecting",
        "The label code is Azure's status: 401 is RBAC-04, 403 is RBAC-01, 404 is RBAC-02. In the pod, /remora check --write has their commands with its values.",
        &[&RBAC_04, &RBAC_01, &RBAC_02],
    ),
    of_answers(
        "RemoraSamplesRefused",
        "The label code is the status on which senders drop their samples. The log has each answer.",
        &[Side::Refused, Side::Azure],
    ),
    of_answers(
        "RemoraSamplesLost",
        "Some samples are gone, even if it was only one batch. The log's error lines say which answer dropped them.",
        &[Side::Refused, Side::Azure],
    ),
    of_pages("RemoraThrottled", "", &[&RBAC_03]),
    of_answers(
        "RemoraHighErrorRatio",
        "The log lines \"request not accepted\" say why; most have a code that remora explain takes.",
        &[Side::Delayed, Side::Unanswered],
    ),
    of_answers("RemoraNothingAccepted", "In the pod, /remora check --write names the cause.", &[]),
    of_pages("RemoraNothingReceived", "", &[&PROM_01]),
    of_pages("RemoraSamplesTooOld", "Expected after a long outage; sampleAgeLimit skips the backlog.", &[&PROM_02]),
    of_pages(
        "RemoraSamplesExpired",
        "Expected after an outage that was longer than sampleAgeLimit, until its backlog is gone.",
        &[&PROM_02],
    ),
    of_pages(
        "RemoraClockWrong",
        "The log line that follows \"token acquired\" says by how much. The alert ends with the first token after the repair.",
        &[&NET_04],
    ),
    of_answers(
        "RemoraOverloaded",
        "The log lines \"request not accepted\" name the limit: it is too low for the senders, or Azure answers slowly. Without one, raise MAX_CONNECTIONS.",
        &[],
    ),
    of_answers(
        "RemoraBodyMemoryFull",
        "Raise BODY_MEMORY, and the container's memory limit by twice the increase.",
        &[],
    ),
    of_answers(
        "RemoraSendersHangUp",
        "Raise the sender's timeout above UPSTREAM_TIMEOUT (remoteTimeout or remote_timeout in Prometheus, -remoteWrite.sendTimeout in vmagent, timeout in OpenTelemetry Collector), or make its batches smaller.",
        &[],
    ),
    of_pages("RemoraUnreachable", "", &[&LIVE_01]),
    of_pages(
        "RemoraDown",
        "Check that the PodMonitor or the scrape configuration is in place, and that the sidecar runs.",
        &[&LIVE_01],
    ),
];

/// Samples that are in Prometheus but not in Grafana, although no alert fires.
pub(crate) static MISSING_DATA: Alert = of_answers(
    "missing-data",
    "No alert fires, but data is missing in Azure or Grafana. Follow one sample on its way:\n\
1. Prometheus must have it: query it there, with the labels that Grafana uses. Its page /rules shows whether Remora's rules are loaded at all.\n\
2. It must be sent: writeRelabelConfigs (write_relabel_configs) must keep it, and Azure must accept an empty write\n\
kubectl exec <pod> -n <namespace> -c prom-remotewrite -- /remora check --write\n\
3. Azure must keep it. What it drops after accepting it has a Reason: OldData and InvalidTimeRange are more than 20 minutes off, LimitThrottling is RBAC-03,\n\
Duplicate and OutOfOrder are often two senders of one series. The first command shows the workspace's ID\n\
az monitor data-collection rule list --query \"[?immutableId=='<dcr>'].destinations.monitoringAccounts[].accountResourceId\" -o tsv\n\
az monitor metrics list --resource <workspace-id> --metric EventsDropped --aggregation Maximum --filter \"Reason eq '*'\"\n\
az monitor metrics list --resource <workspace-id> --metric TimeSeriesSamplesDropped --aggregation Maximum --filter \"Reason eq '*'\"\n\
4. Grafana must ask this workspace: the URL of its data source is the query endpoint, and its identity needs the role Monitoring Data Reader on the workspace\n\
az monitor account show -n <workspace> -g <group> --query metrics.prometheusQueryEndpoint -o tsv\n\
5. Dashboards must find it: those of Azure select by the label cluster (externalLabels) and by the job names cadvisor, node and kube-state-metrics.",
    &[],
);

/// Statuses with an explanation of their own, as they are listed.
pub(crate) const STATUSES: [&str; 10] = ["400", "401", "403", "404", "409", "413", "415", "422", "429", "5xx"];

/// The symptom with this name: an alert or a reason in any case, or a status such as `403` or `5xx`.
pub(crate) fn symptom(name: &str) -> Option<Symptom> {
    let name = name.trim();
    let alert = ALERTS.iter().chain([&MISSING_DATA]).find(|alert| alert.name.eq_ignore_ascii_case(name));
    alert.map(of_alert).or_else(|| of_answer(name))
}

fn of_alert(alert: &Alert) -> Symptom {
    let answers = ANSWERS.iter().filter(|answer| alert.answers.contains(&answer.side)).collect();
    Symptom { name: alert.name.to_owned(), lead: alert.lead, pages: alert.pages.to_vec(), answers }
}

/// A reason or a status. For a status, this is Azure's page or answer, and Remora's own answers.
fn of_answer(name: &str) -> Option<Symptom> {
    let status = decimal(name.as_bytes()).and_then(|status| u16::try_from(status).ok()).unwrap_or_default();
    let status = if name.eq_ignore_ascii_case("5xx") { 500 } else { status };
    let page = reply::code(status).and_then(find);
    let is_meant = |answer: &&Answer| {
        let has_status = answer.statuses.split(", ").any(|status| status == name);
        let is_paged = page.is_some() && answer.side == Side::Azure;
        let is_reason = !name.is_empty() && answer.reason.eq_ignore_ascii_case(name);
        is_reason || (has_status && !is_paged)
    };
    let mut answers: Vec<_> = ANSWERS.iter().filter(is_meant).collect();
    // Azure may answer with any status.
    if page.is_none() && (300..500).contains(&status) && answers.iter().all(|answer| answer.side != Side::Azure) {
        answers.extend(ANSWERS.last());
    }
    let lead = "This is about Azure's answers; one of Remora's own begins with \"remora:\" and says what to do.";
    let lead = if page.is_some() { lead } else { "" };
    let is_known = page.is_some() || !answers.is_empty();
    is_known.then(|| Symptom { name: name.to_ascii_lowercase(), lead, pages: page.into_iter().collect(), answers })
}

#[cfg(test)]
mod tests {
    use super::super::RBAC_05;
    use super::*;

    #[test]
    fn every_alert_is_explained_and_no_other_name_is() {
        let rules = include_str!("../../../../scripts/deploy/prometheus-rule.yaml");
        let alerts: Vec<_> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
        assert_eq!(ALERTS.iter().map(|alert| alert.name).collect::<Vec<_>>(), alerts);
        assert!(ALERTS.iter().all(|alert| !alert.pages.is_empty() || !alert.lead.is_empty()));
    }

    #[test]
    fn an_alert_about_writes_that_arrive_does_not_look_for_their_sender() {
        for (name, reason) in [
            ("RemoraSamplesRefused", Some("too_large")),
            ("RemoraSamplesLost", Some("corrupt_frame")),
            ("RemoraHighErrorRatio", Some("overload")),
            ("RemoraNothingAccepted", None),
            ("RemoraBodyMemoryFull", None),
        ] {
            let symptom = symptom(name).expect(name);
            assert_eq!(symptom.pages, [&TOK_10; 0], "{name}");
            let answers = symptom.answers;
            assert_eq!(answers.is_empty(), reason.is_none(), "{name}");
            let has = |reason| answers.iter().any(|answer| answer.reason == reason);
            assert!(reason.is_none_or(has), "{name}");
        }
    }

    #[test]
    fn a_status_and_a_reason_have_the_answers_that_are_meant() {
        let shown = |name: &str| symptom(name).expect(name).answers.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown("413"), ["413"]);
        assert_eq!(shown("Too_Large"), ["too_large (400)"]);
        assert_eq!(shown("bad_method"), ["bad_method (405)"]);
        assert_eq!(shown("timeout"), ["timeout (504)"]);
        assert_eq!(shown("502"), ["broken (502)", "unreadable (502)"]);
        assert_eq!(shown("400").last().map(String::as_str), Some("400, 409, 415, 422"));
        assert!(shown("400").contains(&"corrupt_frame (400)".to_owned()));
        assert_eq!(shown("410"), ["any other"]);
        assert_eq!((shown("403"), shown("429")), (vec!["foreign_peer (403)".to_owned()], Vec::new()));
        assert_eq!(shown("503").len(), 6);
    }

    #[test]
    fn a_status_has_the_page_that_the_log_names() {
        for (status, page) in
            [("401", &RBAC_04), ("403", &RBAC_01), ("404", &RBAC_02), ("429", &RBAC_03), ("503", &RBAC_05)]
        {
            assert_eq!(symptom(status).expect(status).pages, [page], "{status}");
        }
        assert!(STATUSES.iter().all(|status| symptom(status).is_some()));
        for name in ["200", "+403", "600", "", "40", "70021"] {
            assert!(symptom(name).is_none(), "{name}");
        }
    }
}
