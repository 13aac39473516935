//! Proxy and certificate authorities.

use std::fs;
use std::path::PathBuf;

use remora_smol::config::{Proxy, TrustSource};
use remora_smol::{Trust, proxy};

use super::fault::{Fault, Reject};
use super::readable::first_byte;
use super::reader::{Reader, in_quotes};
use super::settings::{HTTPS_PROXY, NO_PROXY, SSL_CERT_DIR, SSL_CERT_FILE};
use super::source::Source;

/// Reads the proxy, and warns if it cannot be used for samples.
pub(crate) fn proxy(reader: &mut Reader<'_>) -> Option<Proxy> {
    warn_of_unused(reader);
    let url = reader.value(&HTTPS_PROXY, parse_proxy)?;
    if url.starts_with("https:") {
        let text = "is used only for the token exchange; samples need a proxy with an http:// URL";
        reader.warn(&HTTPS_PROXY, text);
    }
    let no_proxy = reader.text(&NO_PROXY);
    if let Some(reject) = no_proxy.as_deref().and_then(in_quotes) {
        reader.warn(&NO_PROXY, format!("{}; {}", reject.wrong, reject.fix));
    }
    Some(Proxy { url, no_proxy })
}

/// As in curl and Go, https does not go through the proxy for http; and only curl reads a variable for all.
fn warn_of_unused(reader: &mut Reader<'_>) {
    let other =
        ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"].into_iter().find(|name| reader.var(name).is_some());
    if let Some(other) = other.filter(|_| reader.given(&HTTPS_PROXY).is_none()) {
        let text = format!(
            "is not set, and {other} is not read, since Azure is reached by https; set it to the proxy, or unset {other} \
             if Azure is reached without one"
        );
        reader.warn(&HTTPS_PROXY, text);
    }
}

/// The URL of an HTTP proxy; the scheme is optional, as is customary.
fn parse_proxy(text: &str) -> Result<String, Reject> {
    let fix = "use http://host:port; https:// is possible, SOCKS is not";
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(Reject::new("is not an HTTP proxy", fix));
    }
    // Other URL parsers end the host here: part of a login with one of these characters would be read as the host.
    let (authority, behind) = rest.split_once(['/', '?', '#']).unwrap_or((rest, ""));
    if behind.contains('@') {
        let fix = "percent-encode the login: %2F for /, %3F for ?, %23 for #, %40 for @, %3A for :";
        return Err(Reject::new("has a login with a character that ends the host", fix));
    }
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = authority.split(':').next().unwrap_or_default();
    if host.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Reject::new("does not name a proxy host", fix));
    }
    let behind_host = authority.rsplit(']').next().unwrap_or_default();
    if behind_host.split_once(':').is_some_and(|(_, port)| !port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Err(Reject::new("has an invalid port", fix));
    }
    let url = format!("{}://{rest}", scheme.to_ascii_lowercase());
    let unusable = |_| Reject::new("is not a URL", "percent-encode the login: %40 for @, %3A for :, %5E for ^");
    proxy::check(&Proxy { url: url.clone(), no_proxy: None }).map(|()| url).map_err(unusable)
}

/// Reads the replacement for the built-in roots, if there is one.
pub(crate) fn trust(reader: &mut Reader<'_>) -> TrustSource {
    let file = reader.value(&SSL_CERT_FILE, readable_file);
    let dirs = reader.value(&SSL_CERT_DIR, readable_folders);
    match (file, dirs) {
        (None, None) => TrustSource::BuiltIn,
        (Some(file), None) => TrustSource::File(file),
        (None, Some(dirs)) => TrustSource::Dirs(dirs),
        (Some(file), Some(dirs)) => TrustSource::FileAndDirs { file, dirs },
    }
}

/// The certificates themselves; the built-in ones if the variables already have faults.
pub(super) fn certificates(source: &dyn Source) -> Result<Trust, Fault> {
    let mut reader = Reader::new(source);
    let trust = trust(&mut reader);
    if !reader.finish().0.is_empty() {
        return Ok(Trust::built_in());
    }
    Trust::load(&trust).map_err(|error| {
        let of_folder = trust.file() != Some(error.path());
        let (setting, what) =
            if of_folder { (&SSL_CERT_DIR, "folder of PEM files") } else { (&SSL_CERT_FILE, "PEM file") };
        let path = error.path().display().to_string();
        let told = error.to_string();
        let wrong = told.strip_prefix(&format!("{path}: ")).unwrap_or(&told);
        let fix = format!("set it to a {what} with the CA certificates to trust, or unset it to use the built-in ones");
        Fault::new(setting.name, Some(&path), Reject::new(format!("cannot be used: {wrong}"), fix))
    })
}

fn readable_file(text: &str) -> Result<PathBuf, Reject> {
    let path = PathBuf::from(text);
    match first_byte(&path) {
        Ok(true) => Ok(path),
        Ok(false) => Err(Reject::new("is an empty file", "use a PEM file with at least one certificate").of_file()),
        Err(error) => Err(unreadable(&error, "file")),
    }
}

/// Folders, separated as in OpenSSL and Go.
fn readable_folders(text: &str) -> Result<Vec<PathBuf>, Reject> {
    let folders: Vec<_> = text.split(':').filter(|path| !path.is_empty()).map(PathBuf::from).collect();
    for folder in &folders {
        fs::read_dir(folder).map_err(|error| {
            let Reject { wrong, fix, .. } = unreadable(&error, "folder");
            let named = if folders.len() > 1 { format!("names {}, which {wrong}", folder.display()) } else { wrong };
            Reject::new(named, fix).of_file()
        })?;
    }
    if folders.is_empty() {
        return Err(Reject::new(
            "names no folder",
            "use the path of a folder, or of several with a colon between them",
        ));
    }
    Ok(folders)
}

fn unreadable(error: &std::io::Error, what: &str) -> Reject {
    let fix =
        format!("mount the {what} so that this user can read it, or unset the variable to use the built-in roots");
    Reject::new(format!("cannot be read: {error}"), fix).of_file()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn proxies_are_http_with_or_without_saying_so() {
        for (text, url) in [
            ("http://proxy:3128", "http://proxy:3128"),
            ("HTTPS://proxy:3128/", "https://proxy:3128/"),
            ("proxy:3128", "http://proxy:3128"),
            ("http://u:p@proxy", "http://u:p@proxy"),
            ("http://[::1]:3128", "http://[::1]:3128"),
        ] {
            assert_eq!(parse_proxy(text).as_deref(), Ok(url), "{text}");
        }
        for text in [
            "socks5://proxy:1080",
            "http://",
            "http://u:p@",
            "http://:3128",
            "http://a b",
            "http://proxy:99999",
            "proxy:0",
            "proxy:x",
            "http://[::1:3128",
            "http://u:p^w@proxy",
        ] {
            assert!(parse_proxy(text).is_err(), "{text}");
        }
    }

    #[test]
    fn certificates_must_be_readable_where_they_are_said_to_be() {
        assert!(readable_file(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).is_ok());
        assert!(readable_folders(env!("CARGO_MANIFEST_DIR")).is_ok());
        assert!(readable_file("/nowhere.pem").expect_err("no such file").wrong.contains("No such file"));
        assert!(readable_file(env!("CARGO_MANIFEST_DIR")).is_err());
        assert!(readable_folders(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).is_err());
    }

    #[test]
    fn folders_are_separated_by_colons() {
        assert_eq!(readable_folders("/:/tmp::").expect("folders"), [PathBuf::from("/"), PathBuf::from("/tmp")]);
        assert_eq!(readable_folders(":").expect_err("no folder").wrong, "names no folder");
        let missing = readable_folders("/tmp:/nowhere").expect_err("a folder that is none");
        assert!(missing.wrong.starts_with("names /nowhere, which cannot be read: No such file"), "{missing:?}");
    }

    #[test]
    fn what_holds_no_certificate_is_a_fault_of_the_variable_that_names_it() {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let fault = |variables: &[(&'static str, &str)]| {
            let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
            certificates(&variables.collect::<BTreeMap<_, _>>()).map(drop).map_err(|fault| fault.to_string())
        };
        let file = fault(&[("SSL_CERT_FILE", manifest)]).expect_err("no PEM in it");
        assert!(file.starts_with(&format!("SSL_CERT_FILE={manifest}")), "{file}");
        assert!(file.contains("cannot be used: it holds no usable CA certificate"), "{file}");
        assert!(file.contains("REMORA-CFG-07") && file.contains("set it to a PEM file"), "{file}");
        let folder = fault(&[("SSL_CERT_DIR", env!("CARGO_MANIFEST_DIR"))]).expect_err("no PEM in it");
        assert!(folder.starts_with("SSL_CERT_DIR=") && folder.contains("set it to a folder of PEM files"), "{folder}");
        assert!(fault(&[]).is_ok());
        // A missing file is reported where the variable is read.
        assert!(fault(&[("SSL_CERT_FILE", "/nowhere.pem")]).is_ok());
    }
}
