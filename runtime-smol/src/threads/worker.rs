//! The threads other than the first.

use std::convert::Infallible;
use std::future;
use std::io;
use std::thread::Builder;

use smol::channel::{Receiver, Sender};

use super::{Message, Threads, View, receive};
use crate::hub::{Hub, Plan};
use crate::tokens::RefusedToken;
use crate::{StartError, Stopped};

/// Reports how the process ends.
pub(crate) type End = Sender<Result<Stopped, StartError>>;

/// Starts a thread. It ends with the process, or reports to `end` why it cannot go on.
pub(crate) fn start(plan: &Plan, (threads, mailbox): View, refused: Sender<RefusedToken>, end: End) -> io::Result<()> {
    let plan = plan.clone();
    let thread = Builder::new().name(format!("worker-{}", threads.index()));
    // Messages that arrive before it is ready wait in the mailbox.
    thread.spawn(move || {
        let Err(error) = run(&plan, threads, mailbox, refused);
        let _ = end.try_send(Err(error));
    })?;
    Ok(())
}

fn run(
    plan: &Plan,
    threads: Threads,
    mailbox: Receiver<Message>,
    refused: Sender<RefusedToken>,
) -> Result<Infallible, StartError> {
    let hub: &'static Hub = Box::leak(Box::new(Hub::new(plan, threads, refused)?));
    hub.executor.spawn(receive(hub, mailbox)).detach();
    hub.reactor.block_on(hub.executor.run(future::pending())).map_err(StartError::Running)
}
