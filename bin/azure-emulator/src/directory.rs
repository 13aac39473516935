//! The folder that outlives the process: keys, certificates, settings, projected tokens, the journal of accepted
//! bodies.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// An existing folder. All paths it returns are absolute, so that they can be handed to other processes.
#[derive(Debug)]
pub(crate) struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Creates the folder if it does not exist.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Directory { root: fs::canonicalize(path)? })
    }

    /// The path of a file in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A file's content; `None` if it does not exist.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path(name)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a file by renaming: a reader sees either the old content or the new, even if the process is killed
    /// meanwhile. Only the owner may read it.
    pub(crate) fn replace(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let beside = self.path(&format!(".{name}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(content)?;
        fs::rename(&beside, self.path(name))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A separate folder for one test.
    pub(crate) fn temporary() -> Directory {
        let path = std::env::temp_dir().join(format!("azure-emulator-{}", uuid::Uuid::new_v4()));
        Directory::open(&path).unwrap()
    }

    #[test]
    fn replaces_a_file_and_leaves_nothing_beside_it() {
        let directory = temporary();
        assert_eq!(directory.read("token").unwrap(), None);
        directory.replace("token", b"first").unwrap();
        directory.replace("token", b"second").unwrap();
        assert_eq!(directory.read("token").unwrap().unwrap(), b"second");
        assert_eq!(fs::read_dir(directory.path("")).unwrap().count(), 1);
        fs::remove_dir_all(directory.path("")).unwrap();
    }
}
