//! What the process says about itself: `/metrics` and `/status`, written into segments like bodies are.
//!
//! Every number stands where it is counted: requests in the core, exchanges with Entra in [`exchanges`], the rest in the
//! pools and counters of the [`Hub`]. Here they are brought together, those of other threads as a [`Census`] that they are
//! asked for, and nothing runs between two requests for a page.

mod census;
mod families;
mod process;
mod status;

use std::fmt::{self, Write};
use std::time::Duration;

use remora_core::forward::{Page, counters};
use remora_core::metrics::{self, Family, Format, Sink, Value};
use remora_core::time::Instant;

use crate::assertion;
use crate::body::{Body, SEGMENT};
use crate::crew::Answer;
use crate::hub::Hub;
use crate::identity::exchanges;

pub(crate) use census::Census;

/// What only the program knows: its name plate and the configuration it was given.
#[derive(Clone, Debug)]
pub struct About {
    /// Version of the program.
    pub version: &'static str,
    /// What it was built for.
    pub target: String,
    /// TLS library and its cryptography.
    pub tls: &'static str,
    /// Who the process is to Entra, as names and values without a secret.
    pub identity: Vec<(&'static str, String)>,
    /// The rest of the effective configuration, as names and values without a secret.
    pub settings: Vec<(&'static str, String)>,
}

/// All families in the order of the page.
pub fn families() -> impl Iterator<Item = &'static Family> {
    families::ALL.iter().chain(counters::ALL).chain(exchanges::ALL).chain(process::ALL)
}

/// Writes a page behind what is in `body`, which is empty; gives its length, or nothing where there is no room for it.
/// `others` are the numbers of the other threads.
pub(crate) fn write(hub: &Hub, others: &[Answer], page: Page, body: &mut Body) -> Option<usize> {
    let census = Census::with(hub, others, page);
    match page {
        Page::Metrics(format) => write_metrics(hub, &census, format, body).ok()?,
        Page::Status => status::write(hub, &census, body).ok()?,
    }
    Some(body.len())
}

/// Writes the page of metrics to whatever takes text. Allocates nothing.
fn write_metrics(hub: &Hub, census: &Census, format: Format, out: &mut dyn Write) -> fmt::Result {
    let mut page = metrics::Page::new(format, out);
    let about = &hub.about;
    page.info(&families::BUILD, &[("version", about.version), ("target", &about.target), ("tls", about.tls)]);
    report(hub, census, &mut page);
    page.finish()
}

/// Everything but the name plate.
fn report(hub: &Hub, census: &Census, to: &mut dyn Sink) {
    for (family, value) in values(hub, census) {
        to.values(family, &mut [value].into_iter());
    }
    let upstream = [census.responses.lent, census.idle];
    to.values(&families::UPSTREAM_CONNECTIONS, &mut upstream.into_iter().map(whole));
    census.counters.report(to);
    census.exchanges.report(to);
    process::report(hub.started, to);
}

/// The families of one series each, in the order of the page.
fn values(hub: &Hub, census: &Census) -> [(&'static Family, Value); 13] {
    let now = hub.now();
    let time = |at: Option<Instant>| Value::Whole(at.map_or(0, |at| hub.clock.unix_ms_at(at) / 1000));
    let bytes = |segments: usize| whole(segments.saturating_mul(SEGMENT));
    [
        (&families::READY, Value::Whole(hub.is_sound().into())),
        (&families::LAST_SUCCESS, time(census.last_success)),
        (&families::HOLD, Value::Milli(milliseconds(hub.gateway.holds_for(now)))),
        (&families::OLDEST, Value::Milli(milliseconds(census.oldest.1))),
        (&families::IN_FLIGHT, whole(census.open)),
        (&families::FORWARDS_LIMIT, whole(census.responses.all)),
        (&families::CONNECTIONS, whole(census.connections)),
        (&families::CONNECTIONS_LIMIT, whole(census.slots.all)),
        (&families::CONNECTIONS_REJECTED, Value::Whole(census.turned_away)),
        (&families::BODY_MEMORY, bytes(census.segments.all)),
        (&families::BODY_MEMORY_USED, bytes(census.segments.lent)),
        (&families::TOKEN_EXPIRY, time(hub.tokens.expires())),
        (&families::ASSERTION_EXPIRY, Value::Whole(assertion_expiry(hub).unwrap_or_default())),
    ]
}

/// In seconds since 1970. Read anew each time, for the kubelet replaces the file.
fn assertion_expiry(hub: &Hub) -> Option<u64> {
    assertion::expiry_of(hub.token_file.as_deref()?)
}

fn whole(n: usize) -> Value {
    Value::Whole(u64::try_from(n).unwrap_or(u64::MAX))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
