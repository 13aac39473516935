//! The command line: parses words and flags into values. It does not know what the value of a setting means.

mod check;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use lexopt::Arg;

use crate::check::Options;
use crate::config::fault::masked;
use crate::config::settings::{self, HTTPS_PROXY, Setting};
use crate::pages::Page;

pub(crate) use check::FLAGS as CHECK_FLAGS;

/// Most edits between a mistyped word and the suggested one.
const NEAR: usize = 3;

/// The commands that may come first, with their descriptions.
pub(crate) const WORDS: [(&str, &str); 2] = [
    ("check", "find out whether this pod can write to Azure Monitor, and what to do if not"),
    ("explain", "explain what a code means and how to fix the problem"),
];

/// Values that override those of the environment, by the name of their setting. The last of a repeated flag counts.
pub(crate) type Values = BTreeMap<&'static str, String>;

/// What the command line requests.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print the help and exit.
    Help,
    /// Print the help of `check` and exit.
    CheckHelp,
    /// Print the version and exit.
    Version,
    /// Run with these values.
    Run(Values),
    /// Check the configuration with these values.
    Check(Box<Options>, Values),
    /// Print the page with this code, or the list of all pages.
    Explain(Option<String>),
}

/// A command line that cannot be understood; exit code 64.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// No setting has this flag.
    UnknownFlag {
        /// The flag as given, without its value, which may be a secret.
        flag: String,
        /// The flag that was probably intended.
        nearest: Option<String>,
    },
    /// The setting is a secret.
    Secret {
        /// Its variable.
        name: &'static str,
    },
    /// A proxy's URL with a login.
    Login {
        /// Its variable.
        name: &'static str,
    },
    /// The command line ends after this flag.
    MissingValue {
        /// The flag as given.
        flag: String,
    },
    /// The value is not Unicode text.
    NotUnicode {
        /// The flag as given.
        flag: String,
    },
    /// The value is not one that the flag accepts.
    BadValue {
        /// The flag.
        flag: &'static str,
        /// The value.
        value: String,
        /// What the flag accepts.
        takes: String,
    },
    /// The page exists, but no check is named after it.
    NoCheck {
        /// The page.
        page: &'static Page,
        /// The check that reports it.
        by: &'static Page,
    },
    /// A value was given to a flag that takes none.
    UnexpectedValue {
        /// The flag as given, without the value.
        flag: String,
    },
    /// Two flags that contradict each other.
    Contradiction {
        /// One of them, with what it does.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// The flags leave no check to run.
    NoneLeft {
        /// Why.
        why: &'static str,
    },
    /// A command that is not the first word.
    NotFirst {
        /// The command.
        word: &'static str,
    },
    /// More than a code follows `explain`.
    OneCode,
    /// A check that follows `check` without the flag that selects it.
    BareCheck {
        /// Its code or category as given.
        name: String,
    },
    /// A word with no meaning in its position.
    UnknownWord {
        /// The word.
        word: String,
        /// The word that was probably intended.
        nearest: Option<String>,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let meant = |nearest: &Option<String>| match nearest {
            Some(nearest) => format!("; did you mean {nearest}?"),
            None => String::new(),
        };
        match self {
            Self::UnknownFlag { flag, nearest } => write!(f, "there is no flag {flag}{}", meant(nearest)),
            Self::Secret { name } => {
                write!(
                    f,
                    "{name} is a secret and cannot be a flag, because other processes can read command lines; set the environment variable"
                )
            }
            Self::Login { name } => {
                write!(
                    f,
                    "{name} with a login is a secret and cannot be a flag, because other processes can read command lines; set the environment variable"
                )
            }
            Self::MissingValue { flag } => write!(f, "{flag} needs a value"),
            Self::NotUnicode { flag } => write!(f, "the value of {flag} is not Unicode text"),
            Self::BadValue { flag, value, takes } => write!(f, "{flag} takes {takes}, not {value}"),
            Self::NoCheck { page, by } => {
                write!(f, "{} has no check of its own; {} reports it", page.code, by.code)
            }
            Self::Contradiction { one, other } => write!(f, "{one}, and {other}: use only one of them"),
            Self::NoneLeft { why } => write!(f, "no check would run: {why}"),
            Self::NotFirst { word } => write!(f, "{word} is a command and must come first: remora {word}"),
            Self::UnexpectedValue { flag } => write!(f, "{flag} takes no value"),
            Self::OneCode => f.write_str("explain takes one code and nothing else"),
            Self::BareCheck { name } => write!(f, "check takes only flags; did you mean --only {name}?"),
            Self::UnknownWord { word, nearest } => write!(f, "there is no command {word}{}", meant(nearest)),
        }
    }
}

/// Parses a command line without its first word, the program's own name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut values = Values::new();
    while let Some(argument) = next(&mut parser)? {
        let flag = match argument {
            Given::Help => return alone(&mut parser, Command::Help),
            Given::Version => return alone(&mut parser, Command::Version),
            Given::Word(word) if values.is_empty() => return command(&word, parser),
            Given::Word(word) => return Err(unknown_word(&word)),
            Given::Flag(flag) => flag,
        };
        let setting = find(&flag, &[])?;
        values.insert(setting.name, value_of(setting, &mut parser, flag)?);
    }
    Ok(Command::Run(values))
}

/// Parses the rest of a command line that began with this word.
fn command(word: &str, mut parser: lexopt::Parser) -> Result<Command, UsageError> {
    match word {
        "help" => help(&mut parser),
        "version" => alone(&mut parser, Command::Version),
        "check" => check::parse(parser),
        "explain" => explain(&mut parser),
        _ => Err(unknown_word(word)),
    }
}

/// Parses what follows `help`: nothing, a command, or a flag.
fn help(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    match next(parser)? {
        Some(Given::Word(word)) if word == "check" => Ok(Command::CheckHelp),
        Some(Given::Word(word)) if !is_command(&word) => Err(unknown_word(&word)),
        Some(Given::Flag(flag)) => find(&flag, &[]).map(|_| Command::Help),
        _ => Ok(Command::Help),
    }
}

/// Parses what follows `explain`: at most one code.
fn explain(parser: &mut lexopt::Parser) -> Result<Command, UsageError> {
    let mut code = None;
    while let Some(given) = next(parser)? {
        match given {
            Given::Help => return alone(parser, Command::Help),
            Given::Version => return alone(parser, Command::Version),
            Given::Word(word) if code.is_none() => code = Some(word),
            Given::Word(_) | Given::Flag(_) => return Err(UsageError::OneCode),
        }
    }
    Ok(Command::Explain(code))
}

/// One part of a command line.
enum Given {
    Help,
    Version,
    Flag(String),
    Word(String),
}

fn next(parser: &mut lexopt::Parser) -> Result<Option<Given>, UsageError> {
    let argument = parser.next().map_err(|error| match error {
        lexopt::Error::UnexpectedValue { option, .. } => UsageError::UnexpectedValue { flag: option },
        // `next` has no other error.
        _ => UsageError::UnexpectedValue { flag: "a flag".to_owned() },
    })?;
    Ok(argument.map(|argument| match argument {
        Arg::Short('h') | Arg::Long("help") => Given::Help,
        Arg::Short('V') | Arg::Long("version") => Given::Version,
        Arg::Long(name) => Given::Flag(format!("--{name}")),
        Arg::Short(letter) => Given::Flag(format!("-{letter}")),
        Arg::Value(word) => Given::Word(word.to_string_lossy().into_owned()),
    }))
}

/// The value of a setting, which follows its `flag`.
fn value_of(setting: &Setting, parser: &mut lexopt::Parser, flag: String) -> Result<String, UsageError> {
    let value = value(parser, flag)?;
    let name = setting.name;
    if name == HTTPS_PROXY.name && value.contains('@') { Err(UsageError::Login { name }) } else { Ok(value) }
}

/// The value that follows `flag`.
fn value(parser: &mut lexopt::Parser, flag: String) -> Result<String, UsageError> {
    let value = parser.value().map_err(|_| UsageError::MissingValue { flag: flag.clone() })?;
    value.into_string().map_err(|_| UsageError::NotUnicode { flag })
}

/// `command`, if its flag was not written as `--help=value`.
fn alone(parser: &mut lexopt::Parser, command: Command) -> Result<Command, UsageError> {
    next(parser).map(|_| command)
}

fn commands() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|(command, _)| *command).chain(["help", "version"])
}

fn is_command(word: &str) -> bool {
    commands().any(|command| command == word)
}

fn unknown_word(word: &str) -> UsageError {
    if let Some(word) = commands().find(|command| *command == word) {
        return UsageError::NotFirst { word };
    }
    let nearest = nearest(&word.to_ascii_lowercase(), WORDS.map(|(word, _)| word.to_owned()).into_iter());
    UsageError::UnknownWord { word: masked(word), nearest }
}

/// The setting with this flag; `others` are the command's own flags, which are suggested for a mistyped one.
fn find(flag: &str, others: &[String]) -> Result<&'static Setting, UsageError> {
    let known = settings::ALL.iter().find(|setting| setting.flag() == flag);
    if let Some(Setting { name, .. }) = known.filter(|setting| setting.is_secret()) {
        return Err(UsageError::Secret { name });
    }
    let fixed = ["--help", "--version"].map(str::to_owned).into_iter();
    let flags = settings::ALL.iter().filter(|setting| !setting.is_secret()).map(Setting::flag);
    let all = flags.chain(fixed).chain(others.iter().cloned());
    // `--INGESTION_URL` counts as `--ingestion-url`.
    let given = flag.to_ascii_lowercase().replace('_', "-");
    known.ok_or_else(|| UsageError::UnknownFlag { flag: flag.to_owned(), nearest: nearest(&given, all) })
}

/// The candidate with the fewest edits, if they are few enough.
pub(crate) fn nearest(given: &str, mut known: impl Iterator<Item = String>) -> Option<String> {
    nearest_of(given, &mut || known.next())
}

/// One function for all lists of candidates, because the binary has to be small.
fn nearest_of(given: &str, next: &mut dyn FnMut() -> Option<String>) -> Option<String> {
    let distance = |known: &String| strsim::osa_distance(given, known);
    std::iter::from_fn(next).min_by_key(distance).filter(|best| distance(best) <= NEAR)
}

#[cfg(test)]
mod tests;
