//! The token as each thread knows it: what it needs to send it, or to say why there is none. [`keeper`] obtains it.

pub(crate) mod keeper;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use remora_core::time::Instant;
use remora_core::token::GrantId;
use smol::channel::{self, Sender};

use crate::clock::Clock;
use crate::credential::Credential;
use crate::identity::exchanges::Exchanges;
use crate::identity::{Failure, Skew};
use crate::secret::Bearer;

/// A token as passed between threads.
#[derive(Clone, Debug)]
struct SharedToken {
    id: GrantId,
    bearer: Arc<Bearer>,
    expires: Instant,
}

/// The state of the token, as passed between threads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Grows with every change.
    version: u64,
    token: Option<SharedToken>,
    /// How wrong this machine's clock was when the token was granted.
    skew: Option<Skew>,
    /// Why the last exchange failed, if it did.
    failure: Option<Failure>,
}

/// Azure refused a token. The answer is the state once it has been replaced, or will not be now.
pub(crate) struct RefusedToken {
    grant: GrantId,
    answer: Sender<Known>,
}

/// What one thread knows of the token.
#[derive(Debug)]
pub(crate) struct Tokens {
    clock: Clock,
    version: Cell<u64>,
    /// The token and when it expires.
    held: RefCell<Option<(Rc<Credential>, Instant)>>,
    skew: Cell<Option<Skew>>,
    failure: RefCell<Option<Failure>>,
    refused: Sender<RefusedToken>,
    /// Metrics of the exchanges, counted on the first thread.
    pub(crate) exchanges: Exchanges,
}

impl Tokens {
    /// Knows no token yet. Those that Azure refuses go to `refused`, see [`keeper::Keeper::replace_all`].
    pub(crate) fn new(clock: Clock, refused: Sender<RefusedToken>) -> Self {
        let (version, held, failure) = (Cell::default(), RefCell::default(), RefCell::default());
        Self { clock, version, held, skew: Cell::default(), failure, refused, exchanges: Exchanges::default() }
    }

    /// The token to send now; hold it while sending.
    pub(crate) fn usable(&self) -> Option<Rc<Credential>> {
        self.usable_at(self.clock.now())
    }

    /// The same, where the time `now` is already known.
    pub(crate) fn usable_at(&self, now: Instant) -> Option<Rc<Credential>> {
        let held = self.held.borrow();
        held.as_ref().filter(|(_, expires)| now < *expires).map(|(usable, _)| Rc::clone(usable))
    }

    /// When the newest token expires.
    pub(crate) fn expires(&self) -> Option<Instant> {
        self.held.borrow().as_ref().map(|(_, expires)| *expires)
    }

    /// How wrong this machine's clock was, by that of the token endpoint, when the newest token was granted.
    pub(crate) fn skew(&self) -> Option<Skew> {
        self.skew.get()
    }

    /// Why the last exchange failed, if it did.
    pub(crate) fn failure(&self) -> Option<Failure> {
        self.failure.borrow().clone()
    }

    /// Why there is no token, for the sender and for `/ready`.
    pub(crate) fn cause(&self) -> String {
        match &*self.failure.borrow() {
            Some(failure) => failure.to_string(),
            None if self.expires().is_some() => "the token has expired; token exchange in progress".to_owned(),
            None => "token exchange in progress".to_owned(),
        }
    }

    /// Takes over a change, unless a later one is already known.
    pub(crate) fn learn(&self, known: Known) {
        if known.version <= self.version.get() {
            return;
        }
        self.version.set(known.version);
        let mut held = self.held.borrow_mut();
        let before = held.take().map(|(credential, _)| credential);
        *held = known.token.map(|SharedToken { id, bearer, expires }| {
            // A token that is still the same keeps its head.
            let same = before.filter(|credential| credential.grant == id);
            (same.unwrap_or_else(|| Rc::new(Credential::new(id, bearer))), expires)
        });
        self.skew.set(known.skew);
        *self.failure.borrow_mut() = known.failure;
    }

    /// Azure refused this token: waits for another one; false if there will be none now.
    pub(crate) async fn replace(&self, rejected: GrantId) -> bool {
        let (answer, answered) = channel::bounded(1);
        // The keeper lives as long as the process.
        let _ = self.refused.try_send(RefusedToken { grant: rejected, answer });
        if let Ok(known) = answered.recv().await {
            self.learn(known);
        }
        self.usable().is_some_and(|credential| credential.grant != rejected)
    }
}

#[cfg(test)]
mod tests;
