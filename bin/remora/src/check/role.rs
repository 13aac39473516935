//! A write without samples, which shows whether the identity may write.

use std::io;

use serde_json::Value;

use super::context::{Checked, Context};
use super::http::{self, Answer};
use super::outcome::{Finding, Outcome};
use super::route::{Goal, Route};
use crate::pages;

/// Part of Azure's text if the role is missing (Azure SDK, troubleshooting of monitor ingestion).
const NO_ROLE: &str = "does not have access to ingest data";
/// Why a 403 without that text matters.
const NOT_TOLD: &str = "Azure refuses this pod's writes, and does not say that the role is missing.";
/// What to do about it.
const NO_REASON: &str = "read Azure's text; the usual causes are a missing role and a data collection endpoint that accepts no public network access";

/// RBAC-01 to RBAC-05: Azure's response decides which of them applies.
pub(super) fn empty_write(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    let route = cx.routes.iter().position(|route| route.goal == Goal::Ingestion);
    let mut route = route.map(|place| cx.routes.swap_remove(place)).ok_or(Outcome::Needs(&pages::NET_01))?;
    if let Some(page) = route.blocked {
        return Err(Outcome::Needs(page));
    }
    let host = route.to.host().to_owned();
    let answer = write(cx, &mut route)?;
    let answer = answer.map_err(|error| Outcome::Fail(Finding::new(format!("{host}: {error}")).on(&pages::RBAC_05)))?;
    judge(&answer, &host)
}

fn write(cx: &Context<'_>, route: &mut Route) -> Result<io::Result<Answer>, Outcome> {
    let granted = cx.granted.as_ref().ok_or(Outcome::Needs(&pages::TOK_10))?;
    let request = http::empty_write(&route.to, granted.authorization());
    let link = route.again(cx.trust()?).map_err(|finding| Outcome::Fail(finding.on(&pages::RBAC_05)))?;
    let sent = request.and_then(|request| link.send(&request));
    let mut answer = sent.and_then(|()| http::answer(link, 64 * 1024));
    if let Ok(answer) = &mut answer {
        granted.hide_in(&mut answer.body);
    }
    Ok(answer)
}

/// What the response says about the role. Azure authorizes before it reads the body, so a refused body proves the role.
fn judge(answer: &Answer, host: &str) -> Checked {
    let seen = match answer.line() {
        line if line.is_empty() => format!("Azure answered {}", answer.status),
        line => format!("Azure answered {}: {line}", answer.status),
    };
    let fail = |page| Err(Outcome::Fail(Finding::new(seen.clone()).on(page)));
    match answer.status {
        // Azure's own texts are JSON. A page from something on the way proves nothing about the role.
        200..=299 | 400 | 413 | 415 | 422 if answer.body.trim_ascii_start().starts_with(b"<") => {
            let seen = format!("something other than Azure answered {}: {}", answer.status, answer.line());
            Err(Outcome::Fail(foreign(host, &seen)))
        }
        200..=299 => Ok(format!("an empty write was accepted ({})", answer.status)),
        300..=399 => Err(Outcome::Fail(redirected(answer, host))),
        // The URL's version has nothing to do with the body: every write will be refused like this.
        400 if names_version(answer) => Err(Outcome::Fail(Finding::new(seen).on(&pages::CFG_03).fixed())),
        400 | 413 | 415 | 422 => Ok(format!("an empty write was authorized and then refused: {seen}")),
        401 => fail(&pages::RBAC_04),
        403 => Err(Outcome::Fail(forbidden(answer, host, seen))),
        404 | 405 => fail(&pages::RBAC_02),
        429 => Err(Outcome::Warn(Finding::new(seen).on(&pages::RBAC_03))),
        _ => fail(&pages::RBAC_05),
    }
}

/// Whether a text is about the parameter `api-version`, which Azure's services spell in several ways.
fn names_version(answer: &Answer) -> bool {
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    ["apiversion", "api-version", "api version"].iter().any(|name| body.contains(name))
}

/// A 403 by its body. Azure's is JSON, and names the role only if that is what is missing.
fn forbidden(answer: &Answer, host: &str, seen: String) -> Finding {
    let body = String::from_utf8_lossy(&answer.body);
    let is_azures = serde_json::from_slice::<Value>(body.as_bytes()).is_ok_and(|body| body.get("error").is_some());
    if body.contains(NO_ROLE) {
        return Finding::new(seen).on(&pages::RBAC_01);
    }
    if is_azures || body.trim().is_empty() {
        let repair = format!("{NO_REASON}\n{}", pages::RBAC_01.commands());
        return Finding::new(seen).on(&pages::RBAC_01).because(NOT_TOLD).repaired(repair);
    }
    foreign(host, &format!("something other than Azure answered {}: {}", answer.status, answer.line()))
}

/// Azure does not redirect writes; captive portals and login pages of proxies do.
fn redirected(answer: &Answer, host: &str) -> Finding {
    let to = answer.redirected_to().map(|to| format!(" to {to}")).unwrap_or_default();
    foreign(host, &format!("something other than Azure answered with a redirect{to} ({})", answer.status))
}

/// An answer that comes from a proxy or a firewall on the way.
fn foreign(host: &str, seen: &str) -> Finding {
    let repair = format!(
        "let the proxy or firewall on the way pass POST requests to {host} as they are, and exempt it from TLS inspection (NET-03)"
    );
    Finding::new(seen).on(&pages::NET_02).repaired(format!("{repair}\n{}", pages::NET_02.commands()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Checked {
        judge(&Answer { status, date: None, location: None, body: body.as_bytes().to_vec() }, "x-1.example")
    }

    fn failed(status: u16, body: &str) -> Finding {
        let Err(Outcome::Fail(finding)) = judged(status, body) else { panic!("{status}") };
        finding
    }

    #[test]
    fn each_answer_has_its_page() {
        for status in [200, 204, 400, 415] {
            assert!(judged(status, "because").is_ok(), "{status}");
        }
        let refused = judged(400, r#"{"error":{"code":"InvalidBody"}}"#).unwrap_or_default();
        assert!(refused.contains("InvalidBody"), "{refused}");
        for version in ["MissingApiVersionParameter", "An API version is required", "?api-version= is missing"] {
            let finding = failed(400, version);
            assert_eq!((finding.page, finding.seen), (Some(&pages::CFG_03), format!("Azure answered 400: {version}")));
        }
        for status in [200, 400, 413, 415] {
            let portal = failed(status, " <html>Please log in</html>");
            assert!(
                portal.seen.starts_with(&format!("something other than Azure answered {status}")),
                "{}",
                portal.seen
            );
            assert_eq!(portal.page, Some(&pages::NET_02));
        }
        for (status, page) in [(401, &pages::RBAC_04), (404, &pages::RBAC_02), (500, &pages::RBAC_05)] {
            let finding = failed(status, "because");
            assert_eq!((finding.page, finding.seen), (Some(page), format!("Azure answered {status}: because")));
        }
        assert_eq!(failed(500, "").seen, "Azure answered 500");
        assert!(matches!(judged(429, ""), Err(Outcome::Warn(_))));
    }

    #[test]
    fn a_403_is_the_roles_only_if_azure_says_so() {
        let role = failed(
            403,
            r#"{"error":{"code":"OperationFailed","message":"The token does not have access to ingest data for the rule"}}"#,
        );
        assert_eq!((role.page, role.repair), (Some(&pages::RBAC_01), None));
        for body in [r#"{"error":{"code":"Forbidden","message":"no public network access"}}"#, ""] {
            let other = failed(403, body);
            let repair = other.repair.unwrap_or_default();
            assert_eq!(other.page, Some(&pages::RBAC_01), "{body}");
            assert!(repair.starts_with("read Azure's text") && repair.contains("publicNetworkAccess"), "{repair}");
            assert!(repair.contains("az role assignment create"), "{repair}");
        }
        for body in ["<html>Access denied by corporate firewall</html>", "denied", r#"{"reason":"blocked"}"#] {
            let foreign = failed(403, body);
            assert_eq!(foreign.page, Some(&pages::NET_02), "{body}");
            assert_eq!(foreign.seen, format!("something other than Azure answered 403: {body}"));
            assert!(foreign.repair.is_some_and(|repair| repair.contains("x-1.example") && repair.contains("NET-03")));
        }
    }

    #[test]
    fn a_redirect_is_not_azures() {
        let location = Some("http://portal.corp.example/login?x".to_owned());
        let answer = |location| Answer { status: 302, date: None, location, body: Vec::new() };
        for (answer, to) in [(answer(location), " to portal.corp.example"), (answer(None), "")] {
            let Err(Outcome::Fail(finding)) = judge(&answer, "h") else { panic!("a failure") };
            assert_eq!(finding.page, Some(&pages::NET_02));
            assert_eq!(finding.seen, format!("something other than Azure answered with a redirect{to} (302)"));
        }
    }
}
