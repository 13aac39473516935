//! TLS on the client side. The only module that names rustls.
//!
//! A [`Session`] owns no socket. [`Session::read_from`] and [`Session::write_to`] move records, with one read or write
//! each; [`Session::turn`] processes what was read, and [`Session::seal`] encrypts pieces of memory as one stream. The
//! same four calls fit rustls' next interface, in which the caller owns the input buffer.
//!
//! Two things about rustls are easy to get wrong: what it decrypted must be taken after each read, or it reads no more;
//! and after an error, the alert for the peer must still be written.

mod provider;
#[cfg(test)]
pub(crate) mod server;
mod witness;

use std::fmt;
use std::io::{self, BufRead as _, IoSlice, Write as _};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, crypto};

pub use witness::CertificateFault;
pub(crate) use witness::Witness;

use crate::trust::Roots;

/// Sessions remembered for resumption. There is one host.
const TICKETS: usize = 4;

/// Most plaintext bytes in one record (RFC 8446 §5.1).
const RECORD: usize = 16 * 1024;

/// Records after which a session is worn out: half of what rustls seals with one key, so a request fits into the rest.
const MOST_RECORDS: usize = 1 << 23;

/// Why TLS failed, in one line.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        Self(error.to_string())
    }
}

/// The cryptography in use, also for the token exchange's connections.
pub(crate) fn provider() -> Arc<crypto::CryptoProvider> {
    provider::provider()
}

/// How many of `certificates` cannot serve as roots.
pub(crate) fn unusable_roots(certificates: &[CertificateDer<'static>]) -> usize {
    RootCertStore::empty().add_parsable_certificates(certificates.iter().cloned()).1
}

fn store(roots: &Roots) -> RootCertStore {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::BuiltIn => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::Own(certificates) => drop(store.add_parsable_certificates(certificates.iter().cloned())),
    }
    store
}

/// What all sessions share: roots, cryptography, tickets.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    pub(crate) fn new(roots: &Roots) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store(roots))
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(TICKETS);
        Ok(Self(Arc::new(config)))
    }

    /// The same for one handshake, with a [`Witness`] that remembers what the peer presented. It trusts no more than
    /// [`Client::new`] does.
    pub(crate) fn witnessed(roots: &Roots) -> Result<(Self, Witness), TlsError> {
        let witness = Witness::default();
        let watched = witness::Watched { roots: store(roots), provider: provider(), witness: witness.clone() };
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(watched))
            .with_no_client_auth();
        Ok((Self(Arc::new(config)), witness))
    }

    /// A session with `host`, a DNS name or an address.
    pub(crate) fn open(&self, host: &str) -> Result<Session, TlsError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|error| TlsError(error.to_string()))?;
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name)?;
        // No limit is needed: the caller writes what it has sealed before it seals more.
        connection.set_buffer_limit(None);
        Ok(Session { connection, records: 0, peer_closed: false })
    }
}

/// The TLS state of one connection.
pub(crate) struct Session {
    connection: ClientConnection,
    /// Records sealed so far.
    records: usize,
    peer_closed: bool,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("established", &self.is_established()).finish_non_exhaustive()
    }
}

impl Session {
    /// Reads once; 0 is the end, which follows at once after the peer's `close_notify`.
    pub(crate) fn read_from(&mut self, from: &mut dyn io::Read) -> io::Result<usize> {
        self.connection.read_tls(from)
    }

    /// Writes once, as much as possible; call it while there [is something](Session::has_outgoing).
    pub(crate) fn write_to(&mut self, to: &mut dyn io::Write) -> io::Result<usize> {
        self.connection.write_tls(to)
    }

    /// Whether it should carry no new request. True before its keys are used up: TLS 1.2 cannot renew them (RFC 9325
    /// §4.4), and rustls then accepts data that it never sends.
    pub(crate) const fn is_worn(&self) -> bool {
        self.records >= MOST_RECORDS
    }

    /// Whether something is to be sent to the peer.
    pub(crate) fn has_outgoing(&self) -> bool {
        self.connection.wants_write()
    }

    /// Whether the handshake is done.
    pub(crate) fn is_established(&self) -> bool {
        !self.connection.is_handshaking()
    }

    /// Whether the peer said that it will send no more.
    pub(crate) const fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Processes what was read: decrypted bytes go to `sink`; responses, or an error's alert, must then be written.
    pub(crate) fn turn(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), TlsError> {
        let processed = self.connection.process_new_packets();
        let mut reader = self.connection.reader();
        while let Ok(bytes) = reader.fill_buf()
            && !bytes.is_empty()
        {
            sink(bytes);
            let n = bytes.len();
            reader.consume(n);
        }
        self.peer_closed = processed?.peer_has_closed();
        // rustls frees its buffer for long records only before a read: with this one, an idle connection keeps little.
        let _ = self.connection.read_tls(&mut Nothing);
        Ok(())
    }

    /// Encrypts `pieces` as one stream, in as few records as possible.
    pub(crate) fn seal(&mut self, pieces: &[IoSlice<'_>]) -> Result<(), TlsError> {
        let taken = self.connection.writer().write_vectored(pieces).map_err(|error| TlsError(error.to_string()))?;
        self.records += taken.div_ceil(RECORD);
        if taken < pieces.iter().map(|piece| piece.len()).sum() {
            return Err(TlsError("a part was not sealed".to_owned()));
        }
        Ok(())
    }

    /// Marks it as worn out.
    #[cfg(test)]
    pub(crate) const fn wear_out(&mut self) {
        self.records = MOST_RECORDS;
    }

    /// Ends the stream: the `close_notify` alert must then be written.
    pub(crate) fn close(&mut self) {
        self.connection.send_close_notify();
    }
}

/// A source without data.
struct Nothing;

impl io::Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(test)]
mod tests;
