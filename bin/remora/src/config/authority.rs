//! The authority host, which issues tokens.

use remora_smol::cloud::Cloud;
use remora_smol::endpoint::Endpoint;

use super::fault::Reject;
use super::reader::Reader;
use super::settings::{AAD_HOST_ENDPOINT, AZURE_AUTHORITY_HOST, CLOUD, Setting};
use super::url;

/// Reads the authority host. `AZURE_AUTHORITY_HOST` overrides the cloud's own; for a custom cloud `AAD_HOST_ENDPOINT`,
/// which a person set, overrides `AZURE_AUTHORITY_HOST`, which the webhook sets everywhere.
pub(crate) fn read(reader: &mut Reader<'_>, cloud: Cloud) -> Option<Endpoint> {
    let custom = cloud == Cloud::Custom;
    if !custom && reader.given(&AAD_HOST_ENDPOINT).is_some() {
        reader.warn(&AAD_HOST_ENDPOINT, "applies only with CLOUD=AZURECUSTOM and is ignored");
    }
    let order: &[&Setting] =
        if custom { &[&AAD_HOST_ENDPOINT, &AZURE_AUTHORITY_HOST] } else { &[&AZURE_AUTHORITY_HOST] };
    let given = order.iter().find_map(|setting| Some((*setting, reader.given(setting)?)));
    match given {
        Some((setting, text)) => reader.parsed(setting, &text, parse),
        None => own(reader, cloud),
    }
}

/// The cloud's own host.
fn own(reader: &mut Reader<'_>, cloud: Cloud) -> Option<Endpoint> {
    let Some(text) = cloud.authority() else {
        reader.missing(&AAD_HOST_ENDPOINT, "AZURECUSTOM has no default authority; set the URL of the one to use");
        return None;
    };
    reader.parsed(&CLOUD, text, parse)
}

/// An https URL with nothing but a host: Remora itself adds the tenant and the rest of the path.
fn parse(text: &str) -> Result<Endpoint, Reject> {
    let authority = url::parse(text)?;
    if authority.target() == "/" {
        return Ok(authority);
    }
    let fix = format!("use only the host: https://{}/ ; the tenant goes in AZURE_TENANT_ID", authority.authority());
    Err(Reject::new("has a path", fix))
}
