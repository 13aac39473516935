//! AKS identity bindings: the exchange goes to the cluster's own token proxy, with its own certificate authority and
//! possibly its own TLS server name. Path, form and answer are Entra's.
//!
//! The rules are those of the Azure SDKs (azidentity `internal/customtokenproxy`): the CA file is read again for each
//! exchange; while it is unusable, the last good one applies.

use super::Exchanged;
use super::answer::{self, Origin};
use super::entra;
use super::failure::Failure;
use super::http::{Http, Pairs};
use crate::config::{Authorities, Client, TokenProxy};
use crate::file;
use crate::hint::{self, Sent};
use crate::trust::{Roots, Trust};

/// A client at its cluster's token proxy.
pub(super) struct Binding {
    client: Client,
    proxy: TokenProxy,
    /// The authorities in use; `None` before the first good ones are read.
    roots: Option<Roots>,
}

impl Binding {
    /// `common` applies if the proxy has no authorities of its own.
    pub(super) fn new(client: Client, proxy: TokenProxy, common: Trust) -> Self {
        let roots = match &proxy.authorities {
            Authorities::Common => Some(common.roots),
            Authorities::File(_) => None,
            Authorities::Text(text) => Trust::parse(text.as_bytes()).ok().map(|trust| trust.roots),
        };
        Self { client, proxy, roots }
    }

    pub(super) fn sent(&self) -> Sent {
        let file = match &self.proxy.authorities {
            Authorities::File(path) => Some(path.display().to_string()),
            Authorities::Common | Authorities::Text(_) => None,
        };
        Sent { authority: Some(self.proxy.endpoint.authority()), file, ..entra::sent(&self.client) }
    }

    pub(super) fn ask(&mut self, proof: Pairs<'_>, sent: &Sent) -> Exchanged {
        let failed = |failure: Failure| failure.with_sent(sent);
        let host = self.proxy.endpoint.host().to_owned();
        let http = Http::pinned(self.authorities().map_err(failed)?, &host);
        let url = url(&self.proxy, &entra::token_path(&self.client));
        let answer = http.post(&url, &self.proxy.endpoint.authority(), &entra::form(&self.client, proof));
        let decode = |answer| answer::decode(Origin::TokenProxy, Some(&self.client.authority), &answer);
        answer.and_then(decode).map_err(failed)
    }

    /// The authorities to use now.
    fn authorities(&mut self) -> Result<&Roots, Failure> {
        let mut fault = "AZURE_KUBERNETES_CA_DATA holds no certificate".to_owned();
        if let Authorities::File(path) = &self.proxy.authorities {
            match file::read_authorities(path).map_err(|error| error.to_string()).and_then(|pem| Trust::parse(&pem)) {
                Ok(trust) => self.roots = Some(trust.roots),
                Err(error) => fault = format!("AZURE_KUBERNETES_CA_FILE {}: {error}", path.display()),
            }
        }
        self.roots.as_ref().ok_or_else(|| Failure::new(fault).with_hint(&hint::BINDING_CA))
    }
}

/// The URL of `path` below the proxy's own path, with the name that its certificate is for.
fn url(proxy: &TokenProxy, path: &str) -> String {
    let TokenProxy { endpoint, server_name, .. } = proxy;
    let base = endpoint.path().trim_end_matches('/');
    match server_name {
        Some(name) => format!("https://{name}:{}{base}{path}", endpoint.port()),
        None => format!("https://{}{base}{path}", endpoint.authority()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn proxy(url: &str, name: Option<&str>) -> TokenProxy {
        let endpoint = Endpoint::parse(url).unwrap();
        TokenProxy { endpoint, server_name: name.map(str::to_owned), authorities: Authorities::Common }
    }

    #[test]
    fn the_authoritys_path_stands_behind_the_proxys() {
        for (base, name, want) in [
            ("https://10.0.0.1:6443", None, "https://10.0.0.1:6443/t/token"),
            ("https://10.0.0.1:6443/a/b/", None, "https://10.0.0.1:6443/a/b/t/token"),
            ("https://10.0.0.1:6443/a", Some("ib.example"), "https://ib.example:6443/a/t/token"),
            ("https://10.0.0.1", Some("ib.example"), "https://ib.example:443/t/token"),
        ] {
            assert_eq!(url(&proxy(base, name), "/t/token"), want);
        }
    }
}
