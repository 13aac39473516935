//! The token exchange: an access token for whatever identity the process has. One module for each kind of identity, one
//! HTTP client for all their requests ([`http`]), one decoder for all answers ([`answer`]).
//!
//! Each exchange runs on its own thread, which ends with it. Nothing here decides when the next one is due; files are
//! read again for each exchange, so that replaced ones take effect.

mod answer;
mod app_service;
mod arc;
mod assertion;
mod binding;
mod certificate;
mod deadline;
pub(crate) mod der;
mod entra;
pub(crate) mod exchanges;
mod failure;
mod granted;
mod http;
mod imds;
mod managed;
mod pbe;
mod pfx;
mod secret;
mod signer;
mod skew;
mod workload;
pub(crate) mod x509;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use smol::channel;

pub(crate) use answer::Grant;
pub use failure::{Failure, Ticket};
pub use granted::{Claims, Granted};
pub use skew::Skew;

use crate::config::{ApplicationCredential, Identity, ManagedEndpoint, Proxy};
use crate::credential::LONGEST_BEARER;
use crate::trust::Trust;
use failure::Retry;

/// Status of an answer with a token (RFC 6749 §5.1).
const OK: u16 = 200;

/// Stack of its thread in bytes: enough for a handshake.
const STACK: usize = 256 * 1024;

/// The result of one exchange.
pub(crate) type Exchanged = Result<Grant, Failure>;

/// One kind of identity, ready to request tokens.
trait TokenSource: Send {
    /// Requests a token once. The files it needs are read now.
    fn attempt(&mut self) -> Exchanged;
}

/// The token source for `identity`. Reads and sends nothing yet.
fn prepare(identity: &Identity, trust: &Trust, proxy: Option<&Proxy>) -> io::Result<Box<dyn TokenSource>> {
    Ok(match identity {
        Identity::Workload(identity) => match &identity.proxy {
            Some(binding) => Box::new(workload::Workload::bound(identity, binding, trust)),
            None => Box::new(workload::Workload::at_authority(identity, trust, proxy)?),
        },
        Identity::Managed(identity) => match &identity.endpoint {
            ManagedEndpoint::Imds(base) => Box::new(imds::Imds::new(identity, base)),
            ManagedEndpoint::Arc(url) => Box::new(arc::ArcAgent::new(identity, url)),
            ManagedEndpoint::AppService(url, header) => Box::new(app_service::AppService::new(identity, url, header)),
        },
        Identity::Application(identity) => match &identity.credential {
            ApplicationCredential::Secret(source) => {
                Box::new(secret::ClientSecret::new(identity.client.clone(), source.clone(), trust, proxy)?)
            }
            ApplicationCredential::Certificate(file) => {
                Box::new(certificate::ClientCertificate::new(identity.client.clone(), file.clone(), trust, proxy)?)
            }
        },
    })
}

/// Requests a token, and once more at once if the answer says that this can help: the kubelet may just have replaced
/// the token, and an assertion of our own can be dated by the server's clock.
fn exchange(source: &mut dyn TokenSource) -> Exchanged {
    let began = Instant::now();
    let exchanged = match source.attempt() {
        Err(failure) if failure.retry == Retry::AtOnce => source.attempt(),
        other => other,
    };
    exchanged.and_then(fitting).and_then(|grant| aged(grant, began.elapsed())).map_err(Failure::shortened)
}

/// A token too long for a request head counts as a failure: it must not replace one that can be sent.
fn fitting(grant: Grant) -> Exchanged {
    let length = grant.bearer.as_bytes().len();
    if length > LONGEST_BEARER {
        let text =
            format!("the token does not fit in a request head: {length} bytes instead of {LONGEST_BEARER} or less");
        return Err(Failure { status: Some(OK), ..Failure::new(text) });
    }
    Ok(grant)
}

/// A token's lifetime may have begun with the request; a slow answer must not extend it.
fn aged(grant: Grant, took: Duration) -> Exchanged {
    let lifetime = grant.lifetime.saturating_sub(took);
    if lifetime.is_zero() {
        let (life, took) = (grant.lifetime.as_secs(), took.as_secs());
        let text = format!("the token was valid for {life} s, and the response took {took} s");
        return Err(Failure { status: Some(OK), ..Failure::new(text) });
    }
    Ok(Grant { lifetime, ..grant })
}

/// Exchanges once and blocks the calling thread meanwhile: for a manual check.
pub fn exchange_once(identity: &Identity, trust: &Trust, proxy: Option<&Proxy>) -> Result<Granted, Failure> {
    let mut source = prepare(identity, trust, proxy).map_err(|error| Failure::new(error.to_string()))?;
    exchange(&mut *source).map(Granted::new)
}

/// Runs each exchange on its own thread: a handshake takes stack and heap that would lie idle for the next hour.
pub(crate) struct Exchanger(Arc<Mutex<Box<dyn TokenSource>>>);

impl fmt::Debug for Exchanger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exchanger").finish_non_exhaustive()
    }
}

impl Exchanger {
    /// Reads and sends nothing yet.
    pub(crate) fn new(identity: &Identity, trust: &Trust, proxy: Option<&Proxy>) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(prepare(identity, trust, proxy)?))))
    }

    /// Exchanges once. Concurrent calls take turns.
    pub(crate) async fn exchange(&self) -> Exchanged {
        let (reply, answer) = channel::bounded(1);
        let source = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("identity".to_owned()).stack_size(STACK);
        let spawned = thread.spawn(move || {
            let exchanged = exchange(&mut **source.lock().unwrap_or_else(PoisonError::into_inner));
            // The caller may be gone.
            let _ = reply.send_blocking(exchanged);
        });
        spawned.map_err(|error| Failure::new(format!("cannot start the token exchange thread: {error}")))?;
        answer
            .recv()
            .await
            .unwrap_or_else(|_| Err(Failure::new("the token exchange thread has ended; restart the container")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Bearer;

    /// Refuses `left` times, then grants.
    struct Refusing {
        left: u32,
        retry: Retry,
        asked: u32,
    }

    impl TokenSource for Refusing {
        fn attempt(&mut self) -> Exchanged {
            self.asked += 1;
            if self.asked <= self.left {
                return Err(Failure { retry: self.retry, ..Failure::new("no") });
            }
            let bearer = Bearer::new("t").unwrap();
            Ok(Grant { bearer, lifetime: Duration::from_secs(60), refresh_in: None, skew: None })
        }
    }

    /// Whether there was a token, and how often it was asked for.
    fn outcome(left: u32, retry: Retry) -> (bool, u32) {
        let mut source = Refusing { left, retry, asked: 0 };
        (exchange(&mut source).is_ok(), source.asked)
    }

    #[test]
    fn an_outdated_assertion_is_made_anew_once() {
        assert_eq!(outcome(1, Retry::AtOnce), (true, 2));
        assert_eq!(outcome(9, Retry::AtOnce), (false, 2));
    }

    #[test]
    fn an_expired_token_is_a_failure() {
        let grant = || Grant {
            bearer: Bearer::new("t").unwrap(),
            lifetime: Duration::from_secs(5),
            refresh_in: None,
            skew: None,
        };
        let left = aged(grant(), Duration::from_secs(4)).unwrap();
        assert_eq!(left.lifetime, Duration::from_secs(1));
        for took in [5, 19] {
            let failure = aged(grant(), Duration::from_secs(took)).expect_err("no life is left");
            assert!(failure.message.contains("valid for 5 s") && failure.status.is_some(), "{failure}");
        }
    }

    #[test]
    fn a_token_too_long_for_a_head_is_a_failure() {
        struct Granting(usize);
        impl TokenSource for Granting {
            fn attempt(&mut self) -> Exchanged {
                let bearer = Bearer::new(&"t".repeat(self.0 - "Bearer ".len())).unwrap();
                Ok(Grant { bearer, lifetime: Duration::from_secs(60), refresh_in: None, skew: None })
            }
        }
        assert!(exchange(&mut Granting(LONGEST_BEARER)).is_ok());
        let failure = exchange(&mut Granting(LONGEST_BEARER + 1)).expect_err("too long");
        assert_eq!(failure.message, "the token does not fit in a request head: 12289 bytes instead of 12288 or less");
        assert_eq!(failure.status, Some(OK));
    }

    #[test]
    fn a_token_ages_while_it_is_requested() {
        struct Slow;
        impl TokenSource for Slow {
            fn attempt(&mut self) -> Exchanged {
                std::thread::sleep(Duration::from_millis(50));
                let bearer = Bearer::new("t").unwrap();
                Ok(Grant { bearer, lifetime: Duration::from_secs(60), refresh_in: None, skew: None })
            }
        }
        let left = exchange(&mut Slow).unwrap().lifetime;
        assert!(left <= Duration::from_millis(59_950), "{left:?}");
    }

    #[test]
    fn a_long_refusal_is_cut_to_fit_a_log_line() {
        struct Talkative;
        impl TokenSource for Talkative {
            fn attempt(&mut self) -> Exchanged {
                Err(Failure::new("x".repeat(5000)))
            }
        }
        let failure = exchange(&mut Talkative).expect_err("a refusal");
        assert_eq!(failure.message, Failure::new("x".repeat(5000)).shortened().message);
        assert!(failure.message.len() < 1000, "{}", failure.message.len());
    }

    #[test]
    fn nothing_else_is_asked_twice() {
        for retry in [Retry::Soon, Retry::Late] {
            assert_eq!(outcome(1, retry), (false, 1), "{retry:?}");
        }
        assert_eq!(outcome(0, Retry::Soon), (true, 1));
    }
}
