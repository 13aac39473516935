//! The table of all known problems: one page for each code. `remora check`, `remora explain`, the faults of a
//! configuration and the runbook are generated from it and cannot diverge.
//!
//! Once released, a code keeps its meaning; removing a page leaves a gap in the numbers.

mod configuration;
mod environment;
mod network;
mod process;
mod role;
mod token;

use std::fmt;

pub(crate) use configuration::*;
pub(crate) use environment::*;
pub(crate) use network::*;
pub(crate) use process::*;
pub(crate) use role::*;
pub(crate) use token::*;

/// Prefix of every code where it is shown.
pub(crate) const PREFIX: &str = "REMORA-";

/// Heading under which a code is listed, in the order of the checks: from the inside of the pod to Azure and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    /// The container's settings.
    Configuration,
    /// The changes of the workload identity webhook.
    Environment,
    /// The routes to Entra and to Azure Monitor.
    Network,
    /// The service account's token in the pod.
    ProjectedToken,
    /// The exchange of that token for an access token.
    TokenExchange,
    /// The permissions of the identity.
    Role,
    /// The sidecar running beside the check.
    Process,
    /// The Prometheus that writes to it.
    Sender,
}

impl Category {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 8] = [
        Self::Configuration,
        Self::Environment,
        Self::Network,
        Self::ProjectedToken,
        Self::TokenExchange,
        Self::Role,
        Self::Process,
        Self::Sender,
    ];

    /// The heading, which is also what `--only` and `--skip` accept, with a hyphen for each space.
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Environment => "environment",
            Self::Network => "network",
            Self::ProjectedToken => "projected token",
            Self::TokenExchange => "token exchange",
            Self::Role => "role",
            Self::Process => "running process",
            Self::Sender => "prometheus",
        }
    }
}

/// One thing that is checked, and what to do if it fails.
#[derive(Debug)]
pub(crate) struct Page {
    /// Category and number, such as `CFG-01`.
    pub(crate) code: &'static str,
    /// The heading it is listed under.
    pub(crate) category: Category,
    /// A statement that is true if all is well.
    pub(crate) title: &'static str,
    /// The consequences if it is not.
    pub(crate) why: &'static str,
    /// What to do, line by line; see [`is_command`]. Names in angle brackets are placeholders, filled in if their
    /// values are known.
    pub(crate) repair: &'static str,
}

impl Page {
    /// The commands of the fix, one per line.
    pub(crate) fn commands(&self) -> String {
        self.repair.lines().filter(|line| is_command(line)).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.code)
    }
}

impl Eq for Page {}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        self.code == other.code
    }
}

/// Every page, category by category.
pub(crate) fn all() -> impl Iterator<Item = &'static Page> {
    [CONFIGURATION, ENVIRONMENT, NETWORK, TOKENS, ROLE, PROCESS].into_iter().flatten().copied()
}

/// The page with this code, in any case and with or without [`PREFIX`].
pub(crate) fn find(code: &str) -> Option<&'static Page> {
    let code = code.to_ascii_uppercase();
    let code = code.strip_prefix(PREFIX).unwrap_or(&code);
    all().find(|page| page.code == code)
}

/// Whether a line of a fix is a command to paste; all others are prose.
pub(crate) fn is_command(line: &str) -> bool {
    ["az ", "kubectl ", "curl "].iter().any(|program| line.starts_with(program))
}

/// `LIST = Category { NAME "code" "title", "why", "repair"; }` becomes a static for each name, and a list of them.
macro_rules! pages {
    ($list:ident = $($category:ident { $($name:ident $code:literal $title:literal, $why:literal, $repair:literal;)* })*) => {
        $($(
            pub(crate) static $name: $crate::pages::Page = $crate::pages::Page {
                code: $code,
                category: $crate::pages::Category::$category,
                title: $title,
                why: $why,
                repair: $repair,
            };
        )*)*
        pub(super) static $list: &[&$crate::pages::Page] = &[$($(&$name),*),*];
    };
}
use pages;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_one_page_and_every_page_says_what_to_do() {
        let codes: BTreeSet<_> = all().map(|page| page.code).collect();
        assert_eq!(codes.len(), all().count());
        for page in all() {
            assert!(!page.why.is_empty() && !page.repair.trim().is_empty(), "{page}");
            assert!(page.why.ends_with('.') && !page.title.ends_with('.'), "{page}");
        }
    }

    #[test]
    fn pages_stand_in_the_order_of_their_categories() {
        let place = |page: &Page| Category::ALL.iter().position(|category| *category == page.category);
        assert!(all().map(place).is_sorted());
    }

    #[test]
    fn a_code_is_found_however_it_is_written() {
        for code in ["REMORA-CFG-01", "remora-cfg-01", "cfg-01"] {
            assert_eq!(find(code), Some(&CFG_01), "{code}");
        }
        assert_eq!(find("CFG-99"), None);
    }

    #[test]
    fn every_code_that_a_sender_is_told_has_a_page() {
        use remora_core::forward::Unavailable;
        use remora_core::forward::reply::code;
        let refusals = [
            Unavailable::NoToken,
            Unavailable::TokenRefused,
            Unavailable::Capacity,
            Unavailable::Resolve,
            Unavailable::Connect,
            Unavailable::Tls,
            Unavailable::Broken,
            Unavailable::Unreadable,
            Unavailable::Timeout,
        ];
        let told: BTreeSet<_> = refusals.map(Unavailable::code).into_iter().chain((100..600).map(code)).collect();
        assert!(told.len() > 6);
        for code in told.into_iter().filter(|code| !code.is_empty()) {
            assert!(find(code).is_some(), "{code}");
        }
    }

    #[test]
    fn a_placeholder_in_a_command_needs_no_quotes_of_its_own() {
        for page in all() {
            for line in page.repair.lines().filter(|line| is_command(line)) {
                assert!(!line.contains("\"<") && !line.contains('\u{2013}'), "{page}: {line}");
                assert_eq!(line.matches('\'').count() % 2, 0, "{page}: {line}");
            }
        }
    }
}
