//! `INGESTION_URL`: where samples go, and the URLs that are commonly mistaken for it.

use remora_smol::endpoint::Endpoint;

use super::fault::Reject;
use super::reader::Reader;
use super::settings::INGESTION_URL;
use super::url;
use crate::pages::{CFG_02, CFG_03};

const WHERE_TO_FIND: &str = "copy \"Metrics ingestion endpoint\" from the workspace's Overview page in the portal";
const SHAPE: &str = "https://<endpoint>.metrics.ingest.monitor.azure.com/dataCollectionRules/<dcr>/streams/Microsoft-PrometheusMetrics/api/v1/write?api-version=2023-04-24";
/// The host and the rule in the files of `scripts/deploy`, to be replaced before they are applied.
const EXAMPLE: (&str, &str) =
    ("w-abcd.eastus-1.metrics.ingest.monitor.azure.com", "dcr-00000000000000000000000000000000");
/// The part of a write URL's path that precedes the rule.
const RULES: &str = "/dataCollectionRules/";
/// The part of a write URL's path that follows the rule.
const STREAM: &str = "streams/Microsoft-PrometheusMetrics/api/v1/write";

/// Reads the URL and warns about anything that Azure will probably refuse.
pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Endpoint> {
    let Some(text) = reader.given(&INGESTION_URL) else {
        reader.missing(&INGESTION_URL, &format!("{WHERE_TO_FIND}; it looks like\n{SHAPE}"));
        return None;
    };
    let endpoint = reader.parsed(&INGESTION_URL, &text, parse)?;
    if let Some(text) = other_path(&endpoint) {
        reader.warn_on(&CFG_02, &INGESTION_URL, text);
    } else if !endpoint.path().contains(RULES) {
        let text = format!("has a path without a data collection rule; Azure's looks like {SHAPE}");
        reader.warn_on(&CFG_02, &INGESTION_URL, text);
    } else if let Some(name) = name_in_place_of_id(&endpoint) {
        let text = format!(
            "names the data collection rule {name}, but Azure knows it by its immutable ID, dcr-…, shown by: {}",
            immutable_id(name)
        );
        reader.warn_on(&CFG_02, &INGESTION_URL, text);
    }
    if !names_api_version(&endpoint) {
        let text = "has no api-version in its query; Azure requires ?api-version=2023-04-24 at the end";
        reader.warn_on(&CFG_03, &INGESTION_URL, text);
    }
    Some(endpoint)
}

/// The immutable ID of the data collection rule in the path of a write URL.
pub(crate) fn rule(endpoint: &Endpoint) -> Option<&str> {
    let (_, rest) = endpoint.path().split_once(RULES)?;
    let rule = rest.split('/').next()?;
    let plain = rule.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !rule.is_empty()).then_some(rule)
}

/// Whether the host is Azure's own, in any cloud, and not a gateway.
pub(crate) fn is_azures(endpoint: &Endpoint) -> bool {
    endpoint.host().contains(".ingest.monitor.azure.")
}

/// The name of a rule where its immutable ID should be. What a gateway expects is not known.
pub(crate) fn name_in_place_of_id(endpoint: &Endpoint) -> Option<&str> {
    rule(endpoint).filter(|rule| is_azures(endpoint) && !rule.starts_with("dcr-"))
}

/// The command that prints the immutable ID of the rule with this name.
fn immutable_id(name: &str) -> String {
    format!("az monitor data-collection rule list --query \"[?name=='{name}'].immutableId\" -o tsv")
}

/// The fault of a path that is not the one on which Azure accepts samples.
pub(crate) fn other_path(endpoint: &Endpoint) -> Option<String> {
    let path = endpoint.path();
    let is_azures_path = rule(endpoint).is_some_and(|rule| path == format!("{RULES}{rule}/{STREAM}"));
    let is_other = !is_azures_path && (path.contains(RULES) || is_azures(endpoint));
    is_other.then(|| format!("the path is {path}, but Azure's is {RULES}dcr-…/{STREAM}"))
}

fn parse(text: &str) -> Result<Endpoint, Reject> {
    if is_portals(text) {
        let wrong = "is a page of the portal, not the endpoint that accepts samples";
        return Err(Reject::new(wrong, WHERE_TO_FIND));
    }
    if text.starts_with("/subscriptions/") {
        return Err(Reject::new("is a resource ID, not the endpoint that accepts samples", WHERE_TO_FIND));
    }
    if is_own(text) {
        let wrong = "is Remora's own address, which belongs in the sender's remote_write";
        return Err(Reject::new(wrong, WHERE_TO_FIND));
    }
    let endpoint = url::parse(text)?;
    let host = endpoint.host();
    if host.contains(".prometheus.monitor.azure.") {
        let wrong = "is the workspace's query endpoint, which does not accept samples";
        return Err(Reject::new(wrong, WHERE_TO_FIND).on(&CFG_02));
    }
    if is_azures(&endpoint) && !host.contains(".metrics.") {
        let metrics = host.replacen(".ingest.", ".metrics.ingest.", 1);
        return Err(Reject::new(
            "is the logs endpoint of the data collection endpoint",
            format!("use the metrics endpoint: {metrics}"),
        )
        .on(&CFG_02));
    }
    let placeholder =
        [("host", host == EXAMPLE.0), ("rule", is_azures(&endpoint) && rule(&endpoint) == Some(EXAMPLE.1))];
    if let Some((part, _)) = placeholder.into_iter().find(|(_, is_there)| *is_there) {
        return Err(Reject::new(format!("still has the {part} of the example files"), WHERE_TO_FIND));
    }
    if endpoint.path() == "/" {
        return Err(Reject::new("has no path", format!("use the full URL; it looks like\n{SHAPE}")).on(&CFG_02));
    }
    Ok(endpoint)
}

/// Whether it is the address to which senders in the pod write.
fn is_own(text: &str) -> bool {
    let rest = text.strip_prefix("http://").unwrap_or(text);
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    ["localhost", "127.0.0.1", "[::1]"].contains(&host) && path.starts_with("api/v1/write")
}

/// Whether it is the address of an Azure portal page, in any cloud. Such an address has a fragment.
pub(super) fn is_portals(text: &str) -> bool {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#', ':']).next().unwrap_or_default().to_ascii_lowercase();
    host.starts_with("portal.azure.") || host.contains(".portal.azure.")
}

fn names_api_version(endpoint: &Endpoint) -> bool {
    let version = |pair: &str| pair.strip_prefix("api-version=").is_some_and(|version| !version.is_empty());
    endpoint.query().is_some_and(|query| query.split('&').any(version))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(url: &str) -> String {
        parse(url).expect_err(url).wrong
    }

    #[test]
    fn the_query_endpoint_is_recognised() {
        assert!(wrong("https://ws-abcd.eastus.prometheus.monitor.azure.com/api/v1/write").contains("query endpoint"));
    }

    #[test]
    fn the_logs_endpoint_is_recognised_and_the_metrics_host_named() {
        let reject = parse("https://x-1.eastus-1.ingest.monitor.azure.com/dataCollectionRules/d/x").expect_err("logs");
        assert!(reject.fix.ends_with("x-1.eastus-1.metrics.ingest.monitor.azure.com"), "{}", reject.fix);
        assert!(parse("https://x.eastus-1.metrics.canary.ingest.monitor.azure.com/x").is_ok());
    }

    #[test]
    fn a_page_of_the_portal_is_recognised() {
        for url in [
            "https://portal.azure.com/#@contoso.onmicrosoft.com/resource/subscriptions/7e57/overview",
            "https://ms.portal.azure.com/#view/x",
            "portal.azure.us",
        ] {
            let reject = parse(url).expect_err(url);
            assert!(reject.wrong.contains("portal") && reject.fix.contains("Metrics ingestion endpoint"), "{url}");
        }
    }

    #[test]
    fn the_url_of_the_example_files_is_not_taken_for_a_workspaces() {
        let files = [
            include_str!("../../../../scripts/deploy/values-sidecar.yaml"),
            include_str!("../../../../scripts/deploy/values-native-sidecar.yaml"),
            include_str!("../../../../scripts/deploy/shared/kustomization.yaml"),
            include_str!("../../../../scripts/deploy/example/kustomization.yaml"),
        ];
        for file in files {
            let at = file.find("https://w-").expect("an endpoint");
            let url = file.get(at..).and_then(|rest| rest.lines().next()).expect("a line");
            assert_eq!(wrong(url), "still has the host of the example files", "{url}");
            assert_eq!(wrong(&url.replace("w-abcd", "x-1")), "still has the rule of the example files");
            assert!(parse(&url.replace("w-abcd", "x-1").replace("dcr-00", "dcr-01")).is_ok(), "{url}");
            assert!(parse(&url.replace(EXAMPLE.0, "localhost")).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_resource_id_and_the_address_of_remora_are_recognised() {
        for (text, words) in [
            ("/subscriptions/7e57/resourceGroups/g/providers/microsoft.monitor/accounts/w", "resource ID"),
            ("http://localhost:8081/api/v1/write", "sender's remote_write"),
            ("localhost:8081/api/v1/write", "sender's remote_write"),
            ("http://[::1]:8081/api/v1/write", "sender's remote_write"),
        ] {
            let reject = parse(text).expect_err(text);
            assert!(reject.wrong.contains(words) && reject.fix == WHERE_TO_FIND, "{text}: {reject:?}");
        }
        assert!(parse("https://localhost:8443/api/v1/write").is_ok());
        assert_eq!(wrong("http://gateway:8081/api/v1/write"), "url: scheme is not https");
    }

    #[test]
    fn a_path_is_needed() {
        assert_eq!(wrong("https://x.eastus-1.metrics.ingest.monitor.azure.com"), "has no path");
        assert_eq!(wrong("https://x.eastus-1.metrics.ingest.monitor.azure.com/?api-version=1"), "has no path");
    }

    #[test]
    fn loopback_is_fine_but_plain_http_is_not() {
        assert!(parse("https://localhost:8443/dataCollectionRules/d/x?api-version=1").is_ok());
        assert_eq!(wrong("http://127.0.0.1/x"), "url: scheme is not https");
    }

    #[test]
    fn a_rule_is_what_stands_behind_its_folder() {
        for (url, expected) in [
            ("https://h/dataCollectionRules/dcr-01ab/streams/x", Some("dcr-01ab")),
            ("https://h/dataCollectionRules/dcr-01ab", Some("dcr-01ab")),
            ("https://h/dataCollectionRules/a'b/streams/x", None),
            ("https://h/dataCollectionRules//x", None),
            ("https://h/api/v1/write", None),
        ] {
            assert_eq!(rule(&parse(url).expect(url)), expected, "{url}");
        }
    }

    #[test]
    fn an_api_version_must_say_something() {
        for (url, named) in [
            ("https://h/x?api-version=2023-04-24", true),
            ("https://h/x?a=b&api-version=1", true),
            ("https://h/x?api-version=", false),
            ("https://h/x?xapi-version=1", false),
            ("https://h/x", false),
        ] {
            assert_eq!(names_api_version(&parse(url).expect(url)), named, "{url}");
        }
    }
}
