//! The threads beside the first.

use std::future;
use std::io;
use std::thread::Builder;

use smol::channel::{self, Receiver, Sender};

use super::{Crew, Mail, attend};
use crate::hub::{Hub, Plan};
use crate::tokens::Rejection;
use crate::{StartError, Stopped};

/// Where it is told that the process has to end.
pub(crate) type End = Sender<io::Result<Stopped>>;

/// Starts a thread; returns when it is ready to serve. It ends with the process, or tells `end` why it could not go on.
pub(crate) fn start(
    plan: &Plan,
    (crew, mailbox): (Crew, Receiver<Mail>),
    rejections: Sender<Rejection>,
    end: End,
) -> Result<(), StartError> {
    let (ready, readied) = channel::bounded(1);
    let plan = plan.clone();
    let thread = Builder::new().name(format!("worker-{}", crew.place()));
    let work = move || {
        let hub = match Hub::new(&plan, crew, rejections) {
            Ok(hub) => Box::leak(Box::new(hub)),
            Err(error) => return drop(ready.try_send(Err(error))),
        };
        let _ = ready.try_send(Ok(()));
        if let Err(error) = run(hub, mailbox) {
            let _ = end.try_send(Err(error));
        }
    };
    thread.spawn(work).map_err(StartError::System)?;
    readied.recv_blocking().unwrap_or_else(|_| Err(StartError::System(io::ErrorKind::BrokenPipe.into())))
}

fn run(hub: &'static Hub, mailbox: Receiver<Mail>) -> io::Result<()> {
    hub.executor.spawn(attend(hub, mailbox)).detach();
    hub.reactor.block_on(hub.executor.run(future::pending()))
}
