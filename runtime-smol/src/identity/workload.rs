//! Workload identity: the projected service-account token of a pod is the assertion, at the authority or at the
//! cluster's own token proxy.

use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::binding::Binding;
use super::entra::{self, ASSERTION_TYPE, Entra};
use super::failure::Failure;
use super::{Exchanged, Skew, TokenSource};
use crate::config::{self, Proxy, WorkloadIdentity};
use crate::file;
use crate::hint::{self, Requester, Sent};
use crate::jwt;
use crate::trust::Trust;

/// A pod's service account.
pub(super) struct Workload {
    token_file: PathBuf,
    ask: Ask,
}

enum Ask {
    Authority(Entra),
    Binding(Binding),
}

impl Workload {
    pub(super) fn at_authority(identity: &WorkloadIdentity, trust: &Trust, proxy: Option<&Proxy>) -> io::Result<Self> {
        let entra = Entra::new(identity.client.clone(), trust, proxy)?;
        Ok(Self { token_file: identity.token_file.clone(), ask: Ask::Authority(entra) })
    }

    pub(super) fn bound(identity: &WorkloadIdentity, proxy: &config::TokenProxy, trust: &Trust) -> Self {
        let binding = Binding::new(identity.client.clone(), proxy.clone(), trust.clone());
        Self { token_file: identity.token_file.clone(), ask: Ask::Binding(binding) }
    }

    fn sent(&self) -> Sent {
        let sent = match &self.ask {
            Ask::Authority(entra) => entra::sent(&entra.client),
            Ask::Binding(binding) => binding.sent(),
        };
        Sent { file: Some(self.token_file.display().to_string()), ..sent }
    }

    fn read(&self, sent: &Sent) -> Result<Zeroizing<String>, Failure> {
        file::read_text(&self.token_file).map_err(|error| {
            let what = format!("AZURE_FEDERATED_TOKEN_FILE {}", self.token_file.display());
            Failure::unreadable(&what, &error, &hint::TOKEN_FILE).with_sent(sent)
        })
    }
}

impl TokenSource for Workload {
    fn attempt(&mut self) -> Exchanged {
        let sent = self.sent();
        let assertion = self.read(&sent)?;
        let sent = sent.with_claims(&assertion);
        let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
        let exchanged = match &mut self.ask {
            Ask::Authority(entra) => entra.ask(&proof, &sent).map_err(|failure| {
                let skew = skew_of_valid(&assertion, entra.date, SystemTime::now());
                with_skew(failure.refined(Requester::Pod { skew }), skew)
            }),
            Ask::Binding(binding) => binding.ask(&proof, &sent).map_err(|failure| failure.refined(Requester::BoundPod)),
        };
        exchanged.map_err(|failure| failure.without(&assertion))
    }
}

/// When a token is valid, in seconds since 1970 (RFC 7519 §4.1).
#[derive(Deserialize)]
struct Validity {
    #[serde(default)]
    nbf: u64,
    exp: u64,
}

/// How far `now`, by this machine's clock, is from `date`, by Entra's, if the token is valid at `now`.
fn skew_of_valid(assertion: &str, date: Option<SystemTime>, now: SystemTime) -> Option<Skew> {
    let Validity { nbf, exp } = jwt::claims(assertion.as_bytes())?;
    let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    Skew::between(now, date?).notable().filter(|_| (nbf..exp).contains(&second))
}

/// Says how far the clocks are apart if that is the cause.
fn with_skew(failure: Failure, skew: Option<Skew>) -> Failure {
    let Some(skew) = skew.filter(|_| failure.hint == Some(&hint::CLUSTER_CLOCK)) else { return failure };
    let message = format!("{} This machine's clock is {}.", failure.message, skew.towards("Entra's"));
    Failure { message, ..failure }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_clock_is_to_blame_if_the_token_is_valid_by_it_alone() {
        let assertion = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"nbf":1000000,"exp":1003600}"#));
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let told = |hint, date: Option<u64>, now| {
            let skew = skew_of_valid(&assertion, date.map(at), at(now));
            with_skew(Failure::new("No.").with_hint(hint).refined(Requester::Pod { skew }), skew)
        };
        let ahead = told(&hint::ASSERTION_OUTDATED, Some(994_799), 1_002_000);
        assert_eq!(ahead.hint, Some(&hint::CLUSTER_CLOCK));
        assert_eq!(ahead.message, "No. This machine's clock is 2h 1s ahead of Entra's.");
        let behind = told(&hint::ASSERTION_OUTDATED, Some(1_009_200), 1_002_000);
        assert_eq!((behind.hint, behind.message.contains("2h behind Entra's")), (Some(&hint::CLUSTER_CLOCK), true));
        // The file is stale, the clocks agree, or Entra's is not known.
        for (date, now) in [(Some(1_009_200), 1_003_600), (Some(1_002_030), 1_002_000), (None, 1_002_000)] {
            let stale = told(&hint::ASSERTION_OUTDATED, date, now);
            assert_eq!((stale.hint, &*stale.message), (Some(&hint::TOKEN_OUTDATED), "No."), "{date:?} {now}");
        }
        let other = told(&hint::TENANT, Some(0), 1_002_000);
        assert_eq!((other.hint, &*other.message), (Some(&hint::TENANT), "No."));
    }

    #[test]
    fn a_token_file_that_cannot_be_used_is_named_with_what_to_do() {
        let file = "/var/run/secrets/azure/wi/token/azure-identity-token";
        let sent = Sent { file: Some(file.to_owned()), ..Sent::default() };
        let unreadable = hint::TOKEN_FILE.repair(&sent);
        assert!(unreadable.contains("fsGroup") && !unreadable.contains("delete pod"), "{unreadable}");
        let garbage = hint::ASSERTION_MALFORMED.repair(&sent);
        assert!(garbage.starts_with(&format!("check what is mounted at {file} ")), "{garbage}");
        assert!(!garbage.contains("create token"), "{garbage}");
    }
}
