//! Files that others mount, and replace while the process runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

/// Longest file with a credential, in bytes: tokens, secrets and certificates with their keys are far shorter.
const MOST_CREDENTIAL: u64 = 64 * 1024;

/// Longest file with certificate authorities, in bytes. Those of a distribution have 250 KB.
const MOST_AUTHORITIES: u64 = 4 * 1024 * 1024;

/// Opens a regular file; links are followed, since projected volumes consist of them. Anything else is an error,
/// checked on the open file: a pipe without a writer must not block the thread that opens it.
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::from(rustix::fs::open(path, OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// The bytes of a file with a credential.
pub(crate) fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    bytes_of(open(path)?, MOST_CREDENTIAL)
}

/// The bytes of a file with certificate authorities.
pub(crate) fn read_authorities(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    bytes_of(open(path)?, MOST_AUTHORITIES)
}

fn bytes_of(file: File, most: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}

/// The text of a file with a credential, without the white space and the mark around it that hand-written files have.
pub fn read_text(path: &Path) -> io::Result<Zeroizing<String>> {
    text_of(open(path)?)
}

/// The same for an open file.
pub(crate) fn text_of(file: File) -> io::Result<Zeroizing<String>> {
    let bytes = bytes_of(file, MOST_CREDENTIAL)?;
    let text = std::str::from_utf8(without_mark(&bytes)).map_err(|_| io::Error::other("not UTF-8 text"))?.trim();
    if text.is_empty() { Err(io::Error::other("empty")) } else { Ok(Zeroizing::new(text.to_owned())) }
}

/// The bytes of a text without the byte order mark that some editors on Windows put first.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_pipe_a_folder_and_a_device_are_refused_at_once() {
        let folder = std::env::temp_dir().join(format!("remora-open-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let (pipe, link) = (folder.join("pipe"), folder.join("link"));
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
        symlink(&pipe, &link).unwrap();
        for path in [&pipe, &link, &folder, Path::new("/dev/zero")] {
            assert_eq!(open(path).unwrap_err().to_string(), "not a regular file", "{}", path.display());
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn links_are_followed_as_in_a_projected_volume() {
        let folder = std::env::temp_dir().join(format!("remora-links-{}", std::process::id()));
        fs::create_dir_all(folder.join("..2026_01_01")).unwrap();
        fs::write(folder.join("..2026_01_01/token"), "a token").unwrap();
        symlink("..2026_01_01", folder.join("..data")).unwrap();
        symlink("..data/token", folder.join("token")).unwrap();
        let mut text = String::new();
        open(&folder.join("token")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "a token");
        fs::remove_dir_all(folder).unwrap();
    }

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

    #[test]
    fn authorities_may_be_longer_than_credentials_but_not_endless() {
        let path = scratch("authorities", &vec![b'x'; 300_000]);
        assert_eq!(read_authorities(&path).unwrap().len(), 300_000);
        assert!(read(&path).unwrap_err().to_string().starts_with("longer than"));
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(read_authorities(&path).unwrap_err().to_string().starts_with("longer than"));
        fs::remove_file(path).unwrap();
    }
}
