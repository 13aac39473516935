//! The subject of an access token: the application, or one of the machine's managed identities.

use crate::settings::{Settings, UserAssigned};

/// Client ID and object ID of the machine's own identity.
const SYSTEM: [&str; 2] = ["7e57c0de-0000-4000-8000-000000000008", "7e57c0de-0000-4000-8000-000000000009"];

/// The resource group of the emulated machine and its identities.
const GROUP: &str = "/subscriptions/7e57c0de-0000-4000-8000-000000000007/resourcegroups/emulated";

/// How a client authenticated: the claim `appidacr`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A client secret.
    Secret,
    /// A signature: with a certificate, by a federated issuer, or by the platform.
    Asymmetric,
}

impl Proof {
    /// The claim's value.
    pub(crate) fn as_claim(self) -> &'static str {
        match self {
            Proof::Secret => "1",
            Proof::Asymmetric => "2",
        }
    }
}

/// A service principal of the tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) client_id: String,
    pub(crate) object_id: String,
    /// Azure's resource ID of a managed identity, or of the machine that has it.
    pub(crate) resource_id: Option<String>,
    pub(crate) proof: Proof,
}

impl Principal {
    /// The single client of the settings.
    pub(crate) fn application(settings: &Settings, proof: Proof) -> Self {
        let (client_id, object_id) = (settings.client_id.clone(), settings.object_id.clone());
        Principal { client_id, object_id, resource_id: None, proof }
    }

    /// The machine's own identity.
    pub(crate) fn system_assigned() -> Self {
        let [client_id, object_id] = SYSTEM.map(str::to_owned);
        let resource_id = Some(format!("{GROUP}/providers/Microsoft.Compute/virtualMachines/emulated"));
        Principal { client_id, object_id, resource_id, proof: Proof::Asymmetric }
    }

    /// One of the identities assigned to the machine; omitted fields are those of the settings' client.
    pub(crate) fn user_assigned(settings: &Settings, identity: &UserAssigned) -> Self {
        let own = Self::application(settings, Proof::Asymmetric);
        let path = || format!("{GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/prometheus");
        Principal {
            client_id: identity.client_id.clone().unwrap_or(own.client_id),
            object_id: identity.object_id.clone().unwrap_or(own.object_id),
            resource_id: Some(identity.resource_id.clone().unwrap_or_else(path)),
            proof: Proof::Asymmetric,
        }
    }
}
