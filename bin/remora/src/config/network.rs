//! Proxy and certificate authorities.

use std::fs;
use std::path::PathBuf;

use remora_smol::config::{Proxy, TrustSource};

use super::fault::Reject;
use super::readable::first_byte;
use super::reader::Reader;
use super::settings::{HTTPS_PROXY, NO_PROXY, SSL_CERT_DIR, SSL_CERT_FILE};

/// Reads the proxy, and says so where it is not for samples.
pub(crate) fn proxy(reader: &mut Reader<'_>) -> Option<Proxy> {
    let url = reader.value(&HTTPS_PROXY, parse_proxy)?;
    if url.starts_with("https:") {
        let text = "is used for the token exchange only; samples need a proxy that is reached by http://";
        reader.warn(&HTTPS_PROXY, text);
    }
    Some(Proxy { url, no_proxy: reader.given(&NO_PROXY) })
}

/// An HTTP proxy, whose scheme may be left out as is the custom.
fn parse_proxy(text: &str) -> Result<String, Reject> {
    let fix = "give http://host:port; https:// is possible, SOCKS is not";
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https") {
        return Err(Reject::new("is not an HTTP proxy", fix));
    }
    let authority = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = authority.split(['/', ':']).next().unwrap_or_default();
    if host.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Reject::new("names no proxy host", fix));
    }
    Ok(format!("{}://{rest}", scheme.to_ascii_lowercase()))
}

/// Reads what the built-in roots are replaced with, if anything.
pub(crate) fn trust(reader: &mut Reader<'_>) -> TrustSource {
    let file = reader.value(&SSL_CERT_FILE, readable_file);
    let dir = reader.value(&SSL_CERT_DIR, readable_folder);
    if file.is_none() && dir.is_none() { TrustSource::BuiltIn } else { TrustSource::Files { file, dir } }
}

fn readable_file(text: &str) -> Result<PathBuf, Reject> {
    let path = PathBuf::from(text);
    match first_byte(&path) {
        Ok(true) => Ok(path),
        Ok(false) => Err(Reject::new("is an empty file", "give a PEM file with at least one certificate")),
        Err(error) => Err(unreadable(&error, "file")),
    }
}

fn readable_folder(text: &str) -> Result<PathBuf, Reject> {
    let path = PathBuf::from(text);
    fs::read_dir(&path).map_err(|error| unreadable(&error, "folder"))?;
    Ok(path)
}

fn unreadable(error: &std::io::Error, what: &str) -> Reject {
    let fix = format!("mount the {what} where this user can read it, or unset the variable for the built-in roots");
    Reject::new(format!("cannot be read: {error}"), fix)
}

#[cfg(test)]
mod tests {
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
        for text in ["socks5://proxy:1080", "http://", "http://u:p@", "http://:3128", "http://a b"] {
            assert!(parse_proxy(text).is_err(), "{text}");
        }
    }

    #[test]
    fn certificates_must_be_readable_where_they_are_said_to_be() {
        assert!(readable_file(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).is_ok());
        assert!(readable_folder(env!("CARGO_MANIFEST_DIR")).is_ok());
        assert!(readable_file("/nowhere.pem").expect_err("no such file").wrong.contains("No such file"));
        assert!(readable_file(env!("CARGO_MANIFEST_DIR")).is_err());
        assert!(readable_folder(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).is_err());
    }
}
