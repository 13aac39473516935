//! Probes for `remora check`: one name, one connection, one handshake at a time, each with a time limit, and what they
//! revealed. Nothing here runs in the sidecar, so it may block.
//!
//! A [`Link`] carries bytes; their meaning is up to the caller.

mod certificate;

use std::fmt;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use remora_core::http::tunnel::TunnelAnswer;
use zeroize::Zeroizing;

pub use crate::proxy::Hop;
pub use certificate::Presented;

use crate::endpoint::Endpoint;
pub use crate::tls::CertificateFault;
use crate::tls::{self, Session, TlsError};
use crate::trust::Trust;
use crate::{proxy, resolve};

/// Addresses of `host`, in the resolver's order; [`io::ErrorKind::TimedOut`] if there is no answer within `limit`.
pub fn resolve(host: &str, port: u16, limit: Duration) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (answer, answered) = mpsc::channel();
    let name = host.to_owned();
    // `getaddrinfo` cannot be cancelled: a late thread is left behind.
    std::thread::Builder::new().name("resolve".to_owned()).spawn(move || {
        let _ = answer.send(resolve::look_up(&name, port));
    })?;
    let found = answered.recv_timeout(limit).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    if found.is_empty() { Err(io::Error::other("no address")) } else { Ok(found) }
}

/// Why a TLS handshake failed.
#[derive(Debug)]
pub enum HandshakeError {
    /// The connection failed, ended or timed out.
    Io(io::Error),
    /// The peer speaks no compatible TLS, or presented an invalid certificate.
    Tls {
        /// The error that rustls reported.
        error: TlsError,
        /// The fault in the certificate, if that is the cause.
        fault: Option<CertificateFault>,
        /// The certificate, if one was received and could be read.
        presented: Option<Presented>,
    },
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Tls { error, .. } => error.fmt(f),
        }
    }
}

impl std::error::Error for HandshakeError {}

/// One connection, plain until [`Link::secure`]. One deadline covers everything on it.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    session: Option<Session>,
    deadline: Instant,
}

impl Link {
    /// Connects to the first of `addresses` that answers; `limit` covers the whole life of the connection.
    pub fn open(addresses: &[SocketAddr], limit: Duration) -> io::Result<Self> {
        let deadline = Instant::now() + limit;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for (i, address) in addresses.iter().enumerate() {
            // A silent address leaves time for those after it.
            let left = u32::try_from(addresses.len() - i).unwrap_or(u32::MAX);
            match TcpStream::connect_timeout(address, (remaining(deadline)? / left).max(Duration::from_millis(1))) {
                Ok(stream) => return Ok(Self { stream, session: None, deadline }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The address at the other end.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    /// Asks the proxy at the other end for a tunnel to `to`, and accepts what the sidecar accepts. The error holds a
    /// [`TunnelError`](remora_core::http::tunnel::TunnelError) if it comes from the proxy's answer.
    pub fn tunnel(&mut self, hop: &Hop, to: &Endpoint) -> io::Result<()> {
        let mut request = Zeroizing::new([0; proxy::HEAD]);
        let length = proxy::encode(hop, &to.host_and_port(), &mut request[..])?;
        self.send(request.get(..length).unwrap_or_default())?;
        let (mut answer, mut received) = (TunnelAnswer::default(), Vec::new());
        loop {
            let more = self.receive(&mut received)?;
            if proxy::is_open(&mut answer, &received, !more)? {
                return Ok(());
            }
        }
    }

    /// Starts TLS with `host` on the connection. The certificate is verified as in the sidecar.
    pub fn secure(&mut self, host: &str, trust: &Trust) -> Result<(), HandshakeError> {
        let plain = |error| HandshakeError::Tls { error, fault: None, presented: None };
        let (client, witness) = tls::Client::witnessed(&trust.roots).map_err(plain)?;
        let mut session = client.open(host).map_err(plain)?;
        match self.shake_hands(&mut session) {
            Ok(()) => {
                self.session = Some(session);
                Ok(())
            }
            Err(HandshakeError::Tls { error, .. }) => {
                let presented = witness.presented().and_then(|der| Presented::read(&der));
                Err(HandshakeError::Tls { error, fault: witness.fault(), presented })
            }
            Err(error) => Err(error),
        }
    }

    fn shake_hands(&self, session: &mut Session) -> Result<(), HandshakeError> {
        loop {
            let turned = session.turn(&mut |_| {});
            // After an error this sends the alert; a peer that is gone does not need it.
            let flushed = self.flush(session);
            turned.map_err(|error| HandshakeError::Tls { error, fault: None, presented: None })?;
            flushed.map_err(HandshakeError::Io)?;
            if session.is_established() {
                return Ok(());
            }
            if self.fill(session).map_err(HandshakeError::Io)? == 0 {
                return Err(HandshakeError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Sends all of `bytes`.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(mut session) = self.session.take() else {
            return self.timed().write_all(bytes);
        };
        let sealed = session.seal(&[IoSlice::new(bytes)]).map_err(io::Error::other);
        let sent = sealed.and_then(|()| self.flush(&mut session));
        self.session = Some(session);
        sent
    }

    /// Appends the next bytes, possibly none, to `into`; false once the peer has closed its side.
    pub fn receive(&mut self, into: &mut Vec<u8>) -> io::Result<bool> {
        let Some(mut session) = self.session.take() else {
            let mut room = [0; 4096];
            let n = self.timed().read(&mut room)?;
            into.extend_from_slice(room.get(..n).unwrap_or_default());
            return Ok(n > 0);
        };
        let open = if session.is_peer_closed() { Ok(false) } else { self.decrypt(&mut session, into) };
        self.session = Some(session);
        open
    }

    /// The last bytes and the end may arrive together: the next call reports the end.
    fn decrypt(&self, session: &mut Session, into: &mut Vec<u8>) -> io::Result<bool> {
        let n = self.fill(session)?;
        session.turn(&mut |bytes| into.extend_from_slice(bytes)).map_err(io::Error::other)?;
        self.flush(session)?;
        Ok(n > 0)
    }

    fn flush(&self, session: &mut Session) -> io::Result<()> {
        while session.has_outgoing() {
            session.write_to(&mut self.timed())?;
        }
        Ok(())
    }

    fn fill(&self, session: &mut Session) -> io::Result<usize> {
        session.read_from(&mut self.timed())
    }

    const fn timed(&self) -> Timed<'_> {
        Timed { stream: &self.stream, deadline: self.deadline }
    }
}

/// A socket whose calls are limited to the time left until the deadline. A call interrupted because the process was
/// stopped and continued is repeated: with a timeout set, the kernel does not restart it (`signal(7)`).
struct Timed<'a> {
    stream: &'a TcpStream,
    deadline: Instant,
}

impl Timed<'_> {
    fn call<T>(
        &self,
        limit: fn(&TcpStream, Option<Duration>) -> io::Result<()>,
        mut call: impl FnMut(&TcpStream) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            limit(self.stream, Some(remaining(self.deadline)?))?;
            match call(self.stream) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A socket reports its timeout as `WouldBlock`.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(io::ErrorKind::TimedOut.into()),
                done => return done,
            }
        }
    }
}

impl io::Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.call(TcpStream::set_read_timeout, |mut stream| stream.read(into))
    }
}

impl io::Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call(TcpStream::set_write_timeout, |mut stream| stream.write(bytes))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        self.call(TcpStream::set_write_timeout, |mut stream| stream.write_vectored(pieces))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests;
