//! AKS identity bindings: the four variables that the webhook adds to pods with a binding. Contradictions are refused,
//! as in Azure's SDKs, since a token sent to the wrong place helps nobody.

use std::net::IpAddr;
use std::path::PathBuf;

use remora_smol::Trust;
use remora_smol::cloud::has_public_name;
use remora_smol::config::{Authorities, TokenProxy};
use remora_smol::endpoint::Endpoint;

use crate::config::fault::Reject;
use crate::config::reader::Reader;
use crate::config::settings::{
    AZURE_KUBERNETES_CA_DATA, AZURE_KUBERNETES_CA_FILE, AZURE_KUBERNETES_SNI_NAME, AZURE_KUBERNETES_TOKEN_PROXY,
};
use crate::config::url;

/// Reads the token proxy; None if there is none or its variables are refused.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<TokenProxy> {
    let companions = [&AZURE_KUBERNETES_SNI_NAME, &AZURE_KUBERNETES_CA_FILE, &AZURE_KUBERNETES_CA_DATA];
    if reader.given(&AZURE_KUBERNETES_TOKEN_PROXY).is_none() {
        let lone = companions.into_iter().filter(|setting| reader.given(setting).is_some());
        for setting in lone.collect::<Vec<_>>() {
            let fix = "set AZURE_KUBERNETES_TOKEN_PROXY, or unset this; the webhook sets both or neither";
            reader.fault(setting.name, None, Reject::new("is set without AZURE_KUBERNETES_TOKEN_PROXY", fix));
        }
        return None;
    }
    let endpoint = reader.value(&AZURE_KUBERNETES_TOKEN_PROXY, parse);
    let server_name = reader.value(&AZURE_KUBERNETES_SNI_NAME, server_name);
    let authorities = authorities(reader);
    let proxy = TokenProxy { endpoint: endpoint?, server_name, authorities: authorities? };
    if matches!(proxy.authorities, Authorities::Common) && is_public(proxy.endpoint.host()) {
        reader.warn(&AZURE_KUBERNETES_TOKEN_PROXY, PUBLIC);
    }
    Some(proxy)
}

/// The webhook names the cluster's own authorities, also where the cluster's API server has a public name.
const PUBLIC: &str = "names a public host, to which this pod's service account token is sent, and neither \
                      AZURE_KUBERNETES_CA_FILE nor AZURE_KUBERNETES_CA_DATA says who certifies it; let the webhook set \
                      the variables";

/// Whether a host may be outside the cluster's network.
fn is_public(host: &str) -> bool {
    match host.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V4(address)) => {
            // Shared address space (RFC 6598).
            let shared = matches!(address.octets(), [100, 64..=127, ..]);
            !(shared || address.is_private() || address.is_loopback() || address.is_link_local())
        }
        Ok(IpAddr::V6(address)) => {
            !(address.is_unique_local() || address.is_loopback() || address.is_unicast_link_local())
        }
        Err(_) => has_public_name(host),
    }
}

fn parse(text: &str) -> Result<Endpoint, Reject> {
    let endpoint = url::parse(text)?;
    if endpoint.query().is_some() {
        return Err(Reject::new("has a query", "remove the ? and everything after it"));
    }
    Ok(endpoint)
}

/// A name that can occur in a certificate, and nothing else.
fn server_name(text: &str) -> Result<String, Reject> {
    let wrong = || Reject::new("is not a host name", "let the webhook set the variable");
    let endpoint = Endpoint::parse(&format!("https://{text}")).map_err(|_| wrong())?;
    if endpoint.target() == "/" && endpoint.host() == text.to_ascii_lowercase() {
        Ok(endpoint.host().to_owned())
    } else {
        Err(wrong())
    }
}

/// The certificate authorities. The file may come and go while the process runs, so it is not opened yet.
fn authorities(reader: &mut Reader<'_>) -> Option<Authorities> {
    match (reader.given(&AZURE_KUBERNETES_CA_FILE), reader.given(&AZURE_KUBERNETES_CA_DATA)) {
        (None, None) => Some(Authorities::Common),
        (Some(path), None) => Some(Authorities::File(PathBuf::from(path))),
        (None, Some(text)) => match Trust::parse(text.as_bytes()) {
            Ok(_) => Some(Authorities::Text(text)),
            Err(error) => {
                let reject = Reject::new(format!("cannot be used: {error}"), "let the webhook set the variable");
                reader.fault(AZURE_KUBERNETES_CA_DATA.name, None, reject);
                None
            }
        },
        (Some(path), Some(_)) => {
            let reject = Reject::new("is set together with AZURE_KUBERNETES_CA_DATA", "unset one of the two");
            reader.fault(AZURE_KUBERNETES_CA_FILE.name, Some(&path), reject);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_name_is_a_name_alone() {
        assert_eq!(server_name("IB.example").as_deref(), Ok("ib.example"));
        for text in ["a/b", "a:1", "https://a", "a b", "u@a", "a?b"] {
            assert!(server_name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_proxy_may_have_a_path_but_no_query() {
        assert!(parse("https://10.0.0.1:6443/a").is_ok());
        for text in ["https://h/?a=b", "http://h/", "https://u:p@h/", "https://h/#f"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_of_the_cluster_is_not_public() {
        for host in [
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "::1",
            "fd00::1",
            "::ffff:10.0.0.1",
            "localhost",
            "proxy",
            "proxy.kube-system.svc",
            "proxy.kube-system.svc.cluster.local",
        ] {
            assert!(!is_public(host), "{host}");
        }
        for host in ["20.1.2.3", "100.128.0.1", "2603:1030::1", "login.microsoftonline.com", "proxy.contoso.com"] {
            assert!(is_public(host), "{host}");
        }
    }
}
