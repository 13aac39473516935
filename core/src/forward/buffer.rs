//! Bytes in lent buffers: positions that outlive a borrow, and moving them.

/// A range of bytes in a buffer; an empty one stands for absence.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    start: u32,
    length: u32,
}

impl Place {
    /// The position in `whole` of `part`, which is borrowed from it.
    pub(super) fn of(whole: &[u8], part: &[u8]) -> Self {
        let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
        match (u32::try_from(start), u32::try_from(part.len())) {
            (Ok(start), Ok(length)) => Self { start, length },
            _ => Self::default(),
        }
    }

    /// The bytes at this position; `None` if there are none or not all are in `buffer`.
    pub(super) fn within(self, buffer: &[u8]) -> Option<&[u8]> {
        let start = usize::try_from(self.start).ok()?;
        let end = start.saturating_add(usize::try_from(self.length).ok()?);
        buffer.get(start..end).filter(|part| !part.is_empty())
    }
}

/// Moves `length` bytes from `from` down to `to`, as far as both ranges are inside the buffer. `copy_within` would do,
/// but can panic.
pub(super) fn move_down(buffer: &mut [u8], from: usize, length: usize, to: usize) {
    for i in 0..length {
        let Some(&byte) = buffer.get(from.saturating_add(i)) else { return };
        if let Some(place) = buffer.get_mut(to.saturating_add(i)) {
            *place = byte;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_move_down_also_onto_their_own_place() {
        let mut buffer = *b"0123456789";
        move_down(&mut buffer, 4, 5, 2);
        assert_eq!(&buffer, b"0145678789");
        move_down(&mut buffer, 8, 5, 0);
        assert_eq!(&buffer, b"8945678789", "what is not there is not moved");
    }

    #[test]
    fn a_place_outlives_what_was_borrowed() {
        let buffer = *b"name: value";
        let place = Place::of(&buffer, &buffer[6..]);
        assert_eq!(place.within(&buffer), Some(&b"value"[..]));
        assert_eq!(place.within(&buffer[..10]), None, "what is not there whole");
        assert_eq!(Place::of(&buffer, &buffer[3..3]).within(&buffer), None, "nothing");
        assert_eq!(Place::default().within(&buffer), None, "nowhere");
    }
}
