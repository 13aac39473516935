//! The addresses of one host: resolved once for all who ask at the same time, and kept while connections come of them.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use async_io::Timer;
use smol::future;
use smol::lock::Mutex;

/// How long addresses count without a look at the name. A workspace may move to a private endpoint while its old
/// addresses still answer, and refuse.
const FRESH: Duration = Duration::from_secs(60);

/// How long a new answer is waited for while there is an old one.
const PATIENCE: Duration = Duration::from_secs(2);

/// One host and what is known of it.
#[derive(Debug)]
pub(crate) struct Resolver {
    host: String,
    port: u16,
    known: RefCell<Option<Known>>,
    /// Held by the one who resolves for all.
    turn: Mutex<()>,
    /// Attempts that have ended.
    ended: Cell<u64>,
    /// Why the last one failed, if it did.
    failure: RefCell<Option<String>>,
}

#[derive(Clone, Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    since: Instant,
}

impl Resolver {
    /// Nothing is known yet.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            known: RefCell::default(),
            turn: Mutex::new(()),
            ended: Cell::new(0),
            failure: RefCell::default(),
        }
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Host and port, as they are told.
    pub(crate) fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The addresses, both families in turn; or why there are none, in one line. Who waited while another one asked
    /// takes what that one got.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        let ended = self.ended.get();
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let _turn = self.turn.lock().await;
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let failure = self.failure.borrow().clone().filter(|_| self.ended.get() != ended);
        match failure {
            Some(failure) => Err(failure),
            None => self.renew().await,
        }
    }

    /// The next one who asks gets what the name stands for then.
    pub(crate) fn forget(&self) {
        *self.known.borrow_mut() = None;
    }

    fn fresh(&self) -> Option<Vec<SocketAddr>> {
        let known = self.known.borrow();
        known.as_ref().filter(|known| known.since.elapsed() < FRESH).map(|known| known.addresses.clone())
    }

    /// Asks, and falls back on what was known before: a resolver that is away must not stop what works.
    async fn renew(&self) -> Result<Vec<SocketAddr>, String> {
        let old = self.known.borrow().clone();
        let found = match old {
            None => self.look_up().await,
            Some(Known { addresses, .. }) => {
                let patience = async {
                    Timer::after(PATIENCE).await;
                    Err(String::new())
                };
                Ok(future::or(self.look_up(), patience).await.unwrap_or(addresses))
            }
        };
        self.ended.set(self.ended.get().wrapping_add(1));
        *self.failure.borrow_mut() = found.as_ref().err().cloned();
        let addresses = found?;
        *self.known.borrow_mut() = Some(Known { addresses: addresses.clone(), since: Instant::now() });
        Ok(addresses)
    }

    /// `getaddrinfo` may take ten seconds and cannot be cancelled: it runs on a thread of its own that ends with it.
    async fn look_up(&self) -> Result<Vec<SocketAddr>, String> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let (answer, answered) = smol::channel::bounded(1);
        let (name, port) = (self.host.clone(), self.port);
        let thread = std::thread::Builder::new().name("resolve".to_owned()).stack_size(128 * 1024);
        let spawned = thread.spawn(move || {
            let addresses = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // Whoever asked may have gone.
            let _ = answer.send_blocking(addresses);
        });
        spawned.map_err(|error| error.to_string())?;
        let addresses = answered.recv().await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()));
        match addresses.map_err(|error| error.to_string())? {
            empty if empty.is_empty() => Err("no address".to_owned()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_from_the_resolvers_first_choice() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b, c) = (parse("[::1]:1"), parse("[::2]:1"), parse("127.0.0.1:1"));
        assert_eq!(alternate(&[a, b, c]), [a, c, b]);
        assert_eq!(alternate(&[c, a, b]), [c, a, b]);
        assert_eq!(alternate(&[a]), [a]);
    }

    #[test]
    fn who_waited_for_a_failure_takes_it() {
        let resolver = Resolver::new("no-such-host.invalid", 443);
        let (first, second) = smol::block_on(future::zip(resolver.addresses(), resolver.addresses()));
        assert!(first.is_err());
        assert_eq!(first, second);
        assert_eq!(resolver.ended.get(), 1, "one question for both");
        assert_eq!(smol::block_on(resolver.addresses()), first);
        assert_eq!(resolver.ended.get(), 2, "a later one asks again");
    }

    #[test]
    fn old_addresses_are_looked_up_again_and_serve_when_that_fails() {
        let [old, other] = ["127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse::<SocketAddr>().unwrap());
        let long_ago = Instant::now().checked_sub(FRESH).expect("a clock that runs for a minute");
        let known = |addresses| Some(Known { addresses, since: long_ago });
        let resolver = Resolver::new("127.0.0.2", 1);
        *resolver.known.borrow_mut() = known(vec![old]);
        assert_eq!(smol::block_on(resolver.addresses()), Ok(vec![other]));

        let resolver = Resolver::new("no-such-host.invalid", 1);
        *resolver.known.borrow_mut() = known(vec![old]);
        assert_eq!(smol::block_on(resolver.addresses()), Ok(vec![old]));
        assert!(resolver.fresh().is_some(), "not asked for again at once");
        resolver.forget();
        assert!(smol::block_on(resolver.addresses()).is_err());
    }
}
