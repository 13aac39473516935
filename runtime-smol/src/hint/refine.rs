//! Which hint a failure ends with: the one of its number or its cause, or a variant that says more.

use super::table::{
    APPLICATION, ASSERTION_OUTDATED, AUDIENCE, BINDING_BYPASSED, BINDING_MISSING, BINDING_UNREACHABLE,
    BINDING_UNTRUSTED, CERTIFICATE_EXPIRED, CLIENT, CLUSTER_CLOCK, DEFAULT_ACCOUNT, FEDERATION, IMDS_STAND_IN,
    IMDS_UNREACHABLE, ISSUER, ISSUER_KEYS, MONITOR, OTHER_HOST, RESOURCE, SECRET_EXPIRED, SIGNATURE, SUBJECT,
    SUBJECT_CASE, TOKEN_AUDIENCE, TOKEN_OUTDATED, UNREACHABLE, UNTRUSTED,
};
use super::{Hint, Sent};
use crate::cloud::{ASSERTION_AUDIENCE, BINDING_AUDIENCE};
use crate::identity::Skew;

/// The metadata service's address on every Azure machine.
const IMDS_HOST: &str = "169.254.169.254";

/// Who requested a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requester {
    /// A pod's service account, at Entra. `skew` is there if the pod's token is valid by this machine's clock, and
    /// Entra's clock differs.
    Pod { skew: Option<Skew> },
    /// A pod's service account, at its cluster's token proxy.
    BoundPod,
    /// An application with a secret.
    Application,
    /// An application with a certificate, which may be outside its validity period.
    Certificate { is_valid: bool },
    /// A managed identity, at its machine's or its platform's endpoint.
    Managed,
}

/// What the choice between a hint and its variants depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances<'s> {
    pub(crate) requester: Requester,
    pub(crate) sent: &'s Sent,
    /// Whether the answer has an `AADSTS` number.
    pub(crate) is_numbered: bool,
}

fn is_pod(known: &Circumstances<'_>) -> bool {
    matches!(known.requester, Requester::Pod { .. })
}

fn is_bound(known: &Circumstances<'_>) -> bool {
    known.requester == Requester::BoundPod
}

fn has_certificate(known: &Circumstances<'_>) -> bool {
    matches!(known.requester, Requester::Certificate { .. })
}

/// `to` replaces the hints in `of` where `applies`. If `of` is empty, it replaces any hint, and the lack of one.
struct Rule {
    of: &'static [Hint],
    to: &'static Hint,
    applies: fn(&Circumstances<'_>) -> bool,
}

const fn rule(of: &'static [Hint], to: &'static Hint, applies: fn(&Circumstances<'_>) -> bool) -> Rule {
    Rule { of, to, applies }
}

/// The first rule that applies decides. Those for any hint come first, as they name the cause of whatever Entra says.
/// Of the others only two ever compete: a token for another audience is the wrong one for every account.
const RULES: &[Rule] = &[
    // Entra itself never accepts a binding's issuer and audience.
    rule(&[], &BINDING_BYPASSED, |known| {
        is_pod(known) && known.is_numbered && known.sent.audience.as_deref() == Some(BINDING_AUDIENCE)
    }),
    rule(&[], &CERTIFICATE_EXPIRED, |known| {
        known.requester == Requester::Certificate { is_valid: false } && known.is_numbered
    }),
    // Entra compares the credential with the pod's token. If the token itself is the wrong one, another credential
    // would not help, or would admit every pod.
    rule(&[FEDERATION, SUBJECT, SUBJECT_CASE, ISSUER, AUDIENCE], &TOKEN_AUDIENCE, |known| {
        is_pod(known) && known.sent.audience.as_deref().is_some_and(|audience| audience != ASSERTION_AUDIENCE)
    }),
    // A credential for a default account may exist nevertheless, with another issuer or audience.
    rule(&[FEDERATION, SUBJECT, SUBJECT_CASE], &DEFAULT_ACCOUNT, |known| {
        is_pod(known) && known.sent.is_of_default_account()
    }),
    // Entra sees an assertion of the token proxy's, so a credential for the pod's own token would not help.
    rule(&[FEDERATION, SUBJECT, SUBJECT_CASE, ISSUER, AUDIENCE], &BINDING_MISSING, is_bound),
    // The cluster made the assertion: with its own clock, not this machine's, and its own keys, not a certificate's. If
    // the token is valid by this machine's clock, the cluster's is to blame, and not the token's file.
    rule(&[ASSERTION_OUTDATED], &TOKEN_OUTDATED, |known| {
        matches!(known.requester, Requester::Pod { skew: None } | Requester::BoundPod)
    }),
    rule(&[ASSERTION_OUTDATED], &CLUSTER_CLOCK, |known| matches!(known.requester, Requester::Pod { skew: Some(_) })),
    rule(&[SIGNATURE], &ISSUER_KEYS, |known| is_pod(known) || is_bound(known)),
    // An application's id comes from a setting, not from a service account's annotation.
    rule(&[CLIENT], &APPLICATION, |known| has_certificate(known) || known.requester == Requester::Application),
    rule(&[RESOURCE], &MONITOR, |known| known.sent.is_for_azure_monitor()),
    // Entra has one number for secrets and certificates that have expired.
    rule(&[SECRET_EXPIRED], &CERTIFICATE_EXPIRED, has_certificate),
    // The token proxy's address, authority and name have their own settings.
    rule(&[UNTRUSTED, OTHER_HOST], &BINDING_UNTRUSTED, is_bound),
    rule(&[UNREACHABLE], &BINDING_UNREACHABLE, is_bound),
    // Another host is configured in the metadata service's place.
    rule(&[IMDS_UNREACHABLE], &IMDS_STAND_IN, |known| known.sent.authority.as_deref() != Some(IMDS_HOST)),
];

/// `hint`, or the one that says more under these circumstances.
pub(crate) fn refine(hint: Option<&'static Hint>, known: &Circumstances<'_>) -> Option<&'static Hint> {
    let is_of = |rule: &Rule| rule.of.is_empty() || hint.is_some_and(|hint| rule.of.contains(hint));
    RULES.iter().find(|rule| is_of(rule) && (rule.applies)(known)).map_or(hint, |rule| Some(rule.to))
}

impl Hint {
    /// The hints that may replace this one, depending on what was sent and by whom. They come with the same
    /// numbers, if it has any.
    pub fn variants(&self) -> impl Iterator<Item = &Self> {
        RULES.iter().filter(|rule| rule.of.contains(self)).map(|rule| rule.to)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::super::table::{ALL, CERTIFICATE_TIME, TENANT};
    use super::Requester::{Application, BoundPod, Certificate, Managed, Pod};
    use super::*;

    const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
    const SKEWED: Requester = Pod { skew: Some(Skew { by: Duration::from_secs(7200), ahead: true }) };
    const UNSKEWED: Requester = Pod { skew: None };
    const CERTIFIED: Requester = Certificate { is_valid: true };

    /// What an account of the namespace `monitoring` sends.
    fn sent(account: &str, audience: &str) -> Sent {
        Sent {
            subject: Some(format!("system:serviceaccount:monitoring:{account}")),
            audience: Some(audience.to_owned()),
            authority: Some("127.0.0.1:8080".to_owned()),
            ..Sent::default()
        }
    }

    fn refined(hint: Option<&'static Hint>, requester: Requester, sent: &Sent, is_numbered: bool) -> &'static str {
        refine(hint, &Circumstances { requester, sent, is_numbered }).map_or("", |hint| hint.word)
    }

    /// Whose variant each hint becomes if nothing is wrong with what was sent; for all others it stays.
    #[test]
    fn who_requested_the_token_decides() {
        let federated = &[(BoundPod, &BINDING_MISSING)][..];
        let clocks = [(UNSKEWED, &TOKEN_OUTDATED), (SKEWED, &CLUSTER_CLOCK), (BoundPod, &TOKEN_OUTDATED)];
        let keys = [UNSKEWED, SKEWED, BoundPod].map(|pod| (pod, &ISSUER_KEYS));
        let everyone = [UNSKEWED, SKEWED, BoundPod, Application, CERTIFIED, Managed];
        for (hint, variants) in [
            (&FEDERATION, federated),
            (&SUBJECT, federated),
            (&SUBJECT_CASE, federated),
            (&ISSUER, federated),
            (&AUDIENCE, federated),
            (&ASSERTION_OUTDATED, &clocks),
            (&SIGNATURE, &keys),
            (&CLIENT, &[(Application, &APPLICATION), (CERTIFIED, &APPLICATION)]),
            (&SECRET_EXPIRED, &[(CERTIFIED, &CERTIFICATE_EXPIRED)]),
            (&UNTRUSTED, &[(BoundPod, &BINDING_UNTRUSTED)]),
            (&OTHER_HOST, &[(BoundPod, &BINDING_UNTRUSTED)]),
            (&UNREACHABLE, &[(BoundPod, &BINDING_UNREACHABLE)]),
            (&CERTIFICATE_TIME, &[]),
            (&TENANT, &[]),
        ] {
            for requester in everyone {
                let variant = variants.iter().find(|(of, _)| *of == requester).map_or(hint, |(_, variant)| variant);
                let told = refined(Some(hint), requester, &sent("prometheus", ASSERTION_AUDIENCE), true);
                assert_eq!(told, variant.word, "{} of {requester:?}", hint.word);
            }
        }
    }

    #[test]
    fn a_token_that_is_the_wrong_one_is_repaired_in_the_pod() {
        let told = |hint, account, audience| refined(Some(hint), UNSKEWED, &sent(account, audience), true);
        for hint in [&FEDERATION, &SUBJECT, &SUBJECT_CASE, &ISSUER, &AUDIENCE] {
            assert_eq!(told(hint, "prometheus", CLUSTER), "token-audience", "{}", hint.word);
            assert_eq!(told(hint, "default", CLUSTER), "token-audience", "{}", hint.word);
        }
        for hint in [&FEDERATION, &SUBJECT, &SUBJECT_CASE] {
            assert_eq!(told(hint, "default", ASSERTION_AUDIENCE), "default-account", "{}", hint.word);
        }
        assert_eq!(told(&ISSUER, "default", ASSERTION_AUDIENCE), "federated-issuer");
        assert_eq!(told(&TENANT, "default", CLUSTER), "tenant-unknown");
    }

    #[test]
    fn a_binding_without_its_proxy_is_behind_whatever_number_entra_gives() {
        let sent = sent("default", BINDING_AUDIENCE);
        for hint in ALL.iter().map(Some).chain([None]) {
            assert_eq!(refined(hint, UNSKEWED, &sent, true), "binding-bypassed", "{hint:?}");
            assert_eq!(refined(hint, SKEWED, &sent, true), "binding-bypassed", "{hint:?}");
        }
        assert_eq!(refined(None, UNSKEWED, &sent, false), "");
        assert_eq!(refined(Some(&UNREACHABLE), UNSKEWED, &sent, false), "unreachable");
        assert_eq!(refined(Some(&TENANT), BoundPod, &sent, true), "tenant-unknown");
    }

    #[test]
    fn a_certificate_outside_its_validity_is_behind_whatever_number_entra_gives() {
        let (invalid, sent) = (Certificate { is_valid: false }, sent("client", ASSERTION_AUDIENCE));
        for hint in ALL.iter().map(Some).chain([None]) {
            assert_eq!(refined(hint, invalid, &sent, true), "certificate-expired", "{hint:?}");
        }
        assert_eq!(refined(None, invalid, &sent, false), "");
        assert_eq!(refined(Some(&UNREACHABLE), invalid, &sent, false), "unreachable");
    }

    #[test]
    fn an_audience_that_the_tenant_does_not_know_is_kept_where_it_is_required() {
        let told = |scope: &str| {
            let sent = Sent { scope: Some(scope.to_owned()), ..Sent::default() };
            refined(Some(&RESOURCE), Managed, &sent, true)
        };
        for scope in
            ["https://monitor.azure.com/.default", "https://monitor.azure.us//.default", "https://monitor.azure.cn"]
        {
            assert_eq!(told(scope), "monitor-unknown", "{scope}");
        }
        for scope in [
            "https://monitor.cloud.example/.default",
            "https://monitor.azure.com.example",
            "https://management.azure.com",
        ] {
            assert_eq!(told(scope), "resource-unknown", "{scope}");
        }
    }

    #[test]
    fn a_host_that_stands_in_for_the_metadata_service_is_the_one_to_look_at() {
        let told = |hint, host: &str| {
            let sent = Sent { authority: Some(host.to_owned()), ..Sent::default() };
            refined(Some(hint), Managed, &sent, false)
        };
        assert_eq!(told(&IMDS_UNREACHABLE, "127.0.0.1"), "imds-stand-in");
        assert_eq!(told(&IMDS_UNREACHABLE, IMDS_HOST), "imds-unreachable");
    }

    #[test]
    fn a_variant_has_no_variants() {
        for hint in ALL {
            assert!(hint.variants().all(|other| other.variants().next().is_none() && other != hint), "{}", hint.word);
            let words: BTreeSet<_> = hint.variants().map(|variant| variant.word).collect();
            assert_eq!(words.len(), hint.variants().count(), "{} has one of them twice", hint.word);
        }
    }
}
