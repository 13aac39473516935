//! Authority, audience and ingestion endpoint of each cloud.

use super::*;

const IN_CHINA: &str =
    "https://a.chinaeast2-1.metrics.ingest.monitor.azure.cn/dataCollectionRules/d/x?api-version=2023-04-24";

#[test]
fn a_cloud_brings_its_authority_and_scope() {
    for (cloud, authority, scope) in [
        ("AZURE_GOVERNMENT", "login.microsoftonline.us", "https://monitor.azure.us/.default"),
        ("AzureChina", "login.partner.microsoftonline.cn", "https://monitor.azure.cn/.default"),
    ] {
        let loaded = loaded(&[("CLOUD", cloud), ("AZURE_AUTHORITY_HOST", "")]);
        assert_eq!(
            (workload(&loaded).client.authority.host(), workload(&loaded).client.scope.as_str()),
            (authority, scope)
        );
    }
}

#[test]
fn the_webhooks_authority_wins_over_the_clouds() {
    let loaded = loaded(&[
        ("CLOUD", "AZURECHINA"),
        ("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn/"),
        ("INGESTION_URL", IN_CHINA),
    ]);
    assert_eq!(workload(&loaded).client.authority.host(), "login.chinacloudapi.cn");
    assert!(!warned(&loaded, "CLOUD"));
}

#[test]
fn an_authority_of_another_cloud_is_warned_of() {
    assert!(warned(&loaded(&[("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/")]), "CLOUD"));
    assert!(!warned(&loaded(&[("AZURE_AUTHORITY_HOST", "https://localhost:8443/")]), "CLOUD"));
}

#[test]
fn an_authority_that_does_not_fit_the_workspace_is_what_has_to_change() {
    let government = ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.us/");
    let texts = |changes: &[(&'static str, &str)]| {
        let warnings = loaded(changes).warnings.into_iter().filter(|warning| warning.page.code == "ENV-04");
        warnings.map(|warning| warning.text).collect::<Vec<_>>().join("\n")
    };
    let public = texts(&[government]);
    assert!(public.ends_with("set AZURE_AUTHORITY_HOST=https://login.microsoftonline.com"), "{public}");
    let china = texts(&[("CLOUD", "AZURECHINA"), ("INGESTION_URL", IN_CHINA)]);
    assert!(china.ends_with("set AZURE_AUTHORITY_HOST=https://login.partner.microsoftonline.cn"), "{china}");
    let all = texts(&[government, ("INGESTION_URL", IN_CHINA)]);
    assert!(all.contains("set CLOUD=AZURECHINA\n") && !all.contains("CLOUD=AZUREGOVERNMENT"), "{all}");
    let gateway = ("INGESTION_URL", "https://gateway.monitoring.svc/dataCollectionRules/d/x?api-version=2023-04-24");
    let unknown = texts(&[government, gateway]);
    assert!(unknown.ends_with("set CLOUD=AZUREGOVERNMENT"), "{unknown}");
}

#[test]
fn an_ingestion_host_of_another_cloud_is_warned_of() {
    assert!(warned(&loaded(&[("INGESTION_URL", IN_CHINA)]), "CLOUD"));
}

#[test]
fn a_custom_cloud_says_who_it_is() {
    let audience = ("INGESTION_AAD_AUDIENCE", "https://monitor.example");
    let custom = ("CLOUD", "AZURECUSTOM");
    let both = loaded(&[custom, audience, ("AAD_HOST_ENDPOINT", "https://login.example/")]);
    assert_eq!(workload(&both).client.authority.host(), "login.example");
    assert_eq!(workload(&both).client.scope, "https://monitor.example/.default");
    let injected = loaded(&[custom, audience]);
    assert_eq!(workload(&injected).client.authority.host(), "login.microsoftonline.com");
    let names: Vec<_> = faults(&[custom, ("AZURE_AUTHORITY_HOST", "")]).into_iter().map(|fault| fault.name).collect();
    assert_eq!(names, ["AAD_HOST_ENDPOINT", "INGESTION_AAD_AUDIENCE"]);
    for name in ["AAD_HOST_ENDPOINT", "AZURE_AUTHORITY_HOST"] {
        let faults = faults(&[custom, audience, (name, "http://login.example/")]);
        assert_eq!(faults.into_iter().map(|fault| fault.name).collect::<Vec<_>>(), [name]);
    }
}

#[test]
fn an_audience_of_another_cloud_is_warned_of() {
    let name = "INGESTION_AAD_AUDIENCE";
    let audience = (name, "https://monitor.azure.com/.default");
    let gateway = ("INGESTION_URL", "https://gateway.example/dataCollectionRules/d/x?api-version=2023-04-24");
    assert!(warned(&loaded(&[("CLOUD", "AZUREGOVERNMENT"), audience, gateway]), name));
    assert!(warned(&loaded(&[(name, "https://monitor.azure.us//.default")]), name));
    assert!(!warned(&loaded(&[audience]), name));
    assert!(!warned(&loaded(&[("CLOUD", "AZURECUSTOM"), audience]), name));
    let unknown = (name, "https://monitor.example");
    assert!(!warned(&loaded(&[("CLOUD", "AZUREGOVERNMENT"), unknown, gateway]), name));
    assert!(!warned(&loaded(&[("CLOUD", "AZURECUSTOM"), unknown]), name));
}

#[test]
fn an_audience_that_ingestion_does_not_accept_is_warned_of() {
    let name = "INGESTION_AAD_AUDIENCE";
    for wrong in ["https://prometheus.monitor.azure.com", "https://management.azure.com/.default", "monitor.azure.com"]
    {
        let loaded = loaded(&[(name, wrong)]);
        let text = loaded.warnings.into_iter().find(|warning| warning.name == name).map(|warning| warning.text);
        assert!(text.is_some_and(|text| text.contains("for https://monitor.azure.com; unset it")), "{wrong}");
    }
    let machine = ("IDENTITY_TYPE", "userAssigned");
    assert!(warned(&loaded(&[machine, (name, "https://prometheus.monitor.azure.com/.default")]), name));
}

#[test]
fn what_belongs_to_one_cloud_is_right_whatever_cloud_says() {
    let audience = ("INGESTION_AAD_AUDIENCE", "https://monitor.azure.cn");
    let authority = ("AZURE_AUTHORITY_HOST", "https://login.chinacloudapi.cn/");
    let ingestion = ("INGESTION_URL", IN_CHINA);
    let machine = ("IDENTITY_TYPE", "userAssigned");
    let clouds = |changes: &[(&'static str, &str)]| {
        let loaded = loaded(changes);
        let named = loaded.warnings.iter().filter(|warning| ["CFG-05", "ENV-04"].contains(&warning.page.code));
        (named.count(), one_cloud::refusing(loaded.cloud, &loaded.config))
    };
    assert_eq!(clouds(&[machine, ingestion, audience]), (0, None));
    assert_eq!(clouds(&[authority, ingestion, audience]), (0, None));
    // A token of the public cloud's authority for another cloud: doubtful, but not refused for its audience.
    assert_eq!(clouds(&[ingestion, audience]), (1, None));
    assert_eq!(clouds(&[machine, ingestion]), (1, Some(Cloud::China)));
    let public = ("INGESTION_AAD_AUDIENCE", "https://monitor.azure.com");
    assert_eq!(clouds(&[("CLOUD", "AZURECHINA"), machine, ingestion, public]), (1, None));
}

#[test]
fn hosts_of_a_cloud_without_a_name_do_not_get_the_public_audience_in_silence() {
    let authority = ("AZURE_AUTHORITY_HOST", "https://login.sovcloud-identity.fr/");
    let ingestion = ("INGESTION_URL", "https://x.sovcloud-api.fr/dataCollectionRules/d/x?api-version=2023-04-24");
    let text = |changes: &[(&'static str, &str)]| {
        let loaded = loaded(changes);
        let warning = loaded.warnings.into_iter().find(|warning| warning.page.code == "ENV-04");
        warning.map(|warning| warning.text).unwrap_or_default()
    };
    let both = text(&[authority, ingestion]);
    assert!(both.contains("login.sovcloud-identity.fr and x.sovcloud-api.fr"), "{both}");
    assert!(both.contains("requested for https://monitor.azure.com;") && both.contains("CLOUD=AZURECUSTOM"), "{both}");
    let machine = ("IDENTITY_TYPE", "userAssigned");
    assert!(text(&[ingestion, machine, authority]).contains("not include x.sovcloud-api.fr,"));
    let audience = ("INGESTION_AAD_AUDIENCE", "https://monitor.sovcloud-api.fr");
    assert!(!text(&[authority, ingestion, audience]).is_empty());
    assert_eq!(text(&[authority, ingestion, audience, ("CLOUD", "AZURECUSTOM")]), "");
    // A gateway in front of Azure Monitor: its audience was chosen, or its name is private.
    let public = ("INGESTION_AAD_AUDIENCE", "https://monitor.azure.com/");
    let gateway = |host| format!("https://{host}/dataCollectionRules/d/x?api-version=2023-04-24");
    assert!(!text(&[("INGESTION_URL", &gateway("gateway.contoso.com"))]).is_empty());
    assert_eq!(text(&[("INGESTION_URL", &gateway("gateway.contoso.com")), public]), "");
    assert_eq!(text(&[("INGESTION_URL", &gateway("gateway.monitoring.svc"))]), "");
    assert_eq!(text(&[("INGESTION_URL", &gateway("10.1.2.3"))]), "");
}
