//! A request's target and its Host (RFC 9112 §3.2).

use super::HeadError;

/// Refuses a target that has none of the four forms, or the wrong one for `method`.
pub(super) fn check_target(method: &str, target: &str) -> Result<(), HeadError> {
    // A fragment never belongs on the wire, and bytes above 0x7f are not URI characters.
    if !target.is_ascii() || target.contains('#') {
        return Err(HeadError::Target);
    }
    let fits = match method {
        "CONNECT" => is_host(target.as_bytes()),
        "OPTIONS" if target == "*" => true,
        _ => target.starts_with('/') || absolute(target).is_some_and(|(authority, _)| is_host(authority.as_bytes())),
    };
    if fits { Ok(()) } else { Err(HeadError::Target) }
}

/// The path of a checked target: without scheme, authority and query, not percent-decoded.
pub(super) fn path(target: &str) -> &str {
    let path_and_query = absolute(target).map_or(target, |(_, rest)| rest);
    let (path, _) = split_before(path_and_query, b"?");
    // RFC 9110 §4.2.3: an empty path is the same as "/".
    if path.is_empty() { "/" } else { path }
}

/// Authority and rest of an absolute `http` or `https` URI.
fn absolute(target: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = split_before(target, b":");
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    rest.strip_prefix("://").map(|rest| split_before(rest, b"/?"))
}

/// Splits before the first of `stops`, which are ASCII. The standard library's search for a character is a hundred
/// bytes longer, that for a text keeps a panic in the code.
fn split_before<'t>(text: &'t str, stops: &[u8]) -> (&'t str, &'t str) {
    let end = text.bytes().position(|byte| stops.contains(&byte)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Whether `value` is a host with an optional port: a name, an IPv4 address, or an IPv6 address in brackets.
///
/// Narrower than RFC 3986 §3.2.2, which also allows sub-delimiters: no name in use has them, and a comma would let one
/// line pass for two.
pub(super) fn is_host(value: &[u8]) -> bool {
    let (host, port) = match value.iter().rposition(|&byte| byte == b':' || byte == b']') {
        Some(at) if value.get(at) == Some(&b':') => value.split_at_checked(at).unwrap_or((value, &[])),
        _ => (value, &[][..]),
    };
    // An empty port after the colon is allowed (RFC 3986 §3.2.3).
    let port = port.strip_prefix(b":").unwrap_or(port);
    is_name_or_address(host) && port.len() <= 5 && port.iter().all(u8::is_ascii_digit)
}

fn is_name_or_address(host: &[u8]) -> bool {
    let bracketed = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]"));
    if let Some(address) = bracketed {
        return address.contains(&b':')
            && address.iter().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    }
    !host.is_empty()
        && host.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_leaves_out_authority_and_query() {
        for (target, expected) in [
            ("/api/v1/write", "/api/v1/write"),
            ("/api/v1/write?a=b?c", "/api/v1/write"),
            ("/?/x", "/"),
            ("http://localhost:8081/api/v1/write?x", "/api/v1/write"),
            ("HTTPS://localhost", "/"),
            ("http://localhost?a=/b", "/"),
            ("/redirect?to=http://evil/", "/redirect"),
            ("/x://y", "/x://y"),
            ("*", "*"),
        ] {
            assert_eq!(path(target), expected, "{target}");
        }
    }

    #[test]
    fn target_form_fits_the_method() {
        for (method, target) in [
            ("POST", "/"),
            ("POST", "//x"),
            ("GET", "/%zz?"),
            ("POST", "http://[::1]:8081/x"),
            ("OPTIONS", "*"),
            ("CONNECT", "example.org:443"),
        ] {
            assert_eq!(check_target(method, target), Ok(()), "{method} {target}");
        }
        for (method, target) in [
            ("POST", "*"),
            ("POST", "api/v1/write"),
            ("POST", "?x"),
            ("POST", "example.org:443"),
            ("POST", "ftp://h/"),
            ("POST", "http:///x"),
            ("POST", "http://user@h/"),
            ("POST", "http:/h/"),
            ("POST", "/a#b"),
            ("POST", "/\u{e9}"),
            ("OPTIONS", "**"),
            ("CONNECT", "/"),
        ] {
            assert_eq!(check_target(method, target), Err(HeadError::Target), "{method} {target}");
        }
    }

    #[test]
    fn host_is_a_name_or_an_address_with_an_optional_port() {
        for host in ["h", "localhost:8081", "10.0.0.1:80", "a_b.example.", "[::1]", "[::ffff:10.0.0.1]:8081", "h:"] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "a b",
            "a,b",
            "h:80:80",
            "h:x",
            "h:+80",
            "h:123456",
            "::1",
            "[::1",
            "[]",
            "[x:]",
            "[::1]80",
            "user@h",
            "http://h",
            "h/",
            "h?",
            "[::1]:80]",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
