//! Scripted faults: which request is hit by which, and for how long. Doing them is the endpoint's part.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failures;
use crate::reply::Reply;

/// The largest body that a fault sends, in bytes.
const LARGEST_BODY: usize = 64 << 20;

/// The endpoints that stand in for Azure.
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
    /// The metadata service of a machine that Azure Arc manages.
    Arc,
    /// The token endpoint that App Service gives to a process.
    AppService,
    /// An AKS cluster's token proxy for identity bindings.
    IdentityBinding,
}

impl EndpointName {
    /// All of them.
    pub(crate) const ALL: [EndpointName; 7] = [
        EndpointName::Issuer,
        EndpointName::Token,
        EndpointName::Ingest,
        EndpointName::Imds,
        EndpointName::Arc,
        EndpointName::AppService,
        EndpointName::IdentityBinding,
    ];

    /// As it stands in URLs and logs.
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

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "an action is one of status (with headers, body, body_base64, repeat_to), fail, delay_ms, slow, reset (accept, \
                 request_body, before_head, after_head, mid_body), truncate, close (idle), hang, stall_read"
)]
pub(crate) enum Action {
    /// The request is read, not handled, and answered with this.
    Status(StatusAnswer),
    /// The request is read, not handled, and answered as the endpoint itself answers with this status.
    Fail(Fail),
    /// The request is handled; the answer is held back, in milliseconds.
    Delay(Delay),
    /// The request is handled; the answer is sent at this many bytes a second, one by one.
    Slow(Slow),
    /// The connection ends with a TCP RST.
    Reset(Reset),
    /// The request is handled; this many bytes of the answer are sent, then the connection is closed without a TLS `close_notify`.
    Truncate(Truncate),
    /// The request is handled and answered, then the connection is closed, which the answer did not announce.
    Close(Close),
    /// The request is read and never answered.
    Hang(Hang),
    /// The request's body is never read.
    StallRead(StallRead),
}

/// See [`Action::Status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusAnswer {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    body: String,
    /// The body's bytes, where they are no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// The body is written again and again until it has this many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeat_to: Option<usize>,
}

impl StatusAnswer {
    /// The answer, or why there can be no such answer.
    pub(crate) fn reply(&self) -> Result<Reply, String> {
        let mut reply = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            reply = reply.header(name, value);
        }
        reply.body(Full::new(self.content()?)).map_err(|error| error.to_string())
    }

    fn content(&self) -> Result<Bytes, String> {
        let piece = match &self.body_base64 {
            Some(text) => STANDARD.decode(text).map_err(|error| format!("body_base64: {error}"))?,
            None => self.body.clone().into_bytes(),
        };
        match self.repeat_to {
            Some(length) if length > LARGEST_BODY => Err(format!("repeat_to is more than {LARGEST_BODY}")),
            Some(length) => Ok(piece.into_iter().cycle().take(length).collect()),
            None => Ok(piece.into()),
        }
    }
}

/// See [`Action::Fail`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fail {
    pub(crate) fail: u16,
}

/// See [`Action::Slow`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Slow {
    pub(crate) slow: NonZeroU32,
}

/// See [`Action::Delay`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delay {
    pub(crate) delay_ms: u64,
}

/// See [`Action::Reset`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reset {
    pub(crate) reset: Moment,
}

/// When a connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Moment {
    /// As soon as it is accepted, before TLS.
    Accept,
    /// Half of the request's body is read; the request is not handled.
    RequestBody,
    /// The request is handled, nothing of the answer is sent.
    BeforeHead,
    /// The answer's head is sent, its body is not.
    AfterHead,
    /// The answer's head and half of its body are sent.
    MidBody,
}

/// See [`Action::Truncate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Truncate {
    pub(crate) truncate: usize,
}

/// See [`Action::Close`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    pub(crate) close: Closing,
}

/// Which connections are closed: those that are idle, that is, have just answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Closing {
    /// After an answer.
    Idle,
}

/// See [`Action::Hang`]; the value says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hang {
    hang: bool,
}

/// See [`Action::StallRead`]; the value says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StallRead {
    stall_read: bool,
}

impl Action {
    /// For the log and `GET /requests`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Action::Status(_) => "status",
            Action::Fail(_) => "fail",
            Action::Delay(_) => "delay",
            Action::Slow(_) => "slow",
            Action::Reset(Reset { reset: Moment::Accept }) => "reset accept",
            Action::Reset(Reset { reset: Moment::RequestBody }) => "reset request_body",
            Action::Reset(Reset { reset: Moment::BeforeHead }) => "reset before_head",
            Action::Reset(Reset { reset: Moment::AfterHead }) => "reset after_head",
            Action::Reset(Reset { reset: Moment::MidBody }) => "reset mid_body",
            Action::Truncate(_) => "truncate",
            Action::Close(_) => "close",
            Action::Hang(_) => "hang",
            Action::StallRead(_) => "stall_read",
        }
    }

    fn is_for_accept(&self) -> bool {
        matches!(self, Action::Reset(Reset { reset: Moment::Accept }))
    }
}

/// One rule of `POST /faults`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    endpoint: EndpointName,
    /// Requests (connections for `accept`) that pass before the first one is hit.
    #[serde(default)]
    after: u64,
    /// How many are hit; without it, all.
    #[serde(default)]
    count: Option<u64>,
    /// How long the rule lives, in seconds since it was posted; without it, until it is deleted.
    #[serde(default)]
    seconds: Option<u64>,
    action: Action,
}

impl Rule {
    /// Why the rule could never be carried out.
    pub(crate) fn check(&self) -> Result<(), String> {
        match &self.action {
            Action::Status(answer) => answer.reply().map(drop),
            Action::Fail(Fail { fail }) if !failures::is_known(self.endpoint, *fail) => {
                Err(format!("the endpoint {} has no answer of its own with status {fail}", self.endpoint.as_str()))
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

/// The rules in the order they were posted. A request meets at most one: the oldest that is for it and has not run out.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Vec<Armed>,
}

impl Faults {
    /// Adds a rule behind the others.
    pub(crate) fn arm(&mut self, rule: Rule, now: Instant) {
        let until = rule.seconds.and_then(|seconds| now.checked_add(Duration::from_secs(seconds)));
        self.rules.push(Armed { until, to_skip: rule.after, hits: 0, rule });
    }

    /// Takes all rules away.
    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    /// What happens to a request that has just arrived.
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

    /// The rules that are left, each with its hits so far.
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
    fn every_action_of_the_documentation_is_understood() {
        for (action, name) in [
            (r#"{"status":503,"headers":{"Retry-After":"1"},"body":"later"}"#, "status"),
            (r#"{"status":200,"body":"x","repeat_to":1048576}"#, "status"),
            (r#"{"status":200,"body_base64":"/w=="}"#, "status"),
            (r#"{"fail":429}"#, "fail"),
            (r#"{"delay_ms":5}"#, "delay"),
            (r#"{"slow":1}"#, "slow"),
            (r#"{"reset":"accept"}"#, "reset accept"),
            (r#"{"reset":"request_body"}"#, "reset request_body"),
            (r#"{"reset":"before_head"}"#, "reset before_head"),
            (r#"{"reset":"after_head"}"#, "reset after_head"),
            (r#"{"reset":"mid_body"}"#, "reset mid_body"),
            (r#"{"truncate":7}"#, "truncate"),
            (r#"{"close":"idle"}"#, "close"),
            (r#"{"hang":true}"#, "hang"),
            (r#"{"stall_read":true}"#, "stall_read"),
        ] {
            assert_eq!(serde_json::from_str::<Action>(action).expect(action).name(), name);
        }
        for action in [r#"{"explode":true}"#, r#"{"slow":0}"#] {
            assert!(serde_json::from_str::<Action>(action).is_err());
        }
    }

    #[test]
    fn a_body_may_be_bytes_and_may_be_long() {
        let length = |text: &str| {
            let Action::Status(answer) = serde_json::from_str(text).unwrap() else { panic!("{text}") };
            answer.content().map(|body| body.len())
        };
        assert_eq!(length(r#"{"status":200,"body_base64":"/wD+"}"#), Ok(3));
        assert_eq!(length(r#"{"status":200,"body":"abc","repeat_to":1000}"#), Ok(1000));
        assert_eq!(length(r#"{"status":200,"repeat_to":1000}"#), Ok(0));
        assert!(length(r#"{"status":200,"body_base64":"?"}"#).is_err());
        assert!(length(r#"{"status":200,"body":"a","repeat_to":99999999999}"#).is_err());
    }

    #[test]
    fn an_endpoint_fails_only_as_it_can() {
        assert!(rule(r#"{"endpoint":"imds","action":{"fail":410}}"#).check().is_ok());
        assert!(rule(r#"{"endpoint":"token","action":{"fail":410}}"#).check().unwrap_err().contains("token"));
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
