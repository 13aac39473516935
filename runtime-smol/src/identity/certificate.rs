//! An application with a certificate: it signs its own assertion. The file is read again for each exchange, so that a
//! new certificate takes effect at once and the key stays in memory no longer than needed.

use std::io;
use std::time::{Duration, SystemTime};

use super::assertion::{self, Statement};
use super::entra::{self, ASSERTION_TYPE, Entra};
use super::failure::{Failure, Retry};
use super::signer::Signer;
use super::{Exchanged, TokenSource};
use crate::config::{CertificateFile, Client, Proxy};
use crate::file;
use crate::hint::{self, Sent};
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
        let bytes = file::read(&self.file.path).map_err(|error| {
            Failure::new(format!("the certificate file: {error}")).with_hint(&hint::CERTIFICATE_FILE)
        })?;
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
        // An expired certificate comes last: it replaces any hint.
        exchanged.map_err(|failure| self.explained(entra::hint_at_application(failure).without(&assertion), &signer))
    }
}

impl ClientCertificate {
    /// Follows Entra's clock if the assertion was outdated.
    fn explained(&mut self, failure: Failure, signer: &Signer) -> Failure {
        if failure.retry == Retry::AtOnce {
            self.clock.follow(self.entra.date);
        }
        let now = self.clock.now();
        let valid = signer.leaf.not_before <= now && now <= signer.leaf.not_after;
        hint_at_expired_certificate(failure, valid)
    }
}

/// Entra has one number for secrets and certificates that have expired, and others may also result from a certificate
/// outside its validity.
fn hint_at_expired_certificate(failure: Failure, valid: bool) -> Failure {
    let expired = failure.hint == Some(&hint::SECRET_EXPIRED);
    if expired || (failure.code.is_some() && !valid) { failure.with_hint(&hint::CERTIFICATE_EXPIRED) } else { failure }
}

/// The clock for assertions: this machine's until Entra rejects one as outdated, then Entra's.
#[derive(Debug, Default)]
struct AssertionClock {
    ahead: Duration,
    behind: Duration,
}

impl AssertionClock {
    fn now(&self) -> SystemTime {
        let now = SystemTime::now();
        now.checked_add(self.behind).and_then(|now| now.checked_sub(self.ahead)).unwrap_or(now)
    }

    /// From now on follows `date`, the time of the last answer.
    fn follow(&mut self, date: Option<SystemTime>) {
        let Some(date) = date else { return };
        let now = SystemTime::now();
        self.behind = date.duration_since(now).unwrap_or_default();
        self.ahead = now.duration_since(date).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn the_repair_of_an_expired_certificate_is_a_certificate() {
        let refused = |code, hint| Failure { code: Some(code), ..Failure::new("no").with_hint(hint) };
        let sent = Sent { file: Some("/certs/remora.pem".to_owned()), ..Sent::default() };
        for (failure, valid) in
            [(refused(7_000_222, &hint::SECRET_EXPIRED), true), (refused(700_027, &hint::SIGNATURE), false)]
        {
            let failure = hint_at_expired_certificate(failure, valid);
            assert_eq!(failure.hint, Some(&hint::CERTIFICATE_EXPIRED));
            let repair = hint::CERTIFICATE_EXPIRED.repair(&sent);
            assert!(repair.starts_with("replace /certs/remora.pem by ") && !repair.contains("SECRET"), "{repair}");
        }
        assert_eq!(hint_at_expired_certificate(refused(700_027, &hint::SIGNATURE), true).hint, Some(&hint::SIGNATURE));
    }
}
