//! What a request needs to be forwarded: its turn, a connection and a token.

use remora_core::forward::Unavailable;

use super::Connection;
use super::wait::{Waited, queued};
use crate::body::Segment;
use crate::connect::ConnectError;
use crate::upstream::Upstream;

impl Connection {
    /// Finds a token and a connection for the open request.
    pub(super) async fn connect(&mut self, fresh: bool) {
        let hub = self.hub;
        if hub.tokens.usable_at(self.now).is_none() {
            return self.exchange.refuse(self.now, Unavailable::NoToken, &hub.tokens.cause());
        }
        let Some(buffer) = self.take_turn().await else { return };
        match self.obtain_upstream(fresh).await {
            Ok((upstream, reused)) => {
                // Only now: while this request waited, the token may have been replaced, or have expired.
                let Some(credential) = hub.tokens.usable_at(self.now) else {
                    hub.memory.responses.give([buffer]);
                    hub.keep(self.now, upstream);
                    return self.exchange.refuse(self.now, Unavailable::NoToken, &hub.tokens.cause());
                };
                (self.credential, self.upstream) = (Some(credential), Some(upstream));
                self.attached = true;
                self.exchange.attach(self.now, buffer, reused);
            }
            Err(error) => {
                hub.memory.responses.give([buffer]);
                self.exchange.refuse(self.now, error.reason(), &error.to_string());
            }
        }
    }

    /// Waits for a response buffer, of which there are as many as requests may be forwarded at a time. `None` if the
    /// exchange has been told why there is none.
    async fn take_turn(&mut self) -> Option<Segment> {
        let hub = self.hub;
        if let Some(buffer) = self.turn.take().or_else(|| hub.memory.responses.try_take()) {
            return Some(buffer);
        }
        let (turn, since) = (hub.memory.responses.take_one(), self.now);
        let waited = Box::pin(queued(hub, &self.stream, self.exchange.begin_by(self.now), turn)).await;
        self.look_at_clock();
        match waited {
            Waited::For(buffer) => return Some(buffer),
            Waited::TooLong => {
                let detail = "already forwarding MAX_IN_FLIGHT requests: Azure or Entra is slow, or the limit is too low \
                              for the sender";
                self.exchange.refuse(self.now, Unavailable::Capacity, detail);
            }
            Waited::WithoutSender => {
                hub.abandoned(self.now.since(since));
                self.exchange.client_broken(self.now);
            }
        }
        None
    }

    /// An idle connection, unless it has to be `fresh`, or else a new one; and whether it is a reused one.
    async fn obtain_upstream(&mut self, fresh: bool) -> Result<(Box<Upstream>, bool), ConnectError> {
        let hub = self.hub;
        let idle = if fresh { None } else { hub.idle.take(self.now) };
        if let Some(upstream) = idle {
            return Ok((upstream, true));
        }
        // Boxed because it is rare and its future is larger than everything else here.
        let connected = Box::pin(hub.connector.connect(hub.clock, self.exchange.deadline())).await;
        self.look_at_clock();
        Ok((Box::new(connected?), false))
    }
}
