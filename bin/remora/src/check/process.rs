//! The sidecar running beside the check, queried on its own port.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, SystemTime};

use remora_core::forward::reply;
use remora_smol::probe::Link;
use serde_json::Value;

use super::context::{Checked, Context};
use super::http::{self, Answer};
use super::network::span;
use super::outcome::{Finding, Outcome};
use crate::pages::{self, PREFIX, Page};

/// Time limit of one request to the sidecar.
const LIMIT: Duration = Duration::from_secs(5);

/// Maximum age of a recent success. Prometheus sends every few seconds.
const RECENT: Duration = Duration::from_secs(300);

/// What follows when senders hang up.
const RESENT: &str =
    "A sender sends again what was not answered in its time, and falls behind although Azure accepts it.";
const IMPATIENT: &str = "raise the sender's timeout above UPSTREAM_TIMEOUT (remoteTimeout or remote_timeout in Prometheus), or \
                         make its batches smaller; the log says how long the answers took";

/// Prefix of the sidecar's own responses.
const OURS: &str = "remora: ";

/// LIVE-01.
pub(super) fn listens(cx: &mut Context<'_>) -> Checked {
    let port = port(cx)?;
    match ask(port, "/") {
        Ok(answer) => answers(port, &answer),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let finding = Finding::new(format!("nothing listens on port {port} of this pod"));
            Err(Outcome::Fail(finding.with_args(&pages::LIVE_01)))
        }
        Err(error) => {
            let seen = format!("the process on port {port} does not answer like Remora: {error}");
            Err(Outcome::Fail(Finding::new(seen)))
        }
    }
}

/// What the port's answer to `/` shows.
fn answers(port: u16, answer: &Answer) -> Checked {
    let line = answer.line();
    if line.starts_with("remora ") {
        return Ok(format!("port {port}: {line}"));
    }
    // It runs, and says why it does not serve this request.
    if let Some(why) = line.strip_prefix(OURS) {
        let finding = Finding::new(format!("port {port} answers {}: {why}", answer.status));
        return Err(Outcome::Warn(finding.repaired("do what the answer says, then check again")));
    }
    let seen = format!("something else uses port {port}; it answers {} {line:?}", answer.status);
    Err(Outcome::Fail(Finding::new(seen)))
}

/// LIVE-02. If the check itself cannot get a token, neither can the sidecar: one cause is enough.
pub(super) fn ready(cx: &mut Context<'_>) -> Checked {
    let port = port(cx)?;
    let fail = |error: io::Error| Outcome::Fail(Finding::new(format!("/ready: {error}")));
    let ready = ask(port, "/ready").map_err(fail)?;
    holds_token(status(port).ok().flatten().as_ref(), &ready)
}

/// `/ready` has the wording but is lenient; if there is a `/status`, it decides.
fn holds_token(status: Option<&Value>, ready: &Answer) -> Checked {
    let fail = |seen: String| Err(Outcome::Fail(Finding::new(seen)));
    let token = status.and_then(|status| status.get("token"));
    if ready.status != 200 || ready.line().starts_with("degraded") {
        fail(format!("/ready answers {}: {}", ready.status, ready.line()))
    } else if token.and_then(|token| token.get("usable")) == Some(&Value::Bool(false)) {
        let why = token.and_then(|token| token.pointer("/failure/message")).and_then(Value::as_str);
        fail(format!("/status reports no usable token: {}", why.unwrap_or("the last one has expired")))
    } else {
        Ok(ready.line())
    }
}

/// LIVE-03. If Azure refuses the check's own write, it refuses the sidecar's as well.
pub(super) fn delivers(cx: &mut Context<'_>) -> Checked {
    let port = port(cx)?;
    match status(port) {
        Ok(Some(status)) => delivery(&status, SystemTime::now()),
        Ok(None) => Err(Outcome::Left("the running sidecar has no /status")),
        Err(error) => Err(Outcome::Warn(Finding::new(format!("/status: {error}")))),
    }
}

/// The state of the latest writes according to `/status`.
fn delivery(status: &Value, now: SystemTime) -> Checked {
    let age = |at| now.duration_since(at).unwrap_or_default();
    let taken = status.get("last_success").and_then(time);
    let failure = status.get("last_failure").filter(|failure| failure.is_object());
    let refused = failure.map(|failure| (failure, failure.get("time").and_then(time)));
    match (refused.filter(|(_, at)| taken.is_none() || *at > taken), taken) {
        (Some((failure, at)), _) => Err(refusal(failure, at.map(age))),
        (None, Some(at)) if age(at) <= RECENT => match abandoned(status) {
            Some(seen) => Err(Outcome::Warn(Finding::new(seen).because(RESENT).repaired(IMPATIENT))),
            None => Ok(format!("last accepted {} ago", span(age(at)))),
        },
        (None, Some(at)) => Err(Outcome::Warn(Finding::new(format!("last accepted {} ago", span(age(at)))))),
        (None, None) => Err(Outcome::Left("no write from a permitted peer has come yet")),
    }
}

fn time(value: &Value) -> Option<SystemTime> {
    humantime::parse_rfc3339(value.as_str()?).ok()
}

/// Whether senders hung up before more than one in twenty writes were answered, of all since the sidecar started.
fn abandoned(status: &Value) -> Option<String> {
    let counters = status.get("counters")?;
    let abandoned = counters.get("remora_requests_abandoned_total")?.as_u64()?;
    let all: u64 = counters.get("remora_requests_total")?.as_object()?.values().filter_map(Value::as_u64).sum();
    // Those that never got an answer are not among the requests.
    let all = all.max(abandoned);
    let many = abandoned.saturating_mul(20) > all;
    many.then(|| format!("senders hung up before {abandoned} of {all} writes were answered since the sidecar started"))
}

/// The latest write was refused, and none was accepted since. The code in the response leads to the fix. Throttling
/// ends by itself, and so does a shortage of capacity in the sidecar, whose response has no code.
fn refusal(failure: &Value, age: Option<Duration>) -> Outcome {
    let number = |name: &str| failure.get(name).and_then(Value::as_u64);
    let status = number("status").and_then(|status| u16::try_from(status).ok()).unwrap_or_default();
    let answer = failure.get("answer").and_then(Value::as_str).unwrap_or_default().trim();
    let ago = age.map(|age| format!(", {} ago,", span(age))).unwrap_or_default();
    let azure_status = number("azure_status").and_then(|status| u16::try_from(status).ok());
    let (page, whose) = match answer.strip_prefix(OURS) {
        Some(answer) => (named(answer), ""),
        // Passed on exactly as Azure sent it, without a code.
        None => (azure_status.and_then(reply::code).and_then(pages::find), " by Azure"),
    };
    let mut finding = Finding::new(format!("the last write{ago} was answered {status}{whose}: {answer}"));
    let is_lost = reply::drops_samples(status);
    if is_lost {
        let lost = format!("A sender does not retry after {status}: these samples are lost.");
        finding = finding.because(page.map_or_else(|| lost.clone(), |page| format!("{lost} {}", page.why)));
    }
    match page {
        Some(page) if page == &pages::RBAC_03 => Outcome::Warn(finding.on(page)),
        Some(page) => Outcome::Fail(finding.on(page)),
        None => {
            finding.repair = Some(format!("{}\n{}", advice(status), pages::LIVE_03.commands()));
            let passes = azure_status.is_none() && status >= 500;
            if passes { Outcome::Warn(finding) } else { Outcome::Fail(finding) }
        }
    }
}

/// What to do about a response without a code.
fn advice(status: u16) -> String {
    if reply::drops_samples(status) {
        format!(
            "fix what the answer names (remora explain {status} says what to look at), or keep it from being sent \
             (writeRelabelConfigs); the logs say how often this happens"
        )
    } else {
        "do what the answer says; the sender retries by itself".to_owned()
    }
}

/// The page whose code appears in one of Remora's own responses. The code precedes any text from Azure.
fn named(answer: &str) -> Option<&'static Page> {
    let (_, rest) = answer.split_once(&format!("[{PREFIX}"))?;
    pages::find(rest.split_once(']')?.0)
}

/// `/status`, if the sidecar has one.
fn status(port: u16) -> io::Result<Option<Value>> {
    let answer = ask(port, "/status")?;
    Ok((answer.status == 200).then(|| serde_json::from_slice(&answer.body).unwrap_or_default()))
}

fn port(cx: &Context<'_>) -> Result<u16, Outcome> {
    cx.config().map(|config| config.listen.port)
}

/// The port's response to a GET.
pub(super) fn ask(port: u16, target: &str) -> io::Result<Answer> {
    let mut link = Link::open(&[SocketAddr::from((Ipv4Addr::LOCALHOST, port))], LIMIT)?;
    link.send(&http::get(&format!("localhost:{port}"), target))?;
    http::answer(&mut link, 64 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(text: &str) -> Answer {
        Answer { status: 200, date: None, location: None, body: text.as_bytes().to_vec() }
    }

    #[test]
    fn a_token_that_status_calls_unusable_is_none_whatever_ready_says() {
        let failure = |seen: &str| format!("/status reports no usable token: {seen}");
        for (status, seen) in [
            (r#"{"token":{"usable":false,"failure":{"message":"nobody is there"}}}"#, failure("nobody is there")),
            (r#"{"token":{"usable":false,"failure":null}}"#, failure("the last one has expired")),
        ] {
            let status: Value = serde_json::from_str(status).unwrap();
            let Err(Outcome::Fail(finding)) = holds_token(Some(&status), &ready("ready\n")) else { panic!("{status}") };
            assert_eq!(finding.seen, seen);
        }
        let usable = serde_json::json!({"token": {"usable": true}});
        for status in [None, Some(&usable), Some(&Value::Null)] {
            assert_eq!(holds_token(status, &ready("ready\n")).unwrap(), "ready");
            assert!(matches!(holds_token(status, &ready("degraded: no\n")), Err(Outcome::Fail(_))));
        }
    }

    #[test]
    fn what_answers_on_the_port_adds_no_lines_to_the_report() {
        let status = serde_json::json!({"token": {"usable": false, "failure": {"message": "a\n[ok] b\u{1b}[2K"}}});
        let Err(Outcome::Fail(finding)) = holds_token(Some(&status), &ready("ready\n")) else { panic!("{status}") };
        assert_eq!(finding.seen, "/status reports no usable token: a [ok] b [2K");
    }

    #[test]
    fn a_sidecar_that_is_busy_is_not_taken_for_another_process() {
        let answer = |status, text: &str| answers(8081, &Answer { status, ..ready(text) });
        assert!(answer(200, "remora 1.2.3\nGET /health\n").is_ok());
        let Err(Outcome::Warn(busy)) = answer(503, "remora: over capacity, try again: raise MAX_CONNECTIONS\n") else {
            panic!("a warning")
        };
        assert!(
            busy.seen.contains("answers 503: over capacity") && busy.seen.contains("MAX_CONNECTIONS"),
            "{}",
            busy.seen
        );
        assert!(matches!(answer(200, "nginx"), Err(Outcome::Fail(_))));
    }

    fn judged(status: &str) -> Checked {
        let now = humantime::parse_rfc3339("2026-01-01T12:00:00Z").unwrap();
        delivery(&serde_json::from_str(status).unwrap(), now)
    }

    /// The outcome for a latest write with this response, where Azure's own status was `azure_status`.
    fn refused(status: u16, azure_status: Option<u16>, answer: &str) -> Outcome {
        let failure = serde_json::json!({
            "time": "2026-01-01T11:59:30Z", "status": status, "azure_status": azure_status, "answer": answer
        });
        judged(&format!(r#"{{"last_success":"2026-01-01T11:59:20Z","last_failure":{failure}}}"#)).expect_err("refused")
    }

    #[test]
    fn a_success_counts_for_five_minutes_unless_a_refusal_came_after_it() {
        let refusal = r#""last_failure":{"time":"2026-01-01T11:54:30Z","status":503,"answer":"remora: no"}"#;
        assert_eq!(judged(r#"{"last_success":"2026-01-01T11:59:50Z"}"#).unwrap(), "last accepted 10s ago");
        assert!(judged(&format!(r#"{{"last_success":"2026-01-01T11:59:50Z",{refusal}}}"#)).is_ok());
        let nothing = judged(r#"{"last_success":null,"last_failure":null}"#);
        assert!(matches!(nothing, Err(Outcome::Left("no write from a permitted peer has come yet"))));
        // An earlier refusal is resolved; the absence of new writes is not.
        for status in [
            r#"{"last_success":"2026-01-01T11:54:59Z"}"#.to_owned(),
            format!(r#"{{"last_success":"2026-01-01T11:54:59Z",{refusal}}}"#),
        ] {
            let Err(Outcome::Warn(finding)) = judged(&status) else { panic!("{status}") };
            assert_eq!((finding.seen.as_str(), finding.repair), ("last accepted 5m 1s ago", None));
        }
        for status in [format!(r#"{{"last_success":"2026-01-01T11:54:20Z",{refusal}}}"#), format!("{{{refusal}}}")] {
            assert!(judged(&status).is_err(), "{status}");
        }
    }

    #[test]
    fn senders_that_hang_up_are_warned_of_if_they_are_many() {
        let with = |abandoned| {
            let counters = format!(
                r#"{{"remora_requests_abandoned_total":{abandoned},"remora_requests_total":{{"204":90,"503":10}}}}"#
            );
            judged(&format!(r#"{{"last_success":"2026-01-01T11:59:50Z","counters":{counters}}}"#))
        };
        assert!(with(5).is_ok());
        let Err(Outcome::Warn(finding)) = with(6) else { panic!("a warning") };
        assert_eq!(finding.seen, "senders hung up before 6 of 100 writes were answered since the sidecar started");
        assert!(finding.repair.is_some_and(|repair| repair.contains("UPSTREAM_TIMEOUT")));
    }

    #[test]
    fn a_refusal_fails_and_is_repaired_by_the_page_that_its_code_names() {
        for (status, azure, code, page) in [
            (503, Some(403), "REMORA-RBAC-01", &pages::RBAC_01),
            (503, Some(404), "REMORA-RBAC-02", &pages::RBAC_02),
            (503, None, "REMORA-NET-02", &pages::NET_02),
        ] {
            let answer = format!("remora: Azure answered so [{code}]: not [REMORA-TOK-10]\n");
            let Outcome::Fail(finding) = refused(status, azure, &answer) else { panic!("{status} {code}") };
            assert_eq!((finding.page, finding.repair), (Some(page), None), "{status} {code}");
            assert_eq!(finding.seen, format!("the last write, 30s ago, was answered {status}: {}", answer.trim()));
            assert_eq!(finding.why, None);
        }
        // A response that is passed on unchanged has only its status.
        for (status, page, is_lost) in [(403, &pages::RBAC_01, true), (500, &pages::RBAC_05, false)] {
            let Outcome::Fail(finding) = refused(status, Some(status), "see [REMORA-TOK-10]") else {
                panic!("{status}")
            };
            assert_eq!((finding.page, finding.why.is_some_and(|why| why.contains("lost"))), (Some(page), is_lost));
            assert!(finding.seen.contains(" by Azure: "), "{}", finding.seen);
        }
        let Outcome::Warn(throttled) = refused(503, Some(429), "remora: Azure answered 429 [REMORA-RBAC-03]") else {
            panic!("throttling is a failure")
        };
        assert_eq!(throttled.page, Some(&pages::RBAC_03));
    }

    #[test]
    fn what_loses_samples_says_so_and_what_passes_is_no_failure() {
        for (azure, answer) in [(Some(400), "no"), (None, "remora: not forwarded: no")] {
            let Outcome::Fail(finding) = refused(400, azure, answer) else { panic!("{answer}") };
            let (why, repair) = (finding.why.unwrap(), finding.repair.unwrap());
            assert!(finding.page.is_none() && why.ends_with("these samples are lost."), "{why}");
            assert!(
                repair.contains("writeRelabelConfigs") && !repair.contains("remote_write for this port"),
                "{repair}"
            );
        }
        assert!(matches!(refused(502, Some(302), "remora: Azure answered 302"), Outcome::Fail(_)));
        assert!(matches!(refused(503, None, "remora: over capacity, try again"), Outcome::Warn(_)));
    }
}
