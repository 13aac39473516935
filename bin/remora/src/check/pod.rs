//! This pod's own values, and how they are filled into the commands of a fix.

use std::collections::BTreeMap;
use std::path::Path;

use remora_smol::file;
use remora_smol::text::is_more_than_text;

use super::claims::Claims;
use crate::config::fault::without_secrets;
use crate::config::source::Source;

/// Where Kubernetes mounts every pod's own token, which also names the pod.
const DEFAULT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Placeholders whose correct value the user must supply: the values in the environment may be wrong.
const ASKED_FOR: [&str; 2] = ["client-id", "tenant-id"];

/// Values by name. One that a repair may need has the name of its placeholder there.
#[derive(Clone, Debug, Default)]
pub(super) struct Pod(BTreeMap<&'static str, String>);

impl Pod {
    /// Collects what is known before any check has run, from the tokens in the pod and from its environment.
    pub(super) fn look(source: &dyn Source) -> Self {
        let mut pod = Self::default();
        let named = source.var("AZURE_FEDERATED_TOKEN_FILE").unwrap_or_default();
        for path in [named.trim(), DEFAULT_TOKEN].into_iter().filter(|path| !path.is_empty()) {
            if let Some(claims) = file::read_text(Path::new(path)).ok().and_then(|token| Claims::read(&token).ok()) {
                pod.learn_from(&claims);
            }
        }
        for (placeholder, variable) in
            [("client-id", "AZURE_CLIENT_ID"), ("tenant-id", "AZURE_TENANT_ID"), ("pod", "HOSTNAME")]
        {
            pod.learn(placeholder, source.var(variable).as_deref().map(without_secrets));
        }
        pod
    }

    /// Adds the pod's identity from its token's claims.
    fn learn_from(&mut self, claims: &Claims) {
        let of_kubernetes = |path: &[&str]| claims.nested(&[&["kubernetes.io"], path].concat()).map(str::to_owned);
        self.learn("namespace", of_kubernetes(&["namespace"]));
        self.learn("pod", of_kubernetes(&["pod", "name"]));
        self.learn("service-account", of_kubernetes(&["serviceaccount", "name"]));
    }

    /// Adds a value, unless it is missing, empty, not printable or already known.
    pub(super) fn learn(&mut self, placeholder: &'static str, value: Option<String>) {
        let printable = |value: &String| !value.is_empty() && !value.contains(is_more_than_text);
        if let Some(value) = value.map(|value| value.trim().to_owned()).filter(printable) {
            self.0.entry(placeholder).or_insert(value);
        }
    }

    /// The value of a placeholder, if known.
    pub(super) fn known(&self, placeholder: &str) -> Option<&str> {
        self.0.get(placeholder).map(String::as_str)
    }

    /// All known values, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// `line` with every known placeholder filled in. In a command, a value that a shell would split is quoted; inside
    /// quotes such a value is replaced by `<…>`.
    pub(super) fn fill(&self, line: &str, is_command: bool) -> String {
        let mut filled = String::with_capacity(line.len());
        let mut rest = line;
        while let Some((before, tail)) = rest.split_once('<') {
            filled.push_str(before);
            let known = tail.split_once('>').filter(|(name, _)| !ASKED_FOR.contains(name));
            let known =
                known.and_then(|(name, after)| Some((self.known(name).filter(|value| !is_default(value))?, after)));
            let Some((value, after)) = known else {
                filled.push('<');
                rest = tail;
                continue;
            };
            let value = shown(value, is_command, ends_in_quotes(&filled));
            filled.push_str(value.as_deref().unwrap_or("<…>"));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// Whether a value is the subject of a namespace's default service account, which should not be federated.
fn is_default(value: &str) -> bool {
    value.starts_with("system:serviceaccount:") && value.ends_with(":default")
}

/// Whether a shell would still be inside quotes at the end of this text.
fn ends_in_quotes(text: &str) -> bool {
    let after = |open: Option<char>, c: char| match (open, c) {
        (None, '\'' | '"') => Some(c),
        (Some(mark), _) if mark == c => None,
        _ => open,
    };
    text.chars().fold(None, after).is_some()
}

fn shown(value: &str, is_command: bool, quoted: bool) -> Option<String> {
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:/@%+,".contains(&byte));
    match (plain || !is_command, quoted) {
        (true, _) => Some(value.to_owned()),
        (false, true) => None,
        (false, false) => Some(format!("'{}'", value.replace('\'', r"'\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(values: &[(&'static str, &str)]) -> Pod {
        let mut pod = Pod::default();
        for (name, value) in values {
            pod.learn(name, Some((*value).to_owned()));
        }
        pod
    }

    #[test]
    fn what_is_known_is_filled_in_and_the_rest_is_left_to_the_reader() {
        let pod = pod(&[("pod", "prometheus-0"), ("namespace", "monitoring")]);
        let line = "kubectl delete pod <pod> -n <namespace> --context <cluster>";
        assert_eq!(pod.fill(line, true), "kubectl delete pod prometheus-0 -n monitoring --context <cluster>");
        assert_eq!(pod.fill("a < b, <pod", false), "a < b, <pod");
    }

    #[test]
    fn a_value_stays_one_word_of_a_shell() {
        let odd = pod(&[("subject", "a b'; rm -rf ~")]);
        assert_eq!(odd.fill("az x --subject <subject>", true), r"az x --subject 'a b'\''; rm -rf ~'");
        assert_eq!(odd.fill("az x --query \"[?s=='<subject>']\"", true), "az x --query \"[?s=='<…>']\"");
        assert_eq!(odd.fill("the subject is <subject>", false), "the subject is a b'; rm -rf ~");
    }

    #[test]
    fn what_a_terminal_would_obey_is_not_learnt() {
        let pod = pod(&[("pod", "a\u{1b}[2J"), ("namespace", "")]);
        assert_eq!((pod.known("pod"), pod.known("namespace")), (None, None));
    }

    #[test]
    fn a_secret_in_place_of_an_id_is_not_learnt() {
        let source = BTreeMap::from([("AZURE_CLIENT_ID", "hUs8Q~hush.hush-hush_hush~hush0hush1hush".to_owned())]);
        assert_eq!(Pod::look(&source).known("client-id"), Some("(a client secret, not shown)"));
    }

    #[test]
    fn a_wrong_id_is_not_offered_as_the_right_one() {
        let pod = pod(&[("client-id", "wrong"), ("tenant-id", "wrong")]);
        let line = "kubectl annotate sa x client-id=<client-id> tenant-id=<tenant-id>";
        assert_eq!(pod.fill(line, true), line);
    }

    #[test]
    fn the_default_account_is_not_offered_for_a_credential() {
        let pod = pod(&[("subject", "system:serviceaccount:monitoring:default")]);
        assert_eq!(pod.fill("az x --subject <subject>", true), "az x --subject <subject>");
        assert_eq!(pod.known("subject"), Some("system:serviceaccount:monitoring:default"));
    }

    #[test]
    fn the_first_value_stays() {
        let mut pod = pod(&[("pod", "from-the-token")]);
        pod.learn("pod", Some("from-the-environment".to_owned()));
        assert_eq!(pod.known("pod"), Some("from-the-token"));
    }
}
