//! Managed identities of App Service, Functions and Container Apps: an endpoint of the platform that wants to see a
//! value from the environment.

use super::answer::{self, Origin};
use super::http::Http;
use super::{Exchange, Exchanged, imds};
use crate::config::ManagedIdentity;
use crate::endpoint::LocalEndpoint;
use crate::hint;
use crate::secret::Secret;

const API_VERSION: &str = "2019-08-01";

/// A platform's endpoint, and which of the app's identities is meant.
pub(super) struct AppService {
    http: Http,
    url: LocalEndpoint,
    header: Secret,
    identity: ManagedIdentity,
}

impl AppService {
    pub(super) fn new(identity: &ManagedIdentity, url: &LocalEndpoint, header: &Secret) -> Self {
        let http = Http::local(url.address());
        Self { http, url: url.clone(), header: header.clone(), identity: identity.clone() }
    }
}

impl Exchange for AppService {
    fn attempt(&mut self) -> Exchanged {
        let host = self.url.authority();
        let sent = imds::sent(&self.identity, host);
        let query = imds::query(&self.identity, API_VERSION, "mi_res_id");
        let fields = [("X-IDENTITY-HEADER", self.header.reveal())];
        let answer = self.http.get(&self.url.to_string(), host, &query, &fields);
        answer
            .map_err(|failure| failure.with_hint(&hint::APP_SERVICE))
            .and_then(|answer| answer::decode(Origin::AppService, &answer))
            .map_err(|failure| failure.with_sent(&sent).without(self.header.reveal()))
    }
}
