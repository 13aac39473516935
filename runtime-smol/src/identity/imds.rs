//! Managed identities of Azure machines: the instance metadata service issues tokens to any process on the machine.

use super::answer::{self, Origin};
use super::http::Http;
use super::{Exchanged, TokenSource, managed};
use crate::config::ManagedIdentity;
use crate::endpoint::LocalEndpoint;
use crate::hint::{self, Requester};

const PATH: &str = "/metadata/identity/oauth2/token";
const API_VERSION: &str = "2018-02-01";

/// A machine's metadata service, and which of its identities to use.
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

impl TokenSource for Imds {
    fn attempt(&mut self) -> Exchanged {
        let host = self.base.authority();
        let sent = managed::sent(&self.identity, host);
        let url = format!("http://{host}{PATH}");
        let query = managed::query(&self.identity, API_VERSION, "msi_res_id");
        let answer = self.http.get(&url, host, &query, &[("Metadata", "true")]);
        // Without an answer, this hint says more than a general network hint.
        let answer = answer.map_err(|failure| failure.unanswered(&hint::IMDS_UNREACHABLE));
        let exchanged = answer.and_then(|answer| answer::decode(Origin::Imds, None, &answer));
        exchanged.map_err(|failure| failure.with_sent(&sent).refined(Requester::Managed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ManagedEndpoint, Selection};

    #[test]
    fn a_host_that_stands_in_for_the_service_is_the_one_to_look_at() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let base = LocalEndpoint::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        let (endpoint, resource) = (ManagedEndpoint::Imds(base.clone()), "https://monitor.azure.com".to_owned());
        let identity = ManagedIdentity { endpoint, selection: Selection::System, resource };
        let failure = Imds::new(&identity, &base).attempt().expect_err("nobody listens");
        assert_eq!(failure.hint, Some(&hint::IMDS_STAND_IN));
        let repair = hint::IMDS_STAND_IN.repair(&failure.sent);
        assert!(repair.starts_with(&format!("let this pod reach 127.0.0.1:{port}, or correct ")), "{repair}");
    }
}
