//! The addresses of one host: resolved once for all who ask at the same time, and kept while connections come of them.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use async_io::Timer;
use smol::channel::{self, Receiver};
use smol::future;

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
    /// Where the answer of the lookup under way arrives. It is kept when nobody waits any more: the answer may still
    /// serve the next request, and there is never more than one lookup.
    lookup: RefCell<Option<Receiver<Answer>>>,
    /// Lookups whose answers were taken.
    taken: Cell<u64>,
    /// Why the last one failed, if it did.
    failure: RefCell<Option<String>>,
}

#[derive(Clone, Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    since: Instant,
}

/// What a lookup found, and when.
type Answer = (Instant, Result<Vec<SocketAddr>, String>);

impl Resolver {
    /// Nothing is known yet.
    pub(crate) fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            known: RefCell::default(),
            lookup: RefCell::default(),
            taken: Cell::new(0),
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

    /// The addresses, both families in turn; or why there are none, in one line. All who wait at the same time share one
    /// lookup.
    pub(crate) async fn addresses(&self) -> Result<Vec<SocketAddr>, String> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        self.take_late_answer();
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let old = self.known.borrow().as_ref().map(|known| known.addresses.clone());
        match old {
            None => self.renew().await,
            // A resolver that is away must not stop what works.
            Some(old) => {
                let patience = async {
                    Timer::after(PATIENCE).await;
                    Err(String::new())
                };
                let found = future::or(self.renew(), patience).await;
                Ok(found.unwrap_or_else(|_| {
                    self.remember(&old);
                    old
                }))
            }
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

    fn remember(&self, addresses: &[SocketAddr]) {
        *self.known.borrow_mut() = Some(Known { addresses: addresses.to_vec(), since: Instant::now() });
    }

    /// Waits for the lookup under way, or for one of its own.
    async fn renew(&self) -> Result<Vec<SocketAddr>, String> {
        loop {
            let taken = self.taken.get();
            let lookup = self.lookup.borrow().clone();
            let lookup = if let Some(lookup) = lookup { Ok(lookup) } else { self.look_up() };
            match lookup.map_err(|error| error.to_string())?.recv().await {
                Ok((_, found)) => self.take(found),
                Err(_) if self.taken.get() == taken => {
                    *self.lookup.borrow_mut() = None;
                    return Err("the lookup ended without an answer".to_owned());
                }
                // Another one took the answer.
                Err(_) => {}
            }
            if let Some(failure) = self.failure.borrow().clone() {
                return Err(failure);
            }
            // They may be forgotten again: others had their turn first.
            if let Some(known) = self.known.borrow().as_ref() {
                return Ok(known.addresses.clone());
            }
        }
    }

    /// Takes an answer that came when nobody waited, unless it is old by now. A failure is not worth keeping.
    fn take_late_answer(&self) {
        let late = self.lookup.borrow().as_ref().and_then(|lookup| lookup.try_recv().ok());
        if let Some((at, found)) = late {
            match found {
                Ok(_) if at.elapsed() < FRESH => self.take(found),
                _ => *self.lookup.borrow_mut() = None,
            }
        }
    }

    fn take(&self, found: Result<Vec<SocketAddr>, String>) {
        *self.lookup.borrow_mut() = None;
        self.taken.set(self.taken.get().wrapping_add(1));
        if let Ok(addresses) = &found {
            self.remember(addresses);
        }
        *self.failure.borrow_mut() = found.err();
    }

    /// Starts a lookup. `getaddrinfo` may take ten seconds and cannot be cancelled: it runs on a thread of its own that
    /// ends with it.
    fn look_up(&self) -> io::Result<Receiver<Answer>> {
        let (answer, answered) = channel::bounded(1);
        let (name, port) = (self.host.clone(), self.port);
        let thread = std::thread::Builder::new().name("resolve".to_owned()).stack_size(128 * 1024);
        thread.spawn(move || {
            let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            let found = match found {
                Ok(none) if none.is_empty() => Err("no address".to_owned()),
                Ok(addresses) => Ok(alternate(&addresses)),
                Err(error) => Err(error.to_string()),
            };
            // There is room for it, whether anybody waits or not.
            let _ = answer.try_send((Instant::now(), found));
        })?;
        *self.lookup.borrow_mut() = Some(answered.clone());
        Ok(answered)
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
        assert_eq!(resolver.taken.get(), 1, "one lookup for both");
        assert_eq!(smol::block_on(resolver.addresses()), first);
        assert_eq!(resolver.taken.get(), 2, "a later one asks again");
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

    /// A resolver whose lookup has found `addresses` at `at`, when nobody waited.
    fn answered(at: Instant, addresses: &[SocketAddr]) -> Resolver {
        let resolver = Resolver::new("no-such-host.invalid", 1);
        let (answer, answered) = channel::bounded(1);
        answer.try_send((at, Ok(addresses.to_vec()))).unwrap();
        *resolver.lookup.borrow_mut() = Some(answered);
        resolver
    }

    #[test]
    fn an_answer_that_came_too_late_for_one_request_serves_the_next() {
        let addresses = ["127.0.0.1:1".parse().unwrap()];
        let resolver = answered(Instant::now(), &addresses);
        assert_eq!(smol::block_on(resolver.addresses()), Ok(addresses.to_vec()));
        let long_ago = Instant::now().checked_sub(FRESH).expect("a clock that runs for a minute");
        let resolver = answered(long_ago, &addresses);
        assert!(smol::block_on(resolver.addresses()).is_err(), "an old answer is none");
    }

    #[test]
    fn who_gives_up_starts_no_second_lookup() {
        let resolver = Resolver::new("no-such-host.invalid", 1);
        let (answer, answered) = channel::bounded(1);
        *resolver.lookup.borrow_mut() = Some(answered);
        smol::block_on(async {
            for _ in 0..3 {
                assert!(future::poll_once(resolver.addresses()).await.is_none());
            }
            assert_eq!(answer.receiver_count(), 1, "all waited for the same one");
            drop(answer);
            assert!(resolver.addresses().await.is_err(), "it ended without an answer");
            assert!(resolver.lookup.borrow().is_none(), "the next request starts another one");
        });
    }
}
