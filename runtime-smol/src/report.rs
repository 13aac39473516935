//! The process's pages about itself, `/metrics` and `/status`, written into segments like bodies.
//!
//! Every number is kept where it is counted: requests in the core, token exchanges in [`exchanges`], the rest in the
//! pools and counters of the [`Hub`]. They are combined here, with a [`Snapshot`] requested from each other thread;
//! nothing runs between two requests for a page.

mod families;
mod process;
mod snapshot;
mod status;

use std::fmt::{self, Write};

use remora_core::forward::{Page, counters};
use remora_core::metrics::{self, Family, Format, Sink};

use crate::assertion;
use crate::body::Body;
use crate::hub::Hub;
use crate::identity::exchanges;
use crate::threads::Reply;

pub(crate) use snapshot::Snapshot;

/// What only the program knows: its version and build, and the configuration it was given.
#[derive(Clone, Debug)]
pub struct About {
    /// Version of the program.
    pub version: &'static str,
    /// Target that it was built for.
    pub target: String,
    /// TLS library and its cryptography.
    pub tls: &'static str,
    /// Its identity in Entra, as names and values without secrets.
    pub identity: Vec<(&'static str, String)>,
    /// The rest of the effective configuration, as names and values without secrets.
    pub settings: Vec<(&'static str, String)>,
}

/// All families in the order of the page.
pub fn families() -> impl Iterator<Item = &'static Family> {
    families::all().chain(counters::families()).chain(exchanges::families()).chain(process::ALL)
}

/// Writes a page into `body`, which is empty; returns its length, or `None` if there is no room for it. `others` are
/// the numbers of the other threads.
pub(crate) fn write(hub: &Hub, others: &[Reply], page: Page, body: &mut Body) -> Option<usize> {
    let snapshot = Snapshot::with(hub, others, page);
    match page {
        Page::Metrics(format) => write_metrics(hub, &snapshot, format, body).ok()?,
        Page::Status => status::write(hub, &snapshot, body).ok()?,
    }
    Some(body.len())
}

/// Writes the metrics page to `out`. Allocates nothing.
fn write_metrics(hub: &Hub, snapshot: &Snapshot, format: Format, out: &mut dyn Write) -> fmt::Result {
    let mut page = metrics::Exposition::new(format, out);
    let about = &hub.about;
    page.info(&families::BUILD, &[("version", about.version), ("target", &about.target), ("tls", about.tls)]);
    report(hub, snapshot, &mut page);
    page.finish()
}

/// Everything but the build info.
fn report(hub: &Hub, snapshot: &Snapshot, to: &mut dyn Sink) {
    families::report(hub, snapshot, to);
    snapshot.counters.report(to);
    snapshot.exchanges.report(to);
    process::report(hub.started, to);
}

/// In seconds since 1970. Read every time, because the kubelet replaces the file.
fn assertion_expiry(hub: &Hub) -> Option<u64> {
    assertion::expiry_of(hub.token_file.as_deref()?)
}

#[cfg(test)]
mod tests;
