//! Files as OpenSSL, Windows and Key Vault write them, made by `files/make`.

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

#[test]
fn the_chain_goes_from_issuer_to_issuer_whatever_the_order_of_the_file() {
    let signer = Signer::decode(PLAIN, None).unwrap();
    let [root] = signer.chain.as_slice() else { panic!("one more certificate") };
    assert_eq!((&root.subject, &root.subject), (&signer.leaf.issuer, &root.issuer));
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
