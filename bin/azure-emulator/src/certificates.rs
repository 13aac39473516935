//! A private certificate authority and the one server certificate of all TLS endpoints, for `localhost`, `127.0.0.1` and `::1`.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::directory::Directory;

/// The authority's certificate: what a client of the emulator must trust.
pub(crate) const AUTHORITY: &str = "ca.pem";
const CERTIFICATE: &str = "server.pem";
const KEY: &str = "server.key";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The TLS side of every endpoint, from the folder's certificates; made at the first start.
pub(crate) fn server_config(directory: &Directory) -> io::Result<Arc<ServerConfig>> {
    if directory.read(CERTIFICATE)?.is_none() {
        issue(directory)?;
    }
    let chain = directory.read(CERTIFICATE)?.unwrap_or_default();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().map_err(io::Error::other)?;
    let key = directory.read(KEY)?.unwrap_or_default();
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificate is written last, so that a start that was cut short begins again.
fn issue(directory: &Directory) -> io::Result<()> {
    let authority = CertifiedIssuer::self_signed(authority_params(), key_pair()?).map_err(io::Error::other)?;
    let key = key_pair()?;
    let certificate = server_params()?.signed_by(&key, &authority).map_err(io::Error::other)?;
    directory.replace(AUTHORITY, authority.pem().as_bytes())?;
    directory.replace(KEY, key.serialize_pem().as_bytes())?;
    directory.replace(CERTIFICATE, certificate.pem().as_bytes())
}

fn key_pair() -> io::Result<KeyPair> {
    KeyPair::generate().map_err(io::Error::other)
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "azure-emulator authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    valid_for_years(params)
}

fn server_params() -> io::Result<CertificateParams> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(valid_for_years(params))
}

fn valid_for_years(mut params: CertificateParams) -> CertificateParams {
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + 3650 * DAY).into();
    params
}
