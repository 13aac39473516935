//! Who the process is to Microsoft Entra, as plain data.

use std::path::{Path, PathBuf};

use crate::endpoint::{Endpoint, LocalEndpoint};
use crate::secret::Secret;

/// How the process proves who it is to Microsoft Entra.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A projected service-account token is exchanged for an access token.
    Workload(WorkloadIdentity),
    /// An endpoint of the machine or the platform gives access tokens away.
    Managed(ManagedIdentity),
    /// An application signs in with a secret or a certificate.
    Application(Application),
}

impl Identity {
    /// The word for it in `IDENTITY_TYPE`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Workload(_) => "workloadIdentity",
            Self::Managed(ManagedIdentity { selection: Selection::System, .. }) => "systemAssigned",
            Self::Managed(_) => "userAssigned",
            Self::Application(_) => "aadApplication",
        }
    }

    /// The projected service account token, where there is one.
    pub fn token_file(&self) -> Option<&Path> {
        match self {
            Self::Workload(identity) => Some(&identity.token_file),
            Self::Managed(_) | Self::Application(_) => None,
        }
    }

    /// The client that signs in at an authority; a managed identity does not.
    pub const fn client(&self) -> Option<&Client> {
        match self {
            Self::Workload(identity) => Some(&identity.client),
            Self::Managed(_) => None,
            Self::Application(identity) => Some(&identity.client),
        }
    }
}

/// A client, the authority that it signs in at, and what it asks for.
#[derive(Clone, Debug)]
pub struct Client {
    /// Application (client) id, a GUID.
    pub client_id: String,
    /// Tenant, a GUID or a verified domain; safe to stand in a path.
    pub tenant_id: String,
    /// Authority host; its target is `/`.
    pub authority: Endpoint,
    /// What the token is for; ends in `/.default`.
    pub scope: String,
}

/// The values that the workload identity webhook puts into a pod.
#[derive(Clone, Debug)]
pub struct WorkloadIdentity {
    /// Who asks, whom and for what.
    pub client: Client,
    /// Projected service-account token; the kubelet replaces it, so it is read again for every exchange.
    pub token_file: PathBuf,
    /// Where the exchange goes in place of the authority.
    pub proxy: Option<TokenProxy>,
}

/// The cluster's own token endpoint (AKS identity bindings). It is never reached through an HTTP proxy.
#[derive(Clone, Debug)]
pub struct TokenProxy {
    /// Its URL without a query; the authority's paths are put behind its own.
    pub endpoint: Endpoint,
    /// Name that its certificate is asked for and checked against, where that is not the URL's host.
    pub server_name: Option<String>,
    /// Who may have signed its certificate.
    pub authorities: Authorities,
}

/// Certificate authorities of a [`TokenProxy`].
#[derive(Clone, Debug)]
pub enum Authorities {
    /// Those of every other connection.
    Common,
    /// Those of a PEM file, which is read again for every exchange.
    File(PathBuf),
    /// Those of a PEM text.
    Text(String),
}

/// A managed identity, and the endpoint that gives its tokens.
#[derive(Clone, Debug)]
pub struct ManagedIdentity {
    /// Who is asked.
    pub endpoint: ManagedEndpoint,
    /// Which of the machine's identities.
    pub selection: Selection,
    /// What the token is for, without `/.default`.
    pub resource: String,
}

/// An endpoint of a machine or platform. None of them is ever reached through an HTTP proxy.
#[derive(Clone, Debug)]
pub enum ManagedEndpoint {
    /// Instance metadata service of an Azure machine: the base of its URLs.
    Imds(LocalEndpoint),
    /// Agent of an Azure Arc machine: the URL of its tokens.
    Arc(LocalEndpoint),
    /// App Service, Container Apps and their like: the URL of their tokens and the value that they want to see.
    AppService(LocalEndpoint, Secret),
}

/// Which identity of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The system-assigned one.
    System,
    /// The user-assigned one with this client id.
    ClientId(String),
    /// The user-assigned one with this object (principal) id.
    ObjectId(String),
    /// The user-assigned one with this resource id.
    ResourceId(String),
}

/// An application of Entra's.
#[derive(Clone, Debug)]
pub struct Application {
    /// Who asks, whom and for what.
    pub client: Client,
    /// What it signs in with.
    pub credential: Credential,
}

/// What an application signs in with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client secret.
    Secret(SecretSource),
    /// A certificate and its key.
    Certificate(CertificateFile),
}

/// Where a client secret stands.
#[derive(Clone, Debug)]
pub enum SecretSource {
    /// In the configuration.
    Value(Secret),
    /// In a file that is read again for every exchange.
    File(PathBuf),
}

/// A certificate and its key in one PEM or PFX file, which is read again for every exchange.
#[derive(Clone, Debug)]
pub struct CertificateFile {
    /// The file.
    pub path: PathBuf,
    /// What the file is encrypted with.
    pub password: Option<Secret>,
    /// Whether the chain goes with each assertion (`x5c`), for applications that trust a name and an issuer in place of
    /// one certificate.
    pub send_chain: bool,
}
