//! What the workload identity webhook set in the environment.

use super::configuration::faultless;
use super::context::{Checked, Context};
use super::outcome::{Finding, Outcome};
use crate::config::cloud::Cloud;
use crate::config::one_cloud;
use crate::pages::{self, Page};

/// ENV-01.
pub(super) fn webhook(cx: &mut Context<'_>) -> Checked {
    examined(cx, &pages::ENV_01)?;
    match cx.workload() {
        Err(left @ Outcome::Left(_)) => Err(left),
        _ => Ok(String::new()),
    }
}

/// ENV-02.
pub(super) fn client_id(cx: &mut Context<'_>) -> Checked {
    examined(cx, &pages::ENV_02)?;
    Ok(cx.pod.known("client-id").unwrap_or_default().to_owned())
}

/// ENV-03.
pub(super) fn tenant_id(cx: &mut Context<'_>) -> Checked {
    examined(cx, &pages::ENV_03)?;
    Ok(cx.pod.known("tenant-id").unwrap_or_default().to_owned())
}

/// Fails with the faults of `page`, unless an earlier fault hides them: without the webhook its variables are missing,
/// and with an unknown identity type they were not examined.
fn examined(cx: &Context<'_>, page: &'static Page) -> Result<(), Outcome> {
    faultless(cx, page)?;
    let Err(faults) = &cx.loaded else { return Ok(()) };
    let hides = |fault: &&crate::config::Fault| fault.page() == &pages::ENV_01 || fault.name == "IDENTITY_TYPE";
    faults.faults.iter().find(hides).map_or(Ok(()), |fault| Err(Outcome::Needs(fault.page())))
}

/// ENV-04.
pub(super) fn one_cloud(cx: &mut Context<'_>) -> Checked {
    if let Ok(loaded) = &cx.loaded
        && let Some(other) = one_cloud::refusing(loaded.cloud, &loaded.config)
    {
        let (own, host, name) = (loaded.cloud.name(), loaded.config.ingestion.host(), other.name());
        let seen = format!("CLOUD is {own}, but {host} belongs to {name}");
        let repair = format!("set CLOUD={name}\n{}", pages::ENV_04.commands());
        return Err(Outcome::Fail(Finding::new(seen).repaired(repair)));
    }
    faultless(cx, &pages::ENV_04)?;
    let of_workspace = Cloud::of_ingestion(cx.config()?.ingestion.host());
    let own = cx.loaded.as_ref().map_or(Cloud::Custom, |loaded| loaded.cloud);
    Ok(of_workspace.unwrap_or(own).name().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::Options;

    #[test]
    fn a_workspace_in_another_cloud_has_one_fix() {
        let variables = [
            ("IDENTITY_TYPE", "systemAssigned"),
            (
                "INGESTION_URL",
                "https://x-1.eastus-1.metrics.ingest.monitor.azure.us/dataCollectionRules/d/x?api-version=1",
            ),
        ];
        let source: BTreeMap<&str, String> = variables.map(|(name, value)| (name, value.to_owned())).into();
        let options = Options::default();
        let Err(Outcome::Fail(finding)) = one_cloud(&mut Context::new(&options, &source)) else { panic!("no failure") };
        let repair = finding.repair.unwrap_or_default();
        assert!(repair.starts_with("set CLOUD=AZUREGOVERNMENT\nkubectl "), "{repair}");
    }
}
