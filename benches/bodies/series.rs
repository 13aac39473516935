//! As much of remote-write's protobuf as is needed to split a request into its series. Source:
//! `prometheus/prompb/remote.proto`.

/// The tag of `WriteRequest.timeseries`: field 1, length-delimited.
const TIMESERIES: u8 = 0x0a;

/// The series of a `WriteRequest`, each with tag and length; `None` when it holds anything else.
pub(crate) fn split(mut plain: &[u8]) -> Option<Vec<&[u8]>> {
    let mut found = Vec::new();
    while !plain.is_empty() {
        let (length, at) = varint(plain.strip_prefix(&[TIMESERIES])?)?;
        let (one, rest) = plain.split_at_checked(1 + at + length)?;
        found.push(one);
        plain = rest;
    }
    (!found.is_empty()).then_some(found)
}

/// A base-128 varint and its length in bytes.
fn varint(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        value |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &[u8] = b"\x0a\x03abc";
    const OTHER: &[u8] = b"\x0a\x02de";

    #[test]
    fn series_are_cut_with_their_tags() {
        assert_eq!(split(&[ONE, OTHER].concat()), Some(vec![ONE, OTHER]));
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for plain in [&b""[..], b"\x12\x01a", b"\x0a\x05abc", b"\x0a\x80"] {
            assert_eq!(split(plain), None, "{plain:?}");
        }
    }

    #[test]
    fn a_length_of_two_bytes() {
        assert_eq!(varint(&[0xac, 0x02, 9]), Some((300, 2)));
    }
}
