//! Files as OpenSSL, Windows and Key Vault write them, made by `files/make`.

use rcgen::{CertificateParams, CertifiedIssuer, DistinguishedName, DnType, KeyPair, date_time_ymd};

use super::*;

const PLAIN: &[u8] = include_bytes!("files/plain.pem");
const MODERN: &[u8] = include_bytes!("files/modern.pfx");

fn refused(file: &[u8], password: Option<&str>) -> (&'static str, String) {
    let failure = Signer::decode(file, password).expect_err("a refusal");
    (failure.hint.map_or("", |hint| hint.word), failure.message)
}

#[test]
fn every_kind_of_file_gives_the_same_key_and_certificate() {
    let plain = Signer::decode(PLAIN, None).unwrap();
    let hush = Some("hush");
    for (name, file, password) in [
        ("pkcs1.pem", include_bytes!("files/pkcs1.pem").as_slice(), None),
        ("marked.pem", &["\u{feff}".as_bytes(), PLAIN].concat(), None),
        ("encrypted.pem", include_bytes!("files/encrypted.pem"), hush),
        ("modern.pfx", MODERN, hush),
        ("modern-empty.pfx", include_bytes!("files/modern-empty.pfx"), None),
        ("modern-umlaut.pfx", include_bytes!("files/modern-umlaut.pfx"), Some("h\u{fc}sh\u{20ac}\u{1d11e}")),
        ("legacy.pfx", include_bytes!("files/legacy.pfx"), hush),
        ("null.pfx", include_bytes!("files/null.pfx"), None),
        ("null-no-mac.pfx", include_bytes!("files/null-no-mac.pfx"), None),
        ("legacy-empty.pfx", include_bytes!("files/legacy-empty.pfx"), None),
        ("aes128-sha384.pfx", include_bytes!("files/aes128-sha384.pfx"), hush),
        ("des3-sha512.pfx", include_bytes!("files/des3-sha512.pfx"), hush),
        ("rc2-2des.pfx", include_bytes!("files/rc2-2des.pfx"), hush),
        ("pbmac1.pfx", include_bytes!("files/pbmac1.pfx"), hush),
        ("no-mac.pfx", include_bytes!("files/no-mac.pfx"), hush),
        ("bare.pfx", include_bytes!("files/bare.pfx"), None),
    ] {
        let signer = Signer::decode(file, password).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(signer.leaf, plain.leaf, "{name}");
        assert_eq!(signer.key.public_key().as_ref(), plain.key.public_key().as_ref(), "{name}");
    }
}

/// A certificate of this name that is valid until this year.
fn named(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

/// The key of [`PLAIN`], as the signer and as the maker of certificates take it.
fn key() -> (Zeroizing<Vec<u8>>, KeyPair) {
    let key = pem(PLAIN, None).unwrap().keys.remove(0);
    let pair = KeyPair::try_from(key.as_slice()).unwrap();
    (key, pair)
}

#[test]
fn the_chain_goes_from_issuer_to_issuer_whatever_the_order_of_the_file() {
    let authority = || KeyPair::generate().unwrap();
    let root = CertifiedIssuer::self_signed(named("root", 2050), authority()).unwrap();
    let far = CertifiedIssuer::signed_by(named("far", 2050), authority(), &root).unwrap();
    let near = CertifiedIssuer::signed_by(named("near", 2050), authority(), &far).unwrap();
    let (key, pair) = key();
    let leaf = named("leaf", 2050).signed_by(&pair, &near).unwrap();
    let whole = [leaf.der(), near.der(), far.der(), root.der()].map(|der| der.to_vec());
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2], [3, 1, 0, 2], [2, 3, 1, 0]] {
        let certificates = order.iter().map(|&place| whole[place].clone()).collect();
        let signer = Signer::new(&Contents { keys: vec![key.clone()], certificates }).unwrap();
        let all = std::iter::once(&signer.leaf).chain(&signer.chain);
        assert!(all.map(|certificate| &certificate.der).eq(&whole), "{order:?}");
    }
}

#[test]
fn of_two_certificates_for_one_key_the_one_that_is_valid_longer_signs() {
    let (key, pair) = key();
    let made = |until| named("remora", until).self_signed(&pair).unwrap().der().to_vec();
    let (old, new) = (made(2020), made(2050));
    for certificates in [vec![old.clone(), new.clone()], vec![new.clone(), old]] {
        let signer = Signer::new(&Contents { keys: vec![key.clone()], certificates }).unwrap();
        assert!(signer.leaf.der == new && signer.chain.is_empty());
    }
}

#[test]
fn a_wrong_or_missing_password_is_called_that() {
    for file in [
        MODERN,
        include_bytes!("files/legacy.pfx"),
        include_bytes!("files/no-mac.pfx"),
        include_bytes!("files/pbmac1.pfx"),
        include_bytes!("files/encrypted.pem"),
    ] {
        let (word, message) = refused(file, Some("wrong"));
        assert_eq!(word, "certificate-password", "{message}");
        assert!(message.contains("cannot be opened with the password") && !message.contains("wrong"), "{message}");
        assert!(refused(file, None).1.contains("no password is set"));
    }
}

#[test]
fn a_file_without_exactly_one_rsa_key_and_its_certificate_is_refused() {
    let text = |file: &[u8]| String::from_utf8(file.to_vec()).unwrap();
    let plain = text(PLAIN);
    let (certificates, key) = plain.split_at(plain.find("-----BEGIN PRIVATE").unwrap());
    let elliptic = text(include_bytes!("files/elliptic.pem"));
    let others = elliptic.split_at(elliptic.find("-----BEGIN CERTIFICATE").unwrap()).1;
    for (file, word, why) in [
        (certificates.to_owned(), "certificate-key", "holds 0 keys instead of one"),
        (key.to_owned(), "certificate-key", "holds no certificate for its key"),
        (format!("{key}{others}"), "certificate-key", "holds no certificate for its key"),
        (format!("{plain}{key}"), "certificate-key", "holds 2 keys instead of one"),
        (elliptic.clone(), "certificate-key", "holds no usable RSA key: WrongAlgorithm"),
        (text(include_bytes!("files/old-encryption.pem")), "certificate-contents", "OpenSSL's old encryption"),
        (plain.replace("MII", "!!!"), "certificate-contents", "is malformed PEM"),
        (String::new(), "certificate-contents", "is neither PEM nor PFX"),
        ("no certificate".to_owned(), "certificate-contents", "is neither PEM nor PFX"),
    ] {
        let (found, message) = refused(file.as_bytes(), None);
        assert!(found == word && message.contains(why), "{found}: {message}, expected {why}");
    }
}

/// A secret pasted into a variable or a form may lose its line breaks, or its end.
#[test]
fn broken_pem_is_refused_without_a_word_of_it() {
    let whole = String::from_utf8(PLAIN.to_vec()).unwrap();
    let elliptic = String::from_utf8(include_bytes!("files/elliptic.pem").to_vec()).unwrap();
    let cut = whole.rfind("-----END").unwrap();
    for (file, why) in [
        (elliptic.replace('\n', " "), "is the file on one line?"),
        (whole.replace('\n', " "), "is the file on one line?"),
        (whole[..cut].to_owned(), "without its END line"),
        (whole.replace("-----BEGIN PRIVATE KEY-----\n", "-----BEGIN PRIVATE KEY----- MIIE"), "BEGIN line"),
    ] {
        let (word, message) = refused(file.as_bytes(), None);
        assert!(word == "certificate-contents" && message.contains(why), "{message}");
        assert!(!message.contains(", ") && !message.contains("MII") && message.len() < 150, "{message}");
    }
}

/// The portal and Key Vault also offer certificates in DER.
#[test]
fn a_certificate_or_a_key_in_der_is_not_taken_for_an_unknown_encryption() {
    let mut rest = PLAIN;
    while let Some((_, der)) = section(&mut rest).unwrap() {
        assert_eq!(refused(&der, None).1, "the certificate file is neither PEM nor PFX");
    }
}

#[test]
fn no_part_of_a_file_is_taken_for_the_whole() {
    for end in 0..MODERN.len() {
        let part = MODERN.get(..end).unwrap();
        assert!(Signer::decode(part, Some("hush")).is_err(), "{end}");
    }
}

#[test]
fn no_key_is_shown() {
    let signer = Signer::decode(PLAIN, None).unwrap();
    let shown = format!("{signer:?}");
    assert!(!shown.contains("private") && shown.contains("public_key"), "{shown}");
}
