//! What is known while the checks run: the configuration, this pod's values, and what the checks before have left.

use std::time::Instant;

use remora_smol::config::{Config, Identity, WorkloadIdentity};
use remora_smol::{Granted, Trust};

use super::Options;
use super::claims::Claims;
use super::outcome::{Done, Outcome};
use super::pod::Pod;
use super::route::Route;
use super::sender::Queue;
use super::steps;
use crate::config::source::Source;
use crate::config::{self, Faults, Loaded};
use crate::pages::{self, Page};

/// What a check gives: what was seen when it holds, else its outcome.
pub(super) type Checked = Result<String, Outcome>;

/// Everything that one run of the checks knows.
pub(super) struct Context<'c> {
    /// What was asked for.
    pub(super) options: &'c Options,
    /// The configuration, or what is wrong with it.
    pub(super) loaded: Result<Loaded, Faults>,
    /// Whether the webhook sets the identity's variables.
    pub(super) is_workload: bool,
    /// The authorities that peers are judged by, once they are loaded.
    pub(super) trust: Option<Trust>,
    /// This pod's own values.
    pub(super) pod: Pod,
    /// What the projected token says.
    pub(super) assertion: Option<Claims>,
    /// The ways to Entra and to Azure Monitor.
    pub(super) routes: Vec<Route>,
    /// The access token.
    pub(super) granted: Option<Granted>,
    /// What Prometheus says about its queue, and when it was asked.
    pub(super) queue: Option<(Instant, Queue)>,
    /// The checks that are over.
    pub(super) done: Vec<Done>,
}

impl<'c> Context<'c> {
    /// Nothing checked yet.
    pub(super) fn new(options: &'c Options, source: &dyn Source) -> Self {
        Self {
            options,
            loaded: config::load(source),
            is_workload: config::is_workload(source),
            trust: None,
            pod: Pod::look(source),
            assertion: None,
            routes: Vec::new(),
            granted: None,
            queue: None,
            done: Vec::new(),
        }
    }

    /// The configuration, or the page to look at first.
    pub(super) fn config(&self) -> Result<&Config, Outcome> {
        match &self.loaded {
            Ok(loaded) => Ok(&loaded.config),
            Err(faults) => Err(Outcome::Needs(first(faults))),
        }
    }

    /// The parts of a workload identity. Other identities have no token in the pod.
    pub(super) fn workload(&self) -> Result<&WorkloadIdentity, Outcome> {
        match &self.config()?.identity {
            Identity::Workload(identity) => Ok(identity),
            _ => Err(Outcome::Left("only with IDENTITY_TYPE=workloadIdentity")),
        }
    }

    /// The authorities that peers are judged by.
    pub(super) fn trust(&self) -> Result<&Trust, Outcome> {
        self.trust.as_ref().ok_or(Outcome::Needs(&pages::CFG_07))
    }

    /// What the projected token says.
    pub(super) fn assertion(&self) -> Result<&Claims, Outcome> {
        self.workload()?;
        self.assertion.as_ref().ok_or(Outcome::Needs(&pages::TOK_02))
    }

    /// Whether `page` is to be taken as if it held.
    pub(super) fn is_skipped(&self, page: &'static Page) -> bool {
        steps::is_among(&self.options.skip, page)
    }

    /// An outcome for what depends on `page`, when that did not hold or could not be tried itself.
    pub(super) fn needs(&self, page: &'static Page) -> Result<(), Outcome> {
        let counts = |done: &&Done| done.step == page && !self.is_skipped(page);
        let cause = self.done.iter().filter(counts).find_map(Done::cause);
        cause.map_or(Ok(()), |cause| Err(Outcome::Needs(cause)))
    }

    /// Whether `page` was tried and did not hold.
    pub(super) fn has_failed(&self, page: &'static Page) -> bool {
        let failed = |done: &Done| done.step == page && matches!(done.outcome, Outcome::Fail(_));
        !self.is_skipped(page) && self.done.iter().any(failed)
    }
}

/// The page of the first fault; there is always one.
fn first(faults: &Faults) -> &'static Page {
    faults.faults.first().map_or(&pages::CFG_06, config::Fault::page)
}
