//! Private certificate authorities and their server certificates: one for all TLS endpoints on `localhost`, `127.0.0.1`
//! and `::1`, and behind a proxy on `azure.test`, and others for endpoints with a server name of their own.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::directory::Directory;

/// The authority's certificate, which a client of the emulator must trust.
pub(crate) const AUTHORITY: &str = "ca.pem";

const USUAL: Names = Names {
    authority: AUTHORITY,
    certificate: "server.pem",
    key: "server.key",
    servers: &["localhost", "127.0.0.1", "::1", "azure.test"],
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The files of one server certificate, and the names of its servers.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) authority: &'static str,
    pub(crate) certificate: &'static str,
    pub(crate) key: &'static str,
    pub(crate) servers: &'static [&'static str],
}

/// The TLS server configuration of the endpoints on `localhost`, from the folder's certificates; created at the first
/// start.
pub(crate) fn server_config(directory: &Directory) -> io::Result<Arc<ServerConfig>> {
    let single = SingleCertAndKey::from(Arc::unwrap_or_clone(certified_key(directory, &USUAL)?));
    with_resolver(Arc::new(single))
}

/// A TLS server configuration that gets its certificate from `resolver`.
pub(crate) fn with_resolver(resolver: Arc<dyn ResolvesServerCert>) -> io::Result<Arc<ServerConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A certificate of the folder with its key; created if it does not exist.
pub(crate) fn certified_key(directory: &Directory, names: &Names) -> io::Result<Arc<CertifiedKey>> {
    if directory.read(names.certificate)?.is_none() {
        issue(directory, names)?;
    }
    let chain = directory.read(names.certificate)?.unwrap_or_default();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).collect::<Result<_, _>>().map_err(io::Error::other)?;
    let key = directory.read(names.key)?.unwrap_or_default();
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(io::Error::other)?;
    let key = rustls::crypto::ring::sign::any_supported_type(&key).map_err(io::Error::other)?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

/// Creates an authority and a certificate and replaces the files. The certificate is written last, so that an
/// interrupted start begins again.
pub(crate) fn issue(directory: &Directory, names: &Names) -> io::Result<()> {
    let authority = CertifiedIssuer::self_signed(authority_params(), key_pair()?).map_err(io::Error::other)?;
    let key = key_pair()?;
    let certificate = server_params(names.servers)?.signed_by(&key, &authority).map_err(io::Error::other)?;
    directory.replace(names.authority, authority.pem().as_bytes())?;
    directory.replace(names.key, key.serialize_pem().as_bytes())?;
    directory.replace(names.certificate, certificate.pem().as_bytes())
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

fn server_params(servers: &[&str]) -> io::Result<CertificateParams> {
    let names: Vec<String> = servers.iter().map(|name| (*name).to_owned()).collect();
    let common_name = names.first().cloned().unwrap_or_default();
    let mut params = CertificateParams::new(names).map_err(io::Error::other)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
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
