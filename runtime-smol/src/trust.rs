//! Which certificates the sidecar trusts: Mozilla's, built in, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR` instead.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{self, PemObject as _};

use crate::config::TrustSource;
use crate::file;
use crate::tls;

/// The roots for every connection, to Entra and to the ingestion endpoint alike.
#[derive(Clone, Debug)]
pub struct Trust {
    pub(crate) roots: Roots,
    /// Certificates that were read but cannot serve as roots.
    pub unusable: usize,
}

/// The certificates that a peer's chain may end in.
#[derive(Clone, Debug)]
pub(crate) enum Roots {
    /// Mozilla's, compiled in.
    BuiltIn,
    /// These alone.
    Own(Vec<CertificateDer<'static>>),
}

/// Why no roots could be read.
#[derive(Debug)]
pub enum TrustError {
    /// The file or folder cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The file is not PEM; the number is that of the bad part, counted from 1.
    Pem(PathBuf, usize, pem::Error),
    /// It contains nothing that can serve as a root. Of several folders, the first is named.
    Empty(PathBuf),
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Pem(path, part, error) => {
                write!(f, "{}: part {part} is not PEM: {}", path.display(), pem_fault(error))
            }
            Self::Empty(path) => write!(f, "{}: it holds no usable CA certificate", path.display()),
        }
    }
}

impl std::error::Error for TrustError {}

impl TrustError {
    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Unreadable(path, _) | Self::Pem(path, ..) | Self::Empty(path) => path,
        }
    }
}

impl Trust {
    /// Reads the roots. Unusable certificates are counted and skipped, as long as one is usable.
    pub fn load(source: &TrustSource) -> Result<Self, TrustError> {
        let (path, found) = match source {
            TrustSource::BuiltIn => return Ok(Self::built_in()),
            TrustSource::File(file) => (Some(file), read_file(file)?),
            TrustSource::Dirs(dirs) => (dirs.first(), read_dirs(dirs)?),
            TrustSource::FileAndDirs { file, dirs } => (Some(file), [read_file(file)?, read_dirs(dirs)?].concat()),
        };
        let mut certificates = Vec::new();
        for certificate in found {
            // A folder usually contains the bundle's certificates again.
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
        Self::own(certificates).ok_or_else(|| TrustError::Empty(path.cloned().unwrap_or_default()))
    }

    /// The roots of a PEM text, of which at least one must be usable; or what is wrong with it.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        let parts = CertificateDer::pem_slice_iter(file::without_mark(pem)).collect::<Result<Vec<_>, _>>();
        let certificates = parts.map_err(|error| format!("not PEM: {}", pem_fault(&error)))?;
        Self::own(certificates).ok_or_else(|| "it holds no usable certificate".to_owned())
    }

    /// The built-in roots.
    pub const fn built_in() -> Self {
        Self { roots: Roots::BuiltIn, unusable: 0 }
    }

    /// `certificates` alone as roots; `None` if none of them is usable.
    pub(crate) fn own(certificates: Vec<CertificateDer<'static>>) -> Option<Self> {
        let unusable = tls::unusable_roots(&certificates);
        (unusable < certificates.len()).then_some(Self { roots: Roots::Own(certificates), unusable })
    }
}

/// Describes a PEM fault without quoting the text: the error holds whole lines, and a line may be part of a key.
pub(crate) const fn pem_fault(error: &pem::Error) -> &'static str {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a BEGIN line without its END line; is the file on one line?",
        pem::Error::IllegalSectionStart { .. } => "a malformed BEGIN line",
        pem::Error::Base64Decode(_) => "the text between the lines is not base64",
        pem::Error::NoItemsFound => "it holds nothing of this kind",
        pem::Error::SectionTooLarge => "a part is too long",
        _ => "it cannot be read",
    }
}

fn read_file(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let bytes = file::read_authorities(path).map_err(|error| TrustError::Unreadable(path.to_owned(), error))?;
    let parts = CertificateDer::pem_slice_iter(file::without_mark(&bytes)).enumerate();
    parts.map(|(i, part)| part.map_err(|error| TrustError::Pem(path.to_owned(), i + 1, error))).collect()
}

fn read_dirs(paths: &[PathBuf]) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    paths.iter().map(|path| read_dir(path)).collect::<Result<Vec<_>, _>>().map(|found| found.concat())
}

/// All certificates in a folder's files. Files that are not PEM are skipped, as in OpenSSL.
fn read_dir(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unreadable = |error| TrustError::Unreadable(path.to_owned(), error);
    let names = fs::read_dir(path)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(unreadable)?;
    Ok(names.iter().filter_map(|name| read_file(name).ok()).flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str, content: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("remora-trust-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        path
    }

    fn load(file: &Path) -> Result<Trust, TrustError> {
        Trust::load(&TrustSource::File(file.to_owned()))
    }

    #[test]
    fn the_built_in_source_gives_the_built_in_roots() {
        let trust = Trust::load(&TrustSource::BuiltIn).unwrap();
        assert!(matches!(trust.roots, Roots::BuiltIn));
        assert!(tls::Client::new(&trust.roots).is_ok());
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("/nonexistent/ca.pem")).unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/ca.pem: "), "{error}");
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let path = scratch("empty.pem", "# nothing\n");
        assert!(matches!(load(&path), Err(TrustError::Empty(_))));
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_text_without_an_authority_never_means_the_built_in_ones() {
        for pem in ["", "# nothing", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"] {
            assert!(Trust::parse(pem.as_bytes()).is_err(), "{pem}");
        }
    }

    #[test]
    fn a_mark_at_the_beginning_does_not_hide_the_first_certificate() {
        let made = rcgen::generate_simple_self_signed(["remora.example".to_owned()]).unwrap();
        let path = scratch("marked.pem", &format!("\u{feff}{}", made.cert.pem()));
        assert!(load(&path).is_ok());
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_broken_part_is_counted() {
        let path = scratch("broken.pem", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("part 1"), "{error}");
        fs::remove_file(path).unwrap();
    }

    #[test]
    fn every_folder_is_read() {
        let folders = ["a", "b"].map(|name| {
            let folder = std::env::temp_dir().join(format!("remora-trust-{}-{name}", std::process::id()));
            fs::create_dir(&folder).unwrap();
            let made = rcgen::generate_simple_self_signed([format!("{name}.example")]).unwrap();
            fs::write(folder.join("ca.pem"), made.cert.pem()).unwrap();
            folder
        });
        let trust = Trust::load(&TrustSource::Dirs(folders.to_vec())).unwrap();
        assert!(matches!(&trust.roots, Roots::Own(certificates) if certificates.len() == 2), "{trust:?}");
        let [first, second] = folders;
        fs::remove_dir_all(&second).unwrap();
        let error = Trust::load(&TrustSource::Dirs(vec![first.clone(), second.clone()])).unwrap_err();
        assert_eq!(error.path(), second);
        fs::remove_dir_all(first).unwrap();
    }

    #[test]
    fn a_pipe_is_refused_at_once_and_passed_over_in_a_folder() {
        let folder = std::env::temp_dir().join(format!("remora-trust-{}-folder", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let pipe = folder.join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR).unwrap();
        let error = load(&pipe).unwrap_err().to_string();
        assert!(error.ends_with("pipe: not a regular file"), "{error}");
        let within = Trust::load(&TrustSource::Dirs(vec![folder.clone()]));
        assert!(matches!(within, Err(TrustError::Empty(_))), "{within:?}");
        fs::remove_dir_all(folder).unwrap();
    }
}
