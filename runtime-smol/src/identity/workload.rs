//! Workload identity: the projected service-account token of a pod is the assertion, at the authority or at the
//! cluster's own token proxy.

use std::io;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::binding::Binding;
use super::entra::{self, ASSERTION_TYPE, Entra};
use super::failure::Failure;
use super::{Exchanged, TokenSource, file};
use crate::config::{self, Proxy, WorkloadIdentity};
use crate::hint::{self, Hint, Sent};
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
        let exchanged = match &mut self.ask {
            Ask::Authority(entra) => entra.ask(&proof, &sent).map_err(projected).map_err(bypassed),
            Ask::Binding(binding) => binding.ask(&proof, &sent),
        };
        exchanged.map_err(|failure| made_by_the_cluster(failure).without(&assertion))
    }
}

/// The cluster made the assertion: with its own keys, not a certificate's, and its own clock, not this machine's.
fn made_by_the_cluster(failure: Failure) -> Failure {
    match failure.hint {
        Some(hint) if *hint == hint::SIGNATURE => failure.with_hint(&hint::ISSUER_KEYS),
        Some(hint) if *hint == hint::ASSERTION_OUTDATED => failure.with_hint(&hint::TOKEN_OUTDATED),
        _ => failure,
    }
}

/// Entra compares the credential with the pod's token. If the token itself is the wrong one, another credential would
/// not help, or would admit every pod.
fn projected(failure: Failure) -> Failure {
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
fn bypassed(failure: Failure) -> Failure {
    let bound = failure.sent.audience.as_deref() == Some(BINDING_AUDIENCE);
    if bound && failure.code.is_some() { failure.with_hint(&hint::BINDING_BYPASSED) } else { failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repairs_of_an_assertion_are_those_of_a_cluster() {
        for (told, meant) in [
            (&hint::SIGNATURE, &hint::ISSUER_KEYS),
            (&hint::ASSERTION_OUTDATED, &hint::TOKEN_OUTDATED),
            (&hint::SUBJECT, &hint::SUBJECT),
        ] {
            assert_eq!(made_by_the_cluster(Failure::new("no").with_hint(told)).hint, Some(meant));
        }
        for (code, word) in [(500_133, "token-outdated"), (7_000_272, "issuer-keys")] {
            let told = hint::of_code(code).expect("a hint");
            assert_eq!(made_by_the_cluster(Failure::new("no").with_hint(told)).hint.expect("a hint").word, word);
        }
    }

    #[test]
    fn a_token_that_is_the_wrong_one_is_repaired_in_the_pod() {
        let told = |hint, account: &str, audience: &str| {
            let sent = Sent {
                subject: Some(format!("system:serviceaccount:monitoring:{account}")),
                audience: Some(audience.to_owned()),
                ..Sent::default()
            };
            projected(Failure::new("no").with_hint(hint).with_sent(&sent)).hint.expect("a hint").word
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
