//! What the workload identity webhook set in the environment.

use remora_smol::cloud::Cloud;

use super::configuration::faultless;
use super::context::{Checked, Context};
use super::outcome::{Finding, Outcome};
use crate::config::{Kind, one_cloud};
use crate::pages::{self, Page};

/// Why an ID is not examined.
const UNUSED: Outcome = Outcome::Left("not used by this IDENTITY_TYPE");

/// ENV-01.
pub(super) fn webhook(cx: &mut Context<'_>) -> Checked {
    cx.of_workload()?;
    examined(cx, &pages::ENV_01)?;
    Ok(String::new())
}

/// ENV-02.
pub(super) fn client_id(cx: &mut Context<'_>) -> Checked {
    examined(cx, &pages::ENV_02)?;
    if cx.kind == Some(Kind::SystemAssigned) {
        return Err(UNUSED);
    }
    let id = cx.pod.known("client-id").ok_or(Outcome::Left("another ID names the identity"))?;
    Ok(id.to_owned())
}

/// ENV-03.
pub(super) fn tenant_id(cx: &mut Context<'_>) -> Checked {
    examined(cx, &pages::ENV_03)?;
    if matches!(cx.kind, Some(Kind::SystemAssigned | Kind::UserAssigned)) {
        return Err(UNUSED);
    }
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
        return Err(Outcome::Fail(Finding::new(seen).repaired(repair).fixed()));
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
    use crate::check::{Options, Reach, steps};

    /// A variable and its value.
    type Set<'s> = (&'s str, &'s str);

    const INGESTION: Set<'static> = (
        "INGESTION_URL",
        "https://x-1.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/d/x?api-version=1",
    );
    const CLIENT: Set<'static> = ("AZURE_CLIENT_ID", "3913510d-42f4-4e42-8a64-420c390055eb");
    const TENANT: Set<'static> = ("AZURE_TENANT_ID", "72f988bf-86f1-41af-91ab-2d7cd011db47");

    /// What `--pre` says about each page in a container with these settings.
    fn said(settings: &[Set<'_>]) -> BTreeMap<&'static str, String> {
        let source: BTreeMap<_, _> = settings.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let options = Options { reach: Reach::Offline, ..Options::default() };
        let mut cx = Context::new(&options, &source);
        steps::run(&mut cx);
        let word = |outcome: &Outcome| match outcome {
            Outcome::Ok(_) => "ok".to_owned(),
            Outcome::Warn(_) => "warn".to_owned(),
            Outcome::Fail(_) => "fail".to_owned(),
            Outcome::Needs(page) => format!("needs {}", page.code),
            Outcome::Left(why) => (*why).to_owned(),
        };
        cx.done.iter().map(|done| (done.step.code, word(&done.outcome))).collect()
    }

    #[test]
    fn only_what_an_identity_uses_is_called_good_whatever_else_is_wrong() {
        const TOKEN: [&str; 6] = ["TOK-01", "TOK-02", "TOK-03", "TOK-04", "TOK-05", "TOK-06"];
        const OTHER: &str = "only with IDENTITY_TYPE=workloadIdentity";
        const UNUSED: &str = "not used by this IDENTITY_TYPE";
        let file = ("AZURE_FEDERATED_TOKEN_FILE", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        let object = ("AZURE_MANAGED_IDENTITY_OBJECT_ID", CLIENT.1);
        let secret = ("AZURE_CLIENT_SECRET", "hush");
        // Identity, its settings, what is said about ENV-01 to ENV-03.
        let identities: [(&str, &[Set<'_>], [&str; 3]); 5] = [
            ("workloadIdentity", &[CLIENT, TENANT, file], ["ok", "ok", "ok"]),
            ("userAssigned", &[CLIENT], [OTHER, "ok", UNUSED]),
            ("userAssigned", &[object], [OTHER, "another ID names the identity", UNUSED]),
            ("systemAssigned", &[("AZURE_TENANT_ID", "common")], [OTHER, UNUSED, UNUSED]),
            ("aadApplication", &[CLIENT, TENANT, secret], [OTHER, "ok", "ok"]),
        ];
        for (kind, settings, environment) in identities {
            let own = [settings, &[("IDENTITY_TYPE", kind)]].concat();
            for (more, fault) in [
                (&[INGESTION][..], None),
                (&[], Some("CFG-01")),
                (&[INGESTION, ("BODY_MEMORY", "lots")], Some("CFG-06")),
                (&[INGESTION, ("LISTENING_PORT", "0")], Some("CFG-04")),
            ] {
                let said = said(&[&own, more].concat());
                let of_environment = ["ENV-01", "ENV-02", "ENV-03"].map(|code| said[code].as_str());
                assert_eq!(of_environment, environment, "{kind} {fault:?}");
                assert!(fault.is_none_or(|code| said[code] == "fail"), "{said:?}");
                for code in TOKEN.iter().filter(|_| kind != "workloadIdentity") {
                    assert_eq!(said[code], OTHER, "{code} with {kind} and {fault:?}");
                }
            }
        }
    }

    #[test]
    fn an_identity_that_is_not_known_has_nothing_that_is_good() {
        let said = said(&[("IDENTITY_TYPE", "podIdentity"), INGESTION, CLIENT, TENANT]);
        for code in ["ENV-01", "ENV-02", "ENV-03", "CFG-09", "TOK-01"] {
            assert_eq!(said[code], "needs CFG-05", "{code}");
        }
        assert_eq!(self::said(&[("IDENTITY_TYPE", "userAssigned"), INGESTION])["ENV-02"], "fail");
    }

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
