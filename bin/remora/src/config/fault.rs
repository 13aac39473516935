//! Faults of a configuration, worded for the person who can fix them.

use std::fmt;

use remora_smol::text::is_more_than_text;

use super::ingestion::is_portals;
use crate::pages::{self, Page};

/// Longest part of a value that a fault repeats, in characters.
const MAX_SHOWN: usize = 200;

/// Why a value is refused and what to do about it; the reader adds the name of the setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reject {
    /// What is wrong, as the rest of a sentence whose subject is the setting.
    pub(crate) wrong: String,
    /// What to change, or the command that shows the right value.
    pub(crate) fix: String,
    /// Whether it is about what is in the file that the setting names, which may still come.
    pub(crate) of_file: bool,
    /// The page that explains it, if not the setting's own.
    page: Option<&'static Page>,
}

impl Reject {
    /// A refusal with this wording.
    pub(crate) fn new(wrong: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { wrong: wrong.into(), fix: fix.into(), of_file: false, page: None }
    }

    /// Marks it as one of a file as it is now.
    pub(crate) fn of_file(mut self) -> Self {
        self.of_file = true;
        self
    }

    /// Sets the page that explains it.
    pub(crate) fn on(mut self, page: &'static Page) -> Self {
        self.page = Some(page);
        self
    }
}

/// Prefixes of an identity's other settings.
const IDENTITY: [&str; 6] =
    ["AZURE_CLIENT_", "AZURE_MANAGED_", "AZURE_POD_IDENTITY_", "AZURE_KUBERNETES_", "IDENTITY_", "IMDS_"];

/// The page about a setting's value.
pub(super) fn page_of(name: &str) -> &'static Page {
    match name {
        "INGESTION_URL" => &pages::CFG_01,
        "LISTENING_PORT" | "ADMIN_PORT" | "ALLOWED_SOURCES" => &pages::CFG_04,
        "IDENTITY_TYPE" | "CLOUD" | "INGESTION_AAD_AUDIENCE" | "AAD_HOST_ENDPOINT" | "AZURE_AUTHORITY_HOST" => {
            &pages::CFG_05
        }
        "AZURE_CLIENT_ID" => &pages::ENV_02,
        "AZURE_TENANT_ID" => &pages::ENV_03,
        "AZURE_FEDERATED_TOKEN_FILE" => &pages::TOK_01,
        "SSL_CERT_FILE" | "SSL_CERT_DIR" => &pages::CFG_07,
        "HTTPS_PROXY" | "NO_PROXY" => &pages::CFG_08,
        _ if IDENTITY.iter().any(|start| name.starts_with(start)) => &pages::CFG_09,
        _ => &pages::CFG_06,
    }
}

/// One fault: setting, value, what is wrong, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The variable, or several if one cause removed them all.
    pub(crate) name: String,
    /// The value with secrets masked; None when the setting has none.
    pub(crate) value: Option<String>,
    /// The reason and the fix.
    pub(crate) reject: Reject,
}

impl Fault {
    /// A fault of `name`. Masks secrets in `value` and wherever the reason or the fix repeats them, and escapes control
    /// characters, except for the ends of lines in the fix.
    pub(crate) fn new(name: &str, value: Option<&str>, reject: Reject) -> Self {
        let Reject { wrong, fix, of_file, page } = reject;
        let fix = escaped(masked_words(&fix).chars(), "\n");
        let reject = Reject { wrong: escaped(masked_words(&wrong).chars(), ""), fix, of_file, page };
        Self { name: name.to_owned(), value: value.map(masked), reject }
    }

    /// The page that explains it.
    pub(crate) fn page(&self) -> &'static Page {
        self.reject.page.unwrap_or_else(|| page_of(&self.name))
    }

    /// Name, value and what is wrong, without the fix.
    pub(crate) fn seen(&self) -> String {
        let equals = self.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
        format!("{}{equals}: {}", self.name, self.reject.wrong)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fix = self.reject.fix.replace('\n', "\n         ");
        write!(f, "{} [{}]\n    fix: {fix}", self.seen(), self.page())
    }
}

/// The value as it may be shown: without secrets, control characters escaped, truncated.
pub(crate) fn masked(value: &str) -> String {
    shortened(&without_keys(&without_secrets(value)))
}

/// A URL without what its query holds, except for the version: another value may be the key of a gateway.
pub(super) fn without_keys(url: &str) -> String {
    let Some((before, query)) = url.split_once('?').filter(|(_, query)| !query.is_empty()) else {
        return url.to_owned();
    };
    let mut shown = before.to_owned();
    let mut mark = "?";
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        shown.extend(match pair.split_once('=') {
            Some(("api-version", _)) => [mark, pair, ""],
            Some((name, _)) => [mark, name, "=***"],
            None => [mark, "***", ""],
        });
        mark = "&";
    }
    shown
}

/// The value with the credentials of URLs, whole tokens and client secrets replaced.
pub(crate) fn without_secrets(value: &str) -> String {
    if holds_token(value) {
        return "(a token, not shown)".to_owned();
    }
    if holds_client_secret(value) {
        return "(a client secret, not shown)".to_owned();
    }
    // An `@` with nothing before it hides nothing: it is that of a sentence.
    let Some((before, host)) = value.rsplit_once('@').filter(|(before, _)| !before.is_empty()) else {
        return value.to_owned();
    };
    if is_portal_page(before) {
        return value.to_owned();
    }
    match before.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            format!("{scheme}://***@{host}")
        }
        _ => format!("***@{host}"),
    }
}

/// Whether the text before an `@` is the beginning of a portal page's address, whose fragment names a tenant that way.
/// For any other host it may be a login, however malformed. A password follows a colon.
fn is_portal_page(before: &str) -> bool {
    let rest = before.split_once("://").map_or(before, |(_, rest)| rest);
    is_portals(before) && rest.contains(['/', '#']) && !rest.contains(':')
}

/// Every JSON web token begins with `{"` in base64. Hosts may have been lower-cased before they are shown.
fn holds_token(value: &str) -> bool {
    let mut words = value.split(|c: char| !c.is_ascii_alphanumeric());
    value.contains("eyJ") || words.any(|word| word.starts_with("eyj"))
}

/// Whether the value contains a client secret as Entra makes them: three characters, a digit, `Q~`, and 31 to 34 more.
/// One that lost its end, or its case in a host name, is still a secret.
pub(crate) fn holds_client_secret(value: &str) -> bool {
    const MARK: &str = "q~";
    const MOST_LOST: usize = 14;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.~".contains(c);
    let lower = value.to_ascii_lowercase();
    lower.match_indices(MARK).any(|(at, _)| {
        let (before, rest) = (lower.get(..at).unwrap_or_default(), lower.get(at + MARK.len()..).unwrap_or_default());
        let length = rest.chars().take_while(|c| is_part(*c)).count();
        before.ends_with(|c: char| c.is_ascii_digit()) && length + MOST_LOST >= 34
    })
}

/// A sentence with the secrets in its words replaced: neither a token nor a password contains a space.
pub(crate) fn masked_words(sentence: &str) -> String {
    let words = sentence.split_inclusive(char::is_whitespace).map(|word| {
        let (word, space) = word.split_at(word.trim_end().len());
        without_secrets(word) + space
    });
    words.collect()
}

fn shortened(text: &str) -> String {
    let mut shown = escaped(text.chars().take(MAX_SHOWN), "");
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// The characters, with those escaped that are more than text and not in `kept`.
fn escaped(text: impl Iterator<Item = char>, kept: &str) -> String {
    let mut shown = String::new();
    for c in text {
        if is_more_than_text(c) && !kept.contains(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use remora_smol::endpoint::EndpointError;

    use super::*;

    #[test]
    fn secrets_are_masked() {
        for (value, shown) in [
            ("http://user:pa/ss@proxy:3128", "http://***@proxy:3128"),
            ("user:secret@proxy:3128", "***@proxy:3128"),
            ("user:secret@http://proxy:3128", "***@http://proxy:3128"),
            ("user:secret@http://user:secret@proxy:3128", "***@proxy:3128"),
            ("https://h/x?api-version=1", "https://h/x?api-version=1"),
            (
                "http://h/x?subscription-key=hush&api-version=1&hush",
                "http://h/x?subscription-key=***&api-version=1&***",
            ),
            ("h/x?code=hush", "h/x?code=***"),
            ("http://user:pa?ss=x@proxy:3128", "http://***@proxy:3128"),
            ("what?", "what?"),
            ("@", "@"),
            ("@@proxy", "***@proxy"),
            ("https://portal.azure.com/#@contoso.com/resource", "https://portal.azure.com/#@contoso.com/resource"),
            ("https://portal.azure.com:x/#@proxy", "https://***@proxy"),
            ("https://portal.azure.com@proxy", "https://***@proxy"),
            ("https://h.example/a@b", "https://***@b"),
            ("https://h.example/http://user:secret@proxy/", "https://***@proxy/"),
            ("http://first.last:1/2@proxy:3128", "http://***@proxy:3128"),
            ("eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "(a token, not shown)"),
            ("https://eyjhbgcioijsuzi1nij9.e30.c2ln/", "(a token, not shown)"),
            ("keyjar", "keyjar"),
            ("Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "(a token, not shown)"),
            ("hUs8Q~hush.hush-hush_hush~hush0hush1hush", "(a client secret, not shown)"),
            ("https://hus8q~hush.hush-hush_hush~hush/", "(a client secret, not shown)"),
            ("secret=hUs7Q~hush.hush-hush_hush~hush0hush1h", "(a client secret, not shown)"),
            ("/home/FAQ~1/faq8Q~old", "/home/FAQ~1/faq8Q~old"),
        ] {
            assert_eq!(masked(value), shown);
        }
    }

    #[test]
    fn a_reason_that_repeats_a_secret_is_masked() {
        let reject =
            Reject::new("holds \"eyJ9.e30.c2ln\", which is no network", "write http://user:secret@proxy:1 or\n  -");
        let fault = Fault::new("ALLOWED_SOURCES", None, reject);
        assert_eq!(fault.reject.wrong, "holds (a token, not shown) which is no network");
        assert_eq!(fault.reject.fix, "write http://***@proxy:1 or\n  -");
    }

    #[test]
    fn a_fix_about_a_login_stays_legible() {
        for text in [super::super::url::fix(EndpointError::UserInfo), "%23 for #, %40 for @, %3A for :"] {
            assert_eq!(masked_words(text), text);
        }
    }

    #[test]
    fn a_value_cannot_break_the_line_or_fill_the_log() {
        assert_eq!(masked("a\n\u{1b}[31m"), "a\\n\\u{1b}[31m");
        assert_eq!(masked(&"x".repeat(5000)).chars().count(), MAX_SHOWN + 1);
    }

    #[test]
    fn a_reason_that_repeats_a_value_cannot_break_the_line_either() {
        let fault = Fault::new("SSL_CERT_DIR", None, Reject::new("names a\n\u{7}b", "mount\n\u{7}"));
        assert_eq!((&*fault.reject.wrong, &*fault.reject.fix), ("names a\\n\\u{7}b", "mount\n\\u{7}"));
    }

    #[test]
    fn a_fault_says_name_value_reason_and_fix() {
        let fault = Fault::new("LISTENING_PORT", Some("0"), Reject::new("not a port", "say 8081\nor nothing"));
        assert_eq!(
            fault.to_string(),
            "LISTENING_PORT=0: not a port [REMORA-CFG-04]\n    fix: say 8081\n         or nothing"
        );
        let fault = Fault::new("INGESTION_URL", None, Reject::new("is not set", "set it"));
        assert_eq!(fault.to_string(), "INGESTION_URL: is not set [REMORA-CFG-01]\n    fix: set it");
    }
}
