//! The certificate files, in the forms in which clients receive them.

use std::io;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rsa::pkcs8::der::pem::LineEnding;
use rsa::pkcs8::pkcs5::pbes2;
use rsa::pkcs8::{EncryptedPrivateKeyInfo, PrivateKeyInfo};

use super::pfx;
use crate::directory::Directory;
use crate::jwt;

/// The authority's certificate; written last, so that an interrupted start begins again.
pub(super) const AUTHORITY: &str = "client-ca.pem";

/// Key, then certificate.
pub(crate) const PEM: &str = "client.pem";
/// With modern encryption, protected by [`PASSWORD`].
pub(crate) const PFX: &str = "client.pfx";
/// The next key with its certificate, the certificate first.
const NEXT: &str = "client-next.pem";
/// The first key with an expired certificate.
const EXPIRED: &str = "client-expired.pem";
/// The next key with a certificate that is not registered.
const UNREGISTERED: &str = "client-unregistered.pem";

/// The files whose certificates are in the application's registration.
pub(super) const REGISTERED: [&str; 3] = [PEM, NEXT, EXPIRED];

/// The password of every file that has one.
pub(crate) const PASSWORD: &str = "emulated +pass&word=%";

/// Common name and DNS name of every client certificate.
const SUBJECT_NAME: &str = "prometheus.emulated.example";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

type Authority = CertifiedIssuer<'static, KeyPair>;

/// An RSA key and a certificate for it.
struct Client {
    /// PKCS #8.
    key: Vec<u8>,
    key_pem: String,
    certificate: rcgen::Certificate,
}

/// Creates every file.
pub(super) fn make(directory: &Directory) -> io::Result<()> {
    let authority = CertifiedIssuer::self_signed(authority_params(), KeyPair::generate().map_err(io::Error::other)?)
        .map_err(io::Error::other)?;
    let first = || jwt::private_key(directory, "client-key");
    let next = || jwt::private_key(directory, "client-next-key");
    let now = SystemTime::now();
    let years = (now - DAY, now + 730 * DAY);

    let client = Client::issue(first()?, years, &authority)?;
    write_pem_forms(directory, &client, &authority)?;
    write_pfx_forms(directory, &client, &authority)?;
    let expired = Client::issue(first()?, (now - 60 * DAY, now - DAY), &authority)?;
    directory.replace(EXPIRED, (expired.key_pem + &expired.certificate.pem()).as_bytes())?;
    let renewed = Client::issue(next()?, years, &authority)?;
    directory.replace(NEXT, (renewed.certificate.pem() + &renewed.key_pem).as_bytes())?;
    let unregistered = Client::issue(next()?, years, &authority)?;
    let chain = unregistered.certificate.pem() + &authority.pem();
    directory.replace(UNREGISTERED, (unregistered.key_pem + &chain).as_bytes())?;
    directory.replace(AUTHORITY, authority.pem().as_bytes())
}

impl Client {
    fn issue(key: Vec<u8>, (from, until): (SystemTime, SystemTime), authority: &Authority) -> io::Result<Self> {
        let pair = KeyPair::from_pkcs8_der_and_sign_algo(&key.as_slice().into(), &rcgen::PKCS_RSA_SHA256)
            .map_err(io::Error::other)?;
        let mut params = CertificateParams::new([SUBJECT_NAME.to_owned()]).map_err(io::Error::other)?;
        params.distinguished_name.push(DnType::CommonName, SUBJECT_NAME);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        (params.not_before, params.not_after) = (from.into(), until.into());
        let certificate = params.signed_by(&pair, authority).map_err(io::Error::other)?;
        Ok(Client { key, key_pem: pair.serialize_pem(), certificate })
    }
}

fn write_pem_forms(directory: &Directory, client: &Client, authority: &Authority) -> io::Result<()> {
    let certificate = client.certificate.pem();
    let encrypted = encrypted_pem(&client.key)?;
    directory.replace(PEM, format!("{}{certificate}", client.key_pem).as_bytes())?;
    directory.replace("client-encrypted.pem", format!("{encrypted}{certificate}").as_bytes())?;
    let chain = format!("{certificate}{}", authority.pem());
    directory.replace("client-chain.pem", format!("{}{chain}", client.key_pem).as_bytes())
}

fn write_pfx_forms(directory: &Directory, client: &Client, authority: &Authority) -> io::Result<()> {
    let chain = [client.certificate.der().as_ref(), authority.der().as_ref()];
    directory.replace(PFX, &pfx::modern(&client.key, &chain, PASSWORD)?)?;
    directory.replace("client-no-password.pfx", &pfx::modern(&client.key, &chain, "")?)?;
    directory.replace("client-legacy.pfx", &pfx::legacy(&client.key, &chain, PASSWORD)?)?;
    directory.replace("client-legacy-no-password.pfx", &pfx::legacy(&client.key, &chain, "")?)
}

/// PKCS #8 protected by [`PASSWORD`], encrypted as by `openssl genpkey -aes256`: PBKDF2 with SHA-256, AES-256-CBC.
fn encrypted_pem(key: &[u8]) -> io::Result<String> {
    let (salt, iv) = (uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes());
    let params = pbes2::Parameters::pbkdf2_sha256_aes256cbc(2048, &salt, &iv)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let key = PrivateKeyInfo::try_from(key).map_err(io::Error::other)?;
    let encrypted = key.encrypt_with_params(params, PASSWORD).map_err(io::Error::other)?;
    let pem = encrypted
        .to_pem(<EncryptedPrivateKeyInfo<'_> as rsa::pkcs8::der::pem::PemLabel>::PEM_LABEL, LineEnding::LF)
        .map_err(io::Error::other)?;
    Ok(pem.to_string())
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "azure-emulator client authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let now = SystemTime::now();
    (params.not_before, params.not_after) = ((now - 90 * DAY).into(), (now + 3650 * DAY).into());
    params
}
