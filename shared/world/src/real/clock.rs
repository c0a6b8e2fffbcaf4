//! The machine's clocks.

use crate::clock::{Clock, WallMillis};
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

/// The machine's clocks; sleeping is tokio's.
#[derive(Clone, Copy, Debug)]
pub struct RealClock {
    origin: Instant,
}

impl RealClock {
    /// A clock whose monotonic face starts at zero now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one door")]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "the one door")]
    fn wall(&self) -> WallMillis {
        // A clock set before 1970 reads as 1970; it cannot be expressed and is off by far anyway.
        SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            })
    }

    /// Must be polled inside a tokio runtime with its timer on.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let deadline = self
            .monotonic()
            .checked_add(duration)
            .and_then(|since_origin| self.origin.checked_add(since_origin));
        Box::pin(async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    }

    #[test]
    fn sleep_lasts_at_least_its_duration_counted_from_the_call() {
        let clock = RealClock::new();
        let before = clock.monotonic();
        let sleep = clock.sleep(Duration::from_millis(20));
        runtime().block_on(sleep);
        assert!(clock.monotonic() >= before + Duration::from_millis(20));
    }

    #[test]
    fn an_endless_sleep_neither_panics_nor_ends() {
        let clock = RealClock::new();
        let ended = runtime().block_on(async {
            tokio::time::timeout(Duration::from_millis(5), clock.sleep(Duration::MAX)).await
        });
        assert!(ended.is_err());
    }

    #[test]
    fn wall_is_milliseconds_of_this_century() {
        let wall = RealClock::new().wall();
        assert!(
            (1_700_000_000_000..4_102_444_800_000).contains(&wall),
            "{wall}"
        );
    }
}
