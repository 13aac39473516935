//! Credential files. They may be replaced while the process runs, and are read whole for each exchange.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

use crate::file::{open, without_mark};

/// Longest file that is read, in bytes: tokens, secrets and certificates are far shorter.
const MAX_FILE: u64 = 64 * 1024;

/// The bytes of a regular file.
pub(super) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    bytes_of(open(path)?)
}

fn bytes_of(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("longer than {MAX_FILE} bytes")));
    }
    Ok(bytes)
}

/// The text of a file, without the white space and the mark around it that hand-written files have.
pub(super) fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    text_of(open(path)?)
}

/// The same for an open file.
pub(super) fn text_of(file: File) -> io::Result<Zeroizing<String>> {
    let bytes = bytes_of(file)?;
    let text = std::str::from_utf8(without_mark(&bytes)).map_err(|_| io::Error::other("not UTF-8 text"))?.trim();
    if text.is_empty() { Err(io::Error::other("empty")) } else { Ok(Zeroizing::new(text.to_owned())) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn scratch(name: &str, content: &[u8]) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("remora-file-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        path
    }

    fn read_once(name: &str, content: &[u8]) -> io::Result<String> {
        let path = scratch(name, content);
        let text = read_text(&path).map(|text| text.to_string());
        fs::remove_file(path).unwrap();
        text
    }

    #[test]
    fn white_space_around_the_text_does_not_count() {
        assert_eq!(read_once("space", b" a b\r\n\n").unwrap(), "a b");
        assert_eq!(read_once("mark", "\u{feff}a b\r\n".as_bytes()).unwrap(), "a b");
        assert_eq!(read_once("mark-alone", "\u{feff}\r\n".as_bytes()).unwrap_err().to_string(), "empty");
    }

    #[test]
    fn empty_or_binary_files_are_refused() {
        assert_eq!(read_once("empty", b" \n").unwrap_err().to_string(), "empty");
        assert_eq!(read_once("binary", b"\xff\xfe").unwrap_err().to_string(), "not UTF-8 text");
        assert!(read_once("long", "x".repeat(70_000).as_bytes()).unwrap_err().to_string().starts_with("longer than"));
        assert_eq!(read(Path::new("/dev/zero")).unwrap_err().to_string(), "not a regular file");
        assert!(read(Path::new("/nowhere")).is_err());
    }
}
