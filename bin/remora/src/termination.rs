//! The termination message where Kubernetes expects it: `kubectl describe pod` shows it without the log.

use std::fs::OpenOptions;
use std::io::Write;
use std::process;

/// Default of a container's `terminationMessagePath`.
const PATH: &str = "/dev/termination-log";
/// Number of bytes that the kubelet reads from it.
const LIMIT: usize = 4096;

/// The container's own process. Its end is that of the container.
const FIRST: u32 = 1;

/// Writes `text`, truncated, if this is the container's own process and the file exists. Nothing depends on it, so
/// failures are ignored.
pub(crate) fn leave(text: &str) {
    leave_in(PATH, process::id(), text);
}

/// A command typed into a running container must not tell why that container ends. Where the containers of a pod share
/// their process IDs, none writes, and `FallbackToLogsOnError` shows the log.
fn leave_in(path: &str, process: u32, text: &str) {
    if process != FIRST {
        return;
    }
    if let Ok(mut file) = OpenOptions::new().write(true).truncate(true).open(path) {
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
    use std::{env, fs};

    use super::*;

    #[test]
    fn only_the_containers_own_process_leaves_a_message() {
        let path = env::temp_dir().join(format!("remora-termination-{}", process::id()));
        fs::write(&path, "").unwrap();
        let left = |process, text| {
            leave_in(path.to_str().unwrap(), process, text);
            fs::read_to_string(&path).unwrap()
        };
        assert_eq!(left(FIRST, "the first reason"), "the first reason");
        assert_eq!(left(FIRST + 1, "cannot listen"), "the first reason");
        assert_eq!(left(FIRST, "another"), "another");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn no_character_is_cut_in_two() {
        assert_eq!(shortened("short"), "short");
        let long = "é".repeat(LIMIT);
        assert_eq!(shortened(&long).len(), LIMIT);
        let odd = format!("a{long}");
        assert_eq!(shortened(&odd).len(), LIMIT - 1);
    }
}
