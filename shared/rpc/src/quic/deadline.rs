//! Time that is left for something.

use std::sync::Arc;
use std::time::Duration;

use cairn_world::Clock;

/// A point on a clock's monotonic face.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    clock: Arc<dyn Clock>,
    at: Duration,
}

impl Deadline {
    /// `within` from now.
    pub(crate) fn after(clock: &Arc<dyn Clock>, within: Duration) -> Self {
        Self {
            clock: Arc::clone(clock),
            at: clock.monotonic().saturating_add(within),
        }
    }

    /// What `work` gives; `None` where the time is up first. What is ready at once is taken even
    /// then.
    pub(crate) async fn bound<F: Future>(&self, work: F) -> Option<F::Output> {
        let left = self.at.saturating_sub(self.clock.monotonic());
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.clock.sleep(left) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_world::sim::SimClock;
    use std::future::{pending, ready};

    #[tokio::test]
    async fn ends_what_does_not_end_and_lets_the_ready_pass() {
        let sim = Arc::new(SimClock::new());
        let clock: Arc<dyn Clock> = sim.clone();
        let deadline = Deadline::after(&clock, Duration::from_secs(3));
        let waiting = tokio::spawn({
            let deadline = deadline.clone();
            async move { deadline.bound(pending::<()>()).await }
        });
        tokio::task::yield_now().await;
        sim.advance(Duration::from_secs(2));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        sim.advance(Duration::from_secs(1));
        assert_eq!(waiting.await.unwrap(), None);
        assert_eq!(deadline.bound(ready(7)).await, Some(7));
    }
}
