//! Who the process is to Microsoft Entra: the kind of identity, and the parts of a workload identity.

use remora_smol::config::{Identity, WorkloadIdentity};

use super::authority;
use super::cloud::Cloud;
use super::fault::Reject;
use super::reader::Reader;
use super::settings::{
    AZURE_CLIENT_ID, AZURE_FEDERATED_TOKEN_FILE, AZURE_TENANT_ID, IDENTITY_TYPE, INGESTION_AAD_AUDIENCE,
};
use super::{token_file, webhook};

/// Suffix that asks for all of a resource's application permissions.
const DEFAULT_SCOPE: &str = "/.default";

/// Reads the identity. Faults in the parts of an identity are only looked for once its kind is known.
pub(crate) fn read(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<Identity> {
    reader.value(&IDENTITY_TYPE, check_type)?;
    webhook::report_missing(reader);
    let client_id = reader.value(&AZURE_CLIENT_ID, client_id);
    let tenant_id = reader.value(&AZURE_TENANT_ID, tenant_id);
    let token_file = reader.value(&AZURE_FEDERATED_TOKEN_FILE, token_file::check);
    if reader.var("AZURE_KUBERNETES_TOKEN_PROXY").is_some() {
        reader.warn(
            &IDENTITY_TYPE,
            "AZURE_KUBERNETES_TOKEN_PROXY is set, but identity bindings are not built yet: \
             tokens are asked for at the authority itself",
        );
    }
    let cloud = cloud?;
    let authority = authority::read(reader, cloud);
    let scope = scope(reader, cloud);
    Some(Identity::Workload(WorkloadIdentity {
        client_id: client_id?,
        tenant_id: tenant_id?,
        token_file: token_file?,
        authority: authority?,
        scope: scope?,
    }))
}

/// Accepts the identity type that is built, in any case, and says of the others what can be done.
fn check_type(text: &str) -> Result<(), Reject> {
    const FEDERATE: &str =
        "set IDENTITY_TYPE=workloadIdentity and add a federated credential for the pod's service account to the ";
    match text.to_ascii_lowercase().as_str() {
        "workloadidentity" => Ok(()),
        "userassigned" => Err(Reject::new(
            "asks the node for a user-assigned identity, which is not built yet",
            format!("{FEDERATE}same managed identity"),
        )),
        "systemassigned" => Err(Reject::new(
            "asks the node for its system-assigned identity, which is not built yet",
            format!("{FEDERATE}user-assigned identity that is allowed to publish metrics"),
        )),
        "aadapplication" => Err(Reject::new(
            "signs in with an application's certificate or secret, which is not built yet",
            format!("{FEDERATE}same application; no certificate is needed then"),
        )),
        _ => Err(Reject::new(
            "is no identity type",
            "use workloadIdentity; userAssigned, systemAssigned and aadApplication are known but not built yet",
        )),
    }
}

/// A client id: a GUID, but not the one of zeros, which Entra refuses (AADSTS700038).
fn client_id(text: &str) -> Result<String, Reject> {
    if is_guid(text) && text.bytes().any(|byte| !matches!(byte, b'0' | b'-')) {
        return Ok(text.to_owned());
    }
    Err(Reject::new(
        "is not a GUID",
        "give the client id, not the name:\naz identity show -g <group> -n <identity> --query clientId -o tsv",
    ))
}

fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    let fits = |length: &usize| {
        parts.next().is_some_and(|part| part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    lengths.iter().all(fits) && parts.next().is_none()
}

/// A tenant: GUID or domain of letters, digits, dots and hyphens, so that it can stand in a path. The shared names are
/// no tenants, and applications cannot get a token from them.
fn tenant_id(text: &str) -> Result<String, Reject> {
    let fix = "give the tenant id:\naz account show --query tenantId -o tsv";
    if matches!(text.to_ascii_lowercase().as_str(), "common" | "organizations" | "consumers" | "adfs") {
        return Err(Reject::new("is not a single Entra tenant", fix));
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    if plain && text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    Err(Reject::new("is neither a GUID nor a domain", fix))
}

/// The scope that was given, or that of the cloud.
fn scope(reader: &mut Reader<'_>, cloud: Cloud) -> Option<String> {
    if let Some(text) = reader.given(&INGESTION_AAD_AUDIENCE) {
        return reader.parsed(&INGESTION_AAD_AUDIENCE, &text, parse_scope);
    }
    if cloud.scope().is_none() {
        reader
            .missing(&INGESTION_AAD_AUDIENCE, "AZURECUSTOM has no audience of its own; give that of its Azure Monitor");
    }
    cloud.scope().map(str::to_owned)
}

/// A resource id with or without `/.default`. The id's own trailing slash is kept: Entra takes away the suffix alone,
/// so that `https://monitor.azure.com/` becomes a scope with two slashes.
fn parse_scope(text: &str) -> Result<String, Reject> {
    let resource = text.strip_suffix(DEFAULT_SCOPE).unwrap_or(text);
    if resource.is_empty() || !resource.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Reject::new(
            "is not one resource",
            "give one resource, for example https://monitor.azure.com/.default",
        ));
    }
    Ok(format!("{resource}{DEFAULT_SCOPE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_workload_identity_is_built_and_the_others_are_named() {
        for text in ["workloadIdentity", "WORKLOADIDENTITY", "workloadidentity"] {
            assert_eq!(check_type(text), Ok(()), "{text}");
        }
        for text in ["userAssigned", "SYSTEMASSIGNED", "aadApplication"] {
            let reject = check_type(text).expect_err(text);
            assert!(reject.wrong.ends_with("not built yet"), "{text}");
            assert!(reject.fix.contains("IDENTITY_TYPE=workloadIdentity"), "{text}");
        }
        let reject = check_type("msi").expect_err("unknown");
        for known in ["workloadIdentity", "userAssigned", "systemAssigned", "aadApplication"] {
            assert!(reject.fix.contains(known), "{known}");
        }
    }

    #[test]
    fn client_ids_are_guids() {
        assert!(client_id("3913510d-42f4-4e42-8a64-420C390055EB").is_ok());
        for text in [
            "00000000-0000-0000-0000-000000000000",
            "3913510d42f44e428a64420c390055eb",
            "3913510d-42f4-4e42-8a64-420c390055e",
            "3913510d-42f4-4e42-8a64-420c390055eb-",
            "3913510g-42f4-4e42-8a64-420c390055eb",
            "<CLIENT_ID>",
        ] {
            assert!(client_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tenants_are_guids_or_domains() {
        for text in ["3913510d-42f4-4e42-8a64-420c390055eb", "contoso.onmicrosoft.com"] {
            assert!(tenant_id(text).is_ok(), "{text}");
        }
        for text in ["common", "Organizations", "adfs", "..", "a/b", "a b", "<TENANT_ID>", "-a"] {
            assert!(tenant_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn scopes_end_in_default_and_keep_the_resources_own_slash() {
        for (text, scope) in [
            ("https://monitor.azure.us", "https://monitor.azure.us/.default"),
            ("https://monitor.azure.us/", "https://monitor.azure.us//.default"),
            ("https://monitor.azure.us/.default", "https://monitor.azure.us/.default"),
            ("https://monitor.azure.us//.default", "https://monitor.azure.us//.default"),
        ] {
            assert_eq!(parse_scope(text).as_deref(), Ok(scope), "{text}");
        }
        for text in ["/.default", "a b", "https://a/.default https://b/.default"] {
            assert!(parse_scope(text).is_err(), "{text}");
        }
    }
}
