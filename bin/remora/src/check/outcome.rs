//! What came of one check.

use crate::pages::{Page, is_command};

/// The result of one check.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It holds; what was seen.
    Ok(String),
    /// It holds, but not as it should.
    Warn(Finding),
    /// It does not hold.
    Fail(Finding),
    /// It was not tried, because this one failed.
    Needs(&'static Page),
    /// It was not tried for a reason that is no failure.
    Left(&'static str),
}

/// What was found to be wrong.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// Where it is explained, when that is another page than the check's own.
    pub(super) page: Option<&'static Page>,
    /// What was seen.
    pub(super) seen: String,
    /// What follows, when that is more than the page says.
    pub(super) why: Option<String>,
    /// What to do, in place of what the page says.
    pub(super) repair: Option<String>,
    /// What `remora explain` tells more about than the page.
    pub(super) more: Option<&'static str>,
}

impl Finding {
    /// Something that the check's own page explains.
    pub(super) fn new(seen: impl Into<String>) -> Self {
        Self { page: None, seen: seen.into(), why: None, repair: None, more: None }
    }

    /// Explained by another page.
    pub(super) fn on(mut self, page: &'static Page) -> Self {
        self.page = Some(page);
        self
    }

    /// With other consequences than the page says.
    pub(super) fn because(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// The same, with what may be the matter where the sidecar is given flags: the check does not know them.
    pub(super) fn with_args(mut self, page: &'static Page) -> Self {
        const ARGS: &str =
            "if the container's args set flags, pass the same flags to remora check, which does not see them";
        let repair = self.repair.take().unwrap_or_else(|| page.repair.to_owned());
        let (commands, mut prose): (Vec<_>, Vec<_>) = repair.lines().partition(|line| is_command(line));
        prose.push(ARGS);
        prose.extend(commands);
        self.repaired(prose.join("\n"))
    }

    /// Repaired in another way than the page says.
    pub(super) fn repaired(mut self, repair: impl Into<String>) -> Self {
        self.repair = Some(repair.into());
        self
    }
}

/// One check that is over.
#[derive(Clone, Debug)]
pub(super) struct Done {
    /// The page of the check.
    pub(super) step: &'static Page,
    /// What came of it.
    pub(super) outcome: Outcome,
}

impl Done {
    /// The page that explains the outcome: the finding's own, else that of the check.
    pub(super) fn page(&self) -> &'static Page {
        match &self.outcome {
            Outcome::Warn(finding) | Outcome::Fail(finding) => finding.page.unwrap_or(self.step),
            _ => self.step,
        }
    }

    /// The page to look at first, when what depends on this check cannot be tried.
    pub(super) fn cause(&self) -> Option<&'static Page> {
        match &self.outcome {
            Outcome::Fail(_) => Some(self.page()),
            Outcome::Needs(cause) => Some(cause),
            _ => None,
        }
    }
}
