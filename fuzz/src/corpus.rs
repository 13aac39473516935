//! Inputs from files, for builds without libFuzzer.

use std::path::{Path, PathBuf};
use std::{env, fs, thread};

/// Prints which input was being judged when a judgement fails.
struct Judged<'p>(&'p Path);

impl Drop for Judged<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("judging {}", self.0.display());
        }
    }
}

/// Judges every file in `corpus/<target>`, of which there must be at least one.
pub fn replay(target: &str, judge: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let files = files(&folder);
    assert!(!files.is_empty(), "no input in {}", folder.display());
    for file in &files {
        judge_file(file, judge);
    }
}

/// Judges the files, and the files in the folders, named on the command line.
pub fn judge_arguments(judge: fn(&[u8])) {
    let inputs: Vec<_> = env::args_os().skip(1).map(PathBuf::from).flat_map(|path| files(&path)).collect();
    for file in &inputs {
        judge_file(file, judge);
    }
    println!("{} inputs judged well", inputs.len());
}

/// The file at `path`, or the files of that folder, sorted by name.
fn files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_path_buf()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn judge_file(path: &Path, judge: fn(&[u8])) {
    let judged = Judged(path);
    judge(&fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    drop(judged);
}
