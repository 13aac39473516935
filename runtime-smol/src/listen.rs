//! The listener: accepts connections, classifies their peers, and turns away those that find no slot.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use async_io::Timer;
use ipnet::IpNet;
use remora_core::forward::{Peer, reply};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use smol::future;

use crate::drive;
use crate::guests::Guests;
use crate::hub::Hub;
use crate::notice::Notice;
use crate::pool::Pool;
use crate::reactor::{Reactor, Socket};
use crate::threads::{self, LoadGuard};

/// Pause after a failed accept, for example for lack of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// How long a connection being turned away is read, so that its sender sees the answer.
const LINGER: Duration = Duration::from_secs(2);

/// Most connections that a thread is turning away at a time.
pub(crate) const TURNED_AWAY: usize = 64;

/// Connections that may wait to be accepted, as many as in the standard library.
const BACKLOG: i32 = 128;

/// Binds `port` on all interfaces, both families where the kernel has both.
pub(crate) fn bind(reactor: &'static Reactor, port: u16) -> io::Result<Socket<TcpListener>> {
    let listener = match bind_both(port) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))?
        }
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Socket::new(reactor, listener)
}

/// One socket for both families, even with the sysctl net.ipv6.bindv6only set. The option must be set before the
/// address is bound, which the standard library does not allow; everything else is as in the standard library.
fn bind_both(port: u16) -> io::Result<TcpListener> {
    let socket = net::socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_ipv6_v6only(&socket, false)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Accepts forever, for all threads. The admin port takes no writes.
pub(crate) async fn accept(hub: &'static Hub, listener: Socket<TcpListener>, admin: bool) {
    loop {
        let accepted = next(&listener).await.and_then(|(stream, from)| {
            let peer = peer(from.ip(), if admin { None } else { Some(&hub.allowed_sources) });
            threads::deal(hub, stream, peer)
        });
        match accepted {
            // More connections may be waiting; let other tasks run first.
            Ok(()) => future::yield_now().await,
            Err(error) => {
                hub.notice(&Notice::AcceptFailed { error: &error });
                Timer::after(REST).await;
            }
        }
    }
}

/// The next connection and its remote address.
async fn next(listener: &Socket<TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        match listener.get_ref().accept() {
            Ok((stream, from)) => {
                stream.set_nonblocking(true)?;
                return Ok((stream, from));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                listener.drained();
                listener.readable().await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Serves a connection on this thread, or turns it away.
pub(crate) fn admit(hub: &'static Hub, stream: TcpStream, peer: Peer, guard: LoadGuard) -> io::Result<()> {
    let stream = Socket::new(hub.reactor, stream)?;
    let kept = kept(&hub.slots, peer);
    if hub.slots.free() <= kept {
        hub.traffic.turn_away();
        hub.notice(&Notice::Crowded);
    }
    if let Some(slot) = slot(&hub.slots, &hub.guests, kept) {
        let _ = stream.get_ref().set_nodelay(true);
        hub.traffic.connected(peer.may_write());
        let guest = if peer.may_write() { None } else { Some(hub.guests.enter()) };
        let serve = async move {
            drive::serve(hub, stream, peer, guest.clone()).await;
            if let Some(guest) = &guest {
                hub.guests.leave(guest);
            }
            hub.slots.give([slot]);
            hub.traffic.disconnected(peer.may_write());
            drop(guard);
        };
        hub.executor.spawn(serve).detach();
    } else if let Some(leave) = hub.turned_away.try_take() {
        let turn_away = async move {
            future::or(turn_away(&stream), async {
                Timer::after(LINGER).await;
            })
            .await;
            hub.turned_away.give([leave]);
        };
        hub.executor.spawn(turn_away).detach();
    }
    Ok(())
}

/// Slots that `peer` may not take: peers that may not write get at most three quarters, if there is more than one.
fn kept(slots: &Pool<()>, peer: Peer) -> usize {
    if peer.may_write() { 0 } else { slots.size().div_ceil(4).min(slots.size().saturating_sub(1)) }
}

/// A slot beyond the kept ones; or one of those, borrowed until the oldest guest has left.
fn slot(slots: &Pool<()>, guests: &Guests, kept: usize) -> Option<()> {
    if slots.free() > kept || kept > 0 && slots.free() > 0 && guests.dismiss_first() { slots.try_take() } else { None }
}

/// Answers at once, then keeps reading: closing earlier would turn the answer into a network error.
async fn turn_away(stream: &Socket<TcpStream>) {
    let mut answer = [0; 512];
    let length = reply::crowded(&mut answer);
    // A new connection's send buffer has room for an answer.
    let _ = stream.write(answer.get(..length).unwrap_or_default());
    let _ = stream.get_ref().shutdown(Shutdown::Write);
    let mut scratch = [0; 2048];
    loop {
        match stream.read(&mut scratch) {
            Ok(0) => return,
            Ok(_) => future::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await,
            Err(_) => return,
        }
    }
}

/// Classifies a peer by its address; `allowed` are the networks that may write besides the pod, or none where no peer
/// may. An IPv4 peer on an IPv6 socket has a mapped address.
fn peer(from: IpAddr, allowed: Option<&[IpNet]>) -> Peer {
    let from = from.to_canonical();
    match allowed {
        None => Peer::Watcher { near: from.is_loopback() },
        Some(_) if from.is_loopback() => Peer::Loopback,
        Some(networks) if networks.iter().any(|network| network.contains(&from)) => Peer::Allowed,
        Some(_) => Peer::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_sender_sits_follows_from_its_address_and_the_port() {
        let networks = ["192.0.2.0/24".parse().unwrap()];
        for (from, port, near) in [
            ("127.0.0.1", Peer::Loopback, true),
            ("::1", Peer::Loopback, true),
            ("::ffff:127.0.0.9", Peer::Loopback, true),
            ("192.0.2.7", Peer::Allowed, false),
            ("::ffff:192.0.2.7", Peer::Allowed, false),
            ("198.51.100.1", Peer::Foreign, false),
        ] {
            let from = from.parse().unwrap();
            assert_eq!(peer(from, Some(&networks)), port, "{from}");
            assert_eq!(peer(from, None), Peer::Watcher { near }, "{from}");
        }
    }

    #[test]
    fn who_may_not_write_cannot_take_the_last_slots_and_makes_place_for_the_next() {
        let (slots, guests) = (Pool::new(std::iter::repeat_n((), 8)), Guests::default());
        let take = |peer| slot(&slots, &guests, kept(&slots, peer));
        let foreign: Vec<_> = std::iter::from_fn(|| take(Peer::Foreign)).collect();
        assert_eq!(foreign.len(), 6, "of guests that have not entered none can be dismissed");
        let first = guests.enter();
        assert_eq!(take(Peer::Foreign), Some(()));
        assert!(first.is_dismissed());
        guests.leave(&first);
        slots.give([()]);
        let own: Vec<_> = std::iter::from_fn(|| take(Peer::Loopback)).collect();
        assert_eq!(own.len(), 2);
        let second = guests.enter();
        assert_eq!(take(Peer::Foreign), None, "no slot at all is free");
        assert_eq!(take(Peer::Loopback), None);
        assert!(!second.is_dismissed());
    }

    #[test]
    fn of_few_slots_too_some_are_kept() {
        for (size, kept_ones) in [(1, 0), (2, 1), (3, 1), (4, 1), (5, 2), (8, 2)] {
            let slots = Pool::new(std::iter::repeat_n((), size));
            assert_eq!((kept(&slots, Peer::Foreign), kept(&slots, Peer::Loopback)), (kept_ones, 0), "{size}");
        }
    }
}
