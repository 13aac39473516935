//! The route to one host, direct or through a proxy, taken step by step so that the step that fails is the one
//! reported.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use remora_core::http::tunnel::TunnelError;
use remora_smol::Trust;
use remora_smol::config::Proxy;
use remora_smol::endpoint::{Endpoint, host_and_port};
use remora_smol::probe::{self, CertificateFault, HandshakeError, Hop, Link, Presented};

use super::http;
use super::outcome::Finding;
use crate::pages::{NET_01, NET_02, NET_03, NET_04, Page};

/// Time limit of the name resolution, and of everything on one connection.
const LIMIT: Duration = Duration::from_secs(10);

/// The result of a name lookup.
#[derive(Debug)]
pub(super) struct Lookup {
    /// The addresses, or why there are none.
    pub(super) found: io::Result<Vec<SocketAddr>>,
    /// How long it took.
    pub(super) took: Duration,
}

/// The destination of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The issuer of access tokens.
    Authority,
    /// The ingestion endpoint.
    Ingestion,
    /// The issuer of the projected token.
    Issuer,
}

/// The route to one host.
#[derive(Debug)]
pub(super) struct Route {
    /// The kind of destination.
    pub(super) goal: Goal,
    /// Its address.
    pub(super) to: Endpoint,
    /// The proxy on the way, if any.
    hop: Option<Hop>,
    addresses: Vec<SocketAddr>,
    /// How long the last name resolution took.
    pub(super) resolution: Duration,
    link: Option<Link>,
    /// The page of the step that failed.
    pub(super) blocked: Option<&'static Page>,
}

impl Route {
    /// A route that has not been tried yet.
    pub(super) fn new(goal: Goal, to: Endpoint, proxy: Option<&Proxy>) -> io::Result<Self> {
        let hop = proxy.map(|proxy| Hop::towards(&to, proxy)).transpose()?.flatten();
        // A proxy that is itself reached over TLS is used only for tokens.
        let hop = hop.filter(|hop| goal != Goal::Ingestion || !hop.secure);
        Ok(Self { goal, to, hop, addresses: Vec::new(), resolution: Duration::ZERO, link: None, blocked: None })
    }

    /// The host to connect to: the proxy if there is one.
    pub(super) fn next(&self) -> (&str, u16) {
        self.hop.as_ref().map_or((self.to.host(), self.to.port()), |hop| (hop.host.as_str(), hop.port))
    }

    /// The host to connect to, as shown to the user.
    fn told(&self) -> String {
        let proxy = if self.hop.is_some() { "the proxy " } else { "" };
        format!("{proxy}{}", self.place())
    }

    fn place(&self) -> String {
        let (host, port) = self.next();
        host_and_port(host, port)
    }

    /// Looks the host up.
    pub(super) fn look_up(&self) -> Lookup {
        let began = Instant::now();
        let (host, port) = self.next();
        Lookup { found: probe::resolve(host, port, LIMIT), took: began.elapsed() }
    }

    /// The host, if its lookup shows that DNS answers for names outside the cluster. A proxy may be inside.
    pub(super) fn proves_dns(&self, lookup: &Lookup) -> Option<&str> {
        let host = self.to.host();
        let asked = self.hop.is_none() && host.parse::<IpAddr>().is_err() && host != "localhost";
        (asked && lookup.found.is_ok()).then_some(host)
    }

    /// Takes the addresses from a lookup. `known` is another host for which DNS answered.
    pub(super) fn resolve(&mut self, lookup: Lookup, known: Option<&str>) -> Result<String, Finding> {
        let found = lookup.found.map_err(|error| self.unresolved(&error, known))?;
        let first = found.first().map(|address| address.ip().to_string());
        let note = format!("{} is {}", self.next().0, first.unwrap_or_default());
        (self.addresses, self.resolution) = (found, lookup.took);
        Ok(note)
    }

    /// Connects, and requests a tunnel from the proxy if there is one. Each step does so anew: a step on another route
    /// may have taken as long as a connection may last.
    pub(super) fn connect(&mut self) -> Result<String, Finding> {
        self.link = None;
        let told = self.told();
        let failed = |error: io::Error| self.unconnected(&format!("{told}: {error}"));
        let mut link = Link::open(&self.addresses, LIMIT).map_err(failed)?;
        let peer = link.peer().map_err(failed)?;
        match &self.hop {
            // Requests inside the proxy's own TLS are tested only by the token exchange.
            Some(hop) if hop.secure => Ok(format!("{told} answers")),
            Some(hop) => {
                let tunnelled = link.tunnel(hop, &self.to);
                tunnelled.map_err(|error| self.untunnelled(&told, &Untunnelled::of(&error)))?;
                self.link = Some(link);
                Ok(format!("{told} opens a tunnel to {}", self.to.authority()))
            }
            None => {
                self.link = Some(link);
                Ok(format!("{} at {peer}", self.to.host()))
            }
        }
    }

    /// Connects, and performs the TLS handshake with the host.
    pub(super) fn secure(&mut self, trust: &Trust) -> Result<String, Finding> {
        self.connect()?;
        let host = self.to.host();
        let Some(link) = &mut self.link else { return Ok(format!("{host} is behind a TLS proxy; not tested")) };
        match link.secure(host, trust) {
            Ok(()) => Ok(host.to_owned()),
            Err(error) => {
                self.link = None;
                Err(distrust(self, &error))
            }
        }
    }

    /// Gets `target` and thereby uses up the connection. None if there is no connection.
    pub(super) fn get(&mut self, target: &str) -> Option<io::Result<http::Answer>> {
        let mut link = self.link.take()?;
        let request = http::get(&self.to.authority(), target);
        Some(link.send(&request).and_then(|()| http::answer(&mut link, 64 * 1024)))
    }

    /// Takes the whole route again, for a request of its own.
    pub(super) fn again(&mut self, trust: &Trust) -> Result<&mut Link, Finding> {
        if self.addresses.is_empty() {
            self.resolve(self.look_up(), None)?;
        }
        self.secure(trust)?;
        self.link.as_mut().ok_or_else(|| Finding::new("no connection through a TLS proxy"))
    }
}

/// An ingestion host that does not exist.
const NO_INGESTION: &str = "DNS works, but this host does not exist: INGESTION_URL is mistyped, its workspace or endpoint was deleted or moved, or its\n\
    private DNS zone is not linked to the cluster's network; compare INGESTION_URL with";
/// The command that shows the endpoint of a workspace.
const DEFAULT_INGESTION: &str = "az monitor account show -n <workspace> -g <group> --query defaultIngestionSettings";
/// A host of Entra that does not exist.
const NO_AUTHORITY: &str = "DNS works, but this host does not exist: correct or unset AZURE_AUTHORITY_HOST (AAD_HOST_ENDPOINT with CLOUD=AZURECUSTOM);\n\
    if the name is right, let the cluster's DNS resolve it";

/// The texts of `EAI_NONAME` and `EAI_NODATA`, which say that there is no such name: glibc's `gai_strerror`, then
/// musl's. Other errors may pass.
const NO_NAME: [&str; 4] =
    ["Name or service not known", "No address associated", "Name does not resolve", "Name has no usable address"];

fn is_no_name(error: &io::Error) -> bool {
    let text = error.to_string();
    NO_NAME.iter().any(|no_name| text.contains(no_name))
}

/// What to do if no proxy is needed.
const AROUND: &str = "or list in NO_PROXY the hosts that can be reached directly";

/// Findings whose fix fits the step that failed: the fix must not be to set a proxy that is already set.
impl Route {
    fn unresolved(&self, error: &io::Error, known: Option<&str>) -> Finding {
        let (host, _) = self.next();
        if self.hop.is_none() {
            return match known.filter(|_| is_no_name(error)) {
                Some(known) => self.nonexistent(error, known),
                None => Finding::new(format!("{host}: {error}")),
            };
        }
        let seen = format!("the proxy {host}: {error}");
        let repair =
            format!("correct HTTPS_PROXY, whose host is {host}, or check whether the cluster's DNS knows that name");
        Finding::new(seen).repaired(format!("{repair}; {AROUND}\n{}", NET_01.commands()))
    }

    /// DNS answers, so it is the name that is wrong.
    fn nonexistent(&self, error: &io::Error, known: &str) -> Finding {
        let repair = match self.goal {
            Goal::Ingestion => format!("{NO_INGESTION}\n{DEFAULT_INGESTION}"),
            Goal::Authority | Goal::Issuer => format!("{NO_AUTHORITY}\n{}", NET_01.commands()),
        };
        Finding::new(format!("{}: {error}; DNS works: {known} resolves", self.to.host())).repaired(repair)
    }

    fn unconnected(&self, seen: &str) -> Finding {
        let place = self.place();
        let repair = if self.hop.is_none() {
            // No proxy is used for loopback.
            let around = if self.to.is_loopback() { "" } else { ", or set HTTPS_PROXY" };
            format!("allow TCP from the pod to {place}{around}")
        } else {
            let proxy = format!("let the proxy at {place} accept connections from the pod, or correct HTTPS_PROXY");
            format!("{proxy}; {AROUND}")
        };
        Finding::new(seen).on(&NET_02).repaired(format!("{repair}\n{}", NET_02.commands()))
    }

    /// The fix for a proxy that does not lead to the host.
    fn let_through(&self) -> String {
        let (target, host) = (self.to.host_and_port(), self.to.host());
        format!("let the proxy connect to {target}, or list {host} in NO_PROXY if it can be reached directly")
    }

    /// The proxy did not open a tunnel.
    fn untunnelled(&self, told: &str, refused: &Untunnelled) -> Finding {
        let target = self.to.host_and_port();
        let (seen, repair) = match refused {
            Untunnelled::Broken(error) => (error.clone(), format!("check whether that is an HTTP proxy; {AROUND}")),
            Untunnelled::Status(407) => (
                format!("requires a login before it connects to {target} (407)"),
                format!("set HTTPS_PROXY=http://<user>:<password>@{}", self.place()),
            ),
            Untunnelled::Status(status) => (format!("refuses to connect to {target} ({status})"), self.let_through()),
        };
        Finding::new(format!("{told}: {seen}")).on(&NET_02).repaired(repair)
    }

    /// The connection failed during the TLS handshake. Nothing that the host presented is to blame.
    fn interrupted(&self, error: &io::Error) -> Finding {
        let seen = format!("{}: the connection ended during the TLS handshake: {error}", self.to.host());
        match self.hop {
            Some(_) => Finding::new(seen).on(&NET_02).repaired(self.let_through()),
            None => self.unconnected(&seen),
        }
    }
}

/// Why a proxy did not open a tunnel.
enum Untunnelled {
    /// Its response was not that of a proxy.
    Broken(String),
    /// It refused with this status.
    Status(u16),
}

impl Untunnelled {
    fn of(error: &io::Error) -> Self {
        match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(TunnelError::Refused { status }) => Self::Status(*status),
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// What a failed handshake says about the peer.
fn distrust(route: &Route, error: &HandshakeError) -> Finding {
    let host = route.to.host();
    let (error, fault, presented) = match error {
        HandshakeError::Tls { error, fault, presented } => (error, fault, presented),
        HandshakeError::Io(error) => return route.interrupted(error),
    };
    let signer =
        presented.as_ref().map_or_else(|| "an unknown issuer".to_owned(), |Presented { issuer, .. }| issuer.clone());
    let subject = presented.as_ref().map_or_else(String::new, |Presented { subject, .. }| subject.clone());
    match fault {
        Some(CertificateFault::Untrusted) => Finding::new(format!(
            "{host}: its certificate ({subject}) was signed by {signer}, which is not trusted here"
        )),
        Some(CertificateFault::WrongName) => {
            Finding::new(format!("{host}: it presents a certificate for another host ({subject})"))
                .repaired(format!("check where the name points; something else answers there\n{}", NET_03.repair))
        }
        Some(CertificateFault::Expired | CertificateFault::NotYetValid) => {
            let now = humantime::format_rfc3339_seconds(SystemTime::now().max(SystemTime::UNIX_EPOCH));
            let seen = format!("{host}: {error}; by this node's clock it is {now}");
            Finding::new(seen).repaired(format!("first check whether the node's clock is right\n{}", NET_04.repair))
        }
        _ => Finding::new(format!("{host}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "login.microsoftonline.com";

    /// A route to the target through this proxy.
    fn route(proxy: Option<&str>) -> Route {
        let to = Endpoint::parse(&format!("https://{TARGET}/")).unwrap();
        let proxy = proxy.map(|url| Proxy { url: url.to_owned(), no_proxy: None });
        Route::new(Goal::Authority, to, proxy.as_ref()).unwrap()
    }

    fn repair(finding: &Finding) -> &str {
        finding.repair.as_deref().unwrap_or_default()
    }

    #[test]
    fn a_proxy_whose_name_does_not_resolve_is_what_is_to_be_corrected() {
        let route = route(Some("http://squid.corp.invalid:3128"));
        let finding = route.unresolved(&io::Error::other("no such name"), Some("login.example"));
        assert_eq!(finding.seen, "the proxy squid.corp.invalid: no such name");
        assert!(repair(&finding).starts_with("correct HTTPS_PROXY, whose host is squid.corp.invalid,"));
        assert!(repair(&finding).contains("NO_PROXY"), "{}", repair(&finding));
        assert!(repair(&finding).contains("\nkubectl run dns-check"), "{}", repair(&finding));
        assert_eq!(route.next().0, "squid.corp.invalid");
    }

    #[test]
    fn a_host_that_does_not_exist_is_not_blamed_on_dns_that_answers() {
        let lookup = |error: &'static str| Lookup { found: Err(io::Error::other(error)), took: Duration::ZERO };
        let found = Lookup { found: Ok(Vec::new()), took: Duration::ZERO };
        let (mut authority, direct) = (route(None), route(None));
        assert_eq!(direct.proves_dns(&found), Some(TARGET));
        assert_eq!((direct.proves_dns(&lookup("no")), route(Some("http://squid:1")).proves_dns(&found)), (None, None));
        let mut ingestion = Route { goal: Goal::Ingestion, ..route(None) };
        for error in NO_NAME {
            let finding = ingestion.resolve(lookup(error), Some("login.example")).expect_err(error);
            assert!(finding.seen.ends_with("; DNS works: login.example resolves"), "{}", finding.seen);
            assert!(repair(&finding).contains("INGESTION_URL is mistyped"), "{}", repair(&finding));
            assert!(repair(&finding).ends_with(&format!("\n{DEFAULT_INGESTION}")), "{}", repair(&finding));
            let finding = authority.resolve(lookup(error), Some("x-1.example")).expect_err(error);
            assert!(repair(&finding).contains("AZURE_AUTHORITY_HOST"), "{}", repair(&finding));
        }
        for (error, known) in [("Try again", Some("login.example")), (NO_NAME[0], None)] {
            assert_eq!(ingestion.resolve(lookup(error), known).expect_err(error).repair, None);
        }
        let pages = [NET_01.repair, crate::pages::RBAC_02.repair, crate::pages::CFG_01.repair];
        assert!(pages.iter().filter(|page| page.contains(DEFAULT_INGESTION)).count() == 2);
    }

    #[test]
    fn who_does_not_take_connections_stands_in_the_repair() {
        let refused = |proxy| {
            let mut route = route(proxy);
            route.addresses = vec![SocketAddr::from(([127, 0, 0, 1], unused_port()))];
            route.connect().expect_err("nobody listens")
        };
        let finding = refused(Some("http://10.1.2.3:3128"));
        assert!(repair(&finding).starts_with("let the proxy at 10.1.2.3:3128 accept connections from the pod"));
        assert!(repair(&finding).contains("correct HTTPS_PROXY") && !repair(&finding).contains("set HTTPS_PROXY"));
        let finding = refused(None);
        assert!(
            repair(&finding)
                .starts_with("allow TCP from the pod to login.microsoftonline.com:443, or set HTTPS_PROXY\n")
        );
    }

    #[test]
    fn the_handshake_has_a_connection_of_its_own() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut route = route(None);
        route.addresses = vec![listener.local_addr().unwrap()];
        std::thread::spawn(move || {
            drop(listener.accept());
            let (mut peer, _) = listener.accept().unwrap();
            io::Write::write_all(&mut peer, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            io::copy(&mut peer, &mut io::sink())
        });
        route.connect().unwrap();
        let finding = route.secure(&Trust::built_in()).expect_err("no TLS");
        assert!(finding.seen.contains("corrupt message"), "{}", finding.seen);
    }

    #[test]
    fn a_peer_that_ends_the_handshake_is_no_matter_of_certificates() {
        let ended = |proxy| distrust(&route(proxy), &HandshakeError::Io(io::ErrorKind::UnexpectedEof.into()));
        for (proxy, repaired) in [
            (None, "allow TCP from the pod to login.microsoftonline.com:443"),
            (Some("http://10.1.2.3:3128"), "let the proxy connect to login.microsoftonline.com:443, or list"),
        ] {
            let finding = ended(proxy);
            assert!(finding.page == Some(&NET_02) && repair(&finding).starts_with(repaired), "{finding:?}");
        }
    }

    #[test]
    fn a_proxy_that_opens_no_tunnel_is_repaired_by_its_answer() {
        let route = route(Some("http://10.1.2.3:3128"));
        for (refused, seen, repaired) in [
            (Untunnelled::Status(403), "(403)", "let the proxy connect to login.microsoftonline.com:443, or list"),
            (Untunnelled::Status(407), "requires a login", "set HTTPS_PROXY=http://<user>:<password>@10.1.2.3:3128"),
            (Untunnelled::Broken("no".to_owned()), "the proxy: no", "check whether that is an HTTP proxy"),
        ] {
            let finding = route.untunnelled("the proxy", &refused);
            assert!(finding.seen.contains(seen) && repair(&finding).starts_with(repaired), "{finding:?}");
        }
    }

    fn unused_port() -> u16 {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }
}
