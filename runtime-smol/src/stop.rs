//! SIGTERM and SIGINT: the first asks to finish, the second ends at once. Without a handler, process 1 of a container
//! would not even notice them.

use std::io;
use std::time::Duration;

use async_io::Timer;
use async_signal::{Signal, Signals};
use smol::future;
use smol::stream::StreamExt as _;

use crate::hub::Hub;
use crate::notice::Notice;

/// How the process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing was open any more.
    Settled,
    /// The grace period ended with this many requests open.
    Overdue(usize),
    /// A second signal, by its number.
    Again(i32),
}

pub(crate) fn signals() -> io::Result<Signals> {
    Signals::new([Signal::Term, Signal::Int])
}

/// Completes when the process is to end.
pub(crate) async fn wait(hub: &'static Hub, mut signals: Signals, grace: Duration) -> Stopped {
    next(&mut signals).await;
    hub.gateway.drain();
    hub.observer.notice(&Notice::Stopping { open: hub.traffic.open() });
    let settled = async {
        hub.traffic.settle(hub.clock).await;
        Stopped::Settled
    };
    let overdue = async {
        Timer::after(grace).await;
        Stopped::Overdue(hub.traffic.open())
    };
    let again = async { Stopped::Again(next(&mut signals).await) };
    future::or(settled, future::or(again, overdue)).await
}

/// The number of the next signal.
async fn next(signals: &mut Signals) -> i32 {
    loop {
        match signals.next().await {
            Some(Ok(signal)) => return signal as i32,
            Some(Err(_)) => {}
            None => future::pending().await,
        }
    }
}
