//! The names in a certificate: subject and issuer. Whether it is valid is decided elsewhere.

use ::der::asn1::ObjectIdentifier;

use crate::identity::der::{Malformed, at, is, only, sequence, values};
use crate::identity::x509::Certificate;
use crate::text::is_more_than_text;

/// `id-at-commonName` and `id-at-organizationName` (RFC 5280 appendix A.1), with their abbreviations.
const SHOWN: [(ObjectIdentifier, &str); 2] =
    [(ObjectIdentifier::new_unwrap("2.5.4.3"), "CN"), (ObjectIdentifier::new_unwrap("2.5.4.10"), "O")];

/// Longest name that is shown, in characters.
const MAX_NAME: usize = 120;

/// The certificate that a peer presented.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// Its subject, as `CN=…, O=…`.
    pub subject: String,
    /// Its issuer, in the same form.
    pub issuer: String,
}

impl Presented {
    /// Reads the names of an X.509 certificate; `None` if it is not one.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let certificate = Certificate::decode(der).ok()?;
        let names = [&certificate.subject, &certificate.issuer].map(|name| shown(name).ok());
        let [Some(subject), Some(issuer)] = names else { return None };
        Some(Self { subject, issuer })
    }
}

/// A name, which is a sequence of sets of pairs, as `CN=…, O=…`.
fn shown(name: &[u8]) -> Result<String, Malformed> {
    let mut parts = Vec::new();
    for set in sequence(only(name)?)? {
        for pair in values(set.value())? {
            let pair = sequence(pair)?;
            let (kind, value) = (at(&pair, 0)?, at(&pair, 1)?);
            let letters = SHOWN.iter().find(|(known, _)| is(kind, *known)).map(|(_, letters)| letters);
            parts.extend(letters.map(|letters| format!("{letters}={}", printable(value.value()))));
        }
    }
    Ok(if parts.is_empty() { "(no name)".to_owned() } else { parts.join(", ") })
}

fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars().map(|c| if is_more_than_text(c) { ' ' } else { c }).take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};

    use super::*;

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in names {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_names_are_read() {
        let der = certificate(&[(DnType::CommonName, "Contoso Proxy"), (DnType::OrganizationName, "Contoso")]);
        let name = "CN=Contoso Proxy, O=Contoso".to_owned();
        assert_eq!(Presented::read(&der), Some(Presented { subject: name.clone(), issuer: name }));
    }

    #[test]
    fn other_parts_of_a_name_are_left_out() {
        let der = certificate(&[(DnType::CountryName, "DE")]);
        assert_eq!(Presented::read(&der).unwrap().issuer, "(no name)");
    }

    #[test]
    fn a_name_cannot_move_the_cursor() {
        let der = certificate(&[(DnType::CommonName, "a\u{1b}[2J\nb")]);
        assert_eq!(Presented::read(&der).unwrap().issuer, "CN=a [2J b");
    }

    #[test]
    fn a_certificate_cut_at_any_byte_is_read_or_refused() {
        let der = certificate(&[(DnType::CommonName, "x")]);
        assert!((0..der.len()).all(|end| Presented::read(&der[..end]).is_none()));
        for place in 0..der.len() {
            let mut changed = der.clone();
            changed[place] ^= 0xff;
            let _ = Presented::read(&changed);
        }
    }
}
