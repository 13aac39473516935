//! `remora check`: whether this pod can write to Azure Monitor, step by step from the container's settings to Azure's
//! response. For each failure it names the root cause and the command that fixes it; checks that depend on it are
//! skipped.

mod claims;
mod configuration;
mod context;
mod environment;
mod exchange;
mod http;
mod network;
mod outcome;
mod pod;
mod process;
mod projected;
mod published;
mod report;
mod role;
mod route;
mod sender;
mod steps;

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::source::Source;
use crate::pages::{Category, Page};
use context::Context;
use report::{Report, Style};
pub(crate) use sender::PrometheusUrl;

/// Pause between two runs of `--wait`.
const PAUSE: Duration = Duration::from_secs(5);
/// Exit code with `--strict` when nothing failed but there were warnings.
const WARNED: u8 = 2;

/// The output format of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Every check, by category.
    #[default]
    Table,
    /// One JSON document; see `bin/remora/schema/check.json`.
    Json,
    /// Only problems, and the last line.
    Short,
}

/// How far the checks go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No socket is opened.
    Offline,
    /// Everything except changes.
    #[default]
    Online,
    /// Also a write without samples.
    Write,
}

/// A check or a category of checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A single check.
    Page(&'static Page),
    /// All checks of this category.
    Category(Category),
}

impl Choice {
    /// Parses a code, or a category as it is printed or with a hyphen for each space.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let checked = |page: &&'static Page| steps::ALL.iter().any(|step| step.page == *page);
        let spaced = text.replace('-', " ");
        let named = |category: &Category| category.heading().eq_ignore_ascii_case(&spaced);
        let category = Category::ALL.into_iter().find(named).map(Self::Category);
        crate::pages::find(text).filter(checked).map(Self::Page).or(category)
    }

    /// The page with this code and the check that reports it, if it has none of its own.
    pub(crate) fn reported(text: &str) -> Option<(&'static Page, &'static Page)> {
        let page = crate::pages::find(text)?;
        Some((page, steps::reporter(page)?))
    }

    /// Every valid choice as it is written on the command line.
    pub(crate) fn all() -> impl Iterator<Item = String> {
        let codes = steps::ALL.iter().map(|step| step.page.to_string());
        codes.chain(Category::ALL.iter().map(|category| category.heading().replace(' ', "-")))
    }

    fn means(self, page: &'static Page) -> bool {
        match self {
            Self::Page(chosen) => chosen == page,
            Self::Category(category) => category == page.category,
        }
    }
}

/// What the command line requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// How far to go.
    pub(crate) reach: Reach,
    /// Retry until nothing fails or this much time has passed, unless a setting is wrong.
    pub(crate) wait: Option<Duration>,
    /// Show these; empty means all.
    pub(crate) only: Vec<Choice>,
    /// Skip these, and continue as if they had passed.
    pub(crate) skip: Vec<Choice>,
    /// Fail on warnings as well.
    pub(crate) strict: bool,
    /// How to report.
    pub(crate) form: Form,
    /// Never use colour.
    pub(crate) plain: bool,
    /// List the checks instead of running them.
    pub(crate) list: bool,
    /// The Prometheus whose queue is checked, if one was named.
    pub(crate) prometheus: Option<PrometheusUrl>,
}

impl Options {
    /// Why no chosen check would run, if so: a run without any would pass.
    pub(crate) fn exclude_all(&self) -> Option<&'static str> {
        let mut chosen = steps::ALL.iter().filter(|step| step.is_chosen(self));
        chosen.try_fold("all are skipped", |_, step| step.left(self))
    }
}

/// Runs the checks and reports on standard output. Exit code: 0 if nothing failed, 1 if something failed, 2 if there
/// were only warnings and `--strict` was given, 128 plus its number for a signal.
pub(crate) fn check(options: &Options, source: &dyn Source) -> ExitCode {
    if options.list {
        return crate::print(&listed());
    }
    // If the system refuses it, signals act as they do by default.
    let _ = remora_smol::exit_on_signal();
    let (began, mut told) = (Instant::now(), None);
    let report = loop {
        let mut cx = Context::new(options, source);
        steps::run(&mut cx);
        let report = Report::new(&cx);
        let left = options.wait.and_then(|wait| wait.checked_sub(began.elapsed()));
        match (report.awaited(), left) {
            (Some(page), Some(left)) if !left.is_zero() => {
                if told.replace(page) != Some(page) {
                    tell(&format!("waiting because {page} fails\n"));
                }
                thread::sleep(PAUSE.min(left));
            }
            _ => break report,
        }
    };
    crate::print(&match options.form {
        Form::Json => report.json(),
        Form::Table => report.table(style(options, source), true),
        Form::Short => report.table(style(options, source), false),
    });
    report.exit_code(options.strict)
}

/// Colour and symbols for a terminal; plain words for everything else (<https://no-color.org>).
fn style(options: &Options, source: &dyn Source) -> Style {
    let set = |name: &str| source.var(name).filter(|value| !value.is_empty());
    let terminal = std::io::stdout().is_terminal();
    let dumb = set("TERM").is_some_and(|term| term == "dumb");
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_uppercase();
    Style {
        colour: terminal && !dumb && !options.plain && set("NO_COLOR").is_none(),
        signs: terminal && (locale.contains("UTF-8") || locale.contains("UTF8")),
    }
}

/// One line for each check.
fn listed() -> String {
    let mut text = String::new();
    for step in steps::ALL {
        let _ =
            writeln!(text, "{:<15}  {:<15}  {}", step.page.to_string(), step.page.category.heading(), step.page.title);
    }
    text
}

/// Writes to standard error: standard output is reserved for the report.
fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What `--pre -o short` prints for a pod with these variables when the output is not a terminal.
#[cfg(test)]
pub(crate) fn offline_in_short(source: &dyn Source) -> String {
    let options = Options { reach: Reach::Offline, ..Options::default() };
    let mut cx = Context::new(&options, source);
    steps::run(&mut cx);
    Report::new(&cx).table(Style { colour: false, signs: false }, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_a_code_or_a_category() {
        assert_eq!(Choice::parse("cfg-01"), Some(Choice::Page(&crate::pages::CFG_01)));
        assert_eq!(Choice::parse("Projected-Token"), Some(Choice::Category(Category::ProjectedToken)));
        // A page without a check of its own.
        assert_eq!(Choice::parse("RBAC-04"), None);
        assert!(Choice::all().all(|name| Choice::parse(&name).is_some()));
    }
}
