//! Managed identities of Azure machines: the instance metadata service gives tokens to whoever asks on the machine.

use super::answer::{self, Origin};
use super::http::Http;
use super::{Exchange, Exchanged};
use crate::config::{ManagedIdentity, Selection};
use crate::endpoint::LocalEndpoint;
use crate::hint::{self, Sent};

const PATH: &str = "/metadata/identity/oauth2/token";
const API_VERSION: &str = "2018-02-01";

/// A machine's metadata service, and which of its identities is meant.
pub(super) struct Imds {
    http: Http,
    base: LocalEndpoint,
    identity: ManagedIdentity,
}

impl Imds {
    pub(super) fn new(identity: &ManagedIdentity, base: &LocalEndpoint) -> Self {
        Self { http: Http::local(base.address()), base: base.clone(), identity: identity.clone() }
    }
}

impl Exchange for Imds {
    fn attempt(&mut self) -> Exchanged {
        let host = self.base.authority();
        let sent = sent(&self.identity, host);
        let url = format!("http://{host}{PATH}");
        let query = query(&self.identity, API_VERSION, "msi_res_id");
        let answer = self.http.get(&url, host, &query, &[("Metadata", "true")]);
        // Without an answer this hint says more than the network's.
        let answer = answer.map_err(|failure| failure.with_hint(&hint::IMDS_UNREACHABLE));
        answer.and_then(|answer| answer::decode(Origin::Imds, &answer)).map_err(|failure| failure.with_sent(&sent))
    }
}

/// The query of every managed identity's endpoint, but for the name that a resource id has.
pub(super) fn query<'q>(
    identity: &'q ManagedIdentity,
    api_version: &'q str,
    resource_id: &'q str,
) -> Vec<(&'q str, &'q str)> {
    let mut query = vec![("api-version", api_version), ("resource", identity.resource.as_str())];
    match &identity.selection {
        Selection::System => {}
        Selection::ClientId(id) => query.push(("client_id", id)),
        Selection::ObjectId(id) => query.push(("object_id", id)),
        Selection::ResourceId(id) => query.push((resource_id, id)),
    }
    query
}

/// What is told of a request.
pub(super) fn sent(identity: &ManagedIdentity, host: &str) -> Sent {
    let client_id = match &identity.selection {
        Selection::System => None,
        Selection::ClientId(id) | Selection::ObjectId(id) | Selection::ResourceId(id) => Some(id.clone()),
    };
    Sent { client_id, scope: Some(identity.resource.clone()), authority: Some(host.to_owned()), ..Sent::default() }
}
