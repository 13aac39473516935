//! The routes to Entra and to Azure Monitor, and the clock at the other end.

use std::time::{Duration, SystemTime};

use remora_smol::Skew;
use remora_smol::endpoint::Endpoint;

use super::context::{Checked, Context};
use super::outcome::{Finding, Outcome};
use super::route::{Goal, Lookup, Route};
use super::steps;
use crate::pages::{self, Page, is_command};

/// Time for a name resolution that is worth a warning. A cluster's DNS answers within milliseconds.
const SLOW: Duration = Duration::from_secs(1);
/// Clock difference that is worth a warning. A `Date` has a resolution of one second.
pub(super) const ODD: Duration = Duration::from_secs(60);
/// Clock difference at which tokens and certificates appear expired or not yet valid.
const WRONG: Duration = Duration::from_secs(300);

/// Why nothing is known about a host.
const NOT_OPEN: Outcome = Outcome::Left("no open connection to ask on");

/// NET-01. Creates the routes here, so that all later checks have them.
pub(super) fn resolve(cx: &mut Context<'_>) -> Checked {
    cx.routes = routes(cx)?;
    let lookups = cx.routes.iter().map(Route::look_up).collect();
    let note = resolved(cx, lookups)?;
    let Some(slowest) = cx.routes.iter().max_by_key(|route| route.resolution) else { return Ok(note) };
    let (host, took) = (slowest.next().0.to_owned(), slowest.resolution);
    if took > SLOW {
        cx.pod.learn("failed-host", Some(host.clone()));
        return Err(Outcome::Warn(slow_resolution(&host, took)));
    }
    Ok(note)
}

fn slow_resolution(host: &str, took: Duration) -> Finding {
    let repair = "check whether every nameserver in the pod's /etc/resolv.conf answers, and whether the cluster's DNS is overloaded";
    Finding::new(format!("{host} resolved only after {}.{} s", took.as_secs(), took.subsec_millis() / 100))
        .because(
            "Token exchanges and new connections wait for it. A resolver that answers late may soon not answer at all.",
        )
        .repaired(format!("{repair}\n{}", pages::NET_01.commands()))
}

/// Gives each route its lookup. All are made first, because each may show that DNS answers while another fails.
fn resolved(cx: &mut Context<'_>, lookups: Vec<Lookup>) -> Checked {
    let known = cx.routes.iter().zip(&lookups).find_map(|(route, lookup)| route.proves_dns(lookup)).map(str::to_owned);
    let mut lookups = lookups.into_iter();
    each(cx, &pages::NET_01, |route| {
        let lookup = lookups.next().unwrap_or_else(|| route.look_up());
        route.resolve(lookup, known.as_deref())
    })
}

/// The routes to the identity's authority and to the ingestion endpoint. Endpoints of the machine and of the cluster,
/// which are reached differently, are tested only by the token exchange.
fn routes(cx: &Context<'_>) -> Result<Vec<Route>, Outcome> {
    let config = cx.config()?;
    let authority = config.identity.authority();
    let authority = authority.map(|host| Route::new(Goal::Authority, host.clone(), config.proxy.as_ref()));
    let ingestion = Route::new(Goal::Ingestion, config.ingestion.clone(), config.proxy.as_ref());
    let routes: std::io::Result<Vec<_>> = authority.into_iter().chain([ingestion]).collect();
    routes.map_err(|error| Outcome::Fail(Finding::new(error.to_string()).on(&pages::CFG_08)))
}

/// NET-02.
pub(super) fn connect(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    each(cx, &pages::NET_02, Route::connect)
}

/// NET-03.
pub(super) fn secure(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    let trust = cx.trust()?.clone();
    each(cx, &pages::NET_03, |route| route.secure(&trust))
}

/// Takes one step on every route that is still open. A route whose step fails is blocked, and its failure is the
/// finding, unless the user skips the check whose page it is on.
fn each(
    cx: &mut Context<'_>,
    page: &'static Page,
    mut step: impl FnMut(&mut Route) -> Result<String, Finding>,
) -> Checked {
    let (mut notes, mut findings) = (Vec::new(), Vec::new());
    let is_skipped = |page| steps::is_among(&cx.options.skip, page);
    for route in cx.routes.iter_mut().filter(|route| route.blocked.is_none()) {
        match step(route) {
            Ok(note) => notes.push(note),
            Err(finding) if finding.page.is_some_and(|own| own != page && is_skipped(own)) => {}
            Err(finding) => {
                route.blocked = (!is_skipped(page)).then_some(page);
                cx.pod.learn("failed-host", Some(route.next().0.to_owned()));
                findings.push(finding);
            }
        }
    }
    if !findings.is_empty() {
        let finding = together(page, &findings);
        // Checks that need a route name the page that explains why it is closed.
        let named = finding.page.or(Some(page));
        cx.routes.iter_mut().filter(|route| route.blocked == Some(page)).for_each(|route| route.blocked = named);
        return Err(Outcome::Fail(finding));
    }
    match cx.routes.iter().find_map(|route| route.blocked) {
        blocked if notes.is_empty() => Err(blocked.map_or(NOT_OPEN, Outcome::Needs)),
        _ => {
            notes.dedup();
            Ok(notes.join("; "))
        }
    }
}

/// Merges several findings of the check of `page`: the prose of each, then the commands of all. They are on another page
/// only if all are.
fn together(page: &'static Page, findings: &[Finding]) -> Finding {
    let mut seen: Vec<_> = findings.iter().map(|finding| finding.seen.clone()).collect();
    seen.dedup();
    let (mut prose, mut commands) = (Vec::new(), Vec::new());
    for line in findings.iter().flat_map(|finding| finding.repair.as_deref().unwrap_or(page.repair).lines()) {
        let lines = if is_command(line) { &mut commands } else { &mut prose };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    prose.extend(commands);
    let repair = findings.iter().any(|finding| finding.repair.is_some()).then(|| prose.join("\n"));
    let page = findings.first().and_then(|finding| finding.page);
    let page = page.filter(|_| findings.iter().all(|finding| finding.page == page));
    Finding { page, repair, ..Finding::new(seen.join("; ")) }
}

/// NET-04. Any response carries the time, even a refusal. Without the route of the identity there is nothing to ask that
/// its token needs: a clock that cannot be judged then must not hold up the exchange.
pub(super) fn clock(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    let trust = cx.trust()?.clone();
    let blocked = cx.routes.iter().find_map(|route| route.blocked);
    let asked = cx.routes.iter_mut().filter(|route| route.blocked.is_none()).find_map(|route| {
        route.again(&trust).ok()?;
        Some((route.get("/")?, route.to.clone()))
    });
    let Some((answer, asked)) = asked else {
        let blocked = blocked.filter(|_| cx.routes.iter().any(|route| route.goal == Goal::Authority));
        return Err(blocked.map_or(NOT_OPEN, Outcome::Needs));
    };
    let date = match answer {
        Ok(answer) => answer.date,
        Err(error) => return Err(untold(&asked, &format!(": {error}"))),
    };
    let there = date.as_deref().and_then(|date| httpdate::parse_http_date(date).ok());
    let there = there.ok_or_else(|| untold(&asked, ""))?;
    judge(asked.host(), there, SystemTime::now())
}

/// Nothing is known about the clock, so it is not what has to be repaired.
fn untold(asked: &Endpoint, why: &str) -> Outcome {
    let seen = format!("{} did not report the time{why}", asked.host());
    let finding = Finding::new(seen).because("Whether the clock is right cannot be told without it.");
    Outcome::Warn(finding.repaired(format!("see what answers there\ncurl -sv https://{}/", asked.authority())))
}

fn judge(host: &str, there: SystemTime, here: SystemTime) -> Checked {
    let skew = Skew::between(here, there);
    let seen = format!("this node's clock is {}", skew.towards(&format!("that of {host}")));
    match skew.by {
        by if by > WRONG => Err(Outcome::Fail(Finding::new(seen))),
        by if by > ODD => Err(Outcome::Warn(Finding::new(seen))),
        by => Ok(format!("within {} of {host}", span(by.max(Duration::from_secs(1))))),
    }
}

/// A time span in whole seconds, as `1h 2m 3s`.
pub(super) fn span(span: Duration) -> String {
    humantime::format_duration(Duration::from_secs(span.as_secs())).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io;

    use super::*;
    use crate::check::{Choice, Options};

    fn judged(seconds: i64) -> Checked {
        let here = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let apart = Duration::from_secs(seconds.unsigned_abs());
        judge("h", if seconds < 0 { here + apart } else { here - apart }, here)
    }

    #[test]
    fn a_clock_may_be_a_minute_off_and_must_not_be_five() {
        assert!(judged(60).is_ok() && judged(-60).is_ok());
        assert!(matches!(judged(61), Err(Outcome::Warn(_))) && matches!(judged(-300), Err(Outcome::Warn(_))));
        assert!(matches!(judged(301), Err(Outcome::Fail(_))) && matches!(judged(-301), Err(Outcome::Fail(_))));
    }

    #[test]
    fn a_clock_of_which_nothing_is_known_is_not_to_be_set() {
        let Outcome::Warn(finding) = untold(&Endpoint::parse("https://h:8443/x").unwrap(), ": timed out") else {
            panic!("no warning")
        };
        assert_eq!(finding.seen, "h did not report the time: timed out");
        let repair = finding.repair.unwrap_or_default();
        assert!(repair.ends_with("\ncurl -sv https://h:8443/") && !repair.contains("timedatectl"), "{repair}");
    }

    #[test]
    fn hosts_that_fail_alike_are_all_named_in_the_repair() {
        let findings = ["a", "b"].map(|host| Finding::new(host).repaired(format!("allow {host}\nkubectl get x")));
        let finding = together(&pages::NET_03, &findings);
        assert_eq!(
            (finding.seen.as_str(), finding.repair.as_deref()),
            ("a; b", Some("allow a\nallow b\nkubectl get x"))
        );
        assert_eq!(together(&pages::NET_03, &[Finding::new("a"), Finding::new("a")]).repair, None);
    }

    #[test]
    fn hosts_that_fail_differently_are_on_the_page_of_the_check() {
        let silent = Finding::new("a").on(&pages::NET_02).repaired("allow a");
        let finding = together(&pages::NET_03, &[silent.clone(), silent.clone()]);
        assert_eq!((finding.page, finding.repair.as_deref()), (Some(&pages::NET_02), Some("allow a")));
        let finding = together(&pages::NET_03, &[silent, Finding::new("b")]);
        assert_eq!(finding.page, None);
        assert_eq!(finding.repair.unwrap_or_default(), format!("allow a\n{}", pages::NET_03.repair));
    }

    #[test]
    fn a_slow_name_server_is_what_is_to_be_looked_at() {
        let finding = slow_resolution("h.example", Duration::from_millis(5_012));
        assert_eq!(finding.seen, "h.example resolved only after 5.0 s");
        let repair = finding.repair.unwrap();
        assert!(repair.contains("resolv.conf") && repair.contains("\nkubectl run dns-check"), "{repair}");
    }

    #[test]
    fn dns_that_answers_for_one_host_is_not_to_blame_for_the_other() {
        let variables = [
            ("INGESTION_URL", "https://x-1.example/dataCollectionRules/d/x?api-version=1"),
            ("AZURE_CLIENT_ID", "3913510d-42f4-4e42-8a64-420c390055eb"),
            ("AZURE_TENANT_ID", "72f988bf-86f1-41af-91ab-2d7cd011db47"),
            ("AZURE_FEDERATED_TOKEN_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")),
        ];
        let source: BTreeMap<&str, String> = variables.map(|(name, value)| (name, value.to_owned())).into();
        let options = Options::default();
        let lookup = |is_found| Lookup {
            found: if is_found { Ok(Vec::new()) } else { Err(io::Error::other("Name does not resolve")) },
            took: Duration::ZERO,
        };
        for (authority, ingestion, words) in [
            (true, false, Some("INGESTION_URL is mistyped")),
            (false, true, Some("AZURE_AUTHORITY_HOST")),
            (false, false, None),
        ] {
            let mut cx = Context::new(&options, &source);
            cx.routes = routes(&cx).unwrap_or_else(|_| panic!("routes"));
            let checked = resolved(&mut cx, vec![lookup(authority), lookup(ingestion)]);
            let Err(Outcome::Fail(finding)) = checked else { panic!("no failure") };
            let repair = finding.repair.unwrap_or_default();
            assert!(words.map_or(repair.is_empty(), |words| repair.contains(words)), "{repair}");
        }
    }

    #[test]
    fn a_closed_route_that_the_identity_does_not_use_leaves_its_exchange_to_be_tried() {
        let url = ("INGESTION_URL", "https://x-1.example/dataCollectionRules/d/x?api-version=1");
        let application = [
            ("IDENTITY_TYPE", "aadApplication"),
            ("AZURE_CLIENT_ID", "3913510d-42f4-4e42-8a64-420c390055eb"),
            ("AZURE_TENANT_ID", "72f988bf-86f1-41af-91ab-2d7cd011db47"),
            ("AZURE_CLIENT_SECRET", "hush"),
        ];
        let options = Options::default();
        let outcome = |identity: &[(&'static str, &str)]| {
            let variables = identity.iter().chain([&url]).map(|(name, value)| (*name, (*value).to_owned()));
            let source: BTreeMap<&str, String> = variables.collect();
            let mut cx = Context::new(&options, &source);
            cx.trust = Some(remora_smol::Trust::built_in());
            cx.routes = routes(&cx).unwrap_or_else(|_| panic!("routes"));
            cx.routes.iter_mut().for_each(|route| route.blocked = Some(&pages::NET_02));
            clock(&mut cx)
        };
        assert!(matches!(outcome(&[("IDENTITY_TYPE", "systemAssigned")]), Err(Outcome::Left(_))));
        assert!(matches!(outcome(&application), Err(Outcome::Needs(page)) if page == &pages::NET_02));
    }

    #[test]
    fn hosts_that_refuse_connections_prove_nothing_if_that_check_is_skipped() {
        let unused = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let variables = [
            ("INGESTION_URL", format!("https://{}/dataCollectionRules/d/x?api-version=1", unused())),
            ("IDENTITY_TYPE", "aadApplication".to_owned()),
            ("AZURE_CLIENT_ID", "3913510d-42f4-4e42-8a64-420c390055eb".to_owned()),
            ("AZURE_TENANT_ID", "72f988bf-86f1-41af-91ab-2d7cd011db47".to_owned()),
            ("AZURE_CLIENT_SECRET", "hush".to_owned()),
            ("AZURE_AUTHORITY_HOST", format!("https://{}/", unused())),
        ];
        let source: BTreeMap<&str, String> = variables.into();
        let options = Options { skip: vec![Choice::Page(&pages::NET_02)], ..Options::default() };
        let mut cx = Context::new(&options, &source);
        cx.trust = Some(remora_smol::Trust::built_in());
        assert!(resolve(&mut cx).is_ok());
        assert!(matches!(connect(&mut cx), Err(Outcome::Fail(_))));
        assert!(matches!(secure(&mut cx), Err(Outcome::Left(_))) && matches!(clock(&mut cx), Err(Outcome::Left(_))));
    }

    #[test]
    fn the_direction_is_told() {
        let Err(Outcome::Fail(finding)) = judged(-3_723) else { panic!("no failure") };
        assert_eq!(finding.seen, "this node's clock is 1h 2m 3s behind that of h");
    }
}
