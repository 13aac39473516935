use std::path::Path;

use remora_core::forward::{Outcome, Purpose};

use super::*;
use crate::fixture;
use crate::trust::Trust;

fn threads(threads: usize) -> (Vec<Threads>, Vec<Receiver<Message>>) {
    let (first, others) = Threads::views(NonZeroUsize::new(threads).unwrap());
    iter::once(first).chain(others).unzip()
}

#[test]
fn connections_go_where_there_are_fewest() {
    let (views, _) = threads(3);
    let dealt_to = |peer| {
        let (other, guard) = views[0].deal(peer);
        (other.map_or(0, |other| index(&views, other)), guard)
    };
    let dealt = || dealt_to(Peer::Loopback);
    let (indices, mut guards): (Vec<_>, Vec<_>) = (0..6).map(|_| dealt()).unzip();
    assert_eq!(indices, [0, 1, 2, 0, 1, 2]);
    drop(guards.remove(1));
    assert_eq!(dealt().0, 1, "where one has ended");
    let guests: Vec<_> = iter::repeat_with(|| dealt_to(Peer::Foreign)).take(3).collect();
    assert_eq!(guests.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2], "guests count by themselves");
}

/// The index of the thread with this load.
fn index(views: &[Threads], of: &Thread) -> usize {
    views.iter().position(|threads| Arc::ptr_eq(&threads.load.senders, &of.load.senders)).unwrap()
}

#[test]
fn a_worker_tells_the_first_thread_and_the_first_thread_nobody() {
    let (views, mailboxes) = threads(3);
    assert!(!views[0].tell_first());
    assert!(views[2].tell_first());
    assert!(matches!(mailboxes[0].try_recv(), Ok(Message::Minute)));
    assert!(mailboxes[1].is_empty() && mailboxes[2].is_empty());
}

#[test]
fn a_success_is_told_once_a_second() {
    let (views, mailboxes) = threads(2);
    let at = |ms| Some(Instant::from_millis(ms));
    for success in [at(5_000), at(5_400), at(5_999), at(6_000), None] {
        views[1].tell_success(success);
    }
    // At the end of the minute.
    for rest in [at(6_000), at(6_500), at(6_500)] {
        views[1].tell_rest(rest);
    }
    let told: Vec<_> = iter::from_fn(|| mailboxes[0].try_recv().ok()).collect();
    assert!(matches!(told[..], [Message::Accepted(first), Message::Accepted(second), Message::Accepted(rest)]
        if [first, second, rest].map(Instant::as_millis) == [5_000, 6_000, 6_500]));
}

#[test]
fn all_others_are_asked_and_all_replies_come() {
    let (views, mailboxes) = threads(3);
    let answering: Vec<_> = mailboxes
        .into_iter()
        .zip([0, 10, 20])
        .skip(1)
        .map(|(mailbox, number)| {
            std::thread::spawn(move || {
                if let Ok(Message::Open(to)) = mailbox.recv_blocking() {
                    to.send_blocking(Reply::Open(number)).unwrap();
                }
            })
        })
        .collect();
    let replies = smol::block_on(views[0].ask(&Message::Open));
    assert!(matches!(replies[..], [Reply::Open(10), Reply::Open(20)]), "{replies:?}");
    for thread in answering {
        thread.join().unwrap();
    }
}

#[test]
fn alone_there_is_nobody_to_ask() {
    let (views, _) = threads(1);
    assert!(smol::block_on(views[0].ask(&Message::Open)).is_empty());
    assert!(views[0].deal(Peer::Loopback).0.is_none());
}

/// The hubs of two threads, each with its mailbox.
fn two_hubs() -> [(&'static Hub, Receiver<Message>); 2] {
    let mut config = fixture::config("https://azure.invalid/write", Path::new("/none"));
    config.limits.threads = NonZeroUsize::new(2).unwrap();
    fixture::hubs(&config, &Trust::built_in()).try_into().unwrap()
}

/// Handles the messages that have come.
fn handle_all(hub: &'static Hub, mailbox: &Receiver<Message>) {
    while let Ok(message) = mailbox.try_recv() {
        handle(hub, message);
    }
}

/// A success ends the hold on refusals on every thread.
#[test]
fn a_success_of_one_thread_is_one_of_the_other() {
    for (succeeded, told) in [(0, 1), (1, 0)] {
        let hubs = two_hubs();
        let ((hub, _), (other, mailbox)) = (&hubs[succeeded], &hubs[told]);
        let now = Instant::from_millis(5_000);
        hub.gateway.learn_success(now);
        let outcome = Outcome {
            status: 204,
            upstream_status: Some(204),
            unavailable: None,
            retry_after: None,
            purpose: Purpose::Write,
            body_bytes: 1,
            counts: None,
            began: now,
        };
        hub.answered(now, &outcome, "", || None);
        handle_all(other, mailbox);
        assert_eq!(other.gateway.last_success(), Some(now), "of {succeeded}");
    }
}

#[test]
fn a_success_too_close_to_the_one_before_is_told_at_the_end_of_the_minute() {
    for (succeeded, told) in [(0, 1), (1, 0)] {
        let hubs = two_hubs();
        let [(first, mail_of_first), (worker, mail_of_worker)] = &hubs;
        let at = Instant::from_millis(500);
        hubs[succeeded].0.gateway.learn_success(at);
        let ended = future::or(first.report_minute(), receive(worker, mail_of_worker.clone()));
        first.reactor.block_on(ended).unwrap();
        handle_all(first, mail_of_first);
        assert_eq!(hubs[told].0.gateway.last_success(), Some(at), "of {succeeded}");
    }
}
