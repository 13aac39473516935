//! Everything outside core, as far as the compiler knows.

use core::fmt::{self, Write as _};

mod opaque {
    unsafe extern "C" {
        pub(super) fn panicked() -> !;
        pub(super) fn number() -> u64;
        pub(super) fn input(bytes: *mut u8, length: usize) -> usize;
        pub(super) fn output(bytes: *const u8, length: usize);
    }
}

/// Where panics end.
pub(crate) fn panicked() -> ! {
    // SAFETY: this code is never run.
    unsafe { opaque::panicked() }
}

/// Any number.
pub(crate) fn number() -> u64 {
    // SAFETY: as above.
    unsafe { opaque::number() }
}

/// Any length, index or count.
pub(crate) fn count() -> usize {
    number() as usize
}

/// Either value.
pub(crate) fn flag() -> bool {
    number() == 0
}

/// Nothing, or a value.
pub(crate) fn maybe<T>(value: T) -> Option<T> {
    flag().then_some(value)
}

/// Any bytes, in `space`; returns an arbitrary number.
pub(crate) fn fill(space: &mut [u8]) -> usize {
    // SAFETY: as above.
    unsafe { opaque::input(space.as_mut_ptr(), space.len()) }
}

/// A prefix of `space` of any length, with any content.
pub(crate) fn bytes(space: &mut [u8]) -> &[u8] {
    let length = fill(space);
    space.get(..length).unwrap_or_default()
}

/// Any text.
pub(crate) fn text(space: &mut [u8]) -> &str {
    core::str::from_utf8(bytes(space)).unwrap_or_default()
}

/// Uses bytes.
pub(crate) fn look(bytes: &[u8]) {
    // SAFETY: as above.
    unsafe { opaque::output(bytes.as_ptr(), bytes.len()) }
}

/// Uses a number.
pub(crate) fn look_at(number: u64) {
    look(&number.to_ne_bytes());
}

/// Uses the text of a value, `Display` only: the standard library's own `Debug` of texts and times can panic, as far as
/// the compiler knows, and shipped code never prints it.
pub(crate) fn show(value: &dyn fmt::Display) {
    let _ = write!(Eye, "{value}");
}

/// A writer that may fail.
pub(crate) struct Eye;

impl fmt::Write for Eye {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        look(text.as_bytes());
        if flag() { Err(fmt::Error) } else { Ok(()) }
    }
}
