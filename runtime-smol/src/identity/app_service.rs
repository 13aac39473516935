//! Managed identities of App Service, Functions and Container Apps: an endpoint of the platform that requires a header
//! value from the environment.

use super::answer::{self, Origin};
use super::http::Http;
use super::{Exchanged, TokenSource, managed};
use crate::config::ManagedIdentity;
use crate::endpoint::LocalEndpoint;
use crate::hint::{self, Requester};
use crate::secret::Secret;

const API_VERSION: &str = "2019-08-01";

/// A platform's endpoint, and which of the app's identities to use.
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

impl TokenSource for AppService {
    fn attempt(&mut self) -> Exchanged {
        let host = self.url.authority();
        let sent = managed::sent(&self.identity, host);
        let query = managed::query(&self.identity, API_VERSION, "mi_res_id");
        let fields = [("X-IDENTITY-HEADER", self.header.reveal())];
        let answer = self.http.get(&self.url.to_string(), host, &query, &fields);
        answer
            // Without an answer nothing is known about the app's identities.
            .map_err(|failure| failure.unanswered(&hint::APP_SERVICE_UNREACHABLE))
            .and_then(|answer| answer::decode(Origin::AppService, None, &answer))
            .map_err(|failure| failure.with_sent(&sent).refined(Requester::Managed).without(self.header.reveal()))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;
    use crate::config::{ManagedEndpoint, Selection};
    use crate::identity::failure::Failure;

    /// The failure of a request to this port with the header `hush-1`.
    fn ask(port: u16) -> Failure {
        let url = LocalEndpoint::parse(&format!("http://127.0.0.1:{port}/msi/token")).unwrap();
        let header = Secret::new("hush-1".to_owned());
        let endpoint = ManagedEndpoint::AppService(url.clone(), header.clone());
        let resource = "https://monitor.azure.com".to_owned();
        let identity = ManagedIdentity { endpoint, selection: Selection::System, resource };
        AppService::new(&identity, &url, &header).attempt().expect_err("no token")
    }

    #[test]
    fn an_endpoint_that_does_not_answer_says_nothing_of_identities() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        assert_eq!(ask(port).hint, Some(&hint::APP_SERVICE_UNREACHABLE));
    }

    #[test]
    fn a_header_that_comes_back_is_not_shown() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            assert!(peer.read(&mut [0; 4096]).unwrap() > 0);
            let body = r#"{"statusCode":400,"message":"got hush-1","errorCode":"hush-1","correlationId":"hush-1"}"#;
            write!(peer, "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        });
        let failure = ask(port);
        server.join().unwrap();
        assert_eq!((failure.message.as_str(), failure.hint), ("got ***", Some(&hint::APP_SERVICE)));
        assert!(!format!("{failure} {failure:?}").contains("hush"), "{failure:?}");
    }
}
