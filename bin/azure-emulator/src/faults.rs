//! Scripted faults: which request is affected by which fault, and for how long. The endpoint applies them.

mod action;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failures;

pub(crate) use action::{Aadsts, Action, Delay, Fail, Moment, Reset, Slow, Truncate};

/// The endpoints that emulate Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EndpointName {
    /// The cluster's OIDC issuer.
    Issuer,
    /// Entra's token endpoint.
    Token,
    /// The data collection rule's ingestion endpoint.
    Ingest,
    /// A virtual machine's instance metadata service.
    Imds,
    /// The metadata service of a machine managed by Azure Arc.
    Arc,
    /// The token endpoint that App Service provides to a process.
    AppService,
    /// An AKS cluster's token proxy for identity bindings.
    IdentityBinding,
}

impl EndpointName {
    /// All endpoints.
    pub(crate) const ALL: [EndpointName; 7] = [
        EndpointName::Issuer,
        EndpointName::Token,
        EndpointName::Ingest,
        EndpointName::Imds,
        EndpointName::Arc,
        EndpointName::AppService,
        EndpointName::IdentityBinding,
    ];

    /// The name in URLs and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            EndpointName::Issuer => "issuer",
            EndpointName::Token => "token",
            EndpointName::Ingest => "ingest",
            EndpointName::Imds => "imds",
            EndpointName::Arc => "arc",
            EndpointName::AppService => "app-service",
            EndpointName::IdentityBinding => "identity-binding",
        }
    }
}

/// One rule of `POST /faults`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    endpoint: EndpointName,
    /// Requests (connections for `accept`) that pass before the first one is affected.
    #[serde(default)]
    after: u64,
    /// How many are affected; all if absent.
    #[serde(default)]
    count: Option<u64>,
    /// The rule's lifetime, in seconds since it was posted; if absent, until it is deleted.
    #[serde(default)]
    seconds: Option<u64>,
    action: Action,
}

impl Rule {
    /// Fails if the rule could never be applied.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.action {
            Action::Status(answer) => answer.reply().map(drop),
            Action::Fail(Fail { fail }) if !failures::is_known(self.endpoint, *fail) => {
                Err(format!("the endpoint {} has no answer of its own with status {fail}", self.endpoint.as_str()))
            }
            Action::Aadsts(Aadsts { aadsts }) if !failures::has_number(self.endpoint, *aadsts) => {
                Err(format!("the endpoint {} has no answer with the number AADSTS{aadsts}", self.endpoint.as_str()))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Debug)]
struct Armed {
    rule: Rule,
    until: Option<Instant>,
    to_skip: u64,
    hits: u64,
}

impl Armed {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now) || self.rule.count.is_some_and(|count| self.hits >= count)
    }
}

/// The rules in posting order. At most one applies to a request: the oldest that matches it and has not run out.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Armed>,
}

impl Faults {
    /// Adds a rule after the others.
    pub(crate) fn arm(&mut self, rule: Rule, now: Instant) {
        let until = rule.seconds.and_then(|seconds| now.checked_add(Duration::from_secs(seconds)));
        self.rules.push(Armed { until, to_skip: rule.after, hits: 0, rule });
    }

    /// Removes all rules.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// The action for a request that has just arrived.
    pub(crate) fn at_request(&mut self, endpoint: EndpointName, now: Instant) -> Option<Action> {
        self.hit(endpoint, now, false)
    }

    /// Whether a connection that has just been accepted is reset.
    pub(crate) fn at_accept(&mut self, endpoint: EndpointName, now: Instant) -> bool {
        self.hit(endpoint, now, true).is_some()
    }

    fn hit(&mut self, endpoint: EndpointName, now: Instant, accept: bool) -> Option<Action> {
        self.rules.retain(|armed| !armed.is_over(now));
        let concerned =
            |armed: &&mut Armed| armed.rule.endpoint == endpoint && armed.rule.action.is_for_accept() == accept;
        let armed = self.rules.iter_mut().find(concerned)?;
        if armed.to_skip > 0 {
            armed.to_skip -= 1;
            return None;
        }
        armed.hits += 1;
        Some(armed.rule.action.clone())
    }

    /// The remaining rules, each with its hits so far.
    pub(crate) fn list(&mut self, now: Instant) -> Value {
        self.rules.retain(|armed| !armed.is_over(now));
        self.rules
            .iter()
            .map(|armed| json!({"rule": armed.rule, "to_skip": armed.to_skip, "hits": armed.hits}))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> Rule {
        serde_json::from_str(text).expect(text)
    }

    #[test]
    fn an_endpoint_fails_only_as_it_can() {
        assert!(rule(r#"{"endpoint":"imds","action":{"fail":410}}"#).check().is_ok());
        assert!(rule(r#"{"endpoint":"token","action":{"fail":410}}"#).check().unwrap_err().contains("token"));
        assert!(rule(r#"{"endpoint":"token","action":{"aadsts":90061}}"#).check().is_ok());
        assert!(rule(r#"{"endpoint":"token","action":{"aadsts":1}}"#).check().unwrap_err().contains("AADSTS1"));
        assert!(rule(r#"{"endpoint":"imds","action":{"aadsts":90061}}"#).check().unwrap_err().contains("imds"));
    }

    #[test]
    fn a_rule_skips_then_hits_then_ends() {
        let mut faults = Faults::default();
        let now = Instant::now();
        faults.arm(rule(r#"{"endpoint":"ingest","after":1,"count":2,"action":{"hang":true}}"#), now);
        let hits: Vec<bool> = (0..5).map(|_| faults.at_request(EndpointName::Ingest, now).is_some()).collect();
        assert_eq!(hits, [false, true, true, false, false]);
        assert_eq!(faults.list(now), json!([]));
    }

    #[test]
    fn a_rule_ends_with_its_time() {
        let mut faults = Faults::default();
        let now = Instant::now();
        faults.arm(rule(r#"{"endpoint":"token","seconds":3,"action":{"status":503}}"#), now);
        assert!(faults.at_request(EndpointName::Token, now + Duration::from_secs(2)).is_some());
        assert!(faults.at_request(EndpointName::Token, now + Duration::from_secs(3)).is_none());
    }

    #[test]
    fn endpoints_and_moments_do_not_meddle() {
        let mut faults = Faults::default();
        let now = Instant::now();
        faults.arm(rule(r#"{"endpoint":"token","action":{"reset":"accept"}}"#), now);
        assert!(faults.at_request(EndpointName::Token, now).is_none());
        assert!(!faults.at_accept(EndpointName::Ingest, now));
        assert!(faults.at_accept(EndpointName::Token, now));
    }
}
