//! A plain http URL on this machine: the token endpoints of managed identities.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use ureq::http::Uri;

use super::EndpointError;

/// An http URL on a loopback or link-local address, without a query. What goes there is not routed beyond the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalEndpoint {
    address: IpAddr,
    authority: String,
    path: String,
}

impl LocalEndpoint {
    /// Parses an absolute http URL. `localhost` is 127.0.0.1, whatever a resolver says.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        if url.contains('#') {
            return Err(EndpointError::Fragment);
        }
        let uri: Uri = url.parse().map_err(|_| EndpointError::Malformed)?;
        if uri.scheme_str() != Some("http") {
            return Err(EndpointError::NotHttp);
        }
        let authority = uri.authority().ok_or(EndpointError::NoHost)?;
        if authority.as_str().contains('@') {
            return Err(EndpointError::UserInfo);
        }
        if uri.query().is_some() {
            return Err(EndpointError::Query);
        }
        let named_port = authority.as_str().rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
        if named_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(EndpointError::BadPort);
        }
        let address = address(authority.host()).ok_or(EndpointError::NotLocal)?;
        Ok(Self { address, authority: authority.as_str().to_owned(), path: uri.path().to_owned() })
    }

    /// The address to connect to.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Value of the Host header.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The path, at least `/`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for LocalEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// Loopback and link-local addresses (RFC 1122 §3.2.1.3, RFC 3927, RFC 4291 §2.5); a name other than `localhost` could
/// be any host's.
fn address(host: &str) -> Option<IpAddr> {
    if host.eq_ignore_ascii_case("localhost") {
        return Some(Ipv4Addr::LOCALHOST.into());
    }
    let address: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    let local = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    local.then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoints_of_managed_identities_come_apart() {
        for (url, address, authority, path) in [
            ("http://169.254.169.254", "169.254.169.254", "169.254.169.254", "/"),
            ("http://localhost:40342/metadata/x", "127.0.0.1", "localhost:40342", "/metadata/x"),
            ("http://127.0.0.1:41/msi/token", "127.0.0.1", "127.0.0.1:41", "/msi/token"),
            ("http://[::1]:8/", "::1", "[::1]:8", "/"),
        ] {
            let endpoint = LocalEndpoint::parse(url).expect(url);
            assert_eq!(endpoint.address().to_string(), address);
            assert_eq!((endpoint.authority(), endpoint.path()), (authority, path));
        }
    }

    #[test]
    fn urls_that_could_leave_the_machine_are_refused() {
        for (url, error) in [
            ("http://imds.example/", EndpointError::NotLocal),
            ("http://10.0.0.1/", EndpointError::NotLocal),
            ("http://168.63.129.16/", EndpointError::NotLocal),
            ("http://localhost.example/", EndpointError::NotLocal),
            ("http://[2001:db8::1]/", EndpointError::NotLocal),
            ("https://127.0.0.1/", EndpointError::NotHttp),
            ("127.0.0.1:40342", EndpointError::NotHttp),
            ("http://127.0.0.1@x.example/", EndpointError::UserInfo),
            ("http://127.0.0.1/?a=b", EndpointError::Query),
            ("http://127.0.0.1/#x", EndpointError::Fragment),
            ("http://127.0.0.1:0/", EndpointError::BadPort),
        ] {
            assert_eq!(LocalEndpoint::parse(url), Err(error), "{url}");
        }
    }
}
