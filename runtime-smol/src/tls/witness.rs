//! A check of certificates that remembers what it saw. It decides nothing: what rustls' own check refuses stays refused.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// What is wrong with a certificate that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// No trusted root signed it.
    Untrusted,
    /// It is for another host.
    WrongName,
    /// By this machine's clock it has expired.
    Expired,
    /// By this machine's clock it is not valid yet.
    NotYetValid,
    /// Anything else.
    Other,
}

impl Doubt {
    const fn of(error: &Error) -> Self {
        match error {
            // A root of the same name with another key is another root.
            Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
                Self::Untrusted
            }
            Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Self::WrongName,
            Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
                Self::Expired
            }
            Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
                Self::NotYetValid
            }
            _ => Self::Other,
        }
    }
}

/// What one handshake showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<(Option<CertificateDer<'static>>, Option<Doubt>)>>);

impl Witness {
    /// The peer's own certificate.
    pub(crate) fn presented(&self) -> Option<CertificateDer<'static>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// Why it was refused, if it was.
    pub(crate) fn doubt(&self) -> Option<Doubt> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// rustls' own check, watched.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) inner: Arc<WebPkiServerVerifier>,
    pub(super) witness: Witness,
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let seen = (Some(end_entity.clone().into_owned()), verdict.as_ref().err().map(Doubt::of));
        *self.witness.0.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
