//! Content-Type and Content-Encoding against a regular expression for the grammar of a media type's parameters.
//!
//! The lowest bits of an input's first byte say which of the two headers are present; the rest is Content-Encoding, a
//! line feed, and Content-Type.

#![cfg_attr(fuzzing, no_main)]

use std::sync::LazyLock;

use regex_lite::Regex;
use remora_core::remote_write::{MediaFault, Version, negotiate};

remora_fuzz::target!(judge);

/// `*( OWS ";" OWS [ parameter ] )` of RFC 9110 §5.6.6, with any ASCII whitespace, capturing name and value of each.
static PARAMETERS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    let (blank, token) = (r"[ \t\n\r\x0c]*", r"[!#$%&'*+.^_`|~0-9A-Za-z-]+");
    let quoted = r#""((?:[^"\\]|\\[\s\S])*)""#;
    let one = format!(r"{blank};{blank}(?:({token})=(?:({token})|{quoted}))?{blank}");
    [format!("^(?:{one})*$"), one].map(|pattern| Regex::new(&pattern).expect("a pattern"))
});

fn judge(input: &[u8]) {
    let Some((&present, lines)) = input.split_first() else { return };
    let mut lines = lines.splitn(2, |&byte| byte == b'\n');
    let content_encoding = lines.next().filter(|_| present & 1 == 0);
    let content_type = lines.next().filter(|_| present & 2 == 0);
    let told = negotiate(content_type, content_encoding);
    assert_eq!(told, expected(content_type, content_encoding));
    if let Ok(version) = told {
        assert_eq!(negotiate(Some(version.content_type().as_bytes()), Some(b"snappy")), told, "another when sent on");
    }
}

fn expected(content_type: Option<&[u8]>, content_encoding: Option<&[u8]>) -> Result<Version, MediaFault> {
    let encoding = content_encoding.map(text).unwrap_or_default();
    if !["", "snappy"].contains(&&*normal(&encoding)) {
        return Err(MediaFault::Encoding);
    }
    let Some(content_type) = content_type.map(text) else { return Ok(Version::V1) };
    let parameters = content_type.split_at(content_type.find(';').unwrap_or(content_type.len())).1;
    let essence = content_type.strip_suffix(parameters).map(normal);
    if essence.as_deref() != Some("application/x-protobuf") {
        return Err(MediaFault::Type);
    }
    let [all, one] = &*PARAMETERS;
    let named = |found: &regex_lite::Captures<'_>| found.get(1).is_some_and(|name| normal(name.as_str()) == "proto");
    let value = |found: regex_lite::Captures<'_>| found.get(2).or(found.get(3)).map(|value| value.as_str().to_owned());
    let protos: Vec<_> = one.captures_iter(parameters).filter(named).filter_map(value).collect();
    match protos.as_slice() {
        _ if !all.is_match(parameters) => Err(MediaFault::Parameter),
        [] => Ok(Version::V1),
        [name] if name.eq_ignore_ascii_case("prometheus.WriteRequest") => Ok(Version::V1),
        [name] if name.eq_ignore_ascii_case("io.prometheus.write.v2.Request") => Ok(Version::V2),
        [_] => Err(MediaFault::Message),
        _ => Err(MediaFault::Parameter),
    }
}

/// One character per byte, so that nothing is lost.
fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// In lower case and without surrounding whitespace.
fn normal(text: &str) -> String {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0c']).to_ascii_lowercase()
}
