//! The token exchange itself, made once in the same way as the sidecar makes it, and the access token's claims.

use remora_smol::config::Identity;
use remora_smol::{Failure, Granted, exchange_once};

use super::claims::Claims;
use super::context::{Checked, Context};
use super::network::span;
use super::outcome::{Finding, Outcome};
use super::route::Goal;
use crate::config::cloud::Cloud;
use crate::pages;

/// TOK-10.
pub(super) fn exchange(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    for page in [&pages::TOK_02, &pages::TOK_06, &pages::TOK_05, &pages::NET_04] {
        cx.needs(page)?;
    }
    if let Some(page) = cx.routes.iter().find(|route| route.goal == Goal::Authority).and_then(|route| route.blocked) {
        return Err(Outcome::Needs(page));
    }
    let config = cx.config()?;
    let exchanged = exchange_once(&config.identity, cx.trust()?, config.proxy.as_ref());
    let granted = exchanged.map_err(|failure| Outcome::Fail(refused(&failure)))?;
    let (object, tenant) = (granted.claims.object_id.clone(), granted.claims.tenant_id.clone());
    let named = [("object", &object), ("tenant", &tenant)];
    let named: String = named.iter().filter_map(|(word, id)| Some(format!(", {word} {}", id.as_ref()?))).collect();
    let note = format!("for {}{named}", span(granted.lifetime));
    cx.pod.learn("object-id", object);
    cx.granted = Some(granted);
    Ok(note)
}

/// The finding for a failed exchange. It always shows Entra's own message and the IDs for a support ticket.
fn refused(failure: &Failure) -> Finding {
    let ids = [("trace", &failure.trace_id), ("correlation", &failure.correlation_id)];
    let ids: Vec<_> = ids.iter().filter_map(|(word, id)| Some(format!("{word} {}", id.as_ref()?))).collect();
    let ids = if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) };
    let mut finding = Finding::new(format!("{}{ids}", failure.message));
    finding.why = failure.hint.map(|hint| hint.cause.to_owned());
    finding.more = failure.hint.map(|hint| hint.word);
    finding.repair = failure.hint.map(|hint| hint.steps(&failure.sent));
    finding
}

/// TOK-11. An access token is opaque to its bearer by contract, so one that cannot be decoded is not a failure.
pub(super) fn for_azure_monitor(cx: &mut Context<'_>) -> Checked {
    cx.config()?;
    cx.needs(&pages::TOK_10)?;
    let wanted = wanted(&cx.config()?.identity);
    let granted = cx.granted.as_ref().ok_or(Outcome::Needs(&pages::TOK_10))?;
    let Some(audience) = &granted.claims.audience else { return Ok("the token cannot be read".to_owned()) };
    let cloud = cx.loaded.as_ref().map_or(Cloud::Custom, |loaded| loaded.cloud);
    judge(cloud, audience, wanted).map(|audience| format!("{audience}{}", roles(granted)))
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

/// The requested audience, without `/.default`.
fn wanted(identity: &Identity) -> &str {
    match identity {
        Identity::Managed(managed) => &managed.resource,
        other => {
            let scope = other.client().map_or("", |client| client.scope.as_str());
            scope.strip_suffix("/.default").unwrap_or(scope)
        }
    }
}

/// The application roles in a token. Azure Monitor goes by role assignments; roles in the token are only shown.
fn roles(granted: &Granted) -> String {
    let bearer = std::str::from_utf8(granted.authorization()).ok().and_then(|text| text.strip_prefix("Bearer "));
    let claims = bearer.and_then(|token| Claims::read(token).ok());
    let roles = claims.map(|claims| claims.texts("roles").join(", ")).unwrap_or_default();
    if roles.is_empty() { roles } else { format!(", roles {roles}") }
}

#[cfg(test)]
mod tests {
    use super::*;

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
