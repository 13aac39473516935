//! Keeps the process's token: runs the core's lifecycle against the clock and the exchange, on the first thread.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use event_listener::Event as Changed;
use remora_core::time::Instant;
use remora_core::token::{Action, Event, FetchId, GrantId, Lifecycle, Policy};
use smol::channel::{self, Receiver, Sender};
use smol::future;

use super::{Known, RefusedToken, SharedToken};
use crate::clock::Clock;
use crate::executor::Executor;
use crate::hub::Hub;
use crate::identity::{Exchanged, Exchanger, Failure, Grant};
use crate::notice::Notice;

/// The token's lifecycle and state.
#[derive(Debug)]
pub(crate) struct Keeper {
    clock: Clock,
    lifecycle: RefCell<Lifecycle>,
    known: RefCell<Known>,
    failed: Cell<u64>,
    /// The token that Azure last refused, and when.
    refused: Cell<Option<(GrantId, Instant)>>,
    /// Azure refused a token: a fetch that starts at once, or `None` where the next one may be due earlier than before.
    force: Sender<Option<FetchId>>,
    forced: Receiver<Option<FetchId>>,
    changed: Changed,
}

impl Keeper {
    /// Starts without a token. `seed` spreads refreshes.
    pub(crate) fn new(clock: Clock, seed: u32) -> Self {
        let (force, forced) = channel::unbounded();
        Self {
            clock,
            lifecycle: RefCell::new(Lifecycle::new(Policy::DEFAULT, seed)),
            known: RefCell::default(),
            failed: Cell::new(0),
            refused: Cell::new(None),
            force,
            forced,
            changed: Changed::new(),
        }
    }

    /// Fetches and refreshes forever, and passes the results to every thread.
    pub(crate) async fn keep(&self, exchanger: &Exchanger, hub: &'static Hub) {
        let mut action = self.handle(Event::Wake);
        loop {
            action = match action {
                Action::Fetch(fetch) => self.fetch(fetch, exchanger, hub).await,
                Action::WaitUntil(at) => self.rest(at).await,
            };
        }
    }

    /// The next action, at `at` or once Azure has refused a token.
    pub(super) async fn rest(&self, at: Instant) -> Action {
        let wake = async {
            self.clock.until(at).await;
            None
        };
        let forced = async { self.forced.recv().await.ok().flatten() };
        future::or(forced, wake).await.map_or_else(|| self.handle(Event::Wake), Action::Fetch)
    }

    /// Answers refused tokens forever. Concurrent ones wait for the same fetch.
    pub(crate) async fn replace_all(&'static self, executor: &Executor, refused: Receiver<RefusedToken>) {
        while let Ok(RefusedToken { grant, answer }) = refused.recv().await {
            // The asker may be gone.
            let replace = async move { drop(answer.try_send(self.replace(grant).await)) };
            executor.spawn(replace).detach();
        }
    }

    /// Azure refused this token: waits for another one; returns the state once it is there or there will be none now.
    pub(super) async fn replace(&self, rejected: GrantId) -> Known {
        let failed = self.failed.get();
        if self.usable() == Some(rejected) {
            self.refused.set(Some((rejected, self.clock.now())));
        }
        let fetching = self.lifecycle.borrow().is_fetching();
        let action = self.handle(Event::Rejected { grant: rejected });
        if !fetching {
            // The receiver lives as long as `self`.
            let _ = self.force.try_send(if let Action::Fetch(fetch) = action { Some(fetch) } else { None });
        }
        loop {
            let changed = self.changed.listen();
            let replaced = self.usable().is_some_and(|grant| grant != rejected);
            if replaced || self.failed.get() != failed || !self.lifecycle.borrow().is_fetching() {
                return self.known.borrow().clone();
            }
            changed.await;
        }
    }

    /// The id of the token to send now.
    fn usable(&self) -> Option<GrantId> {
        let usable = self.lifecycle.borrow().usable(self.clock.now())?;
        self.known.borrow().token.as_ref().map(|token| token.id).filter(|&held| held == usable)
    }

    /// Whether the token still serves: it has not expired, and Azure has not refused it since it last accepted a request.
    pub(super) fn is_serving(&self, last_success: Option<Instant>) -> bool {
        let refused = |grant| self.refused.get().is_some_and(|(id, at)| id == grant && last_success <= Some(at));
        self.usable().is_some_and(|grant| !refused(grant))
    }

    async fn fetch(&self, fetch: FetchId, exchanger: &Exchanger, hub: &'static Hub) -> Action {
        let began = self.clock.now();
        let outcome = exchanger.exchange().await;
        hub.tokens.exchanges.ended(self.clock.now().since(began), &outcome);
        let lifetime = outcome.as_ref().map(|grant| grant.lifetime).unwrap_or_default();
        let action = self.settle(fetch, outcome);
        let known = self.known.borrow().clone();
        match &known.failure {
            None => hub.notice(&Notice::TokenGranted { lifetime, skew: known.skew }),
            Some(failure) => {
                let serving = self.is_serving(hub.gateway.last_success());
                hub.notice(&Notice::TokenFailed { failure, serving, next: self.until(action) });
            }
        }
        // The others first: once this thread knows of a token, all have been sent it.
        hub.threads.tell(|| crate::threads::Message::Token(known.clone()));
        hub.learn(known);
        self.changed.notify(usize::MAX);
        action
    }

    /// Stores the token, or why there is none.
    fn settle(&self, fetch: FetchId, exchanged: Exchanged) -> Action {
        self.known.borrow_mut().version += 1;
        match exchanged {
            Ok(grant) => self.granted(fetch, grant),
            Err(failure) => {
                let throttled = failure.is_throttled();
                let event = Event::Failed { fetch, retry_after: failure.retry_after, throttled };
                self.failed(failure);
                self.handle(event)
            }
        }
    }

    /// Stores only a token to which the lifecycle gave a new id: under the old id it would outlive itself.
    fn granted(&self, fetch: FetchId, grant: Grant) -> Action {
        let action = self.handle(Event::Granted { fetch, lifetime: grant.lifetime, refresh_in: grant.refresh_in });
        let lifecycle = self.lifecycle.borrow();
        let old = self.known.borrow().token.as_ref().map(|token| token.id);
        match lifecycle.usable(self.clock.now()).filter(|&id| Some(id) != old).zip(lifecycle.expires()) {
            Some((id, expires)) => {
                let mut known = self.known.borrow_mut();
                known.skew = grant.skew;
                known.token = Some(SharedToken { id, bearer: Arc::new(grant.bearer), expires });
                known.failure = None;
            }
            None => self.failed(Failure::new("the token had already expired when it arrived")),
        }
        action
    }

    fn failed(&self, failure: Failure) {
        self.known.borrow_mut().failure = Some(failure);
        self.failed.set(self.failed.get().wrapping_add(1));
    }

    /// How long until this action is due.
    pub(super) fn until(&self, action: Action) -> Duration {
        match action {
            Action::Fetch(_) => Duration::ZERO,
            Action::WaitUntil(at) => at.since(self.clock.now()),
        }
    }

    pub(super) fn handle(&self, event: Event) -> Action {
        self.lifecycle.borrow_mut().handle(self.clock.now(), event)
    }

    /// The state after this token or failure, without an exchange.
    #[cfg(test)]
    pub(super) fn receive(&self, exchanged: Exchanged) -> Known {
        let action = match self.usable() {
            None => self.handle(Event::Wake),
            Some(grant) => self.handle(Event::Rejected { grant }),
        };
        let Action::Fetch(fetch) = action else { panic!("a fetch was due") };
        let _next = self.settle(fetch, exchanged);
        self.known.borrow().clone()
    }
}
