//! The effect of a fault on a request, as requested from the control interface.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

use crate::reply::Reply;

/// The largest body that a fault can send, in bytes.
const LARGEST_BODY: usize = 64 << 20;

/// The effect on a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "an action is one of status (with headers, body, body_base64, repeat_to), fail, aadsts, delay_ms, slow, reset (accept, \
                 request_body, before_head, after_head, mid_body), truncate, close (idle), hang, stall_read"
)]
pub(crate) enum Action {
    /// The request is read but not handled, and gets this answer.
    Status(StatusAnswer),
    /// The request is read but not handled, and gets the endpoint's own answer with this status.
    Fail(Fail),
    /// The request is read but not handled, and refused with this AADSTS number.
    Aadsts(Aadsts),
    /// The request is handled; the answer is delayed by this many milliseconds.
    Delay(Delay),
    /// The request is handled; the answer is sent byte by byte, at this many bytes a second.
    Slow(Slow),
    /// The connection ends with a TCP RST.
    Reset(Reset),
    /// The request is handled; this many bytes of the answer are sent, then the connection is closed without
    /// `close_notify`.
    Truncate(Truncate),
    /// The request is handled and answered, then the connection is closed without having been announced in the answer.
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
    /// The body's bytes, if they are not text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    /// The body is repeated until it has this many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeat_to: Option<usize>,
}

impl StatusAnswer {
    /// The answer, or why it is invalid.
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

/// See [`Action::Aadsts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Aadsts {
    pub(crate) aadsts: u32,
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
    /// After half of the request's body was read; the request is not handled.
    RequestBody,
    /// After the request was handled, before any byte of the answer is sent.
    BeforeHead,
    /// After the answer's head was sent, before its body.
    AfterHead,
    /// After the answer's head and half of its body were sent.
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

/// Which connections are closed: idle ones, that is, those that have just answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Closing {
    /// After an answer.
    Idle,
}

/// See [`Action::Hang`]; the value has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hang {
    hang: bool,
}

/// See [`Action::StallRead`]; the value has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StallRead {
    stall_read: bool,
}

impl Action {
    /// Name for the log and `GET /requests`.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Action::Status(_) => "status",
            Action::Fail(_) => "fail",
            Action::Aadsts(_) => "aadsts",
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

    pub(super) fn is_for_accept(&self) -> bool {
        matches!(self, Action::Reset(Reset { reset: Moment::Accept }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_of_the_documentation_is_understood() {
        for (action, name) in [
            (r#"{"status":503,"headers":{"Retry-After":"1"},"body":"later"}"#, "status"),
            (r#"{"status":200,"body":"x","repeat_to":1048576}"#, "status"),
            (r#"{"status":200,"body_base64":"/w=="}"#, "status"),
            (r#"{"fail":429}"#, "fail"),
            (r#"{"aadsts":90061}"#, "aadsts"),
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
}
