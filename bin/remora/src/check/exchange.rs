//! The token exchange itself, made once in the same way as the sidecar makes it, and the access token's claims.

use remora_smol::cloud::Cloud;
use remora_smol::config::{Identity, ManagedEndpoint};
use remora_smol::{Claims, Failure, exchange_once};

use super::context::{Checked, Context};
use super::network::span;
use super::outcome::{Finding, Outcome};
use super::route::Goal;
use crate::config::identity::audience as requested;
use crate::pages;

/// Microsoft's list of Entra's error numbers.
const REFERENCE: &str = "https://learn.microsoft.com/entra/identity-platform/reference-error-codes";

/// TOK-10.
pub(super) fn exchange(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    if let Some(page) = cx.routes.iter().find(|route| route.goal == Goal::Authority).and_then(|route| route.blocked) {
        return Err(Outcome::Needs(page));
    }
    let config = cx.config()?;
    let exchanged = exchange_once(&config.identity, cx.trust()?, config.proxy.as_ref());
    let granted = exchanged.map_err(|failure| Outcome::Fail(refused(&config.identity, &failure)))?;
    let (object, tenant) = (granted.claims.object_id.clone(), granted.claims.tenant_id.clone());
    let named = [("object", &object), ("tenant", &tenant)];
    let named: String = named.iter().filter_map(|(word, id)| Some(format!(", {word} {}", id.as_ref()?))).collect();
    let note = format!("for {}{named}", span(granted.lifetime));
    cx.pod.learn("object-id", object);
    cx.granted = Some(granted);
    Ok(note)
}

/// The finding for a failed exchange. It always shows Entra's own message, and IDs and time for a support ticket.
fn refused(identity: &Identity, failure: &Failure) -> Finding {
    let ids = [
        ("trace", &failure.ticket.trace_id),
        ("correlation", &failure.ticket.correlation_id),
        ("time", &failure.ticket.timestamp),
    ];
    let ids: Vec<_> = ids.iter().filter_map(|(word, id)| Some(format!("{word} {}", id.as_ref()?))).collect();
    let ids = if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) };
    let mut finding = Finding::new(format!("{}{ids}", failure.message));
    finding.why = failure.hint.map(|hint| hint.cause.to_owned());
    finding.more = failure.hint.map(|hint| hint.word);
    let known = failure.hint.map(|hint| hint.steps(&failure.sent));
    finding.repair = known.or_else(|| Some(unknown(identity, failure)));
    finding
}

/// What to do about a failure without a hint: where it is explained, who gave no token and what it was asked with. It
/// never guesses at the cause (Microsoft's error reference: numbers may change).
fn unknown(identity: &Identity, failure: &Failure) -> String {
    let who = failure.sent.authority.as_deref().unwrap_or("the endpoint");
    let asked = match identity {
        Identity::Workload(workload) if workload.proxy.is_some() => format!(
            "AZURE_KUBERNETES_TOKEN_PROXY ({who}) gave no token; compare its message with AZURE_CLIENT_ID, AZURE_TENANT_ID and the identity binding\n\
             az aks identity-binding list -g <group> --cluster-name <cluster>"
        ),
        Identity::Workload(_) => format!(
            "Entra ({who}) gave no token; compare its message with AZURE_CLIENT_ID, AZURE_TENANT_ID and the service account's token"
        ),
        Identity::Application(_) => format!(
            "Entra ({who}) gave no token; compare its message with AZURE_CLIENT_ID, AZURE_TENANT_ID and the secret or certificate"
        ),
        Identity::Managed(managed) => match managed.endpoint {
            ManagedEndpoint::Imds(_) => format!(
                "the instance metadata service ({who}) gave no token; compare its message with IDENTITY_TYPE, CLOUD, INGESTION_AAD_AUDIENCE and the machine's identities\n\
                 az vmss identity show -g <node-group> -n <scale-set>"
            ),
            ManagedEndpoint::Arc(_) => format!(
                "the Azure Arc agent ({who}) gave no token; compare its message with CLOUD, INGESTION_AAD_AUDIENCE and the agent's state\n\
                 azcmagent show"
            ),
            ManagedEndpoint::AppService(..) => format!(
                "the platform's IDENTITY_ENDPOINT ({who}) gave no token; compare its message with IDENTITY_TYPE, CLOUD, INGESTION_AAD_AUDIENCE and the app's identities\n\
                 az webapp identity show -g <group> -n <app>"
            ),
        },
    };
    match (&failure.ticket.error_uri, failure.code) {
        (Some(uri), _) => format!("see what Entra says about this at {uri}\n{asked}"),
        (None, Some(code)) => format!("look for AADSTS{code} in {REFERENCE}\n{asked}"),
        (None, None) => asked,
    }
}

/// TOK-11. An access token is opaque to its bearer by contract, so one that cannot be decoded is not a failure.
pub(super) fn for_azure_monitor(cx: &mut Context<'_>) -> Checked {
    let wanted = requested(&cx.config()?.identity);
    let granted = cx.granted.as_ref().ok_or(Outcome::Needs(&pages::TOK_10))?;
    let Some(audience) = &granted.claims.audience else { return Ok("the token cannot be read".to_owned()) };
    let cloud = cx.loaded.as_ref().map_or(Cloud::Custom, |loaded| loaded.cloud);
    judge(cloud, audience, wanted).map(|audience| format!("{audience}{}", roles(&granted.claims)))
}

/// A custom cloud's Azure Monitor may have any name. An audience that is not a URL may be the ID of any resource.
fn judge(cloud: Cloud, audience: &str, wanted: &str) -> Checked {
    let is_known = cloud == Cloud::Custom || Cloud::of_audience(audience).is_some();
    if !is_known && audience.contains("://") {
        return Err(Outcome::Fail(Finding::new(format!("it is for {audience}, which is not Azure Monitor"))));
    }
    if is_known && audience.trim_end_matches('/') == wanted.trim_end_matches('/') {
        return Ok(audience.to_owned());
    }
    Err(Outcome::Warn(Finding::new(format!("it is for {audience}, but {wanted} was requested"))))
}

/// The application roles in a token. Azure Monitor goes by role assignments; roles in the token are only shown.
fn roles(claims: &Claims) -> String {
    if claims.roles.is_empty() { String::new() } else { format!(", roles {}", claims.roles.join(", ")) }
}

#[cfg(test)]
mod tests {
    use remora_smol::Secret;
    use remora_smol::config::{
        Application, ApplicationCredential, Authorities, Client, ManagedIdentity, SecretSource, Selection, TokenProxy,
        WorkloadIdentity,
    };
    use remora_smol::endpoint::{Endpoint, LocalEndpoint};

    use super::*;

    /// Each kind of identity, and how it names who is asked for its token.
    fn identities() -> [(Identity, &'static str); 6] {
        let client = || Client {
            client_id: "3913510d-42f4-4e42-8a64-420c390055eb".to_owned(),
            tenant_id: "72f988bf-86f1-41af-91ab-2d7cd011db47".to_owned(),
            authority: Endpoint::parse("https://login.microsoftonline.com/").unwrap(),
            scope: "https://monitor.azure.com/.default".to_owned(),
        };
        let endpoint = Endpoint::parse("https://10.0.0.1/").unwrap();
        let proxy = TokenProxy { endpoint, server_name: None, authorities: Authorities::Common };
        let workload =
            |proxy| Identity::Workload(WorkloadIdentity { client: client(), token_file: "/nowhere".into(), proxy });
        let url = || LocalEndpoint::parse("http://127.0.0.1:1/").unwrap();
        let managed = |endpoint| {
            let resource = "https://monitor.azure.com".to_owned();
            Identity::Managed(ManagedIdentity { endpoint, selection: Selection::System, resource })
        };
        let secret = || Secret::new("hush".to_owned());
        let credential = ApplicationCredential::Secret(SecretSource::Value(secret()));
        [
            (workload(None), "the service account's token"),
            (workload(Some(proxy)), "AZURE_KUBERNETES_TOKEN_PROXY"),
            (Identity::Application(Application { client: client(), credential }), "the secret or certificate"),
            (managed(ManagedEndpoint::Imds(url())), "the instance metadata service"),
            (managed(ManagedEndpoint::Arc(url())), "the Azure Arc agent"),
            (managed(ManagedEndpoint::AppService(url(), secret())), "IDENTITY_ENDPOINT"),
        ]
    }

    #[test]
    fn a_failure_that_is_not_known_is_no_reason_to_change_a_credential() {
        for (identity, who) in identities() {
            let repair = refused(&identity, &Failure::default()).repair.expect("a repair");
            assert!(repair.contains(who), "{repair}");
            assert!(!repair.contains("federated-credential") && !repair.contains(" create "), "{repair}");
            for command in repair.lines().skip(1) {
                assert!(pages::is_command(command), "{command}");
            }
        }
    }

    #[test]
    fn a_number_that_is_not_known_is_explained_by_entra() {
        let (identity, _) = &identities()[0];
        let page = "https://login.microsoftonline.com/error?code=900144";
        let mut failure = Failure::default();
        failure.code = Some(900_144);
        failure.ticket.error_uri = Some(page.into());
        failure.ticket.timestamp = Some("2026-01-18 00:16:59Z".into());
        let finding = refused(identity, &failure);
        assert!(finding.seen.contains("(time 2026-01-18 00:16:59Z)"), "{}", finding.seen);
        assert!(finding.repair.expect("a repair").starts_with(&format!("see what Entra says about this at {page}\n")));
        failure.ticket.error_uri = None;
        let repair = refused(identity, &failure).repair.expect("a repair");
        assert!(repair.starts_with(&format!("look for AADSTS900144 in {REFERENCE}\n")), "{repair}");
    }

    #[test]
    fn a_token_is_for_azure_monitor_or_for_what_a_custom_cloud_calls_it() {
        const MONITOR: &str = "https://monitor.azure.com";
        for (cloud, audience, wanted) in [
            (Cloud::Public, MONITOR, MONITOR),
            (Cloud::Public, "https://monitor.azure.com//", MONITOR),
            (Cloud::Government, "https://monitor.azure.us", "https://monitor.azure.us/"),
            (Cloud::Custom, "https://monitor.example", "https://monitor.example"),
        ] {
            assert_eq!(judge(cloud, audience, wanted).unwrap(), audience);
        }
        for audience in ["https://management.azure.com", "https://prometheus.monitor.azure.com"] {
            let Err(Outcome::Fail(finding)) = judge(Cloud::Public, audience, audience) else { panic!("{audience}") };
            assert_eq!(finding.seen, format!("it is for {audience}, which is not Azure Monitor"));
        }
        for (cloud, audience) in [
            (Cloud::Public, "https://monitor.azure.us"),
            (Cloud::Public, "3913510d-42f4-4e42-8a64-420c390055eb"),
            (Cloud::Custom, "https://management.azure.com"),
        ] {
            assert!(matches!(judge(cloud, audience, MONITOR), Err(Outcome::Warn(_))), "{audience}");
        }
    }
}
