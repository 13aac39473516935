//! A TLS connection through rustls' unbuffered interface: data is sealed into the buffer that `send` takes it from.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{ClientConfig, RootCertStore, crypto};

/// Room for bytes from upstream that are not processed yet.
const INCOMING: usize = 32 * 1024;

/// The plaintext of one record, and how much it grows at most when sealed (RFC 8446 §5.2).
const RECORD: usize = 16 * 1024;
const RECORD_OVERHEAD: usize = 256;

/// A configuration that trusts the certificates in a PEM file.
pub(crate) fn trusting(roots: &str) -> io::Result<Arc<ClientConfig>> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(roots).map_err(io::Error::other)? {
        store.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Sealed bytes, in memory that is zeroed once.
#[derive(Default)]
pub(crate) struct Sealed {
    bytes: Vec<u8>,
    filled: usize,
}

impl Sealed {
    /// At least `length` bytes of space after the filled part.
    fn space(&mut self, length: usize) -> &mut [u8] {
        if self.bytes.len() < self.filled + length {
            self.bytes.resize(self.filled + length, 0);
        }
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }
}

/// A connection, its keys and the bytes its socket did not take.
pub(crate) struct Session {
    socket: TcpStream,
    tls: UnbufferedClientConnection,
    incoming: Vec<u8>,
    filled: usize,
    unsent: Vec<u8>,
}

impl Session {
    /// Performs the handshake in blocking mode, then switches the socket to non-blocking.
    pub(crate) fn open(socket: TcpStream, config: &Arc<ClientConfig>, host: &str) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tls = UnbufferedClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut session = Self { socket, tls, incoming: vec![0; INCOMING], filled: 0, unsent: Vec::new() };
        let (mut flight, mut early) = (Sealed::default(), Vec::new());
        while !session.run(&mut early, &mut flight, None)? {
            session.socket.write_all(flight.as_bytes())?;
            flight.filled = 0;
            session.read_once()?;
        }
        session.socket.write_all(flight.as_bytes())?;
        session.socket.set_nonblocking(true)?;
        Ok(session)
    }

    pub(crate) const fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) const fn has_sent_all(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Encrypts into `sealed`, replacing its contents.
    pub(crate) fn seal(&mut self, plain: &[u8], sealed: &mut Sealed) -> io::Result<()> {
        sealed.filled = 0;
        self.run(&mut Vec::new(), sealed, Some(plain))?;
        Ok(())
    }

    /// Sends in one call; what the socket does not take is kept.
    pub(crate) fn send(&mut self, sealed: &Sealed) -> io::Result<()> {
        let taken = taken(self.socket.write(sealed.as_bytes()))?;
        self.unsent.extend_from_slice(sealed.as_bytes().get(taken..).unwrap_or_default());
        Ok(())
    }

    /// Sends what was kept.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let taken = taken(self.socket.write(&self.unsent))?;
            self.unsent.drain(..taken);
        }
        Ok(())
    }

    /// Appends what upstream sent to `answer`, until nothing more is available.
    pub(crate) fn receive(&mut self, answer: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let room = self.incoming.len() - self.filled;
            let n = match self.read_once() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                read => read?,
            };
            self.run(answer, &mut Sealed::default(), None)?;
            // A short read emptied the socket; whatever arrives later is another event.
            if n < room {
                return Ok(());
            }
        }
    }

    fn read_once(&mut self) -> io::Result<usize> {
        let n = self.socket.read(self.incoming.get_mut(self.filled..).unwrap_or_default())?;
        self.filled += n;
        if n == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(n) }
    }

    /// Processes what was received. True once the handshake is done; `seal` is encrypted then.
    fn run(&mut self, plain: &mut Vec<u8>, out: &mut Sealed, seal: Option<&[u8]>) -> io::Result<bool> {
        loop {
            let there = self.incoming.get_mut(..self.filled).unwrap_or_default();
            let UnbufferedStatus { mut discard, state } = self.tls.process_tls_records(there);
            let mut done = None;
            match state.map_err(io::Error::other)? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record.map_err(io::Error::other)?;
                        discard += record.discard;
                        plain.extend_from_slice(record.payload);
                    }
                }
                ConnectionState::EncodeTlsData(mut record) => encode(&mut |room| record.encode(room), out)?,
                ConnectionState::TransmitTlsData(record) => record.done(),
                ConnectionState::WriteTraffic(mut writer) => {
                    if let Some(seal) = seal {
                        let needed = seal.len() + (seal.len() / RECORD + 1) * RECORD_OVERHEAD;
                        out.filled += writer.encrypt(seal, out.space(needed)).map_err(io::Error::other)?;
                    }
                    done = Some(true);
                }
                ConnectionState::BlockedHandshake => done = Some(false),
                _ => return Err(ErrorKind::UnexpectedEof.into()),
            }
            self.incoming.copy_within(discard..self.filled, 0);
            self.filled -= discard;
            if let Some(established) = done {
                return Ok(established);
            }
        }
    }
}

/// How many bytes a socket took.
fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        written => written,
    }
}

/// Appends a handshake record; finds its length by offering no room.
fn encode(record: &mut dyn FnMut(&mut [u8]) -> Result<usize, EncodeError>, out: &mut Sealed) -> io::Result<()> {
    if let Err(EncodeError::InsufficientSize(size)) = record(&mut []) {
        let written = record(out.space(size.required_size)).map_err(io::Error::other)?;
        out.filled += written;
    }
    Ok(())
}
