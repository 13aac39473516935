//! Whether the authority, the audience and `INGESTION_URL` belong to one cloud. `CLOUD` only fills in what is not set,
//! so the values in effect count.

use remora_smol::cloud::Cloud;
use remora_smol::config::{Config, Identity};
use remora_smol::endpoint::Endpoint;

use super::identity::audience;
use super::reader::Reader;
use super::settings::{CLOUD, INGESTION_AAD_AUDIENCE};
use crate::pages::ENV_04;

/// Warns about what belongs to another cloud than the rest.
pub(super) fn judge(reader: &mut Reader<'_>, cloud: Cloud, config: &Config) {
    if cloud == Cloud::Custom || is_one(config) {
        return;
    }
    warn_of_other_ingestion(reader, cloud, config.ingestion.host());
    warn_of_other_authority(reader, cloud, config);
    warn_of_other_audience(reader, cloud, config);
    warn_of_hosts_elsewhere(reader, cloud, config);
}

/// The cloud of the ingestion endpoint, if it is known and refuses the audience in effect.
pub(crate) fn refusing(cloud: Cloud, config: &Config) -> Option<Cloud> {
    let own = Cloud::of_ingestion(config.ingestion.host()).filter(|own| *own != cloud && cloud != Cloud::Custom)?;
    let is_other = Cloud::of_audience(audience(&config.identity)).is_some_and(|other| other != own);
    is_other.then_some(own)
}

/// Whether all parts are known to belong to the same cloud, which need not be that of `CLOUD`.
fn is_one(config: &Config) -> bool {
    let own = Cloud::of_ingestion(config.ingestion.host());
    let authority = authority(&config.identity);
    own.is_some()
        && own == Cloud::of_audience(audience(&config.identity))
        && authority.is_none_or(|host| own == Cloud::of_authority(host))
}

/// The host of the authority, if one is asked.
fn authority(identity: &Identity) -> Option<&str> {
    identity.authority().map(Endpoint::host)
}

fn warn_of_other_ingestion(reader: &mut Reader<'_>, cloud: Cloud, host: &str) {
    if let Some(other) = Cloud::of_ingestion(host).filter(|other| *other != cloud) {
        let (own, name) = (cloud.name(), other.name());
        let text = format!("is {own}, but {host} in INGESTION_URL belongs to {name}; set CLOUD={name}");
        reader.warn_on(&ENV_04, &CLOUD, text);
    }
}

/// The workspace's cloud is right, so an authority of another one is what has to change.
fn warn_of_other_authority(reader: &mut Reader<'_>, cloud: Cloud, config: &Config) {
    let Some(host) = authority(&config.identity) else { return };
    let Some(other) = Cloud::of_authority(host).filter(|other| *other != cloud) else { return };
    let (own, name) = (cloud.name(), other.name());
    let of_workspace = Cloud::of_ingestion(config.ingestion.host()).filter(|workspace| *workspace != other);
    let fix = match of_workspace.and_then(Cloud::authority) {
        Some(right) => format!("AZURE_AUTHORITY_HOST={right}"),
        None => format!("CLOUD={name}"),
    };
    reader.warn_on(&ENV_04, &CLOUD, format!("is {own}, but the authority {host} belongs to {name}; set {fix}"));
}

/// An audience that the ingestion endpoint accepts is right, whatever `CLOUD` says.
fn warn_of_other_audience(reader: &mut Reader<'_>, cloud: Cloud, config: &Config) {
    let own = Cloud::of_ingestion(config.ingestion.host());
    let requested = audience(&config.identity);
    let known = Cloud::of_audience(requested);
    if let Some(right) = own.and_then(Cloud::audience).filter(|_| known.is_none()) {
        let text = format!(
            "asks for a token for {requested}, but Azure Monitor's ingestion, where INGESTION_URL leads, accepts those \
             for {right}; unset it"
        );
        return reader.warn(&INGESTION_AAD_AUDIENCE, text);
    }
    let other = known.filter(|other| *other != cloud);
    let Some(other) = other.filter(|other| own != Some(*other)) else { return };
    let name = other.name();
    let text = if own == Some(cloud) {
        format!("is the audience of {name}, but INGESTION_URL belongs to {}; unset it", cloud.name())
    } else {
        format!("is the audience of {name}, but CLOUD is {}; unset it, or set CLOUD={name}", cloud.name())
    };
    reader.warn(&INGESTION_AAD_AUDIENCE, text);
}

/// A host of a cloud without a name here would get the audience of `CLOUD`. It may also be one that forwards to that
/// cloud: who sets its audience has thought of it.
fn warn_of_hosts_elsewhere(reader: &mut Reader<'_>, cloud: Cloud, config: &Config) {
    let requested = audience(&config.identity);
    let is_meant = reader.given(&INGESTION_AAD_AUDIENCE).is_some() && Cloud::of_audience(requested) == Some(cloud);
    let hosts = authority(&config.identity).into_iter().chain([config.ingestion.host()]);
    let hosts: Vec<_> = hosts.filter(|host| Cloud::is_elsewhere(host)).collect();
    let Some(presumed) = cloud.audience().filter(|_| !is_meant && !hosts.is_empty()) else { return };
    let (own, hosts) = (cloud.name(), hosts.join(" and "));
    let text = format!(
        "is {own}, whose domains do not include {hosts}, and the token is requested for {requested}; set \
         CLOUD=AZURECUSTOM and INGESTION_AAD_AUDIENCE to the audience of the right cloud, or \
         INGESTION_AAD_AUDIENCE={presumed} if what answers there forwards to {own}"
    );
    reader.warn_on(&ENV_04, &CLOUD, text);
}
