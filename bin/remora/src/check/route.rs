//! The way to one host: by way of a proxy or straight, step by step, so that the step that fails is the one that is named.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use remora_core::http::tunnel::encode_connect;
use remora_smol::Trust;
use remora_smol::config::Proxy;
use remora_smol::endpoint::Endpoint;
use remora_smol::probe::{self, Doubt, HandshakeError, Hop, Link, Presented};
use zeroize::Zeroizing;

use super::http;
use super::outcome::Finding;
use crate::pages::{NET_02, NET_03, NET_04, Page};

/// For each step of a way.
const LIMIT: Duration = Duration::from_secs(10);

/// Whom a way leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// Who issues access tokens.
    Authority,
    /// Who takes samples.
    Ingestion,
    /// Who issued the projected token.
    Issuer,
}

/// The way to one host.
#[derive(Debug)]
pub(super) struct Route {
    /// Whom it leads to.
    pub(super) goal: Goal,
    /// Where that is.
    pub(super) to: Endpoint,
    /// The proxy in between.
    hop: Option<Hop>,
    addresses: Vec<SocketAddr>,
    link: Option<Link>,
    /// The page of the step that failed.
    pub(super) blocked: Option<&'static Page>,
}

impl Route {
    /// A way that nobody has gone yet.
    pub(super) fn new(goal: Goal, to: Endpoint, proxy: Option<&Proxy>) -> io::Result<Self> {
        let hop = proxy.map(|proxy| Hop::towards(&to, proxy)).transpose()?.flatten();
        // A proxy that speaks TLS itself is there for tokens alone.
        let hop = hop.filter(|hop| goal != Goal::Ingestion || !hop.secure);
        Ok(Self { goal, to, hop, addresses: Vec::new(), link: None, blocked: None })
    }

    /// The host that is connected to.
    fn next(&self) -> (&str, u16) {
        self.hop.as_ref().map_or((self.to.host(), self.to.port()), |hop| (hop.host.as_str(), hop.port))
    }

    /// The host that is connected to, as it is told to a person.
    fn told(&self) -> String {
        let proxy = if self.hop.is_some() { "the proxy " } else { "" };
        format!("{proxy}{}:{}", self.next().0, self.next().1)
    }

    /// Resolves the host.
    pub(super) fn resolve(&mut self) -> Result<String, Finding> {
        let began = Instant::now();
        let (host, port) = self.next();
        let found = probe::resolve(host, port, LIMIT).map_err(|error| Finding::new(format!("{host}: {error}")))?;
        let (took, first) = (began.elapsed(), found.first().map(|address| address.ip().to_string()));
        let slow = if took > Duration::from_secs(1) { format!(", after {} s", took.as_secs()) } else { String::new() };
        let note = format!("{host} is {}{slow}", first.unwrap_or_default());
        self.addresses = found;
        Ok(note)
    }

    /// Connects, and asks the proxy for a tunnel where there is one.
    pub(super) fn connect(&mut self) -> Result<String, Finding> {
        let told = self.told();
        let failed = |error: io::Error| Finding::new(format!("{told}: {error}"));
        let mut link = Link::open(&self.addresses, LIMIT).map_err(failed)?;
        let peer = link.peer().map_err(failed)?;
        match &self.hop {
            // What is spoken inside the proxy's own TLS is tried by the token exchange alone.
            Some(hop) if hop.secure => Ok(format!("{told} answers")),
            Some(hop) => {
                tunnel(&mut link, hop, &self.to).map_err(|seen| refused_by_proxy(&told, &seen))?;
                self.link = Some(link);
                Ok(format!("{told} opens a tunnel to {}", self.to.authority()))
            }
            None => {
                self.link = Some(link);
                Ok(format!("{} at {peer}", self.to.host()))
            }
        }
    }

    /// Speaks TLS to the host.
    pub(super) fn secure(&mut self, trust: &Trust) -> Result<String, Finding> {
        let host = self.to.host();
        let Some(link) = &mut self.link else { return Ok(format!("{host} is behind a proxy with TLS, not tried")) };
        match link.secure(host, trust) {
            Ok(()) => Ok(host.to_owned()),
            Err(error) => {
                self.link = None;
                Err(distrust(self.to.host(), &error))
            }
        }
    }

    /// Gets `target` on the connection, which ends with it. None where there is no connection.
    pub(super) fn get(&mut self, target: &str) -> Option<io::Result<http::Answer>> {
        let mut link = self.link.take()?;
        let request = http::get(&self.to.authority(), target);
        Some(link.send(&request).and_then(|()| http::answer(&mut link, 64 * 1024)))
    }

    /// Goes the whole way anew, for a request of its own.
    pub(super) fn again(&mut self, trust: &Trust) -> Result<&mut Link, Finding> {
        if self.addresses.is_empty() {
            self.resolve()?;
        }
        self.connect()?;
        self.secure(trust)?;
        self.link.as_mut().ok_or_else(|| Finding::new("no connection by way of a proxy with TLS"))
    }
}

fn refused_by_proxy(told: &str, seen: &str) -> Finding {
    let repair = "let the proxy connect to that host, or name the host in NO_PROXY where it can be reached directly";
    Finding::new(format!("{told}: {seen}")).repaired(format!("{repair}\n{}", NET_02.repair))
}

/// Asks a proxy for a tunnel (RFC 9110 §9.3.6).
fn tunnel(link: &mut Link, hop: &Hop, to: &Endpoint) -> Result<(), String> {
    let target = to.host_and_port();
    let credentials = hop.credentials.as_ref().map(|credentials| credentials.as_bytes());
    let mut request = Zeroizing::new([0; 4096]);
    let length = encode_connect(&target, credentials, &mut request[..]).map_err(|error| error.to_string())?;
    let request = request.get(..length).unwrap_or_default();
    let status = link.send(request).and_then(|()| http::status(link)).map_err(|error| error.to_string())?;
    match status {
        200..=299 => Ok(()),
        407 => Err(format!("wants a login before it connects to {target} (407); put it into HTTPS_PROXY")),
        status => Err(format!("refuses to connect to {target} ({status})")),
    }
}

/// What a failed handshake says about who is at the other end.
fn distrust(host: &str, error: &HandshakeError) -> Finding {
    let HandshakeError::Tls { error, doubt, presented } = error else {
        return Finding::new(format!("{host}: the connection ended during the TLS handshake: {error}"));
    };
    let signer =
        presented.as_ref().map_or_else(|| "nobody we know".to_owned(), |Presented { issuer, .. }| issuer.clone());
    let subject = presented.as_ref().map_or_else(String::new, |Presented { subject, .. }| subject.clone());
    match doubt {
        Some(Doubt::Untrusted) => Finding::new(format!(
            "{host}: its certificate ({subject}) was signed by {signer}, which is not trusted here"
        )),
        Some(Doubt::WrongName) => {
            Finding::new(format!("{host}: it presents a certificate for another host ({subject})"))
                .repaired(format!("see whose address the name has; somebody else answers there\n{}", NET_03.repair))
        }
        Some(Doubt::Expired | Doubt::NotYetValid) => {
            let now = humantime::format_rfc3339_seconds(SystemTime::now().max(SystemTime::UNIX_EPOCH));
            let seen = format!("{host}: {error}; by this node's clock it is {now}");
            Finding::new(seen).repaired(format!("see first whether the node's clock is right\n{}", NET_04.repair))
        }
        _ => Finding::new(format!("{host}: {error}")),
    }
}
