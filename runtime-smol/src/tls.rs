//! TLS on the client side. The only module that names rustls.
//!
//! A [`Session`] owns no socket. Bytes from the peer go into [`Session::space`], bytes for the peer come out of
//! [`Session::outgoing`]; [`Session::turn`] does what can be done in between, and [`Session::seal`] encrypts into a
//! buffer that all sessions share. The same three calls fit an interface in which rustls reads from and writes to
//! buffers of the caller's.
//!
//! Three things about the unbuffered interface are easy to get wrong, and are kept to here: it is always given all
//! bytes that are not consumed yet, never a part of them; a record that it hands out for encoding is encoded before
//! anything else is done; and after an error the alert is fetched from it, once, and sent.

mod provider;
mod records;
#[cfg(test)]
pub(crate) mod server;
mod witness;

use std::fmt;
use std::sync::Arc;

use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus};
use rustls::{ClientConfig, RootCertStore, crypto};

pub(crate) use records::Records;
pub use witness::Doubt;
pub(crate) use witness::Witness;

/// Room for incoming bytes at first, and after the handshake.
const SMALL: usize = 4 * 1024;

/// Longest handshake message rustls takes, with its header: a certificate chain may need it whole.
const LARGEST: usize = 0x1_0005 + 5 * 64;

/// Sessions that are remembered for resumption. There is one host.
const TICKETS: usize = 4;

/// What one record of 16 KiB grows by at most (RFC 8446 §5.2).
const RECORD_OVERHEAD: usize = 256;

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

/// The cryptography in use, for the token exchange's own connections.
pub(crate) fn provider() -> Arc<crypto::CryptoProvider> {
    provider::provider()
}

/// Checks which of `certificates` can serve as roots; returns how many cannot.
pub(crate) fn unusable_roots(certificates: &[CertificateDer<'static>]) -> usize {
    RootCertStore::empty().add_parsable_certificates(certificates.iter().cloned()).1
}

/// `certificates` as roots; none stands for the built-in ones.
fn roots(certificates: &[CertificateDer<'static>]) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    if certificates.is_empty() {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    } else {
        roots.add_parsable_certificates(certificates.iter().cloned());
    }
    roots
}

/// What all sessions share: roots, cryptography, tickets.
#[derive(Clone, Debug)]
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    /// `certificates` are the roots; none stands for the built-in ones.
    pub(crate) fn new(certificates: &[CertificateDer<'static>]) -> Result<Self, TlsError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots(certificates))
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(TICKETS);
        Ok(Self(Arc::new(config)))
    }

    /// The same for one handshake, with somebody who remembers what the peer presented. It trusts no more than
    /// [`Client::new`] does.
    pub(crate) fn witnessed(certificates: &[CertificateDer<'static>]) -> Result<(Self, Witness), TlsError> {
        let witness = Witness::default();
        let watched = witness::Watched { roots: roots(certificates), provider: provider(), witness: witness.clone() };
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
        let connection = UnbufferedClientConnection::new(Arc::clone(&self.0), name)?;
        Ok(Session {
            connection,
            incoming: vec![0; SMALL],
            filled: 0,
            outgoing: Records::default(),
            sent: 0,
            established: false,
            peer_closed: false,
            failure: None,
        })
    }
}

/// One connection's TLS.
pub(crate) struct Session {
    connection: UnbufferedClientConnection,
    incoming: Vec<u8>,
    filled: usize,
    outgoing: Records,
    sent: usize,
    established: bool,
    peer_closed: bool,
    failure: Option<String>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("established", &self.established).finish_non_exhaustive()
    }
}

/// Takes decrypted bytes.
type Sink<'s> = &'s mut dyn FnMut(&[u8]);

impl Session {
    /// Where bytes from the peer go; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.filled == self.incoming.len() {
            let grown = (self.incoming.len() * 2).min(LARGEST);
            self.incoming.resize(grown, 0);
        }
        self.incoming.get_mut(self.filled..).unwrap_or_default()
    }

    /// `n` bytes were put into the space.
    pub(crate) fn received(&mut self, n: usize) {
        self.filled = (self.filled + n).min(self.incoming.len());
    }

    /// Bytes to send to the peer.
    pub(crate) fn outgoing(&self) -> &[u8] {
        self.outgoing.as_bytes().get(self.sent..).unwrap_or_default()
    }

    /// The first `n` bytes of [`Session::outgoing`] were sent.
    pub(crate) fn sent(&mut self, n: usize) {
        self.sent += n;
        if self.sent >= self.outgoing.as_bytes().len() {
            // The memory goes too: an idle connection keeps nothing.
            self.outgoing = Records::default();
            self.sent = 0;
        }
    }

    /// Keeps sealed bytes that a socket did not take.
    pub(crate) fn keep(&mut self, sealed: &[u8]) {
        self.outgoing.append(sealed);
    }

    /// The handshake is done.
    pub(crate) const fn is_established(&self) -> bool {
        self.established
    }

    /// No part of a record is waiting for its rest.
    pub(crate) const fn is_between_records(&self) -> bool {
        self.filled == 0
    }

    /// The peer said that it will send no more.
    pub(crate) const fn is_peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Works through what came in: decrypted bytes go to `sink`, answers to [`Session::outgoing`]. After an error the
    /// alert for the peer is in [`Session::outgoing`].
    pub(crate) fn turn(&mut self, sink: Sink<'_>) -> Result<(), TlsError> {
        let mut answers = std::mem::take(&mut self.outgoing);
        let result = self.run(sink, &mut answers, None);
        self.outgoing = answers;
        result?;
        if self.established && self.filled == 0 && self.incoming.len() > SMALL {
            self.incoming = vec![0; SMALL];
        }
        Ok(())
    }

    /// Encrypts `plain`, behind what is already in `sealed`. The session must have nothing left to send.
    pub(crate) fn seal(&mut self, plain: &[u8], sealed: &mut Records, sink: Sink<'_>) -> Result<(), TlsError> {
        self.run(sink, sealed, Some(plain))
    }

    /// Says goodbye: the closing alert goes to [`Session::outgoing`].
    pub(crate) fn close(&mut self) {
        if self.failure.is_some() {
            return;
        }
        let UnbufferedStatus { state, .. } =
            self.connection.process_tls_records(filled(&mut self.incoming, self.filled));
        if let Ok(ConnectionState::WriteTraffic(mut writer)) = state {
            let n = writer.queue_close_notify(self.outgoing.space(64)).unwrap_or(0);
            self.outgoing.written(n);
        }
    }

    /// Runs the connection until it needs bytes from the peer, or until `plain` is encrypted.
    fn run(&mut self, sink: Sink<'_>, out: &mut Records, plain: Option<&[u8]>) -> Result<(), TlsError> {
        if let Some(failure) = &self.failure {
            return Err(TlsError(failure.clone()));
        }
        loop {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(filled(&mut self.incoming, self.filled));
            let mut done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        sink(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut record)) => encode(&mut |room| record.encode(room), out)?,
                Ok(ConnectionState::TransmitTlsData(record)) => record.done(),
                Ok(ConnectionState::PeerClosed) => self.peer_closed = true,
                Ok(ConnectionState::WriteTraffic(mut writer)) => {
                    self.established = true;
                    done = true;
                    if let Some(plain) = plain {
                        encrypt(&mut |room| writer.encrypt(plain, room), plain.len(), out)?;
                    }
                }
                Ok(ConnectionState::BlockedHandshake | ConnectionState::Closed) => done = true,
                Ok(_) => return Err(TlsError("unexpected state".to_owned())),
                Err(error) => {
                    self.discard(discard);
                    return Err(self.fail(&error, out));
                }
            }
            self.discard(discard);
            if done {
                return Ok(());
            }
        }
    }

    /// Fetches the alert that tells the peer. After that the connection is not touched any more: rustls takes a second
    /// failure for a bug.
    fn fail(&mut self, error: &rustls::Error, out: &mut Records) -> TlsError {
        let UnbufferedStatus { state, .. } =
            self.connection.process_tls_records(filled(&mut self.incoming, self.filled));
        if let Ok(ConnectionState::EncodeTlsData(mut alert)) = state {
            // Without the alert the peer sees the connection end.
            let _ = encode(&mut |room| alert.encode(room), out);
        }
        let text = error.to_string();
        self.failure = Some(text.clone());
        TlsError(text)
    }

    fn discard(&mut self, n: usize) {
        if n > 0 {
            self.incoming.copy_within(n.min(self.filled)..self.filled, 0);
            self.filled = self.filled.saturating_sub(n);
        }
    }
}

/// All bytes that are not consumed yet.
fn filled(incoming: &mut [u8], filled: usize) -> &mut [u8] {
    incoming.get_mut(..filled).unwrap_or_default()
}

/// Appends a handshake record to `out`; asks for its length by offering no room.
fn encode(record: &mut dyn FnMut(&mut [u8]) -> Result<usize, EncodeError>, out: &mut Records) -> Result<(), TlsError> {
    let needed = match record(&mut []) {
        Err(EncodeError::InsufficientSize(size)) => size.required_size,
        Ok(_) => return Ok(()),
        Err(error) => return Err(TlsError(error.to_string())),
    };
    let written = record(out.space(needed)).map_err(|error| TlsError(error.to_string()))?;
    out.written(written);
    Ok(())
}

/// Appends `length` encrypted bytes to `out`.
fn encrypt(
    plain: &mut dyn FnMut(&mut [u8]) -> Result<usize, EncryptError>,
    length: usize,
    out: &mut Records,
) -> Result<(), TlsError> {
    let records = length / (16 * 1024) + 1;
    let written = plain(out.space(length + records * RECORD_OVERHEAD)).map_err(|error| TlsError(error.to_string()))?;
    out.written(written);
    Ok(())
}

#[cfg(test)]
mod tests;
