//! A token as one thread sends it, with the memory for the heads that carry it.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::sync::Arc;

use remora_core::forward::UpstreamHead;
use remora_core::http::EncodeError;
use remora_core::token::GrantId;
use zeroize::Zeroizing;

use crate::body::SEGMENT;
use crate::connect::Connector;
use crate::secret::Bearer;

/// Longest head, in bytes: our fields and a token of several KiB. One TLS record.
const LONGEST: usize = SEGMENT;

/// Longest value of an `Authorization` field, in bytes: it leaves a head the room that [`UpstreamHead::new`] asks for.
pub(crate) const LONGEST_BEARER: usize = LONGEST - 4 * 1024;

/// A head in memory that is overwritten on drop.
pub(crate) type Head = UpstreamHead<Zeroizing<Vec<u8>>>;

/// One thread's handle to the token, which all threads share.
pub(crate) struct Credential {
    pub(crate) grant: GrantId,
    bearer: Arc<Bearer>,
    /// Allocated with the first request, kept as long as the token.
    head: RefCell<Option<Head>>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("grant", &self.grant).finish_non_exhaustive()
    }
}

impl Credential {
    pub(crate) fn new(grant: GrantId, bearer: Arc<Bearer>) -> Self {
        Self { grant, bearer, head: RefCell::default() }
    }

    /// The memory for heads with this token. An error means that the token does not fit.
    pub(crate) fn head(&self, connector: &Connector) -> Result<RefMut<'_, Head>, EncodeError> {
        let mut head = self.head.borrow_mut();
        let ready = if let Some(ready) = head.take() {
            ready
        } else {
            let to = connector.destination(self.bearer.as_bytes());
            UpstreamHead::new(Zeroizing::new(vec![0; LONGEST]), &to)?
        };
        Ok(RefMut::map(head, |head| head.insert(ready)))
    }

    /// See [`Bearer::hide_in`].
    pub(crate) fn hide_in(&self, text: &mut [u8]) {
        self.bearer.hide_in(text);
    }

    #[cfg(test)]
    pub(crate) fn bearer(&self) -> &Arc<Bearer> {
        &self.bearer
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::fixture;
    use crate::identity::Grant;
    use crate::trust::Trust;

    #[test]
    fn the_longest_token_fits_in_a_head() {
        let config = fixture::config(&format!("https://h.example/{}", "x".repeat(1000)), Path::new("/nowhere"));
        let hub = fixture::hub(&config, &Trust::load(&config.trust).unwrap());
        let bearer = Bearer::new(&"t".repeat(LONGEST_BEARER - "Bearer ".len())).unwrap();
        hub.tokens.hold(Grant { bearer, lifetime: Duration::from_secs(3600), refresh_in: None, skew: None });
        assert!(hub.tokens.usable().unwrap().head(&hub.connector).is_ok());
    }
}
