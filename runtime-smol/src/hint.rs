//! Causes of identity failures and their fixes: one table for the log, the sender and `remora explain`. It decides
//! nothing: status and OAuth `error` do, and the codes may change (Microsoft's error reference).

mod refine;
mod sent;
mod table;

pub(crate) use refine::{Circumstances, Requester, refine};
pub use sent::Sent;
pub use table::*;

/// One cause and its fix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// Name of the cause, in lower case with hyphens. It is the same in all versions.
    pub word: &'static str,
    /// The `AADSTS` numbers that select it; empty if only other circumstances do.
    pub codes: &'static [u32],
    /// The cause as a clause, without a full stop.
    pub cause: &'static str,
    /// The command or the change that fixes it. `{issuer}` and the like are replaced by values of [`Sent`]; `<group>`
    /// and the like stand for what the process cannot know.
    pub repair: &'static str,
    /// The command in place of the one in `repair` if the client is an Entra application and not a managed identity;
    /// empty if that makes no difference. Its quotes are why it is in no log line, which would escape them.
    pub application: &'static str,
}

impl Hint {
    /// The fix on one line, for a log or a sender, with the values of `sent` filled in.
    pub fn repair(&self, sent: &Sent) -> String {
        let repair = fill(self.repair, sent);
        if self.application.is_empty() {
            return repair;
        }
        format!("for a managed identity (an application: remora explain {}): {repair}", self.word)
    }

    /// The fix line by line, for a terminal: [`Hint::repair`] with the commands for every kind of client.
    pub fn steps(&self, sent: &Sent) -> String {
        let repair = fill(self.repair, sent);
        if self.application.is_empty() {
            return repair;
        }
        let application = fill(self.application, sent);
        format!(
            "for a managed identity, use the first command; for an application, the second\n{repair}\n{application}"
        )
    }
}

/// `template` with the values of `sent`. A brace that no name follows is JSON's own.
fn fill(template: &str, sent: &Sent) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, opened)) = rest.split_once('{') {
        text.push_str(before);
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        let Some((name, after)) = opened.split_once('}').filter(|(name, _)| is_name(name)) else {
            text.push('{');
            rest = opened;
            continue;
        };
        match sent.value(name).filter(|value| is_plain(value)) {
            Some(value) => text.push_str(&value),
            None => text.extend(["<", name, ">"]),
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

/// Whether a shell takes the value literally. A value from a token must not change the command.
fn is_plain(value: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/@%+,=".contains(&byte);
    !value.is_empty() && value.bytes().all(plain)
}

/// The hint for an `AADSTS` number.
pub fn of_code(code: u32) -> Option<&'static Hint> {
    ALL.iter().find(|hint| hint.codes.contains(&code))
}

/// The hint for user input: a word of the table, `AADSTS700213` or `700213`, in any case.
pub fn find(text: &str) -> Option<&'static Hint> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.strip_prefix("aadsts").unwrap_or(&text);
    let code = remora_core::http::digits::decimal(digits.as_bytes()).and_then(|code| u32::try_from(code).ok());
    code.and_then(of_code).or_else(|| ALL.iter().find(|hint| hint.word == text))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn words_and_codes_are_unique() {
        let words: BTreeSet<_> = ALL.iter().map(|hint| hint.word).collect();
        assert_eq!(words.len(), ALL.len());
        let codes: Vec<_> = ALL.iter().flat_map(|hint| hint.codes).collect();
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
    }

    #[test]
    fn every_hint_is_one_line_with_known_places() {
        for hint in ALL {
            let plain = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(hint.word.chars().all(plain), "{}", hint.word);
            assert!(!hint.cause.is_empty() && !hint.repair.is_empty(), "{}", hint.word);
            // Logfmt escapes quotes with backslashes, which a shell would interpret differently.
            assert!(!hint.repair.contains(['"', '\\', '\n']), "{}", hint.word);
            assert!(hint.repair(&Sent::everything()).find(['{', '}']).is_none(), "{}", hint.word);
            assert!(!hint.application.contains(['\\', '\n']), "{}", hint.word);
            for name in hint.repair.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
                assert!(Sent::everything().value(name).is_some(), "{}: {name}", hint.word);
            }
        }
    }

    #[test]
    fn a_clock_is_set_where_a_pods_user_may() {
        for hint in ALL.iter().filter(|hint| hint.repair.contains("timedatectl")) {
            let place = if *hint == CLUSTER_CLOCK { "the cluster's machines" } else { "the pod's node" };
            assert!(hint.repair.contains(place), "{}", hint.word);
        }
    }

    /// Without `--identities`, the command assigns the system's own, which `userAssigned` does not use.
    #[test]
    fn an_identity_is_assigned_by_its_name() {
        for hint in ALL.iter().filter(|hint| hint.repair.contains("identity assign")) {
            assert!(hint.repair.ends_with(" --identities <identity>"), "{}", hint.word);
            assert!(hint.repair.contains("by its resource ID or as [system]:"), "{}", hint.word);
        }
    }

    #[test]
    fn the_pods_own_values_stand_in_the_command() {
        let command = SUBJECT.repair(&Sent::everything());
        assert!(command.contains("--subject system:serviceaccount:monitoring:prometheus "), "{command}");
        assert!(command.contains("--issuer https://issuer.example/guid/ "), "{command}");
    }

    #[test]
    fn an_applications_credential_has_its_own_command() {
        let sent = Sent::everything();
        let told = [FEDERATION, SUBJECT, ISSUER, AUDIENCE, SUBJECT_CASE];
        for hint in told {
            let steps = hint.steps(&sent);
            let [first, identity, application] = steps.lines().collect::<Vec<_>>()[..] else { panic!("{steps}") };
            assert!(first.contains("for a managed identity") && first.contains("for an application"), "{first}");
            assert!(identity.contains("az identity federated-credential "), "{identity}");
            let start = "az ad app federated-credential ";
            let id = " --id 3913510d-42f4-4e42-8a64-420c390055eb";
            assert!(application.starts_with(start) && application.contains(id), "{application}");
            let line = hint.repair(&sent);
            assert!(line.contains(identity) && line.contains(&format!("remora explain {})", hint.word)), "{line}");
        }
        assert!(ALL.iter().all(|hint| told.contains(hint) || hint.application.is_empty()));
    }

    #[test]
    fn an_applications_credential_is_json_with_the_pods_values() {
        for hint in [FEDERATION, SUBJECT, ISSUER, AUDIENCE, SUBJECT_CASE] {
            let steps = hint.steps(&Sent::everything());
            let [_, json, ""] = steps.split('\'').collect::<Vec<_>>()[..] else { panic!("{steps}") };
            let credential: serde_json::Value = serde_json::from_str(json).expect("JSON");
            assert_eq!(credential["issuer"], "https://issuer.example/guid/");
            assert_eq!(credential["subject"], "system:serviceaccount:monitoring:prometheus");
            assert_eq!(credential["audiences"], serde_json::json!(["api://AzureADTokenExchange"]));
        }
    }

    #[test]
    fn no_repair_federates_the_default_account_or_the_clusters_own_audience() {
        let sent = Sent {
            subject: Some("system:serviceaccount:monitoring:default".to_owned()),
            audience: Some("https://kubernetes.default.svc.cluster.local".to_owned()),
            ..Sent::everything()
        };
        for hint in ALL {
            let repair = hint.steps(&sent);
            assert!(!repair.contains(":default"), "{repair}");
            assert!(!repair.contains("--audiences https"), "{repair}");
        }
    }

    #[test]
    fn no_repair_writes_over_the_file_that_is_configured() {
        let sent = Sent::everything();
        for hint in ALL {
            assert!(!hint.repair(&sent).contains("-out /"), "{}", hint.word);
        }
    }

    #[test]
    fn an_expired_certificate_is_repaired_by_a_certificate() {
        let sent = Sent { file: Some("/certs/remora.pem".to_owned()), ..Sent::default() };
        let repair = CERTIFICATE_EXPIRED.repair(&sent);
        assert!(repair.starts_with("replace /certs/remora.pem by ") && !repair.contains("SECRET"), "{repair}");
    }

    #[test]
    fn an_audience_is_to_be_changed_only_in_a_custom_cloud() {
        let sent = Sent::everything();
        let repair = MONITOR.repair(&sent);
        assert!(!repair.contains("INGESTION_AAD_AUDIENCE"), "{repair}");
        assert!(repair.ends_with(": az ad sp show --id https://monitor.azure.com"), "{repair}");
        let repair = RESOURCE.repair(&sent);
        assert!(repair.starts_with("with CLOUD=AZURECUSTOM, set INGESTION_AAD_AUDIENCE "), "{repair}");
    }

    #[test]
    fn no_repair_names_the_authority_of_one_cloud() {
        for hint in ALL {
            assert!(!hint.repair.contains("login.microsoftonline"), "{}", hint.word);
        }
    }

    #[test]
    fn unknown_or_unsafe_values_keep_their_placeholder() {
        let sent = Sent { subject: Some("x; rm -rf /".to_owned()), ..Sent::default() };
        let command = SUBJECT.repair(&sent);
        assert!(command.contains("--subject <subject>") && command.contains("--issuer <issuer>"), "{command}");
    }

    #[test]
    fn found_by_code_and_by_word() {
        for text in ["AADSTS700213", "aadsts700213", "700213", " federated-subject "] {
            assert_eq!(find(text), Some(&SUBJECT), "{text}");
        }
        for text in ["", "AADSTS", "AADSTS1", "+700213", "subject"] {
            assert_eq!(find(text), None, "{text}");
        }
    }
}
