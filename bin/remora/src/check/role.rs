//! A write without samples, which shows whether the identity may write.

use std::io;

use super::context::{Checked, Context};
use super::http::{self, Answer};
use super::outcome::{Finding, Outcome};
use super::route::{Goal, Route};
use crate::pages;

/// RBAC-01 to RBAC-05: Azure's response decides which of them applies.
pub(super) fn empty_write(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    cx.needs(&pages::TOK_10)?;
    cx.needs(&pages::TOK_11)?;
    let route = cx.routes.iter().position(|route| route.goal == Goal::Ingestion);
    let mut route = route.map(|place| cx.routes.swap_remove(place)).ok_or(Outcome::Needs(&pages::NET_01))?;
    if let Some(page) = route.blocked {
        return Err(Outcome::Needs(page));
    }
    let host = route.to.host().to_owned();
    let answer = write(cx, &mut route)?;
    judge(&answer.map_err(|error| Outcome::Fail(Finding::new(format!("{host}: {error}")).on(&pages::RBAC_05)))?)
}

fn write(cx: &Context<'_>, route: &mut Route) -> Result<io::Result<Answer>, Outcome> {
    let granted = cx.granted.as_ref().ok_or(Outcome::Needs(&pages::TOK_10))?;
    let request = http::empty_write(&route.to, granted.authorization());
    let link = route.again(cx.trust()?).map_err(|finding| Outcome::Fail(finding.on(&pages::RBAC_05)))?;
    let sent = request.and_then(|request| link.send(&request));
    Ok(sent.and_then(|()| http::answer(link, 4096)))
}

/// What the response says about the role. Azure authorizes before it reads the body, so a refused body proves the role.
fn judge(answer: &Answer) -> Checked {
    let seen = format!("Azure answered {}: {}", answer.status, answer.line());
    let fail = |page| Err(Outcome::Fail(Finding::new(seen.clone()).on(page)));
    match answer.status {
        200..=299 => Ok(format!("an empty write was accepted ({})", answer.status)),
        400 | 413 | 415 | 422 => Ok(format!("an empty write was authorized and found empty ({})", answer.status)),
        401 => fail(&pages::RBAC_04),
        403 => fail(&pages::RBAC_01),
        404 | 405 => fail(&pages::RBAC_02),
        429 => Err(Outcome::Warn(Finding::new(seen).on(&pages::RBAC_03))),
        _ => fail(&pages::RBAC_05),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_page() {
        let judged = |status| judge(&Answer { status, date: None, body: b"because".to_vec() });
        for status in [200, 204, 400, 415] {
            assert!(judged(status).is_ok(), "{status}");
        }
        for (status, page) in [
            (401, &pages::RBAC_04),
            (403, &pages::RBAC_01),
            (404, &pages::RBAC_02),
            (500, &pages::RBAC_05),
            (302, &pages::RBAC_05),
        ] {
            let Err(Outcome::Fail(finding)) = judged(status) else { panic!("{status}") };
            assert_eq!(finding.page, Some(page), "{status}");
            assert!(finding.seen.ends_with("because"));
        }
        assert!(matches!(judged(429), Err(Outcome::Warn(_))));
    }
}
