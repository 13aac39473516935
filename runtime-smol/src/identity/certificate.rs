//! An application with a certificate: it signs its own assertion. The file is read again for each exchange, so that a
//! new certificate takes effect at once and the key stays in memory no longer than needed.

use std::io;
use std::time::SystemTime;

use super::assertion::{self, Statement};
use super::entra::{self, ASSERTION_TYPE, Entra};
use super::failure::{Failure, Retry};
use super::signer::Signer;
use super::{Exchanged, Skew, TokenSource};
use crate::config::{CertificateFile, Client, Proxy};
use crate::file;
use crate::hint::{self, Requester, Sent};
use crate::secret::Secret;
use crate::trust::Trust;

/// An application and the file with its certificate.
pub(super) struct ClientCertificate {
    entra: Entra,
    file: CertificateFile,
    clock: AssertionClock,
}

impl ClientCertificate {
    pub(super) fn new(client: Client, file: CertificateFile, trust: &Trust, proxy: Option<&Proxy>) -> io::Result<Self> {
        Ok(Self { entra: Entra::new(client, trust, proxy)?, file, clock: AssertionClock::default() })
    }

    fn read(&self) -> Result<Signer, Failure> {
        let password = self.file.password.as_ref().map(Secret::reveal);
        let bytes = file::read(&self.file.path)
            .map_err(|error| Failure::unreadable("the certificate file", &error, &hint::CERTIFICATE_FILE))?;
        Signer::decode(&bytes, password)
    }
}

impl TokenSource for ClientCertificate {
    fn attempt(&mut self) -> Exchanged {
        let sent = Sent { file: Some(self.file.path.display().to_string()), ..entra::sent(&self.entra.client) };
        let signer = self.read().map_err(|failure| failure.with_sent(&sent))?;
        let audience = entra::token_url(&self.entra.client);
        let sent = Sent {
            issuer: sent.client_id.clone(),
            subject: sent.client_id.clone(),
            audience: Some(audience.clone()),
            ..sent
        };
        let statement = Statement {
            client_id: &self.entra.client.client_id,
            audience: &audience,
            now: self.clock.now(),
            with_chain: self.file.send_chain,
        };
        let assertion = assertion::sign(&signer, &statement)
            .map_err(|_| Failure::new("the key cannot sign").with_hint(&hint::CERTIFICATE_KEY).with_sent(&sent))?;
        let proof = [("client_assertion_type", ASSERTION_TYPE), ("client_assertion", assertion.as_str())];
        let exchanged = self.entra.ask(&proof, &sent);
        exchanged.map_err(|failure| {
            if failure.retry == Retry::AtOnce {
                self.clock.follow(self.entra.date);
            }
            let (now, leaf) = (self.clock.now(), &signer.leaf);
            let is_valid = leaf.not_before <= now && now <= leaf.not_after;
            failure.refined(Requester::Certificate { is_valid }).without(&assertion)
        })
    }
}

/// The clock for assertions: this machine's until Entra rejects one as outdated, then Entra's.
#[derive(Debug, Default)]
struct AssertionClock(Option<Skew>);

impl AssertionClock {
    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        self.0.and_then(|skew| skew.there(now)).unwrap_or(now)
    }

    /// From now on follows `date`, the time of the last answer.
    fn follow(&mut self, date: Option<SystemTime>) {
        self.0 = date.map(|date| Skew::between(SystemTime::now(), date)).or(self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_wrong_clock_follows_the_servers() {
        let mut clock = AssertionClock::default();
        for off in [Duration::ZERO, Duration::from_secs(600)] {
            for date in [SystemTime::now() + off, SystemTime::now() - off] {
                clock.follow(Some(date));
                let gap = clock.now().duration_since(date).unwrap_or_default();
                assert!(gap < Duration::from_secs(5), "{gap:?}");
            }
        }
        clock.follow(None);
        assert!(clock.now() < SystemTime::now());
    }
}
