//! What the endpoints of all managed identities have in common: the query, and what is reported about it.

use crate::config::{ManagedIdentity, Selection};
use crate::hint::Sent;

/// The query; `resource_id` is the endpoint's name for a resource id.
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

/// What is reported about a request.
pub(super) fn sent(identity: &ManagedIdentity, host: &str) -> Sent {
    let client_id = match &identity.selection {
        Selection::System => None,
        Selection::ClientId(id) | Selection::ObjectId(id) | Selection::ResourceId(id) => Some(id.clone()),
    };
    Sent { client_id, scope: Some(identity.resource.clone()), authority: Some(host.to_owned()), ..Sent::default() }
}
