//! An https URL, parsed into what a connection and a request line need. Nothing is opened or resolved.

mod local;

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::http::Uri;

pub use local::LocalEndpoint;

/// Port of an https URL that names none (RFC 9110 §4.2.2).
const HTTPS_PORT: u16 = 443;
/// Longest host name, without its trailing dot (RFC 1035 §2.3.4).
const MAX_NAME: usize = 253;
/// Longest label of a host name (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// Where requests of one kind go: an https host, its port and the request target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: String,
    port: u16,
    target: String,
}

impl Endpoint {
    /// Parses an absolute https URL.
    ///
    /// The host is kept in lower case, without the brackets of an IPv6 address and without the trailing dot of a fully
    /// qualified name: neither certificates nor the Host header carry it.
    pub fn parse(url: &str) -> Result<Self, EndpointError> {
        if url.contains('#') {
            // `Uri` would silently drop it.
            return Err(EndpointError::Fragment);
        }
        let uri: Uri = url.parse().map_err(|_| EndpointError::Malformed)?;
        if uri.scheme_str() != Some("https") {
            return Err(EndpointError::NotHttps);
        }
        let authority = uri.authority().ok_or(EndpointError::NoHost)?.as_str();
        let (host, port) = split_authority(authority)?;
        let target = uri.path_and_query().map_or("", |target| target.as_str());
        if !target.is_ascii() {
            return Err(EndpointError::Malformed);
        }
        // An empty path is requested as `/`, with or without a query (RFC 9112 §3.2.1).
        let root = if target.starts_with('/') { "" } else { "/" };
        Ok(Self { host, port, target: format!("{root}{target}") })
    }

    /// Host name or IP address in lower case, an IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is on loopback, by its name or address.
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// TCP port, 443 when the URL names none.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Path and query as they appear in the request line, at least `/`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The target up to its query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target's query without its question mark.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Value of the Host header: `host`, or `host:port` when the port is not 443; IPv6 in brackets (RFC 9110 §7.2).
    pub fn authority(&self) -> String {
        if self.port == HTTPS_PORT { bracketed(&self.host).into_owned() } else { self.host_and_port() }
    }

    /// `host:port`, IPv6 in brackets: the target of CONNECT (RFC 9110 §9.3.6).
    pub fn host_and_port(&self) -> String {
        host_and_port(&self.host, self.port)
    }
}

/// `host:port`, IPv6 in brackets.
pub fn host_and_port(host: &str, port: u16) -> String {
    format!("{}:{port}", bracketed(host))
}

fn bracketed(host: &str) -> Cow<'_, str> {
    if host.contains(':') { format!("[{host}]").into() } else { host.into() }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}{}", self.authority(), self.target)
    }
}

/// Why a text is not an [`Endpoint`] or [`LocalEndpoint`]. No connection was made; the configuration has to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// Not an absolute URL, or it contains a character not allowed in URLs.
    Malformed,
    /// The scheme is missing or not `https`.
    NotHttps,
    /// The scheme is missing or not `http`, for a [`LocalEndpoint`].
    NotHttp,
    /// The host is neither loopback nor link-local, for a [`LocalEndpoint`].
    NotLocal,
    /// A query, for a [`LocalEndpoint`].
    Query,
    /// Nothing is between `https://` and the path.
    NoHost,
    /// The host is neither a DNS name nor an IP address.
    BadHost,
    /// What follows the host's colon is not a port from 1 to 65535.
    BadPort,
    /// A user name or password precedes the host.
    UserInfo,
    /// A `#fragment`, which is never sent and therefore most likely a mistake.
    Fragment,
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "url: not an absolute URL, or contains a character that is not allowed",
            Self::NotHttps => "url: scheme is not https",
            Self::NotHttp => "url: scheme is not http",
            Self::NotLocal => "url: host is not an address of this machine",
            Self::Query => "url: contains a ?query",
            Self::NoHost => "url: no host",
            Self::BadHost => "url: host is neither a DNS name nor an IP address",
            Self::BadPort => "url: port is not a number from 1 to 65535",
            Self::UserInfo => "url: contains a user name or password before the host",
            Self::Fragment => "url: contains a #fragment",
        })
    }
}

impl std::error::Error for EndpointError {}

/// Splits `host`, `host:port`, `[v6]` or `[v6]:port` into a checked host and its port.
fn split_authority(authority: &str) -> Result<(String, u16), EndpointError> {
    if authority.contains('@') {
        return Err(EndpointError::UserInfo);
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or(EndpointError::BadHost)?;
        let address: Ipv6Addr = host.parse().map_err(|_| EndpointError::BadHost)?;
        return Ok((address.to_string(), parse_port(port)?));
    }
    let colon = authority.find(':').unwrap_or(authority.len());
    let (host, port) = authority.split_at(colon);
    if host.is_empty() {
        return Err(EndpointError::NoHost);
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if !is_host(&host) {
        return Err(EndpointError::BadHost);
    }
    Ok((host, parse_port(port)?))
}

/// The port in `:8443`; empty means 443.
fn parse_port(suffix: &str) -> Result<u16, EndpointError> {
    if suffix.is_empty() {
        return Ok(HTTPS_PORT);
    }
    let digits = suffix.strip_prefix(':').ok_or(EndpointError::BadPort)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(EndpointError::BadPort);
    }
    digits.parse().ok().filter(|port| *port != 0).ok_or(EndpointError::BadPort)
}

/// An IPv4 address, or a DNS name whose last label is not a number: `300.1.1.1` is a mistyped address, not a name.
fn is_host(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    host.len() <= MAX_NAME && host.split('.').all(is_label)
}

/// Letters, digits, inner hyphens, and the underscore that real zones use although RFC 1123 §2.1 does not allow it.
fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(url: &str) -> EndpointError {
        Endpoint::parse(url).expect_err(url)
    }

    #[test]
    fn an_ingestion_url_comes_apart() {
        let url = "https://X-1.eastus-1.metrics.ingest.monitor.azure.com/dataCollectionRules/dcr-0/api/v1/write?api-version=2023-04-24";
        let endpoint = Endpoint::parse(url).expect(url);
        assert_eq!(endpoint.host(), "x-1.eastus-1.metrics.ingest.monitor.azure.com");
        assert_eq!(endpoint.port(), 443);
        assert_eq!(endpoint.target(), "/dataCollectionRules/dcr-0/api/v1/write?api-version=2023-04-24");
        assert_eq!(endpoint.path(), "/dataCollectionRules/dcr-0/api/v1/write");
        assert_eq!(endpoint.query(), Some("api-version=2023-04-24"));
        assert_eq!(endpoint.authority(), endpoint.host());
        assert_eq!(endpoint.to_string(), url.replace('X', "x"));
    }

    #[test]
    fn authority_names_only_an_unusual_port_and_brackets_ipv6() {
        for (url, authority) in [
            ("https://localhost:8443/x", "localhost:8443"),
            ("https://localhost:443/x", "localhost"),
            ("https://127.0.0.1:9/x", "127.0.0.1:9"),
            ("https://[::1]/x", "[::1]"),
            ("https://[0:0:0:0:0:0:0:1]:8443/x", "[::1]:8443"),
            ("https://login.example./x", "login.example"),
        ] {
            assert_eq!(Endpoint::parse(url).expect(url).authority(), authority, "{url}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_or_address() {
        let is_loopback = |host: &str| Endpoint::parse(&format!("https://{host}:8443/")).expect(host).is_loopback();
        for host in ["localhost", "LOCALHOST.", "127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "127.example", "128.0.0.1", "[::2]"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_url_without_path_asks_for_the_root() {
        assert_eq!(Endpoint::parse("https://login.microsoftonline.com").expect("valid").target(), "/");
        assert_eq!(Endpoint::parse("https://h.example?a=b").expect("valid").target(), "/?a=b");
    }

    #[test]
    fn malformed() {
        for url in ["https://h/a b", "https://h/<dcr>", "https://", "https://h/\u{e9}", "https://h/a\r\nb"] {
            assert_eq!(fault(url), EndpointError::Malformed, "{url}");
        }
    }

    #[test]
    fn not_https() {
        for url in ["http://h/x", "ftp://h/x", "h.example", "/path"] {
            assert_eq!(fault(url), EndpointError::NotHttps, "{url}");
        }
    }

    #[test]
    fn no_host() {
        assert_eq!(fault("https://:443/x"), EndpointError::NoHost);
    }

    #[test]
    fn bad_host() {
        let long = format!("https://{}/", "a".repeat(64));
        for url in [
            "https://a..b/",
            "https://-a/",
            "https://a-/",
            "https://300.1.1.1/",
            "https://1.2.3/",
            "https://[::g]/",
            &long,
        ] {
            assert!(matches!(fault(url), EndpointError::BadHost | EndpointError::Malformed), "{url}");
        }
    }

    #[test]
    fn bad_port() {
        for url in
            ["https://h:0/", "https://h:65536/", "https://h:+5/", "https://h:/", "https://h:8a/", "https://[::1]8/"]
        {
            assert!(matches!(fault(url), EndpointError::BadPort | EndpointError::Malformed), "{url}: {}", fault(url));
        }
    }

    #[test]
    fn user_info() {
        assert_eq!(fault("https://user:secret@h/x"), EndpointError::UserInfo);
        assert_eq!(fault("https://user@h/x"), EndpointError::UserInfo);
    }

    #[test]
    fn fragment() {
        assert_eq!(fault("https://h/x#y"), EndpointError::Fragment);
    }
}
