//! Whether this node's clock may stamp entries.
//!
//! Now and then a voter asks the others what time it is, and remembers what the median of a majority's
//! clocks said and when. From then on the median's time is known without asking, from the monotonic
//! clock; so a jump of our own wall clock shows at once, not only when asked again. A median of a
//! majority is no further off than the worst of some voter that is right while a minority is not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cairn_model::limits;
use cairn_world::WallMillis;

use super::errors::Member;
use super::host::{RaftHost, WeakHost};
use super::messages::{Answer, Call, EmptyMessage};
use super::settings::{CLOCKS_EVERY, CLOCKS_RETRY, CLOCKS_VALID};

/// Why no stamp is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// Not enough voters have said lately what time it is.
    #[error("the clocks of a majority of voters are not known")]
    Unknown,
    /// This clock is too far off the others.
    #[error("this clock is {0} ms off the median of the voters")]
    Off(i64),
}

/// What the median of a majority said, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Anchor {
    median: WallMillis,
    at: Duration,
}

/// Signed difference, saturating.
fn difference(left: WallMillis, right: WallMillis) -> i64 {
    let magnitude = i64::try_from(left.abs_diff(right)).unwrap_or(i64::MAX);
    if left < right { -magnitude } else { magnitude }
}

/// The median, of an even number the middle of the two in the middle: `None` for none.
fn median(readings: &mut [WallMillis]) -> Option<WallMillis> {
    readings.sort_unstable();
    let (len, half) = (readings.len(), readings.len() / 2);
    let upper = *readings.get(half)?;
    if len % 2 == 1 {
        return Some(upper);
    }
    let lower = *readings.get(half - 1)?;
    Some(lower + (upper - lower) / 2)
}

/// Judges a stamp of `wall` given at `now` by an anchor.
fn judge(
    anchor: Option<Anchor>,
    wall: WallMillis,
    now: Duration,
) -> Result<WallMillis, StampError> {
    let anchor = anchor.ok_or(StampError::Unknown)?;
    let passed = now.saturating_sub(anchor.at);
    if passed > CLOCKS_VALID {
        return Err(StampError::Unknown);
    }
    let passed = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
    let off = difference(wall, anchor.median.saturating_add(passed));
    if off.unsigned_abs() > limits::CLOCK_SKEW_MAX_MS {
        return Err(StampError::Off(off));
    }
    Ok(wall)
}

/// What is known of the voters' clocks.
#[derive(Debug, Default)]
pub(super) struct Clocks(Mutex<Option<Anchor>>);

impl Clocks {
    fn set(&self, anchor: Anchor) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(anchor);
    }

    fn anchor(&self) -> Option<Anchor> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftHost {
    /// The wall clock, for stamping an entry: where it is not more than 5 s off the median of a
    /// majority of the voters. A voter alone is its own median.
    ///
    /// # Errors
    /// See [`StampError`]; another voter may do better.
    pub fn stamp(&self) -> Result<WallMillis, StampError> {
        let (wall, now) = (self.inner.clock.wall(), self.inner.clock.monotonic());
        if self.is_alone() {
            return Ok(wall);
        }
        judge(self.inner.clocks.anchor(), wall, now)
    }

    fn is_alone(&self) -> bool {
        let mut voters = self.inner.raft.voter_ids();
        voters.next() == Some(self.inner.settings.node_id) && voters.next().is_none()
    }
}

/// Asks for clocks until the host goes. A leader that may not stamp asks a voter whose clock is right
/// to lead in its place.
pub(super) async fn watch_clocks(host: WeakHost) {
    loop {
        let Some(running) = host.get() else { return };
        if running.is_halted() {
            return;
        }
        let known = running.is_alone() || round(&running).await;
        let sleep = running
            .inner
            .clock
            .sleep(if known { CLOCKS_EVERY } else { CLOCKS_RETRY });
        drop(running);
        sleep.await;
    }
}

/// Asks once; whether a majority answered.
async fn round(host: &RaftHost) -> bool {
    let clock = &host.inner.clock;
    let voters = host.members().voters;
    let me = host.inner.settings.node_id;
    let others = voters.iter().filter(|voter| voter.id != me);
    let asked = others.map(|voter| async move { Some((voter.id, reading(host, voter).await?)) });
    let answers = futures_util::future::join_all(asked).await;
    let (own, at) = (clock.wall(), clock.monotonic());
    let others: Vec<(u64, WallMillis)> = answers
        .into_iter()
        .flatten()
        .map(|(voter, reading)| (voter, reading.at(at)))
        .collect();
    let mut readings: Vec<WallMillis> = others.iter().map(|(_, wall)| *wall).collect();
    if voters.iter().any(|voter| voter.id == me) {
        readings.push(own);
    }
    if readings.len() < voters.len() / 2 + 1 {
        return false;
    }
    let Some(median) = median(&mut readings) else {
        return false;
    };
    host.inner.clocks.set(Anchor { median, at });
    if let (true, Err(StampError::Off(off))) = (host.is_leader(), host.stamp()) {
        tracing::error!(off, "this leader's clock is off, it stamps nothing");
        if let Some(better) = nearest(&others, median) {
            let _ = host.hand_over(better).await;
        }
    }
    true
}

/// The voter whose clock is nearest to the median, if it may stamp.
fn nearest(others: &[(u64, WallMillis)], median: WallMillis) -> Option<u64> {
    let nearest = others
        .iter()
        .min_by_key(|(voter, wall)| (wall.abs_diff(median), *voter))?;
    (nearest.1.abs_diff(median) <= limits::CLOCK_SKEW_MAX_MS).then_some(nearest.0)
}

/// What a clock said in the middle of a call.
struct Reading {
    wall: WallMillis,
    middle: Duration,
}

impl Reading {
    fn at(&self, now: Duration) -> WallMillis {
        let passed = now.saturating_sub(self.middle).as_millis();
        self.wall
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX))
    }
}

async fn reading(host: &RaftHost, voter: &Member) -> Option<Reading> {
    let clock = &host.inner.clock;
    let asked = clock.monotonic();
    let answer = host
        .inner
        .peers
        .ask(voter, Call::Clock(EmptyMessage {}))
        .await;
    let answered = clock.monotonic();
    match answer {
        Ok(Answer::Clock(wall)) => Some(Reading {
            wall,
            middle: asked + answered.saturating_sub(asked) / 2,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: WallMillis = 1_800_000_000_000;

    fn anchor() -> Option<Anchor> {
        Some(Anchor {
            median: NOON,
            at: Duration::from_secs(100),
        })
    }

    #[test]
    fn five_seconds_are_the_limit_either_way() {
        let at = Duration::from_secs(100);
        assert_eq!(judge(anchor(), NOON + 5_000, at), Ok(NOON + 5_000));
        assert_eq!(judge(anchor(), NOON - 5_000, at), Ok(NOON - 5_000));
        assert_eq!(
            judge(anchor(), NOON + 5_001, at),
            Err(StampError::Off(5_001))
        );
        assert_eq!(
            judge(anchor(), NOON - 5_001, at),
            Err(StampError::Off(-5_001))
        );
    }

    #[test]
    fn a_jump_shows_before_anybody_is_asked_again() {
        let later = Duration::from_secs(103);
        assert_eq!(judge(anchor(), NOON + 3_000, later), Ok(NOON + 3_000));
        let jumped = NOON + 3_000 + 60_000;
        assert_eq!(judge(anchor(), jumped, later), Err(StampError::Off(60_000)));
        // Standing still is as wrong.
        let later = Duration::from_secs(108);
        assert_eq!(judge(anchor(), NOON, later), Err(StampError::Off(-8_000)));
    }

    #[test]
    fn what_is_old_or_was_never_known_stamps_nothing() {
        let at = Duration::from_secs(100) + CLOCKS_VALID + Duration::from_millis(1);
        assert_eq!(judge(anchor(), NOON, at), Err(StampError::Unknown));
        assert_eq!(judge(None, NOON, at), Err(StampError::Unknown));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [9, 1, 5]), Some(5));
        assert_eq!(median(&mut [100, 1]), Some(50));
        assert_eq!(median(&mut [7, 8, 10, 1_000]), Some(9));
        assert_eq!(median(&mut [u64::MAX, u64::MAX - 2]), Some(u64::MAX - 1));
    }

    #[test]
    fn the_nearest_clock_takes_over_if_it_is_right() {
        let others = [(2, NOON - 40), (3, NOON + 30), (4, NOON + 90_000)];
        assert_eq!(nearest(&others, NOON), Some(3));
        assert_eq!(nearest(&[(2, NOON + 6_000)], NOON), None);
        assert_eq!(nearest(&[], NOON), None);
    }
}
