//! The one move that lent buffers need. `copy_within` would do, but brings a panic along.

/// Moves `length` bytes from `from` down to `to`, as far as both places are inside the buffer.
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
}
