//! The minimum cost of forwarding: receive, add one header, seal, send, and pass the response on. One thread, one
//! edge-triggered epoll, rustls with ring; no check, no pool, no timeout, no retry, no limit, no metric. It is not a
//! proxy for real use, but the baseline of the comparison.

mod relay;
mod request;
mod upstream;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustls::ClientConfig;
use slab::Slab;

use relay::{Relay, Shared};

const USAGE: &str = "usage: floor LISTEN UPSTREAM HOST ROOTS AUTHORIZATION";

/// Maximum events per wait.
const EVENTS: usize = 64;

/// Identifies the listener, in place of a connection's number.
const LISTENER: u64 = u64::MAX;

/// The destination of upstream connections.
struct Upstream {
    address: SocketAddr,
    host: String,
    tls: Arc<ClientConfig>,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream, host, roots, authorization] = words.as_slice() else {
        return Err(io::Error::other(USAGE));
    };
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let upstream = Upstream {
        address: upstream.parse().map_err(io::Error::other)?,
        host: host.clone(),
        tls: upstream::trusting(roots)?,
    };
    Floor { epoll: epoll::create(CreateFlags::CLOEXEC)?, relays: Slab::new(), shared: Shared::new(authorization) }
        .serve(&listener, &upstream)
}

/// All connections and their shared state.
struct Floor {
    epoll: OwnedFd,
    relays: Slab<Relay>,
    shared: Shared,
}

impl Floor {
    fn serve(&mut self, listener: &TcpListener, upstream: &Upstream) -> io::Result<()> {
        epoll::add(&self.epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept(listener)?,
                    _ => self.turn(event, upstream),
                }
            }
        }
    }

    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        let (client, _) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        client.set_nonblocking(true)?;
        client.set_nodelay(true)?;
        let entry = self.relays.vacant_entry();
        epoll::add(&self.epoll, &client, sender(entry.key()), EventFlags::IN | EventFlags::RDHUP | EventFlags::ET)?;
        entry.insert(Relay::new(client));
        Ok(())
    }

    /// Does what an event makes possible. A connection that fails is removed, with both of its sockets.
    fn turn(&mut self, event: &Event, upstream: &Upstream) {
        let data = event.data.u64();
        let key = usize::try_from(data / 2).unwrap_or(usize::MAX);
        let Some(relay) = self.relays.get_mut(key) else { return };
        let done = if data.is_multiple_of(2) {
            connected(&self.epoll, relay, key, upstream).and_then(|()| relay.take_in(&mut self.shared))
        } else {
            relay.upstream_event(event.flags, &mut self.shared)
        };
        if let Err(error) = done {
            if error.kind() != io::ErrorKind::UnexpectedEof {
                eprintln!("floor: {error}");
            }
            self.relays.remove(key);
        }
    }
}

/// Opens the upstream connection with the first bytes of a sender, so that idle senders have none.
fn connected(epoll: &OwnedFd, relay: &mut Relay, key: usize, upstream: &Upstream) -> io::Result<()> {
    if relay.upstream.is_some() {
        return Ok(());
    }
    let socket = TcpStream::connect(upstream.address)?;
    socket.set_nodelay(true)?;
    let session = upstream::Session::open(socket, &upstream.tls, &upstream.host)?;
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
    epoll::add(epoll, session.socket(), EventData::new_u64(sender(key).u64() + 1), flags)?;
    relay.upstream = Some(session);
    Ok(())
}

/// The sender's side of a connection has an even number, upstream's the odd one after it.
fn sender(key: usize) -> EventData {
    EventData::new_u64(2 * key as u64)
}
