//! Decodes an endpoint's answer: a grant, or an error to act on. HTTP status and the OAuth `error` decide; `AADSTS`
//! numbers only choose the hint, except 700024, an assertion outside its validity, which is retried once at once.

mod body;

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::Exchanged;
use super::failure::{Failure, Retry, word};
use super::http::Answer;
use super::skew::Skew;
use crate::endpoint::Endpoint;
use crate::hint::{self, Hint};
use crate::secret::Bearer;

/// An assertion outside its validity.
const OUTDATED: u32 = 700_024;

/// Longest pause that an answer may ask for if no token endpoint gave it, such as a proxy's maintenance page.
const LONGEST_FOREIGN_PAUSE: Duration = Duration::from_secs(60);

/// A granted token.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) bearer: Bearer,
    pub(crate) lifetime: Duration,
    pub(crate) refresh_in: Option<Duration>,
    /// How wrong this machine's clock is, by the endpoint's.
    pub(crate) skew: Option<Skew>,
}

/// The endpoint that answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Entra's token endpoint.
    Entra,
    /// A cluster's token proxy, which relays Entra's answers.
    TokenProxy,
    /// An instance metadata service.
    Imds,
    /// An Azure Arc agent.
    Arc,
    /// App Service and similar platforms.
    AppService,
}

/// Decodes an answer of any status, which `authority` may have given itself or through a token proxy.
pub(super) fn decode(origin: Origin, authority: Option<&Endpoint>, answer: &Answer) -> Exchanged {
    let status = answer.status;
    if (200..300).contains(&status) {
        let now = SystemTime::now();
        let skew = answer.date.and_then(|there| Skew::between(now, there).notable());
        let granted = body::grant(&answer.body, now).map(|grant| Grant { skew, ..grant });
        return granted.map_err(|missing| without_token(origin, status, missing));
    }
    let refused = body::refused(&answer.body, authority);
    let code = refused.as_ref().and_then(body::Refused::code);
    let error = refused.as_ref().and_then(|refused| refused.error.clone());
    let retry = retry(origin, status, error.as_deref(), code);
    let longest = if refused.is_some() { Duration::MAX } else { LONGEST_FOREIGN_PAUSE };
    let asked = answer.retry_after.map(|asked| asked.min(longest));
    Err(Failure {
        status: Some(status),
        hint: hint(origin, status, code, refused.as_ref()),
        code,
        retry,
        retry_after: asked.or_else(|| least_pause(origin, status)),
        ..described(status, refused, error)
    })
}

fn without_token(origin: Origin, status: u16, missing: body::Missing) -> Failure {
    let (what, hint) = match missing {
        body::Missing::Token => ("no token", foreign(origin)),
        body::Missing::Life => ("a token that has already expired by this machine's clock", &hint::CLOCK),
    };
    Failure { status: Some(status), ..Failure::new(format!("the {status} response contains {what}")).with_hint(hint) }
}

/// The failure with its message and ids.
fn described(status: u16, refused: Option<body::Refused>, error: Option<Box<str>>) -> Failure {
    let Some(refused) = refused else {
        return Failure::new(format!("the {status} response is not from a token endpoint"));
    };
    let message = match (&refused.description, &error) {
        (Some(description), _) => description.clone(),
        (None, Some(error)) => format!("{error} ({status})"),
        (None, None) => format!("the {status} response gives no reason"),
    };
    Failure { error, ticket: refused.ticket.into(), ..Failure::new(message) }
}

/// Status and OAuth `error` decide. A 429 from Entra asks for a long pause. Entra answers `invalid_grant` to a client
/// in a request loop, and to one that a policy blocks.
fn retry(origin: Origin, status: u16, error: Option<&str>, code: Option<u32>) -> Retry {
    let federated = matches!(origin, Origin::Entra | Origin::TokenProxy);
    match (status, error) {
        _ if federated && code == Some(OUTDATED) => Retry::AtOnce,
        (429, _) if federated => Retry::Late,
        (_, Some("invalid_grant")) => Retry::Late,
        _ => Retry::Soon,
    }
}

/// Metadata services limit requests by the second, so a 429 soon passes; their documentation asks for two seconds
/// before the first retry.
fn least_pause(origin: Origin, status: u16) -> Option<Duration> {
    let local = matches!(origin, Origin::Imds | Origin::Arc | Origin::AppService);
    (local && matches!(status, 404 | 410 | 429 | 500..)).then_some(Duration::from_secs(2))
}

/// The code's own hint, or the one that status and text suggest.
fn hint(origin: Origin, status: u16, code: Option<u32>, refused: Option<&body::Refused>) -> Option<&'static Hint> {
    if let Some(known) = code.and_then(hint::of_code) {
        return Some(if *known == hint::CLIENT { client(origin) } else { known });
    }
    match (status, origin) {
        (407, _) => Some(&hint::PROXY_LOGIN),
        (429, _) => Some(&hint::THROTTLED),
        (403, Origin::TokenProxy) => Some(&hint::BINDING_REFUSED),
        (500.., Origin::Entra | Origin::TokenProxy) if refused.is_some() => Some(&hint::ENTRA_BUSY),
        (404 | 410 | 500.., Origin::Imds) => Some(&hint::IMDS_BUSY),
        (_, Origin::Imds) => managed(status, refused),
        (400.., Origin::Arc) => Some(&hint::ARC_REFUSED),
        (400.., Origin::AppService) => refused.map_or(Some(foreign(origin)), |refused| Some(app_service(refused))),
        _ if refused.is_none() => Some(foreign(origin)),
        _ => None,
    }
}

/// The hint if something else answered in place of the endpoint.
const fn foreign(origin: Origin) -> &'static Hint {
    match origin {
        Origin::Entra | Origin::TokenProxy => &hint::FOREIGN_ANSWER,
        Origin::Imds | Origin::Arc | Origin::AppService => &hint::LOCAL_ANSWER,
    }
}

/// The hint if the tenant does not know the client. Only service accounts get one from an annotation.
const fn client(origin: Origin) -> &'static Hint {
    match origin {
        Origin::Entra | Origin::TokenProxy => &hint::CLIENT,
        Origin::Imds => &hint::IDENTITY_MISSING,
        Origin::Arc => &hint::ARC_REFUSED,
        Origin::AppService => &hint::APP_SERVICE,
    }
}

/// The hint for a platform's refusal, by its text: a fault in the header says nothing about the app's identities.
fn app_service(refused: &body::Refused) -> &'static Hint {
    let said = refused.description.as_deref().unwrap_or_default().to_ascii_uppercase();
    if said.contains("IDENTITY-HEADER") || said.contains("IDENTITY_HEADER") {
        &hint::APP_SERVICE_HEADER
    } else {
        &hint::APP_SERVICE
    }
}

/// The hint for a metadata service's refusal, by its text and status.
fn managed(status: u16, refused: Option<&body::Refused>) -> Option<&'static Hint> {
    let said =
        |text: &str| refused.and_then(|refused| refused.description.as_deref()).is_some_and(|d| d.contains(text));
    match status {
        _ if said("Identity not found") || said("identity not found") => Some(&hint::IDENTITY_MISSING),
        _ if said("Multiple user assigned identities") => Some(&hint::IDENTITY_AMBIGUOUS),
        403 => Some(&hint::IMDS_UNREACHABLE),
        _ if refused.is_none() => Some(&hint::IMDS_UNREACHABLE),
        _ => None,
    }
}

/// A non-empty string of an answer's object.
fn text<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v str> {
    object.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// An id of an answer's object, from the first of `names` that it has.
fn id(object: &Map<String, Value>, names: &[&str]) -> Option<Box<str>> {
    names.iter().find_map(|name| text(object, name)).and_then(word)
}

#[cfg(test)]
mod tests;
