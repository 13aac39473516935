//! Whether a file is readable now, determined by reading it: its permissions alone are not conclusive.

use std::io::{self, Read as _};
use std::path::Path;

use remora_smol::file;

/// Whether a regular file has a first byte. Anything but a regular file is an error.
pub(crate) fn first_byte(path: &Path) -> io::Result<bool> {
    file::open(path)?.read(&mut [0]).map(|read| read > 0)
}
