use super::*;
use crate::fakes::HandClock;
use tokio::sync::oneshot;

#[test]
fn a_client_has_time_for_what_may_be_unsent() {
    let pace = Pace::default();
    assert_eq!(pace.deadline(), None);
    let at = Duration::from_secs(100);
    pace.gave(16 << 10, at);
    let window = limits::BODY_RATE_WINDOW_SECS;
    assert_eq!(pace.deadline(), Some(at + Duration::from_secs(window + 16)));
    pace.gave(16 << 10, at);
    assert_eq!(pace.deadline(), Some(at + Duration::from_secs(window + 32)));
    pace.asked();
    assert_eq!(pace.deadline(), None, "it waits for us");
}

/// Ends with the stream: dropped, or at its own end.
struct Alive(Option<oneshot::Sender<()>>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.take().map(|ended| ended.send(()));
    }
}

#[tokio::test]
async fn a_stream_that_is_not_taken_is_dropped() {
    let clock = Arc::new(HandClock::new());
    let streams = Streams::new(clock.clone());
    let (stalled, steady) = (streams.call(), Pace::default());
    let (alive, mut ended) = oneshot::channel();
    let guard = Alive(Some(alive));
    stalled.gave(1 << 10, clock.monotonic());
    streams.execute(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    clock.advance(Duration::from_secs(limits::BODY_RATE_WINDOW_SECS));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(ended.try_recv().is_err(), "it has this long and a second");
    clock.advance(Duration::from_secs(2));
    tokio::time::timeout(Duration::from_secs(5), ended)
        .await
        .unwrap()
        .unwrap();
    // One that waits for us has all the time it needs, and the pace is each stream's own.
    let (alive, mut ended) = oneshot::channel();
    let guard = Alive(Some(alive));
    steady.gave(1 << 10, clock.monotonic());
    streams.execute(async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    clock.advance(Duration::from_secs(10_000));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert!(ended.try_recv().is_err());
}
