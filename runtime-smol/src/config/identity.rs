//! The process's identity in Microsoft Entra, as plain data.

use std::path::{Path, PathBuf};

use crate::endpoint::{Endpoint, LocalEndpoint};
use crate::secret::Secret;

/// How the process authenticates to Microsoft Entra.
#[derive(Clone, Debug)]
pub enum Identity {
    /// A projected service-account token is exchanged for an access token.
    Workload(WorkloadIdentity),
    /// An endpoint of the machine or the platform issues access tokens.
    Managed(ManagedIdentity),
    /// An application signs in with a secret or a certificate.
    Application(Application),
}

impl Identity {
    /// Its name in `IDENTITY_TYPE`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Workload(_) => "workloadIdentity",
            Self::Managed(ManagedIdentity { selection: Selection::System, .. }) => "systemAssigned",
            Self::Managed(_) => "userAssigned",
            Self::Application(_) => "aadApplication",
        }
    }

    /// File of the projected service-account token, if there is one.
    pub fn token_file(&self) -> Option<&Path> {
        match self {
            Self::Workload(identity) => Some(&identity.token_file),
            Self::Managed(_) | Self::Application(_) => None,
        }
    }

    /// The client that signs in at an authority; `None` for a managed identity.
    pub const fn client(&self) -> Option<&Client> {
        match self {
            Self::Workload(identity) => Some(&identity.client),
            Self::Managed(_) => None,
            Self::Application(identity) => Some(&identity.client),
        }
    }

    /// The authority that is asked for tokens; `None` where an endpoint of the machine or of the cluster is.
    pub const fn authority(&self) -> Option<&Endpoint> {
        match self {
            Self::Workload(WorkloadIdentity { proxy: Some(_), .. }) | Self::Managed(_) => None,
            Self::Workload(WorkloadIdentity { client, .. }) => Some(&client.authority),
            Self::Application(identity) => Some(&identity.client.authority),
        }
    }
}

/// A client, the authority where it signs in, and the scope it requests.
#[derive(Clone, Debug)]
pub struct Client {
    /// Application (client) id, a GUID.
    pub client_id: String,
    /// Tenant, a GUID or a verified domain; safe in a URL path.
    pub tenant_id: String,
    /// Authority host; its target is `/`.
    pub authority: Endpoint,
    /// Requested scope; ends in `/.default`.
    pub scope: String,
}

/// The values that the workload identity webhook injects into a pod.
#[derive(Clone, Debug)]
pub struct WorkloadIdentity {
    /// Client, authority and scope.
    pub client: Client,
    /// Projected service-account token; the kubelet replaces it, so it is read again for every exchange.
    pub token_file: PathBuf,
    /// Token endpoint to use in place of the authority.
    pub proxy: Option<TokenProxy>,
}

/// The cluster's own token endpoint (AKS identity bindings). It is never reached through an HTTP proxy.
#[derive(Clone, Debug)]
pub struct TokenProxy {
    /// Its URL without a query; the authority's paths are appended to its own.
    pub endpoint: Endpoint,
    /// TLS server name to send and to check the certificate against, if not the URL's host.
    pub server_name: Option<String>,
    /// Authorities that may have signed its certificate.
    pub authorities: Authorities,
}

/// Certificate authorities of a [`TokenProxy`].
#[derive(Clone, Debug)]
pub enum Authorities {
    /// The same as for every other connection.
    Common,
    /// Those of a PEM file, which is read again for every exchange.
    File(PathBuf),
    /// Those of a PEM text.
    Text(String),
}

/// A managed identity, and the endpoint that issues its tokens.
#[derive(Clone, Debug)]
pub struct ManagedIdentity {
    /// Where tokens are requested.
    pub endpoint: ManagedEndpoint,
    /// Which of the machine's identities.
    pub selection: Selection,
    /// Resource that the token is for, without `/.default`.
    pub resource: String,
}

/// An endpoint of a machine or platform. None of them is ever reached through an HTTP proxy.
#[derive(Clone, Debug)]
pub enum ManagedEndpoint {
    /// Instance metadata service of an Azure machine: the base of its URLs.
    Imds(LocalEndpoint),
    /// Agent of an Azure Arc machine: its token URL.
    Arc(LocalEndpoint),
    /// App Service, Container Apps and similar platforms: the token URL and the header value they require.
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

/// An Entra application.
#[derive(Clone, Debug)]
pub struct Application {
    /// Client, authority and scope.
    pub client: Client,
    /// Its credential.
    pub credential: ApplicationCredential,
}

/// What an application signs in with.
#[derive(Clone, Debug)]
pub enum ApplicationCredential {
    /// A client secret.
    Secret(SecretSource),
    /// A certificate and its key.
    Certificate(CertificateFile),
}

/// Where a client secret is stored.
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
    /// Password that the file is encrypted with.
    pub password: Option<Secret>,
    /// Whether each assertion carries the certificate chain (`x5c`), for applications that trust a subject name and an
    /// issuer in place of one certificate.
    pub send_chain: bool,
}
