//! Runs the sidecar with a configuration, and maps the way it ended to an exit code.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;

use remora_smol::config::Config;
use remora_smol::{About, StartError, Stopped, Trust};

use crate::journal::Journal;
use crate::log::{Level, Log};
use crate::termination;

/// Runs until a signal ends it. The exit code is then 0, or 128 plus the signal's number if a second signal cut it off;
/// 1 if it could not start.
pub(crate) fn serve(config: &Config, trust: Trust, about: About, log: Log) -> ExitCode {
    if trust.unusable > 0 {
        log.line(Level::Warn, "unusable CA certificates ignored", &[("count", &trust.unusable)]);
    }
    match remora_smol::run(config, trust, about, Arc::new(Journal::new(log))) {
        Ok(stopped) => stop(log, stopped),
        Err(error @ StartError::Bind(..)) => {
            let fix = "free the port, or set LISTENING_PORT (or ADMIN_PORT) to another one";
            fail(log, "cannot listen on LISTENING_PORT or ADMIN_PORT", &error, Some(fix))
        }
        Err(error) => fail(log, "cannot start", &error, None),
    }
}

fn fail(log: Log, what: &str, error: &dyn Display, fix: Option<&str>) -> ExitCode {
    let mut fields: Vec<(&str, &dyn Display)> = vec![("err", error)];
    fields.extend(fix.as_ref().map(|fix| ("fix", fix as &dyn Display)));
    log.line(Level::Error, what, &fields);
    let fix = fix.map(|fix| format!("  fix: {fix}\n")).unwrap_or_default();
    termination::leave(&format!("remora: {what}: {error}\n{fix}"));
    ExitCode::FAILURE
}

fn stop(log: Log, stopped: Stopped) -> ExitCode {
    match stopped {
        Stopped::Settled => log.line(Level::Info, "stopped", &[]),
        Stopped::Overdue(open) => log.line(Level::Warn, "stopped after SHUTDOWN_GRACE", &[("open_requests", &open)]),
        Stopped::Again(signal) => {
            log.line(Level::Warn, "stopped by a second signal", &[("signal", &signal)]);
            return ExitCode::from(u8::try_from(128 + signal).unwrap_or(1));
        }
    }
    ExitCode::SUCCESS
}
