//! A sender, Azure and the driver between them, for one exchange in which all goes well. Bodies are not copied and
//! frames not checked: what is counted is the machine.

use std::time::Duration;

use remora_core::forward::{Event, Exchange, Gateway, Outgoing, Peer, Policy, Timeouts, Upstream, UpstreamHead};
use remora_core::time::Instant;

const NOW: Instant = Instant::from_millis(1_000_000);

const POLICY: Policy = Policy {
    max_body_bytes: 4 << 20,
    max_decoded_bytes: 32 << 20,
    check: None,
    refusal_hold: Duration::from_secs(1800),
    pass_rate_limit: false,
    timeouts: Timeouts::DEFAULT,
};

/// Azure, as an exchange has to know it.
const AZURE: Upstream<'_> = Upstream {
    authority: "example-1234.westeurope-1.metrics.ingest.monitor.azure.com",
    target: "/dataCollectionRules/dcr-0123456789abcdef0123456789abcdef/streams/Microsoft-PrometheusMetrics/api/v1/write?\
             api-version=2023-04-24",
    authorization: b"Bearer 0123456789abcdef",
};

/// Its answer.
const ANSWER: &[u8] =
    b"HTTP/1.1 204 No Content\r\nDate: Tue, 02 Jan 2024 03:04:05 GMT\r\nServer: Kestrel\r\nStrict-Transport-Security: \
      max-age=15724800; includeSubDomains\r\n\r\n";

/// A buffer for heads or for answers, in bytes.
const BUFFER: usize = 8192;

/// One read of a body, in bytes: a segment.
const SEGMENT: usize = 16 * 1024;

/// Sends `request`, head and body with a length, and gives the length of the answer; `None` when an answer other than
/// Azure's own comes, or none. All buffers are cut from `memory`, 32 KiB at least.
pub(crate) fn hold(request: &[u8], memory: &mut [u8]) -> Option<usize> {
    let gateway = Gateway::new(NOW, POLICY);
    let (inbox, memory) = memory.split_at_mut_checked(BUFFER)?;
    let (outbox, memory) = memory.split_at_mut_checked(BUFFER)?;
    let (response, memory) = memory.split_at_mut_checked(BUFFER)?;
    let mut exchange = Exchange::new(NOW, &gateway, Peer::Loopback, inbox, outbox);
    let rest = send(&mut exchange, request)?;
    reserve(&mut exchange)?;
    let rest = send(&mut exchange, rest)?;
    (rest.is_empty() && exchange.poll_event() == Some(Event::Connect { fresh: false })).then_some(())?;
    exchange.attach(NOW, response, true);
    forward(&mut exchange, memory)?;
    answer(&mut exchange)
}

/// Hands over bytes of the sender while they are wanted; gives the rest.
fn send<'r>(exchange: &mut Exchange<'_>, mut request: &'r [u8]) -> Option<&'r [u8]> {
    while exchange.interest().client_read && !request.is_empty() {
        let room = exchange.body_room();
        let count = if room > 0 {
            let count = room.min(request.len()).min(SEGMENT);
            exchange.body_filled(NOW, count);
            count
        } else {
            let count = copy(exchange.client_space(), request)?;
            exchange.client_filled(NOW, count);
            count
        };
        request = request.get(count..)?;
    }
    Some(request)
}

/// Finds the room that is asked for, and takes what came of the body together with the head.
fn reserve(exchange: &mut Exchange<'_>) -> Option<()> {
    let Some(Event::Reserve(_)) = exchange.poll_event() else { return None };
    exchange.reserved(NOW);
    while !exchange.body_piece().is_empty() {
        let count = exchange.body_piece().len();
        exchange.body_taken(NOW, count);
    }
    Some(())
}

/// Sends the request upstream, its head from `buffer`, and hands over Azure's answer.
fn forward(exchange: &mut Exchange<'_>, buffer: &mut [u8]) -> Option<()> {
    exchange.encode_head(&mut UpstreamHead::new(buffer, &AZURE).ok()?).ok()?;
    exchange.head_sent(NOW);
    while let Outgoing::Body { .. } = exchange.outgoing() {
        exchange.body_sent(NOW, SEGMENT);
    }
    exchange.upstream_backlog(false);
    let count = copy(exchange.upstream_space(), ANSWER)?;
    exchange.upstream_filled(NOW, count);
    Some(())
}

/// Takes the answer; gives its length.
fn answer(exchange: &mut Exchange<'_>) -> Option<usize> {
    let mut status = None;
    while let Some(event) = exchange.poll_event() {
        if let Event::Answered(outcome) = event {
            status = Some(outcome.status);
        }
    }
    let length = exchange.client_pending().len();
    exchange.client_drained(NOW, length);
    (status == Some(204) && !exchange.is_open()).then_some(length)
}

/// Copies as much of `from` as `to` takes, which has to be something.
fn copy(to: &mut [u8], from: &[u8]) -> Option<usize> {
    let count = to.len().min(from.len());
    to.get_mut(..count)?.copy_from_slice(from.get(..count)?);
    (count > 0).then_some(count)
}
