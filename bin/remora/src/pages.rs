//! The table of all known problems: one page for each code. `remora check`, `remora explain`, the faults of a
//! configuration and the runbook are generated from it and cannot diverge.
//!
//! Once released, a code keeps its meaning; removing a page leaves a gap in the numbers.

mod answers;
mod configuration;
mod environment;
mod network;
mod process;
mod role;
mod symptoms;
mod token;

use std::fmt;

#[cfg(test)]
pub(crate) use answers::{ANSWERS, Side};
pub(crate) use answers::{of_metric, own};
pub(crate) use configuration::*;
pub(crate) use environment::*;
pub(crate) use network::*;
pub(crate) use process::*;
pub(crate) use role::*;
pub(crate) use symptoms::{ALERTS, MISSING_DATA, STATUSES, Symptom, symptom};
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
    line.split_once(' ').is_some_and(|(first, _)| PROGRAMS.contains(&first))
}

/// A sentence that ends in a command, and that command, with a colon between them.
pub(crate) fn split_command(line: &str) -> Option<(&str, &str)> {
    let colons = line.match_indices(": ").filter(|_| !is_command(line));
    let mut parts = colons.filter_map(|(at, _)| Some((line.get(..at)?, line.get(at + 2..)?)));
    parts.find(|(_, command)| is_command(command))
}

/// The programs of the commands in fixes.
const PROGRAMS: [&str; 8] = ["az", "azcmagent", "curl", "kubectl", "openssl", "systemctl", "timedatectl", "usermod"];

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

    /// A page is also printed alone, and below other pages.
    #[test]
    fn a_page_refers_to_nothing_around_it() {
        for page in all() {
            for words in ["above", "below", "from here", "that signer"] {
                assert!(!page.why.contains(words) && !page.repair.contains(words), "{page}: {words}");
            }
        }
    }

    #[test]
    fn what_an_identity_signs_in_with_is_told_for_each_type() {
        assert!(!CFG_09.repair.contains("--help"));
        for (kind, setting) in [
            ("workloadIdentity", "webhook"),
            ("userAssigned", "AZURE_MANAGED_IDENTITY_RESOURCE_ID"),
            ("systemAssigned", "IMDS_ENDPOINT"),
            ("aadApplication", "AZURE_CLIENT_SECRET_FILE"),
        ] {
            let line = CFG_09.repair.lines().find(|line| line.starts_with(&format!("- {kind}: "))).expect(kind);
            assert!(line.contains(setting), "{line}");
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
        let told: BTreeSet<_> =
            refusals.map(Unavailable::code).into_iter().chain((100..600).map(code)).flatten().collect();
        assert!(told.len() > 6);
        for code in told {
            assert!(find(code).is_some(), "{code}");
        }
    }

    #[test]
    fn every_command_of_a_page_or_a_hint_is_told_from_prose() {
        use remora_smol::hint::{self, Sent};

        // Options of Remora and of the API server, which are mentioned in prose.
        const NAMED: [&str; 5] = ["--help", "--only", "--write", "--wait", "--service-account-issuer"];
        let hints = hint::ALL.iter().map(|hint| (hint.word.to_owned(), hint.steps(&Sent::default())));
        let pages = all().map(|page| (page.to_string(), page.repair.to_owned()));
        let (mut commands, mut used) = (0, BTreeSet::new());
        for (name, repair) in hints.chain(pages) {
            for line in repair.lines() {
                let (prose, command) =
                    split_command(line).unwrap_or(if is_command(line) { ("", line) } else { (line, "") });
                commands += usize::from(!command.is_empty());
                used.extend(command.split(' ').next().map(str::to_owned));
                for word in prose.split_whitespace().map(|word| word.trim_matches(['(', ')', ';', ','])) {
                    assert!(
                        !PROGRAMS.contains(&word) && !["sudo", "helm", "sh", "chmod"].contains(&word),
                        "{name}: {line}"
                    );
                    let is_flag = word.starts_with('-') && word != "-";
                    assert!(!is_flag || NAMED.contains(&word), "{name}: {line}");
                }
                // Two or three plain words alone are a command as well: no sentence is that short.
                let is_short = command.is_empty() && prose.split(' ').count() < 4;
                assert!(!is_short || prose.contains('='), "{name}: {line}");
            }
        }
        assert!(commands > 60, "{commands}");
        assert!(PROGRAMS.iter().all(|program| used.contains(*program)), "{used:?}");
    }

    /// Prometheus' queue ends with its process.
    #[test]
    fn who_replaces_a_pod_is_told_what_it_costs() {
        use remora_smol::hint::{self, Sent};

        let hints = hint::ALL.iter().map(|hint| (hint.word.to_owned(), hint.steps(&Sent::default())));
        let pages = all().map(|page| (page.to_string(), page.repair.to_owned()));
        let replacing: Vec<_> = hints.chain(pages).filter(|(_, text)| text.contains("kubectl delete pod")).collect();
        assert!(replacing.len() > 12, "{replacing:?}");
        for (name, text) in replacing {
            let (before, _) = text.split_once("kubectl delete pod").expect("the command");
            assert!(before.contains("queued samples are lost"), "{name}");
        }
    }

    /// It restarts the API server of an AKS cluster and cannot be undone.
    #[test]
    fn who_enables_an_issuer_is_warned_before_the_command() {
        for page in [&ENV_01, &TOK_06] {
            let (before, _) = page.repair.split_once("az aks update ").expect("the command");
            for words in ["restarts", "API server", "issuer of all service account tokens", "cannot be undone"] {
                assert!(before.contains(words), "{page}: {words}");
            }
        }
    }

    #[test]
    fn containers_are_looked_at_with_native_sidecars() {
        for page in all() {
            assert!(!page.repair.contains(".spec.containers"), "{page}");
        }
    }

    #[test]
    fn a_pod_that_is_made_for_a_look_is_one_of_restricted_pod_security() {
        let commands = NET_01.commands();
        let (_, rest) = commands.split_once("--overrides='").expect("overrides");
        let (json, _) = rest.split_once('\'').expect("the end of the overrides");
        let made: serde_json::Value = serde_json::from_str(json).expect("JSON");
        let (pod, container) = (&made["spec"]["securityContext"], &made["spec"]["containers"][0]);
        assert_eq!((&pod["runAsNonRoot"], &pod["seccompProfile"]["type"]), (&true.into(), &"RuntimeDefault".into()));
        assert!(pod["runAsUser"].as_u64().is_some_and(|user| user > 0));
        let context = &container["securityContext"];
        assert_eq!(
            (&context["allowPrivilegeEscalation"], &context["capabilities"]["drop"][0]),
            (&false.into(), &"ALL".into())
        );
        assert!(commands.contains(&format!("kubectl run {} ", container["name"].as_str().expect("a name"))));
    }

    #[test]
    fn a_command_behind_any_colon_is_found() {
        let line = "set the name (chart: account.name): az identity list -o table";
        assert_eq!(split_command(line), Some(("set the name (chart: account.name)", "az identity list -o table")));
        assert_eq!(split_command("az rest --url x: az y"), None);
        assert_eq!(split_command("say so: not this"), None);
    }

    #[test]
    fn a_placeholder_in_a_command_needs_no_quotes_of_its_own() {
        for page in all() {
            for line in page.repair.lines().filter(|line| is_command(line)) {
                // Inside single quotes, a value that a shell would split is not filled in.
                let mut bare = line.split('\'').step_by(2);
                assert!(!bare.any(|part| part.contains("\"<")) && !line.contains('\u{2013}'), "{page}: {line}");
                assert_eq!(line.matches('\'').count() % 2, 0, "{page}: {line}");
            }
        }
    }

    /// zsh stops at a pattern that no file matches.
    #[test]
    fn no_command_has_a_pattern_outside_quotes() {
        use remora_smol::hint::{self, Sent};

        let hints = hint::ALL.iter().map(|hint| hint.steps(&Sent::default()));
        for line in hints.chain(all().map(Page::commands)).collect::<Vec<_>>().join("\n").lines() {
            let Some(command) = split_command(line).map(|(_, command)| command).or(is_command(line).then_some(line))
            else {
                continue;
            };
            let mut quote = None;
            for byte in command.bytes() {
                match quote {
                    None if byte == b'\'' || byte == b'"' => quote = Some(byte),
                    None => assert!(!b"[]*?".contains(&byte), "{command}"),
                    Some(end) if end == byte => quote = None,
                    Some(_) => (),
                }
            }
            assert_eq!(quote, None, "{command}");
        }
    }

    /// `create` overwrites a managed identity's credential of the same name, which may be another cluster's.
    #[test]
    fn a_federated_credential_is_created_under_an_unused_name() {
        use remora_smol::hint::{self, Sent};

        let hints = hint::ALL.iter().map(|hint| hint.steps(&Sent::default()));
        let text = hints.chain([TOK_10.commands()]).collect::<Vec<_>>().join("\n");
        let creating: Vec<_> = text.lines().filter(|line| line.contains("federated-credential create ")).collect();
        assert_eq!(creating.len(), 8, "{creating:?}");
        assert!(creating.iter().all(|line| line.contains("<unused-name>")), "{creating:?}");
    }

    #[test]
    fn a_webhook_and_an_issuer_are_enabled_on_aks_and_on_clusters_with_arc() {
        for page in [&ENV_01, &TOK_06] {
            for command in ["az aks update -g ", "az connectedk8s update -g "] {
                let line = page.repair.lines().find(|line| line.starts_with(command)).expect(command);
                assert!(line.contains(" --enable-oidc-issuer"), "{line}");
            }
        }
        assert!(ENV_01.repair.contains("azure.workload.identity/skip-containers"));
    }

    #[test]
    fn the_page_of_a_refused_token_fits_every_identity() {
        for kind in ["workloadIdentity", "userAssigned", "systemAssigned", "aadApplication"] {
            assert!(TOK_10.repair.contains(kind), "{kind}");
        }
        let commands = TOK_10.commands();
        for command in ["az identity federated-credential create", "az ad app federated-credential create"] {
            assert!(commands.contains(command), "{commands}");
        }
        let json = commands.split('\'').nth(1).expect("an application's credential");
        assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
    }
}
