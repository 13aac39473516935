//! The outcome of one check.

use remora_smol::text::is_more_than_text;

use crate::pages::{Page, is_command};

/// The outcome of one check.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It passed; what was seen.
    Ok(String),
    /// It passed, but something is questionable.
    Warn(Finding),
    /// It failed.
    Fail(Finding),
    /// It was not run, because this check did not pass.
    Needs(&'static Page),
    /// It was not run, for a reason that is not a failure.
    Left(&'static str),
}

/// A problem that was found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// The page that explains it, if not the check's own.
    pub(super) page: Option<&'static Page>,
    /// What was seen.
    pub(super) seen: String,
    /// The consequences, if they differ from the page's.
    pub(super) why: Option<String>,
    /// The fix, in place of the page's.
    pub(super) repair: Option<String>,
    /// The argument for `remora explain`, if not the page's code.
    pub(super) more: Option<&'static str>,
    /// Whether it lies in the environment or the flags, which do not change while this process waits.
    pub(super) is_fixed: bool,
}

/// A text on one line. What was seen may come from anyone who answers, and may neither add lines to the report nor
/// control the terminal.
pub(super) fn one_line(text: &str) -> String {
    text.replace(is_more_than_text, " ")
}

impl Finding {
    /// A finding that the check's own page explains.
    pub(super) fn new(seen: impl AsRef<str>) -> Self {
        Self { page: None, seen: one_line(seen.as_ref()), why: None, repair: None, more: None, is_fixed: false }
    }

    /// Sets another page as the explanation.
    pub(super) fn on(mut self, page: &'static Page) -> Self {
        self.page = Some(page);
        self
    }

    /// Marks it as one that no wait will end.
    pub(super) fn fixed(self) -> Self {
        Self { is_fixed: true, ..self }
    }

    /// Replaces the consequences on the page.
    pub(super) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Adds that the check does not know flags given to the sidecar, which may be the cause.
    pub(super) fn with_args(mut self, page: &'static Page) -> Self {
        const ARGS: &str =
            "if the container's args set flags, pass the same flags to remora check, which does not see them";
        let repair = self.repair.take().unwrap_or_else(|| page.repair.to_owned());
        let (commands, mut prose): (Vec<_>, Vec<_>) = repair.lines().partition(|line| is_command(line));
        prose.push(ARGS);
        prose.extend(commands);
        self.repaired(prose.join("\n"))
    }

    /// Replaces the fix on the page.
    pub(super) fn repaired(mut self, repair: impl Into<String>) -> Self {
        self.repair = Some(repair.into());
        self
    }
}

/// A finished check.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// The page of the check.
    pub(super) step: &'static Page,
    /// Its outcome.
    pub(super) outcome: Outcome,
}

impl Done {
    /// The page that explains the outcome: the finding's own, otherwise the check's.
    pub(super) fn page(&self) -> &'static Page {
        match &self.outcome {
            Outcome::Warn(finding) | Outcome::Fail(finding) => finding.page.unwrap_or(self.step),
            _ => self.step,
        }
    }

    /// Whether there is a problem.
    pub(super) fn is_found(&self) -> bool {
        matches!(self.outcome, Outcome::Warn(_) | Outcome::Fail(_))
    }

    /// The page to read first when checks that depend on this one cannot run.
    pub(super) fn cause(&self) -> Option<&'static Page> {
        match &self.outcome {
            Outcome::Fail(_) => Some(self.page()),
            Outcome::Needs(cause) => Some(cause),
            _ => None,
        }
    }
}
