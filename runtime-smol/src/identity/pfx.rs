//! PFX files, also called PKCS#12 (RFC 7292): the keys and certificates in them, with or without a password.

use der::asn1::ObjectIdentifier;
use ring::hmac;
use zeroize::Zeroizing;

use super::der::{Any, Malformed, at, is, octets, oid, only, sequence};
use super::pbe::{self, Hash, MAC, Password, PbeError, rounds};

const DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.1");
const ENCRYPTED_DATA: ObjectIdentifier = oid("1.2.840.113549.1.7.6");
const KEY_BAG: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.1");
const SHROUDED_KEY_BAG: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.2");
const CERTIFICATE_BAG: ObjectIdentifier = oid("1.2.840.113549.1.12.10.1.3");
const X509: ObjectIdentifier = oid("1.2.840.113549.1.9.22.1");
const PBMAC1: ObjectIdentifier = oid("1.2.840.113549.1.5.14");

/// What a file holds, in DER.
#[derive(Default)]
pub(super) struct Contents {
    /// PKCS#8, or PKCS#1 where PEM says so.
    pub(super) keys: Vec<Zeroizing<Vec<u8>>>,
    pub(super) certificates: Vec<Vec<u8>>,
}

/// Opens a file. An empty password is also tried as no password: tools differ in which one they use. The MAC tells
/// which is right; without one, successful decryption does.
pub(super) fn open(file: &[u8], password: &str) -> Result<Contents, PbeError> {
    let fields = sequence(only(file)?)?;
    // A certificate or a key on its own is such a sequence as well.
    let safe = content(at(&fields, 1)?, DATA)?.ok_or(PbeError::Malformed)?;
    let safe = octets(safe)?;
    if let Ok(mac) = at(&fields, 2) {
        return open_safe(safe, verify(mac, password, safe)?);
    }
    match open_safe(safe, Password::Text(password)) {
        Err(_) if password.is_empty() => open_safe(safe, Password::Null),
        opened => opened,
    }
}

fn open_safe(safe: &[u8], password: Password<'_>) -> Result<Contents, PbeError> {
    let mut contents = Contents::default();
    for part in sequence(only(safe)?)? {
        open_part(part, password, &mut contents)?;
    }
    Ok(contents)
}

/// The content of a `ContentInfo` of this kind; `None` if it is of another.
fn content(info: Any<'_>, kind: ObjectIdentifier) -> Result<Option<Any<'_>>, Malformed> {
    let fields = sequence(info)?;
    if is(at(&fields, 0)?, kind) { only(at(&fields, 1)?.value()).map(Some) } else { Ok(None) }
}

/// The key and certificate bags of a part, which may be encrypted.
fn open_part(part: Any<'_>, password: Password<'_>, contents: &mut Contents) -> Result<(), PbeError> {
    if let Some(plain) = content(part, DATA)? {
        return open_bags(octets(plain)?, password, contents);
    }
    let encrypted = content(part, ENCRYPTED_DATA)?.ok_or(PbeError::Scheme)?;
    let info = sequence(at(&sequence(encrypted)?, 1)?)?;
    // The content is implicitly tagged: its tag replaces that of an octet string.
    let plain = pbe::decrypt(at(&info, 1)?, password, at(&info, 2)?.value())?;
    open_bags(&plain, password, contents)
}

fn open_bags(bags: &[u8], password: Password<'_>, contents: &mut Contents) -> Result<(), PbeError> {
    for bag in sequence(only(bags)?)? {
        let fields = sequence(bag)?;
        let (kind, value) = (at(&fields, 0)?, at(&fields, 1)?.value());
        if is(kind, KEY_BAG) {
            contents.keys.push(Zeroizing::new(value.to_vec()));
        } else if is(kind, SHROUDED_KEY_BAG) {
            contents.keys.push(open_key(value, password)?);
        } else if is(kind, CERTIFICATE_BAG) {
            let fields = sequence(only(value)?)?;
            if is(at(&fields, 0)?, X509) {
                contents.certificates.push(octets(only(at(&fields, 1)?.value())?)?.to_vec());
            }
        }
    }
    Ok(())
}

/// An encrypted PKCS#8 key (RFC 5958 §3), as in PEM's `ENCRYPTED PRIVATE KEY`.
pub(super) fn open_key(key: &[u8], password: Password<'_>) -> Result<Zeroizing<Vec<u8>>, PbeError> {
    let fields = sequence(only(key)?)?;
    pbe::decrypt(at(&fields, 0)?, password, octets(at(&fields, 1)?)?)
}

/// Verifies the file's MAC, and returns the form of the password that fits.
fn verify<'p>(mac: Any<'_>, password: &'p str, safe: &[u8]) -> Result<Password<'p>, PbeError> {
    let fields = sequence(mac)?;
    let digest = sequence(at(&fields, 0)?)?;
    let algorithm = sequence(at(&digest, 0)?)?;
    let tag = octets(at(&digest, 1)?)?;
    if is(at(&algorithm, 0)?, PBMAC1) {
        return verify_pbmac1(at(&algorithm, 1)?, Password::Text(password), safe, tag);
    }
    let hash = Hash::of(at(&algorithm, 0)?)?;
    let salt = octets(at(&fields, 1)?)?;
    let rounds = fields.get(2).map_or(Ok(std::num::NonZeroU32::MIN), |&any| rounds(any))?;
    let fits = |password: &Password<'_>| {
        let key = pbe::derive(hash, MAC, &password.bmp(), salt, rounds, hash.hmac.digest_algorithm().output_len());
        hmac::verify(&hmac::Key::new(hash.hmac, &key), safe, tag).is_ok()
    };
    let forms = [Some(Password::Text(password)), password.is_empty().then_some(Password::Null)];
    forms.into_iter().flatten().find(fits).ok_or(PbeError::Password)
}

/// RFC 9579, which OpenSSL writes on request since 3.4.
fn verify_pbmac1<'p>(
    parameters: Any<'_>,
    password: Password<'p>,
    safe: &[u8],
    tag: &[u8],
) -> Result<Password<'p>, PbeError> {
    let parameters = sequence(parameters)?;
    let mac = sequence(at(&parameters, 1)?)?;
    let hash = Hash::of_hmac(at(&mac, 0)?)?;
    let length = hash.hmac.digest_algorithm().output_len();
    let key = pbe::pbkdf2(at(&parameters, 0)?, password, length)?;
    hmac::verify(&hmac::Key::new(hash.hmac, &key), safe, tag).map(|()| password).map_err(|_| PbeError::Password)
}
