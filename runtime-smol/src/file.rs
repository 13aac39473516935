//! Files that others mount, and replace while the process runs.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a regular file; links are followed, since projected volumes consist of them. Anything else is an error,
/// checked on the open file: a pipe without a writer must not block the thread that opens it.
pub fn open(path: &Path) -> io::Result<File> {
    let file = File::from(rustix::fs::open(path, OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// The bytes of a text without the byte order mark that some editors on Windows put first.
pub(crate) fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read as _;
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
}
