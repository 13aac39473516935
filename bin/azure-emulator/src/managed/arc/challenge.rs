//! Arc's challenge files: a client has to return their content.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How long a challenge can be answered.
const LIFE: Duration = Duration::from_secs(60);

/// Most open challenges; beyond that the oldest is dropped.
const OPEN: usize = 64;

/// File size in bytes above which a client has to refuse a file.
const LARGEST: usize = 4096;

/// The kind of a challenge: a valid one, or one that a client has to refuse. The correct answer to it is accepted
/// anyway, so that a client which gives it is caught.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ArcChallenge {
    #[default]
    Ordinary,
    /// A file in another folder.
    Elsewhere,
    /// A path that leaves the folder and returns to it.
    Traversal,
    /// A file name that does not end in `.key`.
    OtherExtension,
    /// A file of more than 4,096 bytes.
    TooLarge,
    /// A symbolic link to a file elsewhere.
    Symlink,
    /// A file that does not exist.
    Missing,
    /// A `Basic` challenge without a realm.
    NoRealm,
    /// Another scheme.
    Bearer,
}

/// The open challenges, and the folders of their files.
#[derive(Debug)]
pub(crate) struct Challenges {
    folder: PathBuf,
    /// Folder for files outside the challenge folder.
    elsewhere: PathBuf,
    /// The challenge folder as a client sees it.
    announced: PathBuf,
    open: Mutex<VecDeque<Open>>,
}

#[derive(Debug)]
struct Open {
    content: String,
    file: PathBuf,
    until: Instant,
}

impl Drop for Open {
    fn drop(&mut self) {
        // It may already be gone, because a client may remove it as well.
        fs::remove_file(&self.file).ok();
    }
}

impl Challenges {
    /// Creates the folder and one beside it, and removes files left by an earlier process.
    pub(crate) fn open(folder: PathBuf, announced: PathBuf) -> io::Result<Self> {
        let elsewhere = folder.with_file_name("arc-elsewhere");
        for folder in [&folder, &elsewhere] {
            fs::DirBuilder::new().recursive(true).mode(0o750).create(folder)?;
            for entry in fs::read_dir(folder)? {
                fs::remove_file(entry?.path())?;
            }
        }
        Ok(Challenges { folder, elsewhere, announced, open: Mutex::default() })
    }

    /// Writes a file and returns the `WWW-Authenticate` value that names it.
    pub(crate) fn make(&self, kind: ArcChallenge) -> io::Result<String> {
        let (id, content) = (Uuid::new_v4(), content(kind));
        let (file, realm) = self.places(kind, &id.to_string());
        if kind == ArcChallenge::Symlink {
            let target = self.elsewhere.join(format!("{id}.key"));
            write(&target, &content)?;
            symlink(&target, &file)?;
        } else if kind != ArcChallenge::Missing {
            write(&file, &content)?;
        }
        let mut open = self.open.lock();
        open.retain(|challenge| challenge.until > Instant::now());
        if open.len() == OPEN {
            open.pop_front();
        }
        open.push_back(Open { content, file, until: Instant::now() + LIFE });
        Ok(match kind {
            ArcChallenge::NoRealm => "Basic".to_owned(),
            ArcChallenge::Bearer => format!("Bearer realm={}", realm.display()),
            _ => format!("Basic realm={}", realm.display()),
        })
    }

    /// The file, and its path as announced to a client.
    fn places(&self, kind: ArcChallenge, id: &str) -> (PathBuf, PathBuf) {
        let name = format!("{id}.key");
        match kind {
            ArcChallenge::OtherExtension => {
                let name = format!("{id}.txt");
                (self.folder.join(&name), self.announced.join(name))
            }
            ArcChallenge::Elsewhere => {
                let file = self.elsewhere.join(name);
                (file.clone(), file)
            }
            ArcChallenge::Traversal => {
                let back = self.announced.file_name().unwrap_or_default();
                (self.folder.join(&name), self.announced.join("..").join(back).join(name))
            }
            _ => (self.folder.join(&name), self.announced.join(name)),
        }
    }

    /// Whether a challenge with this content is open; closes it.
    pub(crate) fn take(&self, content: &str) -> bool {
        let mut open = self.open.lock();
        open.retain(|challenge| challenge.until > Instant::now());
        let found = open.iter().position(|challenge| challenge.content == content);
        found.and_then(|position| open.remove(position)).is_some()
    }
}

fn content(kind: ArcChallenge) -> String {
    let id = Uuid::new_v4().simple().to_string();
    if kind == ArcChallenge::TooLarge { id.repeat(LARGEST / id.len() + 1) } else { id }
}

/// Readable by owner and group, as with the real agent.
fn write(path: &Path, content: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o640).open(path)?;
    io::Write::write_all(&mut file, content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::temporary;

    #[test]
    fn an_answer_opens_once_and_its_file_goes() {
        let directory = temporary();
        let challenges = Challenges::open(directory.path("tokens"), "/announced".into()).unwrap();
        let value = challenges.make(ArcChallenge::Ordinary).unwrap();
        let name = value.strip_prefix("Basic realm=/announced/").unwrap();
        let file = directory.path("tokens").join(name);
        let content = fs::read_to_string(&file).unwrap();
        assert!(!challenges.take("another"));
        assert!(challenges.take(&content));
        assert!(!challenges.take(&content) && !file.exists());
        fs::remove_dir_all(directory.path("")).unwrap();
    }

    #[test]
    fn every_odd_challenge_is_odd_in_its_own_way() {
        let directory = temporary();
        let folder = directory.path("tokens");
        let challenges = Challenges::open(folder.clone(), folder.clone()).unwrap();
        let realm = |kind| challenges.make(kind).unwrap().strip_prefix("Basic realm=").map(PathBuf::from);
        assert_eq!(realm(ArcChallenge::NoRealm), None);
        assert_eq!(realm(ArcChallenge::Bearer), None);
        assert!(!realm(ArcChallenge::Missing).unwrap().exists());
        assert!(realm(ArcChallenge::Symlink).unwrap().is_symlink());
        assert!(fs::metadata(realm(ArcChallenge::TooLarge).unwrap()).unwrap().len() > 4096);
        assert_eq!(realm(ArcChallenge::OtherExtension).unwrap().extension().unwrap(), "txt");
        assert_ne!(realm(ArcChallenge::Elsewhere).unwrap().parent().unwrap(), folder);
        let through = realm(ArcChallenge::Traversal).unwrap();
        assert!(through.exists() && through.to_str().unwrap().contains("/../"));
        fs::remove_dir_all(directory.path("")).unwrap();
    }
}
