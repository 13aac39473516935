//! Runs the core's frame check over a stored body.

use remora_core::remote_write::Verdict;
use remora_core::snappy::Window;
use smol::future;

use super::Connection;
use crate::{clock, pool};

/// Segments checked before yielding to other tasks: 128 KiB, about a millisecond.
const CHECKED_AT_ONCE: usize = 8;

impl Connection {
    /// Runs one check at a time per thread: it holds the thread's window, even while it uses a larger one.
    pub(super) async fn check(&mut self) {
        let mut window = self.hub.memory.window.take_one().await;
        let (first, larger) = self.check_within(window.lend()).await;
        let again = match larger {
            Some(bytes) => self.check_again(bytes).await,
            None => None,
        };
        self.hub.memory.window.give([window]);
        self.look_at_clock();
        self.exchange.checked(self.now, again.unwrap_or(first));
    }

    /// The verdict, and the window size that would allow a better one, if any. Long checks yield to other tasks.
    async fn check_within(&self, window: Window<'_>) -> (Verdict, Option<usize>) {
        let mut check = self.exchange.frame_check(clock::unix_ms(), window);
        for (i, slice) in self.body.slices(0).enumerate() {
            if i > 0 && i % CHECKED_AT_ONCE == 0 {
                future::yield_now().await;
            }
            check.feed(slice);
        }
        let larger = check.larger_window();
        (check.finish(), larger)
    }

    /// Checks again with a temporary window of `bytes`. Without the memory there is no verdict.
    async fn check_again(&self, bytes: usize) -> Option<Verdict> {
        if bytes > self.hub.memory.largest_window {
            return None;
        }
        let mut memory = pool::mapping(bytes).ok()?;
        Some(self.check_within(Window::new(&mut memory)?).await.0)
    }
}
