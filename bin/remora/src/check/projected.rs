//! The service account's token in the pod: present, readable, fresh, and with the claims that Entra expects.

use std::io;
use std::time::{Duration, SystemTime};

use remora_smol::cloud::{ASSERTION_AUDIENCE, BINDING_AUDIENCE};
use remora_smol::endpoint::Endpoint;
use remora_smol::file;

use super::claims::{Claims, ClaimsError};
use super::configuration::faultless;
use super::context::{Checked, Context};
use super::http::Answer;
use super::network::{ODD, span};
use super::outcome::{Finding, Outcome};
use super::published::{self, Unasked};
use super::route::{Goal, Route};
use crate::pages;

/// The only signature algorithm of projected tokens that Entra accepts.
const ALGORITHM: &str = "RS256";

/// Why another algorithm matters, and what to do about it.
const OTHER_ALGORITHM: &str = "Entra refuses it, whatever its claims. A cluster's key decides which algorithm signs.";
const RSA_KEY: &str = "let the cluster sign service-account tokens with an RSA key: give the API server one with --service-account-signing-key-file,\n\
publish its public half at the issuer, then replace the pod (queued samples are lost)\n\
kubectl get --raw /openid/v1/jwks\n\
kubectl delete pod <pod> -n <namespace>";
/// Why a token without the name of its key is suspicious, and what to do about it.
const UNNAMED_KEY: &str = "Entra finds the key to verify it with by that name. A cluster's own tokens always have it.";
const LET_API_SERVER_SIGN: &str = "check what is mounted in its place, and let the kubelet project the token\n\
kubectl get pod <pod> -n <namespace> -o jsonpath='{.spec.volumes[*].projected.sources[*].serviceAccountToken}'";

/// Why a token that is not valid yet is refused, and what to do about it. NET-04 has judged the other clock.
const EARLY: &str = "Entra refuses it until then. The API server dates it: if NET-04 passes, this node's clock is right and the API server's is ahead.";
const SET_CLOCK: &str = "set the clock on the cluster's control plane; another pod's token would have the same times\n\
timedatectl set-ntp true";

/// TOK-01.
pub(super) fn readable(cx: &mut Context<'_>) -> Checked {
    faultless(cx, &pages::TOK_01)?;
    Ok(cx.workload()?.token_file.display().to_string())
}

/// TOK-02.
pub(super) fn signed(cx: &mut Context<'_>) -> Checked {
    let path = cx.workload()?.token_file.clone();
    let read = file::read_text(&path).map_err(|error| format!("cannot be read: {error}"));
    let claims = read.and_then(|token| Claims::read(&token).map_err(ClaimsError::words));
    let claims = claims.map_err(|wrong| {
        let seen = format!("{} {wrong}", path.display());
        Outcome::Fail(Finding::new(seen))
    })?;
    cx.pod.learn("issuer", claims.text("iss").map(str::to_owned));
    let trimmed = claims.text("iss").map(|issuer| issuer.trim_end_matches('/').to_owned());
    cx.pod.learn("issuer-without-slash", trimmed);
    cx.pod.learn("subject", claims.text("sub").map(str::to_owned));
    cx.pod.learn("audience", claims.texts("aud").first().map(|audience| (*audience).to_owned()));
    signature(cx.assertion.insert(claims))
}

/// Entra verifies only RS256, with the key that the token names
/// (learn.microsoft.com/entra/workload-id/workload-identity-federation-considerations).
fn signature(claims: &Claims) -> Checked {
    let algorithm = &claims.algorithm;
    if algorithm != ALGORITHM {
        let seen = format!("its signature algorithm is {algorithm:?}, but Entra accepts only {ALGORITHM}");
        return Err(Outcome::Fail(Finding::new(seen).because(OTHER_ALGORITHM).repaired(RSA_KEY)));
    }
    if claims.key_id.is_none() {
        let seen = "its header names no key (kid)";
        return Err(Outcome::Warn(Finding::new(seen).because(UNNAMED_KEY).repaired(LET_API_SERVER_SIGN)));
    }
    Ok(algorithm.clone())
}

/// TOK-03.
pub(super) fn subject(cx: &mut Context<'_>) -> Checked {
    let subject = cx.assertion()?.text("sub").unwrap_or_default();
    let Some((namespace, account)) =
        subject.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'))
    else {
        let seen = format!("the subject is {subject:?}, which is not a Kubernetes service account");
        return Err(Outcome::Warn(Finding::new(seen)));
    };
    if account == "default" {
        let seen = format!("the subject is the default service account of the namespace {namespace}");
        return Err(Outcome::Warn(Finding::new(seen)));
    }
    Ok(subject.to_owned())
}

/// TOK-04. Another audience may be intentional if the federated credential names it as well: the exchange decides.
pub(super) fn audience(cx: &mut Context<'_>) -> Checked {
    let audiences = cx.assertion()?.texts("aud").join(", ");
    if audiences == ASSERTION_AUDIENCE || audiences == BINDING_AUDIENCE {
        return Ok(audiences);
    }
    Err(Outcome::Warn(Finding::new(format!("the audience is {audiences:?}, but Entra expects {ASSERTION_AUDIENCE}"))))
}

/// TOK-05. Times cannot be judged by a clock that is wrong.
pub(super) fn fresh(cx: &mut Context<'_>) -> Checked {
    let claims = cx.assertion()?;
    if cx.has_failed(&pages::NET_04) {
        return Err(Outcome::Needs(&pages::NET_04));
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    lifetime(claims, now)
}

fn lifetime(claims: &Claims, now: Duration) -> Checked {
    let fail = |seen: String| Err(Outcome::Fail(Finding::new(seen)));
    let Some(end) = claims.time("exp") else { return fail("it has no expiry time".to_owned()) };
    let begin = claims.time("nbf").or_else(|| claims.time("iat")).unwrap_or(end);
    if let Some(over) = now.checked_sub(end) {
        return fail(format!("it expired {} ago", span(over)));
    }
    // Entra's own clock decides. A new token is ahead of a clock that NET-04 still calls right.
    if let Some(early) = begin.checked_sub(now).filter(|early| *early > ODD) {
        let finding = Finding::new(format!("it becomes valid in {}", span(early)));
        return Err(Outcome::Fail(Finding {
            more: Some("cluster-clock"),
            ..finding.because(EARLY).repaired(SET_CLOCK)
        }));
    }
    let (left, life) = (end.saturating_sub(now), end.saturating_sub(begin));
    let seen = format!("{} left of {}", span(left), span(life));
    if left < life / 5 {
        return Err(Outcome::Warn(Finding::new(format!("{seen}; the kubelet should have replaced it by now"))));
    }
    Ok(seen)
}

/// TOK-06.
pub(super) fn issuer(cx: &mut Context<'_>) -> Checked {
    let issuer = cx.assertion()?.text("iss").unwrap_or_default();
    let fail = |wrong: &str| Err(Outcome::Fail(Finding::new(format!("the issuer is {issuer}, {wrong}"))));
    match Endpoint::parse(issuer) {
        Err(_) => fail("which is not an https URL"),
        Ok(endpoint) if is_private(endpoint.host()) => fail("a name that only the cluster itself knows"),
        Ok(_) => Ok(issuer.to_owned()),
    }
}

/// The names of the API server inside a cluster. Other private names cannot be recognized.
fn is_private(host: &str) -> bool {
    host == "kubernetes" || host == "kubernetes.default" || host.starts_with("kubernetes.default.svc")
}

/// TOK-07. The issuer may legitimately be unreachable from here: only a wrong response is a problem.
pub(super) fn keys(cx: &mut Context<'_>) -> Checked {
    let assertion = cx.assertion()?;
    let (issuer, key_id) = (assertion.text("iss").unwrap_or_default().to_owned(), assertion.key_id.clone());
    published::judge(&issuer, key_id.as_deref(), |url| ask(cx, url))
}

/// The response to a GET on a host of the issuer, or why there is none.
fn ask(cx: &Context<'_>, url: &Endpoint) -> Result<Answer, Unasked> {
    let (trust, proxy) = (cx.trust().map_err(Unasked::Left)?, cx.config().map_err(Unasked::Left)?.proxy.as_ref());
    let target = url.target().to_owned();
    let mut route = Route::new(Goal::Issuer, url.clone(), proxy)?;
    route.again(trust).map_err(|finding| Unasked::Unreachable(finding.seen))?;
    Ok(route.get(&target).unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))?)
}

#[cfg(test)]
mod tests {
    use super::super::claims::tests::{claims, token};
    use super::*;

    #[test]
    fn only_an_rsa_signature_with_a_named_key_is_what_entra_verifies() {
        let judged = |header| signature(&Claims::read(&token(header, "{}")).unwrap());
        assert_eq!(judged(r#"{"alg":"RS256","kid":"k"}"#).unwrap(), "RS256");
        for header in [r#"{"alg":"ES256","kid":"k"}"#, r#"{"alg":"PS256","kid":"k"}"#, r#"{"alg":"HS256"}"#] {
            let Err(Outcome::Fail(finding)) = judged(header) else { panic!("{header}") };
            assert!(finding.repair.is_some_and(|repair| repair.contains("RSA key")), "{header}");
        }
        assert!(matches!(judged(r#"{"alg":"RS256"}"#), Err(Outcome::Warn(_))));
    }

    #[test]
    fn a_token_is_fresh_until_four_fifths_of_its_life_are_over() {
        let claims = claims(r#"{"nbf":1000,"exp":2000}"#);
        let at = |seconds| lifetime(&claims, Duration::from_secs(seconds));
        assert!(at(1000).is_ok() && at(1800).is_ok());
        assert!(matches!(at(1801), Err(Outcome::Warn(_))) && matches!(at(1999), Err(Outcome::Warn(_))));
        assert!(matches!(at(2000), Err(Outcome::Fail(finding)) if finding.repair.is_none()));
        assert!(at(999).is_ok() && at(940).is_ok());
        let Err(Outcome::Fail(early)) = at(939) else { panic!("no failure") };
        let repair = early.repair.unwrap_or_default();
        assert!(repair.contains("timedatectl set-ntp") && !repair.contains("delete pod"), "{repair}");
        assert!(early.more.is_some_and(|word| remora_smol::hint::find(word).is_some()));
    }

    #[test]
    fn a_token_without_times_is_not_fresh() {
        assert!(matches!(lifetime(&claims("{}"), Duration::ZERO), Err(Outcome::Fail(_))));
    }

    #[test]
    fn the_api_servers_own_names_are_private() {
        for host in ["kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "kubernetes"] {
            assert!(is_private(host), "{host}");
        }
        assert!(!is_private("eastus.oic.prod-aks.azure.com"));
    }
}
