//! The sidecar `remora`: reads its configuration, logs it, runs, and ends with a meaningful exit code. Sockets, TLS and
//! tokens are the job of `remora-smol`, the protocol that of `remora-core`.
//!
//! It is a library so that its configuration can be fuzzed; the program only calls [`main`].
#![forbid(unsafe_code)]

mod arguments;
mod check;
mod config;
mod explain;
mod help;
mod journal;
mod log;
mod pages;
mod serve;
mod standard_error;
mod termination;

#[cfg(test)]
mod readme;
#[cfg(test)]
mod runbook;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::Write;
use std::iter;
use std::process::ExitCode;

use arguments::{Command, UsageError};
use config::fault::masked;
use config::settings::{self, Setting};
use config::source::{Environment, Over};
use config::{Faults, Loaded, effective};
use log::{Format, Level, Log};
use remora_smol::Trust;

/// `EX_USAGE` in sysexits.h: the command line is wrong.
const USAGE: u8 = 64;
/// `EX_CONFIG` in sysexits.h: the configuration is wrong.
const CONFIGURATION: u8 = 78;

/// Runs the program: reads flags and environment, and runs the sidecar until a signal ends it.
pub fn main() -> ExitCode {
    remora_smol::forbid_core_dumps();
    match arguments::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => print(&help::help()),
        Ok(Command::CheckHelp) => print(&help::check()),
        Ok(Command::Version) => print(&format!("{}\n", help::version())),
        Ok(Command::Check(options, flags)) => check::check(&options, &Over(flags, Environment)),
        Ok(Command::Explain(code)) => explain_code(code.as_deref()),
        Ok(Command::Run(flags)) => match config::load_with_trust(&Over(flags, Environment)) {
            Ok((loaded, trust)) => start(&loaded, trust),
            Err(faults) => refuse(&faults),
        },
        Err(error) => misused(&error),
    }
}

/// The effective configuration of a process with these variables and no flags, as logged at startup, each of its
/// warnings last as a field `warning`; or all of its faults as reported. Secrets are masked in both.
pub fn effective_configuration(variables: &BTreeMap<String, String>) -> Result<Vec<(&'static str, String)>, String> {
    match config::load(variables) {
        Ok(loaded) => {
            let warnings =
                loaded.warnings.iter().map(|warning| ("warning", format!("{} {}", warning.name, warning.text)));
            Ok(effective::fields(&loaded).into_iter().chain(warnings).collect())
        }
        Err(faults) => Err(faults.to_string()),
    }
}

/// The names of the variables that the configuration reads, including those in lower case that also count.
pub fn variables() -> Vec<String> {
    let lower = |setting: &Setting| setting.has_lower_case_twin().then(|| setting.name.to_ascii_lowercase());
    settings::ALL.iter().flat_map(|setting| iter::once(setting.name.to_owned()).chain(lower(setting))).collect()
}

/// Standard output may be a closed pipe, as in `remora --help | head`; that is not a failure.
fn print(text: &str) -> ExitCode {
    let _ = std::io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

/// An unknown code is a usage error.
fn explain_code(code: Option<&str>) -> ExitCode {
    let Some(code) = code else { return print(&explain::list()) };
    explain::explain(code).map_or_else(
        |nearest| {
            let meant = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
            complain(&format!("remora: there is no page for {}{meant}\nremora explain lists them all\n", masked(code)));
            ExitCode::from(USAGE)
        },
        |page| print(&page),
    )
}

fn start(loaded: &Loaded, trust: Trust) -> ExitCode {
    let log = Log::new(loaded.level, loaded.format);
    let version = env!("CARGO_PKG_VERSION");
    log.line(Level::Info, "remora", &[("version", &version), ("target", &help::target()), ("tls", &help::TLS)]);
    let effective = effective::fields(loaded);
    let about = help::about(&effective);
    let fields: Vec<_> = effective.iter().map(|(name, value)| (*name, value as &dyn Display)).collect();
    log.line(Level::Info, "effective configuration", &fields);
    for warning in &loaded.warnings {
        log.line(
            Level::Warn,
            "questionable configuration",
            &[("code", &warning.page), ("name", &warning.name), ("detail", &warning.text)],
        );
    }
    serve::serve(&loaded.config, trust, about, log)
}

fn refuse(faults: &Faults) -> ExitCode {
    let text = faults.to_string();
    termination::leave(&text);
    match faults.format {
        // A person reads this and pastes commands from it, so it is not quoted.
        Format::Logfmt => complain(&text),
        Format::Json => log_faults(faults),
    }
    ExitCode::from(CONFIGURATION)
}

fn log_faults(faults: &Faults) {
    let log = Log::new(Level::Error, faults.format);
    for fault in &faults.faults {
        let value = fault.value.as_deref().unwrap_or_default();
        log.line(
            Level::Error,
            "invalid configuration",
            &[
                ("code", &fault.page()),
                ("name", &fault.name),
                ("value", &value),
                ("fault", &fault.reject.wrong),
                ("fix", &fault.reject.fix),
            ],
        );
    }
}

fn misused(error: &UsageError) -> ExitCode {
    let first = std::env::args_os().nth(1);
    let help = match first.as_ref().and_then(|first| first.to_str()) {
        Some("check") => "remora check --help lists its flags, remora --help those of the settings",
        Some("explain") => "remora explain lists all codes",
        _ => "remora --help lists all commands and flags",
    };
    let text = format!("remora: {error}\n{help}\n");
    termination::leave(&text);
    complain(&text);
    ExitCode::from(USAGE)
}

fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}
