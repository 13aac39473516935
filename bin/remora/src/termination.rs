//! The termination message where Kubernetes expects it: `kubectl describe pod` shows it without the log.

use std::fs::OpenOptions;
use std::io::Write;

/// Default of a container's `terminationMessagePath`.
const PATH: &str = "/dev/termination-log";
/// Number of bytes that the kubelet reads from it.
const LIMIT: usize = 4096;

/// Writes `text`, truncated, if the file exists. Nothing depends on it, so failures are ignored.
pub(crate) fn leave(text: &str) {
    if let Ok(mut file) = OpenOptions::new().write(true).truncate(true).open(PATH) {
        let _ = file.write_all(shortened(text).as_bytes());
    }
}

/// As many whole characters as fit.
fn shortened(text: &str) -> &str {
    let end = (0..=LIMIT.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut_in_two() {
        assert_eq!(shortened("short"), "short");
        let long = "é".repeat(LIMIT);
        assert_eq!(shortened(&long).len(), LIMIT);
        let odd = format!("a{long}");
        assert_eq!(shortened(&odd).len(), LIMIT - 1);
    }
}
