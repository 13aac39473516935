//! The flags of `remora check`, in addition to those of every setting.

use std::time::Duration;

use super::{Command, Given, UsageError, Values, alone, find, nearest, next, unknown_word, value, value_of};
use crate::check::{Choice, Form, Options, PrometheusUrl, Reach};
use crate::config::fault::masked;
use crate::config::quantity;

/// Longest `--wait`.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// What a flag does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Does {
    /// It takes no value.
    Set(Switch),
    /// It takes a value of this form.
    Take(Takes, &'static str),
}

/// A flag without a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Switch {
    /// Open no sockets.
    Pre,
    /// Send a write without samples.
    Write,
    /// Let warnings affect the exit code.
    Strict,
    /// Use no color.
    Plain,
    /// List the checks.
    List,
}

/// A flag with a value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Takes {
    /// How long to retry.
    Wait,
    /// What to report.
    Only,
    /// What to leave out.
    Skip,
    /// How to report.
    Output,
    /// Which Prometheus to query.
    Prometheus,
}

impl Does {
    /// The form of the value; empty if it takes none.
    pub(crate) const fn placeholder(self) -> &'static str {
        match self {
            Self::Set(_) => "",
            Self::Take(_, placeholder) => placeholder,
        }
    }
}

/// Flag, what it does, meaning.
pub(crate) const FLAGS: [(&str, Does, &str); 10] = [
    ("--pre", Does::Set(Switch::Pre), "open no sockets: configuration, environment and token file only"),
    ("--write", Does::Set(Switch::Write), "also test the role by sending an empty write"),
    (
        "--wait",
        Does::Take(Takes::Wait, "DURATION"),
        "retry every 5 seconds until nothing fails or the time is up, unless a setting is wrong",
    ),
    (
        "--only",
        Does::Take(Takes::Only, "CHECK,…"),
        "report only these, and failures that they depend on: codes, or categories such as network",
    ),
    ("--skip", Does::Take(Takes::Skip, "CHECK,…"), "skip these, and continue as if they had passed"),
    ("--output", Does::Take(Takes::Output, "FORM"), "table, json or short (only problems and the last line); also -o"),
    ("--strict", Does::Set(Switch::Strict), "exit with 2 if there were warnings"),
    (
        "--prometheus",
        Does::Take(Takes::Prometheus, "URL"),
        "the Prometheus whose queue is checked; only http works [http://localhost:9090]",
    ),
    ("--no-color", Does::Set(Switch::Plain), "no color, even on a terminal; NO_COLOR does the same"),
    ("--list-checks", Does::Set(Switch::List), "list all checks and exit"),
];

/// Parses what follows `check`.
pub(super) fn parse(mut parser: lexopt::Parser) -> Result<Command, UsageError> {
    let (mut options, mut values) = (Options::default(), Values::new());
    while let Some(argument) = next(&mut parser)? {
        let flag = match argument {
            Given::Help => return alone(&mut parser, Command::CheckHelp),
            Given::Version => return alone(&mut parser, Command::Version),
            Given::Word(word) if Choice::parse(&word).is_some() => return Err(UsageError::BareCheck { name: word }),
            Given::Word(word) => return Err(unknown_word(&word)),
            Given::Flag(flag) if flag == "-o" => "--output".to_owned(),
            Given::Flag(flag) => flag,
        };
        match FLAGS.iter().find(|(known, ..)| *known == flag) {
            Some((_, Does::Set(switch), _)) => set(&mut options, *switch)?,
            Some((known, Does::Take(takes, _), _)) => take(&mut options, *takes, known, &value(&mut parser, flag)?)?,
            None => {
                let setting = find(&flag, &FLAGS.map(|(known, ..)| known.to_owned()))?;
                values.insert(setting.name, value_of(setting, &mut parser, flag)?);
            }
        }
    }
    match options.exclude_all() {
        Some(why) if !options.list => Err(UsageError::NoneLeft { why }),
        _ => Ok(Command::Check(Box::new(options), values)),
    }
}

fn set(options: &mut Options, switch: Switch) -> Result<(), UsageError> {
    match switch {
        Switch::Pre => reach(options, Reach::Offline)?,
        Switch::Write => reach(options, Reach::Write)?,
        Switch::Strict => options.strict = true,
        Switch::Plain => options.plain = true,
        Switch::List => options.list = true,
    }
    Ok(())
}

/// A user who asked for no sockets must not be surprised by a write.
fn reach(options: &mut Options, asked: Reach) -> Result<(), UsageError> {
    if options.reach != Reach::default() && options.reach != asked {
        return Err(UsageError::Contradiction { one: "--pre opens no sockets", other: "--write sends a write" });
    }
    options.reach = asked;
    Ok(())
}

fn take(options: &mut Options, takes: Takes, flag: &'static str, text: &str) -> Result<(), UsageError> {
    let bad = |takes: &str| UsageError::BadValue { flag, value: masked(text), takes: takes.to_owned() };
    match takes {
        Takes::Wait => {
            let wait = quantity::duration(text, &(Duration::from_secs(1)..=LONGEST));
            options.wait = Some(wait.map_err(|_| bad("a duration up to 24h, such as 5m"))?);
        }
        Takes::Only => options.only.extend(choices(flag, text)?),
        Takes::Skip => options.skip.extend(choices(flag, text)?),
        Takes::Prometheus => {
            let url = PrometheusUrl::parse(text).ok_or_else(|| bad("a URL such as http://localhost:9090"))?;
            options.prometheus = Some(url);
        }
        Takes::Output => {
            options.form = match text.to_ascii_lowercase().as_str() {
                "table" => Form::Table,
                "json" => Form::Json,
                "short" => Form::Short,
                _ => return Err(bad("table, json or short")),
            };
        }
    }
    Ok(())
}

fn choices(flag: &'static str, text: &str) -> Result<Vec<Choice>, UsageError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let read = |part: &str| {
        Choice::parse(part).ok_or_else(|| {
            if let Some((page, by)) = Choice::reported(part) {
                return UsageError::NoCheck { page, by };
            }
            let lower = part.to_ascii_lowercase();
            let longer = Choice::all().find(|known| known.to_ascii_lowercase().contains(&lower));
            let takes = match longer.or_else(|| nearest(part, Choice::all())) {
                Some(nearest) => format!("codes and categories (did you mean {nearest}?)"),
                None => "codes and categories (remora check --list-checks)".to_owned(),
            };
            UsageError::BadValue { flag, value: masked(part), takes }
        })
    };
    parts.map(read).collect()
}
