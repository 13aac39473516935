//! Decides what is logged. Probes are not, nor are successes, except for the first after a minute without any. A new
//! failure is logged at once; repetitions are counted and summed up at the end of the minute, so the number of lines
//! depends on the clock, not on the number of requests. At debug level, every response also has a line of its own.
//!
//! No clock is read here: the end of the minute is a notice like the others, and arrives only if something happened.

use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use remora_core::forward::{Purpose, Unavailable, reply};
use remora_smol::{Failure, Minute, Notice, Observer, hint};
use rustix::io::Errno;

use crate::log::{Level, Log};

/// Summaries without a recurrence after which a failure is forgotten.
const MEMORY: u32 = 10;

/// Failures that are distinguished by their text as well, strangers' and others separately. Any beyond that are told
/// apart by everything else, and once there are twice as many, count as one per topic.
const MOST_KINDS: usize = 32;

/// Longest part of a text that distinguishes failures, in bytes.
const MOST_TEXT: usize = 120;

/// Turns the notices of all threads into log lines.
pub(crate) struct Journal {
    log: Log,
    told: Mutex<Vec<(Kind, Told)>>,
    /// No write was accepted in the last minute that had any.
    stopped: AtomicBool,
}

/// The properties that distinguish failures.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kind {
    topic: Topic,
    status: u16,
    /// Azure's status, or Entra's error number.
    code: u32,
    /// Why a request could not be forwarded.
    unavailable: Option<Unavailable>,
    /// The cause in words, where the other fields are not specific enough.
    cause: String,
}

/// The subject of a log message; each has one message and at most one summary line per minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Topic {
    /// The old token still serves.
    Token,
    /// Nothing can be forwarded.
    NoToken,
    Request,
    /// A query for something that is not here. Its summary must not hide those of writes, however frequent it is.
    Lookup,
    /// A request that is none of this pod's writes, but may be another sender's.
    Stray,
    /// A write in a format that is not accepted. vmagent tries one when it starts.
    Format,
    /// A request that Azure refused and whose refusal was passed on, so that senders drop its samples.
    Lost,
    /// A write that Remora itself rejected for another reason than its format.
    Rejected,
    TooOld,
    Abandoned,
    Crowded,
    Accept,
}

/// The state of a known failure.
#[derive(Debug, Default)]
struct Told {
    /// Occurrences since its first line or the last summary.
    again: u64,
    /// Summaries since it last occurred.
    quiet: u32,
    /// The fields of its last occurrence.
    fields: Fields,
}

/// The fix for a shortage of file descriptors.
const FILES: &str = hint::OPEN_FILES.repair;

/// Of a wrong clock.
const CLOCK: &str = "this machine's clock differs from the token endpoint's";
const CLOCK_FIX: &str = "let the time service of the machine set it: Azure accepts samples at most 20 minutes in the past or \
                         future by its own clock";
const CLOCK_PAGE: &str = "remora explain REMORA-NET-04";

type Fields = Vec<(&'static str, String)>;

impl Topic {
    const ALL: [Self; 12] = [
        Self::Token,
        Self::NoToken,
        Self::Request,
        Self::Lookup,
        Self::Stray,
        Self::Format,
        Self::Lost,
        Self::Rejected,
        Self::TooOld,
        Self::Abandoned,
        Self::Crowded,
        Self::Accept,
    ];

    const fn message(self) -> &'static str {
        match self {
            Self::Token => "token exchange failed",
            Self::NoToken => "token exchange failed, and there is no usable token",
            Self::Request | Self::Lookup => "request not accepted",
            Self::Stray => {
                "request permanently rejected by Remora: if it was a write, senders such as Prometheus drop its samples"
            }
            Self::Format => "request permanently rejected by Remora: senders other than vmagent drop its samples",
            Self::Lost => "request permanently rejected by Azure: senders such as Prometheus drop its samples",
            Self::Rejected => "request permanently rejected by Remora: senders such as Prometheus drop its samples",
            Self::TooOld => "samples older than 20 minutes, which Azure no longer accepts",
            Self::Abandoned => "the sender hung up before its write was answered, and will send it again",
            Self::Crowded => "connection turned away: all slots are taken",
            Self::Accept => "accept failed",
        }
    }

    const fn level(self) -> Level {
        if matches!(self, Self::NoToken | Self::Lost | Self::Rejected) { Level::Error } else { Level::Warn }
    }

    const fn kind(self) -> Kind {
        Kind { topic: self, status: 0, code: 0, unavailable: None, cause: String::new() }
    }
}

impl Observer for Journal {
    fn notice(&self, notice: &Notice<'_>) {
        match notice {
            Notice::Listening { port } => self.log.line(Level::Info, "listening", &[("port", port)]),
            Notice::TokenGranted { lifetime, skew } => {
                self.log.line(Level::Info, "token acquired", &[("expires_in_s", &lifetime.as_secs())]);
                if let Some(skew) = skew {
                    self.log.line(Level::Warn, CLOCK, &[("clock", skew), ("fix", &CLOCK_FIX), ("see", &CLOCK_PAGE)]);
                }
            }
            Notice::TokenFailed { failure, serving, next } => {
                self.failed(token_kind(failure, *serving), || token(failure, *serving, *next));
            }
            Notice::NotAccepted { status, upstream_status, unavailable, purpose, text, peer } => {
                let topic = topic(*status, *upstream_status, *purpose);
                let kind = request_kind(topic, *status, *upstream_status, *unavailable, text);
                self.failed(kind, || request(*status, *upstream_status, text, *peer));
            }
            Notice::Answered { status, upstream_status, bytes, samples, took } => {
                if self.log.keeps(Level::Debug) {
                    self.answered(*status, *upstream_status, *bytes, *samples, *took);
                }
                if upstream_status.is_some() && (200..300).contains(status) && self.stopped.load(Ordering::Relaxed) {
                    self.resumed();
                }
            }
            Notice::TooOld { samples, oldest } => self.failed(Topic::TooOld.kind(), || too_old(*samples, *oldest)),
            Notice::Abandoned { after } => self.failed(Topic::Abandoned.kind(), || abandoned(*after)),
            Notice::Crowded => self.failed(Topic::Crowded.kind(), crowded),
            Notice::AcceptFailed { error } => {
                self.failed(Topic::Accept.kind(), || accept(error));
            }
            Notice::FewFiles { limit, wanted } => {
                let fields: [(_, &dyn Display); 3] = [("limit", limit), ("wanted", wanted), ("fix", &FILES)];
                self.log.line(Level::Warn, "open-file limit is lower than the configured limits may need", &fields);
            }
            Notice::Stopping { open } => self.log.line(Level::Info, "stopping", &[("open_requests", open)]),
            Notice::Minute(minute) => {
                self.sum_up();
                self.minute(*minute);
            }
            _ => {}
        }
    }
}

impl Journal {
    pub(crate) fn new(log: Log) -> Self {
        Self { log, told: Mutex::default(), stopped: AtomicBool::default() }
    }

    /// Locked while a failure is logged; successes never wait for it.
    fn told(&self) -> MutexGuard<'_, Vec<(Kind, Told)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a new failure at once and counts a known one.
    fn failed(&self, mut kind: Kind, fields: impl FnOnce() -> Fields) {
        let mut told = self.told();
        let is_new = |kind: &Kind| told.iter().all(|(known, _)| known != kind);
        // Strangers can produce many kinds, which must not blur the pod's own.
        let is_stray = |kind: &Kind| matches!(kind.topic, Topic::Lookup | Topic::Stray);
        let many = told.iter().filter(|(known, _)| is_stray(known) == is_stray(&kind)).count();
        if many >= MOST_KINDS && is_new(&kind) {
            kind.cause.clear();
        }
        if many >= 2 * MOST_KINDS && is_new(&kind) {
            kind = kind.topic.kind();
        }
        let fields = fields();
        if let Some((_, known)) = told.iter_mut().find(|(known, _)| *known == kind) {
            (known.again, known.quiet, known.fields) = (known.again + 1, 0, fields);
        } else {
            self.line(kind.topic, &fields, &[]);
            told.push((kind, Told { fields, ..Told::default() }));
        }
    }

    /// One line for each topic with repeated failures: the most frequent one as it last occurred, its count, the count
    /// of the others, and the number of distinct failures.
    fn sum_up(&self) {
        let mut told = self.told();
        for topic in Topic::ALL {
            let again =
                || told.iter().filter(|(kind, told)| kind.topic == topic && told.again > 0).map(|(_, told)| told);
            if let Some(most) = again().max_by_key(|told| told.again) {
                let others = again().map(|told| told.again).sum::<u64>() - most.again;
                let distinct = again().count();
                let mut counts: Vec<(&str, &dyn Display)> = vec![("repeated", &most.again)];
                if others > 0 {
                    counts.extend([("others", &others as &dyn Display), ("distinct", &distinct)]);
                }
                self.line(topic, &most.fields, &counts);
            }
        }
        told.retain_mut(|(_, told)| {
            told.again = 0;
            told.quiet += 1;
            told.quiet <= MEMORY
        });
    }

    fn line(&self, topic: Topic, fields: &Fields, more: &[(&str, &dyn Display)]) {
        let mut all: Vec<_> = fields.iter().map(|(name, value)| (*name, value as &dyn Display)).collect();
        all.extend_from_slice(more);
        self.log.line(topic.level(), topic.message(), &all);
    }

    /// Threads may notice it together.
    fn resumed(&self) {
        if self.stopped.swap(false, Ordering::Relaxed) {
            self.log.line(Level::Info, "Azure accepts writes again", &[]);
        }
    }

    /// Unknown properties of a request have no field.
    fn answered(&self, status: u16, azure: Option<u16>, bytes: usize, samples: Option<u32>, took: Duration) {
        let milliseconds = took.as_millis();
        let mut fields: Vec<(&str, &dyn Display)> = vec![("status", &status)];
        fields.extend(azure.as_ref().map(|status| ("azure_status", status as &dyn Display)));
        fields.push(("bytes", &bytes));
        fields.extend(samples.as_ref().map(|samples| ("samples", samples as &dyn Display)));
        fields.push(("duration_ms", &milliseconds));
        self.log.line(Level::Debug, "request answered", &fields);
    }

    /// The line that Microsoft's troubleshooting guide tells users to look for, with its message and field names.
    fn minute(&self, minute: Minute) {
        let requests = minute.succeeded + minute.failed;
        if requests == 0 {
            return;
        }
        self.stopped.store(minute.succeeded == 0, Ordering::Relaxed);
        let average = minute.bytes / requests;
        let busy = minute.busy / u32::try_from(requests).unwrap_or(u32::MAX);
        // Formatting floating point numbers would add 10 KB to the binary.
        let seconds = format!("{}.{:03}", busy.as_secs(), busy.subsec_millis());
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
}

/// Failures without a response are distinguished by their text, all others by cause, Entra's error number and status,
/// because Entra's text contains IDs.
fn token_kind(failure: &Failure, serving: bool) -> Kind {
    let word = || failure.hint.map(|hint| hint.word.to_owned()).unwrap_or_default();
    let cause = if failure.status.is_none() { failure.message.clone() } else { word() };
    let (status, code) = (failure.status.unwrap_or_default(), failure.code.unwrap_or_default());
    let topic = if serving { Topic::Token } else { Topic::NoToken };
    Kind { status, code, cause, ..topic.kind() }
}

/// Requests that could not be forwarded are distinguished by the reason, all others by their text without words that
/// contain digits: IDs, times and positions.
fn request_kind(
    topic: Topic,
    status: u16,
    upstream_status: Option<u16>,
    unavailable: Option<Unavailable>,
    text: &str,
) -> Kind {
    let cause = match unavailable {
        // Only the text gives the cause, which comes from the token exchange, or the limit that is too low.
        None | Some(Unavailable::NoToken | Unavailable::Capacity) => gist(text),
        Some(_) => String::new(),
    };
    let code = upstream_status.unwrap_or_default().into();
    Kind { status, code, unavailable, cause, ..topic.kind() }
}

/// A write whose samples senders drop is an error, whether the status is Azure's or ours.
fn topic(status: u16, upstream_status: Option<u16>, purpose: Purpose) -> Topic {
    match (purpose, upstream_status) {
        (Purpose::Stray, None) => Topic::Stray,
        (Purpose::Lookup | Purpose::Probe, None) => Topic::Lookup,
        _ if !reply::drops_samples(status) => Topic::Request,
        (_, Some(_)) => Topic::Lost,
        // By which vmagent negotiates formats.
        (Purpose::Write, None) if status == 415 => Topic::Format,
        (Purpose::Write, None) => Topic::Rejected,
    }
}

/// The beginning of a text without the words that contain digits.
fn gist(text: &str) -> String {
    let words = text.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    beginning(&words.collect::<Vec<_>>().join(" "))
}

/// The beginning of a text, in whole characters.
fn beginning(text: &str) -> String {
    text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MOST_TEXT).map(|(_, c)| c).collect()
}

/// What rounds up to whole seconds.
const ALMOST_A_SECOND: Duration = Duration::from_millis(999);

fn token(failure: &Failure, serving: bool, next: Duration) -> Fields {
    let mut fields = failure.fields();
    fields.push(("old_token_serves", serving.to_string()));
    fields.push(("next_attempt_s", next.saturating_add(ALMOST_A_SECOND).as_secs().to_string()));
    fields
}

fn request(status: u16, upstream_status: Option<u16>, text: &str, peer: Option<IpAddr>) -> Fields {
    let mut fields = vec![("status", status.to_string())];
    fields.extend(upstream_status.map(|status| ("azure_status", status.to_string())));
    fields.push(("answer", text.to_owned()));
    // Azure's own text does not name a page of `remora explain`.
    let code = upstream_status.and_then(|upstream| match reply::code(upstream) {
        Some(code) => Some(code.to_owned()).filter(|code| !text.contains(code.as_str())),
        None => reply::drops_samples(status).then(|| upstream.to_string()),
    });
    fields.extend(code.map(|code| ("see", format!("remora explain {code}"))));
    fields.extend(peer.map(|peer| ("peer", peer.to_string())));
    fields
}

fn abandoned(after: Duration) -> Fields {
    let fix = "raise the sender's timeout above UPSTREAM_TIMEOUT (remoteTimeout or remote_timeout in Prometheus), or make its \
               batches smaller";
    vec![("after_ms", after.as_millis().to_string()), ("fix", fix.to_owned())]
}

fn crowded() -> Fields {
    vec![("fix", "raise MAX_CONNECTIONS".to_owned())]
}

fn accept(error: &io::Error) -> Fields {
    let few = matches!(Errno::from_io_error(error), Some(Errno::NFILE | Errno::MFILE));
    let fix = few.then(|| ("fix", FILES.to_owned()));
    [("err", error.to_string())].into_iter().chain(fix).collect()
}

fn too_old(samples: u32, oldest: Duration) -> Fields {
    let fix = "the sender is behind: see its prometheus_remote_storage_* metrics";
    vec![("samples", samples.to_string()), ("oldest_age_s", oldest.as_secs().to_string()), ("fix", fix.to_owned())]
}

#[cfg(test)]
mod tests;
