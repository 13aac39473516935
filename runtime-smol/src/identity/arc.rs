//! The system-assigned identity of an Azure Arc machine. Its agent requires the content of a file that only root and
//! the agent's own group may read: it names the file in a challenge, and the request is repeated with the content.
//!
//! Anything that answers on the agent's port could name any file, so only the agent's own key files are read.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::answer::{self, Origin};
use super::failure::{self, Failure};
use super::http::{Answer, Http};
use super::{Exchanged, TokenSource, managed};
use crate::config::ManagedIdentity;
use crate::endpoint::LocalEndpoint;
use crate::file;
use crate::hint::{self, Hint, Requester};

const API_VERSION: &str = "2020-06-01";

/// Where the agent puts its keys on Linux.
const KEYS: &str = "/var/opt/azcmagent/tokens";

/// Longest accepted key in bytes, as in Microsoft's authentication libraries.
const MAX_KEY: u64 = 4096;

/// An Arc machine's agent.
pub(super) struct ArcAgent {
    http: Http,
    url: LocalEndpoint,
    identity: ManagedIdentity,
}

impl ArcAgent {
    pub(super) fn new(identity: &ManagedIdentity, url: &LocalEndpoint) -> Self {
        Self { http: Http::local(url.address()), url: url.clone(), identity: identity.clone() }
    }

    fn ask(&self, authorization: Option<&str>) -> Result<Answer, Failure> {
        let query = managed::query(&self.identity, API_VERSION, "msi_res_id");
        let mut fields = vec![("Metadata", "true")];
        fields.extend(authorization.map(|value| ("Authorization", value)));
        let answer = self.http.get(&self.url.to_string(), self.url.authority(), &query, &fields);
        answer.map_err(|failure| failure.unanswered(&hint::ARC_UNREACHABLE))
    }

    fn exchange(&self) -> Exchanged {
        let answer = self.ask(None)?;
        if answer.status != 401 {
            return answer::decode(Origin::Arc, None, &answer);
        }
        let key = read_key(answer.challenge.as_deref(), Path::new(KEYS))?;
        let authorization = Zeroizing::new(format!("Basic {}", key.as_str()));
        let decoded = answer::decode(Origin::Arc, None, &self.ask(Some(&authorization))?);
        decoded.map_err(|failure| failure.without(&key))
    }
}

impl TokenSource for ArcAgent {
    fn attempt(&mut self) -> Exchanged {
        let sent = managed::sent(&self.identity, self.url.authority());
        self.exchange().map_err(|failure| failure.with_sent(&sent).refined(Requester::Managed))
    }
}

/// The content of the key file that a challenge names, if it is one of those in `keys`.
fn read_key(challenge: Option<&str>, keys: &Path) -> Result<Zeroizing<String>, Failure> {
    let refused = |why: &str, hint: &'static Hint| Failure::new(format!("the agent's challenge {why}")).with_hint(hint);
    let path = key_path(challenge, keys).map_err(|why| refused(why, &hint::ARC_CHALLENGE))?;
    let unreadable = |error| refused(&format!("names {}: {error}", path.display()), hint_of(&error));
    let folder = fs::symlink_metadata(keys).map_err(unreadable)?;
    let no_file = || refused("does not name a regular file in a regular folder", &hint::ARC_CHALLENGE);
    let opened = open(&path).map_err(|error| if is_link(&error) { no_file() } else { unreadable(error) })?;
    let named = opened.metadata().map_err(unreadable)?;
    if !folder.is_dir() || !named.is_file() {
        return Err(no_file());
    }
    if named.len() > MAX_KEY {
        return Err(refused("names a file that is too large for a key", &hint::ARC_CHALLENGE));
    }
    if named.uid() != 0 && named.uid() != folder.uid() {
        return Err(refused("names a file that is owned by neither root nor the agent", &hint::ARC_CHALLENGE));
    }
    file::text_of(opened).map_err(unreadable)
}

/// A folder that is not mounted into a container is not a permissions problem.
fn hint_of(error: &io::Error) -> &'static Hint {
    match error.kind() {
        io::ErrorKind::NotFound => &hint::ARC_KEY_MISSING,
        io::ErrorKind::PermissionDenied => &hint::ARC_KEY,
        _ => failure::hint_of(error, &hint::ARC_CHALLENGE),
    }
}

/// Opens the file before it is examined, so that it cannot be swapped in between. A link is not followed, and a pipe
/// does not block.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn is_link(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// `keys` joined with the file name of the challenge, which must name exactly that path.
fn key_path(challenge: Option<&str>, keys: &Path) -> Result<PathBuf, &'static str> {
    let challenge = challenge.ok_or("is missing")?;
    let realm = challenge.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"));
    let realm = realm.and_then(|(_, rest)| rest.trim().strip_prefix("realm=")).ok_or("is not Basic realm=<file>")?;
    let named = Path::new(realm.trim_matches('"'));
    let name = named.file_name().ok_or("does not name a file")?;
    let path = keys.join(name);
    // Compared as text: to `Path`, `a/./b` and `a/b` are equal.
    if path.as_os_str() != named.as_os_str() {
        return Err("names a file outside the agent's folder");
    }
    if path.extension().is_none_or(|extension| extension != "key") {
        return Err("names a file that is not a key");
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("remora-arc-{}-{name}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn read(&self, challenge: &str) -> Result<String, String> {
            let challenge = challenge.replace("KEYS", &self.0.display().to_string());
            let read = read_key(Some(&challenge), &self.0);
            read.map(|key| key.to_string()).map_err(|failure| failure.message)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn a_key_of_the_agents_is_read() {
        let folder = Folder::new("good");
        fs::write(folder.0.join("a-1.key"), "the key").unwrap();
        assert_eq!(folder.read("Basic realm=KEYS/a-1.key").as_deref(), Ok("the key"));
        assert_eq!(folder.read("basic realm=\"KEYS/a-1.key\"").as_deref(), Ok("the key"));
    }

    #[test]
    fn the_file_read_is_the_one_examined() {
        let folder = Folder::new("swapped");
        let path = folder.0.join("a.key");
        fs::write(&path, "the key").unwrap();
        let opened = open(&path).unwrap();
        fs::rename(&path, folder.0.join("b.key")).unwrap();
        symlink("/etc/passwd", &path).unwrap();
        assert_eq!(file::text_of(opened).unwrap().as_str(), "the key");
        assert!(is_link(&open(&path).unwrap_err()));
    }

    #[test]
    fn a_key_that_is_not_there_is_told_apart_from_one_that_may_not_be_read() {
        let folder = Folder::new("missing");
        for keys in [folder.0.clone(), folder.0.join("not-mounted")] {
            let challenge = format!("Basic realm={}/a.key", keys.display());
            let failure = read_key(Some(&challenge), &keys).unwrap_err();
            assert_eq!(failure.hint, Some(&hint::ARC_KEY_MISSING), "{failure}");
        }
        assert_eq!(hint_of(&Errno::ACCESS.into()), &hint::ARC_KEY);
        assert_eq!(hint_of(&Errno::IO.into()), &hint::ARC_CHALLENGE);
        assert_eq!(hint_of(&Errno::MFILE.into()), &hint::OPEN_FILES);
    }

    #[test]
    fn any_other_file_is_left_alone() {
        let folder = Folder::new("bad");
        fs::write(folder.0.join("long.key"), vec![b'x'; 4097]).unwrap();
        fs::write(folder.0.join("a.txt"), "x").unwrap();
        fs::create_dir(folder.0.join("folder.key")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, folder.0.join("pipe.key"), Mode::RUSR).unwrap();
        symlink("/etc/passwd", folder.0.join("link.key")).unwrap();
        for (challenge, why) in [
            ("Basic realm=KEYS/../a.key", "outside"),
            ("Basic realm=KEYS/./a.key", "outside"),
            ("Basic realm=/etc/shadow.key", "outside"),
            ("Basic realm=a.key", "outside"),
            ("Basic realm=KEYS/a.txt", "is not a key"),
            ("Basic realm=KEYS/..", "does not name a file"),
            ("Basic realm=", "does not name a file"),
            ("Basic KEYS/a.key", "is not Basic realm"),
            ("Bearer realm=KEYS/a.key", "is not Basic realm"),
            ("Basic realm=KEYS/long.key", "too large"),
            ("Basic realm=KEYS/link.key", "not name a regular file"),
            ("Basic realm=KEYS/folder.key", "not name a regular file"),
            ("Basic realm=KEYS/pipe.key", "not name a regular file"),
            ("Basic realm=KEYS/missing.key", "No such file"),
        ] {
            let message = folder.read(challenge).unwrap_err();
            assert!(message.contains(why), "{challenge}: {message}");
        }
        assert!(read_key(None, &folder.0).unwrap_err().message.contains("is missing"));
    }
}
