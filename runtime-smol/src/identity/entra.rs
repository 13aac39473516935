//! Entra's token endpoint: one form POST for every kind of client (RFC 6749 §4.4, RFC 7523 §2.2). No discovery: the URL
//! follows from authority and tenant.

use std::io;
use std::time::SystemTime;

use super::Exchanged;
use super::answer::{self, Origin};
use super::http::{Http, Pairs};
use crate::config::{Client, Proxy};
use crate::hint::Sent;
use crate::trust::Trust;

/// Type of a JSON web token as client assertion (RFC 7523 §2.2).
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// A client at its authority.
pub(super) struct Entra {
    http: Http,
    pub(super) client: Client,
    /// `Date` of the last answer.
    pub(super) date: Option<SystemTime>,
}

impl Entra {
    pub(super) fn new(client: Client, trust: &Trust, proxy: Option<&Proxy>) -> io::Result<Self> {
        let proxy = proxy.filter(|_| !client.authority.is_loopback());
        Ok(Self { http: Http::abroad(&trust.roots, proxy)?, client, date: None })
    }

    /// Asks for a token with `proof`: the secret, or the assertion and its kind.
    pub(super) fn ask(&mut self, proof: Pairs<'_>, sent: &Sent) -> Exchanged {
        let host = self.client.authority.authority();
        let url = token_url(&self.client);
        let answer = self.http.post(&url, &host, &form(&self.client, proof));
        self.date = answer.as_ref().ok().and_then(|answer| answer.date);
        let decode = |answer| answer::decode(Origin::Entra, Some(&self.client.authority), &answer);
        answer.and_then(decode).map_err(|failure| failure.with_sent(sent))
    }
}

/// The token endpoint's URL, which is also the audience of our own assertions.
pub(super) fn token_url(client: &Client) -> String {
    format!("https://{}{}", client.authority.authority(), token_path(client))
}

/// The path of [`token_url`].
pub(super) fn token_path(client: &Client) -> String {
    format!("/{}/oauth2/v2.0/token", client.tenant_id)
}

/// The form of a request.
pub(super) fn form<'f>(client: &'f Client, proof: Pairs<'f>) -> Vec<(&'f str, &'f str)> {
    let mut form = vec![
        ("grant_type", "client_credentials"),
        ("client_id", client.client_id.as_str()),
        ("scope", client.scope.as_str()),
    ];
    form.extend(proof);
    form
}

/// What is reported about a client's request.
pub(super) fn sent(client: &Client) -> Sent {
    Sent {
        client_id: Some(client.client_id.clone()),
        tenant_id: Some(client.tenant_id.clone()),
        scope: Some(client.scope.clone()),
        authority: Some(client.authority.authority()),
        ..Sent::default()
    }
}
