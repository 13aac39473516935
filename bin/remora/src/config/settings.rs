//! The table of all settings. Parsing, `--help` and the table in the README are made from it and cannot differ.

use std::fmt;

/// Heading under which a setting is listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// Where samples go.
    Azure,
    /// Who the process is to Microsoft Entra.
    Identity,
    /// Ports and senders.
    Listening,
    /// Memory and concurrency.
    Limits,
    /// What happens to a request.
    Forwarding,
    /// Proxies and certificate authorities.
    Network,
    /// Log lines.
    Logging,
}

impl Group {
    /// All groups in the order they are listed.
    pub(crate) const ALL: [Self; 7] =
        [Self::Azure, Self::Identity, Self::Listening, Self::Limits, Self::Forwarding, Self::Network, Self::Logging];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What counts when neither flag nor environment gives a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preset {
    /// This value, read like one that was given.
    Value(&'static str),
    /// No value; the words say what follows from that.
    Unset(&'static str),
}

impl Preset {
    /// The words for help and documentation.
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
    /// What counts without a value.
    pub(crate) preset: Preset,
    /// One line of meaning.
    pub(crate) meaning: &'static str,
    /// Heading it is listed under.
    pub(crate) group: Group,
}

impl Setting {
    /// `--ingestion-url` for `INGESTION_URL`.
    pub(crate) fn flag(&self) -> String {
        format!("--{}", self.name.to_ascii_lowercase().replace('_', "-"))
    }

    /// Whether the variable also counts in lower case: an old habit with proxy variables that many images rely on.
    pub(crate) fn has_lower_case_twin(&self) -> bool {
        matches!(self.name, "HTTPS_PROXY" | "NO_PROXY")
    }
}

/// `GROUP { NAME "placeholder" Preset("…"), "meaning"; }` becomes a constant for each name, and `ALL`.
macro_rules! settings {
    ($($group:ident { $($name:ident $placeholder:literal $preset:ident($words:literal), $meaning:literal;)* })*) => {
        $($(
            pub(crate) const $name: Setting = Setting {
                name: stringify!($name),
                placeholder: $placeholder,
                preset: Preset::$preset($words),
                meaning: $meaning,
                group: Group::$group,
            };
        )*)*
        /// Every setting, group by group.
        pub(crate) const ALL: &[Setting] = &[$($($name),*),*];
    };
}

settings! {
    Azure {
        INGESTION_URL "URL" Unset("required"),
            "Metrics ingestion endpoint of the Azure Monitor workspace: https, with path and api-version.";
        CLOUD "NAME" Value("AZUREPUBLIC"),
            "AZUREPUBLIC, AZUREGOVERNMENT, AZURECHINA or AZURECUSTOM; any case, underscores ignored.";
        INGESTION_AAD_AUDIENCE "URI" Unset("from CLOUD"),
            "What the token is asked for, with or without /.default. Required with AZURECUSTOM.";
        AAD_HOST_ENDPOINT "URL" Unset("none"),
            "Authority host for AZURECUSTOM.";
        CLUSTER "NAME" Unset("none"),
            "Cluster name, shown in the first log lines. Samples are not changed by it.";
    }
    Identity {
        IDENTITY_TYPE "TYPE" Value("workloadIdentity"),
            "workloadIdentity, in any case; no other type is built yet.";
        AZURE_CLIENT_ID "GUID" Unset("from the webhook"),
            "Client id of the managed identity or application.";
        AZURE_TENANT_ID "TENANT" Unset("from the webhook"),
            "Tenant, as GUID or domain.";
        AZURE_FEDERATED_TOKEN_FILE "PATH" Unset("from the webhook"),
            "Projected service-account token; read again for every exchange.";
        AZURE_AUTHORITY_HOST "URL" Unset("from CLOUD"),
            "Authority host. The webhook sets it; it wins over the host that belongs to CLOUD.";
    }
    Listening {
        LISTENING_PORT "PORT" Value("8081"),
            "Port of all endpoints, on all interfaces.";
        ADMIN_PORT "PORT" Unset("none"),
            "Second port with every endpoint but the write path.";
        ALLOWED_SOURCES "CIDR,…" Unset("loopback only"),
            "Networks or addresses that may write, beside loopback; separated by commas.";
    }
    Limits {
        BODY_MEMORY "SIZE" Value("8MiB"),
            "Memory for all bodies together, allocated once.";
        MAX_BODY_BYTES "SIZE" Value("4MiB"),
            "Longest body taken; at most BODY_MEMORY less 128KiB.";
        MAX_CONNECTIONS "COUNT" Value("256"),
            "Sender connections open at once.";
        MAX_IN_FLIGHT "COUNT" Value("64"),
            "Requests forwarded at once.";
    }
    Forwarding {
        UPSTREAM_TIMEOUT "DURATION" Value("25s"),
            "Longest time for one forwarded request and its response.";
        REFUSAL_HOLD "DURATION" Value("30m"),
            "How long a persistent 401, 403 or 404 is told as 503, from start or from the last success.";
        RATE_LIMIT_STATUS "STATUS" Value("503"),
            "503 or 429: what the sender is told when Azure answers 429.";
        CHECK "LEVEL" Value("full"),
            "full, wire (all but UTF-8) or off: how much of a body is checked before it is forwarded.";
        SHUTDOWN_GRACE "DURATION" Value("20s"),
            "How long open requests may go on after SIGTERM.";
    }
    Network {
        HTTPS_PROXY "URL" Unset("none"),
            "HTTP proxy for Entra and for INGESTION_URL. https_proxy counts too.";
        NO_PROXY "HOST,…" Unset("none"),
            "Hosts reached without the proxy. no_proxy counts too.";
        SSL_CERT_FILE "PATH" Unset("built-in roots"),
            "PEM file of certificate authorities in place of the built-in ones.";
        SSL_CERT_DIR "PATH" Unset("built-in roots"),
            "Folder of PEM files in place of the built-in ones.";
    }
    Logging {
        LOG_LEVEL "LEVEL" Value("info"),
            "error, warn, info or debug.";
        LOG_FORMAT "FORMAT" Value("logfmt"),
            "logfmt or json.";
        TRACE_LOGGING "BOOL" Value("false"),
            "true means LOG_LEVEL=debug, unless LOG_LEVEL is set.";
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
    fn every_setting_is_listed_under_a_listed_group() {
        assert!(ALL.iter().all(|setting| Group::ALL.contains(&setting.group)));
    }
}
