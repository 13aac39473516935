//! The table of all settings. Parsing, `--help` and the table in the README are generated from it and cannot diverge.

use std::fmt;

/// Heading under which a setting is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Where samples go.
    Azure,
    /// The identity presented to Microsoft Entra.
    Identity,
    /// Ports and senders.
    Listening,
    /// Memory and concurrency.
    Limits,
    /// How a request is handled.
    Forwarding,
    /// Proxies and certificate authorities.
    Network,
    /// Log lines.
    Logging,
}

impl Group {
    /// All groups in listing order.
    pub(crate) const ALL: [Self; 7] =
        [Self::Azure, Self::Identity, Self::Listening, Self::Limits, Self::Forwarding, Self::Network, Self::Logging];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What applies when neither flag nor environment gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// This value, parsed like a given one.
    Value(&'static str),
    /// No value; the text describes the consequence.
    Unset(&'static str),
}

impl Preset {
    /// The text for help and documentation.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Value(words) | Self::Unset(words) => words,
        }
    }
}

/// One setting: an environment variable and a flag of the same name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Environment variable, in upper case with underscores.
    pub(crate) name: &'static str,
    /// What a value looks like.
    pub(crate) placeholder: &'static str,
    /// What applies without a value.
    pub(crate) preset: Preset,
    /// Its meaning, in one line.
    pub(crate) meaning: &'static str,
    /// Heading it is listed under.
    pub(crate) group: Group,
    /// Whether the value must not be shown.
    secret: bool,
}

impl Setting {
    /// `--ingestion-url` for `INGESTION_URL`.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.name.to_ascii_lowercase().replace('_', "-"))
    }

    /// Whether the value is a secret. A secret cannot be a flag, because every process of the pod can read command
    /// lines.
    pub(crate) const fn is_secret(&self) -> bool {
        self.secret
    }

    /// Whether the lower-case variable also counts: a convention for proxy variables that many images rely on.
    pub(crate) fn has_lower_case_twin(&self) -> bool {
        matches!(self.name, "HTTPS_PROXY" | "NO_PROXY")
    }
}

/// `GROUP { NAME "placeholder" Preset("…"), "meaning"; }` becomes a constant for each name, and `ALL`. A secret has
/// `secret` instead of a placeholder.
macro_rules! settings {
    ($($group:ident { $($name:ident $form:tt $preset:ident($words:literal), $meaning:literal;)* })*) => {
        $($(
            pub(crate) const $name: Setting = Setting {
                name: stringify!($name),
                placeholder: settings!(@placeholder $form),
                secret: settings!(@secret $form),
                preset: Preset::$preset($words),
                meaning: $meaning,
                group: Group::$group,
            };
        )*)*
        /// Every setting, group by group.
        pub(crate) const ALL: &[Setting] = &[$($($name),*),*];
    };
    (@placeholder secret) => { "SECRET" };
    (@placeholder $placeholder:literal) => { $placeholder };
    (@secret secret) => { true };
    (@secret $placeholder:literal) => { false };
}

settings! {
    Azure {
        INGESTION_URL "URL" Unset("required"),
            "Metrics ingestion endpoint of the Azure Monitor workspace: https, with path and api-version.";
        CLOUD "NAME" Value("AZUREPUBLIC"),
            "AZUREPUBLIC, AZUREGOVERNMENT, AZURECHINA or AZURECUSTOM; any case, underscores ignored.";
        INGESTION_AAD_AUDIENCE "URI" Unset("from CLOUD"),
            "Audience of the requested token, with or without /.default. Required with AZURECUSTOM.";
        AAD_HOST_ENDPOINT "URL" Unset("none"),
            "Authority host for AZURECUSTOM.";
        CLUSTER "NAME" Unset("none"),
            "Cluster name, shown in the first log lines. It does not change samples.";
    }
    Identity {
        IDENTITY_TYPE "TYPE" Value("workloadIdentity"),
            "workloadIdentity, userAssigned, systemAssigned or aadApplication, in any case.";
        AZURE_CLIENT_ID "GUID" Unset("from the webhook"),
            "Client ID of the managed identity or application.";
        AZURE_TENANT_ID "TENANT" Unset("from the webhook"),
            "Tenant, as GUID or domain. Managed identities of a machine need none.";
        AZURE_FEDERATED_TOKEN_FILE "PATH" Unset("from the webhook"),
            "Projected service-account token; read again for every exchange.";
        AZURE_AUTHORITY_HOST "URL" Unset("from CLOUD"),
            "Authority host. The webhook sets it; it takes precedence over the host of CLOUD.";
        AZURE_KUBERNETES_TOKEN_PROXY "URL" Unset("from the webhook"),
            "The cluster's own token endpoint (AKS identity bindings), in place of the authority.";
        AZURE_KUBERNETES_SNI_NAME "NAME" Unset("from the webhook"),
            "Name in that endpoint's certificate, if it is not the URL's host.";
        AZURE_KUBERNETES_CA_FILE "PATH" Unset("from the webhook"),
            "PEM file of that endpoint's certificate authority; read again for every exchange.";
        AZURE_KUBERNETES_CA_DATA "PEM" Unset("from the webhook"),
            "The same as text. Only one of the two may be set.";
        AZURE_MANAGED_IDENTITY_OBJECT_ID "GUID" Unset("none"),
            "Object ID of a user-assigned identity, in place of AZURE_CLIENT_ID.";
        AZURE_MANAGED_IDENTITY_RESOURCE_ID "ID" Unset("none"),
            "Resource ID of a user-assigned identity, in place of AZURE_CLIENT_ID.";
        AZURE_POD_IDENTITY_AUTHORITY_HOST "URL" Unset("IMDS"),
            "Replaces http://169.254.169.254; loopback and link-local addresses only.";
        IDENTITY_ENDPOINT "URL" Unset("from the platform"),
            "Endpoint of a managed identity in App Service, Container Apps or on an Azure Arc machine.";
        IDENTITY_HEADER secret Unset("from the platform"),
            "Header value that App Service and Container Apps require in token requests.";
        IMDS_ENDPOINT "URL" Unset("from the platform"),
            "Together with IDENTITY_ENDPOINT, indicates an Azure Arc machine.";
        AZURE_CLIENT_SECRET secret Unset("none"),
            "The application's secret.";
        AZURE_CLIENT_SECRET_FILE "PATH" Unset("none"),
            "File with the application's secret; read again for every exchange.";
        AZURE_CLIENT_CERTIFICATE_PATH "PATH" Unset("none"),
            "PEM or PFX file with the application's certificate and RSA key; read again for every exchange.";
        AZURE_CLIENT_CERTIFICATE_PASSWORD secret Unset("none"),
            "Password of that file.";
        AZURE_CLIENT_SEND_CERTIFICATE_CHAIN "BOOL" Value("false"),
            "true sends the certificate chain, for applications that trust a subject name and issuer.";
    }
    Listening {
        LISTENING_PORT "PORT" Value("8081"),
            "Port of all endpoints, on all interfaces.";
        ADMIN_PORT "PORT" Unset("none"),
            "Second port with every endpoint except the write path.";
        ALLOWED_SOURCES "CIDR,…" Unset("loopback only"),
            "Networks or addresses that may write, besides loopback; separated by commas.";
    }
    Limits {
        BODY_MEMORY "SIZE" Value("8MiB"),
            "Memory for all bodies together, allocated once.";
        MAX_BODY_BYTES "SIZE" Value("4MiB"),
            "Largest body accepted; at most a thread's share of BODY_MEMORY minus 128KiB.";
        MAX_CONNECTIONS "COUNT" Value("256"),
            "Sender connections open at once.";
        MAX_IN_FLIGHT "COUNT" Value("64"),
            "Requests forwarded at once; others wait for their turn, at most half of UPSTREAM_TIMEOUT.";
        THREADS "COUNT" Value("1"),
            "Threads that forward. The process's limits are divided among them.";
    }
    Forwarding {
        UPSTREAM_TIMEOUT "DURATION" Value("25s"),
            "Longest wait for Azure's answer once a request is complete, including the wait for a place in MAX_IN_FLIGHT.";
        REFUSAL_HOLD "DURATION" Value("30m"),
            "How long a 4xx that does not concern the data, such as 403, is reported as 503, from the first one on.";
        RATE_LIMIT_STATUS "STATUS" Value("503"),
            "503 or 429: the status that the sender gets when Azure answers 429.";
        CHECK "LEVEL" Value("full"),
            "full, wire (all but UTF-8) or off: how much of a body is checked before it is forwarded.";
        SHUTDOWN_GRACE "DURATION" Value("20s"),
            "How long open requests may continue after SIGTERM.";
    }
    Network {
        HTTPS_PROXY "URL" Unset("none"),
            "HTTP proxy for Entra and for INGESTION_URL, unless on loopback. https_proxy also counts.";
        NO_PROXY "HOST,…" Unset("none"),
            "Hosts and domains reached without the proxy, ports ignored. no_proxy also counts.";
        SSL_CERT_FILE "PATH" Unset("built-in roots"),
            "PEM file of certificate authorities that replace the built-in ones; read only at startup.";
        SSL_CERT_DIR "PATH:…" Unset("built-in roots"),
            "Folders of PEM files that replace the built-in ones, separated by colons; read only at startup.";
    }
    Logging {
        LOG_LEVEL "LEVEL" Value("info"),
            "error, warn, info or debug; debug adds a line for each write.";
        LOG_FORMAT "FORMAT" Value("logfmt"),
            "logfmt or json.";
        TRACE_LOGGING "BOOL" Value("false"),
            "true means LOG_LEVEL=debug, a line for each write, unless LOG_LEVEL is set.";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_setting_has_a_flag_of_its_own() {
        let flags: BTreeSet<String> = ALL.iter().map(Setting::flag).collect();
        assert_eq!(flags.len(), ALL.len());
        assert_eq!(AZURE_FEDERATED_TOKEN_FILE.flag(), "--azure-federated-token-file");
    }

    #[test]
    fn what_holds_a_secret_is_marked_as_one() {
        let secrets: Vec<_> = ALL.iter().filter(|setting| setting.is_secret()).map(|setting| setting.name).collect();
        assert_eq!(secrets, ["IDENTITY_HEADER", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PASSWORD"]);
    }

    #[test]
    fn every_setting_is_listed_under_a_listed_group() {
        assert!(ALL.iter().all(|setting| Group::ALL.contains(&setting.group)));
    }
}
