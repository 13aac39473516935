//! The state of a run of the checks: the configuration, this pod's values, and the results of earlier checks.

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
use crate::config::{self, Faults, Kind, Loaded};
use crate::pages::{self, Page};

/// The result of a check: a note on what was seen if it passed, otherwise its outcome.
pub(super) type Checked = Result<String, Outcome>;

/// The outcome of a check that is about workload identities alone.
const OTHER_IDENTITY: Outcome = Outcome::Left("only with IDENTITY_TYPE=workloadIdentity");

/// The state of one run of the checks.
pub(super) struct Context<'c> {
    /// What the command line requests.
    pub(super) options: &'c Options,
    /// The configuration, or its faults.
    pub(super) loaded: Result<Loaded, Faults>,
    /// Whether the webhook sets the identity's variables.
    pub(super) is_workload: bool,
    /// The kind of identity, if `IDENTITY_TYPE` names one. It is known even if other settings are faulty.
    pub(super) kind: Option<Kind>,
    /// The certificate authorities for verifying peers, once loaded.
    pub(super) trust: Option<Trust>,
    /// This pod's own values.
    pub(super) pod: Pod,
    /// The claims of the projected token.
    pub(super) assertion: Option<Claims>,
    /// The routes to Entra and to Azure Monitor.
    pub(super) routes: Vec<Route>,
    /// The access token.
    pub(super) granted: Option<Granted>,
    /// The state of Prometheus' queue and when it was read.
    pub(super) queue: Option<(Instant, Queue)>,
    /// The finished checks.
    pub(super) done: Vec<Done>,
}

impl<'c> Context<'c> {
    /// A context before the first check.
    pub(super) fn new(options: &'c Options, source: &dyn Source) -> Self {
        Self {
            options,
            loaded: config::load(source),
            is_workload: config::is_workload(source),
            kind: config::identity_kind(source),
            trust: None,
            pod: Pod::look(source),
            assertion: None,
            routes: Vec::new(),
            granted: None,
            queue: None,
            done: Vec::new(),
        }
    }

    /// The configuration, or the page to read first.
    pub(super) fn config(&self) -> Result<&Config, Outcome> {
        match &self.loaded {
            Ok(loaded) => Ok(&loaded.config),
            Err(faults) => Err(Outcome::Needs(first(faults))),
        }
    }

    /// The workload identity. Other identities have no token in the pod.
    pub(super) fn workload(&self) -> Result<&WorkloadIdentity, Outcome> {
        self.of_workload()?;
        match &self.config()?.identity {
            Identity::Workload(identity) => Ok(identity),
            _ => Err(OTHER_IDENTITY),
        }
    }

    /// Leaves out a check that is about workload identities alone, if another identity is named.
    pub(super) fn of_workload(&self) -> Result<(), Outcome> {
        match self.kind {
            None | Some(Kind::Workload) => Ok(()),
            Some(_) => Err(OTHER_IDENTITY),
        }
    }

    /// The certificate authorities for verifying peers.
    pub(super) fn trust(&self) -> Result<&Trust, Outcome> {
        self.trust.as_ref().ok_or(Outcome::Needs(&pages::CFG_07))
    }

    /// The claims of the projected token.
    pub(super) fn assertion(&self) -> Result<&Claims, Outcome> {
        self.workload()?;
        self.assertion.as_ref().ok_or(Outcome::Needs(&pages::TOK_02))
    }

    /// Whether `page` is skipped and treated as passed.
    pub(super) fn is_skipped(&self, page: &'static Page) -> bool {
        steps::is_among(&self.options.skip, page)
    }

    /// Fails for a check that depends on `page` if that check failed or could not run itself.
    pub(super) fn needs(&self, page: &'static Page) -> Result<(), Outcome> {
        let counts = |done: &&Done| done.step == page && !self.is_skipped(page);
        let cause = self.done.iter().filter(counts).find_map(Done::cause);
        cause.map_or(Ok(()), |cause| Err(Outcome::Needs(cause)))
    }

    /// Whether `page` was checked and failed.
    pub(super) fn has_failed(&self, page: &'static Page) -> bool {
        let failed = |done: &Done| done.step == page && matches!(done.outcome, Outcome::Fail(_));
        !self.is_skipped(page) && self.done.iter().any(failed)
    }
}

/// The page of the first fault; there is always at least one.
fn first(faults: &Faults) -> &'static Page {
    faults.faults.first().map_or(&pages::CFG_06, config::Fault::page)
}
