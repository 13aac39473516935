//! One endpoint: its listener, its connections, the switch that stops and starts it, and the faults put on its requests.

mod connection;
mod fault;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_rustls::TlsAcceptor;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;
use smol::net::TcpStream;
use smol::{Async, LocalExecutor, Timer};

use crate::cut::reset_on_close;
use crate::emulator::Emulator;
use crate::faults::EndpointName;
use crate::log;

/// What HTTP is spoken over.
#[derive(Clone)]
pub(crate) enum Transport {
    /// TCP as it is.
    Plain,
    /// TLS, with the certificate that the acceptor has.
    Tls(TlsAcceptor),
}

/// A person's hand on an endpoint, and what can be seen of it from outside.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) name: EndpointName,
    address: SocketAddr,
    pub(crate) up: AtomicBool,
    /// Connections open now.
    pub(crate) connections: AtomicUsize,
    turns: (Sender<Turn>, Receiver<Turn>),
}

/// What the switch can be turned to; the sender hears when it is done.
#[derive(Debug)]
enum Turn {
    /// Close the listener and its connections; open again by itself after the time.
    Off(Option<Duration>, Sender<io::Result<()>>),
    On(Sender<io::Result<()>>),
}

impl Switch {
    /// A switch that is on, for an endpoint listening on `address`.
    pub(crate) fn new(name: EndpointName, address: SocketAddr) -> Arc<Self> {
        let (up, connections) = (AtomicBool::new(true), AtomicUsize::new(0));
        Arc::new(Switch { name, address, up, connections, turns: bounded(1) })
    }

    /// Closes the listener and every connection. Done when a connect is refused.
    pub(crate) async fn stop(&self, start_after: Option<Duration>) -> io::Result<()> {
        self.turn(|done| Turn::Off(start_after, done)).await
    }

    /// Listens again, on the same port. Nothing changes when it does already.
    pub(crate) async fn start(&self) -> io::Result<()> {
        self.turn(Turn::On).await
    }

    async fn turn(&self, turn: impl FnOnce(Sender<io::Result<()>>) -> Turn) -> io::Result<()> {
        let (done, heard) = bounded(1);
        self.turns.0.send(turn(done)).await.map_err(io::Error::other)?;
        heard.recv().await.map_err(io::Error::other)?
    }

    async fn next(&self) -> Turn {
        match self.turns.1.recv().await {
            Ok(turn) => turn,
            // The switch holds a sender itself, so the channel is never closed.
            Err(_) => smol::future::pending().await,
        }
    }
}

/// Serves the endpoint for ever, on this thread.
pub(crate) fn serve(emulator: &Arc<Emulator>, switch: &Arc<Switch>, transport: &Transport, listener: TcpListener) {
    smol::block_on(async {
        let mut listener = Some(listener);
        loop {
            let start_after = match listener.take() {
                Some(listener) => on(emulator, switch, transport, listener).await,
                None => None,
            };
            listener = off(switch, start_after).await;
        }
    });
}

/// Accepts connections until the switch is turned off. Everything it opened is closed when it returns: connections are tasks of
/// an executor that ends here. The one who turned the switch is told last.
async fn on(
    emulator: &Arc<Emulator>,
    switch: &Arc<Switch>,
    transport: &Transport,
    listener: TcpListener,
) -> Option<Duration> {
    let connections = LocalExecutor::new();
    let accepting = async {
        let error = accept_all(emulator, switch, transport, &connections, listener).await;
        log::line(format_args!("{}: stopped listening: {error}", switch.name.as_str()));
        smol::future::pending().await
    };
    let turned_off = async {
        loop {
            match switch.next().await {
                Turn::On(done) => drop(done.send(Ok(())).await),
                Turn::Off(start_after, done) => return (start_after, done),
            }
        }
    };
    let (start_after, done) = connections.run(or(accepting, turned_off)).await;
    drop(connections);
    switch.up.store(false, Ordering::Relaxed);
    done.send(Ok(())).await.ok();
    start_after
}

/// Waits for the switch to be turned on, or for the time to pass. `None` when the port could not be taken back.
async fn off(switch: &Switch, start_after: Option<Duration>) -> Option<TcpListener> {
    let mut timer = start_after.map_or_else(Timer::never, Timer::after);
    loop {
        let elapsed = async {
            (&mut timer).await;
            None
        };
        let done = match or(async { Some(switch.next().await) }, elapsed).await {
            Some(Turn::Off(again, done)) => {
                timer = again.map_or_else(Timer::never, Timer::after);
                done.send(Ok(())).await.ok();
                continue;
            }
            Some(Turn::On(done)) => Some(done),
            None => None,
        };
        let listener = TcpListener::bind(switch.address);
        if let Err(error) = &listener {
            log::line(format_args!("{}: cannot listen again: {error}", switch.name.as_str()));
        }
        switch.up.store(listener.is_ok(), Ordering::Relaxed);
        let (listener, told) = match listener {
            Ok(listener) => (Some(listener), Ok(())),
            Err(error) => (None, Err(error)),
        };
        if let Some(done) = done {
            done.send(told).await.ok();
        }
        return listener;
    }
}

/// Accepts until that fails for good.
async fn accept_all(
    emulator: &Arc<Emulator>,
    switch: &Arc<Switch>,
    transport: &Transport,
    connections: &LocalExecutor<'_>,
    listener: TcpListener,
) -> io::Error {
    let listener = match Async::new(listener) {
        Ok(listener) => listener,
        Err(error) => return error,
    };
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => TcpStream::from(socket),
            Err(error) => {
                // Out of file descriptors, or a peer that left the queue: neither is for good.
                log::line(format_args!("{}: accept: {error}", switch.name.as_str()));
                Timer::after(Duration::from_millis(50)).await;
                continue;
            }
        };
        if emulator.faults.lock().at_accept(switch.name, Instant::now()) {
            reset_on_close(&socket).ok();
            continue;
        }
        let (emulator, switch, transport) = (Arc::clone(emulator), Arc::clone(switch), transport.clone());
        connections.spawn(connection::serve(emulator, switch, transport, socket)).detach();
    }
}
