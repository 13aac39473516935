//! The sidecar that runs beside the check, asked on its own port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use remora_smol::probe::Link;
use serde_json::Value;

use super::context::{Checked, Context};
use super::http::{self, Answer};
use super::network::span;
use super::outcome::{Finding, Outcome};
use crate::pages;

/// For one question to somebody on this machine.
const LIMIT: Duration = Duration::from_secs(5);

/// How long ago a success counts. Prometheus sends every few seconds.
const RECENT: Duration = Duration::from_secs(300);

/// LIVE-01.
pub(super) fn listens(cx: &mut Context<'_>) -> Checked {
    let port = port(cx)?;
    let fail = |seen: String| Err(Outcome::Fail(Finding::new(seen)));
    match ask(port, "/") {
        Ok(answer) if answer.line().starts_with("remora ") => Ok(format!("port {port}: {}", answer.line())),
        Ok(answer) => fail(format!("something else has port {port}; it answers {} {:?}", answer.status, answer.line())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fail(format!("nothing listens on port {port} of this pod"))
        }
        Err(error) => fail(format!("what has port {port} gives no answer of Remora's: {error}")),
    }
}

/// LIVE-02. Without a token of our own the sidecar has none either: one cause is enough.
pub(super) fn ready(cx: &mut Context<'_>) -> Checked {
    let port = port(cx)?;
    cx.needs(&pages::LIVE_01)?;
    cx.needs(&pages::TOK_10)?;
    let fail = |seen: String| Err(Outcome::Fail(Finding::new(seen)));
    match ask(port, "/ready") {
        Ok(answer) if answer.status == 200 && !answer.line().starts_with("degraded") => Ok(answer.line()),
        Ok(answer) => fail(format!("/ready answers {}: {}", answer.status, answer.line())),
        Err(error) => fail(format!("/ready: {error}")),
    }
}

/// LIVE-03.
pub(super) fn delivers(cx: &mut Context<'_>) -> Checked {
    let port = port(cx)?;
    cx.needs(&pages::LIVE_02)?;
    let status = match ask(port, "/status") {
        Ok(answer) if answer.status == 200 => serde_json::from_slice(&answer.body).unwrap_or_default(),
        Ok(_) => return Err(Outcome::Left("the running sidecar has no /status")),
        Err(error) => return Err(Outcome::Warn(Finding::new(format!("/status: {error}")))),
    };
    delivery(&status, SystemTime::now())
}

/// What `/status` says about the last writes.
fn delivery(status: &Value, now: SystemTime) -> Checked {
    let time = |value: Option<&Value>| humantime::parse_rfc3339(value?.as_str()?).ok();
    let failure = status.get("last_failure").filter(|failure| failure.is_object());
    let (taken, refused) = (time(status.get("last_success")), failure.and_then(|failure| time(failure.get("time"))));
    let age = |at| now.duration_since(at).unwrap_or_default();
    let words = |failure: &Value| {
        let answer = failure.get("answer").and_then(Value::as_str).unwrap_or_default();
        format!("the last write was answered {}: {}", failure.get("status").unwrap_or(&Value::Null), answer.trim())
    };
    match (taken, failure) {
        (Some(at), _) if age(at) <= RECENT && refused.is_none_or(|refused| refused <= at) => {
            Ok(format!("the last {} ago", span(age(at))))
        }
        (_, Some(failure)) => Err(Outcome::Warn(Finding::new(words(failure)))),
        (Some(at), None) => Err(Outcome::Warn(Finding::new(format!("the last {} ago", span(age(at)))))),
        (None, None) => Ok("no write has come yet".to_owned()),
    }
}

fn port(cx: &Context<'_>) -> Result<u16, Outcome> {
    cx.config().map(|config| config.listen.port)
}

/// What the port answers to a GET.
pub(super) fn ask(port: u16, target: &str) -> io::Result<Answer> {
    let mut link = Link::open(&[SocketAddr::from((Ipv4Addr::LOCALHOST, port))], LIMIT)?;
    link.send(&http::get(&format!("localhost:{port}"), target))?;
    http::answer(&mut link, 64 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: &str) -> Checked {
        let now = humantime::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        delivery(&serde_json::from_str(status).unwrap(), now)
    }

    #[test]
    fn a_success_counts_for_five_minutes_unless_a_refusal_came_after_it() {
        let refusal = r#""last_failure":{"time":"2026-01-01T11:59:30Z","status":503,"answer":"remora: no"}"#;
        assert_eq!(judged(r#"{"last_success":"2026-01-01T11:59:50Z"}"#).unwrap(), "the last 10s ago");
        assert!(judged(&format!(r#"{{"last_success":"2026-01-01T11:59:50Z",{refusal}}}"#)).is_ok());
        assert!(judged(r#"{"last_success":null,"last_failure":null}"#).is_ok());
        for status in [
            format!(r#"{{"last_success":"2026-01-01T11:59:20Z",{refusal}}}"#),
            format!(r#"{{"last_success":null,{refusal}}}"#),
        ] {
            let Err(Outcome::Warn(finding)) = judged(&status) else { panic!("{status}") };
            assert_eq!(finding.seen, "the last write was answered 503: remora: no");
        }
        assert!(matches!(judged(r#"{"last_success":"2026-01-01T11:54:59Z"}"#), Err(Outcome::Warn(_))));
    }
}
