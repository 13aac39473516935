//! A key and its certificates as PKCS #12, written by two unrelated libraries.

use std::io;

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};

/// OpenSSL's default; a secret of real value would warrant more.
const ITERATIONS: u32 = 2048;

/// As OpenSSL 3 and current Windows write it: PBES2 with AES-256-CBC, HMAC-SHA-256. `chain` is DER, the client's own
/// certificate first.
pub(super) fn modern(key: &[u8], chain: &[&[u8]], password: &str) -> io::Result<Vec<u8>> {
    let key = PrivateKey::from_der(key).map_err(io::Error::other)?;
    let chain = chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
    let chain = PrivateKeyChain::new("1", key, chain.map_err(io::Error::other)?);
    let mut store = KeyStore::new();
    store.add_entry("client", KeyStoreEntry::PrivateKeyChain(chain));
    let writer = store.writer(password).encryption_iterations(ITERATIONS).mac_iterations(ITERATIONS);
    writer.write().map_err(io::Error::other)
}

/// As `openssl pkcs12 -export -legacy` and older Windows write it: the key encrypted with triple DES, the certificates
/// with 40-bit RC2, HMAC-SHA-1.
pub(super) fn legacy(key: &[u8], chain: &[&[u8]], password: &str) -> io::Result<Vec<u8>> {
    let (own, others) = chain.split_first().ok_or_else(|| io::Error::other("a PFX without a certificate"))?;
    let pfx = p12::PFX::new_with_cas(own, key, others, password, "client");
    pfx.map(|pfx| pfx.to_der()).ok_or_else(|| io::Error::other("the legacy PFX could not be made"))
}
