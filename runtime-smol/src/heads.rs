//! Heads for Azure, put together behind the token that the last one carried, until it is another.

use std::fmt;

use remora_core::forward::UpstreamHead;
use remora_core::http::EncodeError;
use remora_core::token::GrantId;
use zeroize::Zeroizing;

use crate::body::SEGMENT;
use crate::connect::Connector;
use crate::secret::Bearer;
use crate::tokens::Usable;

/// Longest head: our fields and a token of several KiB. One record.
const LONGEST: usize = SEGMENT;

/// A head in memory that is overwritten when it is no longer needed.
pub(crate) type Head = UpstreamHead<Zeroizing<Vec<u8>>>;

/// The buffer of one thread.
#[derive(Default)]
pub(crate) struct Heads(Option<(GrantId, Head)>);

impl fmt::Debug for Heads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Heads(redacted)")
    }
}

impl Heads {
    /// The buffer for heads with this token. The error is one of a token that does not fit.
    pub(crate) fn with(&mut self, (grant, bearer): &Usable, connector: &Connector) -> Result<&mut Head, EncodeError> {
        let known = self.0.take().filter(|(carried, _)| carried == grant);
        let known = known.map_or_else(|| prepare(bearer, connector).map(|head| (*grant, head)), Ok)?;
        let (_, head) = self.0.insert(known);
        Ok(head)
    }
}

fn prepare(bearer: &Bearer, connector: &Connector) -> Result<Head, EncodeError> {
    UpstreamHead::new(Zeroizing::new(vec![0; LONGEST]), &connector.destination(bearer.as_bytes()))
}
