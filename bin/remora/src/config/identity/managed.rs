//! Managed identities: the choice of the identity, and of the endpoint that issues its tokens.

use std::path::Path;

use remora_smol::Secret;
use remora_smol::cloud::{Cloud, resource_of};
use remora_smol::config::{ManagedEndpoint, ManagedIdentity, Selection};
use remora_smol::endpoint::LocalEndpoint;

use super::client;
use crate::config::fault::Reject;
use crate::config::reader::Reader;
use crate::config::settings::{
    AZURE_CLIENT_ID, AZURE_MANAGED_IDENTITY_OBJECT_ID, AZURE_MANAGED_IDENTITY_RESOURCE_ID,
    AZURE_POD_IDENTITY_AUTHORITY_HOST, IDENTITY_ENDPOINT, IDENTITY_HEADER, IDENTITY_TYPE, IMDS_ENDPOINT, Setting,
};
use crate::config::url;
use crate::pages::ENV_02;

/// The metadata service of every Azure machine.
const IMDS: &str = "http://169.254.169.254";

/// The Arc agent's own program, and where it listens; its variables are set for services, not for containers.
const ARC_AGENT: &str = "/opt/azcmagent/bin/himds";
const ARC: &str = "http://127.0.0.1:40342/metadata/identity/oauth2/token";

/// The IDs that can name an identity.
const IDS: [&Setting; 3] = [&AZURE_CLIENT_ID, &AZURE_MANAGED_IDENTITY_OBJECT_ID, &AZURE_MANAGED_IDENTITY_RESOURCE_ID];

/// An identity that is named. The choice is never implicit: another identity may be added to the machine later.
pub(super) fn user_assigned(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<ManagedIdentity> {
    let selection = selection(reader);
    let identity = read(reader, cloud, selection?)?;
    if matches!(identity.endpoint, ManagedEndpoint::Arc(_)) {
        let fix = "set IDENTITY_TYPE=systemAssigned and grant that identity the role";
        let reject = Reject::new("is not supported by Remora on an Azure Arc machine", fix);
        reader.fault(IDENTITY_TYPE.name, Some("userAssigned"), reject);
        return None;
    }
    Some(identity)
}

/// The machine's own identity.
pub(super) fn system_assigned(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<ManagedIdentity> {
    for setting in IDS.into_iter().filter(|setting| reader.given(setting).is_some()).collect::<Vec<_>>() {
        reader.warn_on(&ENV_02, setting, "is ignored with IDENTITY_TYPE=systemAssigned; userAssigned uses it");
    }
    read(reader, cloud, Selection::System)
}

fn read(reader: &mut Reader<'_>, cloud: Option<Cloud>, selection: Selection) -> Option<ManagedIdentity> {
    let endpoint = endpoint(reader);
    let scope = client::scope(reader, cloud?)?;
    let resource = resource_of(&scope).to_owned();
    Some(ManagedIdentity { endpoint: endpoint?, selection, resource })
}

/// Exactly one of the three IDs.
fn selection(reader: &mut Reader<'_>) -> Option<Selection> {
    let given: Vec<&Setting> = IDS.into_iter().filter(|setting| reader.given(setting).is_some()).collect();
    match given.as_slice() {
        [] => {
            let fix = "use the client ID of the managed identity:\naz identity show -g <group> -n <identity> --query clientId -o tsv";
            reader.missing(&AZURE_CLIENT_ID, fix);
            None
        }
        [_] => {
            let client = client::own_id(reader).map(Selection::ClientId);
            let object = reader.value(&AZURE_MANAGED_IDENTITY_OBJECT_ID, object_id).map(Selection::ObjectId);
            let resource = reader.value(&AZURE_MANAGED_IDENTITY_RESOURCE_ID, resource_id).map(Selection::ResourceId);
            client.or(object).or(resource)
        }
        [first, second, ..] => {
            let wrong = format!("is set together with {}", second.name);
            reader.fault(first.name, None, Reject::new(wrong, "keep only one of them; they name the same identity"));
            None
        }
    }
}

fn object_id(text: &str) -> Result<String, Reject> {
    let fix = "use the principal ID:\naz identity show -g <group> -n <identity> --query principalId -o tsv";
    if client::is_guid(text) { Ok(text.to_owned()) } else { Err(Reject::new("is not a GUID", fix)) }
}

fn resource_id(text: &str) -> Result<String, Reject> {
    let fix = "use the full ID:\naz identity show -g <group> -n <identity> --query id -o tsv";
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if plain && text.starts_with("/subscriptions/") {
        Ok(text.to_owned())
    } else {
        Err(Reject::new("is not a resource ID", fix))
    }
}

/// The endpoint, in the order in which Microsoft's libraries search: platform, Arc, metadata service.
fn endpoint(reader: &mut Reader<'_>) -> Option<ManagedEndpoint> {
    if reader.given(&IDENTITY_ENDPOINT).is_some() {
        return announced(reader);
    }
    if reader.given(&AZURE_POD_IDENTITY_AUTHORITY_HOST).is_some() {
        return reader.value(&AZURE_POD_IDENTITY_AUTHORITY_HOST, host).map(ManagedEndpoint::Imds);
    }
    if Path::new(ARC_AGENT).exists() {
        return LocalEndpoint::parse(ARC).ok().map(ManagedEndpoint::Arc);
    }
    LocalEndpoint::parse(IMDS).ok().map(ManagedEndpoint::Imds)
}

/// The endpoint that the platform's variables name.
fn announced(reader: &mut Reader<'_>) -> Option<ManagedEndpoint> {
    if reader.var("IDENTITY_SERVER_THUMBPRINT").is_some() {
        let reject =
            Reject::new("belongs to Service Fabric, which is not supported", "use IDENTITY_TYPE=aadApplication");
        reader.fault(IDENTITY_ENDPOINT.name, None, reject);
        return None;
    }
    let url = reader.value(&IDENTITY_ENDPOINT, local)?;
    if reader.given(&IDENTITY_HEADER).is_some() {
        let header = reader.text(&IDENTITY_HEADER)?;
        return Some(ManagedEndpoint::AppService(url, Secret::new(header)));
    }
    if reader.given(&IMDS_ENDPOINT).is_some() {
        return Some(ManagedEndpoint::Arc(url));
    }
    let fix = "set IDENTITY_HEADER (App Service, Container Apps) or IMDS_ENDPOINT (Azure Arc) as the platform does, or unset this";
    reader.fault(IDENTITY_ENDPOINT.name, None, Reject::new("is set on its own", fix));
    None
}

fn local(text: &str) -> Result<LocalEndpoint, Reject> {
    LocalEndpoint::parse(text).map_err(|error| Reject::new(error.to_string(), url::fix(error)))
}

/// Only a host: the metadata service's path is fixed.
fn host(text: &str) -> Result<LocalEndpoint, Reject> {
    let url = local(text)?;
    if url.path() == "/" {
        Ok(url)
    } else {
        Err(Reject::new("has a path", format!("use only the host: http://{}/", url.authority())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_can_be_named_in_three_ways() {
        assert!(object_id("3913510d-42f4-4e42-8a64-420c390055eb").is_ok());
        assert!(object_id("prometheus").is_err());
        assert!(resource_id("/subscriptions/s/resourcegroups/g/providers/x").is_ok());
        for text in ["prometheus", "/subscriptions/a b", "https://x/subscriptions/"] {
            assert!(resource_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_are_asked_for_on_this_machine_alone() {
        assert!(host("http://127.0.0.1:9/").is_ok());
        assert!(local("http://localhost:42356/msi/token").is_ok());
        assert!(host("http://127.0.0.1/metadata").expect_err("a path").fix.ends_with("http://127.0.0.1/"));
        for text in ["http://imds.example/", "https://127.0.0.1/", "http://10.1.2.3/"] {
            assert!(!host(text).expect_err(text).fix.is_empty());
        }
    }
}
