//! The effective configuration, for the log line at startup and for `/status`: under the names of the settings in lower
//! case, without secrets, and with nothing that has to be looked up.

use remora_smol::config::{
    ApplicationCredential, Authorities, Client, Identity, ManagedEndpoint, ManagedIdentity, SecretSource, Selection,
    TokenProxy,
};

use super::Loaded;
use super::fault::{without_keys, without_secrets};
use super::forwarding::level_word;
use super::quantity::{duration_text, size_text};
use super::settings::{self, AAD_HOST_ENDPOINT, Group, Setting};

/// Whether a field describes the identity.
pub(crate) fn is_identity(name: &str) -> bool {
    let mut settings = settings::ALL.iter().filter(|setting| setting.group == Group::Identity);
    settings.any(|setting| setting.name.eq_ignore_ascii_case(name))
}

/// Names and values in the order of the settings. Unset settings are left out.
pub(crate) fn fields(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let mut fields = azure(loaded);
    fields.extend(listening(loaded));
    fields.extend(limits(loaded));
    fields.extend(forwarding(loaded));
    fields.extend(network(loaded));
    fields.push(("log_level", loaded.level.word().to_owned()));
    fields.push(("log_format", loaded.format.word().to_owned()));
    // All values, since a secret may have been pasted into any variable that accepts text.
    fields.into_iter().map(|(name, value)| (name, without_secrets(&value))).collect()
}

fn azure(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("ingestion_url", without_keys(&loaded.config.ingestion.to_string())),
        ("cloud", loaded.cloud.name().to_owned()),
    ];
    fields.extend(identity(loaded.authority, &loaded.config.identity));
    fields.extend(loaded.cluster.clone().map(|cluster| ("cluster", cluster)));
    fields
}

fn identity(authority: &Setting, identity: &Identity) -> Vec<(&'static str, String)> {
    let mut fields = vec![("identity_type", identity.kind().to_owned())];
    match identity {
        Identity::Workload(workload) => {
            fields.extend(client(authority, &workload.client));
            fields.push(("azure_federated_token_file", workload.token_file.display().to_string()));
            if let Some(proxy) = &workload.proxy {
                fields.extend(token_proxy(proxy));
            }
        }
        Identity::Managed(managed) => fields.extend(self::managed(managed)),
        Identity::Application(application) => {
            fields.extend(client(authority, &application.client));
            fields.extend(credential(&application.credential));
        }
    }
    fields
}

fn client(authority: &Setting, client: &Client) -> [(&'static str, String); 4] {
    let authority = if authority.name == AAD_HOST_ENDPOINT.name { "aad_host_endpoint" } else { "azure_authority_host" };
    [
        ("azure_client_id", client.client_id.clone()),
        ("azure_tenant_id", client.tenant_id.clone()),
        (authority, client.authority.to_string()),
        ("ingestion_aad_audience", client.scope.clone()),
    ]
}

fn token_proxy(proxy: &TokenProxy) -> Vec<(&'static str, String)> {
    let mut fields = vec![("azure_kubernetes_token_proxy", proxy.endpoint.to_string())];
    fields.extend(proxy.server_name.clone().map(|name| ("azure_kubernetes_sni_name", name)));
    match &proxy.authorities {
        Authorities::Common => {}
        Authorities::File(path) => fields.push(("azure_kubernetes_ca_file", path.display().to_string())),
        Authorities::Text(_) => fields.push(("azure_kubernetes_ca_data", "(certificates, not shown)".to_owned())),
    }
    fields
}

fn managed(identity: &ManagedIdentity) -> Vec<(&'static str, String)> {
    let mut fields = match &identity.endpoint {
        ManagedEndpoint::Imds(url) => vec![("azure_pod_identity_authority_host", url.to_string())],
        ManagedEndpoint::Arc(url) => vec![("identity_endpoint", url.to_string())],
        ManagedEndpoint::AppService(url, _) => {
            vec![("identity_endpoint", url.to_string()), ("identity_header", "***".to_owned())]
        }
    };
    fields.push(("ingestion_aad_audience", identity.resource.clone()));
    match &identity.selection {
        Selection::System => {}
        Selection::ClientId(id) => fields.push(("azure_client_id", id.clone())),
        Selection::ObjectId(id) => fields.push(("azure_managed_identity_object_id", id.clone())),
        Selection::ResourceId(id) => fields.push(("azure_managed_identity_resource_id", id.clone())),
    }
    fields
}

fn credential(credential: &ApplicationCredential) -> Vec<(&'static str, String)> {
    match credential {
        ApplicationCredential::Secret(SecretSource::Value(_)) => vec![("azure_client_secret", "***".to_owned())],
        ApplicationCredential::Secret(SecretSource::File(path)) => {
            vec![("azure_client_secret_file", path.display().to_string())]
        }
        ApplicationCredential::Certificate(file) => {
            let mut fields = vec![("azure_client_certificate_path", file.path.display().to_string())];
            let password = file.password.as_ref();
            fields.extend(password.map(|_| ("azure_client_certificate_password", "***".to_owned())));
            fields.push(("azure_client_send_certificate_chain", file.send_chain.to_string()));
            fields
        }
    }
}

fn listening(loaded: &Loaded) -> Vec<(&'static str, String)> {
    let listen = &loaded.config.listen;
    let networks: Vec<_> = listen.allowed_sources.iter().map(ToString::to_string).collect();
    let mut fields = vec![("listening_port", listen.port.to_string())];
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
        fields.push(("https_proxy", proxy.url.clone()));
        fields.extend(proxy.no_proxy.clone().map(|hosts| ("no_proxy", hosts)));
    }
    let trust = &loaded.config.trust;
    fields.extend(trust.file().map(|file| ("ssl_cert_file", file.display().to_string())));
    let dirs: Vec<_> = trust.dirs().iter().map(|dir| dir.display().to_string()).collect();
    fields.extend((!dirs.is_empty()).then(|| ("ssl_cert_dir", dirs.join(":"))));
    fields
}
