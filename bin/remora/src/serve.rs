//! From a configuration to a running sidecar, and what it says while it runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use remora_smol::config::Config;
use remora_smol::{Failure, Minute, Notice, Observer, StartError, Stopped, Trust};

use crate::log::{Level, Log};
use crate::{CONFIGURATION, termination};

/// Equal refusals within this time are summed up in one line.
const QUIET: Duration = Duration::from_secs(60);

/// Runs until a signal ends it. Exit code 0 then; 1 when it could not start; 128 and the signal's number when a second
/// signal cut it off.
pub(crate) fn serve(config: &Config, log: Log) -> ExitCode {
    let trust = match Trust::load(&config.trust) {
        Ok(trust) => trust,
        Err(error) => {
            let fix = "name a PEM file with the CA certificates to trust in SSL_CERT_FILE, or unset it";
            return fail(log, CONFIGURATION, "no CA certificates", &error, fix);
        }
    };
    if trust.unusable > 0 {
        log.line(Level::Warn, "CA certificates passed over", &[("count", &trust.unusable)]);
    }
    let journal = Box::new(Journal { log, told: RefCell::default() });
    match remora_smol::run(config, trust, journal) {
        Ok(stopped) => stop(log, stopped),
        Err(error @ StartError::Bind(..)) => {
            let fix = "free the port, or set LISTENING_PORT (or ADMIN_PORT) to another one";
            fail(log, 1, "cannot listen on LISTENING_PORT or ADMIN_PORT", &error, fix)
        }
        Err(error) => fail(log, 1, "cannot start", &error, "see the error"),
    }
}

fn fail(log: Log, code: u8, what: &str, error: &dyn Display, fix: &str) -> ExitCode {
    log.line(Level::Error, what, &[("err", error), ("fix", &fix)]);
    termination::leave(&format!("remora: {what}: {error}\n  fix: {fix}\n"));
    ExitCode::from(code)
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

/// Turns notices into lines.
struct Journal {
    log: Log,
    /// What was told when, and how often it came again since.
    told: RefCell<BTreeMap<Kind, (Instant, u64)>>,
}

/// What makes two notices equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Refused(u16, Option<u16>),
    Crowded,
    Accept,
}

impl Observer for Journal {
    fn notice(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Listening { port } => self.log.line(Level::Info, "listening", &[("port", port)]),
            Notice::TokenGranted { lifetime } => {
                self.log.line(Level::Info, "token acquired", &[("expires_in_s", &lifetime.as_secs())]);
            }
            Notice::TokenFailed { failure, serving } => self.token_failed(failure, *serving),
            Notice::Refused { status, upstream_status, text } => self.refused(*status, *upstream_status, text),
            Notice::Minute(minute) => self.minute(*minute),
            Notice::Crowded => self.seldom(Kind::Crowded, "connection turned away, raise MAX_CONNECTIONS", &[]),
            Notice::AcceptFailed { error } => self.seldom(Kind::Accept, "accept failed", &[("err", error)]),
            Notice::Stopping { open } => self.log.line(Level::Info, "stopping", &[("open_requests", open)]),
            _ => {}
        }
    }
}

impl Journal {
    fn token_failed(&self, failure: &Failure, serving: bool) {
        let mut fields: Vec<(&str, &dyn Display)> = vec![("err", &failure.message)];
        let code = failure.code.map(|code| format!("AADSTS{code}"));
        let optional: [(&str, Option<&dyn Display>); 5] = [
            ("code", code.as_ref().map(|code| code as _)),
            ("status", failure.status.as_ref().map(|status| status as _)),
            ("trace_id", failure.trace_id.as_ref().map(|id| id as _)),
            ("correlation_id", failure.correlation_id.as_ref().map(|id| id as _)),
            ("fix", failure.hint.as_ref().map(|hint| hint as _)),
        ];
        fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        fields.push(("old_token_serves", &serving));
        self.log.line(Level::Warn, "token exchange failed", &fields);
    }

    fn refused(&self, status: u16, upstream_status: Option<u16>, text: &str) {
        let azure = upstream_status.unwrap_or_default();
        let mut fields: Vec<(&str, &dyn Display)> = vec![("status", &status)];
        if upstream_status.is_some() {
            fields.push(("azure_status", &azure));
        }
        fields.push(("answer", &text));
        self.seldom(Kind::Refused(status, upstream_status), "request not accepted", &fields);
    }

    /// The line that Microsoft's troubleshooting guide tells users to look for, with its message and field names.
    fn minute(&self, minute: Minute) {
        let requests = (minute.succeeded + minute.failed).max(1);
        let average = minute.bytes / requests;
        let busy = minute.busy / u32::try_from(requests).unwrap_or(u32::MAX);
        let seconds = format!("{:.3}", busy.as_secs_f64());
        self.log.line(
            Level::Info,
            "Metric packets published in last 1 minute",
            &[
                ("avgBytesPerRequest", &average),
                ("avgRequestDurationInSec", &seconds),
                ("failedPublishing", &minute.failed),
                ("successfullyPublished", &minute.succeeded),
            ],
        );
    }

    /// Writes a warning, unless an equal one was written within the last minute; then it is counted and told with the
    /// next one.
    fn seldom(&self, kind: Kind, msg: &str, fields: &[(&str, &dyn Display)]) {
        let now = Instant::now();
        let mut told = self.told.borrow_mut();
        let suppressed = match told.get_mut(&kind) {
            Some((at, again)) if now.duration_since(*at) < QUIET => {
                *again += 1;
                return;
            }
            Some((_, again)) => *again,
            None => 0,
        };
        told.insert(kind, (now, 0));
        drop(told);
        let mut fields = fields.to_vec();
        if suppressed > 0 {
            fields.push(("suppressed", &suppressed));
        }
        self.log.line(Level::Warn, msg, &fields);
    }
}
