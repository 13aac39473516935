//! Forwards accepted bodies, unchanged and in order, to a Prometheus receiver on this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use hyper::body::Bytes;
use ureq::Agent;

use crate::ingest::frame::Schema;
use crate::log;

/// Bodies that may be queued; a receiver that is slower than the sender slows the sender down.
const WAITING: usize = 64;

/// How many bodies the receiver accepted and refused.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) sent: AtomicU64,
    /// Refused or not delivered; each is logged, none is retried.
    pub(crate) refused: AtomicU64,
}

/// The queue of the thread that posts.
#[derive(Debug)]
pub(crate) struct PassOn {
    waiting: SyncSender<(Schema, Bytes)>,
    pub(crate) tally: Arc<Tally>,
}

impl PassOn {
    /// Starts the thread that posts to `url`.
    pub(crate) fn start(url: String) -> Self {
        let (waiting, bodies) = sync_channel(WAITING);
        let tally = Arc::<Tally>::default();
        let counted = Arc::clone(&tally);
        std::thread::spawn(move || post_all(&url, &bodies, &counted));
        PassOn { waiting, tally }
    }

    /// Enqueues a body, waiting for room.
    pub(crate) fn send(&self, schema: Schema, body: Bytes) {
        if self.waiting.send((schema, body)).is_err() {
            self.tally.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn post_all(url: &str, bodies: &Receiver<(Schema, Bytes)>, tally: &Tally) {
    let config = Agent::config_builder().timeout_global(Some(Duration::from_secs(30))).proxy(None).build();
    let agent: Agent = config.into();
    for (schema, body) in bodies {
        match post(&agent, url, schema, &body) {
            Ok(()) => tally.sent.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                log::line(format_args!("pass-on: {url} refused a body: {error}"));
                tally.refused.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

fn post(agent: &Agent, url: &str, schema: Schema, body: &[u8]) -> Result<(), ureq::Error> {
    let request = agent
        .post(url)
        .header("Content-Encoding", "snappy")
        .header("Content-Type", schema.content_type())
        .header("X-Prometheus-Remote-Write-Version", schema.version());
    request.send(body)?.into_body().read_to_vec().map(drop)
}
