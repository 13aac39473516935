//! The HTTP client for every token endpoint: a request, and its answer with a bounded body.

use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::{Agent, Body, Proxy, http};
use zeroize::Zeroizing;

use super::deadline::Limited;
use super::failure::{Failure, hint_of};
use crate::config;
use crate::hint::{self, Hint};
use crate::resolve::{alternate, look_up};
use crate::tls::CertificateFault;
use crate::trust::Roots;
use crate::{proxy, tls};

/// For one attempt, except name resolution, which cannot be interrupted: the system's resolver gives up by its own
/// configuration, within about half a minute (resolv.conf(5): 5 s and 2 attempts for each server).
const TIMEOUT: Duration = Duration::from_secs(20);

/// For all addresses of one attempt together, including a proxy's tunnel and the TLS handshake. ureq gives each address
/// twice the time of the next, so with two or more, a dead first one costs at most 5.3 s; a single one gets it all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);

/// Addresses that are tried, alternating between the families. Entra has eight of each: with a dead first family,
/// trying all would leave no time for the other.
const ADDRESSES: usize = 4;

/// Longest answer that is read, in bytes. Tokens are a few KiB; anything longer is not from a token endpoint.
const MAX_ANSWER: u64 = 64 * 1024;

/// What stands encoded in a form, apart from the space (WHATWG URL, "application/x-www-form-urlencoded percent-encode
/// set").
const IN_FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// A client for one kind of endpoint.
pub(super) struct Http {
    agent: Agent,
    proxy: Option<Proxy>,
    /// Number of requests without an answer.
    failures: Arc<AtomicUsize>,
}

/// An answer of any status.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Retry-After`, as seconds or as a date (RFC 9110 §10.2.3).
    pub(super) retry_after: Option<Duration>,
    /// `Date`: the server's clock.
    pub(super) date: Option<SystemTime>,
    /// The first `WWW-Authenticate`.
    pub(super) challenge: Option<String>,
    /// At most [`MAX_ANSWER`] bytes.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// Names and values that belong together: a form, a query, header fields.
pub(super) type Pairs<'p> = &'p [(&'p str, &'p str)];

impl Http {
    /// For remote hosts: TLS only, through the proxy if there is one.
    pub(super) fn abroad(roots: &Roots, proxy: Option<&config::Proxy>) -> io::Result<Self> {
        let proxy = proxy.map(proxy::parse).transpose()?;
        Ok(Self::new(Some(certificates(roots)), proxy, Host::OfUrl, TIMEOUT))
    }

    /// For the one https host `host`, whatever name the URL contains: that one is the name in its certificate. Never
    /// through a proxy.
    pub(super) fn pinned(roots: &Roots, host: &str) -> Self {
        Self::new(Some(certificates(roots)), None, Host::Named(host.to_owned()), TIMEOUT)
    }

    /// For plain http on this machine, never through a proxy, which would see the token.
    pub(super) fn local(address: IpAddr) -> Self {
        Self::new(None, None, Host::At(address), TIMEOUT)
    }

    /// A client without the ureq defaults that do not fit: no redirects, no idle connections, no proxy from the
    /// environment, statuses other than 2xx are not errors, our roots and our cryptography.
    fn new(roots: Option<RootCerts>, proxy: Option<Proxy>, host: Host, timeout: Duration) -> Self {
        let encrypted = roots.is_some();
        let tls = TlsConfig::builder()
            .root_certs(roots.unwrap_or(RootCerts::WebPki))
            .unversioned_rustls_crypto_provider(tls::provider())
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .https_only(encrypted)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .input_buffer_size(16 * 1024)
            .output_buffer_size(16 * 1024)
            .timeout_global(Some(timeout))
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .proxy(proxy.clone())
            .user_agent(concat!("remora/", env!("CARGO_PKG_VERSION")))
            .build();
        let failures = Arc::<AtomicUsize>::default();
        let names = Names { host, failures: failures.clone() };
        Self { agent: Agent::with_parts(config, Limited::new(timeout), names), proxy, failures }
    }

    /// POSTs a form; `host` is the Host header.
    pub(super) fn post(&self, url: &str, host: &str, form: Pairs<'_>) -> Result<Answer, Failure> {
        let pairs: Vec<_> = form.iter().map(|(name, value)| format!("{}={}", in_form(name), in_form(value))).collect();
        let request =
            self.agent.post(url).header(http::header::HOST, host).header(http::header::ACCEPT, "application/json");
        let sent = request.content_type("application/x-www-form-urlencoded").send(pairs.join("&"));
        sent.and_then(receive).map_err(|error| self.failed(url, host, &error))
    }

    /// GETs; `host` is the Host header.
    pub(super) fn get(&self, url: &str, host: &str, query: Pairs<'_>, fields: Pairs<'_>) -> Result<Answer, Failure> {
        let mut request = self.agent.get(url).query_pairs(query.iter().copied()).header(http::header::HOST, host);
        for &(name, value) in fields {
            request = request.header(name, value);
        }
        request.call().and_then(receive).map_err(|error| self.failed(url, host, &error))
    }

    fn failed(&self, url: &str, host: &str, error: &ureq::Error) -> Failure {
        self.failures.fetch_add(1, Ordering::Relaxed);
        failed(host, self.proxy_towards(url), error)
    }

    /// The proxy that a request to `url` goes through.
    fn proxy_towards(&self, url: &str) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|proxy| url.parse().is_ok_and(|url| !proxy.is_no_proxy(&url)))
    }
}

/// A name or a value as it stands in a form.
pub(super) fn in_form(text: &str) -> String {
    utf8_percent_encode(text, IN_FORM).to_string().replace("%20", "+")
}

fn receive(response: http::Response<Body>) -> Result<Answer, ureq::Error> {
    let (parts, body) = response.into_parts();
    let field = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let date = field(http::header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    let now = date.unwrap_or_else(SystemTime::now);
    let mut answer = Answer {
        status: parts.status.as_u16(),
        retry_after: field(http::header::RETRY_AFTER).and_then(|text| pause(text, now)),
        date,
        challenge: field(http::header::WWW_AUTHENTICATE).map(str::to_owned),
        body: Zeroizing::new(Vec::new()),
    };
    body.into_reader().take(MAX_ANSWER).read_to_end(&mut answer.body)?;
    Ok(answer)
}

/// `Retry-After`: seconds, or the time until a date; `now` is by the server's clock.
pub(super) fn pause(text: &str, now: SystemTime) -> Option<Duration> {
    if let Some(seconds) = remora_core::http::digits::decimal(text.trim().as_bytes()) {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// The failure of a request without an answer. Through a proxy, only the proxy is resolved and connected to.
fn failed(host: &str, proxy: Option<&Proxy>, error: &ureq::Error) -> Failure {
    use ureq::Error::{ConnectProxyFailed, HostNotFound, Io, Other, Rustls, Timeout};
    let hint = match error {
        HostNotFound | Other(_) => &hint::UNRESOLVED,
        Rustls(error) => certificate_hint(CertificateFault::of(error)),
        // Errors of the handshake itself arrive as I/O errors.
        Io(error) if error.kind() == io::ErrorKind::InvalidData => certificate_hint(CertificateFault::within(error)),
        ConnectProxyFailed(answer) if answer.contains("407") => &hint::PROXY_LOGIN,
        _ if proxy.is_some() => &hint::PROXY,
        _ => &hint::UNREACHABLE,
    };
    let system = match error {
        Io(error) => Some(error),
        Other(error) => error.downcast_ref(),
        _ => None,
    };
    let hint = system.map_or(hint, |error| hint_of(error, hint));
    let text = match error {
        Timeout(ureq::Timeout::Connect) => format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
        Timeout(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        Other(error) => error.to_string(),
        _ => error.to_string(),
    };
    let way = proxy.map(|proxy| format!(", through the proxy {}:{}", proxy.host(), proxy.port())).unwrap_or_default();
    Failure::new(format!("{host}{way}: {text}")).with_hint(hint)
}

/// The hint for a failed handshake.
const fn certificate_hint(fault: CertificateFault) -> &'static Hint {
    match fault {
        CertificateFault::Untrusted => &hint::UNTRUSTED,
        CertificateFault::Expired | CertificateFault::NotYetValid => &hint::CERTIFICATE_TIME,
        CertificateFault::WrongName | CertificateFault::Other => &hint::OTHER_HOST,
    }
}

fn certificates(roots: &Roots) -> RootCerts {
    match roots {
        Roots::BuiltIn => RootCerts::WebPki,
        Roots::Own(own) => own.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into(),
    }
}

/// Which host a client connects to.
#[derive(Debug)]
enum Host {
    /// The one in the URL, or the proxy.
    OfUrl,
    /// This one in place of the one in the URL.
    Named(String),
    /// This address.
    At(IpAddr),
}

/// Resolves on the calling thread. With a timeout, ureq's own resolver starts a thread that nothing waits for.
#[derive(Debug)]
struct Names {
    host: Host,
    failures: Arc<AtomicUsize>,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &http::Uri,
        config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(ureq::Error::HostNotFound);
        };
        let name = DefaultResolver::host_and_port(scheme, authority).ok_or(ureq::Error::HostNotFound)?;
        let (host, port) = name.rsplit_once(':').unwrap_or((&name, ""));
        let port = port.parse().unwrap_or_default();
        let addresses: Vec<_> = match &self.host {
            Host::OfUrl => look_up(host.trim_matches(['[', ']']), port).map_err(unresolved)?,
            Host::Named(host) => look_up(host, port).map_err(unresolved)?,
            Host::At(address) => vec![(*address, port).into()],
        };
        let addresses: Vec<_> = config.ip_family().keep_wanted(addresses.into_iter()).collect();
        let mut found = self.empty();
        for address in candidates(&addresses, self.failures.load(Ordering::Relaxed)) {
            found.push(address);
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}

/// Tells a failed lookup from a failed connection. ureq itself has no errors of this kind.
fn unresolved(error: io::Error) -> ureq::Error {
    ureq::Error::Other(error.into())
}

/// The addresses to try after so many failures. Each failure starts with the next address: ureq settles for the first
/// one that accepts a connection, which might never complete a handshake.
fn candidates(addresses: &[SocketAddr], failures: usize) -> Vec<SocketAddr> {
    let mut ordered = alternate(addresses);
    let first = failures.checked_rem(ordered.len()).unwrap_or(0);
    ordered.rotate_left(first);
    ordered.truncate(ADDRESSES);
    ordered
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;
    use crate::tls::server::{answering, echo};

    #[test]
    fn a_pause_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Tue, 15 Nov 1994 08:12:31 GMT").unwrap();
        let pause = |text: &str| pause(text, now);
        assert_eq!(pause("60"), Some(Duration::from_secs(60)));
        assert_eq!(pause("Tue, 15 Nov 1994 08:14:01 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(pause("Tue, 15 Nov 1994 08:12:30 GMT"), Some(Duration::ZERO));
        for text in ["", "+5", "soon", "-1", "1.5"] {
            assert_eq!(pause(text), None, "{text}");
        }
    }

    #[test]
    fn retry_after_dates_follow_the_servers_clock() {
        let response = http::Response::builder()
            .status(503)
            .header("Date", "Tue, 15 Nov 1994 08:12:31 GMT")
            .header("Retry-After", "Tue, 15 Nov 1994 08:12:41 GMT");
        let answer = receive(response.body(Body::builder().data("")).unwrap()).unwrap();
        assert_eq!(answer.retry_after, Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_form_that_is_repeated_shows_no_secret() {
        let (address, certificate) = answering("localhost", |form| {
            format!(
                "HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{}",
                form.len(),
                String::from_utf8_lossy(form)
            )
        });
        let http = Http::abroad(&Roots::Own(vec![certificate]), None).unwrap();
        let repeated = |secret| {
            let form = [("client_id", "c"), ("client_secret", secret), ("scope", "a/.default")];
            let answer = http.post(&format!("https://localhost:{}/", address.port()), "localhost", &form).unwrap();
            let text = String::from_utf8(answer.body.to_vec()).unwrap();
            (Failure::new(&text).without(secret).message, text)
        };
        let printable = String::from_utf8((b' '..=b'~').collect()).unwrap();
        for secret in [printable.as_str(), "8Q~ab/c", "a!b/c", "p/w(1)", "p+w/d=~ x", "ü%41&", "a*b/c", "plain"] {
            let (told, sent) = repeated(secret);
            assert_eq!(told, "client_id=c&client_secret=***&scope=a%2F.default", "{sent}");
        }
    }

    #[test]
    fn each_failure_begins_with_the_next_address() {
        let parse = |text: &str| text.parse::<SocketAddr>().unwrap();
        let eight: Vec<_> = (1..=8).map(|last| parse(&format!("192.0.2.{last}:443"))).collect();
        assert_eq!(candidates(&eight, 0), eight[..4]);
        assert_eq!(candidates(&eight, 1), eight[1..5]);
        assert_eq!(candidates(&eight, 15), [eight[7], eight[0], eight[1], eight[2]]);
        let both = [parse("[2001:db8::1]:443"), parse("[2001:db8::2]:443"), parse("192.0.2.1:443")];
        assert_eq!(candidates(&both, 1), [both[2], both[1], both[0]]);
        assert_eq!(candidates(&[], 3), []);
    }

    #[test]
    fn a_failed_handshake_has_the_fitting_hint() {
        let hint = |address: SocketAddr, certificate| {
            let http = Http::abroad(&Roots::Own(vec![certificate]), None).unwrap();
            let url = format!("https://localhost:{}/", address.port());
            http.get(&url, "localhost", &[], &[]).unwrap_err().hint.unwrap().word
        };
        let (address, _) = echo("localhost");
        let (_, other) = echo("localhost");
        assert_eq!(hint(address, other.clone()), "untrusted-certificate");
        let (address, certificate) = echo("other.example");
        assert_eq!(hint(address, certificate), "other-host");
        let plain = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = plain.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut socket, _) = plain.accept().unwrap();
            socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            // Closing before everything is read would reset the connection.
            let _ = io::copy(&mut socket, &mut io::sink());
        });
        assert_eq!(hint(address, other), "other-host");
        assert_eq!(certificate_hint(CertificateFault::NotYetValid).word, "certificate-time");
    }

    /// Its connection was opened and its certificate verified, so it is not out of reach.
    #[test]
    fn a_silent_host_is_not_said_to_be_out_of_reach_alone() {
        let silent = ureq::Error::Timeout(ureq::Timeout::Global);
        let proxy = Proxy::new("http://proxy:1").unwrap();
        for (proxy, told) in [(None, "did not answer"), (Some(&proxy), "passed on no answer")] {
            let failure = failed("h", proxy, &silent);
            assert!(failure.message.ends_with(": no answer within 20 s"), "{}", failure.message);
            assert!(failure.hint.is_some_and(|hint| hint.cause.contains(told)), "{failure}");
        }
    }

    #[test]
    fn a_proxy_that_answers_byte_by_byte_does_not_hold_the_attempt() {
        const LIMIT: Duration = Duration::from_secs(1);
        let slow = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::new(&format!("http://{}", slow.local_addr().unwrap())).unwrap();
        let tunnel = std::thread::spawn(move || {
            let (mut socket, _) = slow.accept().unwrap();
            let answer = format!("HTTP/1.1 200 OK\r\nX-Slow: {}", "x".repeat(50));
            answer
                .bytes()
                .take_while(|&byte| {
                    std::thread::sleep(Duration::from_millis(100));
                    socket.write_all(&[byte]).is_ok()
                })
                .count()
        });
        let http = Http::new(Some(RootCerts::WebPki), Some(proxy), Host::OfUrl, LIMIT);
        let began = std::time::Instant::now();
        let failure = http.get("https://entra.example/", "entra.example", &[], &[]).unwrap_err();
        assert!(failure.message.contains("no answer within"), "{}", failure.message);
        assert_eq!(failure.hint, Some(&hint::PROXY));
        assert!(began.elapsed() >= LIMIT, "it had its time");
        assert!((1..30).contains(&tunnel.join().unwrap()), "the connection was closed early");
    }

    #[test]
    fn a_lack_of_file_descriptors_is_not_blamed_on_the_network() {
        let full = || io::Error::from(rustix::io::Errno::MFILE);
        let proxy = Proxy::new("http://proxy:1").unwrap();
        for proxy in [None, Some(&proxy)] {
            for error in [ureq::Error::Io(full()), unresolved(full())] {
                assert_eq!(failed("h", proxy, &error).hint, Some(&hint::OPEN_FILES), "{error}");
            }
        }
    }

    #[test]
    fn a_name_without_an_address_is_not_out_of_reach() {
        let proxy =
            config::Proxy { url: "http://proxy.invalid:1".to_owned(), no_proxy: Some("direct.invalid".to_owned()) };
        let http = Http::abroad(&Roots::BuiltIn, Some(&proxy)).unwrap();
        let pinned = Http::pinned(&Roots::BuiltIn, "pinned.invalid");
        for (http, url, way) in [
            (&http, "https://direct.invalid/", "h"),
            (&http, "https://entra.example/", "h, through the proxy proxy.invalid:1"),
            (&pinned, "https://10.0.0.1/", "h"),
        ] {
            let failure = http.get(url, "h", &[], &[]).unwrap_err();
            let told = format!("{way}: failed to lookup address information");
            assert!(failure.message.starts_with(&told), "{}", failure.message);
            assert_eq!(failure.hint, Some(&hint::UNRESOLVED), "{url}");
        }
    }

    #[test]
    fn an_unreachable_proxy_is_named() {
        let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let ask = |no_proxy: &str| {
            let proxy = config::Proxy { url: format!("http://{dead}"), no_proxy: Some(no_proxy.to_owned()) };
            let http = Http::abroad(&Roots::BuiltIn, Some(&proxy)).unwrap();
            http.get(&format!("https://{dead}/"), "entra.example", &[], &[]).unwrap_err()
        };
        let through = ask("");
        let told = format!("entra.example, through the proxy {dead}: ");
        assert!(through.message.starts_with(&told), "{}", through.message);
        assert_eq!(through.hint, Some(&hint::PROXY));
        let direct = ask("127.0.0.1");
        assert!(direct.message.starts_with("entra.example: "), "{}", direct.message);
        assert_eq!(direct.hint, Some(&hint::UNREACHABLE));
    }
}
