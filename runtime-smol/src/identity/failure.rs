//! Why no token was granted, in a form that may be shown to anyone.

use std::fmt;
use std::time::Duration;

use crate::hint::{Hint, Sent};

/// Longest message that is kept, in characters.
const MAX_TEXT: usize = 400;

/// Longest id or OAuth error code that is kept, in bytes.
const MAX_WORD: usize = 64;

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
    /// Entra's id of the request, for a support ticket.
    pub trace_id: Option<Box<str>>,
    /// Entra's id of the conversation, for a support ticket.
    pub correlation_id: Option<Box<str>>,
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

    /// With what was sent, on which the hint may depend.
    #[must_use]
    pub(crate) fn with_sent(mut self, sent: &Sent) -> Self {
        self.hint = self.hint.map(|hint| hint.given(sent));
        self.sent = Box::new(sent.clone());
        self
    }

    /// The same without `secret`, in case an endpoint repeats what it was sent.
    #[must_use]
    pub(crate) fn without(mut self, secret: &str) -> Self {
        let secret = one_line(secret);
        if secret.is_empty() {
            return self;
        }
        self.message = self.message.replace(&secret, "***");
        for word in [&mut self.error, &mut self.trace_id, &mut self.correlation_id] {
            *word = word.take().filter(|word| !word.contains(&secret));
        }
        self
    }

    pub(crate) const fn is_throttled(&self) -> bool {
        matches!(self.retry, Retry::Late)
    }

    /// Names and values, the most useful first, as they appear in the log and in the text for the sender.
    pub fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("err", self.message.clone())];
        let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let optional = [
            ("cause", self.hint.map(|hint| format!("{}: {}", hint.word, hint.cause))),
            ("fix", self.hint.map(|hint| hint.repair(&self.sent))),
            ("status", self.status.map(|status| status.to_string())),
            ("error", text(&self.error)),
            ("code", self.code.map(|code| format!("AADSTS{code}"))),
            ("trace_id", text(&self.trace_id)),
            ("correlation_id", text(&self.correlation_id)),
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

/// On one line, and without anything that looks like a token: every JSON web token begins with `{"` in base64.
pub(super) fn one_line(text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words =
        printable.split_whitespace().map(|word| if word.contains("eyJ") { "(a token, not shown)" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// An id or a protocol keyword, if `text` looks like one.
pub(super) fn word(text: &str) -> Option<Box<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let short = !text.is_empty() && text.len() <= MAX_WORD;
    (short && text.bytes().all(plain)).then(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint;

    #[test]
    fn the_text_begins_with_what_helps_most() {
        let sent = Sent { tenant_id: Some("t".to_owned()), ..Sent::default() };
        let failure = Failure {
            status: Some(400),
            code: Some(90_002),
            trace_id: word("trace-1"),
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
        let failure = Failure { error, trace_id, correlation_id, ..Failure::new("no") }.without("hush-1");
        assert_eq!(failure.to_string(), "no; correlation_id: t-1");
        let (correlation_id, error, trace_id) = parts();
        let failure = Failure { error, trace_id, correlation_id, ..Failure::new("no") }.without("hush-1");
        assert_eq!(failure.to_string(), "no; trace_id: t-1");
    }

    #[test]
    fn ids_are_ids() {
        assert_eq!(word("e0d6-1").as_deref(), Some("e0d6-1"));
        for text in ["", "a b", "a\n", "<html>", &"x".repeat(65)] {
            assert_eq!(word(text), None, "{text}");
        }
    }
}
