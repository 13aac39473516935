//! Which way a host is reached: by way of the proxy or past it, by the same rules as in the token exchange.

use std::fmt;
use std::io;

use ureq::http::Uri;
use zeroize::Zeroizing;

use crate::config::Proxy;
use crate::endpoint::Endpoint;
use crate::proxy;

/// A proxy on the way to a host.
pub struct Hop {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the proxy itself is spoken to with TLS.
    pub secure: bool,
    /// User name and password, `name:password`. Not in `Debug`.
    pub login: Option<Zeroizing<String>>,
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Hop {
    /// The proxy that stands between here and `target`; none where `NO_PROXY` names it. An error is a URL that cannot
    /// be used.
    pub fn towards(target: &Endpoint, proxy: &Proxy) -> io::Result<Option<Self>> {
        let known = proxy::parse(proxy)?;
        let uri: Uri = target.to_string().parse().map_err(io::Error::other)?;
        if known.is_no_proxy(&uri) {
            return Ok(None);
        }
        let login = known.username().map(|name| {
            let password = known.password().unwrap_or_default();
            Zeroizing::new(format!("{name}:{password}"))
        });
        let host = known.host().trim_matches(['[', ']']).to_owned();
        Ok(Some(Self { host, port: known.port(), secure: proxy.url.starts_with("https:"), login }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(url: &str, no_proxy: &str) -> Option<Hop> {
        let target = Endpoint::parse("https://login.example/x").unwrap();
        Hop::towards(&target, &Proxy { url: url.to_owned(), no_proxy: Some(no_proxy.to_owned()) }).unwrap()
    }

    #[test]
    fn a_proxy_has_host_port_and_login() {
        let hop = hop("http://remora:p%40ss@proxy.example:3128", "other.example").unwrap();
        assert_eq!((hop.host.as_str(), hop.port, hop.secure), ("proxy.example", 3128, false));
        assert_eq!(hop.login.as_ref().map(|login| login.as_str()), Some("remora:p@ss"));
        assert!(!format!("{hop:?}").contains("p@ss"));
    }

    #[test]
    fn no_proxy_is_kept_to() {
        assert!(hop("http://proxy.example:3128", "login.example").is_none());
        assert!(hop("http://proxy.example:3128", ".example").is_none());
    }
}
