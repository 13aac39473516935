//! Waits of a request that something may end early: its deadline, or its sender's departure.

use std::future::Future;
use std::net::TcpStream;

use remora_core::forward::Exchange;
use remora_core::time::Instant;
use smol::future;

use crate::hub::Hub;
use crate::reactor::Socket;

/// How a wait in a queue ended.
pub(super) enum Waited<T> {
    /// The request got what it waited for.
    For(T),
    /// The deadline passed.
    TooLong,
    /// The sender ended its stream.
    WithoutSender,
}

/// Waits in a queue for `turn`, which is pointless once the sender has left. A sender that half-closed and still reads
/// looks the same; it is served only if there is no queue.
pub(super) async fn queued<T>(
    hub: &Hub,
    sender: &Socket<TcpStream>,
    deadline: Instant,
    turn: impl Future<Output = T>,
) -> Waited<T> {
    let gone = async {
        sender.ended().await;
        Waited::WithoutSender
    };
    let waited = hub.clock.before(deadline, future::or(async { Waited::For(turn.await) }, gone)).await;
    waited.unwrap_or(Waited::TooLong)
}

/// The result of `work`, unless the exchange's deadline comes first.
pub(super) async fn within<T>(hub: &Hub, exchange: &Exchange<'_>, work: impl Future<Output = T>) -> Option<T> {
    hub.clock.before(exchange.deadline(), work).await
}
