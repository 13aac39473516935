//! The log settings: which lines are written, and in which format.

use super::fault::Reject;
use super::reader::Reader;
use super::settings::{LOG_FORMAT, LOG_LEVEL, TRACE_LOGGING};
use crate::log::{Format, Level};

/// Reads level and format. Both are needed to report faults, so an invalid value falls back to its preset.
pub(crate) fn read(reader: &mut Reader<'_>) -> (Level, Format) {
    let format = reader.value(&LOG_FORMAT, parse_format).unwrap_or(Format::Logfmt);
    let trace = reader.value(&TRACE_LOGGING, parse_bool).unwrap_or(false);
    let level = reader.value(&LOG_LEVEL, parse_level).unwrap_or(Level::Info);
    let level = if trace && reader.given(&LOG_LEVEL).is_none() { Level::Debug } else { level };
    (level, format)
}

fn parse_level(text: &str) -> Result<Level, Reject> {
    let all = [Level::Error, Level::Warn, Level::Info, Level::Debug];
    let known = all.into_iter().find(|level| text.eq_ignore_ascii_case(level.word()));
    known.ok_or_else(|| Reject::new("is not a log level", "use error, warn, info or debug"))
}

fn parse_format(text: &str) -> Result<Format, Reject> {
    let known = [Format::Logfmt, Format::Json].into_iter().find(|format| text.eq_ignore_ascii_case(format.word()));
    known.ok_or_else(|| Reject::new("is not a log format", "use logfmt or json"))
}

/// `true` or `false`, or `1` or `0`.
pub(crate) fn parse_bool(text: &str) -> Result<bool, Reject> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(Reject::new("is neither true nor false", "use true or false")),
    }
}
