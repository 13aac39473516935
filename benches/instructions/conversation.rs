//! A sender, Azure and the driver between them, for one exchange in which all goes well. Bodies are not copied and
//! frames not checked: only the machine's instructions are counted.

use remora_core::forward::{Destination, Event, Exchange, Gateway, HeadMemo, Outgoing, Peer, Policy, UpstreamHead};
use remora_core::time::Instant;

const NOW: Instant = Instant::from_millis(1_000_000);

const POLICY: Policy = Policy { check: None, ..Policy::DEFAULT };

/// Azure's address and credential.
const AZURE: Destination<'_> = Destination {
    authority: "example-1234.westeurope-1.metrics.ingest.monitor.azure.com",
    target: "/dataCollectionRules/dcr-0123456789abcdef0123456789abcdef/streams/Microsoft-PrometheusMetrics/api/v1/write?\
             api-version=2023-04-24",
    authorization: b"Bearer 0123456789abcdef",
};

/// Azure's response.
const ANSWER: &[u8] =
    b"HTTP/1.1 204 No Content\r\nDate: Tue, 02 Jan 2024 03:04:05 GMT\r\nServer: Kestrel\r\nStrict-Transport-Security: \
      max-age=15724800; includeSubDomains\r\n\r\n";

/// Size of a buffer for heads or for responses, in bytes.
const BUFFER: usize = 8192;

/// One read of a body, in bytes: a segment.
const SEGMENT: usize = 16 * 1024;

/// Sends `request`, a head with `Content-Length` and a body, and returns the length of the response; `None` when there
/// is none, or not Azure's own. All buffers are cut from `memory`, which must be at least 32 KiB.
pub(crate) fn hold(request: &[u8], memory: &mut [u8], memo: Option<&mut HeadMemo>) -> Option<usize> {
    let gateway = Gateway::new(NOW, POLICY);
    let (inbox, memory) = memory.split_at_mut_checked(BUFFER)?;
    let (outbox, memory) = memory.split_at_mut_checked(BUFFER)?;
    let (response, memory) = memory.split_at_mut_checked(BUFFER)?;
    let mut exchange = Exchange::new(NOW, &gateway, Peer::Loopback, inbox, outbox);
    let rest = begin(&mut exchange, request, memo)?;
    reserve(&mut exchange)?;
    let rest = send(&mut exchange, rest)?;
    (rest.is_empty() && exchange.poll_event() == Some(Event::Connect { fresh: false })).then_some(())?;
    exchange.attach(NOW, response, true);
    forward(&mut exchange, memory)?;
    answer(&mut exchange)
}

/// Hands over the first bytes of the sender, with the head; returns the rest.
fn begin<'r>(exchange: &mut Exchange<'_>, request: &'r [u8], memo: Option<&mut HeadMemo>) -> Option<&'r [u8]> {
    let count = copy(exchange.client_space(), request)?;
    match memo {
        Some(memo) => exchange.client_filled_with(NOW, count, memo),
        None => exchange.client_filled(NOW, count),
    }
    request.get(count..)
}

/// Hands over bytes of the body while the exchange reads; returns the rest.
fn send<'r>(exchange: &mut Exchange<'_>, mut body: &'r [u8]) -> Option<&'r [u8]> {
    while exchange.interest().client_read && !body.is_empty() {
        let count = exchange.body_room().min(body.len()).min(SEGMENT);
        (count > 0).then_some(())?;
        exchange.body_filled(NOW, count);
        body = body.get(count..)?;
    }
    Some(body)
}

/// Reserves the requested room, and takes the body bytes that arrived with the head.
fn reserve(exchange: &mut Exchange<'_>) -> Option<()> {
    let Some(Event::Reserve(_)) = exchange.poll_event() else { return None };
    exchange.reserved(NOW);
    while !exchange.body_piece().is_empty() {
        let count = exchange.body_piece().len();
        exchange.body_taken(NOW, count);
    }
    Some(())
}

/// Sends the request upstream, its head from `buffer`, and hands over Azure's response.
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

/// Takes the response; returns its length.
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

/// Copies as much of `from` as fits `to`; `None` when that is nothing.
fn copy(to: &mut [u8], from: &[u8]) -> Option<usize> {
    let count = to.len().min(from.len());
    to.get_mut(..count)?.copy_from_slice(from.get(..count)?);
    (count > 0).then_some(count)
}
