//! A certificate and its key from one file, PEM or PFX, ready to sign. Unusable files are refused with the reason.

use ring::signature::{KeyPair as _, RsaKeyPair};
use rustls_pki_types::pem::SectionKind;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::pbe::{Password, PbeError};
use super::pfx::{self, Contents};
use super::x509::Certificate;
use crate::file::without_mark;
use crate::hint::{self, Hint};
use crate::trust::pem_fault;

/// A key, its certificate and those that vouch for it.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) key: RsaKeyPair,
    pub(super) leaf: Certificate,
    /// The rest of the chain, as far as the file holds it.
    pub(super) chain: Vec<Certificate>,
}

impl Signer {
    /// Decodes a file.
    pub(super) fn decode(file: &[u8], password: Option<&str>) -> Result<Self, Failure> {
        let is_pem = file.windows(PEM.len()).any(|window| window == PEM);
        let contents = if is_pem {
            pem(file, password)?
        } else {
            pfx::open(file, password.unwrap_or_default()).map_err(|error| fault_of(error, password))?
        };
        Self::new(&contents)
    }

    fn new(contents: &Contents) -> Result<Self, Failure> {
        let [key] = contents.keys.as_slice() else {
            return Err(fault(&hint::CERTIFICATE_KEY, &format!("holds {} keys instead of one", contents.keys.len())));
        };
        // PKCS#8 names the algorithm, so its error says more, unless the key is not in that form.
        let key = RsaKeyPair::from_pkcs8(key).or_else(|error| match error.to_string().as_str() {
            "InvalidEncoding" => RsaKeyPair::from_der(key),
            _ => Err(error),
        });
        let key = key.map_err(|error| fault(&hint::CERTIFICATE_KEY, &format!("holds no usable RSA key: {error}")))?;
        let decoded = contents.certificates.iter().map(|der| Certificate::decode(der)).collect::<Result<Vec<_>, _>>();
        let mut others = decoded.map_err(|_| fault(&hint::CERTIFICATE_CONTENTS, "holds an invalid certificate"))?;
        let own = others.iter().enumerate().filter(|(_, other)| other.public_key == key.public_key().as_ref());
        // A certificate renewed for the same key may stand beside the old one.
        let (own, _) = own
            .max_by_key(|(_, own)| own.not_after)
            .ok_or_else(|| fault(&hint::CERTIFICATE_KEY, "holds no certificate for its key"))?;
        let leaf = others.swap_remove(own);
        let chain = chain(&leaf, others);
        Ok(Self { key, leaf, chain })
    }
}

const PEM: &[u8] = b"-----BEGIN ";

/// Those of `others` that issued `leaf`, from issuer to issuer. A self-signed root ends the chain.
fn chain(leaf: &Certificate, mut others: Vec<Certificate>) -> Vec<Certificate> {
    let mut chain: Vec<Certificate> = Vec::new();
    loop {
        let last = chain.last().unwrap_or(leaf);
        let next = others.iter().position(|other| other.subject == last.issuer && last.issuer != last.subject);
        match next {
            Some(next) => chain.push(others.swap_remove(next)),
            None => return chain,
        }
    }
}

/// Keys and certificates of a PEM file, in any order; anything else in it is ignored.
fn pem(file: &[u8], password: Option<&str>) -> Result<Contents, Failure> {
    let text =
        std::str::from_utf8(without_mark(file)).map_err(|_| fault(&hint::CERTIFICATE_CONTENTS, "is not text"))?;
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        let why = "holds a key in OpenSSL's old encryption; convert it: openssl pkcs8 -topk8 -in <old> -out <new>";
        return Err(fault(&hint::CERTIFICATE_CONTENTS, why));
    }
    // The reader does not know the label of encrypted keys. Their DER distinguishes them from plain ones.
    let text = Zeroizing::new(text.replace("ENCRYPTED PRIVATE KEY", "PRIVATE KEY"));
    let mut contents = Contents::default();
    let mut rest = text.as_bytes();
    while let Some((kind, der)) = section(&mut rest)? {
        match kind {
            SectionKind::Certificate => contents.certificates.push(der),
            SectionKind::RsaPrivateKey => contents.keys.push(Zeroizing::new(der)),
            SectionKind::PrivateKey => contents.keys.push(opened(Zeroizing::new(der), password)?),
            SectionKind::EcPrivateKey => {
                return Err(fault(&hint::CERTIFICATE_KEY, "holds an elliptic-curve key; Entra accepts only RSA"));
            }
            _ => {}
        }
    }
    Ok(contents)
}

fn section(rest: &mut &[u8]) -> Result<Option<(SectionKind, Vec<u8>)>, Failure> {
    let read = rustls_pki_types::pem::from_buf(rest);
    read.map_err(|error| fault(&hint::CERTIFICATE_CONTENTS, &format!("is malformed PEM: {}", pem_fault(&error))))
}

/// A PKCS#8 key, decrypted if it is encrypted.
fn opened(der: Zeroizing<Vec<u8>>, password: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if RsaKeyPair::from_pkcs8(&der).is_ok() {
        return Ok(der);
    }
    match pfx::open_key(&der, Password::Text(password.unwrap_or_default())) {
        // Neither kind: building the key reports what is wrong with it.
        Err(PbeError::Malformed) => Ok(der),
        other => other.map_err(|error| fault_of(error, password)),
    }
}

fn fault_of(error: PbeError, password: Option<&str>) -> Failure {
    match (error, password) {
        (PbeError::Password, Some(_)) => fault(&hint::CERTIFICATE_PASSWORD, "cannot be opened with the password"),
        (PbeError::Password, None) => fault(&hint::CERTIFICATE_PASSWORD, "is encrypted, but no password is set"),
        (PbeError::Scheme, _) => {
            fault(&hint::CERTIFICATE_CONTENTS, "uses an encryption scheme that Remora does not support")
        }
        (PbeError::Malformed, _) => fault(&hint::CERTIFICATE_CONTENTS, "is neither PEM nor PFX"),
    }
}

fn fault(hint: &'static Hint, why: &str) -> Failure {
    Failure::new(format!("the certificate file {why}")).with_hint(hint)
}

#[cfg(test)]
mod tests;
