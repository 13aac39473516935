//! Whether the container's settings are complete and correct. The configuration is loaded exactly as the sidecar loads
//! it; its faults and warnings are grouped by page here, and settings that only Azure would refuse are checked as well.

use std::path::PathBuf;

use remora_smol::Trust;
use remora_smol::config::{Identity, Selection, TrustSource};

use super::context::{Checked, Context};
use super::outcome::{Finding, Outcome};
use crate::config::fault::masked;
use crate::config::identity::audience;
use crate::config::ingestion::{is_azures, name_in_place_of_id, other_path, rule};
use crate::config::settings::INGESTION_URL;
use crate::config::{Faults, Loaded};
use crate::pages::{self, Page, is_command};

/// Documented versions of the ingestion API.
const API_VERSIONS: [&str; 2] = ["2023-04-24", "2021-11-01-preview"];

/// Why an ID that no webhook sets matters.
const BY_HAND: &str = "It identifies the process to Entra, and for this IDENTITY_TYPE it is set by hand.";
/// What to do about an ID that is another's.
const OWN_ID: &str = "set AZURE_CLIENT_ID to the client ID of the managed identity or application\n\
    az identity show -g <group> -n <identity> --query clientId -o tsv\n\
    az ad app list --display-name <name> --query '[].appId' -o tsv";
/// Why an ID that the identity does not use is suspicious, and what to do about it.
const UNUSED: [&str; 2] =
    ["The identity in use may not be the intended one.", "unset the variable, or set the IDENTITY_TYPE that uses it"];

/// Fails with the faults or warnings of `page`, if there are any.
pub(super) fn faultless(cx: &Context<'_>, page: &'static Page) -> Result<(), Outcome> {
    let by_hand = is_by_hand(page, cx.is_workload);
    match &cx.loaded {
        Ok(loaded) => warning(loaded, page, by_hand).map_or(Ok(()), |finding| Err(Outcome::Warn(finding))),
        Err(faults) => fault(faults, page, by_hand).map_or(Ok(()), |finding| Err(Outcome::Fail(finding))),
    }
}

fn warning(loaded: &Loaded, page: &'static Page, by_hand: bool) -> Option<Finding> {
    let seen = loaded.warnings.iter().filter(|warning| warning.page == page);
    let seen: Vec<_> = seen.map(|warning| format!("{} {}", warning.name, warning.text)).collect();
    let finding = (!seen.is_empty()).then(|| Finding::new(seen.join("; ")))?;
    Some(match by_hand {
        false => finding,
        true if is_unused(loaded) => finding.because(UNUSED[0]).repaired(UNUSED[1]),
        true => finding.because(BY_HAND).repaired(OWN_ID),
    })
}

/// Whether the identity is one that has no ID of its own in the settings.
fn is_unused(loaded: &Loaded) -> bool {
    matches!(&loaded.config.identity, Identity::Managed(identity) if identity.selection == Selection::System)
}

fn fault(faults: &Faults, page: &'static Page, by_hand: bool) -> Option<Finding> {
    let own: Vec<_> = faults.faults.iter().filter(|fault| fault.page() == page).collect();
    if own.is_empty() {
        return None;
    }
    let seen: Vec<_> = own.iter().map(|fault| fault.seen()).collect();
    let is_fixed = own.iter().any(|fault| !fault.reject.of_file);
    let found = Finding { is_fixed, ..Finding::new(seen.join("; ")) };
    let mut repair: Vec<&str> = own.iter().flat_map(|fault| fault.reject.fix.lines()).collect();
    if by_hand {
        return Some(found.repaired(repair.join("\n")).because(BY_HAND));
    }
    let commands: Vec<_> = page.repair.lines().filter(|line| is_command(line) && !repair.contains(line)).collect();
    repair.extend(commands);
    Some(found.repaired(repair.join("\n")))
}

/// Whether the page's setting is set by hand. The page describes the webhook, which sets it for workload identities.
fn is_by_hand(page: &'static Page, is_workload: bool) -> bool {
    !is_workload && [&pages::ENV_02, &pages::ENV_03].contains(&page)
}

/// CFG-01.
pub(super) fn ingestion_url(cx: &mut Context<'_>) -> Checked {
    let unset =
        |faults: &Faults| faults.faults.iter().any(|fault| fault.name == INGESTION_URL.name && fault.value.is_none());
    let is_unset = cx.loaded.as_ref().is_err_and(unset);
    faultless(cx, &pages::CFG_01).map_err(|outcome| match outcome {
        Outcome::Fail(finding) if is_unset => Outcome::Fail(finding.with_args(&pages::CFG_01)),
        other => other,
    })?;
    let Ok(endpoint) = cx.config().map(|config| config.ingestion.clone()) else { return Ok(String::new()) };
    cx.pod.learn("ingestion-host", Some(endpoint.authority()));
    let id = rule(&endpoint).filter(|_| name_in_place_of_id(&endpoint).is_none());
    cx.pod.learn("dcr", id.map(str::to_owned));
    Ok(endpoint.authority())
}

/// CFG-02.
pub(super) fn metrics_endpoint(cx: &mut Context<'_>) -> Checked {
    if let Some(seen) = cx.config().ok().and_then(|config| other_path(&config.ingestion)) {
        return Err(Outcome::Fail(Finding::new(seen).fixed()));
    }
    faultless(cx, &pages::CFG_02)?;
    Ok(rule(&cx.config()?.ingestion).unwrap_or_default().to_owned())
}

/// CFG-03. Only Azure itself certainly refuses writes without a version: a gateway may add it.
pub(super) fn api_version(cx: &mut Context<'_>) -> Checked {
    let is_refused = cx.config().is_ok_and(|config| is_azures(&config.ingestion));
    faultless(cx, &pages::CFG_03).map_err(|outcome| match outcome {
        Outcome::Warn(finding) if is_refused => Outcome::Fail(finding.fixed()),
        other => other,
    })?;
    let mut pairs = cx.config()?.ingestion.query().unwrap_or_default().split('&');
    let version = pairs.find_map(|pair| pair.strip_prefix("api-version=")).unwrap_or_default();
    if API_VERSIONS.contains(&version) {
        return Ok(version.to_owned());
    }
    let seen = format!("api-version={version} is not one of the documented versions: {}", API_VERSIONS.join(", "));
    Err(Outcome::Warn(Finding::new(seen)))
}

/// CFG-04.
pub(super) fn listening(cx: &mut Context<'_>) -> Checked {
    faultless(cx, &pages::CFG_04)?;
    let Ok(port) = cx.config().map(|config| config.listen.port) else { return Ok(String::new()) };
    cx.pod.learn("port", Some(port.to_string()));
    Ok(format!("port {port}"))
}

/// CFG-05.
pub(super) fn cloud(cx: &mut Context<'_>) -> Checked {
    faultless(cx, &pages::CFG_05)?;
    Ok(cx.config().map(|config| audience(&config.identity).to_owned()).unwrap_or_default())
}

/// CFG-06.
pub(super) fn rest(cx: &mut Context<'_>) -> Checked {
    faultless(cx, &pages::CFG_06)?;
    Ok(String::new())
}

/// CFG-07.
pub(super) fn authorities(cx: &mut Context<'_>) -> Checked {
    faultless(cx, &pages::CFG_07)?;
    let source = &cx.config()?.trust;
    let trust = Trust::load(source).map_err(|error| Outcome::Fail(Finding::new(error.to_string())))?;
    let dirs = source.dirs().iter().map(PathBuf::as_path);
    let paths = source.file().into_iter().chain(dirs).map(|path| path.display().to_string());
    let note = match source {
        TrustSource::BuiltIn => "the built-in ones".to_owned(),
        _ => paths.collect::<Vec<_>>().join(", "),
    };
    let unusable = trust.unusable;
    cx.trust = Some(trust);
    if unusable > 0 {
        let seen = format!("{unusable} of the certificates in {note} cannot serve as authorities and are ignored");
        return Err(Outcome::Warn(Finding::new(seen)));
    }
    Ok(note)
}

/// CFG-09. With an unknown identity type its settings were not examined.
pub(super) fn credential(cx: &mut Context<'_>) -> Checked {
    faultless(cx, &pages::CFG_09)?;
    cx.kind.ok_or(Outcome::Needs(&pages::CFG_05))?;
    Ok(cx.config().map(|config| config.identity.kind().to_owned()).unwrap_or_default())
}

/// CFG-08.
pub(super) fn proxy(cx: &mut Context<'_>) -> Checked {
    faultless(cx, &pages::CFG_08)?;
    let proxy = cx.config().ok().and_then(|config| config.proxy.as_ref());
    Ok(proxy.map_or_else(|| "no proxy".to_owned(), |proxy| masked(&proxy.url)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::Options;

    /// The finding on `page` with these variables.
    fn found(page: &'static Page, variables: &[(&str, &str)]) -> Finding {
        let source: BTreeMap<String, String> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        match faultless(&Context::new(&Options::default(), &source), page) {
            Err(Outcome::Warn(finding) | Outcome::Fail(finding)) => finding,
            _ => panic!("nothing about {page}"),
        }
    }

    #[test]
    fn what_azure_certainly_refuses_fails_and_what_a_gateway_may_mend_does_not() {
        const AZURE: &str = "https://x-1.eastus-1.metrics.ingest.monitor.azure.com";
        const STREAM: &str = "streams/Microsoft-PrometheusMetrics/api/v1/write";
        let judged = |url: String, check: fn(&mut Context<'_>) -> Checked| {
            let source: BTreeMap<&str, String> =
                [("INGESTION_URL", url), ("IDENTITY_TYPE", "systemAssigned".to_owned())].into();
            match check(&mut Context::new(&Options::default(), &source)) {
                Ok(_) => "ok",
                Err(Outcome::Warn(_)) => "warn",
                Err(Outcome::Fail(finding)) if finding.is_fixed => "fail",
                Err(other) => panic!("{other:?}"),
            }
        };
        for (host, without) in [(AZURE, "fail"), ("https://gateway.example", "warn")] {
            let whole = format!("{host}/dataCollectionRules/dcr-1/{STREAM}");
            assert_eq!(judged(whole.clone(), api_version), without, "{host}");
            assert_eq!(judged(format!("{whole}?api-version=2023-04-24"), api_version), "ok", "{host}");
            assert_eq!(judged(format!("{host}/api/v1/write"), metrics_endpoint), without, "{host}");
            assert_eq!(judged(whole, metrics_endpoint), "ok", "{host}");
        }
        let named = |host: &str| judged(format!("{host}/dataCollectionRules/my-rule/{STREAM}"), metrics_endpoint);
        assert_eq!((named(AZURE), named("https://gateway.example")), ("warn", "ok"));
    }

    #[test]
    fn a_rules_name_is_not_filled_in_where_its_id_belongs() {
        for (rule, filled) in [("my-rule", "<dcr>"), ("dcr-1", "dcr-1")] {
            let url = format!("https://x-1.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/{rule}/x");
            let source: BTreeMap<&str, String> =
                [("INGESTION_URL", url), ("IDENTITY_TYPE", "systemAssigned".to_owned())].into();
            let options = Options::default();
            let mut cx = Context::new(&options, &source);
            assert!(ingestion_url(&mut cx).is_ok());
            assert_eq!(cx.pod.fill("<dcr>", true), filled);
        }
    }

    #[test]
    fn the_webhook_is_spoken_of_with_workload_identity_alone() {
        const INGESTION: (&str, &str) =
            ("INGESTION_URL", "https://x-1.eastus-1.metrics.ingest.monitor.azure.com/x?api-version=2023-04-24");
        let webhook = |finding: &Finding, page: &Page| {
            let why = finding.why.as_deref().unwrap_or(page.why);
            let text = format!("{why} {}", finding.repair.as_deref().unwrap_or(page.repair));
            ["webhook", "annotat", "label", "kubectl delete pod"].iter().any(|word| text.contains(word))
        };
        for (kind, page) in
            [("userAssigned", &pages::ENV_02), ("aadApplication", &pages::ENV_02), ("aadApplication", &pages::ENV_03)]
        {
            let finding = found(page, &[("IDENTITY_TYPE", kind)]);
            assert!(!webhook(&finding, page), "{kind} {page}: {finding:?}");
            assert!(finding.repair.is_some_and(|repair| repair.starts_with("use the ")), "{kind} {page}");
        }
        let client = ("AZURE_CLIENT_ID", "3913510d-42f4-4e42-8a64-420c390055eb");
        let ignored = found(&pages::ENV_02, &[("IDENTITY_TYPE", "systemAssigned"), INGESTION, client]);
        assert!(!webhook(&ignored, &pages::ENV_02), "{ignored:?}");
        assert_eq!(ignored.repair.as_deref(), Some(UNUSED[1]));
        let tenant = ("AZURE_TENANT_ID", client.1);
        let tenants = found(&pages::ENV_02, &[("IDENTITY_TYPE", "userAssigned"), INGESTION, client, tenant]);
        assert!(!webhook(&tenants, &pages::ENV_02) && tenants.repair.as_deref() == Some(OWN_ID), "{tenants:?}");

        let authority = ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/");
        for page in [&pages::ENV_02, &pages::ENV_03] {
            assert!(webhook(&found(page, &[authority]), page), "{page}");
        }
    }
}
