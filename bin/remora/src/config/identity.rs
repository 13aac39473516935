//! The identity that the process presents to Microsoft Entra: its kind and its parts.

mod application;
mod binding;
mod client;
mod managed;
mod workload;

use remora_smol::cloud::{Cloud, resource_of};
use remora_smol::config::Identity;

use super::fault::Reject;
use super::reader::Reader;
use super::settings::IDENTITY_TYPE;

/// The values of `IDENTITY_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// That of a service account, with the variables of the webhook.
    Workload,
    /// One that is assigned to a machine or an app, and named.
    UserAssigned,
    /// The machine's or the app's own.
    SystemAssigned,
    /// An application with a secret or a certificate.
    Application,
}

/// Reads the identity. Faults in its parts are reported only if its kind is known.
pub(crate) fn read(reader: &mut Reader<'_>, cloud: Option<Cloud>) -> Option<Identity> {
    match named(reader)? {
        Kind::Workload => workload::read(reader, cloud).map(Identity::Workload),
        Kind::UserAssigned => managed::user_assigned(reader, cloud).map(Identity::Managed),
        Kind::SystemAssigned => managed::system_assigned(reader, cloud).map(Identity::Managed),
        Kind::Application => application::read(reader, cloud).map(Identity::Application),
    }
}

/// The audience of the tokens that are requested, without `/.default`.
pub(crate) fn audience(identity: &Identity) -> &str {
    match identity {
        Identity::Managed(managed) => &managed.resource,
        other => other.client().map_or("", |client| resource_of(&client.scope)),
    }
}

/// Whether this kind of identity is set up by the webhook.
pub(crate) fn is_workload(reader: &Reader<'_>) -> bool {
    let named = reader.given(&IDENTITY_TYPE).is_none_or(|text| kind(&text) == Ok(Kind::Workload));
    named && workload::instead(reader).is_none()
}

/// The kind that `IDENTITY_TYPE` names, whatever the other settings are.
pub(crate) fn named(reader: &mut Reader<'_>) -> Option<Kind> {
    reader.value(&IDENTITY_TYPE, kind)
}

fn kind(text: &str) -> Result<Kind, Reject> {
    match text.to_ascii_lowercase().as_str() {
        "workloadidentity" => Ok(Kind::Workload),
        "userassigned" => Ok(Kind::UserAssigned),
        "systemassigned" => Ok(Kind::SystemAssigned),
        "aadapplication" => Ok(Kind::Application),
        _ => Err(Reject::new(
            "is not an identity type",
            "use workloadIdentity, userAssigned, systemAssigned or aadApplication",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_in_any_case() {
        for (text, expected) in [
            ("workloadIdentity", Kind::Workload),
            ("WORKLOADIDENTITY", Kind::Workload),
            ("UserAssigned", Kind::UserAssigned),
            ("systemassigned", Kind::SystemAssigned),
            ("aadApplication", Kind::Application),
        ] {
            assert_eq!(kind(text), Ok(expected), "{text}");
        }
        let reject = kind("msi").expect_err("unknown");
        for known in ["workloadIdentity", "userAssigned", "systemAssigned", "aadApplication"] {
            assert!(reject.fix.contains(known), "{known}");
        }
    }
}
