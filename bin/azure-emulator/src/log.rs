//! Writes one line to stderr; a failure is ignored, because the log must not stop the program.

use std::fmt::Arguments;
use std::io::Write;
use std::time::SystemTime;

/// Writes `time text` in one write.
pub(crate) fn line(text: Arguments<'_>) {
    let line = format!("{} {text}\n", humantime::format_rfc3339_millis(SystemTime::now()));
    std::io::stderr().write_all(line.as_bytes()).ok();
}
