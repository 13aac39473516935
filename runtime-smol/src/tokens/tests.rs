use std::path::Path;
use std::time::Duration;

use remora_core::forward::Readiness;
use remora_core::token::{Action, Event};
use smol::future;

use super::keeper::Keeper;
use super::*;
use crate::fixture;
use crate::identity::{Exchanged, Grant};
use crate::trust::Trust;

impl Tokens {
    /// Holds a token without an exchange.
    pub(crate) fn hold(&self, grant: Grant) {
        self.end(Ok(grant));
    }

    /// Knows the end of an exchange that did not take place here.
    pub(crate) fn end(&self, exchanged: Exchanged) {
        let version = self.version.get() + 1;
        self.learn(Known { version, ..Keeper::new(self.clock, 7).receive(exchanged) });
    }
}

fn tokens() -> Tokens {
    Tokens::new(Clock::start(), channel::unbounded().0)
}

/// A token with this text and lifetime.
fn grant(text: &str, life: Duration) -> Grant {
    Grant { bearer: Bearer::new(text).unwrap(), lifetime: life, refresh_in: None, skew: None }
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn an_expired_token_is_a_failure_and_replaces_none() {
    let tokens = tokens();
    let keeper = Keeper::new(tokens.clock, 7);
    tokens.learn(keeper.receive(Ok(grant("good", HOUR))));
    let first = tokens.usable().expect("a token");
    assert!(tokens.failure().is_none());

    tokens.learn(keeper.receive(Ok(grant("over", Duration::ZERO))));
    let usable = tokens.usable().expect("the token from before");
    assert!(usable.grant == first.grant && Arc::ptr_eq(usable.bearer(), first.bearer()));
    assert!(tokens.cause().contains("had already expired when it arrived"), "{}", tokens.cause());
    assert!(tokens.failure().is_some());
}

#[test]
fn an_expired_first_token_is_a_failure() {
    let tokens = tokens();
    tokens.learn(Keeper::new(tokens.clock, 7).receive(Ok(grant("over", Duration::ZERO))));
    assert!(tokens.usable().is_none() && tokens.failure().is_some());
}

#[test]
fn a_late_state_does_not_undo_a_newer_one() {
    let tokens = tokens();
    let keeper = Keeper::new(tokens.clock, 7);
    let old = keeper.receive(Ok(grant("old", HOUR)));
    let new = keeper.receive(Ok(grant("new", HOUR)));
    tokens.learn(new);
    tokens.learn(old);
    assert_eq!(tokens.usable().expect("a token").bearer().as_bytes(), b"Bearer new");
}

#[test]
fn a_process_is_ready_while_its_token_serves_and_degraded_once_it_expires() {
    let config = fixture::config("https://h.example/write?api-version=1", Path::new("/nowhere"));
    let hub = fixture::hub(&config, &Trust::load(&config.trust).unwrap());
    let keeper = Keeper::new(hub.clock, 7);
    let told = |after: Duration| hub.gateway.readiness(hub.now().saturating_add(after));
    hub.learn(keeper.receive(Ok(grant("good", HOUR))));
    assert_eq!((told(Duration::ZERO), told(HOUR)), (Readiness::Ready, Readiness::Degraded));
    assert!(hub.tokens.cause().contains("expired"), "{}", hub.tokens.cause());

    hub.learn(keeper.receive(Err(Failure::new("nobody is there"))));
    assert_eq!((told(Duration::ZERO), told(HOUR)), (Readiness::Ready, Readiness::Degraded));
    assert_eq!(hub.tokens.cause(), "nobody is there");
}

/// With it goes the head that carries it.
#[test]
fn a_failed_refresh_leaves_the_credential_as_it_is() {
    let tokens = tokens();
    let keeper = Keeper::new(tokens.clock, 7);
    tokens.learn(keeper.receive(Ok(grant("good", HOUR))));
    let before = tokens.usable().expect("a token");
    tokens.learn(keeper.receive(Err(Failure::new("nobody is there"))));
    assert!(tokens.failure().is_some() && Rc::ptr_eq(&before, &tokens.usable().expect("a token")));
}

#[test]
fn the_clock_is_judged_with_each_token() {
    let tokens = tokens();
    let skew = Some(Skew { by: HOUR, ahead: false });
    tokens.hold(Grant { skew, ..grant("one", HOUR) });
    assert_eq!(tokens.skew(), skew);
    tokens.hold(grant("two", HOUR));
    assert_eq!(tokens.skew(), None);
}

#[test]
fn a_token_that_azure_refuses_does_not_serve_until_azure_accepts_again() {
    let clock = Clock::start();
    let keeper = Keeper::new(clock, 7);
    let Some(SharedToken { id, .. }) = keeper.receive(Ok(grant("good", HOUR))).token else { panic!("a token") };
    assert!(keeper.is_serving(None));
    let asked = smol::block_on(future::poll_once(keeper.replace(id)));
    assert!(asked.is_none(), "it waits for the exchange");
    let later = Some(clock.now().saturating_add(Duration::from_millis(1)));
    assert_eq!([None, Some(Instant::ZERO), later].map(|success| keeper.is_serving(success)), [false, false, true]);
}

/// The fetch that a refusal forces may be due before the one that is waited for, though not at once.
#[test]
fn a_refusal_has_the_next_fetch_looked_up_again() {
    let clock = Clock::start();
    let keeper = Keeper::new(clock, 7);
    let Some(SharedToken { id, .. }) = keeper.receive(Ok(grant("good", HOUR))).token else { panic!("a token") };
    // By a first refusal; so the next one forces none.
    keeper.receive(Err(Failure::new("nobody is there")));
    smol::block_on(async {
        keeper.replace(id).await;
        let rested = clock.before(clock.now().saturating_add(Duration::from_secs(10)), keeper.rest(Instant::NEVER));
        assert!(matches!(rested.await, Some(Action::WaitUntil(at)) if at < Instant::NEVER));
    });
}

#[test]
fn the_next_attempt_is_as_far_away_as_the_lifecycle_says() {
    let keeper = Keeper::new(Clock::start(), 7);
    let Action::Fetch(fetch) = keeper.handle(Event::Wake) else { panic!("there is no token yet") };
    assert_eq!(keeper.until(Action::Fetch(fetch)), Duration::ZERO);
    let failed = keeper.handle(Event::Failed { fetch, retry_after: Some(HOUR / 60), throttled: false });
    let next = keeper.until(failed);
    assert!((Duration::from_secs(55)..=Duration::from_secs(66)).contains(&next), "{next:?}");
}
