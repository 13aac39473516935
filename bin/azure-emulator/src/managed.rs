//! Managed identities: which of a machine's identities a request means, and the token for it. The request and response
//! formats are those of each service: a virtual machine's IMDS, Arc, App Service.

mod app_service;
mod arc;
mod imds;

use std::time::Duration;

use hyper::Uri;

use crate::emulator::Emulator;
use crate::entra::access_token;
use crate::principal::Principal;
use crate::settings::{Settings, unix_seconds};

pub(crate) use app_service::{answer as answer_app_service, refused as app_service_error};
pub(crate) use arc::{ArcChallenge, Challenges, answer as answer_arc};
pub(crate) use imds::answer as answer_imds;

/// The token path of IMDS and Arc.
pub(crate) const IMDS_PATH: &str = "/metadata/identity/oauth2/token";
/// The token path of the emulated App Service; the real one is chosen by the platform.
pub(crate) const APP_SERVICE_PATH: &str = "/msi/token";

/// The parameters that the services share. An empty one was not given.
#[derive(Debug, Default)]
struct Query {
    api_version: String,
    resource: String,
    client_id: String,
    object_id: String,
    resource_id: String,
}

impl Query {
    /// `resource_id` is the service's own name for this parameter.
    fn parse(uri: &Uri, resource_id: &str) -> Self {
        let mut query = Query::default();
        for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
            let field = match &*name {
                "api-version" => &mut query.api_version,
                "resource" => &mut query.resource,
                "client_id" => &mut query.client_id,
                "object_id" | "principal_id" => &mut query.object_id,
                name if name == resource_id => &mut query.resource_id,
                _ => continue,
            };
            *field = value.into_owned();
        }
        query
    }

    fn names_an_identity(&self) -> bool {
        [&self.client_id, &self.object_id, &self.resource_id].into_iter().any(|name| !name.is_empty())
    }

    /// Whether every identifier in the query matches this identity.
    fn means(&self, principal: &Principal) -> bool {
        let resource_id = principal.resource_id.as_deref().unwrap_or_default();
        let said = [
            (&self.client_id, &*principal.client_id),
            (&self.object_id, &*principal.object_id),
            (&self.resource_id, resource_id),
        ];
        said.into_iter().all(|(said, own)| said.is_empty() || said.eq_ignore_ascii_case(own))
    }
}

/// Why no token is issued.
#[derive(Debug, PartialEq, Eq)]
enum Unmet {
    /// The machine does not have this identity, or has none at all.
    NotFound,
    /// The request must name one of several identities.
    Several,
    /// The tenant does not know the resource.
    Resource,
    /// The token could not be created.
    Failed,
}

/// A token and its times, seconds since 1970.
#[derive(Debug)]
struct Issued {
    token: String,
    principal: Principal,
    not_before: u64,
    expiry: u64,
    /// Remaining lifetime in seconds.
    left: u64,
}

fn issue(emulator: &Emulator, settings: &Settings, query: &Query) -> Result<Issued, Unmet> {
    if !access_token::is_known(&query.resource) {
        return Err(Unmet::Resource);
    }
    let principal = choose(settings, query)?;
    let not_before = settings.now() - Duration::from_secs(settings.managed_token_age_s);
    let minted = access_token::mint(settings, &emulator.entra_key, &principal, &query.resource, not_before);
    let (token, expiry) = minted.map_err(|_| Unmet::Failed)?;
    let expiry = unix_seconds(expiry);
    emulator.traffic.lock().token_issued(expiry);
    let left = expiry.saturating_sub(unix_seconds(settings.now()));
    Ok(Issued { token, principal, not_before: unix_seconds(not_before), expiry, left })
}

/// A request that names no identity gets the machine's own; if there is none, the only assigned one.
fn choose(settings: &Settings, query: &Query) -> Result<Principal, Unmet> {
    let mut assigned: Vec<Principal> =
        settings.user_assigned.iter().map(|identity| Principal::user_assigned(settings, identity)).collect();
    if query.names_an_identity() {
        let own = settings.system_assigned.then(Principal::system_assigned);
        return assigned.into_iter().chain(own).find(|principal| query.means(principal)).ok_or(Unmet::NotFound);
    }
    if settings.system_assigned {
        return Ok(Principal::system_assigned());
    }
    if assigned.len() > 1 {
        return Err(Unmet::Several);
    }
    assigned.pop().ok_or(Unmet::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::UserAssigned;

    fn query(text: &str) -> Query {
        Query::parse(&format!("/token?{text}").parse().unwrap(), "msi_res_id")
    }

    fn chosen(settings: &Settings, text: &str) -> Result<String, Unmet> {
        choose(settings, &query(text)).map(|principal| principal.object_id)
    }

    #[test]
    fn an_identity_is_found_by_each_of_its_names() {
        let settings = Settings::default();
        let client = Ok(settings.object_id.clone());
        let system = Ok(Principal::system_assigned().object_id);
        let path = Principal::user_assigned(&settings, &UserAssigned::default()).resource_id.unwrap();
        assert_eq!(chosen(&settings, ""), system);
        assert_eq!(chosen(&settings, &format!("client_id={}", settings.client_id)), client);
        assert_eq!(chosen(&settings, &format!("object_id={}", settings.object_id)), client);
        assert_eq!(chosen(&settings, &format!("msi_res_id={}", path.to_uppercase())), client);
        assert_eq!(
            chosen(&settings, &format!("client_id={}&object_id=other", settings.client_id)),
            Err(Unmet::NotFound)
        );
        assert_eq!(chosen(&settings, "client_id=other"), Err(Unmet::NotFound));
    }

    #[test]
    fn without_a_system_identity_the_only_assigned_one_answers() {
        let mut settings = Settings { system_assigned: false, ..Settings::default() };
        assert_eq!(chosen(&settings, ""), Ok(settings.object_id.clone()));
        settings.user_assigned.push(UserAssigned { client_id: Some("second".to_owned()), ..UserAssigned::default() });
        assert_eq!(chosen(&settings, ""), Err(Unmet::Several));
        settings.user_assigned.clear();
        assert_eq!(chosen(&settings, ""), Err(Unmet::NotFound));
    }
}
