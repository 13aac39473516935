//! The head of an upstream request (`Via`: RFC 9110 §7.6.3): lines common to all requests with the same credential,
//! then the request's own.

use core::fmt;

use crate::http::{EncodeError, HeadWriter};

/// Where a request goes, and with what credential.
#[derive(Clone, Copy)]
pub struct Destination<'a> {
    /// Host, and port where it is not 443.
    pub authority: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The whole value of the `Authorization` header.
    pub authorization: &'a [u8],
}

impl fmt::Debug for Destination<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("authority", &self.authority)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

/// A buffer that begins with the lines that stay the same as long as the credential does: a token is long, and is
/// validated once. It is reused for request after request; [`super::Exchange::encode_head`] completes it for each.
pub struct UpstreamHead<B> {
    buffer: B,
    common: usize,
}

impl<B> fmt::Debug for UpstreamHead<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamHead").field("common", &self.common).finish_non_exhaustive()
    }
}

impl<B: AsRef<[u8]> + AsMut<[u8]>> UpstreamHead<B> {
    /// Writes the common lines into `buffer`, which must hold a whole head: 4 KiB plus the credential is ample.
    pub fn new(mut buffer: B, to: &Destination<'_>) -> Result<Self, EncodeError> {
        let common = common(to, buffer.as_mut())?;
        Ok(Self { buffer, common })
    }

    /// The buffer: the head completed last, then bytes without meaning.
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.as_ref()
    }

    pub(super) fn writer(&mut self) -> HeadWriter<'_> {
        HeadWriter::resume(self.buffer.as_mut(), self.common)
    }
}

fn common(to: &Destination<'_>, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut writer = HeadWriter::request(out, to.target);
    writer.field("Host", to.authority.as_bytes());
    writer.field("Content-Encoding", b"snappy");
    writer.field("Via", b"1.1 remora");
    writer.field("Authorization", to.authorization);
    writer.pause()
}
