//! From a name to an established TLS connection, with one time budget that the caller sets.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::{Async, Timer};
use remora_core::forward::Refusal;
use smol::future;
use smol::lock::Mutex;

use crate::endpoint::Endpoint;
use crate::proxy::Detour;
use crate::tls::{self, TlsError};
use crate::upstream::Upstream;

/// How long an attempt goes alone before the next address is tried beside it (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// Why there is no connection, in one line.
#[derive(Debug)]
pub(crate) enum ConnectError {
    Resolve(String),
    Connect(String),
    Tls(TlsError),
}

impl ConnectError {
    pub(crate) const fn refusal(&self) -> Refusal {
        match self {
            Self::Resolve(_) => Refusal::Resolve,
            Self::Connect(_) => Refusal::Connect,
            Self::Tls(_) => Refusal::Tls,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(text) | Self::Connect(text) => f.write_str(text),
            Self::Tls(error) => error.fmt(f),
        }
    }
}

/// Opens connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Connector {
    endpoint: Endpoint,
    tls: tls::Client,
    /// The proxy that connections go through.
    detour: Option<Detour>,
    /// Of the endpoint, or of the proxy. Kept until an attempt with them fails: private endpoints move.
    addresses: RefCell<Vec<SocketAddr>>,
    resolving: Mutex<()>,
}

/// Forgets the addresses unless a connection came of them, also when a deadline ends the attempt.
struct Doubt<'c>(Option<&'c RefCell<Vec<SocketAddr>>>);

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if let Some(addresses) = self.0 {
            addresses.borrow_mut().clear();
        }
    }
}

impl Connector {
    pub(crate) const fn new(endpoint: Endpoint, tls: tls::Client, detour: Option<Detour>) -> Self {
        Self { endpoint, tls, detour, addresses: RefCell::new(Vec::new()), resolving: Mutex::new(()) }
    }

    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) async fn connect(&self) -> Result<Upstream, ConnectError> {
        let addresses = self.addresses().await?;
        let mut doubt = Doubt(Some(&self.addresses));
        let (host, port) = self.peer();
        let failed = |error| ConnectError::Connect(format!("{host}:{port}: {error}"));
        let stream = race(&addresses).await.map_err(failed)?;
        // Requests and small answers alternate; nothing is gained by waiting for more bytes.
        let _ = stream.get_ref().set_nodelay(true);
        if let Some(detour) = &self.detour {
            detour.open(&stream).await.map_err(failed)?;
        }
        let session = self.tls.open(self.endpoint.host()).map_err(ConnectError::Tls)?;
        let mut upstream = Upstream::new(stream, session);
        upstream.handshake().await?;
        doubt.0 = None;
        Ok(upstream)
    }

    /// Host and port of whom connections are opened to.
    fn peer(&self) -> (&str, u16) {
        match &self.detour {
            Some(detour) => (&detour.hop.host, detour.hop.port),
            None => (self.endpoint.host(), self.endpoint.port()),
        }
    }

    /// Has the next connection resolve the name again.
    pub(crate) fn forget(&self) {
        self.addresses.borrow_mut().clear();
    }

    /// The known addresses. Where there are none, one caller resolves for all.
    async fn addresses(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let _alone = if self.addresses.borrow().is_empty() { Some(self.resolving.lock().await) } else { None };
        let known = self.addresses.borrow().clone();
        if !known.is_empty() {
            return Ok(known);
        }
        let found = self.resolve().await?;
        self.addresses.borrow_mut().clone_from(&found);
        Ok(found)
    }

    /// `getaddrinfo` may take ten seconds and cannot be cancelled: it runs on a thread of its own that ends with it.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, ConnectError> {
        let (host, port) = self.peer();
        let host = host.to_owned();
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let (answer, answered) = smol::channel::bounded(1);
        let name = host.clone();
        let thread = std::thread::Builder::new().name("resolve".to_owned()).stack_size(128 * 1024);
        let spawned = thread.spawn(move || {
            let addresses = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // Whoever asked may have gone.
            let _ = answer.send_blocking(addresses);
        });
        let failed = |error: io::Error| ConnectError::Resolve(format!("{host}: {error}"));
        spawned.map_err(failed)?;
        let addresses = answered.recv().await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        match addresses.map_err(failed)? {
            empty if empty.is_empty() => Err(ConnectError::Resolve(format!("{host}: no address"))),
            found => Ok(alternate(&found)),
        }
    }
}

/// Puts addresses of both families in turn, beginning with the resolver's first choice (RFC 8305 §4).
pub(crate) fn alternate(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let first_family = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) =
        addresses.iter().copied().partition(|address| address.is_ipv6() == first_family);
    first.reverse();
    second.reverse();
    let mut ordered = Vec::with_capacity(addresses.len());
    while ordered.len() < addresses.len() {
        ordered.extend(first.pop());
        ordered.extend(second.pop());
    }
    ordered
}

/// Connects to the first address that answers; each gets a head start over the next.
async fn race(addresses: &[SocketAddr]) -> io::Result<Async<TcpStream>> {
    let mut waiting = addresses.iter();
    let mut attempts = Attempts(Vec::new());
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let more = waiting.next().map(|address| attempts.0.push(Box::pin(Async::<TcpStream>::connect(*address))));
        let stagger = async {
            match more {
                Some(()) if waiting.len() > 0 => drop(Timer::after(STAGGER).await),
                _ => future::pending().await,
            }
            None
        };
        match future::or(async { Some((&mut attempts).await) }, stagger).await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(error)) => last = error,
            None => {}
        }
        if attempts.0.is_empty() && waiting.len() == 0 {
            return Err(last);
        }
    }
}

/// Attempts that go on side by side; gives the result of whichever ends first, and forgets that one.
struct Attempts(Vec<Attempt>);

/// One of them.
type Attempt = Pin<Box<dyn Future<Output = io::Result<Async<TcpStream>>>>>;

impl Future for Attempts {
    type Output = io::Result<Async<TcpStream>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        for i in 0..self.0.len() {
            let Some(attempt) = self.0.get_mut(i) else { break };
            if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                drop(self.0.swap_remove(i));
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn families_alternate_from_the_resolvers_first_choice() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b, c) = (parse("[::1]:1"), parse("[::2]:1"), parse("127.0.0.1:1"));
        assert_eq!(alternate(&[a, b, c]), [a, c, b]);
        assert_eq!(alternate(&[c, a, b]), [c, a, b]);
        assert_eq!(alternate(&[a]), [a]);
    }

    #[test]
    fn a_dead_address_does_not_hide_a_live_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stream = smol::block_on(race(&[dead, live])).unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), live);
    }

    #[test]
    fn a_silent_address_does_not_hide_a_live_one() {
        // A listener whose backlog is full answers no further connection attempt.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap();
        let _fill: Vec<_> =
            (0..200).map_while(|_| TcpStream::connect_timeout(&address, Duration::from_millis(50)).ok()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let live = listener.local_addr().unwrap();
        let stream = smol::block_on(race(&[address, live])).unwrap();
        assert_eq!(stream.get_ref().peer_addr().unwrap(), live);
    }

    #[test]
    fn addresses_are_forgotten_unless_a_connection_came_of_them() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::parse(&format!("https://{address}/")).unwrap();
        let connector = Connector::new(endpoint, tls::Client::new(&[]).unwrap(), None);
        let connect = || {
            connector.addresses.borrow_mut().push(address);
            let deadline = async {
                Timer::after(Duration::from_millis(50)).await;
                None
            };
            smol::block_on(future::or(async { Some(connector.connect().await) }, deadline))
        };
        assert!(connect().is_none(), "a peer that says nothing");
        assert!(connector.addresses.borrow().is_empty());
        drop(listener);
        assert!(matches!(connect(), Some(Err(ConnectError::Connect(_)))), "nobody there");
        assert!(connector.addresses.borrow().is_empty());
    }

    #[test]
    fn without_a_live_address_the_last_error_is_told() {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = smol::block_on(race(&[dead])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
