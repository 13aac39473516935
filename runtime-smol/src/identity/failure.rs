//! Why no token was granted, in a form that may be shown to anyone.

use std::fmt;
use std::io;
use std::time::Duration;

use rustix::io::Errno;

use super::http::in_form;
use crate::endpoint::Endpoint;
use crate::hint::{self, Circumstances, Hint, Requester, Sent, refine};
use crate::text::is_more_than_text;

/// Longest message that is kept, in characters.
const MAX_TEXT: usize = 400;

/// Longest id or OAuth error code that is kept, in bytes.
const MAX_WORD: usize = 64;

/// Longest `error_uri` that is kept, in bytes.
const MAX_URI: usize = 256;

/// When the next attempt makes sense, apart from `Retry-After`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Retry {
    /// At once, but only once: the assertion was outside its validity.
    AtOnce,
    /// Soon, with growing pauses: anything that can be fixed without a restart, by itself or by someone.
    #[default]
    Soon,
    /// After a long pause: the server asks to be left alone.
    Late,
}

/// What Entra gives with a refusal for a support ticket.
#[derive(Clone, Debug, Default)]
pub struct Ticket {
    /// Id of the request.
    pub trace_id: Option<Box<str>>,
    /// Id of the conversation.
    pub correlation_id: Option<Box<str>>,
    /// Time of the answer.
    pub timestamp: Option<Box<str>>,
    /// Page about the error (RFC 6749 §5.2), on the authority's own host.
    pub error_uri: Option<Box<str>>,
}

/// No token was granted. None of it is secret, and each part fits one line.
#[derive(Clone, Debug, Default)]
pub struct Failure {
    /// What went wrong.
    pub message: String,
    /// The cause and its fix, if known.
    pub hint: Option<&'static Hint>,
    /// Status of the answer, if there was one.
    pub status: Option<u16>,
    /// OAuth's error code (RFC 6749 §5.2).
    pub error: Option<Box<str>>,
    /// `AADSTS` number.
    pub code: Option<u32>,
    /// What identifies the answer.
    pub ticket: Box<Ticket>,
    /// What was sent.
    pub sent: Box<Sent>,
    pub(crate) retry: Retry,
    /// `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    /// With the whole message; [`Failure::shortened`] cuts it once the secrets are removed.
    pub(crate) fn new(message: impl AsRef<str>) -> Self {
        Self { message: one_line(message.as_ref()), ..Self::default() }
    }

    /// The same with a message that fits a log line.
    #[must_use]
    pub(crate) fn shortened(mut self) -> Self {
        if let Some((end, _)) = self.message.char_indices().nth(MAX_TEXT) {
            self.message.truncate(end);
        }
        self
    }

    #[must_use]
    pub(crate) const fn with_hint(mut self, hint: &'static Hint) -> Self {
        self.hint = Some(hint);
        self
    }

    /// `what` cannot be read; the hint is for any reason but a lack of file descriptors.
    pub(super) fn unreadable(what: &str, error: &io::Error, hint: &'static Hint) -> Self {
        Self::new(format!("{what}: {error}")).with_hint(hint_of(error, hint))
    }

    /// The same with the hint for an endpoint on this machine that does not answer, if it was asked.
    #[must_use]
    pub(super) fn unanswered(self, hint: &'static Hint) -> Self {
        if self.hint == Some(&hint::OPEN_FILES) { self } else { self.with_hint(hint) }
    }

    #[must_use]
    pub(crate) fn with_sent(mut self, sent: &Sent) -> Self {
        self.sent = Box::new(sent.clone());
        self
    }

    /// With the hint that says most about this failure of `requester`. What was sent must be known.
    #[must_use]
    pub(crate) fn refined(mut self, requester: Requester) -> Self {
        let is_numbered = self.code.is_some();
        self.hint = refine(self.hint, &Circumstances { requester, sent: &self.sent, is_numbered });
        self
    }

    /// The same without `secret`, in case an endpoint repeats what it was sent, decoded or as it stood in the form.
    #[must_use]
    pub(crate) fn without(self, secret: &str) -> Self {
        self.without_text(&in_form(secret)).without_text(secret)
    }

    fn without_text(mut self, secret: &str) -> Self {
        // As the message would show it. The other parts are kept as they came, or not at all.
        let shown = one_line(secret);
        if shown.is_empty() {
            return self;
        }
        self.message = self.message.replace(&shown, "***");
        let Ticket { trace_id, correlation_id, timestamp, error_uri } = &mut *self.ticket;
        for part in [&mut self.error, trace_id, correlation_id, timestamp, error_uri] {
            *part = part.take().filter(|part| !part.contains(secret.trim()));
        }
        self
    }

    pub(crate) const fn is_throttled(&self) -> bool {
        matches!(self.retry, Retry::Late)
    }

    /// Names and values, the most useful first, as they appear in the log and in the text for the sender. Entra's page
    /// says less than a hint, so it stands in for one.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("err", self.message.clone())];
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let optional = [
            ("cause", self.hint.map(|hint| format!("{}: {}", hint.word, hint.cause))),
            ("fix", self.hint.map(|hint| hint.repair(&self.sent))),
            ("error_uri", text(&self.ticket.error_uri).filter(|_| self.hint.is_none())),
            ("status", self.status.map(|status| status.to_string())),
            ("error", text(&self.error)),
            ("code", self.code.map(|code| format!("AADSTS{code}"))),
            ("trace_id", text(&self.ticket.trace_id)),
            ("correlation_id", text(&self.ticket.correlation_id)),
            ("timestamp", text(&self.ticket.timestamp)),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        fields.extend(self.sent.fields().map(|(name, value)| (name, value.to_owned())));
        fields
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.fields().iter().skip(1).try_for_each(|(name, value)| write!(f, "; {name}: {value}"))
    }
}

/// `hint`, unless the error is a lack of file descriptors, which says nothing about the file or the host.
pub(super) fn hint_of(error: &io::Error, hint: &'static Hint) -> &'static Hint {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => &hint::OPEN_FILES,
        _ => hint,
    }
}

/// On one line, and without anything that looks like a token: every JSON web token begins with `{"` in base64.
pub(super) fn one_line(text: &str) -> String {
    let printable: String = text.chars().map(|c| if is_more_than_text(c) { ' ' } else { c }).collect();
    let words =
        printable.split_whitespace().map(|word| if word.contains("eyJ") { "(a token, not shown)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// An id or a protocol keyword, if `text` looks like one and not like a token.
pub(super) fn word(text: &str) -> Option<Box<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let short = !text.is_empty() && text.len() <= MAX_WORD && one_line(text) == text;
    (short && text.bytes().all(plain)).then(|| text.into())
}

/// A time as Entra writes it, `2026-01-18 00:16:59Z`, if `text` looks like one.
pub(super) fn time(text: &str) -> Option<Box<str>> {
    let plain = |byte: u8| byte.is_ascii_digit() || b" :-.TZ".contains(&byte);
    let short = !text.is_empty() && text.len() <= MAX_WORD;
    (short && text.bytes().all(plain)).then(|| text.into())
}

/// An https URL on the host and port of `authority`; any other may lead anywhere.
pub(super) fn uri(text: &str, authority: &Endpoint) -> Option<Box<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?&=%+,".contains(&byte);
    let short = text.len() <= MAX_URI && text.bytes().all(plain) && one_line(text) == text;
    let own = || Endpoint::parse(text).is_ok_and(|uri| uri.authority() == authority.authority());
    (short && own()).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_file_descriptors_is_not_blamed_on_the_file_or_the_host() {
        for errno in [Errno::MFILE, Errno::NFILE] {
            let failure = Failure::unreadable("the file /f", &errno.into(), &hint::TOKEN_FILE);
            assert!(failure.message.starts_with("the file /f: Too many open files"), "{failure}");
            assert_eq!(failure.hint, Some(&hint::OPEN_FILES));
            assert_eq!(failure.unanswered(&hint::IMDS_UNREACHABLE).hint, Some(&hint::OPEN_FILES));
        }
        let failure = Failure::unreadable("the file /f", &Errno::ACCESS.into(), &hint::TOKEN_FILE);
        assert_eq!(failure.hint, Some(&hint::TOKEN_FILE));
        assert_eq!(failure.unanswered(&hint::IMDS_UNREACHABLE).hint, Some(&hint::IMDS_UNREACHABLE));
    }

    #[test]
    fn the_text_begins_with_what_helps_most() {
        let sent = Sent { tenant_id: Some("t".to_owned()), ..Sent::default() };
        let failure = Failure {
            status: Some(400),
            code: Some(90_002),
            ticket: Ticket { trace_id: word("trace-1"), ..Ticket::default() }.into(),
            ..Failure::new("AADSTS90002: no such tenant").with_hint(&hint::TENANT).with_sent(&sent)
        };
        let text = failure.to_string();
        assert!(text.starts_with("AADSTS90002: no such tenant; cause: tenant-unknown: "), "{text}");
        assert!(text.ends_with("; status: 400; code: AADSTS90002; trace_id: trace-1; tenant_id: t"), "{text}");
    }

    #[test]
    fn no_text_holds_a_token_or_breaks_the_line() {
        assert_eq!(one_line("a\r\nb \u{1b}[31m c"), "a b [31m c");
        assert_eq!(one_line("got 'eyJhbGciOiJSUzI1NiJ9.e30.x' back"), "got (a token, not shown) back");
        assert_eq!(Failure::new("\u{fc}".repeat(5000)).shortened().message.chars().count(), MAX_TEXT);
        let failure = Failure::new("no: p+w/d=~").without("p+w/d=~").without("");
        assert_eq!(failure.message, "no: ***");
    }

    #[test]
    fn a_secret_across_the_cut_leaves_no_part() {
        for before in MAX_TEXT - 10..=MAX_TEXT {
            let text = format!("{} correct-horse", "y".repeat(before));
            let message = Failure::new(text).without("correct-horse").shortened().message;
            assert!(!message.contains('c'), "{before}: {message}");
        }
        let far = format!("{}correct-horse", " ".repeat(4 * MAX_TEXT - 5));
        assert_eq!(Failure::new(far).without("correct-horse").shortened().message, "***");
    }

    #[test]
    fn a_secret_in_place_of_an_id_or_a_word_is_dropped() {
        let parts = || (word("hush-1"), word("x.hush-1"), word("t-1"));
        let (error, trace_id, correlation_id) = parts();
        let ticket = Ticket { trace_id, correlation_id, ..Ticket::default() }.into();
        let failure = Failure { error, ticket, ..Failure::new("no") }.without("hush-1");
        assert_eq!(failure.to_string(), "no; correlation_id: t-1");
        let (correlation_id, error, trace_id) = parts();
        let ticket = Ticket { trace_id, correlation_id, ..Ticket::default() }.into();
        let failure = Failure { error, ticket, ..Failure::new("no") }.without("hush-1");
        assert_eq!(failure.to_string(), "no; trace_id: t-1");
        let (timestamp, error_uri) = (time("2026"), Some("https://x/?hush-1".into()));
        let failure =
            Failure { ticket: Ticket { timestamp, error_uri, ..Ticket::default() }.into(), ..Failure::new("no") };
        assert_eq!(failure.without("hush-1").without("2026").to_string(), "no");
    }

    /// Such a word of a message is replaced whole, before the secret is looked for.
    #[test]
    fn a_secret_that_looks_like_a_token_is_dropped_as_well() {
        let secret = "hush.eyJ-1";
        let part = || Some(Box::from(secret));
        let ticket = Ticket { trace_id: part(), correlation_id: part(), timestamp: part(), error_uri: part() };
        let failure = Failure { error: part(), ticket: ticket.into(), ..Failure::new(format!("got {secret} back")) };
        for secret in [secret, "hush.eyJ-1\n"] {
            let failure = failure.clone().without(secret);
            assert!(!format!("{failure} {failure:?}").contains("hush"), "{failure:?}");
        }
    }

    #[test]
    fn a_support_ticket_has_what_entra_asks_for() {
        let authority = Endpoint::parse("https://login.example").unwrap();
        let ticket = Ticket {
            timestamp: time("2026-01-18 00:16:59Z"),
            error_uri: uri("https://login.example/error?code=1", &authority),
            ..Ticket::default()
        };
        let failure = Failure { ticket: ticket.into(), ..Failure::new("AADSTS1: new") };
        assert_eq!(
            failure.to_string(),
            "AADSTS1: new; error_uri: https://login.example/error?code=1; timestamp: 2026-01-18 00:16:59Z"
        );
        let known = failure.with_hint(&hint::TENANT).to_string();
        assert!(known.ends_with("; timestamp: 2026-01-18 00:16:59Z") && !known.contains("error_uri"), "{known}");
    }

    #[test]
    fn cause_and_fix_stay_in_what_prometheus_logs_of_an_answer() {
        const LOGGED: usize = 1024;
        let some = |text: &str| Some(text.to_owned());
        let sent = Sent {
            issuer: some(
                "https://germanywestcentral.oic.prod-aks.azure.com/72f988bf-86f1-41af-91ab-2d7cd011db47/3913510d-42f4-4e42-8a64-420c390055eb/",
            ),
            subject: some("system:serviceaccount:monitoring:prometheus-kube-prometheus-prometheus"),
            ..Sent::default()
        };
        for hint in [&hint::FEDERATION, &hint::SUBJECT, &hint::ISSUER, &hint::AUDIENCE, &hint::SUBJECT_CASE] {
            let known = Failure::new("m".repeat(2 * MAX_TEXT)).shortened().with_hint(hint).with_sent(&sent);
            let line = format!("remora: no usable token [REMORA-TOK-10]: {known}");
            assert!(
                line[..line.len().min(LOGGED)].contains(" --audiences api://AzureADTokenExchange; "),
                "{}: {line}",
                hint.word
            );
        }
    }

    #[test]
    fn a_page_about_an_error_is_the_authoritys_own() {
        let at = |authority: &str, text: &str| uri(text, &Endpoint::parse(authority).unwrap()).is_some();
        assert!(at("https://login.microsoftonline.us/", "https://login.microsoftonline.us/error?code=700213"));
        assert!(at("https://localhost:8443/", "https://LOCALHOST:8443/error?code=1"));
        let long = format!("https://login.example/{}", "x".repeat(MAX_URI));
        for text in [
            "",
            "https://stranger.example/error",
            "https://login.example.stranger.example/error",
            "https://login.example:8443/error",
            "https://login.example@stranger.example/error",
            "https://x@login.example/error",
            "http://login.example/error",
            "javascript:alert(1)",
            "login.example/error",
            "https://login.example/error?token=eyJhbGciOiJSUzI1NiJ9",
            "https://login.example/a b",
            "https://login.example/\u{1b}[2J",
            "https://login.example/\n",
            "https://login.example/$(x)",
            "https://login.example/`x`",
            &long,
        ] {
            assert!(!at("https://login.example/", text), "{text}");
        }
    }

    #[test]
    fn a_time_is_a_time() {
        assert_eq!(time("2026-01-18 00:16:59Z").as_deref(), Some("2026-01-18 00:16:59Z"));
        for text in ["", "now", "2026-01-18\n", "2026\u{1b}", &"1".repeat(65)] {
            assert_eq!(time(text), None, "{text}");
        }
    }

    #[test]
    fn ids_are_ids() {
        assert_eq!(word("e0d6-1").as_deref(), Some("e0d6-1"));
        for text in ["", "a b", "a\n", "<html>", "eyJhbGciOiJSUzI1NiJ9.e30", "xeyJx", &"x".repeat(65)] {
            assert_eq!(word(text), None, "{text}");
        }
    }
}
