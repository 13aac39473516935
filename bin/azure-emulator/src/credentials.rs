//! The client certificates of the application: as files with which a client signs its assertions, and as the
//! application's registration in Entra. Their issuer is an authority of their own, which only subject-name
//! authentication checks.

mod files;
mod pfx;

use std::fmt::Write;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::Value;

use crate::directory::Directory;

pub(crate) use files::{PASSWORD, PEM, PFX};

/// The content of the application's registration.
#[derive(Debug)]
pub(crate) struct Registration {
    certificates: Vec<CertificateDer<'static>>,
    /// The authority whose certificates are accepted by subject name, if the settings name a subject.
    pub(crate) authority: CertificateDer<'static>,
}

impl Registration {
    /// Reads the folder's certificates; creates them at the first start.
    pub(crate) fn load(directory: &Directory) -> io::Result<Self> {
        if directory.read(files::AUTHORITY)?.is_none() {
            files::make(directory)?;
        }
        let certificates =
            files::REGISTERED.iter().map(|name| certificate(directory, name)).collect::<io::Result<_>>()?;
        Ok(Registration { certificates, authority: certificate(directory, files::AUTHORITY)? })
    }

    /// The registered certificate with this thumbprint.
    pub(crate) fn find(&self, thumbprint: &Thumbprint) -> Option<&CertificateDer<'static>> {
        self.certificates.iter().find(|certificate| thumbprint.is_of(certificate))
    }
}

fn certificate(directory: &Directory, file: &str) -> io::Result<CertificateDer<'static>> {
    let content = directory.read(file)?.unwrap_or_default();
    CertificateDer::from_pem_slice(&content).map_err(|error| io::Error::other(format!("{file}: {error}")))
}

/// The digest by which an assertion's header names its certificate (RFC 7515 §4.1.7 and §4.1.8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thumbprint {
    algorithm: &'static Algorithm,
    /// Standard base64 without padding.
    text: String,
}

impl Thumbprint {
    /// `x5t#S256`, otherwise `x5t`. Accepts either base64 alphabet, padded or not: MSAL for Go sends the standard one,
    /// which Entra accepts.
    pub(crate) fn in_header(header: &Value) -> Option<Self> {
        let named = |name: &str, algorithm| {
            let text = header[name].as_str()?.trim_end_matches('=').replace('-', "+").replace('_', "/");
            Some(Thumbprint { algorithm, text })
        };
        named("x5t#S256", &SHA256).or_else(|| named("x5t", &SHA1_FOR_LEGACY_USE_ONLY))
    }

    /// Whether it is the thumbprint of this certificate.
    pub(crate) fn is_of(&self, certificate: &CertificateDer<'_>) -> bool {
        STANDARD_NO_PAD.encode(digest(self.algorithm, certificate)) == self.text
    }

    /// In the form shown by the portal: upper-case hexadecimal. Empty if it is not a digest.
    pub(crate) fn shown(&self) -> String {
        let bytes = STANDARD_NO_PAD.decode(&self.text).unwrap_or_default();
        bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            write!(text, "{byte:02X}").unwrap_or_default();
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_thumbprint_is_read_in_every_base64_that_clients_send() {
        let certificate = CertificateDer::from(b"certificate 3".to_vec());
        let whole = digest(&SHA256, &certificate);
        let url = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(whole);
        let padded = base64::engine::general_purpose::STANDARD.encode(whole);
        assert_ne!(url, padded.trim_end_matches('='), "the test needs a digest in which the alphabets differ");
        for text in [url, padded] {
            let thumbprint = Thumbprint::in_header(&json!({"x5t#S256": text, "x5t": "other"})).unwrap();
            assert!(thumbprint.is_of(&certificate));
            assert_eq!(thumbprint.shown().len(), 64);
        }
        let short = STANDARD_NO_PAD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate));
        assert!(Thumbprint::in_header(&json!({"x5t": short})).unwrap().is_of(&certificate));
        assert_eq!(Thumbprint::in_header(&json!({"kid": "a"})), None);
    }
}
