//! From a host name to an established TLS connection, within one deadline set by the caller.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::{Async, Timer};
use remora_core::forward::{Destination, Unavailable};
use remora_core::time::Instant;
use rustix::net::sockopt;
use smol::future;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::proxy::Detour;
use crate::reactor::{Reactor, Socket};
use crate::resolve::Resolver;
use crate::tls::{self, TlsError};
use crate::upstream::{LinkError, Upstream};

/// Head start of each attempt before the next address is tried in parallel (RFC 8305 §5).
const STAGGER: Duration = Duration::from_millis(250);

/// Longest time without an acknowledgement after which the kernel gives a connection up, see [`unheard`].
const UNHEARD: Duration = Duration::from_secs(15);

/// Parallel attempts at most, each of which holds an open file: names may have dozens of addresses, and every request
/// that waits for a connection tries them.
pub(crate) const MOST_ATTEMPTS: usize = 6;

/// Failed addresses that are remembered at most: a name may get new ones for as long as the process runs.
const MOST_LAST_RESORTS: usize = 16;

/// Why connecting failed, in one line.
#[derive(Debug)]
pub(crate) enum ConnectError {
    Resolve(String),
    Connect(String),
    Tls(String),
}

impl ConnectError {
    pub(crate) const fn reason(&self) -> Unavailable {
        match self {
            Self::Resolve(_) => Unavailable::Resolve,
            Self::Connect(_) => Unavailable::Connect,
            Self::Tls(_) => Unavailable::Tls,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(text) | Self::Connect(text) | Self::Tls(text) => f.write_str(text),
        }
    }
}

/// Opens connections to one endpoint.
#[derive(Debug)]
pub(crate) struct Connector {
    reactor: &'static Reactor,
    endpoint: Endpoint,
    /// When the kernel gives a connection up, see [`unheard`].
    unheard: Duration,
    /// The endpoint's host and port as in the Host field.
    authority: String,
    tls: tls::Client,
    /// The proxy that connections go through.
    detour: Option<Detour>,
    /// Resolves the endpoint's name, or the proxy's. Its addresses are looked up again when an attempt fails.
    resolver: Resolver,
    /// Addresses that accepted a connection and then failed to open a tunnel or to complete a TLS handshake; the one
    /// that failed last is the last.
    last_resorts: RefCell<Vec<SocketAddr>>,
}

/// An attempt. Dropping it before it succeeds, as a deadline does, has the name resolved again and makes the address
/// that it reached, if any, the last of the last resorts.
struct Attempt<'c> {
    connector: &'c Connector,
    reached: Cell<Option<SocketAddr>>,
    succeeded: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.succeeded {
            self.connector.resolve_again();
            if let Some(address) = self.reached.get() {
                let mut last_resorts = self.connector.last_resorts.borrow_mut();
                last_resorts.retain(|earlier| *earlier != address);
                if last_resorts.len() == MOST_LAST_RESORTS {
                    last_resorts.remove(0);
                }
                last_resorts.push(address);
            }
        }
    }
}

impl Connector {
    /// `patience` is how long a request may take.
    pub(crate) fn new(
        reactor: &'static Reactor,
        endpoint: Endpoint,
        patience: Duration,
        tls: tls::Client,
        detour: Option<Detour>,
    ) -> Self {
        let resolver = match &detour {
            Some(detour) => Resolver::new(&detour.hop.host, detour.hop.port),
            None => Resolver::new(endpoint.host(), endpoint.port()),
        };
        let (authority, last_resorts) = (endpoint.authority(), RefCell::default());
        Self { reactor, endpoint, unheard: unheard(patience), authority, tls, detour, resolver, last_resorts }
    }

    /// Where a request with this credential goes.
    pub(crate) fn destination<'a>(&'a self, authorization: &'a [u8]) -> Destination<'a> {
        Destination { authority: &self.authority, target: self.endpoint.target(), authorization }
    }

    /// Resolves, connects and completes the TLS handshake by `deadline`; the error names the step that took too long.
    pub(crate) async fn connect(&self, clock: Clock, deadline: Instant) -> Result<Upstream, ConnectError> {
        let resolved = clock.before(deadline, self.resolver.addresses()).await;
        let unresolved = |error| ConnectError::Resolve(format!("{}: {error}", self.named(self.resolver.host())));
        let mut addresses = resolved.unwrap_or_else(|| Err("timed out".to_owned())).map_err(unresolved)?;
        self.defer_last_resorts(&mut addresses);
        let mut attempt = Attempt { connector: self, reached: Cell::default(), succeeded: false };
        let reached = clock.before(deadline, self.reach(&addresses, &attempt.reached)).await;
        let named = |error: &dyn fmt::Display| format!("{}: {error}", self.named(&self.resolver.place()));
        let unreached = |error: io::Error| ConnectError::Connect(named(&error));
        let stream = reached.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())).map_err(unreached)?;
        let insecure = |error: TlsError| ConnectError::Tls(named(&error));
        let session = self.tls.open(self.endpoint.host()).map_err(insecure)?;
        let mut upstream = Upstream::new(clock.now(), stream, session);
        match clock.before(deadline, upstream.handshake()).await {
            Some(Ok(())) => {}
            Some(Err(LinkError::Tls(error))) => return Err(insecure(error)),
            Some(Err(LinkError::Io(error))) => {
                return Err(ConnectError::Connect(named(&format_args!("during the TLS handshake: {error}"))));
            }
            None => return Err(unreached(io::Error::other("timed out during the TLS handshake"))),
        }
        attempt.succeeded = true;
        Ok(upstream)
    }

    /// Accepting a TCP connection does not prove an address healthy, so the last resorts are tried after all others.
    fn defer_last_resorts(&self, addresses: &mut [SocketAddr]) {
        for last_resort in self.last_resorts.borrow().iter() {
            if let Some(at) = addresses.iter().position(|address| address == last_resort) {
                addresses[at..].rotate_left(1);
            }
        }
    }

    /// The peer as errors name it: `place`, which is the proxy's if there is one.
    fn named(&self, place: &str) -> String {
        match &self.detour {
            Some(_) => format!("the proxy {place}, on the way to {}", self.authority),
            None => place.to_owned(),
        }
    }

    /// Opens a TCP connection, and the tunnel if there is a proxy. Stores the address that accepted in `reached`.
    async fn reach(
        &self,
        addresses: &[SocketAddr],
        reached: &Cell<Option<SocketAddr>>,
    ) -> io::Result<Socket<TcpStream>> {
        let stream = race(addresses).await?;
        reached.set(stream.get_ref().peer_addr().ok());
        // Requests and small responses alternate; delaying small segments gains nothing.
        let _ = stream.get_ref().set_nodelay(true);
        let _ = sockopt::set_tcp_user_timeout(&stream, u32::try_from(self.unheard.as_millis()).unwrap_or(u32::MAX));
        if let Some(detour) = &self.detour {
            detour.open(&stream).await?;
        }
        Socket::new(self.reactor, stream.into_inner()?)
    }

    /// Has the next connection resolve the name again.
    pub(crate) fn resolve_again(&self) {
        self.resolver.expire();
    }
}

/// How long what was sent may stay unacknowledged, or unread by a peer whose buffers are full, before the kernel reports
/// an error (tcp(7), `TCP_USER_TIMEOUT`). Firewalls forget idle connections without a word; the error leaves time to send
/// a request again on a new one.
fn unheard(patience: Duration) -> Duration {
    (patience / 2).min(UNHEARD)
}

/// Connects to the first address that accepts; each gets a head start over the next.
async fn race(addresses: &[SocketAddr]) -> io::Result<Async<TcpStream>> {
    let mut waiting = addresses.iter();
    let mut attempts = Attempts(Vec::new());
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    loop {
        let more = waiting.next().map(|address| attempts.add(*address));
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

/// Parallel attempts, oldest first; yields the result of whichever ends first and drops that one.
struct Attempts(Vec<Connecting>);

/// One attempt.
type Connecting = Pin<Box<dyn Future<Output = io::Result<Async<TcpStream>>>>>;

impl Attempts {
    /// Adds an attempt; the oldest gives way when there are too many.
    fn add(&mut self, address: SocketAddr) {
        if self.0.len() == MOST_ATTEMPTS {
            drop(self.0.remove(0));
        }
        self.0.push(Box::pin(Async::<TcpStream>::connect(address)));
    }
}

impl Future for Attempts {
    type Output = io::Result<Async<TcpStream>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        for i in 0..self.0.len() {
            let Some(attempt) = self.0.get_mut(i) else { break };
            if let Poll::Ready(result) = attempt.as_mut().poll(cx) {
                drop(self.0.remove(i));
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::trust::Roots;

    const PATIENCE: Duration = Duration::from_secs(25);

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
        // A listener whose backlog is full does not answer further connection attempts.
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
    fn many_silent_addresses_hold_few_files() {
        let mut attempts = Attempts(Vec::new());
        (1..=20).for_each(|port| attempts.add(([127, 0, 0, 1], port).into()));
        assert_eq!(attempts.0.len(), MOST_ATTEMPTS);
    }

    #[test]
    fn a_timeout_names_the_step_that_took_too_long() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::parse(&format!("https://{address}/")).unwrap();
        let clock = Clock::start();
        let reactor = Reactor::new(clock).unwrap();
        let connector = Connector::new(reactor, endpoint, PATIENCE, tls::Client::new(&Roots::BuiltIn).unwrap(), None);
        let connect = |seconds| {
            let deadline = clock.now().saturating_add(Duration::from_secs(seconds));
            reactor.block_on(connector.connect(clock, deadline)).unwrap().unwrap_err()
        };
        let silent = connect(1);
        assert_eq!(silent.to_string(), format!("{address}: timed out during the TLS handshake"));
        assert_eq!(silent.reason(), Unavailable::Connect);
        drop(listener);
        let gone = connect(20);
        assert!(gone.to_string().starts_with(&format!("{address}: Connection refused")), "{gone}");
    }

    #[test]
    fn an_address_that_has_not_failed_goes_before_all_that_have() {
        let reactor = Reactor::new(Clock::start()).unwrap();
        let endpoint = Endpoint::parse("https://ingestion.example/").unwrap();
        let connector = Connector::new(reactor, endpoint, PATIENCE, tls::Client::new(&Roots::BuiltIn).unwrap(), None);
        let [a, b, c] = [1, 2, 3].map(|last| SocketAddr::from(([192, 0, 2, last], 443)));
        let ended = |address, succeeded| {
            drop(Attempt { connector: &connector, reached: Cell::new(Some(address)), succeeded });
            let mut addresses = [a, b, c];
            connector.defer_last_resorts(&mut addresses);
            addresses
        };
        assert_eq!(ended(a, false), [b, c, a]);
        assert_eq!(ended(b, false), [c, a, b]);
        assert_eq!(ended(c, true), [c, a, b]);
        assert_eq!(ended(a, false), [c, b, a]);
        assert_eq!(ended(c, false), [b, a, c], "the longest failed first");
        for port in 0..1000 {
            ended(([192, 0, 2, 4], port).into(), false);
        }
        assert_eq!(connector.last_resorts.borrow().len(), MOST_LAST_RESORTS);
    }

    #[test]
    fn each_attempt_reaches_an_address_that_has_not_failed() {
        let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        let clock = Clock::start();
        let reactor = Reactor::new(clock).unwrap();
        let endpoint = Endpoint::parse("https://no.invalid/").unwrap();
        let connector = Connector::new(reactor, endpoint, PATIENCE, tls::Client::new(&Roots::BuiltIn).unwrap(), None);
        for listener in &listeners {
            // The name is resolved to the same addresses, in the same order.
            connector.resolver.remember(&addresses);
            let deadline = clock.now().saturating_add(Duration::from_secs(1));
            reactor.block_on(connector.connect(clock, deadline)).unwrap().unwrap_err();
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_ok(), "{listener:?}");
        }
    }

    #[test]
    fn the_kernel_gives_up_a_silent_connection_while_there_is_time_for_another() {
        for (patience, unheard_ms) in [(1_000, 500), (25_000, 12_500), (300_000, 15_000)] {
            assert_eq!(unheard(Duration::from_millis(patience)).as_millis(), unheard_ms);
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let endpoint = Endpoint::parse(&format!("https://{address}/")).unwrap();
        let reactor = Reactor::new(Clock::start()).unwrap();
        let connector = Connector::new(reactor, endpoint, PATIENCE, tls::Client::new(&Roots::BuiltIn).unwrap(), None);
        let reached = smol::block_on(connector.reach(&[address], &Cell::default())).unwrap();
        assert_eq!(sockopt::tcp_user_timeout(reached.get_ref()).unwrap(), 12_500);
    }

    #[test]
    fn an_error_of_the_handshake_names_the_peer() {
        let clock = Clock::start();
        let reactor = Reactor::new(clock).unwrap();
        let deadline = clock.now().saturating_add(Duration::from_secs(20));
        let refused = |address: SocketAddr, reason| {
            let endpoint = Endpoint::parse(&format!("https://{address}/")).unwrap();
            let connector =
                Connector::new(reactor, endpoint, PATIENCE, tls::Client::new(&Roots::BuiltIn).unwrap(), None);
            let error = reactor.block_on(connector.connect(clock, deadline)).unwrap().unwrap_err();
            assert_eq!(error.reason(), reason, "{error}");
            error.to_string()
        };
        let (untrusted, _) = tls::server::echo("127.0.0.1");
        let told = refused(untrusted, Unavailable::Tls);
        assert!(told.starts_with(&format!("{untrusted}: ")) && told.len() > 30, "{told}");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closing = listener.local_addr().unwrap();
        std::thread::spawn(move || drop(listener.accept()));
        let told = refused(closing, Unavailable::Connect);
        assert!(told.starts_with(&format!("{closing}: during the TLS handshake: ")), "{told}");
    }

    #[test]
    fn a_proxy_is_named_as_one() {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = Endpoint::parse("https://ingestion.example/x").unwrap();
        let clock = Clock::start();
        let reactor = Reactor::new(clock).unwrap();
        for (proxy, told) in [
            (dead.to_string(), format!("the proxy {dead}, on the way to ingestion.example: Connection refused")),
            ("no.invalid:1".to_owned(), "the proxy no.invalid, on the way to ingestion.example: ".to_owned()),
        ] {
            let proxy = crate::config::Proxy { url: format!("http://{proxy}"), no_proxy: None };
            let detour = Detour::to(&endpoint, &proxy).unwrap();
            let connector =
                Connector::new(reactor, endpoint.clone(), PATIENCE, tls::Client::new(&Roots::BuiltIn).unwrap(), detour);
            let deadline = clock.now().saturating_add(Duration::from_secs(20));
            let error = reactor.block_on(connector.connect(clock, deadline)).unwrap().unwrap_err().to_string();
            assert!(error.starts_with(&told), "{error}");
        }
    }

    #[test]
    fn without_a_live_address_the_last_error_is_told() {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = smol::block_on(race(&[dead])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
