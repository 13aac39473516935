//! The client, its tenant, its authority and the scope that it requests.

use remora_smol::cloud::{Cloud, DEFAULT_SCOPE, resource_of};
use remora_smol::config::Client;

use crate::config::authority;
use crate::config::fault::{Reject, holds_client_secret};
use crate::config::reader::Reader;
use crate::config::settings::{AZURE_CLIENT_ID, AZURE_TENANT_ID, INGESTION_AAD_AUDIENCE};

/// Reads all parts before giving up on one. The caller reports missing parts, because it knows the reason.
pub(super) fn read(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<Client> {
    let client_id = own_id(reader);
    let tenant_id = reader.value(&AZURE_TENANT_ID, tenant_id);
    let cloud = cloud?;
    let authority = authority::read(reader, cloud);
    let scope = scope(reader, cloud);
    Some(Client { client_id: client_id?, tenant_id: tenant_id?, authority: authority?, scope: scope? })
}

/// Reads the client ID, and warns if it is the tenant's.
pub(super) fn own_id(reader: &mut Reader<'_>) -> Option<String> {
    let id = reader.value(&AZURE_CLIENT_ID, client_id)?;
    if reader.given(&AZURE_TENANT_ID).is_some_and(|tenant| tenant.eq_ignore_ascii_case(&id)) {
        let text = "is the same as AZURE_TENANT_ID, the ID of the tenant; use the client ID of the identity";
        reader.warn(&AZURE_CLIENT_ID, text);
    }
    Some(id)
}

/// A client ID: a GUID other than all zeros, which Entra refuses (AADSTS700038) and which stands for the real one in the
/// files of `scripts/deploy`.
fn client_id(text: &str) -> Result<String, Reject> {
    if !is_guid(text) {
        return Err(Reject::new(
            "is not a GUID",
            "use the client ID, not the name, of the identity or of the application:\n\
             az identity show -g <group> -n <identity> --query clientId -o tsv\n\
             az ad app list --display-name <name> --query '[].appId' -o tsv",
        ));
    }
    if text.bytes().all(|byte| matches!(byte, b'0' | b'-')) {
        return Err(Reject::new(
            "is the placeholder of the example files",
            "put the identity's client ID in its place, in the annotation or the variable that holds it:\n\
             az identity show -g <group> -n <identity> --query clientId -o tsv",
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn is_guid(text: &str) -> bool {
    let lengths = [8, 4, 4, 4, 12];
    let mut parts = text.split('-');
    let fits = |length: &usize| {
        parts.next().is_some_and(|part| part.len() == *length && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    lengths.iter().all(fits) && parts.next().is_none()
}

/// A tenant: a GUID, or a domain of letters, digits, dots and hyphens, so that it is safe in a path. The shared names
/// are not tenants, and applications cannot get a token from them.
fn tenant_id(text: &str) -> Result<String, Reject> {
    let fix = "use the tenant ID:\naz account show --query tenantId -o tsv";
    if matches!(text.to_ascii_lowercase().as_str(), "common" | "organizations" | "consumers" | "adfs") {
        return Err(Reject::new("is not a single Entra tenant", fix));
    }
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    if plain && text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return Ok(text.to_owned());
    }
    Err(Reject::new("is neither a GUID nor a domain", fix))
}

/// The configured scope, or the cloud's.
pub(super) fn scope(reader: &mut Reader<'_>, cloud: Cloud) -> Option<String> {
    if let Some(text) = reader.given(&INGESTION_AAD_AUDIENCE) {
        return reader.parsed(&INGESTION_AAD_AUDIENCE, &text, parse_scope);
    }
    if cloud.scope().is_none() {
        reader.missing(&INGESTION_AAD_AUDIENCE, "AZURECUSTOM has no default audience; use that of its Azure Monitor");
    }
    cloud.scope().map(str::to_owned)
}

/// A resource ID with or without `/.default`. The ID's own trailing slash is kept: Entra removes only the suffix, so
/// `https://monitor.azure.com/` becomes a scope with two slashes.
fn parse_scope(text: &str) -> Result<String, Reject> {
    let resource = resource_of(text);
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'');
    // A suffix that is still there is not at the end, or is there twice.
    let is_one = !resource.is_empty() && resource.bytes().all(is_plain) && !resource.contains(DEFAULT_SCOPE);
    if !is_one || holds_client_secret(resource) {
        return Err(Reject::new(
            "is not a single resource",
            "use one resource, for example https://monitor.azure.com/.default",
        ));
    }
    Ok(format!("{resource}{DEFAULT_SCOPE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn the_id_of_the_example_files_is_called_a_placeholder() {
        let account = include_str!("../../../../../scripts/deploy/shared/serviceaccount.yaml");
        let (_, id) = account.split_once("azure.workload.identity/client-id: ").expect("an annotation");
        let reject = client_id(id.lines().next().expect("an ID")).expect_err("a placeholder");
        assert!(reject.wrong.contains("placeholder") && reject.fix.contains("az identity show"), "{reject:?}");
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
        for text in [
            "/.default",
            "a b",
            "https://a/.default https://b/.default",
            "https://a/.default/",
            "https://a/.default/.default",
            "https://a\"/.default",
        ] {
            assert!(parse_scope(text).is_err(), "{text}");
        }
    }
}
