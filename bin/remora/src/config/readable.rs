//! Whether a file can be read now, found out by reading it: permissions alone do not tell.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Whether a regular file has a first byte. Anything but a regular file is an error: a pipe would block.
pub(crate) fn first_byte(path: &Path) -> io::Result<bool> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    File::open(path)?.read(&mut [0]).map(|read| read > 0)
}
