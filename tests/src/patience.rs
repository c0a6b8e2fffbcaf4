//! Waiting for what must come, but not for ever.

use std::time::Duration;

use cairn_world::Clock as _;
use cairn_world::real::RealClock;

const TICK: Duration = Duration::from_millis(20);

/// Measures how long something takes.
#[derive(Debug)]
pub struct Stopwatch(RealClock, Duration);

impl Stopwatch {
    /// Starts now.
    #[must_use]
    pub fn start() -> Self {
        let clock = RealClock::new();
        let start = clock.monotonic();
        Self(clock, start)
    }

    /// Time since the start.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.monotonic().saturating_sub(self.1)
    }
}

/// Tries again and again until it succeeds.
///
/// # Panics
/// With the last error, once `patience` is over.
pub fn eventually<T>(
    what: &str,
    patience: Duration,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> T {
    let watch = Stopwatch::start();
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(why) if watch.elapsed() > patience => {
                panic!("not within {patience:?}: {what}: {why}")
            }
            Err(_) => std::thread::sleep(TICK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_until_it_succeeds() {
        let mut tries = 0;
        let done = eventually("three tries", Duration::from_secs(60), || {
            tries += 1;
            if tries < 3 {
                Err("not yet".to_owned())
            } else {
                Ok(tries)
            }
        });
        assert_eq!(done, 3);
    }

    #[test]
    #[should_panic(expected = "not within 10ms: never: no")]
    fn does_not_wait_for_ever() {
        eventually("never", Duration::from_millis(10), || {
            Err::<(), _>("no".to_owned())
        });
    }
}
