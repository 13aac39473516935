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
    if cloud != Cloud::Custom && reader.given(&AAD_HOST_ENDPOINT).is_some() {
        reader.warn(&AAD_HOST_ENDPOINT, "applies only with CLOUD=AZURECUSTOM and is ignored");
    }
    let setting = setting(reader, cloud);
    match reader.given(setting) {
        Some(text) => reader.parsed(setting, &text, parse),
        None => own(reader, cloud),
    }
}

/// The setting that the authority host comes from, or would come from if neither is set.
pub(crate) fn setting(reader: &Reader<'_>, cloud: Cloud) -> &'static Setting {
    let of_webhook = reader.given(&AAD_HOST_ENDPOINT).is_none() && reader.given(&AZURE_AUTHORITY_HOST).is_some();
    if cloud == Cloud::Custom && !of_webhook { &AAD_HOST_ENDPOINT } else { &AZURE_AUTHORITY_HOST }
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
