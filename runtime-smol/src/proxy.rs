//! HTTP proxies: which connections use one, and how a tunnel is requested.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv6Addr, TcpStream};

use async_io::Async;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use remora_core::http::tunnel::{TunnelAnswer, TunnelError, encode_connect};
use ureq::{Proxy, ProxyProtocol};
use zeroize::Zeroizing;

use crate::config;
use crate::endpoint::Endpoint;

/// Longest CONNECT request, and longest answer to it, in bytes: ample for both.
pub(crate) const HEAD: usize = 4 * 1024;

/// Whether connections can go through `proxy`: the error says why not, without quoting the URL.
pub fn check(proxy: &config::Proxy) -> io::Result<()> {
    parse(proxy).map(drop)
}

/// The proxy as ureq represents it, with the hosts that bypass it.
pub(crate) fn parse(proxy: &config::Proxy) -> io::Result<Proxy> {
    let wrong = |error: ureq::Error| io::Error::other(format!("HTTPS_PROXY: {error}"));
    let plain = Proxy::new(&proxy.url).map_err(wrong)?;
    let mut builder = Proxy::builder(plain.protocol()).host(plain.host()).port(plain.port());
    if let Some(name) = plain.username() {
        builder = builder.username(name);
    }
    if let Some(password) = plain.password() {
        builder = builder.password(password);
    }
    let direct = proxy.no_proxy.as_deref().unwrap_or_default();
    // As in curl, spaces separate as well; block scalars in YAML end with a line feed.
    for host in direct.split(|c: char| c == ',' || c.is_whitespace()).map(bare_host).filter(|host| !host.is_empty()) {
        builder = builder.no_proxy(host);
        if let Ok(address) = host.parse::<Ipv6Addr>() {
            // As it is written in URLs.
            builder = builder.no_proxy(&format!("[{address}]"));
        }
        // As in Go and curl, a name also covers all names below it.
        if !host.starts_with(['.', '*']) && host.parse::<IpAddr>().is_err() {
            builder = builder.no_proxy(&format!(".{host}"));
        }
    }
    builder.build().map_err(wrong)
}

/// `host` of `https://host.:port`, where all but the host may be missing. An IPv6 address, which has more than one colon,
/// may be in brackets.
fn bare_host(entry: &str) -> &str {
    let host = entry.rsplit_once("//").map_or(entry, |(_, host)| host).trim_end_matches('/');
    if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    let host = host.split_once(':').filter(|(_, port)| !port.contains(':')).map_or(host, |(host, _)| host);
    host.strip_suffix('.').unwrap_or(host)
}

/// A proxy on the way to an endpoint.
pub struct Hop {
    /// Host name or address, an IPv6 address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Whether the connection to the proxy itself uses TLS.
    pub secure: bool,
    /// `user:password` in base64. Not in `Debug`.
    pub credentials: Option<Zeroizing<String>>,
}

impl fmt::Debug for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hop").field("name", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Hop {
    /// The proxy on the way to `target`; `None` if `NO_PROXY` names it, or it is on loopback, as in Go: a proxy has a
    /// loopback of its own. An error means that the URL is unusable.
    pub fn towards(target: &Endpoint, proxy: &config::Proxy) -> io::Result<Option<Self>> {
        let known = parse(proxy)?;
        let uri = target.to_string().parse().map_err(io::Error::other)?;
        if target.is_loopback() || known.is_no_proxy(&uri) {
            return Ok(None);
        }
        let credentials = known.username().map(|name| {
            let login = Zeroizing::new(format!("{name}:{}", known.password().unwrap_or_default()));
            Zeroizing::new(STANDARD.encode(login.as_bytes()))
        });
        let host = known.host().trim_matches(['[', ']']).to_owned();
        Ok(Some(Self { host, port: known.port(), secure: known.protocol() == ProxyProtocol::Https, credentials }))
    }
}

/// Writes the request for a tunnel to `authority` into `out`, and returns its length.
pub(crate) fn encode(hop: &Hop, authority: &str, out: &mut [u8]) -> io::Result<usize> {
    let credentials = hop.credentials.as_ref().map(|credentials| credentials.as_bytes());
    encode_connect(authority, credentials, out).map_err(io::Error::other)
}

/// The route to one endpoint through a proxy.
#[derive(Debug)]
pub(crate) struct Detour {
    pub(crate) hop: Hop,
    /// Host and port of the endpoint.
    authority: String,
}

impl Detour {
    /// The route to `endpoint`; `None` if it is reached directly: because `NO_PROXY` names it, because it is on
    /// loopback, or because the proxy itself uses TLS, which is supported only for the token exchange.
    pub(crate) fn to(endpoint: &Endpoint, proxy: &config::Proxy) -> io::Result<Option<Self>> {
        let hop = Hop::towards(endpoint, proxy)?.filter(|hop| !hop.secure);
        Ok(hop.map(|hop| Self { hop, authority: endpoint.host_and_port() }))
    }

    /// Asks the proxy at the other end of `stream` for a tunnel.
    pub(crate) async fn open(&self, stream: &Async<TcpStream>) -> io::Result<()> {
        let mut buffer = Zeroizing::new(vec![0; HEAD]);
        let length = encode(&self.hop, &self.authority, &mut buffer)?;
        let mut request = buffer.get(..length).unwrap_or_default();
        while !request.is_empty() {
            let sent = stream.write_with(|mut socket| socket.write(request)).await?;
            request = request.get(sent..).unwrap_or_default();
        }
        read_answer(stream, &mut buffer).await
    }
}

async fn read_answer(stream: &Async<TcpStream>, buffer: &mut [u8]) -> io::Result<()> {
    let mut answer = TunnelAnswer::default();
    let mut filled = 0;
    loop {
        let space = buffer.get_mut(filled..).unwrap_or_default();
        let n = stream.read_with(|mut socket| socket.read(space)).await?;
        filled += n;
        if is_open(&mut answer, buffer.get(..filled).unwrap_or_default(), n == 0)? {
            return Ok(());
        }
    }
}

/// Whether the tunnel is open after everything that was `received`; an error if it never will be, because the proxy
/// refused, has `closed` its side, or has sent [`HEAD`] bytes.
pub(crate) fn is_open(answer: &mut TunnelAnswer, received: &[u8], closed: bool) -> io::Result<bool> {
    match answer.read(received) {
        Ok(false) if closed => Err(TunnelError::Closed),
        Ok(false) if received.len() >= HEAD => Err(TunnelError::TOO_LARGE),
        read => read,
    }
    .map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detour(endpoint: &str, url: &str, no_proxy: Option<&str>) -> Option<Detour> {
        let proxy = config::Proxy { url: url.to_owned(), no_proxy: no_proxy.map(str::to_owned) };
        Detour::to(&Endpoint::parse(endpoint).unwrap(), &proxy).unwrap()
    }

    #[test]
    fn a_tunnel_is_asked_for_by_host_and_port() {
        let way = detour("https://X.example/dcr?api-version=1", "http://user:p%40ss@proxy:3128", None).unwrap();
        assert_eq!((way.hop.host.as_str(), way.hop.port, way.authority.as_str()), ("proxy", 3128, "x.example:443"));
        assert_eq!(STANDARD.decode(way.hop.credentials.as_ref().unwrap().as_bytes()).unwrap(), b"user:p@ss");
        assert!(!format!("{way:?}").contains("dXNlc"), "{way:?}");
        let way = detour("https://[2001:db8::1]:8443/x", "http://[::2]:3128", None).unwrap();
        assert_eq!((way.hop.host.as_str(), way.authority.as_str()), ("::2", "[2001:db8::1]:8443"));
    }

    #[test]
    fn loopback_is_reached_directly() {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            assert!(detour(&format!("https://{host}:8443/x"), "http://proxy:1", None).is_none(), "{host}");
        }
    }

    #[test]
    fn hosts_in_no_proxy_are_reached_directly() {
        assert!(detour("https://x.example/y", "http://proxy:1", Some("other, .example")).is_none());
        let spelled = [
            "a, X.EXAMPLE",
            "a x.example b",
            "a,\nx.example",
            "a\r\nx.example\n",
            "x.example.",
            "https://x.example/",
            "https://x.example.:443",
        ];
        for names in ["example", "x.example:443", "*.example", "*"].into_iter().chain(spelled) {
            assert!(detour("https://x.example/y", "http://proxy:1", Some(names)).is_none(), "{names}");
        }
        for names in ["example.org", "ample", "y.x.example", ""] {
            assert!(detour("https://x.example/y", "http://proxy:1", Some(names)).is_some(), "{names}");
        }
        for names in ["fd00::1", "[fd00::1]", "[fd00::1]:8443", "fd00:0::1", "https://[fd00::1]:8443/"] {
            assert!(detour("https://[fd00::1]:8443/y", "http://proxy:1", Some(names)).is_none(), "{names}");
        }
        assert!(detour("https://[::2]:8443/y", "http://proxy:1", Some("::1")).is_some());
        assert!(detour("https://x.example/y", "https://proxy:1", None).is_none());
    }
}
