//! Slots of senders: who waits for one, and who gives way.

use super::*;

#[test]
fn a_request_that_waits_for_room_is_open() {
    let hub = hub(no_content, |_| {});
    let held: Vec<_> = std::iter::from_fn(|| hub.memory.arena.try_take()).collect();
    let reserve: Vec<_> = std::iter::from_fn(|| hub.memory.small_arena.try_take()).collect();
    let (stream, sender) = connection(hub, |socket| answers(socket, &[request(&vec![7; BODY], None, "")]));
    let serving = hub.executor.spawn(serve(hub, stream, Peer::Loopback, slot(hub)));
    let come = async {
        while hub.traffic.open() == 0 {
            future::yield_now().await;
        }
    };
    let in_time = hub.clock.before(hub.now().saturating_add(Duration::from_secs(10)), come);
    hub.reactor.block_on(hub.executor.run(in_time)).unwrap().expect("it is open");
    hub.memory.arena.give(held);
    hub.memory.small_arena.give(reserve);
    hub.reactor.block_on(hub.executor.run(serving)).unwrap();
    assert_eq!(sender.join().unwrap()[0].0, 204);
}

/// A slot of a sender, in place of another one if need be, as if [`IDLE`] had passed.
fn later_slot(hub: &Hub) -> Option<Rc<Slot>> {
    hub.senders.enter(hub.now().saturating_add(IDLE))
}

#[test]
fn an_idle_connection_makes_room_for_another() {
    let hub = hub(no_content, |config| config.limits.max_connections = 1);
    let (stream, sender) = connection(hub, |mut socket| {
        let told = answers(socket.try_clone().unwrap(), &[request(b"body", None, "")]);
        (told[0].0, socket.read(&mut [0; 1]).unwrap())
    });
    let slot = hub.senders.enter(hub.now()).unwrap();
    beside(hub, serve(hub, stream, Peer::Loopback, Rc::clone(&slot)), async {
        while hub.gateway.last_success().is_none() || later_slot(hub).is_none() {
            future::yield_now().await;
        }
    });
    assert!(slot.is_dismissed());
    assert_eq!(sender.join().unwrap(), (204, 0));
}

#[test]
fn a_connection_with_part_of_a_request_does_not_make_room() {
    let hub = hub(no_content, |config| config.limits.max_connections = 1);
    let (go_on, wait) = std::sync::mpsc::channel();
    let (stream, sender) = connection(hub, move |mut socket| {
        let whole = request(b"body", None, "");
        let (part, rest) = whole.split_at(10);
        socket.write_all(part).unwrap();
        wait.recv().unwrap();
        answers(socket, &[rest.to_vec()])
    });
    let slot = hub.senders.enter(hub.now()).unwrap();
    beside(hub, serve(hub, stream, Peer::Loopback, slot), async {
        while hub.memory.buffers.lent() == 0 {
            future::yield_now().await;
        }
        assert!(later_slot(hub).is_none());
        go_on.send(()).unwrap();
    });
    assert_eq!(sender.join().unwrap()[0].0, 204);
}

/// A sender that leaves while it waits for its turn or for room frees its place long before a deadline.
#[test]
fn a_sender_that_leaves_the_queue_is_not_waited_for() {
    let hub = hub(no_content, |_| {});
    let leave = |hub: &'static Hub| {
        let (stream, sender) =
            connection(hub, |mut socket| socket.write_all(&request(&vec![7; BODY], None, "")).unwrap());
        let served = serve(hub, stream, Peer::Loopback, slot(hub));
        let in_time = hub.clock.before(hub.now().saturating_add(Duration::from_secs(5)), served);
        hub.reactor.block_on(hub.executor.run(in_time)).unwrap().expect("it ends");
        sender.join().unwrap();
    };
    let turns: Vec<_> = std::iter::from_fn(|| hub.memory.responses.try_take()).collect();
    leave(hub);
    assert_eq!(hub.traffic.abandoned(), 1, "its write was complete");
    hub.memory.responses.give(turns);
    let room: Vec<_> = std::iter::from_fn(|| hub.memory.arena.try_take()).collect();
    let small: Vec<_> = std::iter::from_fn(|| hub.memory.small_arena.try_take()).collect();
    leave(hub);
    hub.memory.arena.give(room);
    hub.memory.small_arena.give(small);
    assert_eq!(hub.traffic.abandoned(), 1, "its write was not");
    assert_eq!(served(hub, |socket| answers(socket, &[request(b"body", None, "")]))[0].0, 204);
}
