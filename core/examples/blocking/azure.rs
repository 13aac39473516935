//! Azure's side: its address, the token for it, and connections to it.

use std::collections::HashMap;
use std::io::{self, Read as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;
use std::{fs, time};

use remora_core::forward::Destination;
use remora_core::time::Instant;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, crypto};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Failure;

pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

pub(crate) struct Azure {
    variables: HashMap<String, String>,
    /// Host and port of the ingestion endpoint; `target` is its path with query.
    authority: String,
    target: String,
    tls: Arc<ClientConfig>,
    agent: ureq::Agent,
    /// The value of the Authorization header, once there is a token.
    authorization: String,
    /// A connection that may be reused.
    pub(crate) idle: Option<Tls>,
    started: time::Instant,
}

impl Azure {
    /// Reads `KEY=value` lines and the certificates that `SSL_CERT_FILE` names.
    pub(crate) fn from_file(path: &Path) -> Result<Self, Failure> {
        let text = fs::read_to_string(path)?;
        let lines = text.lines().filter_map(|line| line.split_once('='));
        let variables: HashMap<_, _> = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let url = variable(&variables, "INGESTION_URL")?;
        let rest = url.strip_prefix("https://").ok_or("INGESTION_URL: scheme is not https")?;
        let (authority, target) = rest.split_once('/').ok_or("INGESTION_URL: no path")?;
        let roots = CertificateDer::pem_file_iter(variable(&variables, "SSL_CERT_FILE")?)?;
        let roots = roots.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            authority: authority.to_owned(),
            target: format!("/{target}"),
            tls: client_config(&roots)?,
            agent: agent(&roots),
            authorization: String::new(),
            idle: None,
            started: time::Instant::now(),
            variables,
        })
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO.saturating_add(self.started.elapsed())
    }

    pub(crate) fn destination(&self) -> Destination<'_> {
        Destination { authority: &self.authority, target: &self.target, authorization: self.authorization.as_bytes() }
    }

    /// The idle connection, unless it was closed, or brought what would pass for the next answer.
    pub(crate) fn take_idle(&mut self) -> Option<Tls> {
        let mut idle = self.idle.take()?;
        idle.sock.set_nonblocking(true).ok()?;
        // What belongs to TLS alone, such as a ticket, is processed on the way.
        let is_silent = idle.read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        idle.sock.set_nonblocking(false).ok()?;
        is_silent.then_some(idle)
    }

    /// Gets the first token before `deadline`.
    pub(crate) fn authorize(&mut self, deadline: Instant) -> Result<(), Failure> {
        if self.authorization.is_empty() { self.refresh(deadline) } else { Ok(()) }
    }

    /// Exchanges the service account's token for one of Entra's before `deadline` (RFC 7523 §2.2).
    pub(crate) fn refresh(&mut self, deadline: Instant) -> Result<(), Failure> {
        let of = |name| variable(&self.variables, name);
        let url = format!("{}{}/oauth2/v2.0/token", of("AZURE_AUTHORITY_HOST")?, of("AZURE_TENANT_ID")?);
        let assertion = fs::read_to_string(of("AZURE_FEDERATED_TOKEN_FILE")?)?;
        let post = self.agent.post(url).config().timeout_global(Some(deadline.since(self.now()))).build();
        let answer = post.send_form([
            ("grant_type", "client_credentials"),
            ("client_id", of("AZURE_CLIENT_ID")?),
            ("scope", of("INGESTION_AAD_AUDIENCE")?),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion.trim()),
        ])?;
        let answer: serde_json::Value = serde_json::from_reader(answer.into_body().into_reader())?;
        let token = answer.get("access_token").and_then(|token| token.as_str()).ok_or("no access_token")?;
        self.authorization = format!("Bearer {token}");
        Ok(())
    }

    /// Opens a connection before `deadline`; the handshake takes place with the first bytes.
    pub(crate) fn connect(&self, deadline: Instant) -> Result<Tls, Failure> {
        let (host, port) = self.authority.rsplit_once(':').unwrap_or((&self.authority, "443"));
        let name = ServerName::try_from(host.to_owned())?;
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for address in (host, port.parse()?).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, deadline.since(self.now())) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(StreamOwned::new(ClientConnection::new(Arc::clone(&self.tls), name)?, stream));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure.into())
    }
}

fn variable<'v>(variables: &'v HashMap<String, String>, name: &str) -> Result<&'v str, Failure> {
    variables.get(name).map(String::as_str).ok_or_else(|| format!("{name} is not in the environment file").into())
}

fn client_config(roots: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions()?.with_root_certificates(store);
    Ok(Arc::new(config.with_no_client_auth()))
}

fn agent(roots: &[CertificateDer<'static>]) -> ureq::Agent {
    let roots: RootCerts = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect::<Vec<_>>().into();
    let provider = Arc::new(crypto::ring::default_provider());
    let tls = TlsConfig::builder().root_certs(roots).unversioned_rustls_crypto_provider(provider).build();
    ureq::Agent::new_with_config(ureq::Agent::config_builder().tls_config(tls).https_only(true).build())
}
