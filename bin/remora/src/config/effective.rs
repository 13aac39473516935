//! The effective configuration, for the log line at startup: without secrets, and with nothing that has to be looked
//! up.

use remora_smol::config::{
    ApplicationCredential, Client, Identity, ManagedEndpoint, ManagedIdentity, SecretSource, Selection, TrustSource,
};

use super::Loaded;
use super::fault::without_secrets;
use super::forwarding::level_word;
use super::quantity::{duration_text, size_text};

/// The names of the fields that describe the identity.
pub(crate) const IDENTITY: &[&str] = &[
    "identity",
    "client_id",
    "tenant_id",
    "authority",
    "scope",
    "token_file",
    "token_proxy",
    "imds",
    "arc",
    "app_service",
    "resource",
    "object_id",
    "resource_id",
    "secret",
    "secret_file",
    "certificate",
];

/// Names and values in the order of the settings. Unset settings are left out.
pub(crate) fn fields(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let mut fields = azure(loaded);
    fields.extend(listening(loaded));
    fields.extend(limits(loaded));
    fields.extend(forwarding(loaded));
    fields.extend(network(loaded));
    fields.push(("log_level", loaded.level.word().to_owned()));
    // All values, since a secret may have been pasted into any variable that accepts text.
    fields.into_iter().map(|(name, value)| (name, without_secrets(&value))).collect()
}

fn azure(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let ingestion = &loaded.config.ingestion;
    let mut fields = vec![
        // Without its query, which does not concern the log's readers.
        ("ingestion", format!("https://{}{}", ingestion.authority(), ingestion.path())),
        ("cloud", loaded.cloud.name().to_owned()),
    ];
    fields.extend(identity(&loaded.config.identity));
    fields.extend(loaded.cluster.clone().map(|cluster| ("cluster", cluster)));
    fields
}

fn identity(identity: &Identity) -> Vec<(&'static str, String)> {
    let mut fields = vec![("identity", identity.kind().to_owned())];
    match identity {
        Identity::Workload(workload) => {
            fields.extend(client(&workload.client));
            fields.push(("token_file", workload.token_file.display().to_string()));
            fields.extend(workload.proxy.as_ref().map(|proxy| ("token_proxy", proxy.endpoint.to_string())));
        }
        Identity::Managed(managed) => fields.extend(self::managed(managed)),
        Identity::Application(application) => {
            fields.extend(client(&application.client));
            fields.push(credential(&application.credential));
        }
    }
    fields
}

fn client(client: &Client) -> [(&'static str, String); 4] {
    [
        ("client_id", client.client_id.clone()),
        ("tenant_id", client.tenant_id.clone()),
        ("authority", client.authority.authority()),
        ("scope", client.scope.clone()),
    ]
}

fn managed(identity: &ManagedIdentity) -> Vec<(&'static str, String)> {
    let endpoint = match &identity.endpoint {
        ManagedEndpoint::Imds(url) => ("imds", url.to_string()),
        ManagedEndpoint::Arc(url) => ("arc", url.to_string()),
        ManagedEndpoint::AppService(url, _) => ("app_service", url.to_string()),
    };
    let mut fields = vec![endpoint, ("resource", identity.resource.clone())];
    match &identity.selection {
        Selection::System => {}
        Selection::ClientId(id) => fields.push(("client_id", id.clone())),
        Selection::ObjectId(id) => fields.push(("object_id", id.clone())),
        Selection::ResourceId(id) => fields.push(("resource_id", id.clone())),
    }
    fields
}

fn credential(credential: &ApplicationCredential) -> (&'static str, String) {
    match credential {
        ApplicationCredential::Secret(SecretSource::Value(_)) => ("secret", "***".to_owned()),
        ApplicationCredential::Secret(SecretSource::File(path)) => ("secret_file", path.display().to_string()),
        ApplicationCredential::Certificate(file) => ("certificate", file.path.display().to_string()),
    }
}

fn listening(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let listen = &loaded.config.listen;
    let networks: Vec<_> = listen.allowed_sources.iter().map(ToString::to_string).collect();
    let mut fields = vec![("port", listen.port.to_string())];
    fields.extend(listen.admin_port.map(|port| ("admin_port", port.to_string())));
    fields.extend((!networks.is_empty()).then(|| ("allowed_sources", networks.join(","))));
    fields
}

fn limits(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let limits = &loaded.config.limits;
    vec![
        ("body_memory", size_text(limits.body_memory)),
        ("max_body_bytes", size_text(limits.max_body_bytes)),
        ("max_connections", limits.max_connections.to_string()),
        ("max_in_flight", limits.max_in_flight.to_string()),
        ("threads", limits.threads.to_string()),
    ]
}

fn forwarding(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let config = &loaded.config;
    vec![
        ("upstream_timeout", duration_text(config.upstream_timeout)),
        ("refusal_hold", duration_text(config.refusal_hold)),
        ("rate_limit_status", if config.pass_rate_limit { "429" } else { "503" }.to_owned()),
        ("check", level_word(config.check).to_owned()),
        ("shutdown_grace", duration_text(config.shutdown_grace)),
    ]
}

fn network(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    if let Some(proxy) = &loaded.config.proxy {
        fields.push(("proxy", proxy.url.clone()));
        fields.extend(proxy.no_proxy.clone().map(|hosts| ("no_proxy", hosts)));
    }
    let trust = &loaded.config.trust;
    if *trust == TrustSource::BuiltIn {
        fields.push(("trust", "built-in".to_owned()));
    }
    fields.extend(trust.file().map(|file| ("trust_file", file.display().to_string())));
    fields.extend(trust.dir().map(|dir| ("trust_dir", dir.display().to_string())));
    fields
}
