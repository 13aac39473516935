//! The addresses of one host. Concurrent callers share one lookup; its result is kept, and looked up again when old or
//! when a connection failed.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::sync::mpsc;
use std::thread::Builder;
use std::time::{Duration, Instant};

use async_io::Timer;
use dns_lookup::{AddrFamily, AddrInfoHints, SockType};
use smol::channel::{self, Receiver};
use smol::future;

use crate::endpoint::host_and_port;

/// How long addresses are used without a new lookup. A workspace may move to a private endpoint while its old addresses
/// still answer but refuse writes.
const FRESH: Duration = Duration::from_secs(60);

/// How long to wait for a new answer when there is an old one.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait for addresses of both families before one is looked up by itself. Cluster DNS answers within
/// milliseconds.
const PROMPT: Duration = Duration::from_secs(1);

/// One host and its known addresses.
#[derive(Debug)]
pub(crate) struct Resolver {
    host: String,
    port: u16,
    known: RefCell<Option<Known>>,
    /// Receives the answer of the lookup in progress. Kept even when no caller waits any more: the answer may serve the
    /// next one, and there is never more than one lookup.
    lookup: RefCell<Option<Receiver<Found>>>,
    /// Number of lookups whose answers were taken.
    taken: Cell<u64>,
    /// Why the last lookup failed, if it did.
    failure: RefCell<Option<String>>,
}

#[derive(Clone, Debug)]
struct Known {
    addresses: Vec<SocketAddr>,
    /// None once a connection failed.
    since: Option<Instant>,
}

/// When a lookup ended, and its result.
type Found = (Instant, Result<Vec<SocketAddr>, String>);

impl Resolver {
    /// A resolver without known addresses.
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

    /// Host and port, as in error messages.
    pub(crate) fn place(&self) -> String {
        host_and_port(&self.host, self.port)
    }

    /// The addresses, families alternating; or why there are none, in one line. Concurrent callers share one lookup.
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
            // A name server outage must not stop traffic to addresses that still work.
            Some(old) => {
                let renewed = async { self.renew().await.ok() };
                let timeout = async {
                    Timer::after(PATIENCE).await;
                    None
                };
                Ok(future::or(renewed, timeout).await.unwrap_or_else(|| {
                    self.remember(&old);
                    old
                }))
            }
        }
    }

    /// Has the known addresses looked up again before they are used. They still serve when that fails.
    pub(crate) fn expire(&self) {
        if let Some(known) = self.known.borrow_mut().as_mut() {
            known.since = None;
        }
    }

    fn fresh(&self) -> Option<Vec<SocketAddr>> {
        let known = self.known.borrow();
        let is_fresh = |known: &&Known| known.since.is_some_and(|since| since.elapsed() < FRESH);
        known.as_ref().filter(is_fresh).map(|known| known.addresses.clone())
    }

    /// Takes these addresses for fresh.
    pub(crate) fn remember(&self, addresses: &[SocketAddr]) {
        *self.known.borrow_mut() = Some(Known { addresses: addresses.to_vec(), since: Some(Instant::now()) });
    }

    /// Waits for the lookup in progress, or starts one and waits for it.
    async fn renew(&self) -> Result<Vec<SocketAddr>, String> {
        loop {
            let taken = self.taken.get();
            let lookup = self.lookup.borrow().clone();
            let lookup = if let Some(lookup) = lookup { Ok(lookup) } else { self.start_lookup() };
            match lookup.map_err(|error| error.to_string())?.recv().await {
                Ok(found) => self.take(found),
                Err(_) if self.taken.get() == taken => {
                    *self.lookup.borrow_mut() = None;
                    return Err("the lookup ended without an answer".to_owned());
                }
                // Another caller took the answer.
                Err(_) => {}
            }
            if let Some(failure) = self.failure.borrow().clone() {
                return Err(failure);
            }
            // If another connection failed before this task ran, the next round looks them up again.
            if let Some(fresh) = self.fresh() {
                return Ok(fresh);
            }
        }
    }

    /// Takes an answer that arrived while no caller ran.
    fn take_late_answer(&self) {
        let late = self.lookup.borrow().as_ref().and_then(|lookup| lookup.try_recv().ok());
        if let Some(found) = late {
            self.take(found);
        }
    }

    /// Ends the lookup with its answer; addresses that are old by now are discarded. Those who still wait for it learn
    /// the failure from here.
    fn take(&self, (at, found): Found) {
        *self.lookup.borrow_mut() = None;
        self.taken.set(self.taken.get().wrapping_add(1));
        match found {
            Ok(addresses) => {
                *self.failure.borrow_mut() = None;
                if at.elapsed() < FRESH {
                    *self.known.borrow_mut() = Some(Known { addresses, since: Some(at) });
                }
            }
            Err(failure) => *self.failure.borrow_mut() = Some(failure),
        }
    }

    /// Starts a lookup on a thread of its own, which ends with it.
    fn start_lookup(&self) -> io::Result<Receiver<Found>> {
        let (answer, answered) = channel::bounded(1);
        let (name, port) = (self.host.clone(), self.port);
        thread().spawn(move || {
            let found = match look_up(&name, port) {
                Ok(none) if none.is_empty() => Err("no address".to_owned()),
                Ok(addresses) => Ok(alternate(&addresses)),
                Err(error) => Err(error.to_string()),
            };
            // The channel has room for it, whether or not a caller waits.
            let _ = answer.try_send((Instant::now(), found));
        })?;
        *self.lookup.borrow_mut() = Some(answered.clone());
        Ok(answered)
    }
}

/// Looks a name up with the system's resolver, and waits for the result.
///
/// That of musl fails as a whole, or waits ten seconds, if a name server does not answer for one of the families, as
/// some do not for IPv6. So both families come first, because only then does the resolver order the addresses by what
/// is reachable (RFC 6724). If that fails, or is slow, each family is also looked up by itself, and what counts is the
/// first answer for both, or for one with an address that can be reached.
pub(crate) fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let (name, same) = (host.to_owned(), host.to_owned());
    let both = move || (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
    look_up_by(PROMPT, both, move |family| look_up_in(family, &same, port))
}

/// [`look_up`] by means of these two, each called on a thread of its own; the second only if the first has not answered
/// within `prompt`.
fn look_up_by(
    prompt: Duration,
    both: impl FnOnce() -> io::Result<Vec<SocketAddr>> + Send + 'static,
    one: impl Fn(AddrFamily) -> io::Result<Vec<SocketAddr>> + Clone + Send + 'static,
) -> io::Result<Vec<SocketAddr>> {
    let (answer, answered) = mpsc::channel();
    let of_both = answer.clone();
    // The caller may have found addresses meanwhile.
    thread().spawn(move || drop(of_both.send(both().map(reachable))))?;
    let mut failure = match answered.recv_timeout(prompt) {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(error)) => Some(error),
        Err(_) => None,
    };
    for family in [AddrFamily::Inet, AddrFamily::Inet6] {
        let (one, of_one) = (one.clone(), answer.clone());
        thread().spawn(move || drop(of_one.send(one(family).and_then(if_reachable))))?;
    }
    drop(answer);
    for found in answered {
        match found {
            Ok(addresses) => return Ok(addresses),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    // The caller has words for no address at all.
    failure.map_or(Ok(Vec::new()), Err)
}

/// The addresses to which there is a route, or all if there is none to any: in a pod without IPv6, the failure of an
/// IPv6 address would be reported in place of what is wrong with the others.
fn reachable(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let some: Vec<_> = addresses.iter().copied().filter(is_reachable).collect();
    if some.is_empty() { addresses } else { some }
}

/// The addresses of one family, unless there is a route to none: the other family may have one.
fn if_reachable(addresses: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
    if addresses.iter().any(is_reachable) { Ok(addresses) } else { Err(io::ErrorKind::NetworkUnreachable.into()) }
}

/// Whether there is a route to an address. Connecting a UDP socket sends nothing.
fn is_reachable(address: &SocketAddr) -> bool {
    let any = if address.is_ipv4() { IpAddr::from(Ipv4Addr::UNSPECIFIED) } else { Ipv6Addr::UNSPECIFIED.into() };
    UdpSocket::bind((any, 0)).is_ok_and(|socket| socket.connect(address).is_ok())
}

/// A thread for one lookup. `getaddrinfo` may take ten seconds and cannot be cancelled.
fn thread() -> Builder {
    Builder::new().name("resolve".to_owned()).stack_size(128 * 1024)
}

fn look_up_in(family: AddrFamily, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let hints = AddrInfoHints { address: family.into(), socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let found = dns_lookup::getaddrinfo(Some(host), None, Some(hints))?;
    found.map(|info| info.map(|info| SocketAddr::new(info.sockaddr.ip(), port))).collect()
}

/// Orders addresses so that the families alternate, beginning with the resolver's first choice (RFC 8305 §4).
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

    /// No host has this name, and no name server is asked: a label has at most 63 letters (RFC 1035 §2.3.4).
    const NOWHERE: &str = "this-label-is-longer-than-the-sixty-three-letters-that-it-may-have.invalid";

    #[test]
    fn families_alternate_from_the_resolvers_first_choice() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (a, b, c) = (parse("[::1]:1"), parse("[::2]:1"), parse("127.0.0.1:1"));
        assert_eq!(alternate(&[a, b, c]), [a, c, b]);
        assert_eq!(alternate(&[c, a, b]), [c, a, b]);
        assert_eq!(alternate(&[a]), [a]);
    }

    #[test]
    fn a_name_is_looked_up_in_either_family_alone() {
        let both = look_up("localhost", 7).unwrap();
        assert!(!both.is_empty());
        let four = look_up_in(AddrFamily::Inet, "localhost", 7).unwrap();
        assert!(four.contains(&SocketAddr::from(([127, 0, 0, 1], 7))), "{four:?}");
        assert!(four.iter().all(SocketAddr::is_ipv4), "{four:?}");
        let failure = look_up("no.invalid", 7).unwrap_err().to_string();
        assert!(failure.starts_with("failed to lookup address information"), "{failure}");
    }

    #[test]
    fn addresses_without_a_route_are_left_out_if_others_have_one() {
        // Link-local addresses need a zone.
        let [here, nowhere] = ["127.0.0.1:7", "[fe80::1]:7"].map(|address| address.parse::<SocketAddr>().unwrap());
        assert_eq!(reachable(vec![nowhere, here]), [here]);
        assert_eq!(reachable(vec![nowhere]), [nowhere]);
    }

    #[test]
    fn a_late_answer_counts_only_with_what_can_be_reached() {
        let [here, nowhere] = ["127.0.0.1:7", "[fe80::1]:7"].map(|address| address.parse::<SocketAddr>().unwrap());
        let late = move |answer| {
            std::thread::sleep(Duration::from_millis(100));
            Ok(answer)
        };
        // For both families, while those for one do not come.
        let found = look_up_by(
            Duration::from_millis(1),
            move || late(vec![nowhere, here]),
            |_| {
                std::thread::sleep(Duration::from_secs(5));
                Err(io::ErrorKind::TimedOut.into())
            },
        );
        assert_eq!(found.unwrap(), [here]);
        // For one family, before the other.
        let failed = || Err(io::ErrorKind::NotFound.into());
        let found = look_up_by(Duration::from_millis(1), failed, move |family| match family {
            AddrFamily::Inet6 => Ok(vec![nowhere]),
            _ => late(vec![here]),
        });
        assert_eq!(found.unwrap(), [here]);
    }

    #[test]
    fn a_failure_is_told_to_all_who_waited_for_it() {
        let resolver = Resolver::new(NOWHERE, 1);
        let (answer, answered) = channel::bounded(1);
        *resolver.lookup.borrow_mut() = Some(answered);
        smol::block_on(async {
            let mut first = Box::pin(resolver.addresses());
            assert!(future::poll_once(&mut first).await.is_none());
            answer.try_send((Instant::now(), Err("Name does not resolve".to_owned()))).unwrap();
            drop(answer);
            // Another request comes before the first one runs.
            let mut second = Box::pin(resolver.addresses());
            assert!(future::poll_once(&mut second).await.is_none());
            assert_eq!(first.await, Err("Name does not resolve".to_owned()));
            assert!(second.await.is_err());
        });
    }

    #[test]
    fn all_who_wait_for_a_lookup_get_its_failure() {
        let resolver = Resolver::new(NOWHERE, 443);
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
        let known = |addresses| Some(Known { addresses, since: Some(long_ago) });
        let resolver = Resolver::new("127.0.0.2", 1);
        *resolver.known.borrow_mut() = known(vec![old]);
        assert_eq!(smol::block_on(resolver.addresses()), Ok(vec![other]));

        let resolver = Resolver::new(NOWHERE, 1);
        *resolver.known.borrow_mut() = known(vec![old]);
        assert_eq!(smol::block_on(resolver.addresses()), Ok(vec![old]));
        assert!(resolver.fresh().is_some(), "not asked for again at once");
    }

    #[test]
    fn addresses_of_a_failed_connection_are_looked_up_again_and_serve_when_that_fails() {
        let [old, new] = ["127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse::<SocketAddr>().unwrap());
        let resolver = answered(Instant::now(), &[old]);
        assert_eq!(smol::block_on(resolver.addresses()), Ok(vec![old]));
        resolver.expire();
        assert!(resolver.fresh().is_none());
        assert_eq!(smol::block_on(resolver.addresses()), Ok(vec![old]));
        assert_eq!(resolver.taken.get(), 2, "looked up again");
        resolver.expire();
        let (answer, of_both) = channel::bounded(1);
        answer.try_send((Instant::now(), Ok(vec![new]))).unwrap();
        *resolver.lookup.borrow_mut() = Some(of_both);
        assert_eq!(smol::block_on(resolver.addresses()), Ok(vec![new]));
    }

    /// A resolver whose lookup found `addresses` at `at`, while no caller waited.
    fn answered(at: Instant, addresses: &[SocketAddr]) -> Resolver {
        let resolver = Resolver::new(NOWHERE, 1);
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
    fn callers_that_give_up_start_no_second_lookup() {
        let resolver = Resolver::new(NOWHERE, 1);
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
