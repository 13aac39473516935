//! Keeps the process in a token: runs the core's lifecycle against the clock and the exchange.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use event_listener::Event as Changed;
use remora_core::forward::Gateway;
use remora_core::time::Instant;
use remora_core::token::{Action, Event, FetchId, GrantId, Lifecycle, Policy};
use smol::channel::{self, Receiver, Sender};
use smol::future;

use crate::clock::Clock;
use crate::identity::exchanges::Exchanges;
use crate::identity::{Exchanged, Exchanger, Failure, Grant};
use crate::notice::{Notice, Observer};
use crate::secret::Bearer;

/// The token, and what is known about the next one.
#[derive(Debug)]
pub(crate) struct Tokens {
    clock: Clock,
    lifecycle: RefCell<Lifecycle>,
    held: RefCell<Option<(GrantId, Rc<Bearer>)>>,
    failure: RefCell<Option<Failure>>,
    failed: Cell<u64>,
    forced: (Sender<FetchId>, Receiver<FetchId>),
    changed: Changed,
    /// What became of the exchanges.
    pub(crate) exchanges: Exchanges,
}

impl Tokens {
    pub(crate) fn new(clock: Clock, seed: u32) -> Self {
        Self {
            clock,
            lifecycle: RefCell::new(Lifecycle::new(Policy::DEFAULT, seed)),
            held: RefCell::new(None),
            failure: RefCell::new(None),
            failed: Cell::new(0),
            forced: channel::unbounded(),
            changed: Changed::new(),
            exchanges: Exchanges::default(),
        }
    }

    /// The token to send now.
    pub(crate) fn usable(&self) -> Option<(GrantId, Rc<Bearer>)> {
        let usable = self.lifecycle.borrow().usable(self.clock.now())?;
        self.held.borrow().clone().filter(|(grant, _)| *grant == usable)
    }

    /// When the newest token expires.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.lifecycle.borrow().expires()
    }

    /// Why the last exchange failed, if it did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.borrow().clone()
    }

    /// Why there is no token, for the sender and for `/ready`.
    pub(crate) fn cause(&self) -> String {
        match &*self.failure.borrow() {
            Some(failure) => failure.to_string(),
            None => "the first token is on its way".to_owned(),
        }
    }

    /// Azure refused this token: waits for another one; false when there will be none now.
    pub(crate) async fn replace(&self, rejected: GrantId) -> bool {
        let failed = self.failed.get();
        let action = self.lifecycle.borrow_mut().handle(self.clock.now(), Event::Rejected { grant: rejected });
        if let Action::Fetch(fetch) = action {
            // The receiver lives as long as this.
            let _ = self.forced.0.try_send(fetch);
        }
        loop {
            let changed = self.changed.listen();
            if self.usable().is_some_and(|(grant, _)| grant != rejected) {
                return true;
            }
            if self.failed.get() != failed || !self.lifecycle.borrow().is_fetching() {
                return false;
            }
            changed.await;
        }
    }

    /// Fetches and refreshes for ever.
    pub(crate) async fn keep(&self, exchanger: &Exchanger, gateway: &Gateway, observer: &dyn Observer) {
        let mut action = self.handle(Event::Wake);
        loop {
            action = match action {
                Action::Fetch(fetch) => self.fetch(fetch, exchanger, gateway, observer).await,
                Action::WaitUntil(at) => {
                    let wake = async {
                        self.clock.until(at).await;
                        None
                    };
                    let forced = async { self.forced.1.recv().await.ok() };
                    future::or(forced, wake).await.map_or_else(|| self.handle(Event::Wake), Action::Fetch)
                }
            };
        }
    }

    async fn fetch(&self, fetch: FetchId, exchanger: &Exchanger, gateway: &Gateway, observer: &dyn Observer) -> Action {
        let began = self.clock.now();
        let outcome = exchanger.exchange().await;
        self.exchanges.ended(self.clock.now().since(began), &outcome);
        let lifetime = outcome.as_ref().map(|grant| grant.lifetime).unwrap_or_default();
        let action = self.settle(fetch, outcome);
        match &*self.failure.borrow() {
            None => {
                observer.notice(&Notice::TokenGranted { lifetime });
                gateway.token_granted();
            }
            Some(failure) => observer.notice(&Notice::TokenFailed { failure, serving: self.usable().is_some() }),
        }
        self.changed.notify(usize::MAX);
        action
    }

    /// Holds a token without an exchange.
    #[cfg(test)]
    pub(crate) fn hold(&self, grant: Grant) {
        let Action::Fetch(fetch) = self.handle(Event::Wake) else { return };
        let _next = self.granted(fetch, grant);
    }

    /// Keeps the token, or why there is none.
    fn settle(&self, fetch: FetchId, exchanged: Exchanged) -> Action {
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

    /// Only a token that the machine has a new id for is kept: under the old id it would outlive itself.
    fn granted(&self, fetch: FetchId, grant: Grant) -> Action {
        let action = self.handle(Event::Granted { fetch, lifetime: grant.lifetime, refresh_in: grant.refresh_in });
        let old = self.held.borrow().as_ref().map(|(id, _)| *id);
        match self.lifecycle.borrow().usable(self.clock.now()).filter(|&id| Some(id) != old) {
            Some(id) => {
                *self.held.borrow_mut() = Some((id, Rc::new(grant.bearer)));
                *self.failure.borrow_mut() = None;
            }
            None => self.failed(Failure::new("the token was over when it came")),
        }
        action
    }

    fn failed(&self, failure: Failure) {
        *self.failure.borrow_mut() = Some(failure);
        self.failed.set(self.failed.get().wrapping_add(1));
    }

    fn handle(&self, event: Event) -> Action {
        self.lifecycle.borrow_mut().handle(self.clock.now(), event)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Fetches a token of this text and life, at once.
    fn fetched(tokens: &Tokens, text: &str, life: Duration) {
        let action = match tokens.usable() {
            None => tokens.handle(Event::Wake),
            Some((grant, _)) => tokens.handle(Event::Rejected { grant }),
        };
        let Action::Fetch(fetch) = action else { panic!("a fetch was due") };
        let bearer = Bearer::new(text).unwrap();
        let _ = tokens.settle(fetch, Ok(Grant { bearer, lifetime: life, refresh_in: None }));
    }

    #[test]
    fn a_token_without_life_is_a_failure_and_replaces_none() {
        let tokens = Tokens::new(Clock::start(), 7);
        fetched(&tokens, "good", Duration::from_secs(3600));
        let (grant, bearer) = tokens.usable().expect("a token");
        assert!(tokens.failure().is_none());

        fetched(&tokens, "over", Duration::ZERO);
        assert_eq!(tokens.usable().map(|(grant, held)| (grant, Rc::ptr_eq(&held, &bearer))), Some((grant, true)));
        assert!(tokens.cause().contains("was over when it came"), "{}", tokens.cause());
    }

    #[test]
    fn a_first_token_without_life_is_none() {
        let tokens = Tokens::new(Clock::start(), 7);
        fetched(&tokens, "over", Duration::ZERO);
        assert!(tokens.usable().is_none() && tokens.failure().is_some());
    }
}
