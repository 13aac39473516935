//! One endpoint: its listener, its connections, the switch that stops and starts it, and the faults injected into its
//! requests.

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

/// The transport below HTTP.
#[derive(Clone)]
pub(crate) enum Transport {
    /// Plain TCP.
    Plain,
    /// TLS, with the acceptor's certificate.
    Tls(TlsAcceptor),
}

/// The control of an endpoint from outside, and its observable state.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) name: EndpointName,
    address: SocketAddr,
    pub(crate) up: AtomicBool,
    /// Currently open connections.
    pub(crate) connections: AtomicUsize,
    turns: (Sender<Turn>, Receiver<Turn>),
}

/// A change of the switch; the sender is notified when it is complete.
#[derive(Debug)]
enum Turn {
    /// Close the listener and its connections; listen again after this time, if given.
    Off(Option<Duration>, Sender<io::Result<()>>),
    On(Sender<io::Result<()>>),
}

impl Switch {
    /// A switch in the on position, for an endpoint listening on `address`.
    pub(crate) fn new(name: EndpointName, address: SocketAddr) -> Arc<Self> {
        let (up, connections) = (AtomicBool::new(true), AtomicUsize::new(0));
        Arc::new(Switch { name, address, up, connections, turns: bounded(1) })
    }

    /// Closes the listener and every connection. Completes once connection attempts are refused.
    pub(crate) async fn stop(&self, start_after: Option<Duration>) -> io::Result<()> {
        self.turn(|done| Turn::Off(start_after, done)).await
    }

    /// Listens again, on the same port. Has no effect if it already does.
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
            // The switch itself holds a sender, so the channel is never closed.
            Err(_) => smol::future::pending().await,
        }
    }
}

/// Serves the endpoint forever, on this thread.
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

/// Accepts connections until the switch is turned off. When it returns, everything it opened is closed, because
/// connections are tasks of an executor that ends here. Whoever turned the switch is notified last.
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

/// Waits until the switch is turned on or the time has passed. `None` if the port could not be bound again.
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

/// Accepts until that fails permanently.
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
                // Out of file descriptors, or a peer that left the queue: both are temporary.
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
