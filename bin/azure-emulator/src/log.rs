//! One line to stderr; what cannot be written is given up, for a log must not stop what it describes.

use std::fmt::Arguments;
use std::io::Write;
use std::time::SystemTime;

/// Writes `time text`, in one write.
pub(crate) fn line(text: Arguments<'_>) {
    let line = format!("{} {text}\n", humantime::format_rfc3339_millis(SystemTime::now()));
    std::io::stderr().write_all(line.as_bytes()).ok();
}
