//! A certificate verifier that remembers what it saw. It decides nothing: rustls' verification does.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{self, CryptoProvider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Why a certificate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
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

impl CertificateFault {
    /// The fault in an I/O error that wraps a rustls error.
    pub(crate) fn within(error: &io::Error) -> Self {
        error.get_ref().and_then(|error| error.downcast_ref()).map_or(Self::Other, Self::of)
    }

    pub(crate) const fn of(error: &Error) -> Self {
        match error {
            // A root with the same name and another key is another root.
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

/// Remembers what one handshake showed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness(Arc<Mutex<Seen>>);

/// What a handshake showed.
#[derive(Debug, Default)]
struct Seen {
    certificate: Option<CertificateDer<'static>>,
    fault: Option<CertificateFault>,
}

impl Witness {
    /// The peer's own certificate.
    pub(crate) fn presented(&self) -> Option<CertificateDer<'static>> {
        self.seen().certificate.clone()
    }

    /// Why it was refused, if it was.
    pub(crate) fn fault(&self) -> Option<CertificateFault> {
        self.seen().fault
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// rustls' own verification, observed: trust anchor, then name, like its verifier without revocation lists.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) roots: RootCertStore,
    pub(super) provider: Arc<CryptoProvider>,
    pub(super) witness: Witness,
}

impl Watched {
    fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        verify_server_name(&certificate, server_name)?;
        Ok(ServerCertVerified::assertion())
    }
}

impl ServerCertVerifier for Watched {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self.judge(end_entity, intermediates, server_name, now);
        let certificate = Some(end_entity.clone().into_owned());
        *self.witness.seen() = Seen { certificate, fault: verdict.as_ref().err().map(CertificateFault::of) };
        verdict
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
