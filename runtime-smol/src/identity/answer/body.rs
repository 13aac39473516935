//! The JSON of an answer, read field by field, so that one of an unexpected type does not hide the others.

use std::time::{Duration, SystemTime};

use remora_core::http::digits::decimal;
use serde_json::{Map, Value};

use super::{Grant, id, text};
use crate::endpoint::Endpoint;
use crate::identity::failure::{Ticket, one_line, time, uri, word};
use crate::secret::Bearer;

/// A refusal, from any endpoint.
#[derive(Debug, Default)]
pub(super) struct Refused {
    /// OAuth's `error`, or the nearest equivalent.
    pub(super) error: Option<Box<str>>,
    /// The human-readable text, without the ids at its end.
    pub(super) description: Option<String>,
    pub(super) ticket: Ticket,
    codes: Vec<u32>,
}

impl Refused {
    /// The `AADSTS` number: the first of the list, or the one in the text.
    pub(super) fn code(&self) -> Option<u32> {
        self.codes.first().copied().or_else(|| code(self.description.as_deref()?))
    }
}

/// Longest lifetime accepted: managed identities get the longest, a day. A longer one is replaced earlier.
const MAX_LIFE: Duration = Duration::from_secs(48 * 3600);

/// What a successful answer lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// The token, its type or its lifetime.
    Token,
    /// Remaining lifetime, by this machine's clock.
    Life,
}

/// The token of a successful answer.
pub(super) fn grant(body: &[u8], now: SystemTime) -> Result<Grant, Missing> {
    let object = object(body).ok_or(Missing::Token)?;
    let bearer = bearer(&object).ok_or(Missing::Token)?;
    let lifetime = lifetime(&object, now)?.min(MAX_LIFE);
    Ok(Grant { bearer, lifetime, refresh_in: seconds(&object, "refresh_in"), skew: None })
}

fn bearer(object: &Map<String, Value>) -> Option<Bearer> {
    let kind = text(object, "token_type")?;
    Bearer::new(text(object, "access_token")?).filter(|_| kind.eq_ignore_ascii_case("bearer"))
}

/// `expires_in` does not depend on any clock; App Service sends only `expires_on`.
fn lifetime(object: &Map<String, Value>, now: SystemTime) -> Result<Duration, Missing> {
    match seconds(object, "expires_in") {
        Some(life) if life.is_zero() => Err(Missing::Token),
        Some(life) => Ok(life),
        None => until(object, now),
    }
}

/// The details of a refusal; `None` if the body is not a JSON object. `authority` is the host whose pages may be shown.
pub(super) fn refused(body: &[u8], authority: Option<&Endpoint>) -> Option<Refused> {
    let object = object(body)?;
    // Fields of Entra and the metadata service, then `{"error": {"code", "message"}}`, then fields of the platforms.
    let inner = object.get("error").and_then(Value::as_object);
    let error = text(&object, "error").or_else(|| text(inner?, "code")).or_else(|| text(&object, "errorCode"));
    let description = text(&object, "error_description")
        .or_else(|| text(inner?, "message"))
        .or_else(|| text(&object, "exceptionMessage"))
        .or_else(|| text(&object, "message"))
        .map(one_line);
    let mut refused = Refused {
        error: error.and_then(word),
        ticket: Ticket {
            trace_id: id(&object, &["trace_id"]),
            correlation_id: id(&object, &["correlation_id", "correlationId"]),
            timestamp: text(&object, "timestamp").and_then(time),
            error_uri: text(&object, "error_uri").and_then(|text| uri(text, authority?)),
        },
        codes: codes(&object),
        description: None,
    };
    refused.description = description.map(|description| refused.without_ids(&description));
    Some(refused)
}

impl Refused {
    /// The description up to the ids that Entra repeats after it; missing id fields are filled in from them.
    fn without_ids(&mut self, description: &str) -> String {
        let Some((text, ids)) = description.split_once(" Trace ID: ") else { return description.to_owned() };
        let Ticket { trace_id, correlation_id, timestamp, .. } = &mut self.ticket;
        let mut words = ids.split_whitespace();
        *trace_id = trace_id.take().or_else(|| word(words.next()?));
        let correlation = ids.split_once("Correlation ID: ").and_then(|(_, rest)| rest.split_whitespace().next());
        *correlation_id = correlation_id.take().or_else(|| word(correlation?));
        let when = ids.split_once("Timestamp: ").map(|(_, rest)| rest);
        *timestamp = timestamp.take().or_else(|| time(when?));
        text.to_owned()
    }
}

fn object(body: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

fn codes(object: &Map<String, Value>) -> Vec<u32> {
    let codes = object.get("error_codes").and_then(Value::as_array).into_iter().flatten();
    codes.filter_map(|code| number(code).and_then(|code| u32::try_from(code).ok())).collect()
}

/// The number after the first `AADSTS`.
fn code(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    decimal(rest.get(..end)?.as_bytes()).and_then(|code| u32::try_from(code).ok())
}

/// A number, which some endpoints send as a string.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| decimal(value.as_str()?.as_bytes()))
}

fn seconds(object: &Map<String, Value>, name: &str) -> Option<Duration> {
    object.get(name).and_then(number).map(Duration::from_secs)
}

/// Time until `expires_on` (seconds since 1970), in whole seconds.
fn until(object: &Map<String, Value>, now: SystemTime) -> Result<Duration, Missing> {
    let end = seconds(object, "expires_on").ok_or(Missing::Token)?;
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let left = end.saturating_sub(since).as_secs();
    if left == 0 { Err(Missing::Life) } else { Ok(Duration::from_secs(left)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(body: &str) -> Result<Grant, Missing> {
        grant(body.as_bytes(), SystemTime::UNIX_EPOCH + Duration::from_secs(1000))
    }

    #[test]
    fn a_grant_has_its_life() {
        let body = r#"{"token_type":"Bearer","expires_in":86399,"ext_expires_in":86399,"access_token":"a.b.c"}"#;
        let grant = granted(body).unwrap();
        assert_eq!((grant.lifetime, grant.refresh_in), (Duration::from_secs(86_399), None));
        assert_eq!(grant.bearer.as_bytes(), b"Bearer a.b.c");
    }

    #[test]
    fn numbers_may_be_strings() {
        let grant =
            granted(r#"{"token_type":"bearer","expires_in":"3600","refresh_in":"1800","access_token":"t"}"#).unwrap();
        assert_eq!((grant.lifetime.as_secs(), grant.refresh_in), (3600, Some(Duration::from_secs(1800))));
    }

    #[test]
    fn a_time_of_expiry_counts_where_there_is_no_span() {
        let life = |body: &str| granted(body).map(|grant| grant.lifetime.as_secs());
        assert_eq!(life(r#"{"token_type":"Bearer","expires_on":"1600","access_token":"t"}"#), Ok(600));
        assert_eq!(life(r#"{"token_type":"Bearer","expires_on":1600,"access_token":"t"}"#), Ok(600));
        assert_eq!(life(r#"{"token_type":"Bearer","expires_in":"5","expires_on":"9999","access_token":"t"}"#), Ok(5));
        for end in [0, 999, 1000] {
            let body = format!(r#"{{"token_type":"Bearer","expires_on":"{end}","access_token":"t"}}"#);
            assert_eq!(life(&body), Err(Missing::Life), "{end}");
        }
    }

    #[test]
    fn no_life_is_longer_than_two_days() {
        for (name, value) in [("expires_on", u64::MAX), ("expires_in", u64::MAX), ("expires_in", 172_801)] {
            let body = format!(r#"{{"token_type":"Bearer","{name}":{value},"access_token":"t"}}"#);
            assert_eq!(granted(&body).unwrap().lifetime, Duration::from_secs(172_800), "{name}: {value}");
        }
    }

    #[test]
    fn a_success_without_a_sound_token_is_none() {
        for body in [
            "",
            "<html>",
            "[]",
            r#"{"token_type":"Bearer","expires_in":10}"#,
            r#"{"token_type":"Bearer","expires_in":"+10","access_token":"t"}"#,
            r#"{"token_type":"Bearer","expires_in":-1,"access_token":"t"}"#,
            r#"{"token_type":"Bearer","expires_in":0,"access_token":"t"}"#,
            r#"{"token_type":"Bearer","access_token":"t"}"#,
            r#"{"token_type":"Bearer","expires_in":10,"access_token":""}"#,
            r#"{"token_type":"Bearer","expires_in":10,"access_token":["t"]}"#,
            r#"{"token_type":"pop","expires_in":10,"access_token":"t"}"#,
        ] {
            assert_eq!(granted(body).err(), Some(Missing::Token), "{body}");
        }
    }

    #[test]
    fn ids_are_taken_from_the_text_where_they_have_no_fields() {
        let refused = refused(
            br#"{"error":"invalid_client","error_description":"AADSTS7000215: Wrong.\r\nTrace ID: t-1\r\nCorrelation ID: c-1\r\nTimestamp: 2023-03-01 00:00:00Z"}"#,
            None,
        )
        .unwrap();
        assert_eq!(refused.description.as_deref(), Some("AADSTS7000215: Wrong."));
        let ticket = &refused.ticket;
        assert_eq!((ticket.trace_id.as_deref(), ticket.correlation_id.as_deref()), (Some("t-1"), Some("c-1")));
        assert_eq!(ticket.timestamp.as_deref(), Some("2023-03-01 00:00:00Z"));
        assert_eq!(refused.code(), Some(7_000_215));
    }

    #[test]
    fn a_field_of_another_type_hides_no_other() {
        let refused =
            refused(br#"{"error":"x","error_codes":"700213","trace_id":7,"correlation_id":"c"}"#, None).unwrap();
        assert_eq!((refused.error.as_deref(), refused.ticket.correlation_id.as_deref()), (Some("x"), Some("c")));
        assert_eq!((refused.code(), refused.ticket.trace_id), (None, None));
    }
}
