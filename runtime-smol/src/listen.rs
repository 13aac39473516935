//! The listener: accepts connections, classifies their peers, and turns away those that find no slot.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::time::Duration;

use async_io::Timer;
use ipnet::IpNet;
use remora_core::forward::{Peer, reply};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use smol::future;

use crate::drive;
use crate::hub::Hub;
use crate::notice::Notice;
use crate::reactor::{Reactor, Socket};
use crate::slots::{Slot, Slots};
use crate::threads::{self, LoadGuard};

/// Pause after a failed accept, for example for lack of file descriptors.
const REST: Duration = Duration::from_millis(100);

/// How long a connection being turned away is read, so that its sender sees the answer.
const LINGER: Duration = Duration::from_secs(2);

/// Most connections that a thread is turning away at a time.
pub(crate) const TURNED_AWAY: usize = 64;

/// Connections that may wait to be accepted, unless net.core.somaxconn is lower: as many as `MAX_CONNECTIONS` can be.
/// The kernel ignores further ones, and their senders try again after a second. They may all come while this thread is
/// busy, or throttled.
const BACKLOG: i32 = 4096;

/// Binds `port` on all interfaces, both families where the kernel has both.
pub(crate) fn bind(reactor: &'static Reactor, port: u16) -> io::Result<Socket<TcpListener>> {
    let listener = match bind_to(Ipv6Addr::UNSPECIFIED.into(), port) {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => bind_to(Ipv4Addr::UNSPECIFIED.into(), port)?,
        bound => bound?,
    };
    listener.set_nonblocking(true)?;
    Socket::new(reactor, listener)
}

/// A socket for both families if `address` is of IPv6, even with the sysctl net.ipv6.bindv6only set. This option must be
/// set before the address is bound, which the standard library does not allow, nor does it allow another backlog;
/// everything else is as in the standard library.
fn bind_to(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    sockopt::set_socket_reuseaddr(&socket, true)?;
    net::bind(&socket, &SocketAddr::new(address, port))?;
    net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

/// Accepts forever, for all threads. The admin port takes no writes.
pub(crate) async fn accept(hub: &'static Hub, listener: Rc<Socket<TcpListener>>, admin: bool) {
    loop {
        match accept_one(hub, &listener, admin) {
            // More connections may be waiting; let other tasks run first.
            Ok(true) => future::yield_now().await,
            Ok(false) => {
                listener.drained();
                listener.readable().await;
            }
            Err(error) => {
                hub.notice(&Notice::AcceptFailed { error: &error });
                Timer::after(REST).await;
            }
        }
    }
}

/// Accepts the senders that wait at this moment, as far as they can be.
pub(crate) fn accept_waiting(hub: &'static Hub, listener: &Socket<TcpListener>) {
    // Others may come while these are accepted.
    let _ = (0..BACKLOG).try_for_each(|_| accept_one(hub, listener, false).ok().filter(|accepted| *accepted).map(drop));
}

/// Accepts a connection; false if none waits.
fn accept_one(hub: &'static Hub, listener: &Socket<TcpListener>, admin: bool) -> io::Result<bool> {
    let (stream, from) = match listener.get_ref().accept() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
        accepted => accepted?,
    };
    stream.set_nonblocking(true)?;
    let own = stream.local_addr()?.ip();
    let peer = peer(from.ip(), own, if admin { None } else { Some(&hub.allowed_sources) });
    threads::deal(hub, stream, peer)?;
    Ok(true)
}

/// Serves a connection on this thread, or turns it away.
pub(crate) fn admit(hub: &'static Hub, stream: TcpStream, peer: Peer, guard: LoadGuard) -> io::Result<()> {
    let stream = Socket::new(hub.reactor, stream)?;
    let slots = if peer.may_write() { &hub.senders } else { &hub.guests };
    if let Some(slot) = take_slot(hub, slots, peer) {
        let _ = stream.get_ref().set_nodelay(true);
        hub.traffic.connected(hub.now(), peer.may_write());
        let serve = async move {
            drive::serve(hub, stream, peer, Rc::clone(&slot)).await;
            slots.leave(&slot);
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
    } else {
        refuse(&stream);
    }
    Ok(())
}

/// A slot for this peer, if there is one. Counts when there is none for a sender, or when another sender's connection
/// loses its slot.
fn take_slot(hub: &'static Hub, slots: &Slots, peer: Peer) -> Option<Rc<Slot>> {
    if slots.is_full() && peer.may_write() {
        hub.traffic.turn_away();
    }
    let slot = slots.enter(hub.now());
    if slot.is_none() && peer.may_write() {
        hub.notice(&Notice::Crowded);
    }
    slot
}

/// Answers without waiting.
fn refuse(stream: &Socket<TcpStream>) {
    let mut answer = [0; 512];
    let length = reply::crowded(&mut answer);
    // A new connection's send buffer has room for an answer.
    let _ = stream.write(answer.get(..length).unwrap_or_default());
    let _ = stream.get_ref().shutdown(Shutdown::Write);
}

/// Answers at once, then keeps reading: closing earlier may turn the answer into a network error.
async fn turn_away(stream: &Socket<TcpStream>) {
    refuse(stream);
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

/// Classifies a peer by its address and the one it connected to; `allowed` are the networks that may write besides the
/// pod, or `None` where no peer may. An IPv4 peer on an IPv6 socket has a mapped address. Loopback must be at both
/// ends: what arrives at the pod's address from 127.0.0.6 is a service mesh's proxy, on behalf of another pod.
fn peer(from: IpAddr, to: IpAddr, allowed: Option<&[IpNet]>) -> Peer {
    let (from, to) = (from.to_canonical(), to.to_canonical());
    let near = from.is_loopback() && to.is_loopback();
    match allowed {
        None => Peer::Watcher { near },
        Some(_) if near => Peer::Loopback,
        Some(networks) if networks.iter().any(|network| network.contains(&from)) => Peer::Allowed,
        Some(_) => Peer::Foreign,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_burst_of_connections_waits_to_be_accepted() {
        // The kernel's own limit may be lower, and not every machine has IPv6.
        let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap();
        let burst = limit.trim().parse().map_or(300, |limit: usize| limit.min(300));
        for address in [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()] {
            let Ok(listener) = bind_to(address, 0) else { continue };
            let there = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port()));
            let connect = || TcpStream::connect_timeout(&there, Duration::from_millis(500));
            let waiting: Result<Vec<_>, _> = (0..burst).map(|_| connect()).collect();
            assert_eq!(waiting.map(|waiting| waiting.len()).ok(), Some(burst), "{address}");
        }
    }

    #[test]
    fn of_the_connections_turned_away_those_of_senders_count() {
        let config = crate::fixture::config("https://h.example/write", std::path::Path::new("/none"));
        let hub = crate::fixture::hub(&config, &crate::trust::Trust::load(&config.trust).unwrap());
        for (slots, peer, counted) in [(&hub.guests, Peer::Foreign, 0), (&hub.senders, Peer::Loopback, 1)] {
            (0..=slots.most()).for_each(|_| drop(take_slot(hub, slots, peer)));
            assert_eq!(hub.traffic.turned_away(), counted, "{peer:?}");
        }
    }

    #[test]
    fn one_too_many_to_be_turned_away_slowly_is_answered_all_the_same() {
        let config = crate::fixture::config("https://h.example/write", std::path::Path::new("/none"));
        let hub = crate::fixture::hub(&config, &crate::trust::Trust::load(&config.trust).unwrap());
        let slots: Vec<_> = std::iter::from_fn(|| hub.senders.enter(hub.now())).collect();
        assert_eq!(slots.len(), 7);
        let _leaving: Vec<_> = std::iter::from_fn(|| hub.turned_away.try_take()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sender = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        threads::deal(hub, stream, Peer::Loopback).unwrap();
        let mut answer = String::new();
        sender.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("raise MAX_CONNECTIONS\n"), "{answer}");
    }

    #[test]
    fn peers_are_classified_by_address_and_port() {
        let networks = ["192.0.2.0/24".parse().unwrap()];
        for (from, to, port, near) in [
            ("127.0.0.1", "127.0.0.1", Peer::Loopback, true),
            ("::1", "::1", Peer::Loopback, true),
            ("::ffff:127.0.0.9", "::ffff:127.0.0.1", Peer::Loopback, true),
            ("192.0.2.7", "192.0.2.9", Peer::Allowed, false),
            ("::ffff:192.0.2.7", "::ffff:192.0.2.9", Peer::Allowed, false),
            ("198.51.100.1", "192.0.2.9", Peer::Foreign, false),
            ("127.0.0.6", "198.51.100.9", Peer::Foreign, false),
            ("::ffff:127.0.0.6", "::ffff:198.51.100.9", Peer::Foreign, false),
        ] {
            let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
            assert_eq!(peer(from, to, Some(&networks)), port, "{from}");
            assert_eq!(peer(from, to, None), Peer::Watcher { near }, "{from}");
        }
    }
}
