//! A report for people.

use std::fmt::Write as _;

use super::{Line, Report, Verdict};

/// What the terminal can display.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Style {
    /// Colours.
    pub(in super::super) colour: bool,
    /// Non-ASCII symbols in place of words.
    pub(in super::super) signs: bool,
}

impl Style {
    fn mark(self, verdict: Verdict) -> String {
        let (sign, word, colour) = match verdict {
            Verdict::Success => ("√", "[ok]  ", "32"),
            Verdict::Warning => ("‼", "[warn]", "33"),
            Verdict::Error => ("×", "[fail]", "31"),
            Verdict::Skipped => ("-", "[skip]", "2"),
        };
        let mark = if self.signs { sign } else { word };
        if self.colour { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() }
    }
}

impl Report {
    /// The report as text. Unless `whole`, it omits checks that passed or were skipped.
    pub(in super::super) fn table(&self, style: Style, whole: bool) -> String {
        let mut text = String::new();
        if whole {
            let _ = writeln!(text, "remora {} check{}", env!("CARGO_PKG_VERSION"), self.whose());
        }
        for (category, lines) in self.categories() {
            if whole {
                let heading = category.heading();
                let _ = writeln!(text, "\n{heading}\n{}", "-".repeat(heading.len()));
            }
            for line in lines.into_iter().filter(|line| whole || line.is_found()) {
                push_line(&mut text, style, line);
            }
        }
        self.push_end(&mut text, style, whole);
        text
    }

    /// The pod and service account of the report, as far as they are known.
    fn whose(&self) -> String {
        let known = |name| self.pod.known(name);
        let namespace = known("namespace").map(|namespace| format!("{namespace}/")).unwrap_or_default();
        let pod = known("pod").map(|pod| format!(": pod {namespace}{pod}")).unwrap_or_default();
        let account = known("service-account").map(|name| format!(", service account {name}")).unwrap_or_default();
        format!("{pod}{account}")
    }

    fn push_end(&self, text: &mut String, style: Style, whole: bool) {
        let [ok, warned, failed, skipped] =
            [Verdict::Success, Verdict::Warning, Verdict::Error, Verdict::Skipped].map(|verdict| self.count(verdict));
        let mark = style.mark(if failed > 0 { Verdict::Error } else { Verdict::Success });
        let blank = if whole { "\n" } else { "" };
        let _ = writeln!(
            text,
            "{blank}Status check results are {} ({ok} ok, {warned} warned, {failed} failed, {skipped} skipped)",
            mark.trim_end()
        );
        if failed == 0 {
            let _ = writeln!(text, "{}", self.conclusion);
        }
    }
}

impl Line {
    fn is_found(&self) -> bool {
        matches!(self.verdict, Verdict::Warning | Verdict::Error)
    }
}

fn push_line(text: &mut String, style: Style, line: &Line) {
    let (mark, page, title) = (style.mark(line.verdict), line.page, line.title());
    if !line.is_found() {
        let colon = if line.seen.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "{mark} {page} {title}{colon}{}", line.seen);
        return;
    }
    let _ = writeln!(text, "{mark} {page} {title}");
    let _ = writeln!(text, "    seen: {}", line.seen);
    let _ = writeln!(text, "    why:  {}", line.why);
    for (i, part) in line.repair.iter().enumerate() {
        let _ = writeln!(text, "    {} {part}", if i == 0 { "fix: " } else { "     " });
    }
    let _ = writeln!(text, "    more: remora explain {}", line.more);
}
