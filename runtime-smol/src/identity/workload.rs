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
use crate::hint::{self, Hint, Sent};
use crate::jwt;
use crate::trust::Trust;

/// Audience of the tokens that Entra accepts, in every cloud.
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// Audience of the tokens that only a token proxy accepts.
const BINDING_AUDIENCE: &str = "api://AKSIdentityBinding";

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
            let text = format!("AZURE_FEDERATED_TOKEN_FILE {}: {error}", self.token_file.display());
            Failure::new(text).with_hint(&hint::TOKEN_FILE).with_sent(sent)
        })
    }
}

impl TokenSource for Workload {
    fn attempt(&mut self) -> Exchanged {
        let sent = self.sent();
        let assertion = self.read(&sent)?;
        let sent = sent.with_claims(&assertion);
        let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
        // The order matters: a missing token proxy replaces whatever hint came before it. The cluster's clock, and then
        // the cluster itself, replace only general hints that are still there.
        let exchanged = match &mut self.ask {
            Ask::Authority(entra) => entra
                .ask(&proof, &sent)
                .map_err(hint_at_wrong_token)
                .map_err(hint_at_missing_token_proxy)
                .map_err(|failure| hint_at_cluster_clock(failure, &assertion, entra.date, SystemTime::now())),
            Ask::Binding(binding) => binding.ask(&proof, &sent),
        };
        exchanged.map_err(|failure| hint_at_cluster(failure).without(&assertion))
    }
}

/// When a token is valid, in seconds since 1970 (RFC 7519 §4.1).
#[derive(Deserialize)]
struct Validity {
    #[serde(default)]
    nbf: u64,
    exp: u64,
}

/// Entra found the token outdated. If it is valid at `now`, by this machine's clock, and that differs from `date`,
/// which is Entra's, the token's file is not to blame: the clock that the cluster signs by is.
fn hint_at_cluster_clock(failure: Failure, assertion: &str, date: Option<SystemTime>, now: SystemTime) -> Failure {
    let outdated = failure.hint == Some(&hint::ASSERTION_OUTDATED);
    let (Some(date), Some(Validity { nbf, exp }), true) = (date, jwt::claims(assertion.as_bytes()), outdated) else {
        return failure;
    };
    let second = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let Some(skew) = Skew::between(now, date).filter(|_| (nbf..exp).contains(&second)) else { return failure };
    let of = if skew.ahead { " of" } else { "" };
    let message = format!("{} This machine's clock is {skew}{of} Entra's.", failure.message);
    Failure { message, ..failure }.with_hint(&hint::CLUSTER_CLOCK)
}

/// The cluster made the assertion: with its own keys, not a certificate's, and its own clock, not this machine's.
fn hint_at_cluster(failure: Failure) -> Failure {
    match failure.hint {
        Some(hint) if *hint == hint::SIGNATURE => failure.with_hint(&hint::ISSUER_KEYS),
        Some(hint) if *hint == hint::ASSERTION_OUTDATED => failure.with_hint(&hint::TOKEN_OUTDATED),
        _ => failure,
    }
}

/// Entra compares the credential with the pod's token. If the token itself is the wrong one, another credential would
/// not help, or would admit every pod.
fn hint_at_wrong_token(failure: Failure) -> Failure {
    let variants = failure.hint.map(Hint::variants).unwrap_or_default();
    let sent = &failure.sent;
    if variants.contains(&hint::TOKEN_AUDIENCE) && sent.audience.as_deref().is_some_and(|audience| audience != AUDIENCE)
    {
        failure.with_hint(&hint::TOKEN_AUDIENCE)
    } else if variants.contains(&hint::DEFAULT_ACCOUNT) && sent.is_of_default_account() {
        failure.with_hint(&hint::DEFAULT_ACCOUNT)
    } else {
        failure
    }
}

/// Entra itself does not accept a binding's issuer and audience, whatever number it gives.
fn hint_at_missing_token_proxy(failure: Failure) -> Failure {
    let bound = failure.sent.audience.as_deref() == Some(BINDING_AUDIENCE);
    if bound && failure.code.is_some() { failure.with_hint(&hint::BINDING_BYPASSED) } else { failure }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn the_repairs_of_an_assertion_are_those_of_a_cluster() {
        for (told, meant) in [
            (&hint::SIGNATURE, &hint::ISSUER_KEYS),
            (&hint::ASSERTION_OUTDATED, &hint::TOKEN_OUTDATED),
            (&hint::SUBJECT, &hint::SUBJECT),
        ] {
            assert_eq!(hint_at_cluster(Failure::new("no").with_hint(told)).hint, Some(meant));
        }
        for (code, word) in [(500_133, "token-outdated"), (7_000_272, "issuer-keys")] {
            let told = hint::of_code(code).expect("a hint");
            assert_eq!(hint_at_cluster(Failure::new("no").with_hint(told)).hint.expect("a hint").word, word);
        }
    }

    #[test]
    fn a_clock_is_to_blame_if_the_token_is_valid_by_it_alone() {
        let assertion = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(r#"{"nbf":1000000,"exp":1003600}"#));
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let told = |date: Option<u64>, now| {
            let failure = Failure::new("No.").with_hint(&hint::ASSERTION_OUTDATED);
            hint_at_cluster_clock(failure, &assertion, date.map(at), at(now))
        };
        let ahead = told(Some(994_799), 1_002_000);
        assert_eq!(ahead.hint, Some(&hint::CLUSTER_CLOCK));
        assert_eq!(ahead.message, "No. This machine's clock is 2h 1s ahead of Entra's.");
        let behind = told(Some(1_009_200), 1_002_000);
        assert_eq!((behind.hint, behind.message.contains("2h behind Entra's")), (Some(&hint::CLUSTER_CLOCK), true));
        // The file is stale, the clocks agree, or Entra's is not known.
        for (date, now) in [(Some(1_009_200), 1_003_600), (Some(1_002_030), 1_002_000), (None, 1_002_000)] {
            assert_eq!(told(date, now).hint, Some(&hint::ASSERTION_OUTDATED), "{date:?} {now}");
        }
        let other =
            hint_at_cluster_clock(Failure::new("no").with_hint(&hint::TENANT), &assertion, Some(at(0)), at(1_002_000));
        assert_eq!(other.hint, Some(&hint::TENANT));
    }

    #[test]
    fn a_token_that_is_the_wrong_one_is_repaired_in_the_pod() {
        let told = |hint, account: &str, audience: &str| {
            let sent = Sent {
                subject: Some(format!("system:serviceaccount:monitoring:{account}")),
                audience: Some(audience.to_owned()),
                ..Sent::default()
            };
            hint_at_wrong_token(Failure::new("no").with_hint(hint).with_sent(&sent)).hint.expect("a hint").word
        };
        let cluster = "https://kubernetes.default.svc.cluster.local";
        for hint in [&hint::FEDERATION, &hint::SUBJECT, &hint::SUBJECT_CASE, &hint::ISSUER, &hint::AUDIENCE] {
            assert_eq!(told(hint, "prometheus", cluster), "token-audience", "{}", hint.word);
            assert_eq!(told(hint, "prometheus", AUDIENCE), hint.word);
        }
        assert_eq!(told(&hint::SUBJECT, "default", AUDIENCE), "default-account");
        assert_eq!(told(&hint::FEDERATION, "default", AUDIENCE), "default-account");
        // Such a credential may exist nevertheless, with an issuer that does not match.
        assert_eq!(told(&hint::ISSUER, "default", AUDIENCE), "federated-issuer");
        assert_eq!(told(&hint::TENANT, "default", cluster), "tenant-unknown");
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
