//! The results of a run of the checks, ready for output: every page filled in with this pod's values.

mod json;
mod table;

use std::process::ExitCode;

pub(super) use table::Style;

use super::WARNED;
use super::context::Context;
use super::outcome::{Done, Finding, Outcome};
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
}

impl Line {
    fn new(done: &Done, pod: &Pod) -> Self {
        let page = done.page();
        let bare = |verdict, seen: &str, needs| Self {
            page,
            verdict,
            seen: seen.to_owned(),
            why: String::new(),
            repair: Vec::new(),
            more: page.to_string(),
            needs,
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
        Self { page, verdict, seen: finding.seen.clone(), why, repair, more, needs: None }
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
    /// Sums up a run.
    pub(super) fn new(cx: &Context<'_>) -> Self {
        let chosen = |done: &&Done| steps::ALL.iter().any(|step| step.page == done.step && step.is_chosen(cx.options));
        let lines: Vec<_> = cx.done.iter().filter(chosen).map(|done| Line::new(done, &cx.pod)).collect();
        Self { conclusion: conclusion(cx), lines, pod: cx.pod.clone() }
    }

    /// The code of the first failure.
    pub(super) fn first_failure(&self) -> Option<String> {
        self.lines.iter().find(|line| line.verdict == Verdict::Error).map(|line| line.page.to_string())
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
fn conclusion(cx: &Context<'_>) -> String {
    let held =
        |page: &'static Page| cx.done.iter().any(|done| done.step == page && matches!(done.outcome, Outcome::Ok(_)));
    let rule = cx.pod.known("dcr").unwrap_or("the workspace");
    let throttled = |done: &Done| done.page() == &pages::RBAC_03;
    if cx.done.iter().any(throttled) {
        format!("This pod may write to {rule}, but Azure asks it to send less.")
    } else if held(&pages::RBAC_01) {
        format!("This pod can write to {rule} in Azure Monitor.")
    } else if held(&pages::TOK_10) {
        format!("This pod gets tokens for {rule}; --write also tests whether it may write.")
    } else {
        "Everything that was tested passed.".to_owned()
    }
}
