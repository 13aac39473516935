//! What Entra answers: a grant, or an error to act on. HTTP status and the OAuth `error` decide; AADSTS numbers only
//! choose the hint, with one exception (700024, in [`Failure::is_outdated_assertion`]).

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use ureq::http::HeaderValue;

use crate::hint::{self, Hint, Sent};
use crate::secret::Bearer;

/// Longest part of a description that is kept.
const MAX_TEXT: usize = 600;

/// A token was granted.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) bearer: Bearer,
    pub(crate) lifetime: Duration,
    pub(crate) refresh_in: Option<Duration>,
}

/// No token was granted. Its text holds no secret and fits one line.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// What repairs it, where that is known.
    pub hint: Option<&'static Hint>,
    /// Status of the answer, where there was one.
    pub status: Option<u16>,
    /// `AADSTS` number.
    pub code: Option<u32>,
    /// What was sent.
    pub sent: Sent,
    /// Entra's id of the request, for a support ticket.
    pub trace_id: Option<String>,
    /// Entra's id of the conversation, for a support ticket.
    pub correlation_id: Option<String>,
    /// `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: one_line(&message.into()), ..Self::default() }
    }

    pub(crate) const fn with_hint(mut self, hint: &'static Hint) -> Self {
        self.hint = Some(hint);
        self
    }

    /// Entra saw an assertion outside its validity.
    pub(crate) const fn is_outdated_assertion(&self) -> bool {
        matches!(self.code, Some(700_024))
    }

    pub(crate) const fn is_throttled(&self) -> bool {
        matches!(self.status, Some(429))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.map_or(Ok(()), |hint| write!(f, " - {}; fix: {}", hint.cause, hint.repair(&self.sent)))
    }
}

/// A number that some endpoints send as a string.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Seconds {
    fn duration(&self) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => Some(*seconds),
            Self::Text(text) => decimal(text),
        };
        seconds.map(Duration::from_secs)
    }
}

#[derive(Deserialize)]
struct Success {
    access_token: String,
    token_type: String,
    expires_in: Seconds,
    refresh_in: Option<Seconds>,
}

#[derive(Default, Deserialize)]
struct Refused {
    error: Option<String>,
    error_description: Option<String>,
    #[serde(default)]
    error_codes: Vec<u32>,
    trace_id: Option<String>,
    correlation_id: Option<String>,
}

/// Decodes an answer of any status.
pub(crate) fn decode(status: u16, retry_after: Option<&HeaderValue>, body: &[u8]) -> Result<Grant, Failure> {
    if (200..300).contains(&status) {
        return grant(body).ok_or_else(|| Failure {
            status: Some(status),
            ..Failure::new(format!("the token endpoint answered {status} without a token"))
        });
    }
    let retry_after = retry_after.and_then(|value| value.to_str().ok()).and_then(decimal).map(Duration::from_secs);
    Err(Failure { status: Some(status), retry_after, ..refused(status, body) })
}

fn grant(body: &[u8]) -> Option<Grant> {
    let success: Success = serde_json::from_slice(body).ok()?;
    let access_token = zeroize::Zeroizing::new(success.access_token);
    let bearer = Bearer::new(&access_token).filter(|_| success.token_type.eq_ignore_ascii_case("bearer"))?;
    let refresh_in = success.refresh_in.and_then(|seconds| seconds.duration());
    let lifetime = success.expires_in.duration().filter(|lifetime| !lifetime.is_zero())?;
    Some(Grant { bearer, lifetime, refresh_in })
}

fn refused(status: u16, body: &[u8]) -> Failure {
    let refused: Refused = serde_json::from_slice(body).unwrap_or_default();
    let Some(error) = refused.error else {
        let what = if status == 407 { "the proxy wants a login" } else { "not an answer of Entra's" };
        return Failure::new(format!("the token endpoint answered {status}: {what}"));
    };
    let description = refused.error_description.unwrap_or_default();
    let code = refused.error_codes.first().copied().or_else(|| code(&description));
    let message = if description.is_empty() { format!("{error} ({status})") } else { description };
    Failure {
        hint: code.and_then(hint::of_code),
        code,
        trace_id: refused.trace_id,
        correlation_id: refused.correlation_id,
        ..Failure::new(message)
    }
}

/// The number that a description begins with.
fn code(description: &str) -> Option<u32> {
    let digits = description.strip_prefix("AADSTS")?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    decimal(digits.get(..end)?).and_then(|code| u32::try_from(code).ok())
}

/// Digits and nothing else; `str::parse` takes a sign.
fn decimal(text: &str) -> Option<u64> {
    remora_core::http::digits::decimal(text.as_bytes())
}

/// Cut to a length that fits a log line, control characters and line ends as spaces.
fn one_line(text: &str) -> String {
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let words: String = printable.take(MAX_TEXT).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Failure {
        decode(status, None, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_grant_has_its_life() {
        let body = br#"{"token_type":"Bearer","expires_in":86399,"ext_expires_in":86399,"access_token":"a.b.c"}"#;
        let grant = decode(200, None, body).unwrap();
        assert_eq!((grant.lifetime, grant.refresh_in), (Duration::from_secs(86_399), None));
        assert_eq!(grant.bearer.as_bytes(), b"Bearer a.b.c");
    }

    #[test]
    fn numbers_may_be_strings() {
        let body = br#"{"token_type":"bearer","expires_in":"3600","refresh_in":"1800","access_token":"t"}"#;
        let grant = decode(200, None, body).unwrap();
        assert_eq!(grant.lifetime, Duration::from_secs(3600));
        assert_eq!(grant.refresh_in, Some(Duration::from_secs(1800)));
    }

    #[test]
    fn a_success_without_a_sound_token_is_a_failure() {
        for body in [
            "",
            "<html>",
            r#"{"token_type":"Bearer","expires_in":10}"#,
            r#"{"token_type":"Bearer","expires_in":"+10","access_token":"t"}"#,
            r#"{"token_type":"Bearer","expires_in":0,"access_token":"t"}"#,
            r#"{"token_type":"Bearer","expires_in":10,"access_token":""}"#,
            r#"{"token_type":"pop","expires_in":10,"access_token":"t"}"#,
        ] {
            assert_eq!(refusal(200, body).status, Some(200), "{body}");
        }
    }

    #[test]
    fn an_entra_error_keeps_code_and_ids_on_one_line() {
        let failure = refusal(
            401,
            r#"{"error":"invalid_client","error_description":"AADSTS700213: No match.\r\nTrace ID: t","error_codes":[700213],
                "trace_id":"t","correlation_id":"c"}"#,
        );
        assert_eq!(failure.code, Some(700_213));
        assert_eq!((failure.trace_id.as_deref(), failure.correlation_id.as_deref()), (Some("t"), Some("c")));
        assert_eq!(failure.message, "AADSTS700213: No match. Trace ID: t");
        assert!(failure.to_string().contains("federated-credential create"));
    }

    #[test]
    fn the_code_is_read_from_the_description_where_there_is_no_list() {
        let failure =
            refusal(400, r#"{"error":"invalid_request","error_description":"AADSTS90002: Tenant not found."}"#);
        assert_eq!(failure.code, Some(90_002));
    }

    #[test]
    fn an_answer_that_is_not_entras_is_not_repeated() {
        let failure = refusal(503, "<html>secret-looking text</html>");
        assert!(!failure.message.contains("secret"), "{failure}");
        assert!(failure.message.contains("503"));
    }

    #[test]
    fn throttling_and_its_pause_are_known() {
        let pause = HeaderValue::from_static("60");
        let failure = decode(429, Some(&pause), b"{}").unwrap_err();
        assert!(failure.is_throttled());
        assert_eq!(failure.retry_after, Some(Duration::from_secs(60)));
    }

    #[test]
    fn only_an_assertion_out_of_its_time_is_read_again_at_once() {
        assert!(refusal(401, r#"{"error":"invalid_client","error_codes":[700024]}"#).is_outdated_assertion());
        assert!(!refusal(401, r#"{"error":"invalid_client","error_codes":[700213]}"#).is_outdated_assertion());
    }

    #[test]
    fn a_long_text_is_cut() {
        let body = format!(r#"{{"error":"x","error_description":"{}"}}"#, "y".repeat(5000));
        assert!(refusal(400, &body).message.len() <= MAX_TEXT);
    }
}
