//! The pace of the leader's loops: a step, a pause, until they are to stop.

use std::time::Duration;

use cairn_world::Clock;
use tokio::sync::watch;

/// Waits for as long as the pause lasts; false as soon as `stop` turns true.
pub(super) async fn rest(
    clock: &dyn Clock,
    pause: Duration,
    stop: &mut watch::Receiver<bool>,
) -> bool {
    tokio::select! {
        () = clock.sleep(pause) => true,
        _ = stop.wait_for(|stop| *stop) => false,
    }
}

#[cfg(test)]
mod tests {
    use cairn_world::real::RealClock;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_or_when_all_is_to_stop() {
        let clock = RealClock::new();
        let (say, mut stop) = watch::channel(false);
        assert!(rest(&clock, Duration::from_millis(1), &mut stop).await);
        say.send_replace(true);
        assert!(!rest(&clock, Duration::from_secs(3_600), &mut stop).await);
        let (say, mut stop) = watch::channel(false);
        drop(say);
        let gone = rest(&clock, Duration::from_secs(3_600), &mut stop).await;
        assert!(!gone, "nobody is left who could say it");
    }
}
