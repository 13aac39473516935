//! The checks in order, the selection among them, and one run of them.

use super::context::{Checked, Context};
use super::outcome::{Done, Outcome};
use super::{Choice, Options, Reach, configuration, environment, exchange, network, process, projected, role, sender};
use crate::pages::{self, Category, Page};

/// One check.
pub(super) struct Step {
    /// What it checks.
    pub(super) page: &'static Page,
    /// The checks without whose success it cannot run. Those of the routes are not among them: a route that is closed
    /// does not hold up another.
    needs: &'static [&'static Page],
    /// Whether it opens sockets, which `--pre` leaves out.
    online: bool,
    run: fn(&mut Context<'_>) -> Checked,
}

const fn offline(page: &'static Page, run: fn(&mut Context<'_>) -> Checked) -> Step {
    Step { page, needs: &[], online: false, run }
}

const fn online(page: &'static Page, needs: &'static [&'static Page], run: fn(&mut Context<'_>) -> Checked) -> Step {
    Step { page, needs, online: true, run }
}

/// Every check. Each may use the results of earlier ones.
pub(super) static ALL: &[Step] = &[
    offline(&pages::CFG_01, configuration::ingestion_url),
    offline(&pages::CFG_02, configuration::metrics_endpoint),
    offline(&pages::CFG_03, configuration::api_version),
    offline(&pages::CFG_04, configuration::listening),
    offline(&pages::CFG_05, configuration::cloud),
    offline(&pages::CFG_06, configuration::rest),
    offline(&pages::CFG_07, configuration::authorities),
    offline(&pages::CFG_08, configuration::proxy),
    offline(&pages::CFG_09, configuration::credential),
    offline(&pages::ENV_01, environment::webhook),
    offline(&pages::ENV_02, environment::client_id),
    offline(&pages::ENV_03, environment::tenant_id),
    offline(&pages::ENV_04, environment::one_cloud),
    online(&pages::NET_01, &[], network::resolve),
    online(&pages::NET_02, &[], network::connect),
    online(&pages::NET_03, &[], network::secure),
    online(&pages::NET_04, &[], network::clock),
    offline(&pages::TOK_01, projected::readable),
    offline(&pages::TOK_02, projected::signed),
    offline(&pages::TOK_03, projected::subject),
    offline(&pages::TOK_04, projected::audience),
    offline(&pages::TOK_05, projected::fresh),
    offline(&pages::TOK_06, projected::issuer),
    online(&pages::TOK_07, &[&pages::TOK_06], projected::keys),
    online(&pages::TOK_10, &[&pages::TOK_02, &pages::TOK_06, &pages::TOK_05, &pages::NET_04], exchange::exchange),
    online(&pages::TOK_11, &[&pages::TOK_10], exchange::for_azure_monitor),
    online(&pages::RBAC_01, &[&pages::TOK_10, &pages::TOK_11], role::empty_write),
    online(&pages::LIVE_01, &[], process::listens),
    online(&pages::LIVE_02, &[&pages::LIVE_01, &pages::TOK_10], process::ready),
    online(&pages::LIVE_03, &[&pages::LIVE_02, &pages::RBAC_01], process::delivers),
    online(&pages::PROM_01, &[], sender::writes),
    online(&pages::PROM_02, &[&pages::PROM_01], sender::keeps_up),
];

impl Step {
    /// Why this check is left out regardless of its state, if it is.
    pub(super) fn left(&self, options: &Options) -> Option<&'static str> {
        match options.reach {
            Reach::Offline if self.online => Some("not with --pre"),
            Reach::Online if self.writes() => Some("only with --write"),
            _ => None,
        }
    }

    /// Whether it is to be reported.
    pub(super) fn is_chosen(&self, options: &Options) -> bool {
        (options.only.is_empty() || is_among(&options.only, self.page)) && !is_among(&options.skip, self.page)
    }

    /// Whether it runs: if it is to be reported, or if a reported check needs its result. A write that the user skips is
    /// made for none.
    fn runs(&self, options: &Options) -> bool {
        let is_needed = || ALL.iter().any(|other| other.waits_for(self) && other.runs(options));
        let is_refused = self.writes() && is_among(&options.skip, self.page);
        !self.online || self.is_chosen(options) || (!is_refused && is_needed())
    }

    fn writes(&self) -> bool {
        self.page == &pages::RBAC_01
    }

    /// Whether this check uses the result of `other`. One of a route uses those of the same route before it.
    fn waits_for(&self, other: &Self) -> bool {
        let on_route = |step: &Self| step.page.category == Category::Network;
        self.needs.contains(&other.page) || (on_route(self) && on_route(other) && other.page.code < self.page.code)
    }

    /// Its outcome after the checks before it.
    fn outcome(&self, cx: &mut Context<'_>) -> Outcome {
        if let Some(why) = self.left(cx.options) {
            return Outcome::Left(why);
        }
        let met = self.needs.iter().try_for_each(|page| cx.needs(page));
        met.and_then(|()| (self.run)(cx)).map_or_else(|outcome| outcome, Outcome::Ok)
    }
}

/// The check that reports `page`, if `page` has none of its own: the one before it in its category.
pub(super) fn reporter(page: &'static Page) -> Option<&'static Page> {
    let before = |step: &&Step| step.page.category == page.category && step.page.code <= page.code;
    ALL.iter().rev().find(before).map(|step| step.page).filter(|own| *own != page)
}

/// Whether a list of choices includes this page.
pub(super) fn is_among(choices: &[Choice], page: &'static Page) -> bool {
    choices.iter().any(|choice| choice.means(page))
}

/// Runs the checks.
pub(super) fn run(cx: &mut Context<'_>) {
    for step in ALL.iter().filter(|step| step.runs(cx.options)) {
        let outcome = step.outcome(cx);
        cx.done.push(Done { step: step.page, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_check_needs_stands_before_it() {
        let place = |page: &Page| ALL.iter().position(|step| step.page == page);
        for step in ALL {
            assert!(
                step.needs.iter().all(|page| place(page).is_some() && place(page) < place(step.page)),
                "{}",
                step.page
            );
        }
    }

    #[test]
    fn a_chosen_check_brings_what_it_needs() {
        let brought_without = |only: &'static Page, skip: Vec<Choice>| {
            let options = Options { reach: Reach::Write, only: vec![Choice::Page(only)], skip, ..Options::default() };
            let online = ALL.iter().filter(|step| step.online && step.runs(&options));
            online.map(|step| step.page.code).collect::<Vec<_>>()
        };
        let brought = |only| brought_without(only, Vec::new());
        let network = ["NET-01", "NET-02", "NET-03", "NET-04"];
        assert_eq!(brought(&pages::CFG_01), [""; 0]);
        assert_eq!(brought(&pages::NET_02), network[..2]);
        assert_eq!(brought(&pages::TOK_07), ["TOK-07"]);
        assert_eq!(brought(&pages::TOK_10), [&network[..], &["TOK-10"]].concat());
        assert_eq!(brought(&pages::RBAC_01), [&network[..], &["TOK-10", "TOK-11", "RBAC-01"]].concat());
        assert_eq!(brought(&pages::LIVE_01), ["LIVE-01"]);
        let whole = [&network[..], &["TOK-10", "TOK-11", "RBAC-01", "LIVE-01", "LIVE-02", "LIVE-03"]].concat();
        assert_eq!(brought(&pages::LIVE_03), whole);
        assert_eq!(brought(&pages::PROM_02), ["PROM-01", "PROM-02"]);
        let no_write = brought_without(&pages::LIVE_03, vec![Choice::Page(&pages::RBAC_01)]);
        assert!(!no_write.contains(&"RBAC-01") && no_write.contains(&"TOK-10"), "{no_write:?}");
    }

    #[test]
    fn a_page_without_a_check_is_reported_by_another() {
        let reported: Vec<_> = pages::all().filter_map(|page| Some((page.code, reporter(page)?.code))).collect();
        let by = |code| (code, "RBAC-01");
        assert_eq!(reported, [by("RBAC-02"), by("RBAC-03"), by("RBAC-04"), by("RBAC-05")]);
    }

    #[test]
    fn checks_stand_in_the_order_of_their_pages() {
        let order: Vec<_> = pages::all().map(|page| page.code).collect();
        let places: Vec<_> = ALL.iter().map(|step| order.iter().position(|code| *code == step.page.code)).collect();
        assert!(places.is_sorted() && places.iter().all(Option::is_some));
    }
}
