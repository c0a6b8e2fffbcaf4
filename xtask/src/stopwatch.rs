//! How long a stage took; the only reader of the clock in this crate.

use std::time::{Duration, Instant};

/// Runs since it was made.
pub(crate) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    #[allow(
        clippy::disallowed_methods,
        reason = "a stage's wall time, shown to a person"
    )]
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}
