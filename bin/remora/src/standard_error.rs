//! Standard error, written to only while that does not wait: a reader of the log that stands still must not hold up the
//! samples, which the same thread forwards. What finds no room is lost, and counted.

use std::io::Write as _;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Lines that found no room and were not yet told of.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Writes a line.
pub(crate) fn write(line: &str) {
    // No other thread takes the room between the question and the write.
    let mut outlet = std::io::stderr().lock();
    if has_room(&outlet) {
        // Nothing is left to tell anyone when standard error fails, and forwarding goes on without it.
        let _ = outlet.write_all(line.as_bytes());
    } else {
        LOST.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many lines were lost since this was last asked, if there were any and there is room again to say so.
pub(crate) fn lost() -> Option<u64> {
    let some = LOST.load(Ordering::Relaxed) > 0 && has_room(&std::io::stderr());
    some.then(|| LOST.swap(0, Ordering::Relaxed))
}

/// Whether a write would not wait. A pipe that says so has room for 4096 bytes (pipe(7)), more than a line is long.
fn has_room(outlet: &impl AsFd) -> bool {
    let mut outlets = [PollFd::new(outlet, PollFlags::OUT)];
    // Where the kernel cannot tell, writing says more.
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
            written += writer.write(&[b'x'; 4096]).expect("room for as much as a line");
        }
        assert!(written >= 4096, "{written}");
    }
}
