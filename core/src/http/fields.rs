//! Header fields of one head, borrowed from its bytes.

use core::mem::MaybeUninit;

use httparse::Header;

use super::HeadError;

/// Maximum field lines in a head. Real senders use about ten.
pub const MAX_FIELDS: usize = 64;

/// Room for the decoded field lines of one head; borrows from the head and costs the caller two pointers and two
/// lengths per line.
pub type FieldSlots<'b> = [MaybeUninit<Header<'b>>; MAX_FIELDS];

/// Empty slots to decode into.
pub const fn field_slots<'b>() -> FieldSlots<'b> {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// The field lines of a head in wire order. Names are case-insensitive; values have no whitespace at either end and may
/// contain bytes above 0x7f.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'h, 'b> {
    lines: &'h [Header<'b>],
}

impl<'h, 'b> Fields<'h, 'b> {
    pub(super) const fn new(lines: &'h [Header<'b>]) -> Self {
        Self { lines }
    }

    /// Every field line as name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&'b str, &'b [u8])> + use<'h, 'b> {
        self.lines.iter().map(|line| (line.name, line.value))
    }

    /// The values of all lines named `name`.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b, 'n> {
        self.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first line named `name`.
    // Like `has_token` once in the code for all names: a copy for each costs kilobytes and saves little.
    #[inline(never)]
    pub fn first(&self, name: &str) -> Option<&'b [u8]> {
        self.all(name).next()
    }

    /// The value of the one line named `name`; [`HeadError::RepeatedField`] when there are several, equal or not.
    pub fn only(&self, name: &str) -> Result<Option<&'b [u8]>, HeadError> {
        let mut values = self.all(name);
        let value = values.next();
        if values.next().is_some() { Err(HeadError::RepeatedField) } else { Ok(value) }
    }

    /// The members of the comma-separated lists named `name` (RFC 9110 §5.6.1), over all lines, without empty members. A
    /// comma in a quoted string separates members as well: not for fields where one may be.
    pub fn members<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b, 'n> {
        self.all(name).flat_map(split_list).filter(|member| !member.is_empty())
    }

    /// Whether the list named `name` has `token` as a member, ignoring case.
    #[inline(never)]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.members(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// The members of one comma-separated value without the whitespace around them; including empty ones.
pub(super) fn split_list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    // The only whitespace in a decoded value is space and tab, so trimming the ASCII set trims exactly OWS.
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether `bytes` is a token: 1*tchar (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().copied().all(is_token_byte)
}

/// tchar of RFC 9110 §5.6.2, one bit per ASCII character, 32 per word, lowest bit first.
const TCHARS: [u32; 4] = [
    0,
    // !#$%&'*+-. and digits.
    0x03ff_6cfa,
    // ^_ and upper-case letters.
    0xc7ff_fffe,
    // `|~ and lower-case letters.
    0x57ff_ffff,
];

pub(crate) fn is_token_byte(byte: u8) -> bool {
    TCHARS.get(usize::from(byte / 32)).is_some_and(|word| word >> (byte % 32) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [Header<'static>; 5] = [
        Header { name: "Host", value: b"localhost" },
        Header { name: "Connection", value: b"keep-alive, ,Foo" },
        Header { name: "connection", value: b"\tCLOSE " },
        Header { name: "Content-Encoding", value: b"snappy" },
        Header { name: "X-Empty", value: b"" },
    ];

    #[test]
    fn names_compare_without_case() {
        let fields = Fields::new(&LINES);
        assert_eq!(fields.first("content-encoding"), Some(&b"snappy"[..]));
        assert_eq!(fields.first("CONNECTION"), Some(&b"keep-alive, ,Foo"[..]));
        assert_eq!(fields.first("x-empty"), Some(&b""[..]));
        assert_eq!(fields.first("Content"), None);
    }

    #[test]
    fn only_refuses_a_repeated_field() {
        let fields = Fields::new(&LINES);
        assert_eq!(fields.only("host"), Ok(Some(&b"localhost"[..])));
        assert_eq!(fields.only("expect"), Ok(None));
        assert_eq!(fields.only("connection"), Err(HeadError::RepeatedField));
    }

    #[test]
    fn split_list_are_found_over_all_lines_and_whole() {
        let fields = Fields::new(&LINES);
        assert!(fields.has_token("connection", "keep-alive"));
        assert!(fields.has_token("connection", "close"));
        assert!(fields.has_token("connection", "foo"));
        assert!(!fields.has_token("connection", "clos"));
        assert!(!fields.has_token("connection", ""));
        assert_eq!(fields.members("connection").count(), 3);
    }

    #[test]
    fn iter_keeps_the_order_of_the_wire() {
        assert!(Fields::new(&LINES).iter().map(|(name, _)| name).eq(LINES.iter().map(|line| line.name)));
    }

    #[test]
    fn a_token_holds_no_delimiter() {
        assert!(is_token(b"X-Prometheus-Remote-Write-Version"));
        for not in [&b""[..], b"a b", b"a:b", b"a\x00", b"(a)", b"a,b", b"\xc3\xa9"] {
            assert!(!is_token(not), "{not:?}");
        }
    }

    #[test]
    fn every_byte_is_a_tchar_or_not() {
        for byte in 0..=u8::MAX {
            let delimiter = b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(is_token_byte(byte), byte.is_ascii_graphic() && !delimiter, "{byte}");
        }
    }
}
