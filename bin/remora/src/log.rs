//! Log lines on standard error: one line and one write for each event, as logfmt or JSON. There are no files, rotation
//! or colours; the caller decides what is logged.

use std::fmt::{Display, Write as _};
use std::time::SystemTime;

use remora_smol::text::is_more_than_text;

use crate::standard_error;

/// The severity of a line. Lines below the log's own level are not even formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// The process cannot continue, or a request was lost for a reason that a person must fix.
    Error,
    /// Something is wrong and is being retried or worked around.
    Warn,
    /// Milestones: start, first token, stop.
    Info,
    /// Single requests.
    Debug,
}

impl Level {
    /// The level's name in the line and in `LOG_LEVEL`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `key=value` pairs; a value with a space, quote, equals sign, backslash, control or format character is quoted.
    Logfmt,
    /// One JSON object. Every value is a string, so that a key has the same type in every line.
    Json,
}

impl Format {
    /// The format's name in `LOG_FORMAT`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Logfmt => "logfmt",
            Self::Json => "json",
        }
    }
}

/// Names and values after the message, in the given order.
pub(crate) type Fields<'f> = [(&'f str, &'f dyn Display)];

/// The destination of lines, their format, and the level from which they are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Log {
    level: Level,
    format: Format,
    /// Takes a line with its line feed.
    out: fn(&str),
}

impl Log {
    /// A log that keeps lines of `level` and above.
    pub(crate) fn new(level: Level, format: Format) -> Self {
        Self::to(standard_error::write, level, format)
    }

    /// Like `new`, with another destination.
    pub(crate) fn to(out: fn(&str), level: Level, format: Format) -> Self {
        Self { level, format, out }
    }

    /// Whether lines of this level are written.
    pub(crate) fn keeps(self, level: Level) -> bool {
        level <= self.level
    }

    /// Writes one line, unless its level is filtered out. `msg` is constant text, so that lines can be grouped by it;
    /// anything variable belongs in `fields`.
    pub(crate) fn line(self, level: Level, msg: &str, fields: &Fields<'_>) {
        if !self.keeps(level) {
            return;
        }
        // `humantime` refuses a clock before 1970.
        let now = SystemTime::now().max(SystemTime::UNIX_EPOCH);
        if let Some(lost) = standard_error::lost() {
            (self.out)(&render(
                self.format,
                now,
                Level::Warn,
                "log lines dropped: standard error was full",
                &[("count", &lost)],
            ));
        }
        (self.out)(&render(self.format, now, level, msg, fields));
    }
}

/// The whole line with its line feed, in at most [`standard_error::ROOM`] bytes: the longest values are cut to one
/// length, so that the others stay whole.
fn render(format: Format, now: SystemTime, level: Level, msg: &str, fields: &Fields<'_>) -> String {
    let mut most = standard_error::ROOM;
    loop {
        let line = rendered(format, now, level, msg, fields, most);
        if line.len() <= standard_error::ROOM || most == 0 {
            return line;
        }
        // Escapes take up to six bytes, so only the line itself shows whether it fits.
        most -= most.div_ceil(4);
    }
}

/// The line with values of at most `most` characters.
fn rendered(format: Format, now: SystemTime, level: Level, msg: &str, fields: &Fields<'_>, most: usize) -> String {
    let time = humantime::format_rfc3339_millis(now);
    let head: [(&str, &dyn Display); 3] = [("ts", &time), ("level", &level.word()), ("msg", &msg)];
    let mut line = String::with_capacity(256);
    let mut value = String::new();
    for (index, (key, shown)) in head.iter().chain(fields).enumerate() {
        value.clear();
        // A failing `Display` leaves what it has written so far.
        let _ = write!(value, "{shown}");
        cut(&mut value, most);
        match format {
            Format::Logfmt => push_logfmt(&mut line, index, key, &value),
            Format::Json => push_json(&mut line, index, key, &value),
        }
    }
    line.push_str(if format == Format::Json { "}\n" } else { "\n" });
    line
}

/// Keeps the first `most` characters, with a mark if there were more.
fn cut(value: &mut String, most: usize) {
    if let Some((end, _)) = value.char_indices().nth(most) {
        value.truncate(end);
        value.push('…');
    }
}

fn push_logfmt(line: &mut String, index: usize, key: &str, value: &str) {
    if index > 0 {
        line.push(' ');
    }
    line.push_str(key);
    line.push('=');
    if value.is_empty() || value.chars().any(needs_quotes) {
        push_quoted(line, value);
    } else {
        line.push_str(value);
    }
}

fn needs_quotes(c: char) -> bool {
    matches!(c, ' ' | '"' | '=' | '\\') || is_more_than_text(c)
}

fn push_quoted(line: &mut String, value: &str) {
    line.push('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            c if is_more_than_text(c) => push_escaped(line, c),
            c => line.push(c),
        }
    }
    line.push('"');
}

/// `\u001b`, as in JSON; all characters that reach this have at most four hex digits.
fn push_escaped(line: &mut String, c: char) {
    let _ = write!(line, "\\u{:04x}", u32::from(c));
}

fn push_json(line: &mut String, index: usize, key: &str, value: &str) {
    line.push(if index == 0 { '{' } else { ',' });
    push_json_text(line, key);
    line.push(':');
    push_json_text(line, value);
}

fn push_json_text(line: &mut String, text: &str) {
    // JSON itself requires escapes only below U+0020.
    for c in serde_json::Value::from(text).to_string().chars() {
        if is_more_than_text(c) { push_escaped(line, c) } else { line.push(c) }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
    }

    fn logfmt(value: &str) -> String {
        render(Format::Logfmt, at(0), Level::Info, "m", &[("k", &value)])
    }

    #[test]
    fn a_logfmt_line_has_time_level_message_and_fields() {
        let line = render(
            Format::Logfmt,
            at(1_787_392_800_123),
            Level::Warn,
            "token exchange failed",
            &[("code", &"AADSTS700213"), ("attempt", &3)],
        );
        assert_eq!(
            line,
            "ts=2026-08-22T10:00:00.123Z level=warn msg=\"token exchange failed\" code=AADSTS700213 attempt=3\n"
        );
    }

    #[test]
    fn a_value_cannot_end_its_line_or_begin_another_field() {
        for (value, shown) in [
            ("", r#"k="""#),
            ("a b", r#"k="a b""#),
            ("a=b", r#"k="a=b""#),
            ("say \"no\"", r#"k="say \"no\"""#),
            ("C:\\x", r#"k="C:\\x""#),
            ("1\r\nlevel=error", r#"k="1\r\nlevel=error""#),
            ("\u{1b}[31m", r#"k="\u001b[31m""#),
            ("\u{7f}\u{9b}\u{2028}", r#"k="\u007f\u009b\u2028""#),
            ("a\u{202e}b\u{2066}", r#"k="a\u202eb\u2066""#),
            ("\u{feff}x\u{200b}", r#"k="\ufeffx\u200b""#),
            ("dcr-0/é", "k=dcr-0/é"),
        ] {
            let line = logfmt(value);
            assert!(line.ends_with(&format!("{shown}\n")), "{line}");
            assert_eq!(line.matches('\n').count(), 1, "{line}");
        }
    }

    #[test]
    fn a_json_line_reads_back_as_what_was_said() {
        let nasty = "1\r\n\"x\"\\\u{1b}\u{7f}\u{9b}é\u{2028}";
        let line = render(Format::Json, at(5), Level::Error, "a \"b\"", &[("k", &nasty), ("n", &7)]);
        assert_eq!(line.matches(is_more_than_text).count(), 1, "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).expect(&line);
        let expected = serde_json::json!({
            "ts": "1970-01-01T00:00:00.005Z", "level": "error", "msg": "a \"b\"", "k": nasty, "n": "7",
        });
        assert_eq!(read, expected);
    }

    #[test]
    fn characters_that_reorder_or_hide_text_are_escaped() {
        let hidden: String = ['\u{61c}', '\u{2060}', '\u{feff}']
            .into_iter()
            .chain('\u{200b}'..='\u{200f}')
            .chain('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .collect();
        for format in [Format::Logfmt, Format::Json] {
            let line = render(format, at(5), Level::Error, "m", &[("k", &hidden)]);
            assert!(line.is_ascii() && line.contains("\\u202e") && line.contains("\\ufeff"), "{line}");
        }
        assert!(logfmt("\u{200a}\u{202f}\u{2010}\u{206a}").contains("k=\u{200a}\u{202f}\u{2010}\u{206a}"), "spaces");
    }

    #[test]
    fn a_failing_display_costs_only_its_own_value() {
        struct Broken;
        impl Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let line = render(Format::Logfmt, at(0), Level::Info, "m", &[("a", &Broken), ("b", &1)]);
        assert!(line.ends_with("msg=m a=half b=1\n"), "{line}");
    }

    #[test]
    fn a_line_fits_in_a_pipe_whatever_its_values_and_the_short_ones_stay_whole() {
        let (long, escapes) = ("\"é\u{2028}\\=".repeat(300), "\u{1b}".repeat(1024));
        let mut many: Vec<(&str, &dyn Display)> = vec![("k", &long); 30];
        many.extend([("status", &503 as &dyn Display), ("answer", &escapes)]);
        for fields in [[("status", &503 as &dyn Display), ("answer", &escapes)].as_slice(), &many] {
            for format in [Format::Logfmt, Format::Json] {
                let line = render(format, at(5), Level::Error, "m", fields);
                assert!(line.len() <= 4096 && line.len() > 2048, "{}", line.len());
                assert!(line.ends_with('\n') && line.matches('\n').count() == 1, "{line}");
                assert!(line.contains("status=503 answer=\"\\u001b") || format == Format::Json, "{line}");
                if format == Format::Json {
                    let read: serde_json::Value = serde_json::from_str(&line).expect(&line);
                    assert_eq!(read["status"], "503");
                    assert!(read["answer"].as_str().is_some_and(|answer| answer.ends_with("\u{1b}…")), "{line}");
                }
            }
        }
    }

    #[test]
    fn a_line_that_fits_is_not_cut() {
        let value = "x".repeat(4096 - logfmt("").len() + "\"\"".len());
        let line = logfmt(&value);
        assert!(line.len() == 4096 && line.contains(&value), "{}", line.len());
        assert!(logfmt(&format!("{value}x")).ends_with("x…\n"));
    }

    #[test]
    fn levels_below_the_filter_are_not_even_formatted() {
        struct Forbidden;
        impl Display for Forbidden {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("formatted a line that is filtered out")
            }
        }
        Log::new(Level::Warn, Format::Logfmt).line(Level::Info, "m", &[("k", &Forbidden)]);
    }
}
