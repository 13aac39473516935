//! Settings for how a request is handled.

use std::time::Duration;

use remora_core::remote_write::Level;

use super::fault::Reject;
use super::quantity;
use super::reader::Reader;
use super::settings::{CHECK, RATE_LIMIT_STATUS, REFUSAL_HOLD, SHUTDOWN_GRACE, UPSTREAM_TIMEOUT};

const MINUTE: Duration = Duration::from_secs(60);

/// When Prometheus gives up a request, unless its `remote_timeout` is another.
const SENDERS: Duration = Duration::from_secs(30);

/// The settings of this group.
pub(crate) struct Forwarding {
    pub(crate) upstream_timeout: Duration,
    pub(crate) refusal_hold: Duration,
    pub(crate) pass_rate_limit: bool,
    pub(crate) check: Option<Level>,
    pub(crate) shutdown_grace: Duration,
}

/// Reads all settings of this group.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Forwarding> {
    let second = Duration::from_secs(1);
    let upstream_timeout = reader.value(&UPSTREAM_TIMEOUT, |text| quantity::duration(text, &(second..=5 * MINUTE)));
    if upstream_timeout.is_some_and(|timeout| timeout >= SENDERS) {
        let text = "is not shorter than Prometheus' own timeout of 30 s (remoteTimeout or remote_timeout): a sender that \
                    gives up first sends again what Azure may have stored; leave it if yours waits longer than this";
        reader.warn(&UPSTREAM_TIMEOUT, text);
    }
    let refusal_hold =
        reader.value(&REFUSAL_HOLD, |text| quantity::duration(text, &(Duration::ZERO..=24 * 60 * MINUTE)));
    let pass_rate_limit = reader.value(&RATE_LIMIT_STATUS, parse_status);
    let check = reader.value(&CHECK, parse_level);
    let shutdown_grace =
        reader.value(&SHUTDOWN_GRACE, |text| quantity::duration(text, &(Duration::ZERO..=10 * MINUTE)));
    Some(Forwarding {
        upstream_timeout: upstream_timeout?,
        refusal_hold: refusal_hold?,
        pass_rate_limit: pass_rate_limit?,
        check: check?,
        shutdown_grace: shutdown_grace?,
    })
}

/// Whether a 429 is passed on.
fn parse_status(text: &str) -> Result<bool, Reject> {
    match text {
        "503" => Ok(false),
        "429" => Ok(true),
        _ => Err(Reject::new("is neither 503 nor 429", "use 503; use 429 only for senders that retry it")),
    }
}

fn parse_level(text: &str) -> Result<Option<Level>, Reject> {
    match text.to_ascii_lowercase().as_str() {
        "full" => Ok(Some(Level::Full)),
        "wire" => Ok(Some(Level::Wire)),
        "off" => Ok(None),
        _ => Err(Reject::new("is not a check level", "use full, wire or off")),
    }
}

/// The name of a level in `CHECK`.
pub(crate) fn level_word(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Full) => "full",
        Some(Level::Wire) => "wire",
        None => "off",
    }
}
