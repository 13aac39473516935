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
use std::time::Duration;

use remora_core::forward::{Page, counters};
use remora_core::metrics::{self, Family, Format, Sink, Value};
use remora_core::time::Instant;

use crate::assertion;
use crate::body::{Body, SEGMENT};
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
    families::ALL.iter().chain(counters::ALL).chain(exchanges::ALL).chain(process::ALL)
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
    for (family, value) in values(hub, snapshot) {
        to.values(family, &mut [value].into_iter());
    }
    let upstream = [snapshot.responses.lent, snapshot.idle];
    to.values(&families::UPSTREAM_CONNECTIONS, &mut upstream.into_iter().map(whole));
    snapshot.counters.report(to);
    snapshot.exchanges.report(to);
    process::report(hub.started, to);
}

/// The families with a single series each, in the order of the page.
fn values(hub: &Hub, snapshot: &Snapshot) -> [(&'static Family, Value); 14] {
    let time = |at: Option<Instant>| Value::Whole(at.map_or(0, |at| hub.clock.unix_ms_at(at) / 1000));
    let bytes = |segments: usize| whole(segments.saturating_mul(SEGMENT));
    [
        (&families::READY, Value::Whole(hub.can_forward().into())),
        (&families::LAST_SUCCESS, time(snapshot.last_success)),
        (&families::HOLD, Value::seconds(snapshot.hold)),
        (&families::OLDEST, Value::seconds(snapshot.oldest.age)),
        (&families::IN_FLIGHT, whole(snapshot.open)),
        (&families::FORWARDS_LIMIT, whole(snapshot.responses.all)),
        (&families::CONNECTIONS, whole(snapshot.senders.lent)),
        (&families::CONNECTIONS_LIMIT, whole(snapshot.senders.all)),
        (&families::CONNECTIONS_REJECTED, Value::Whole(snapshot.turned_away)),
        (&families::BODY_MEMORY, bytes(snapshot.segments.all)),
        (&families::BODY_MEMORY_USED, bytes(snapshot.segments.lent)),
        (&families::TOKEN_EXPIRY, time(hub.tokens.expires())),
        (&families::CLOCK_SKEW, Value::seconds(hub.tokens.skew().map_or(Duration::ZERO, |skew| skew.by))),
        (&families::ASSERTION_EXPIRY, Value::Whole(assertion_expiry(hub).unwrap_or_default())),
    ]
}

/// In seconds since 1970. Read every time, because the kubelet replaces the file.
fn assertion_expiry(hub: &Hub) -> Option<u64> {
    assertion::expiry_of(hub.token_file.as_deref()?)
}

fn whole(n: usize) -> Value {
    Value::Whole(u64::try_from(n).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
