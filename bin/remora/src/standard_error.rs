//! Standard error, written to only if the write will not block: a stalled log reader must not hold up the samples,
//! which the same thread forwards. Lines that do not fit are dropped and counted.

use std::io::Write as _;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Bytes that a pipe polled as writable takes at once and as a whole (`PIPE_BUF`, pipe(7)). No line is longer.
pub(crate) const ROOM: usize = 4096;

/// Dropped lines that have not been reported yet.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes a line.
pub(crate) fn write(line: &str) {
    // The lock keeps other threads from using up the room between the check and the write.
    let mut outlet = std::io::stderr().lock();
    if has_room(&outlet) {
        // If standard error fails there is nowhere to report it, and forwarding continues without it.
        let _ = outlet.write_all(line.as_bytes());
    } else {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// The number of lines dropped since the last call, if there were any and there is room again to report them.
pub(crate) fn lost() -> Option<u64> {
    let some = LOST.load(Ordering::Relaxed) > 0 && has_room(&std::io::stderr());
    some.then(|| LOST.swap(0, Ordering::Relaxed))
}

/// Whether a write of up to [`ROOM`] bytes would not block.
fn has_room(outlet: &impl AsFd) -> bool {
    let mut outlets = [PollFd::new(outlet, PollFlags::OUT)];
    // If the kernel cannot tell, the write itself will.
    poll(&mut outlets, Some(&Timespec::default())).map_or(true, |ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_has_room_until_it_is_full() {
        let (_reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut written = 0;
        while has_room(&writer) {
            written += writer.write(&[b'x'; ROOM]).expect("room for as much as a line");
        }
        assert!(written >= ROOM, "{written}");
    }
}
