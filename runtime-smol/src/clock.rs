//! The process's clock as the core counts time.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_io::Timer;
use remora_core::time::Instant;
use smol::future;

/// Milliseconds since the process's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock whose origin is now.
    pub(crate) fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// The current time. It is read several times for each request, so without division of 128-bit numbers.
    pub(crate) fn now(self) -> Instant {
        let elapsed = self.origin.elapsed();
        Instant::from_millis(elapsed.as_secs().saturating_mul(1000).saturating_add(elapsed.subsec_millis().into()))
    }

    /// `at` by the wall clock as it is set now, in milliseconds since 1970.
    pub(crate) fn unix_ms_at(self, at: Instant) -> u64 {
        let now = u64::try_from(unix_ms()).unwrap_or_default();
        now.saturating_add(at.as_millis()).saturating_sub(self.now().as_millis())
    }

    /// The result of `work`, unless `deadline` comes first.
    pub(crate) async fn before<T>(self, deadline: Instant, work: impl Future<Output = T>) -> Option<T> {
        let late = async {
            self.until(deadline).await;
            None
        };
        future::or(async { Some(work.await) }, late).await
    }

    /// Completes at `at`; never if that is beyond `FOREVER`.
    pub(crate) async fn until(self, at: Instant) {
        match self.origin.checked_add(Duration::from_millis(at.as_millis())) {
            Some(at) if at.duration_since(self.origin) < FOREVER => drop(Timer::at(at).await),
            _ => std::future::pending().await,
        }
    }
}

/// The wall clock, in milliseconds since 1970. It may jump: only for display and for the age of samples.
pub(crate) fn unix_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// Longer than any deadline.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);
