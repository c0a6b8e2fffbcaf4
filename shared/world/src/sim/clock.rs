//! Virtual time: it stands still until somebody advances it.

use crate::clock::{Clock, WallMillis};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Wall time at the simulation's start: 2026-01-01T00:00:00Z.
const WALL_AT_START: WallMillis = 1_767_225_600_000;

/// A clock that moves only by [`SimClock::advance`]. Clones are the same clock; a
/// [`SimClock::sibling`] shares the monotonic face and has a wall of its own, as another machine.
#[derive(Clone, Debug)]
pub struct SimClock {
    time: Arc<Mutex<Time>>,
    wall_offset: Arc<AtomicI64>,
}

#[derive(Debug, Default)]
struct Time {
    now: Duration,
    next_sleeper: u64,
    /// By deadline, then by order of falling asleep.
    sleepers: BTreeMap<(Duration, u64), Option<Waker>>,
}

impl SimClock {
    /// A clock at monotonic zero, its wall at the start of 2026.
    #[must_use]
    pub fn new() -> Self {
        Self {
            time: Arc::default(),
            wall_offset: Arc::default(),
        }
    }

    /// Another machine's clock: the same flow of time, its wall `offset` milliseconds off.
    #[must_use]
    pub fn sibling(&self, offset: i64) -> Self {
        Self {
            time: Arc::clone(&self.time),
            wall_offset: Arc::new(AtomicI64::new(offset)),
        }
    }

    /// Moves this clock's wall by `millis`, either way; durations are not touched.
    pub fn jump_wall(&self, millis: i64) {
        self.wall_offset.fetch_add(millis, Ordering::Relaxed);
    }

    /// Lets `duration` pass and wakes every sleeper whose deadline has come, earliest first.
    pub fn advance(&self, duration: Duration) {
        let due = {
            let mut time = self.time();
            time.now = time.now.saturating_add(duration);
            let now = time.now;
            let later = time.sleepers.split_off(&(now, u64::MAX));
            std::mem::replace(&mut time.sleepers, later)
        };
        due.into_values().flatten().for_each(Waker::wake);
    }

    /// The earliest deadline anybody sleeps for.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.time()
            .sleepers
            .keys()
            .next()
            .map(|(deadline, _)| *deadline)
    }

    /// Advances to the earliest deadline; false where nobody sleeps.
    pub fn advance_to_next(&self) -> bool {
        let Some(deadline) = self.next_deadline() else {
            return false;
        };
        let now = self.time().now;
        self.advance(deadline.saturating_sub(now));
        true
    }

    fn time(&self) -> MutexGuard<'_, Time> {
        self.time.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimClock {
    fn monotonic(&self) -> Duration {
        self.time().now
    }

    fn wall(&self) -> WallMillis {
        let passed = u64::try_from(self.time().now.as_millis()).unwrap_or(u64::MAX);
        WALL_AT_START
            .saturating_add(passed)
            .saturating_add_signed(self.wall_offset.load(Ordering::Relaxed))
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut time = self.time();
        let number = time.next_sleeper;
        time.next_sleeper += 1;
        let place = (time.now.saturating_add(duration), number);
        if !duration.is_zero() {
            time.sleepers.insert(place, None);
        }
        Box::pin(SimSleep {
            clock: self.clone(),
            place,
        })
    }
}

/// A sleeper; dropping it takes its place out of the queue.
struct SimSleep {
    clock: SimClock,
    place: (Duration, u64),
}

impl Future for SimSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut time = self.clock.time();
        if time.now >= self.place.0 {
            return Poll::Ready(());
        }
        time.sleepers
            .insert(self.place, Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        let _waker = self.clock.time().sleepers.remove(&self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(Mutex<Vec<u32>>);
    struct Bell(u32, Arc<Woken>);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.1.0.lock().unwrap().push(self.0);
        }
    }

    fn poll(
        sleep: &mut Pin<Box<dyn Future<Output = ()> + Send>>,
        bell: u32,
        log: &Arc<Woken>,
    ) -> bool {
        let waker = Waker::from(Arc::new(Bell(bell, Arc::clone(log))));
        sleep
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
    }

    #[test]
    fn time_stands_still_until_advanced() {
        let clock = SimClock::new();
        let (monotonic, wall) = (clock.monotonic(), clock.wall());
        assert_eq!((clock.monotonic(), clock.wall()), (monotonic, wall));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(clock.monotonic() - monotonic, Duration::from_millis(1_500));
        assert_eq!(clock.wall() - wall, 1_500);
    }

    #[test]
    fn sleepers_wake_at_their_deadline_in_its_order() {
        let clock = SimClock::new();
        let log = Arc::default();
        let mut late = clock.sleep(Duration::from_secs(3));
        let mut early = clock.sleep(Duration::from_secs(1));
        let mut early_too = clock.sleep(Duration::from_secs(1));
        assert!(!poll(&mut late, 3, &log) && !poll(&mut early, 1, &log));
        assert!(!poll(&mut early_too, 2, &log));
        assert_eq!(clock.next_deadline(), Some(Duration::from_secs(1)));
        clock.advance(Duration::from_millis(999));
        assert!(log.0.lock().unwrap().is_empty());
        assert!(clock.advance_to_next());
        assert_eq!(*log.0.lock().unwrap(), [1, 2]);
        assert!(poll(&mut early, 1, &log) && !poll(&mut late, 3, &log));
        clock.advance(Duration::from_secs(60));
        assert_eq!(*log.0.lock().unwrap(), [1, 2, 3]);
        assert!(poll(&mut late, 3, &log));
        assert!(!clock.advance_to_next());
    }

    #[test]
    fn a_dropped_sleeper_is_forgotten_and_a_zero_sleep_is_over() {
        let clock = SimClock::new();
        drop(clock.sleep(Duration::from_secs(1)));
        assert_eq!(clock.next_deadline(), None);
        assert!(poll(&mut clock.sleep(Duration::ZERO), 0, &Arc::default()));
    }

    #[test]
    fn walls_jump_alone() {
        let clock = SimClock::new();
        let other = clock.sibling(-5_000);
        assert_eq!(clock.wall() - other.wall(), 5_000);
        other.jump_wall(7_000);
        assert_eq!(other.wall() - clock.wall(), 2_000);
        clock.advance(Duration::from_secs(1));
        assert_eq!(other.monotonic(), clock.monotonic());
    }
}
