//! Sealed records on their way out.

/// Bytes in order, in memory that is zeroed once and not for each record.
#[derive(Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    filled: usize,
}

impl Records {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.filled).unwrap_or_default()
    }

    /// Forgets what is there; the memory stays.
    pub(crate) const fn clear(&mut self) {
        self.filled = 0;
    }

    /// At least `length` bytes behind what is there, to write into.
    pub(super) fn space(&mut self, length: usize) -> &mut [u8] {
        let needed = self.filled.saturating_add(length);
        if self.bytes.len() < needed {
            self.bytes.resize(needed, 0);
        }
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }

    /// The first `n` bytes of the space were written.
    pub(super) fn written(&mut self, n: usize) {
        self.filled = self.filled.saturating_add(n).min(self.bytes.len());
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        if let Some(space) = self.space(bytes.len()).get_mut(..bytes.len()) {
            space.copy_from_slice(bytes);
            self.written(bytes.len());
        }
    }
}
