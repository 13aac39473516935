//! The life of a request, through calls in any order.

use core::hint::black_box;
use remora_core::forward::reply::crowded;
use remora_core::forward::{Destination, Exchange, Gateway, HeadMemo, Outgoing, Peer, Unavailable, UpstreamHead};
use remora_core::snappy::Window;

use crate::outside::{count, fill, flag, look, look_at, number, text};
use crate::token::now;

/// The buffers of one connection and one forwarding attempt.
#[repr(C)]
struct Buffers {
    inbox: [u8; 8192],
    outbox: [u8; 2048],
    response: [u8; 8192],
}

#[unsafe(no_mangle)]
extern "C" fn exchange(gateway: &Gateway, buffers: &mut Buffers, window: &mut [u8; 65536], words: &mut [u8; 512]) {
    let Buffers { inbox, outbox, response } = buffers;
    let (inbox, outbox) = (cut(inbox), cut(outbox));
    let Some(mut window) = Window::new(cut(window)) else { return };
    let mut exchange = Exchange::new(now(), gateway, peer(), inbox, outbox);
    let mut memo = HeadMemo::default();
    let mut response = Some(cut(response));
    while flag() {
        match count() {
            0 => sender(&mut exchange, &mut memo),
            1 => body(&mut exchange, &mut window),
            2 => answers(&mut exchange, text(words)),
            3 => upload(&mut exchange, text(words)),
            4 => azure(&mut exchange, text(words)),
            5 => {
                if let Some(buffer) = response.take() {
                    exchange.attach(now(), buffer, flag());
                }
            }
            6 => response = exchange.detach().or(response),
            _ => look_at_state(&mut exchange),
        }
    }
    let (inbox, outbox) = exchange.into_buffers();
    look(inbox);
    look(outbox);
}

/// Buffers may have any length.
fn cut(buffer: &mut [u8]) -> &mut [u8] {
    buffer.get_mut(..count()).unwrap_or_default()
}

fn peer() -> Peer {
    match count() {
        0 => Peer::Loopback,
        1 => Peer::Allowed,
        2 => Peer::Watcher { near: count() == 0 },
        _ => Peer::Foreign,
    }
}

fn sender(exchange: &mut Exchange<'_>, memo: &mut HeadMemo) {
    match count() {
        0 => {
            let n = fill(exchange.client_space());
            exchange.client_filled(now(), n);
        }
        1 => {
            let n = fill(exchange.client_space());
            exchange.client_filled_with(now(), n, memo);
        }
        2 => exchange.client_eof(now()),
        3 => exchange.client_broken(now()),
        4 => exchange.client_drained(now(), count()),
        _ => exchange.wake(now()),
    }
}

fn body(exchange: &mut Exchange<'_>, window: &mut Window<'_>) {
    match count() {
        0 => exchange.reserved(now()),
        1 => exchange.exhausted(now()),
        2 => exchange.body_taken(now(), count()),
        3 => exchange.body_filled(now(), count()),
        _ => {
            let verdict = exchange.frame_check(number() as i64, window.lend()).finish();
            exchange.checked(now(), verdict);
        }
    }
}

fn answers(exchange: &mut Exchange<'_>, words: &str) {
    match count() {
        0 => exchange.readiness_detail(now(), words),
        1 => exchange.page_ready(now(), count()),
        2 => exchange.refuse(now(), refusal(), words),
        3 => exchange.refreshed(now()),
        4 => exchange.unrefreshed(now(), None),
        _ => exchange.unrefreshed(now(), Some(words)),
    }
}

fn refusal() -> Unavailable {
    match count() {
        0 => Unavailable::NoToken,
        1 => Unavailable::TokenRefused,
        2 => Unavailable::Capacity,
        3 => Unavailable::Resolve,
        4 => Unavailable::Connect,
        5 => Unavailable::Tls,
        6 => Unavailable::Broken,
        _ => Unavailable::Timeout,
    }
}

fn upload(exchange: &mut Exchange<'_>, words: &str) {
    match exchange.outgoing() {
        Outgoing::Head => {
            let mut head = [0; 2048];
            let to = Destination { authority: words, target: words, authorization: words.as_bytes() };
            if let Ok(mut head) = UpstreamHead::new(cut(&mut head), &to) {
                black_box(exchange.encode_head(&mut head).ok());
                look(head.as_bytes());
            }
            black_box(&to);
            look(&head);
            exchange.head_sent(now());
        }
        Outgoing::Body { from } => exchange.body_sent(now(), from.wrapping_sub(count())),
        Outgoing::Done => exchange.head_sent(now()),
    }
}

fn azure(exchange: &mut Exchange<'_>, words: &str) {
    match count() {
        0 => {
            exchange.upstream_backlog(flag());
            let n = fill(exchange.upstream_space());
            exchange.upstream_filled(now(), n);
        }
        1 => exchange.upstream_eof(now()),
        2 => exchange.upstream_broken(now(), words),
        _ => exchange.upstream_unwritable(now()),
    }
}

fn look_at_state(exchange: &mut Exchange<'_>) {
    look(exchange.client_pending());
    look(exchange.body_piece());
    look(exchange.answer_text().as_bytes());
    look_at(exchange.body_room() as u64);
    look_at(exchange.page_offset().unwrap_or_default() as u64);
    look_at(exchange.deadline().as_millis());
    look_at((exchange.is_open() | exchange.is_done()).into());
    black_box(&exchange.interest());
    black_box(&exchange.poll_event());
    black_box(exchange);
}

#[unsafe(no_mangle)]
extern "C" fn gateway(gateway: &Gateway, out: &mut [u8; 2048]) {
    gateway.token_granted(now());
    gateway.drain();
    black_box(&gateway.readiness(now()));
    black_box(&gateway.last_success());
    black_box(&gateway.holds_for(now()));
    look_at(crowded(cut(out)) as u64);
    look(out);
}
