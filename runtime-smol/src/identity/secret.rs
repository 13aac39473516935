//! An application with a client secret, given directly or in a file.

use std::io;

use zeroize::Zeroizing;

use super::entra::{self, Entra};
use super::failure::Failure;
use super::{Exchanged, TokenSource};
use crate::config::{Client, Proxy, SecretSource};
use crate::file;
use crate::hint::{self, Requester};
use crate::trust::Trust;

/// An application and the source of its secret.
pub(super) struct ClientSecret {
    entra: Entra,
    source: SecretSource,
}

impl ClientSecret {
    pub(super) fn new(client: Client, source: SecretSource, trust: &Trust, proxy: Option<&Proxy>) -> io::Result<Self> {
        Ok(Self { entra: Entra::new(client, trust, proxy)?, source })
    }

    fn read(&self) -> Result<Zeroizing<String>, Failure> {
        let path = match &self.source {
            SecretSource::Value(secret) => return Ok(Zeroizing::new(secret.reveal().to_owned())),
            SecretSource::File(path) => path,
        };
        file::read_text(path).map_err(|error| {
            let what = format!("AZURE_CLIENT_SECRET_FILE {}", path.display());
            Failure::unreadable(&what, &error, &hint::SECRET_FILE)
        })
    }
}

impl TokenSource for ClientSecret {
    fn attempt(&mut self) -> Exchanged {
        let mut sent = entra::sent(&self.entra.client);
        if let SecretSource::File(path) = &self.source {
            sent.file = Some(path.display().to_string());
        }
        let secret = self.read().map_err(|failure| failure.with_sent(&sent))?;
        let exchanged = self.entra.ask(&[("client_secret", secret.as_str())], &sent);
        exchanged.map_err(|failure| failure.refined(Requester::Application).without(&secret))
    }
}
