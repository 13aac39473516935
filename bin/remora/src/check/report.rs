//! The results of a run of the checks, ready for output: every page filled in with this pod's values.

mod json;
mod table;

use std::process::ExitCode;

pub(super) use table::Style;

use super::WARNED;
use super::context::Context;
use super::outcome::{Done, Finding, Outcome, one_line};
use super::pod::Pod;
use super::steps;
use crate::pages::{self, Category, Page, is_command};

/// The result of a check, in the terms of `linkerd check -o json` plus `Skipped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Success,
    Warning,
    Error,
    Skipped,
}

/// One check as it is reported.
#[derive(Debug)]
struct Line {
    page: &'static Page,
    verdict: Verdict,
    /// What was seen, or why the check was not run.
    seen: String,
    why: String,
    /// Prose and commands, each filled in.
    repair: Vec<String>,
    /// The argument for `remora explain`.
    more: String,
    /// The page to read first.
    needs: Option<&'static Page>,
    /// See [`Finding::is_fixed`].
    is_fixed: bool,
}

impl Line {
    fn new(done: &Done, pod: &Pod) -> Self {
        let page = done.page();
        let bare = |verdict, seen: &str, needs| Self {
            page,
            verdict,
            seen: one_line(seen),
            why: String::new(),
            repair: Vec::new(),
            more: page.to_string(),
            needs,
            is_fixed: false,
        };
        match &done.outcome {
            Outcome::Ok(seen) => bare(Verdict::Success, seen, None),
            Outcome::Needs(cause) => bare(Verdict::Skipped, &format!("needs {cause}"), Some(*cause)),
            Outcome::Left(why) => bare(Verdict::Skipped, why, None),
            Outcome::Warn(finding) => Self::found(page, Verdict::Warning, finding, pod),
            Outcome::Fail(finding) => Self::found(page, Verdict::Error, finding, pod),
        }
    }

    fn found(page: &'static Page, verdict: Verdict, finding: &Finding, pod: &Pod) -> Self {
        let why = finding.why.clone().unwrap_or_else(|| page.why.to_owned());
        let repair = finding.repair.as_deref().unwrap_or(page.repair);
        let repair = repair.lines().map(|line| pod.fill(line, is_command(line))).collect();
        let more = finding.more.map_or_else(|| page.to_string(), str::to_owned);
        Self { page, verdict, seen: finding.seen.clone(), why, repair, more, needs: None, is_fixed: finding.is_fixed }
    }

    fn title(&self) -> &'static str {
        self.page.title
    }
}

/// All results.
#[derive(Debug)]
pub(super) struct Report {
    lines: Vec<Line>,
    pod: Pod,
    /// The conclusion if nothing failed.
    conclusion: String,
}

impl Report {
    /// Sums up a run: the chosen checks, and the problems for which any of them could not run. A check that could not
    /// run has not passed.
    pub(super) fn new(cx: &Context<'_>) -> Self {
        let chosen = |done: &Done| steps::ALL.iter().any(|step| step.page == done.step && step.is_chosen(cx.options));
        let needed = |done: &Done| match done.outcome {
            Outcome::Needs(cause) => Some(cause),
            _ => None,
        };
        let causes: Vec<_> = cx.done.iter().filter(|done| chosen(done)).filter_map(needed).collect();
        let is_cause = |done: &Done| [done.step, done.page()].iter().any(|page| causes.contains(page));
        let stands = |done: &&Done| {
            chosen(done) || (done.is_found() && is_cause(done) && !steps::is_among(&cx.options.skip, done.step))
        };
        let lines: Vec<_> = cx.done.iter().filter(stands).map(|done| Line::new(done, &cx.pod)).collect();
        Self { conclusion: conclusion(cx, &lines), lines, pod: cx.pod.clone() }
    }

    /// The page of the first failure, if all failures may end without a change to this process.
    pub(super) fn awaited(&self) -> Option<&'static Page> {
        self.failures().all(|line| !line.is_fixed).then(|| self.failures().next())?.map(|line| line.page)
    }

    fn failures(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.verdict == Verdict::Error)
    }

    /// See [`super::check`].
    pub(super) fn exit_code(&self, strict: bool) -> ExitCode {
        match (self.count(Verdict::Error), self.count(Verdict::Warning)) {
            (0, warnings) if warnings > 0 && strict => ExitCode::from(WARNED),
            (0, _) => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.verdict == verdict).count()
    }

    /// The lines of each category that has any.
    fn categories(&self) -> impl Iterator<Item = (Category, Vec<&Line>)> {
        Category::ALL.into_iter().filter_map(|category| {
            let lines: Vec<_> = self.lines.iter().filter(|line| line.page.category == category).collect();
            (!lines.is_empty()).then_some((category, lines))
        })
    }
}

/// The conclusion when no check failed: it claims only what was tested.
fn conclusion(cx: &Context<'_>, lines: &[Line]) -> String {
    let held =
        |page: &'static Page| cx.done.iter().any(|done| done.step == page && matches!(done.outcome, Outcome::Ok(_)));
    let rule = cx.pod.known("dcr").unwrap_or("the workspace");
    let throttled = |done: &Done| done.page() == &pages::RBAC_03;
    if lines.iter().all(|line| line.verdict == Verdict::Skipped) {
        "Nothing was tested.".to_owned()
    } else if cx.done.iter().any(throttled) {
        format!("This pod may write to {rule}, but Azure asks it to send less.")
    } else if held(&pages::RBAC_01) {
        format!("This pod can write to {rule} in Azure Monitor.")
    } else if held(&pages::TOK_10) {
        format!("This pod gets tokens for {rule}; --write also tests whether it may write.")
    } else if lines.iter().any(|line| line.verdict == Verdict::Warning) {
        "Nothing failed; see the warnings above.".to_owned()
    } else {
        "Everything that was tested passed.".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::{Choice, Options, Reach};

    /// The report of these checks in a container with these settings.
    fn reported(only: &[&str], skip: &[&str], settings: &[(&str, &str)]) -> Report {
        let choices = |names: &[&str]| names.iter().filter_map(|name| Choice::parse(name)).collect();
        let options = Options { reach: Reach::Write, only: choices(only), skip: choices(skip), ..Options::default() };
        let source: BTreeMap<_, _> = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let mut cx = Context::new(&options, &source);
        steps::run(&mut cx);
        Report::new(&cx)
    }

    fn first_failure(report: &Report) -> Option<&'static str> {
        report.failures().next().map(|line| line.page.code)
    }

    /// A token's claims are shown, and whoever answers the token request writes them.
    #[test]
    fn what_was_seen_adds_no_line_and_does_not_control_the_terminal() {
        for outcome in [
            Outcome::Ok("for 1h, object x\n[ok] \u{1b}[2J".to_owned()),
            Outcome::Fail(Finding::new("x\u{2028}\u{202e}2J")),
        ] {
            let line = Line::new(&Done { step: &pages::TOK_10, outcome }, &Pod::default());
            let unseen = |c: char| c.is_control() || "\u{2028}\u{202e}".contains(c);
            assert!(!line.seen.contains(unseen), "{:?}", line.seen);
        }
    }

    #[test]
    fn a_wrong_setting_is_not_waited_for_and_a_file_is() {
        const CLIENT: (&str, &str) = ("AZURE_CLIENT_ID", "3913510d-42f4-4e42-8a64-420c390055eb");
        const TENANT: (&str, &str) = ("AZURE_TENANT_ID", CLIENT.1);
        const PATH: &str =
            "/dataCollectionRules/d/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24";
        let endpoint = |host: &str| format!("https://{host}{PATH}");
        let (public, government) =
            (endpoint("h.metrics.ingest.monitor.azure.com"), endpoint("h.metrics.ingest.monitor.azure.us"));
        let awaited = |settings: &[(&str, &str)], endpoint: &str| {
            let settings = [settings, &[("INGESTION_URL", endpoint)]].concat();
            let report = reported(&["configuration", "environment", "TOK-01"], &[], &settings);
            assert!(first_failure(&report).is_some(), "{settings:?}");
            report.awaited().map(|page| page.code)
        };
        for (name, code) in [("AZURE_FEDERATED_TOKEN_FILE", "TOK-01"), ("AZURE_CLIENT_CERTIFICATE_PATH", "CFG-09")] {
            let kind = if code == "TOK-01" { "workloadIdentity" } else { "aadApplication" };
            let settings = [("IDENTITY_TYPE", kind), CLIENT, TENANT, (name, "/nowhere")];
            assert_eq!(awaited(&settings, &public), Some(code), "{name}");
            assert_eq!(awaited(&[&settings[..], &[("LOG_LEVEL", "loud")]].concat(), &public), None, "{name}");
        }
        let system = ("IDENTITY_TYPE", "systemAssigned");
        for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
            assert_eq!(awaited(&[system, (name, "/nowhere")], &public), Some("CFG-07"), "{name}");
        }
        // No PEM file yet.
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(awaited(&[system, ("SSL_CERT_FILE", manifest)], &public), Some("CFG-07"));
        assert_eq!(awaited(&[system], &government), None);
        assert_eq!(awaited(&[system], &public.replace("Microsoft-PrometheusMetrics", "Custom-Table")), None);
        assert_eq!(awaited(&[], &public), None);
        assert_eq!(awaited(&[system], ""), None);
    }

    #[test]
    fn a_chosen_check_that_could_not_run_has_not_passed() {
        for only in ["RBAC-01", "token-exchange", "PROM-02", "CFG-03"] {
            let report = reported(&[only], &[], &[]);
            assert_eq!(first_failure(&report), Some("CFG-01"), "{only}");
            assert_eq!((report.exit_code(false), report.count(Verdict::Error)), (ExitCode::FAILURE, 1), "{only}");
            assert!(report.json().contains("\"success\": false"), "{only}");
        }
        // The fault may belong to a later check than the chosen one.
        let endpoint = ("INGESTION_URL", "https://h/dataCollectionRules/d/x?api-version=2023-04-24");
        let settings = [endpoint, ("IDENTITY_TYPE", "systemAssigned"), ("LOG_LEVEL", "loud")];
        assert_eq!(first_failure(&reported(&["CFG-03"], &[], &settings)), Some("CFG-06"));
        let chosen = reported(&["configuration"], &[], &[]);
        assert!(chosen.lines.iter().all(|line| line.page.category == Category::Configuration));
    }

    #[test]
    fn only_a_run_without_warnings_has_passed() {
        let endpoint = ("INGESTION_URL", "https://h/dataCollectionRules/d/x?api-version=2023-04-24");
        let settings = [endpoint, ("IDENTITY_TYPE", "systemAssigned"), ("BODY_MEMROY", "8MiB")];
        let conclusion = |only| reported(&[only], &[], &settings).conclusion;
        assert_eq!(conclusion("CFG-06"), "Nothing failed; see the warnings above.");
        assert_eq!(conclusion("CFG-03"), "Everything that was tested passed.");
    }

    #[test]
    fn what_the_user_skips_holds_nothing_up_and_is_not_called_a_success_of_anything() {
        let report = reported(&["RBAC-01"], &["CFG-01"], &[]);
        assert_eq!((first_failure(&report), report.exit_code(true)), (None, ExitCode::SUCCESS));
        assert_eq!(report.conclusion, "Nothing was tested.");
    }
}
