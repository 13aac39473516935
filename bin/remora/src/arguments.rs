//! The command line: flags into values, nothing more. What a value means is not known here.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use lexopt::Arg;

use crate::config::settings::{self, Setting};

/// Most edits between a mistyped flag and the one that is proposed for it.
const NEAR: usize = 3;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print the help and leave.
    Help,
    /// Print the version and leave.
    Version,
    /// Run with these values over those of the environment, by the name of their setting. The last of a repeated flag counts.
    Run(BTreeMap<&'static str, String>),
}

/// A command line that cannot be understood; exit code 64.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// No setting has such a flag.
    UnknownFlag {
        /// The flag as given, without its value, which may be a secret.
        flag: String,
        /// The flag that was probably meant.
        nearest: Option<String>,
    },
    /// The setting is a secret.
    Secret {
        /// Its variable.
        name: &'static str,
    },
    /// The flag ends the command line.
    MissingValue {
        /// The flag as given.
        flag: String,
    },
    /// The value is no Unicode text.
    NotUnicode {
        /// The flag as given.
        flag: String,
    },
    /// A value was given to a flag that takes none.
    UnexpectedValue,
    /// Something that is no flag; there are no subcommands.
    NoFlag,
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownFlag { flag, nearest: Some(nearest) } => {
                write!(f, "there is no flag {flag}; did you mean {nearest}?")
            }
            Self::UnknownFlag { flag, nearest: None } => write!(f, "there is no flag {flag}"),
            Self::Secret { name } => {
                write!(f, "{name} is a secret and no flag, since command lines are no secrets; set the variable")
            }
            Self::MissingValue { flag } => write!(f, "{flag} needs a value"),
            Self::NotUnicode { flag } => write!(f, "the value of {flag} is not Unicode text"),
            Self::UnexpectedValue => f.write_str("--help and --version take no value"),
            Self::NoFlag => f.write_str("only flags are taken, each beginning with --"),
        }
    }
}

/// Reads a command line without its first word, the program's own name.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut values = BTreeMap::new();
    // The only error of `next` is a value left over from the flag before.
    while let Some(argument) = parser.next().map_err(|_| UsageError::UnexpectedValue)? {
        let flag = match argument {
            Arg::Short('h') | Arg::Long("help") => return alone(&mut parser, Command::Help),
            Arg::Short('V') | Arg::Long("version") => return alone(&mut parser, Command::Version),
            Arg::Long(name) => format!("--{name}"),
            Arg::Short(letter) => format!("-{letter}"),
            Arg::Value(_) => return Err(UsageError::NoFlag),
        };
        let setting = find(&flag)?;
        let value = parser.value().map_err(|_| UsageError::MissingValue { flag: flag.clone() })?;
        let value = value.into_string().map_err(|_| UsageError::NotUnicode { flag })?;
        values.insert(setting.name, value);
    }
    Ok(Command::Run(values))
}

/// `command`, if its flag was not written as `--help=value`.
fn alone(parser: &mut lexopt::Parser, command: Command) -> Result<Command, UsageError> {
    parser.optional_value().map_or(Ok(command), |_| Err(UsageError::UnexpectedValue))
}

fn find(flag: &str) -> Result<&'static Setting, UsageError> {
    let known = settings::ALL.iter().find(|setting| setting.flag() == flag);
    if let Some(Setting { name, .. }) = known.filter(|setting| setting.is_secret()) {
        return Err(UsageError::Secret { name });
    }
    known.ok_or_else(|| UsageError::UnknownFlag { flag: flag.to_owned(), nearest: nearest(flag) })
}

/// The flag that is the fewest edits away, if those are few. `--INGESTION_URL` counts as `--ingestion-url`.
fn nearest(flag: &str) -> Option<String> {
    let flag = flag.to_ascii_lowercase().replace('_', "-");
    let fixed = ["--help", "--version"].map(str::to_owned);
    let distance = |known: &String| strsim::osa_distance(&flag, known);
    let flags = settings::ALL.iter().filter(|setting| !setting.is_secret()).map(Setting::flag);
    let best = flags.chain(fixed).min_by_key(distance)?;
    (distance(&best) <= NEAR).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_no_flag() {
        let name = "AZURE_CLIENT_SECRET";
        assert_eq!(fault(&["--azure-client-secret", "hush"]), UsageError::Secret { name });
        assert!(!fault(&["--azure-client-secret=hush"]).to_string().contains("hush"));
    }

    fn run(arguments: &[&str]) -> Result<Command, UsageError> {
        parse(arguments.iter().map(OsString::from))
    }

    fn fault(arguments: &[&str]) -> UsageError {
        run(arguments).expect_err("a usage error")
    }

    #[test]
    fn a_flag_takes_its_value_from_the_next_word_or_after_an_equals_sign() {
        let Ok(Command::Run(values)) = run(&["--ingestion-url", "https://h/x", "--listening-port=9", "--cluster="])
        else {
            panic!("no run");
        };
        let expected = [("CLUSTER", ""), ("INGESTION_URL", "https://h/x"), ("LISTENING_PORT", "9")];
        assert!(values.iter().map(|(name, value)| (*name, value.as_str())).eq(expected), "{values:?}");
    }

    #[test]
    fn the_last_of_a_repeated_flag_counts() {
        let Ok(Command::Run(values)) = run(&["--cluster", "a", "--cluster", "b"]) else { panic!("no run") };
        assert_eq!(values["CLUSTER"], "b");
    }

    #[test]
    fn help_and_version_win_over_what_follows() {
        assert!(matches!(run(&["--help", "--nonsense"]), Ok(Command::Help)));
        assert!(matches!(run(&["-h"]), Ok(Command::Help)));
        assert!(matches!(run(&["-V"]), Ok(Command::Version)));
        assert!(matches!(run(&["--version"]), Ok(Command::Version)));
    }

    #[test]
    fn unknown_flag_proposes_the_nearest() {
        for (given, meant) in [
            ("--ingestion-urll", "--ingestion-url"),
            ("--INGESTION_URL", "--ingestion-url"),
            ("--listen-port", "--listening-port"),
            ("--verison", "--version"),
        ] {
            assert!(fault(&[given]).to_string().ends_with(&format!("did you mean {meant}?")), "{given}");
        }
        assert_eq!(fault(&["--bearer-token=hush"]).to_string(), "there is no flag --bearer-token");
        assert_eq!(fault(&["-x"]).to_string(), "there is no flag -x");
    }

    #[test]
    fn missing_value() {
        assert_eq!(fault(&["--cluster"]), UsageError::MissingValue { flag: "--cluster".to_owned() });
    }

    #[test]
    fn unexpected_value() {
        assert_eq!(fault(&["--help=all"]), UsageError::UnexpectedValue);
    }

    #[test]
    fn no_flag() {
        assert_eq!(fault(&["check"]), UsageError::NoFlag);
    }

    #[cfg(unix)]
    #[test]
    fn not_unicode() {
        use std::os::unix::ffi::OsStringExt;
        let value = OsString::from_vec(vec![0xff]);
        let error = parse([OsString::from("--cluster"), value]).expect_err("a usage error");
        assert_eq!(error, UsageError::NotUnicode { flag: "--cluster".to_owned() });
    }
}
