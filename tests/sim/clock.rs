//! The simulated time of a test that runs on tokio's paused clock: it stands still while anybody
//! works and jumps to the next timer when nobody does.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use cairn_world::{Clock, WallMillis};

/// Wall time at the start of every simulation: 2026-01-01T00:00:00Z.
pub(crate) const START: WallMillis = 1_767_225_600_000;

/// A clock on tokio's.
#[derive(Debug)]
pub(crate) struct PausedClock(tokio::time::Instant);

impl PausedClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "tokio's paused clock is the simulated one"
    )]
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for PausedClock {
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> WallMillis {
        START + u64::try_from(self.monotonic().as_millis()).unwrap_or(u64::MAX)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}
