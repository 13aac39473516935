//! The flags of `remora check`, beside those of every setting.

use std::time::Duration;

use super::{Command, Given, UsageError, Values, alone, find, nearest, next, unknown_word, value};
use crate::check::{Choice, Form, Options, PrometheusUrl, Reach};
use crate::config::fault::masked;
use crate::config::quantity;

/// Longest `--wait`.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Flag, what its value looks like, meaning.
pub(crate) const FLAGS: [(&str, &str, &str); 10] = [
    ("--pre", "", "open no sockets: configuration, environment and token file only"),
    ("--write", "", "also test the role by sending an empty write"),
    ("--wait", "DURATION", "retry every 5 seconds until nothing fails or the time is up"),
    ("--only", "CHECK,…", "report only these: codes, or categories such as network"),
    ("--skip", "CHECK,…", "skip these, and continue as if they had passed"),
    ("--output", "FORM", "table, json or short (only problems and the last line); also -o"),
    ("--strict", "", "exit with 2 if there were warnings"),
    ("--prometheus", "URL", "the Prometheus whose queue is checked [http://localhost:9090]"),
    ("--no-color", "", "no color, even on a terminal; NO_COLOR does the same"),
    ("--list-checks", "", "list all checks and exit"),
];

/// Reads what follows `check`.
pub(super) fn parse(mut parser: lexopt::Parser) -> Result<Command, UsageError> {
    let (mut options, mut values) = (Options::default(), Values::new());
    while let Some(argument) = next(&mut parser)? {
        let flag = match argument {
            Given::Help => return alone(&mut parser, Command::CheckHelp),
            Given::Version => return alone(&mut parser, Command::Version),
            Given::Word(word) => return Err(unknown_word(&word)),
            Given::Flag(flag) if flag == "-o" => "--output".to_owned(),
            Given::Flag(flag) => flag,
        };
        match FLAGS.iter().find(|(known, ..)| *known == flag) {
            Some((switch, "", _)) => set(&mut options, switch)?,
            Some((known, ..)) => take(&mut options, known, &value(&mut parser, flag)?)?,
            None => {
                let setting = find(&flag, &FLAGS.map(|(known, ..)| known.to_owned()))?;
                values.insert(setting.name, value(&mut parser, flag)?);
            }
        }
    }
    Ok(Command::Check(Box::new(options), values))
}

fn set(options: &mut Options, switch: &str) -> Result<(), UsageError> {
    match switch {
        "--pre" => reach(options, Reach::Offline)?,
        "--write" => reach(options, Reach::Write)?,
        "--strict" => options.strict = true,
        "--no-color" => options.plain = true,
        _ => options.list = true,
    }
    Ok(())
}

/// Whoever asked for no sockets must not be surprised by a write.
fn reach(options: &mut Options, asked: Reach) -> Result<(), UsageError> {
    if options.reach != Reach::default() && options.reach != asked {
        return Err(UsageError::Contradiction { one: "--pre opens no sockets", other: "--write sends a write" });
    }
    options.reach = asked;
    Ok(())
}

fn take(options: &mut Options, flag: &'static str, text: &str) -> Result<(), UsageError> {
    let bad = |takes: String| UsageError::BadValue { flag, value: masked(text), takes };
    match flag {
        "--wait" => {
            let wait = quantity::duration(text, &(Duration::from_secs(1)..=LONGEST));
            options.wait = Some(wait.map_err(|_| bad("a duration up to 24h, such as 5m".to_owned()))?);
        }
        "--only" => options.only.extend(choices(flag, text)?),
        "--skip" => options.skip.extend(choices(flag, text)?),
        "--prometheus" => {
            let url =
                PrometheusUrl::parse(text).ok_or_else(|| bad("a URL such as http://localhost:9090".to_owned()))?;
            options.prometheus = Some(url);
        }
        _ => {
            options.form = match text.to_ascii_lowercase().as_str() {
                "table" => Form::Table,
                "json" => Form::Json,
                "short" => Form::Short,
                _ => return Err(bad("table, json or short".to_owned())),
            };
        }
    }
    Ok(())
}

fn choices(flag: &'static str, text: &str) -> Result<Vec<Choice>, UsageError> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let read = |part: &str| {
        Choice::parse(part).ok_or_else(|| {
            let takes = match nearest(part, Choice::all()) {
                Some(nearest) => format!("codes and categories (did you mean {nearest}?)"),
                None => "codes and categories (remora check --list-checks)".to_owned(),
            };
            UsageError::BadValue { flag, value: masked(part), takes }
        })
    };
    parts.map(read).collect()
}
