//! The exchange of a projected service-account token for an Entra access token: one form POST (RFC 7523 §2.2), on a
//! thread of its own that sleeps between exchanges.

mod answer;

use std::fs;
use std::io::{self, Read as _};
use std::net::ToSocketAddrs as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use smol::channel;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, http};
use zeroize::Zeroizing;

pub use answer::Failure;
pub(crate) use answer::Grant;

use crate::config::{self, WorkloadIdentity};
use crate::hint;
use crate::{proxy, tls};
use crate::trust::Trust;

/// For one attempt, name resolution included.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Longest answer that is read. Tokens have a few KiB; what is longer is no answer of Entra's.
const MAX_ANSWER: u64 = 64 * 1024;

/// Longest assertion file that is read.
const MAX_ASSERTION: u64 = 64 * 1024;

const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The result of one exchange.
pub(crate) type Exchanged = Result<Grant, Failure>;

/// The thread that exchanges.
#[derive(Debug)]
pub(crate) struct Exchanger(mpsc::Sender<channel::Sender<Exchanged>>);

impl Exchanger {
    /// Starts the thread.
    pub(crate) fn start(identity: WorkloadIdentity, trust: &Trust, proxy: Option<&config::Proxy>) -> io::Result<Self> {
        let (asking, asked) = mpsc::channel::<channel::Sender<Exchanged>>();
        let agent = agent(trust, proxy)?;
        let thread = std::thread::Builder::new().name("entra".to_owned()).stack_size(256 * 1024);
        thread.spawn(move || {
            for reply in asked {
                // Whoever asked may have gone.
                let _ = reply.send_blocking(exchange(&agent, &identity));
            }
        })?;
        Ok(Self(asking))
    }

    /// Exchanges once.
    pub(crate) async fn exchange(&self) -> Exchanged {
        let (reply, answer) = channel::bounded(1);
        let gone = || Failure::new("the token thread has ended; restart the container");
        self.0.send(reply).map_err(|_| gone())?;
        answer.recv().await.unwrap_or_else(|_| Err(gone()))
    }
}

/// Reads the assertion and posts it; once more at once where Entra says that it is outside its validity, for the
/// kubelet may just have replaced it.
fn exchange(agent: &Agent, identity: &WorkloadIdentity) -> Exchanged {
    match attempt(agent, identity) {
        Err(failure) if failure.is_outdated_assertion() => attempt(agent, identity),
        other => other,
    }
}

fn attempt(agent: &Agent, identity: &WorkloadIdentity) -> Exchanged {
    let assertion = read_assertion(&identity.token_file)?;
    let authority = identity.authority.authority();
    let url = format!("https://{authority}/{}/oauth2/v2.0/token", identity.tenant_id);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", identity.client_id.as_str()),
        ("scope", identity.scope.as_str()),
        ("client_assertion_type", ASSERTION_TYPE),
        ("client_assertion", assertion.as_str()),
    ];
    let sent = agent.post(&url).header("Accept", "application/json").send_form(form);
    let response = sent.map_err(|error| Failure::new(format!("{authority}: {error}")))?;
    let (parts, body) = response.into_parts();
    let mut bytes = Zeroizing::new(Vec::new());
    let read = body.into_reader().take(MAX_ANSWER).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(format!("{authority}: {error}")))?;
    answer::decode(parts.status.as_u16(), parts.headers.get(http::header::RETRY_AFTER), &bytes)
}

/// The projected token, without the white space that hand-written files end in.
fn read_assertion(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: io::Error| {
        Failure::new(format!("AZURE_FEDERATED_TOKEN_FILE {}: {error}", path.display())).with_hint(&hint::TOKEN_FILE)
    };
    let mut text = Zeroizing::new(String::new());
    fs::File::open(path).and_then(|file| file.take(MAX_ASSERTION).read_to_string(&mut text)).map_err(failed)?;
    let trimmed = text.trim();
    if trimmed.is_empty() {
        Err(failed(io::ErrorKind::UnexpectedEof.into()))
    } else {
        Ok(Zeroizing::new(trimmed.to_owned()))
    }
}

/// A client without ureq's defaults that do not suit: no redirects, no idle connections, answers other than 2xx are
/// answers, our roots and our cryptography.
fn agent(trust: &Trust, proxy: Option<&config::Proxy>) -> io::Result<Agent> {
    let roots = if trust.certificates.is_empty() {
        RootCerts::WebPki
    } else {
        trust.certificates.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into()
    };
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(tls::provider()).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_idle_connections(0)
        .input_buffer_size(16 * 1024)
        .output_buffer_size(16 * 1024)
        .timeout_global(Some(TIMEOUT))
        .proxy(proxy.map(proxy::parse).transpose()?)
        .user_agent(concat!("remora/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok(Agent::with_parts(config, DefaultConnector::new(), SameThread))
}

/// Resolves where it is called. ureq's own resolver starts a thread that nobody waits for when there is a timeout.
#[derive(Debug)]
struct SameThread;

impl Resolver for SameThread {
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
        let mut found = self.empty();
        for address in config.ip_family().keep_wanted(name.to_socket_addrs()?).take(16) {
            found.push(address);
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}
