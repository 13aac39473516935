//! The whole configuration, loaded from a map in place of the environment.

mod clouds;
mod identities;
mod limits;

use std::collections::BTreeMap;
use std::time::Duration;

use remora_core::remote_write;
use remora_smol::config::{
    Application, ApplicationCredential, Authorities, Identity, ManagedEndpoint, ManagedIdentity, SecretSource,
    Selection, TrustSource, WorkloadIdentity,
};

use super::settings::{ALL, Preset};
use super::*;

const TOKEN_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
const INGESTION: &str = "https://x-1.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-0/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24";
const CLIENT: &str = "3913510d-42f4-4e42-8a64-420c390055eb";
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// The variables that the webhook and Microsoft's YAML set, with `changes` on top.
fn environment(changes: &[(&'static str, &str)]) -> BTreeMap<&'static str, String> {
    let given = [
        ("INGESTION_URL", INGESTION),
        ("AZURE_CLIENT_ID", CLIENT),
        ("AZURE_TENANT_ID", TENANT),
        ("AZURE_FEDERATED_TOKEN_FILE", TOKEN_FILE),
        ("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/"),
    ];
    given.iter().chain(changes).map(|(name, value)| (*name, (*value).to_owned())).collect()
}

fn loaded(changes: &[(&'static str, &str)]) -> Loaded {
    load(&environment(changes)).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(changes: &[(&'static str, &str)]) -> Vec<Fault> {
    load(&environment(changes)).expect_err("a fault").faults
}

fn workload(loaded: &Loaded) -> &WorkloadIdentity {
    let Identity::Workload(identity) = &loaded.config.identity else { panic!("a workload identity") };
    identity
}

fn warned(loaded: &Loaded, name: &str) -> bool {
    loaded.warnings.iter().any(|warning| warning.name == name)
}

#[test]
fn the_webhooks_environment_and_a_url_are_enough() {
    let loaded = loaded(&[]);
    let config = &loaded.config;
    assert_eq!(config.ingestion.to_string(), INGESTION);
    assert_eq!((config.listen.port, config.listen.admin_port), (8081, None));
    assert_eq!((config.limits.body_memory, config.limits.max_body_bytes), (8 << 20, 4 << 20));
    assert_eq!((config.limits.max_connections, config.limits.max_in_flight, config.limits.threads.get()), (256, 64, 1));
    assert_eq!(config.upstream_timeout, Duration::from_secs(25));
    assert_eq!(config.refusal_hold, Duration::from_secs(1800));
    assert_eq!(config.shutdown_grace, Duration::from_secs(20));
    assert_eq!((config.check, config.pass_rate_limit), (Some(remote_write::Level::Full), false));
    assert_eq!((&config.trust, &config.proxy), (&TrustSource::BuiltIn, &None));
    assert_eq!((loaded.level, loaded.format), (Level::Info, Format::Logfmt));
    assert_eq!(workload(&loaded).client.scope, "https://monitor.azure.com/.default");
    assert_eq!(loaded.warnings, []);
}

#[test]
fn every_preset_value_is_a_good_value() {
    let presets = ALL.iter().filter_map(|setting| match setting.preset {
        Preset::Value(value) => Some((setting.name, value)),
        Preset::Unset(_) => None,
    });
    loaded(&presets.collect::<Vec<_>>());
}

#[test]
fn empty_is_unset_and_space_around_a_value_does_not_count() {
    let loaded = loaded(&[("LISTENING_PORT", ""), ("CHECK", "  "), ("RATE_LIMIT_STATUS", "\u{feff} 429\n")]);
    assert_eq!((loaded.config.listen.port, loaded.config.check), (8081, Some(remote_write::Level::Full)));
    assert!(loaded.config.pass_rate_limit);
}

#[test]
fn one_bad_value_does_not_hide_another() {
    let all = [
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("TRACE_LOGGING", "maybe"),
        ("CLOUD", "moon"),
        ("INGESTION_URL", "http://x/y"),
        ("AZURE_CLIENT_ID", "me"),
        ("AZURE_TENANT_ID", "common"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/nowhere"),
        ("LISTENING_PORT", "0"),
        ("ADMIN_PORT", "x"),
        ("ALLOWED_SOURCES", "x"),
        ("BODY_MEMORY", "8M"),
        ("MAX_BODY_BYTES", "1"),
        ("MAX_CONNECTIONS", "0"),
        ("MAX_IN_FLIGHT", "+5"),
        ("THREADS", "65"),
        ("UPSTREAM_TIMEOUT", "25"),
        ("REFUSAL_HOLD", "2days"),
        ("RATE_LIMIT_STATUS", "500"),
        ("CHECK", "some"),
        ("SHUTDOWN_GRACE", "1h"),
        ("HTTPS_PROXY", "socks5://x:1"),
        ("SSL_CERT_FILE", "/nowhere"),
        ("SSL_CERT_DIR", "/nowhere"),
    ];
    let faults = faults(&all);
    for (name, value) in all {
        let fault = faults.iter().find(|fault| fault.name == name).unwrap_or_else(|| panic!("{name} is not refused"));
        assert_eq!(fault.value.as_deref(), Some(value));
        assert!(!fault.reject.fix.is_empty());
    }
    assert_eq!(faults.len(), all.len());
}

#[test]
fn without_a_trace_of_the_webhook_there_is_one_cause_and_one_fix() {
    let nothing: BTreeMap<&'static str, String> = BTreeMap::new();
    let faults = load(&nothing).expect_err("nothing is set").faults;
    let names: Vec<_> = faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names, ["INGESTION_URL", "AZURE_CLIENT_ID, AZURE_TENANT_ID, AZURE_FEDERATED_TOKEN_FILE"]);
    assert!(faults[1].reject.fix.contains("azure.workload.identity/use: \"true\""));
}

#[test]
fn ids_written_by_hand_are_no_trace_of_the_webhook() {
    let faults = faults(&[("AZURE_FEDERATED_TOKEN_FILE", ""), ("AZURE_AUTHORITY_HOST", "")]);
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].name, "AZURE_FEDERATED_TOKEN_FILE");
    assert!(faults[0].reject.wrong.contains("did not change this pod"));
}

#[test]
fn an_authority_is_a_trace_of_the_webhook() {
    let faults = faults(&[("AZURE_FEDERATED_TOKEN_FILE", "")]);
    assert_eq!((faults.len(), faults[0].name.as_str()), (1, "AZURE_FEDERATED_TOKEN_FILE"));
    assert!(faults[0].reject.wrong.contains("webhook changed this pod"));
}

#[test]
fn behind_the_webhook_a_missing_id_is_a_missing_annotation() {
    for (name, annotation) in [("AZURE_CLIENT_ID", "client-id="), ("AZURE_TENANT_ID", "tenant-id=")] {
        let faults = faults(&[(name, "")]);
        assert_eq!((faults.len(), faults[0].name.as_str()), (1, name));
        assert!(faults[0].reject.wrong.contains("webhook changed this pod"));
        assert!(faults[0].reject.fix.contains(&format!("azure.workload.identity/{annotation}")));
    }
}

#[test]
fn an_authority_is_a_host_alone() {
    let faults = faults(&[("AZURE_AUTHORITY_HOST", "https://login.microsoftonline.com/common")]);
    assert!(faults[0].reject.fix.contains("https://login.microsoftonline.com/ "));
}

#[test]
fn trace_logging_means_debug_unless_a_level_is_given() {
    assert_eq!(loaded(&[("TRACE_LOGGING", "True")]).level, Level::Debug);
    assert_eq!(loaded(&[("TRACE_LOGGING", "true"), ("LOG_LEVEL", "warn")]).level, Level::Warn);
    assert_eq!(loaded(&[("TRACE_LOGGING", "false")]).level, Level::Info);
}

#[test]
fn the_admin_port_is_another_port() {
    assert_eq!(loaded(&[("ADMIN_PORT", "9090")]).config.listen.admin_port, Some(9090));
    assert_eq!(faults(&[("ADMIN_PORT", "8081")])[0].name, "ADMIN_PORT");
    let links = loaded(&[("ADMIN_PORT", "tcp://10.0.0.1:80"), ("LISTENING_PORT", "udp://10.0.0.1:53")]);
    assert_eq!((links.config.listen.port, links.config.listen.admin_port), (8081, None));
    let odd: Vec<_> = links.warnings.iter().map(|warning| warning.name.as_str()).collect();
    assert_eq!(odd, ["LISTENING_PORT", "ADMIN_PORT"]);
}

#[test]
fn odd_but_working_values_are_warned_of() {
    for (name, value) in [
        ("INGESTION_URL", "https://h.example/dataCollectionRules/d/api/v1/write"),
        ("INGESTION_URL", "https://h.example/api/v1/write?api-version=2023-04-24"),
        ("ALLOWED_SOURCES", "0.0.0.0/0"),
        ("HTTPS_PROXY", "https://proxy:3128"),
        ("AAD_HOST_ENDPOINT", "https://login.example"),
    ] {
        assert!(warned(&loaded(&[(name, value)]), name), "{name}={value}");
    }
    // The reader sees the name before it.
    for value in ["https://h.example/dataCollectionRules/d/api/v1/write", "https://h.example/x?api-version=2023-04-24"]
    {
        let warnings = loaded(&[("INGESTION_URL", value)]).warnings;
        assert!(warnings.iter().any(|warning| warning.text.starts_with("has ")), "{warnings:?}");
    }
}

#[test]
fn a_client_id_that_is_the_tenants_is_warned_of() {
    let upper = TENANT.to_ascii_uppercase();
    for client in [TENANT, &upper] {
        let warnings = loaded(&[("AZURE_CLIENT_ID", client)]).warnings;
        assert!(warnings.len() == 1 && warnings[0].text.contains("the same as AZURE_TENANT_ID"), "{warnings:?}");
    }
    let managed = [("IDENTITY_TYPE", "userAssigned"), ("AZURE_CLIENT_ID", TENANT)];
    assert!(warned(&loaded(&managed), "AZURE_CLIENT_ID"));
}

#[test]
fn a_client_secret_in_another_variable_is_named_and_not_shown() {
    let secret = "hUs8Q~hush.hush-hush_hush~hush0hush1hush";
    for name in ["AZURE_CLIENT_ID", "AZURE_TENANT_ID", "INGESTION_AAD_AUDIENCE", "AZURE_FEDERATED_TOKEN_FILE"] {
        let faults = faults(&[(name, secret)]);
        assert_eq!((faults.len(), faults[0].name.as_str()), (1, name));
        assert_eq!(faults[0].reject.wrong, "has the form of a client secret");
        assert!(!format!("{faults:?} {}", faults[0]).contains("hush"), "{}", faults[0]);
    }
    let shown = format!("{:?}", effective::fields(&loaded(&[("CLUSTER", secret)])));
    assert!(shown.contains("a client secret, not shown") && !shown.contains("hush"), "{shown}");
}

#[test]
fn misspelled_names_are_warned_of_without_their_values() {
    let loaded = loaded(&[("BODY_MEMROY", "hush"), ("REMORA_LOG_LEVEL", "hush"), ("CERT_FILE", "hush")]);
    let told: Vec<_> = loaded.warnings.iter().map(|warning| format!("{} {}", warning.name, warning.text)).collect();
    assert_eq!(
        told,
        [
            "BODY_MEMROY is not a setting and is ignored; did you mean BODY_MEMORY?",
            "REMORA_LOG_LEVEL is not a setting and is ignored; did you mean LOG_LEVEL?",
        ]
    );
    assert!(loaded.warnings.iter().all(|warning| warning.page.code == "CFG-06"));
}

#[test]
fn a_missing_setting_is_told_with_the_misspelled_one() {
    for (name, misspelled) in [("INGESTION_URL", "INGESTON_URL"), ("AZURE_CLIENT_ID", "AZURE_CLIENTID")] {
        let fault = faults(&[(name, ""), (misspelled, "hush")]).remove(0);
        assert!(fault.name == name && fault.reject.wrong.starts_with("is not set ("), "{fault}");
        assert!(fault.reject.wrong.contains(&format!("({misspelled} is set)")), "{fault}");
    }
    let without_webhook = [("AZURE_FEDERATED_TOKEN_FILE", ""), ("AZURE_AUTHORITY_HOST", ""), ("AZURE_TENANT_ID", "")];
    let fault = faults(&[without_webhook.as_slice(), &[("AZURE_TENANTID", "hush")]].concat()).remove(0);
    assert!(fault.reject.wrong.starts_with("not set (AZURE_TENANTID is set), and "), "{fault}");
    assert!(!fault.to_string().contains("hush"), "{fault}");
}

#[test]
fn quotes_around_a_value_are_named() {
    for (name, value) in [
        ("AZURE_CLIENT_ID", format!("\"{CLIENT}\"")),
        ("AZURE_TENANT_ID", format!("'{TENANT}'")),
        ("LISTENING_PORT", "\"8081\"".to_owned()),
        ("IDENTITY_TYPE", "\"workloadIdentity\"".to_owned()),
        ("CLOUD", "'AZUREPUBLIC'".to_owned()),
        ("INGESTION_URL", format!("\"{INGESTION}\"")),
        ("AZURE_AUTHORITY_HOST", "\"https://login.microsoftonline.com/\"".to_owned()),
        ("HTTPS_PROXY", "\"http://proxy:3128\"".to_owned()),
        ("INGESTION_AAD_AUDIENCE", "\"https://monitor.azure.com/.default\"".to_owned()),
        ("AZURE_FEDERATED_TOKEN_FILE", format!("\u{201c}{TOKEN_FILE}\u{201d}")),
    ] {
        let faults = faults(&[(name, &value)]);
        assert_eq!((faults.len(), faults[0].name.as_str()), (1, name));
        assert_eq!(faults[0].reject.fix, "take the quotes out", "{name}");
        assert!(faults[0].reject.wrong.contains("quotes"), "{name}");
    }
    let secret = [("IDENTITY_TYPE", "aadApplication"), ("AZURE_CLIENT_CERTIFICATE_PATH", "\"/mnt/client.pem\"")];
    assert_eq!(faults(&secret)[0].reject.fix, "take the quotes out");
}

#[test]
fn a_url_without_a_scheme_gets_one() {
    let without = INGESTION.strip_prefix("https://").expect("https");
    for (name, value) in [
        ("INGESTION_URL", without),
        ("INGESTION_URL", "x-1.eastus-1.metrics.ingest.monitor.azure.com"),
        ("AZURE_AUTHORITY_HOST", "login.microsoftonline.com"),
    ] {
        let fault = faults(&[(name, value)]).remove(0);
        assert_eq!(fault.name, name);
        assert!(fault.reject.fix.starts_with("start it with https://"), "{value}: {}", fault.reject.fix);
    }
    assert!(faults(&[("INGESTION_URL", "not a url")])[0].reject.fix.starts_with("copy the URL again"));
}

#[test]
fn a_path_that_is_not_azures_is_warned_of_beside_a_missing_version() {
    let codes = |path: &str| {
        let url =
            format!("https://x-1.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-0/streams/{path}");
        let warnings = loaded(&[("INGESTION_URL", &url)]).warnings;
        warnings.iter().map(|warning| warning.page.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24"), Vec::<&str>::new());
    assert_eq!(codes("Microsoft-Prom?api-version=2023-04-24"), ["CFG-02"]);
    assert_eq!(codes("Custom-Foo/api/v1/write?api-version=2023-04-24"), ["CFG-02"]);
    assert_eq!(codes("Custom-Foo/api/v1/write"), ["CFG-02", "CFG-03"]);
    assert_eq!(codes("Microsoft-PrometheusMetrics/api/v1/write"), ["CFG-03"]);
}

#[test]
fn a_login_that_would_be_taken_for_the_host_is_refused() {
    for login in ["svc:2024/Xy", "svc:20?24", "svc:2024#", "svc:a@b/c", "a/b"] {
        let faults = faults(&[("HTTPS_PROXY", &format!("http://{login}@proxy:3128"))]);
        assert_eq!((faults.len(), faults[0].name.as_str()), (1, "HTTPS_PROXY"), "{login}");
        assert!(faults[0].reject.fix.contains("%2F"), "{login}");
        assert!(!format!("{:?} {}", faults[0].reject, faults[0]).contains(login), "{login}");
    }
    let proxy = loaded(&[("HTTPS_PROXY", "http://svc:20%2F24@proxy:3128/")]).config.proxy.expect("a proxy");
    assert_eq!(proxy.url, "http://svc:20%2F24@proxy:3128/");
}

#[test]
fn proxy_variables_count_in_lower_case_too() {
    let lower = loaded(&[("https_proxy", "http://a:1"), ("no_proxy", "b")]).config.proxy.expect("a proxy");
    assert_eq!((lower.url.as_str(), lower.no_proxy.as_deref()), ("http://a:1", Some("b")));
    let both = loaded(&[("https_proxy", "http://a:1"), ("HTTPS_PROXY", "http://b:1")]).config.proxy.expect("a proxy");
    assert_eq!(both.url, "http://b:1");
}

/// What is shown, given back as variables, is the same configuration. What is said not to be shown is given back as it
/// was.
fn shown_again(environment: &BTreeMap<&'static str, String>) -> Vec<(&'static str, String)> {
    let shown = effective::fields(&load(environment).unwrap_or_else(|faults| panic!("{faults}")));
    let setting = |name: &str| ALL.iter().find(|setting| setting.name.to_ascii_lowercase() == name);
    let given = shown.iter().map(|(name, value)| {
        let name = setting(name).unwrap_or_else(|| panic!("{name} is the name of no setting")).name;
        (name, if value.ends_with(", not shown)") { environment[name].clone() } else { value.clone() })
    });
    let again = load(&given.collect::<BTreeMap<_, _>>()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(effective::fields(&again), shown);
    shown
}

#[test]
fn the_effective_configuration_has_the_names_of_the_settings() {
    let shown = shown_again(&environment(&[
        ("ADMIN_PORT", "8089"),
        ("ALLOWED_SOURCES", "10.0.0.0/8,fd00::/8"),
        ("AZURE_KUBERNETES_TOKEN_PROXY", "https://10.0.0.1:6443/a"),
        ("CLUSTER", "a"),
        ("HTTPS_PROXY", "http://proxy:3128"),
        ("NO_PROXY", "b"),
        ("SSL_CERT_FILE", TOKEN_FILE),
        ("SSL_CERT_DIR", concat!("/tmp:", env!("CARGO_MANIFEST_DIR"))),
        ("MAX_BODY_BYTES", "5000000"),
        ("LOG_FORMAT", "JSON"),
    ]));
    for (name, value) in [
        ("ingestion_url", INGESTION),
        ("listening_port", "8081"),
        ("https_proxy", "http://proxy:3128"),
        ("ssl_cert_file", TOKEN_FILE),
        ("ssl_cert_dir", concat!("/tmp:", env!("CARGO_MANIFEST_DIR"))),
        ("max_body_bytes", "5000000"),
        ("log_format", "json"),
        ("azure_authority_host", "https://login.microsoftonline.com/"),
    ] {
        assert!(shown.contains(&(name, value.to_owned())), "{name} in {shown:?}");
    }
    let custom = [
        ("CLOUD", "AZURECUSTOM"),
        ("AAD_HOST_ENDPOINT", "https://login.example/"),
        ("INGESTION_AAD_AUDIENCE", "https://monitor.example"),
    ];
    let shown = shown_again(&environment(&custom));
    assert!(shown.contains(&("aad_host_endpoint", "https://login.example/".to_owned())), "{shown:?}");
    // The webhook's.
    let shown = shown_again(&environment(&[custom[0], custom[2]]));
    assert!(shown.contains(&("azure_authority_host", "https://login.microsoftonline.com/".to_owned())), "{shown:?}");
}

#[test]
fn quotes_around_a_list_of_hosts_are_warned_of() {
    let warned = |hosts| {
        let warnings = loaded(&[("HTTPS_PROXY", "http://proxy:3128"), ("NO_PROXY", hosts)]).warnings;
        warnings
            .into_iter()
            .any(|warning| warning.name == "NO_PROXY" && warning.text.starts_with("has quotes around it"))
    };
    assert!(warned("\"a.example,b.example\""));
    assert!(!warned("a.example,b.example"));
}

#[test]
fn a_proxy_for_other_connections_than_these_is_warned_of() {
    let name = "HTTPS_PROXY";
    for other in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        assert!(warned(&loaded(&[(other, "http://proxy:3128")]), name), "{other}");
        for own in [name, "https_proxy"] {
            let both = loaded(&[(other, "http://proxy:3128"), (own, "http://proxy:3128")]);
            assert!(!warned(&both, name), "{other} {own}");
        }
    }
}

#[test]
fn quotes_around_a_secret_are_warned_of() {
    let application = [("IDENTITY_TYPE", "aadApplication"), ("AZURE_CLIENT_SECRET", "'hush'")];
    let certificate = [
        application[0],
        ("AZURE_CLIENT_CERTIFICATE_PATH", TOKEN_FILE),
        ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "\"hush\""),
    ];
    for (name, settings) in [(application[1].0, &application[..]), (certificate[2].0, &certificate)] {
        let warnings = loaded(settings).warnings;
        let warning = warnings.iter().find(|warning| warning.name == name).expect("a warning");
        assert!(warning.text.starts_with("has quotes around it") && !warning.text.contains("hush"), "{warning:?}");
    }
    let bare = loaded(&[application[0], ("AZURE_CLIENT_SECRET", "hu'sh'")]).warnings;
    assert!(bare.iter().all(|warning| warning.name != "AZURE_CLIENT_SECRET"), "{bare:?}");
}

#[test]
fn no_secret_is_shown_anywhere() {
    let secrets = [
        ("AZURE_CLIENT_SECRET", "hush-1"),
        ("AZURE_CLIENT_CERTIFICATE_PASSWORD", "hush-2"),
        ("HTTPS_PROXY", "http://user:hush-3@proxy:3128"),
    ];
    let good = loaded(&secrets);
    let shown = format!("{:?} {:?} {:?}", effective::fields(&good), good.config, good.warnings);
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("http://***@proxy:3128"), "{shown}");

    let mut bad = secrets.to_vec();
    bad.extend([
        ("AZURE_FEDERATED_TOKEN_FILE", "eyJhbGciOiJSUzI1NiJ9.hush-5"),
        ("HTTPS_PROXY", "socks5://user:hush-6@proxy"),
    ]);
    for url in ["https://user:hush-4@h/x?code=hush-7", "http://h/x?code=hush-8&api-version=1"] {
        bad.push(("INGESTION_URL", url));
        let text = load(&environment(&bad)).expect_err("faults").to_string();
        assert!(!text.contains("hush"), "{text}");
    }
}
