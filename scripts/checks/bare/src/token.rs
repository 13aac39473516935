//! The life of a token, and the clock.

use core::hint::black_box;
use core::time::Duration;

use remora_core::time::Instant;
use remora_core::token::{Action, Event, FetchId, GrantId, Lifecycle, Policy};

use crate::outside::{flag, look_at, maybe, number};

#[unsafe(no_mangle)]
extern "C" fn lifecycle(policy: &Policy, late: &FetchId) {
    let mut token = Lifecycle::new(*policy, number() as u32);
    let mut fetch = *late;
    while flag() {
        let event = event(fetch, token.usable(now()));
        match token.handle(now(), event) {
            Action::Fetch(id) => fetch = id,
            Action::WaitUntil(at) => look_at(at.as_millis()),
        }
        look_at(token.expires().unwrap_or_default().as_millis());
        look_at(token.is_fetching().into());
    }
    black_box(&token);
}

fn event(fetch: FetchId, serving: Option<GrantId>) -> Event {
    match number() {
        0 => Event::Granted { fetch, lifetime: time(), refresh_in: maybe(time()) },
        1 => Event::Failed { fetch, retry_after: maybe(time()), throttled: flag() },
        _ => serving.map_or(Event::Wake, |grant| Event::Rejected { grant }),
    }
}

#[unsafe(no_mangle)]
extern "C" fn clock() {
    look_at(now().saturating_add(time()).as_millis());
    black_box(&now().since(now()));
}

/// Any time.
pub(crate) fn now() -> Instant {
    Instant::from_millis(number())
}

/// Any length of time.
pub(crate) fn time() -> Duration {
    Duration::new(number(), number() as u32 % 1_000_000_000)
}
