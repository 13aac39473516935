//! The proxy's certificate: for one server name, from its own authority, which can be changed while the proxy runs.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::certificates::{self, Names};
use crate::directory::Directory;

/// The authority's certificate: the only one that a client of the proxy must trust.
pub(crate) const AUTHORITY: &str = "identity-binding-ca.pem";

/// The name that a client must send and verify; handshakes for any other name fail.
pub(crate) const SERVER_NAME: &str = "token-proxy.identity-binding.emulated.example";

const NAMES: Names = Names {
    authority: AUTHORITY,
    certificate: "identity-binding.pem",
    key: "identity-binding.key",
    servers: &[SERVER_NAME],
};

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct ProxyCertificate {
    current: Mutex<Arc<CertifiedKey>>,
}

impl ProxyCertificate {
    /// The folder's certificate; created at the first start.
    pub(crate) fn load(directory: &Directory) -> io::Result<Arc<Self>> {
        let current = Mutex::new(certificates::certified_key(directory, &NAMES)?);
        Ok(Arc::new(ProxyCertificate { current }))
    }

    /// Creates a new authority and certificate, and replaces the files.
    pub(crate) fn rotate(&self, directory: &Directory) -> io::Result<()> {
        certificates::issue(directory, &NAMES)?;
        let next = certificates::certified_key(directory, &NAMES)?;
        *self.current.lock() = next;
        Ok(())
    }

    /// The TLS server configuration of the proxy.
    pub(crate) fn server_config(self: &Arc<Self>) -> io::Result<Arc<ServerConfig>> {
        certificates::with_resolver(Arc::<Self>::clone(self))
    }
}

impl ResolvesServerCert for ProxyCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        hello.server_name().is_some_and(|name| name == SERVER_NAME).then(|| Arc::clone(&self.current.lock()))
    }
}
