//! A sender repeats the head of its writes, except for the digits of Content-Length. One that is known need not be
//! decoded again.

use core::fmt;
use core::ops::Range;

use super::request::Request;
use crate::http::{Framing, digits};

/// Longest head that is remembered, in bytes. Those of Prometheus and vmagent have about 250.
const LONGEST: usize = 512;

/// Bytes compared at a time.
const WORD: usize = size_of::<usize>();

/// The head of a write and what it means, for [`Exchange::client_filled_with`](super::Exchange::client_filled_with). It
/// is for the exchanges of one [`Gateway`](super::Gateway), and remembers one head at a time.
pub struct HeadMemo {
    head: [u8; LONGEST],
    length: usize,
    /// Where the digits of Content-Length are.
    digits: Range<usize>,
    request: Option<Request>,
}

impl Default for HeadMemo {
    #[inline]
    fn default() -> Self {
        Self { head: [0; LONGEST], length: 0, digits: 0..0, request: None }
    }
}

impl fmt::Debug for HeadMemo {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadMemo").field("length", &self.length).finish_non_exhaustive()
    }
}

impl HeadMemo {
    /// What the head at the start of `bytes` means, and its length, if it is the one remembered and its body has at most
    /// `max_body_bytes`. Content-Length must have as many digits as there.
    #[inline]
    pub(super) fn recall(&self, bytes: &[u8], max_body_bytes: usize) -> Option<(Request, usize)> {
        let request = self.request.as_ref()?;
        let (before, _, after) = split(self.head.get(..self.length)?, &self.digits)?;
        let (same_before, digits, same_after) = split(bytes.get(..self.length)?, &self.digits)?;
        if !equal(before, same_before) || !equal(after, same_after) {
            return None;
        }
        let body = digits::decimal(digits)?;
        let fits = usize::try_from(body).is_ok_and(|body| body <= max_body_bytes);
        fits.then(|| (request.with_length(body), self.length))
    }

    /// Remembers `head`, which was decoded as `request`, a write with a body of known length.
    #[inline]
    pub(super) fn learn(&mut self, head: &[u8], request: &Request) {
        // Whether the sender waits for `100 Continue` depends on whether there is a body.
        let Framing::Length(1..) = request.framing else { return };
        let Some(digits) = content_length(head) else { return };
        let Some(room) = self.head.get_mut(..head.len()) else { return };
        room.copy_from_slice(head);
        self.length = head.len();
        self.digits = digits;
        self.request = Some(request.clone());
    }
}

/// Where the value of Content-Length is in a head whose lines are well formed.
#[inline]
fn content_length(head: &[u8]) -> Option<Range<usize>> {
    const NAME: &[u8] = b"content-length:";
    let mut end = 0_usize;
    for line in head.split_inclusive(|&byte| byte == b'\n') {
        end = end.saturating_add(line.len());
        if let Some((name, value)) = line.split_at_checked(NAME.len())
            && name.eq_ignore_ascii_case(NAME)
        {
            let start = end.saturating_sub(value.trim_ascii_start().len());
            return Some(start..start.saturating_add(value.trim_ascii().len()));
        }
    }
    None
}

/// `head` before, in and after `middle`.
#[inline]
fn split<'h>(head: &'h [u8], middle: &Range<usize>) -> Option<(&'h [u8], &'h [u8], &'h [u8])> {
    Some((head.get(..middle.start)?, head.get(middle.clone())?, head.get(middle.end..)?))
}

/// Whether two heads are equal, a word at a time: not every C library compares faster than by bytes.
#[inline]
fn equal(one: &[u8], other: &[u8]) -> bool {
    let ((words, rest), (other_words, other_rest)) = (one.as_chunks::<WORD>(), other.as_chunks::<WORD>());
    let numbers = words.iter().copied().map(usize::from_ne_bytes);
    numbers.eq(other_words.iter().copied().map(usize::from_ne_bytes)) && rest == other_rest
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::super::request::Peer;
    use super::*;

    /// Whether a write with the head `next` and bytes after it is known after one with the head `first`.
    fn knows(first: &[u8], next: &[u8]) -> Option<(Framing, usize)> {
        let mut memo = HeadMemo::default();
        memo.learn(first, &Request::decode(first, Peer::Loopback, usize::MAX));
        let bytes = [next, b"body"].concat();
        memo.recall(&bytes, 1000).map(|(request, length)| (request.framing, length))
    }

    #[test]
    fn a_head_is_known_again_with_other_digits() {
        for (first, next) in [
            (&b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Length: 123\r\nA: b\r\n\r\n"[..], &b"123"[..]),
            (b"POST /api/v1/write HTTP/1.1\r\nhost:h\r\ncontent-length:123\r\n\r\n", b"007"),
            (b"\r\nPOST /api/v1/write HTTP/1.1\r\nCONTENT-LENGTH:\t 123 \r\nhost:h\r\n\r\n", b"999"),
        ] {
            let at = first.windows(3).position(|three| three == b"123").unwrap();
            let mut other = first.to_vec();
            other[at..at + 3].copy_from_slice(next);
            let length = digits::decimal(next).unwrap();
            assert_eq!(knows(first, &other), Some((Framing::Length(length), first.len())), "{}", next.escape_ascii());
        }
    }

    #[test]
    fn a_long_head_is_not_kept() {
        let head = |fill| {
            let fill = vec![b'x'; fill];
            [b"POST /api/v1/write HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nX: ", &fill[..], b"\r\n\r\n"].concat()
        };
        let others = head(0).len();
        assert!(knows(&head(LONGEST - others), &head(LONGEST - others)).is_some());
        assert!(knows(&head(LONGEST - others + 1), &head(LONGEST - others + 1)).is_none());
    }
}
