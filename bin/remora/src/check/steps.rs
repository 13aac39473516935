//! The checks in order, the selection among them, and one run of them.

use super::context::{Checked, Context};
use super::outcome::{Done, Outcome};
use super::{Choice, Options, Reach, configuration, environment, exchange, network, process, projected, role, sender};
use crate::pages::{self, Category, Page};

/// One check.
pub(super) struct Step {
    /// What it checks.
    pub(super) page: &'static Page,
    /// Whether it opens sockets, which `--pre` leaves out.
    online: bool,
    run: fn(&mut Context<'_>) -> Checked,
}

const fn offline(page: &'static Page, run: fn(&mut Context<'_>) -> Checked) -> Step {
    Step { page, online: false, run }
}

const fn online(page: &'static Page, run: fn(&mut Context<'_>) -> Checked) -> Step {
    Step { page, online: true, run }
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
    online(&pages::NET_01, network::resolve),
    online(&pages::NET_02, network::connect),
    online(&pages::NET_03, network::secure),
    online(&pages::NET_04, network::clock),
    offline(&pages::TOK_01, projected::readable),
    offline(&pages::TOK_02, projected::signed),
    offline(&pages::TOK_03, projected::subject),
    offline(&pages::TOK_04, projected::audience),
    offline(&pages::TOK_05, projected::fresh),
    offline(&pages::TOK_06, projected::issuer),
    online(&pages::TOK_07, projected::keys),
    online(&pages::TOK_10, exchange::exchange),
    online(&pages::TOK_11, exchange::for_azure_monitor),
    online(&pages::RBAC_01, role::empty_write),
    online(&pages::LIVE_01, process::listens),
    online(&pages::LIVE_02, process::ready),
    online(&pages::LIVE_03, process::delivers),
    online(&pages::PROM_01, sender::writes),
    online(&pages::PROM_02, sender::keeps_up),
];

/// The checks behind the network whose results others need, and those others.
static NEEDED: &[(&Page, &[&Page])] = &[
    (&pages::TOK_10, &[&pages::TOK_11, &pages::RBAC_01, &pages::LIVE_02, &pages::LIVE_03]),
    (&pages::TOK_11, &[&pages::RBAC_01]),
    (&pages::LIVE_01, &[&pages::LIVE_02, &pages::LIVE_03]),
    (&pages::LIVE_02, &[&pages::LIVE_03]),
    (&pages::PROM_01, &[&pages::PROM_02]),
];

impl Step {
    /// Why this check is left out regardless of its state, if it is.
    fn left(&self, options: &Options) -> Option<&'static str> {
        let writes = self.page == &pages::RBAC_01;
        match options.reach {
            Reach::Offline if self.online => Some("not with --pre"),
            Reach::Online if writes => Some("only with --write"),
            _ => None,
        }
    }

    /// Whether it is to be reported.
    pub(super) fn is_chosen(&self, options: &Options) -> bool {
        (options.only.is_empty() || is_among(&options.only, self.page)) && !is_among(&options.skip, self.page)
    }

    /// Whether it runs: if it is to be reported, or if a reported check needs its result.
    fn runs(&self, options: &Options) -> bool {
        let is_needed = || ALL.iter().any(|other| other.is_chosen(options) && self.leads_to(other.page));
        self.is_chosen(options) || !self.online || is_needed()
    }

    /// Whether the check of `page` needs the result of this one, which opens sockets. All others always run.
    fn leads_to(&self, page: &'static Page) -> bool {
        let leads = |first| NEEDED.iter().any(|(needed, by)| *needed == first && by.contains(&page));
        match self.page.category {
            Category::Network if page.category == Category::Network => self.page.code < page.code,
            Category::Network => page == &pages::TOK_10 || leads(&pages::TOK_10),
            _ => leads(self.page),
        }
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
        let outcome = match step.left(cx.options) {
            Some(why) => Outcome::Left(why),
            None => (step.run)(cx).map_or_else(|outcome| outcome, Outcome::Ok),
        };
        cx.done.push(Done { step: step.page, outcome });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
