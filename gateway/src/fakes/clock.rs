//! A clock moved by hand.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use cairn_world::{Clock, WallMillis};
use tokio::sync::watch;

/// Stands still until it is advanced.
#[derive(Debug)]
pub(crate) struct HandClock {
    now: watch::Sender<Duration>,
}

impl HandClock {
    pub(crate) fn new() -> Self {
        Self {
            now: watch::Sender::new(Duration::from_secs(1)),
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.now.send_modify(|now| *now += by);
    }
}

impl Clock for HandClock {
    fn monotonic(&self) -> Duration {
        *self.now.borrow()
    }

    fn wall(&self) -> WallMillis {
        let millis = u64::try_from(self.monotonic().as_millis()).unwrap();
        1_795_000_000_000 + millis
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut now = self.now.subscribe();
        let deadline = self.monotonic().saturating_add(duration);
        Box::pin(async move {
            now.wait_for(|now| *now >= deadline)
                .await
                .expect("the clock outlives its sleepers");
        })
    }
}
