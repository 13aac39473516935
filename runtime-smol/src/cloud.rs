//! The Azure clouds: the authority that issues tokens, and their audience; and the audiences of assertions, which are the
//! same in every cloud.

use std::net::IpAddr;

/// Audience of the assertions that Entra accepts from federated identities.
pub const ASSERTION_AUDIENCE: &str = "api://AzureADTokenExchange";

/// Audience of the assertions that only the token proxy of an AKS identity binding accepts.
pub const BINDING_AUDIENCE: &str = "api://AKSIdentityBinding";

/// Suffix that requests all of a resource's application permissions.
pub const DEFAULT_SCOPE: &str = "/.default";

/// The resource that a scope is for: without the suffix, but with a slash of its own.
pub fn resource_of(scope: &str) -> &str {
    scope.strip_suffix(DEFAULT_SCOPE).unwrap_or(scope)
}

/// The domains of the clouds that have a name here.
const DOMAINS: [&str; 15] = [
    "azure.com",
    "azure-api.net",
    "azurecontainerapps.io",
    "azurefd.net",
    "azurewebsites.net",
    "trafficmanager.net",
    "microsoft.com",
    "microsoftonline.com",
    "windows.net",
    "azure.us",
    "microsoftonline.us",
    "usgovcloudapi.net",
    "azure.cn",
    "microsoftonline.cn",
    "chinacloudapi.cn",
];
/// Domains that no cloud can have: reserved (RFC 6761, RFC 8375), private by custom (RFC 6762 appendix G), a cluster's.
const PRIVATE: [&str; 13] = [
    "localhost",
    "test",
    "example",
    "invalid",
    "home.arpa",
    "local",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "svc",
];

/// One of Azure's clouds, or a custom one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    /// Azure.
    Public,
    /// Azure Government.
    Government,
    /// Azure operated by 21Vianet.
    China,
    /// Authority and audience are given in the settings.
    Custom,
}

impl Cloud {
    const ALL: [Self; 4] = [Self::Public, Self::Government, Self::China, Self::Custom];

    /// The cloud of this name, in any case; underscores are ignored, since Microsoft's documents spell it with and without.
    pub fn named(text: &str) -> Option<Self> {
        let name = text.to_ascii_uppercase().replace('_', "");
        Self::ALL.into_iter().find(|cloud| cloud.name() == name)
    }

    /// The name in `CLOUD`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "AZUREPUBLIC",
            Self::Government => "AZUREGOVERNMENT",
            Self::China => "AZURECHINA",
            Self::Custom => "AZURECUSTOM",
        }
    }

    /// URL of the authority host; a custom cloud has none of its own.
    pub fn authority(self) -> Option<&'static str> {
        match self {
            Self::Public => Some("https://login.microsoftonline.com"),
            Self::Government => Some("https://login.microsoftonline.us"),
            Self::China => Some("https://login.partner.microsoftonline.cn"),
            Self::Custom => None,
        }
    }

    /// Scope of a token for metrics ingestion; a custom cloud has none of its own.
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Self::Public => Some("https://monitor.azure.com/.default"),
            Self::Government => Some("https://monitor.azure.us/.default"),
            Self::China => Some("https://monitor.azure.cn/.default"),
            Self::Custom => None,
        }
    }

    /// Audience of a token for metrics ingestion, as `INGESTION_AAD_AUDIENCE` may name it.
    pub fn audience(self) -> Option<&'static str> {
        self.scope().map(resource_of)
    }

    /// The cloud whose Azure Monitor accepts this audience. Trailing slashes are ignored.
    pub fn of_audience(audience: &str) -> Option<Self> {
        let resource = |text: &str| resource_of(text).trim_end_matches('/').to_ascii_lowercase();
        Self::ALL.into_iter().find(|cloud| cloud.scope().map(resource) == Some(resource(audience)))
    }

    /// The cloud that an authority host is known to belong to.
    pub fn of_authority(host: &str) -> Option<Self> {
        match host {
            "login.microsoftonline.com" | "login.windows.net" | "login.microsoft.com" => Some(Self::Public),
            "login.microsoftonline.us" | "login.usgovcloudapi.net" => Some(Self::Government),
            // The webhook still sets the older of the two names.
            "login.partner.microsoftonline.cn" | "login.chinacloudapi.cn" => Some(Self::China),
            _ => None,
        }
    }

    /// Whether a host has a public name outside the domains of all clouds that have a name here.
    pub fn is_elsewhere(host: &str) -> bool {
        has_public_name(host) && !DOMAINS.iter().any(|domain| is_in(host, domain))
    }

    /// The cloud that an ingestion host of Azure Monitor belongs to.
    pub fn of_ingestion(host: &str) -> Option<Self> {
        let (_, suffix) = host.split_once(".ingest.monitor.azure.")?;
        match suffix {
            "com" => Some(Self::Public),
            "us" => Some(Self::Government),
            "cn" => Some(Self::China),
            _ => None,
        }
    }
}

/// Whether a host has a name, and one that may exist outside its own network.
pub fn has_public_name(host: &str) -> bool {
    let has_public_form = host.contains('.') && host.parse::<IpAddr>().is_err() && !host.contains(".svc.");
    has_public_form && !PRIVATE.iter().any(|domain| is_in(host, domain))
}

fn is_in(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_spelling_is_read() {
        for (text, cloud) in [
            ("AZUREPUBLIC", Cloud::Public),
            ("AzurePublic", Cloud::Public),
            ("AZURE_GOVERNMENT", Cloud::Government),
            ("AzureChina", Cloud::China),
            ("azure_custom", Cloud::Custom),
        ] {
            assert_eq!(Cloud::named(text), Some(cloud), "{text}");
        }
        assert_eq!(Cloud::named("AZURE"), None);
    }

    #[test]
    fn each_cloud_has_its_ingestion_hosts() {
        let host = |suffix: &str| format!("x-1.eastus-1.metrics.ingest.monitor.azure.{suffix}");
        for (suffix, cloud) in [("com", Cloud::Public), ("us", Cloud::Government), ("cn", Cloud::China)] {
            assert_eq!(Cloud::of_ingestion(&host(suffix)), Some(cloud));
        }
        assert_eq!(Cloud::of_ingestion("localhost"), None);
    }

    #[test]
    fn hosts_of_named_clouds_and_private_names_are_not_elsewhere() {
        for host in [
            "login.sovcloud-identity.fr",
            "x-1.francecentral-1.metrics.ingest.monitor.sovcloud-api.fr",
            "login.microsoftonline.eaglex.ic.gov",
            "login.microsoftonline.microsoft.scloud",
            "gateway.contoso.com",
            "notazure.com",
        ] {
            assert!(Cloud::is_elsewhere(host), "{host}");
        }
        for host in [
            "login.microsoftonline.us",
            "x-1.eastus-1.metrics.ingest.monitor.azure.com",
            "gateway.eastus.cloudapp.azure.com",
            "localhost",
            "127.0.0.1",
            "::ffff:10.1.2.3",
            "gateway",
            "gateway.monitoring.svc",
            "gateway.monitoring.svc.cluster.contoso.com",
            "gateway.monitoring.svc.cluster.local",
            "gateway.corp",
        ] {
            assert!(!Cloud::is_elsewhere(host), "{host}");
        }
    }

    #[test]
    fn each_cloud_owns_its_audience() {
        for (suffix, cloud) in [("com", Cloud::Public), ("us", Cloud::Government), ("cn", Cloud::China)] {
            for end in ["", "/", "//", "/.default", "//.default"] {
                assert_eq!(Cloud::of_audience(&format!("https://monitor.azure.{suffix}{end}")), Some(cloud), "{end}");
            }
        }
        let twice = "https://monitor.azure.com/.default/.default";
        for audience in ["https://management.azure.com", "https://prometheus.monitor.azure.com", twice, ""] {
            assert_eq!(Cloud::of_audience(audience), None, "{audience}");
        }
    }

    #[test]
    fn each_cloud_owns_its_authority() {
        for cloud in [Cloud::Public, Cloud::Government, Cloud::China] {
            let host = cloud.authority().and_then(|url| url.strip_prefix("https://")).expect("an https URL");
            assert_eq!(Cloud::of_authority(host), Some(cloud));
        }
    }
}
