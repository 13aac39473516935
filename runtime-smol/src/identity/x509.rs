//! The few fields of a certificate that Remora reads itself (RFC 5280 §4.1), to sign and to report. No trust is derived
//! from them: Entra knows the certificates that sign.

use std::time::{Duration, SystemTime};

use der::Tagged as _;
use der::asn1::{GeneralizedTime, UtcTime};
use der::{Decode as _, Encode as _, Tag};

use super::der::{Any, Malformed, at, only, sequence};

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// All of it, in DER.
    pub(super) der: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    /// The key itself, in its algorithm's encoding.
    pub(super) public_key: Vec<u8>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Certificate {
    pub(crate) fn decode(der: &[u8]) -> Result<Self, Malformed> {
        let whole = sequence(only(der)?)?;
        let mut fields = sequence(at(&whole, 0)?)?;
        // Certificates of version 1 omit the version.
        if fields.first().is_some_and(|first| first.tag().is_context_specific()) {
            fields.remove(0);
        }
        let validity = sequence(at(&fields, 3)?)?;
        let key = sequence(at(&fields, 5)?)?;
        let (unused_bits, public_key) = at(&key, 1)?.value().split_first().ok_or(Malformed)?;
        if *unused_bits != 0 {
            return Err(Malformed);
        }
        Ok(Self {
            der: der.to_vec(),
            issuer: at(&fields, 2)?.to_der()?,
            subject: at(&fields, 4)?.to_der()?,
            public_key: public_key.to_vec(),
            not_before: time(at(&validity, 0)?)?,
            not_after: time(at(&validity, 1)?)?,
        })
    }
}

fn time(any: Any<'_>) -> Result<SystemTime, Malformed> {
    let bytes = any.to_der()?;
    let since: Duration = match any.tag() {
        Tag::UtcTime => UtcTime::from_der(&bytes)?.to_unix_duration(),
        Tag::GeneralizedTime => GeneralizedTime::from_der(&bytes)?.to_unix_duration(),
        _ => return Err(Malformed),
    };
    Ok(SystemTime::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_rcgen_certificate_comes_apart() {
        let made = rcgen::generate_simple_self_signed(["remora.example".to_owned()]).unwrap();
        let certificate = Certificate::decode(made.cert.der()).unwrap();
        assert_eq!(certificate.issuer, certificate.subject);
        assert!(certificate.not_before < certificate.not_after);
        assert_eq!(certificate.public_key.first(), Some(&4), "an uncompressed point");
    }

    #[test]
    fn no_part_of_a_certificate_is_one() {
        let made = rcgen::generate_simple_self_signed(["remora.example".to_owned()]).unwrap();
        let der = made.cert.der();
        for end in 0..der.len() {
            assert_eq!(Certificate::decode(der.get(..end).unwrap()), Err(Malformed), "{end}");
        }
    }
}
