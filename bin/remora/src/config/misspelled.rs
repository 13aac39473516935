//! Variables that are set but not read, because their names are probably misspelled. Only names are looked at, never
//! shown with their values.

use super::fault::masked;
use super::listen::is_link;
use super::settings::{self, Setting};
use super::source::Source;

/// Put before the name of a setting, as is the custom for the settings of other programs.
const PREFIX: &str = "REMORA_";

/// Names of other programs that are close to ours.
const FOREIGN: [&str; 1] = ["HTTP_PROXY"];

/// Most edits between a name and the one that was meant.
const NEAR: usize = 2;

/// Each name that is set and misspelled, as it may be shown, and the setting that was probably meant.
pub(super) fn all(source: &dyn Source) -> Vec<(String, &'static Setting)> {
    let given = |name: &String| source.var(name).is_some_and(|value| !value.trim().is_empty() && !is_link(&value));
    // Each look at a value searches the environment, which may hold the names of thousands of Services.
    let misspelled = source.names().into_iter().filter_map(|name| Some((meant(&name)?, name)));
    misspelled.filter(|(_, name)| given(name)).map(|(meant, name)| (masked(&name), meant)).collect()
}

/// The setting that was probably meant by a name that is none.
fn meant(name: &str) -> Option<&'static Setting> {
    let is_twin = |setting: &&Setting| setting.has_lower_case_twin() && setting.name.to_ascii_lowercase() == name;
    if settings::ALL.iter().any(|setting| setting.name == name || is_twin(&setting)) {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    if FOREIGN.contains(&upper.as_str()) {
        return None;
    }
    let own = upper.strip_prefix(PREFIX).unwrap_or(&upper);
    // A word such as `cluster` is anybody's.
    let is_one_word = |ours: &str| own == upper && !ours.contains('_');
    let alike = |setting: &&Setting| letters(setting.name).eq(letters(own)) && !is_one_word(setting.name);
    let near = |setting: &&Setting| is_near(&upper, setting.name);
    settings::ALL.iter().find(alike).or_else(|| settings::ALL.iter().find(near))
}

/// The name without what separates its words.
fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(char::is_ascii_alphanumeric)
}

/// Whether a name differs from `ours` by typing errors: word by word, since other programs have names such as
/// `MIN_CONNECTIONS` and `TLS_CERT_FILE`. A name of one word is too short for a guess.
fn is_near(name: &str, ours: &str) -> bool {
    // This settles most of the thousands of names that there may be.
    if name.chars().count().abs_diff(ours.len()) > NEAR {
        return false;
    }
    let (words, own): (Vec<_>, Vec<_>) = (name.split('_').collect(), ours.split('_').collect());
    if words.len() != own.len() || own.len() < 2 {
        return false;
    }
    let errors = |(word, own): (&&str, &&str)| (strsim::osa_distance(word, own), most_errors(own));
    let errors: Vec<_> = words.iter().zip(&own).map(errors).collect();
    errors.iter().all(|(found, most)| found <= most) && errors.iter().map(|(found, _)| found).sum::<usize>() <= NEAR
}

/// A short word with an error in it is another word.
const fn most_errors(word: &str) -> usize {
    match word.len() {
        0..=3 => 0,
        4..=7 => 1,
        _ => NEAR,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_misspelled_name_is_told_with_the_one_that_was_meant() {
        for (name, ours) in [
            ("BODY_MEMROY", "BODY_MEMORY"),
            ("ALOWED_SOURCES", "ALLOWED_SOURCES"),
            ("MAX_BODYBYTES", "MAX_BODY_BYTES"),
            ("LOGLEVEL", "LOG_LEVEL"),
            ("REMORA_LOG_LEVEL", "LOG_LEVEL"),
            ("REMORA_CHECK", "CHECK"),
            ("INGESTON_URL", "INGESTION_URL"),
            ("INJESTON_URL", "INGESTION_URL"),
            ("ingestion_url", "INGESTION_URL"),
            ("INGESTION-URL", "INGESTION_URL"),
            ("AZURE_CLIENTID", "AZURE_CLIENT_ID"),
            ("AZURE_TENNANT_ID", "AZURE_TENANT_ID"),
            ("UPSTREAM_TIMOUT", "UPSTREAM_TIMEOUT"),
        ] {
            assert_eq!(meant(name).map(|setting| setting.name), Some(ours), "{name}");
        }
    }

    #[test]
    fn every_settings_own_name_is_right() {
        for setting in settings::ALL {
            assert!(meant(setting.name).is_none(), "{}", setting.name);
        }
        assert!(meant("https_proxy").is_none() && meant("no_proxy").is_none());
    }

    /// What images, Kubernetes, Microsoft's libraries and other tools set.
    #[test]
    fn an_ordinary_pods_variables_are_not_ours() {
        let names = "PATH HOME HOSTNAME USER SHELL PWD SHLVL TERM TZ LANG LC_ALL LC_CTYPE NO_COLOR TMPDIR LOGNAME \
            http_proxy HTTP_PROXY ALL_PROXY all_proxy FTP_PROXY ftp_proxy RSYNC_PROXY GOPROXY GOMAXPROCS GOMEMLIMIT GOGC \
            TLS_CERT_FILE SSL_KEY_FILE NIX_SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE RUST_LOG RUST_BACKTRACE \
            KUBERNETES_SERVICE_HOST KUBERNETES_SERVICE_PORT KUBERNETES_SERVICE_PORT_HTTPS KUBERNETES_PORT \
            KUBERNETES_PORT_443_TCP KUBERNETES_PORT_443_TCP_PROTO KUBERNETES_PORT_443_TCP_PORT \
            KUBERNETES_PORT_443_TCP_ADDR REMORA_SERVICE_HOST REMORA_SERVICE_PORT REMORA_SERVICE_PORT_HTTP REMORA_PORT \
            REMORA_PORT_8081_TCP REMORA_PORT_8081_TCP_PORT PROMETHEUS_SERVICE_HOST PROMETHEUS_PORT_9090_TCP_ADDR \
            CHECK_SERVICE_HOST CLOUD_SERVICE_PORT ADMIN_SERVICE_PORT LISTENING_SERVICE_HOST POD_NAME POD_NAMESPACE POD_IP \
            NODE_NAME NAMESPACE CLUSTER_NAME CLUSTER_ID CLOUD_PROVIDER THREAD_COUNT SHARD CONTAINER_NAME \
            AZURE_CLIENT_CERTIFICATE AZURE_CLIENT_CERTIFICATE_SEND_CHAIN AZURE_USERNAME AZURE_PASSWORD AZURE_ENVIRONMENT \
            AZURE_CLOUD AZURE_CREDENTIALS AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP AZURE_REGION \
            AZURE_REGIONAL_AUTHORITY_NAME AZURE_ADDITIONALLY_ALLOWED_TENANTS AZURE_TOKEN_CREDENTIALS AZURE_LOG_LEVEL \
            AZURE_IDENTITY_DISABLE_MULTITENANTAUTH AZURE_SDK_TRACING_IMPLEMENTATION AZURE_HTTP_USER_AGENT \
            AZURE_TRACING_DISABLED AZURE_CONFIG_DIR AZURE_STORAGE_KEY AZURE_STORAGE_ACCOUNT IDENTITY_SERVER_THUMBPRINT \
            MSI_ENDPOINT MSI_SECRET KMS_ENDPOINT ARM_CLIENT_ID ARM_TENANT_ID AWS_ROLE_ARN MIN_CONNECTIONS \
            DB_MAX_CONNECTIONS LOG_FILE LOG_DIR LOG_OUTPUT SERVER_PORT LISTEN_PORT ADMIN_HOST ADMIN_USER \
            cluster cloud check threads OTEL_SERVICE_NAME OTEL_EXPORTER_OTLP_ENDPOINT REMORA_E2E_LONG REMORA_WRITE_README";
        for name in names.split_whitespace() {
            assert!(meant(name).is_none(), "{name} is taken for {:?}", meant(name));
        }
    }

    /// Thousands of names, only one of which is like a setting.
    #[derive(Debug)]
    struct Links;

    impl Source for Links {
        fn var(&self, name: &str) -> Option<String> {
            assert_eq!(name, "BODY_MEMROY", "others are none of ours");
            Some("8MiB".to_owned())
        }

        fn names(&self) -> Vec<String> {
            let links = (0..2_000).map(|number| format!("SERVICE_{number}_PORT"));
            links.chain(["BODY_MEMROY".to_owned()]).collect()
        }
    }

    #[test]
    fn only_the_values_of_misspelled_names_are_looked_at() {
        assert_eq!(all(&Links).len(), 1);
    }

    #[test]
    fn what_is_empty_or_a_service_of_kubernetes_is_not_set() {
        let source = |value: &str| BTreeMap::from([("ADMIN_PORTS", value.to_owned())]);
        assert!(all(&source("")).is_empty() && all(&source("tcp://10.0.0.1:80")).is_empty());
        assert_eq!(all(&source("9090")).len(), 1);
    }
}
