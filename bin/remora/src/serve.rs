//! Runs the sidecar with a configuration, and maps the way it ended to an exit code.

use std::fmt::Display;
use std::io;
use std::panic;
use std::process::{self, ExitCode};
use std::sync::Arc;

use remora_smol::config::{Config, Listen};
use remora_smol::{About, StartError, Stopped, Trust};

use crate::config::settings::{ADMIN_PORT, LISTENING_PORT};
use crate::journal::Journal;
use crate::log::{Level, Log};
use crate::termination;

/// Runs until a signal ends it. The exit code is then 0, or 128 plus the signal's number if a second signal cut it off;
/// 1 if it could not start or go on.
pub(crate) fn serve(config: &Config, trust: Trust, about: About, log: Log) -> ExitCode {
    // async-io panics if the system refuses it a thread.
    panic::set_hook(Box::new(move |cause| {
        fail(log, "cannot go on", &[("err", cause)], cause);
        process::exit(1);
    }));
    if trust.unusable > 0 {
        log.line(Level::Warn, "unusable CA certificates ignored", &[("count", &trust.unusable)]);
    }
    match remora_smol::run(config, trust, about, Arc::new(Journal::new(log))) {
        Ok(stopped) => stop(log, stopped),
        Err(StartError::Bind(port, error)) if concerns_port(&error) => taken(log, &config.listen, port, &error),
        Err(error) => fail(log, told(&error), &[("err", &error)], &error),
    }
}

/// What a failure kept the process from.
const fn told(error: &StartError) -> &'static str {
    match error {
        StartError::Bind(..) | StartError::Tls(_) | StartError::System(_) => "cannot start",
        StartError::Running(_) => "cannot go on",
    }
}

/// Whether another port would do: it does not help, for example, against a lack of file descriptors.
fn concerns_port(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied)
}

/// Where the port for samples also stands. Probes and scrapes name it `rw-port`.
const PLACES_OF_PORT: &str = ", and with it the containerPort of rw-port and the port in the sender's URL";

/// Tells which of the ports cannot be had.
fn taken(log: Log, listen: &Listen, port: u16, error: &dyn Display) -> ExitCode {
    let (name, places) =
        if port == listen.port { (LISTENING_PORT.name, PLACES_OF_PORT) } else { (ADMIN_PORT.name, "") };
    let fix = format!("free the port, or set {name} to another one{places}");
    let fields: [(_, &dyn Display); 4] = [("name", &name), ("value", &port), ("err", error), ("fix", &fix)];
    fail(log, "cannot listen", &fields, &format_args!("{name}={port}: {error}\n  fix: {fix}"))
}

fn fail(log: Log, what: &str, fields: &[(&str, &dyn Display)], text: &dyn Display) -> ExitCode {
    log.line(Level::Error, what, fields);
    termination::leave(&format!("remora: {what}: {text}\n"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_started_is_not_said_to_be_unable_to_start() {
        let error = || io::Error::other("no");
        assert_eq!(told(&StartError::Running(error())), "cannot go on");
        assert_eq!(told(&StartError::System(error())), "cannot start");
        assert_eq!(told(&StartError::Bind(1, error())), "cannot start");
    }
}
