//! How long a disk takes to answer, and so when to stop waiting for it alone.
//!
//! A histogram of fixed size with four buckets to each doubling. Every so many observations the weights
//! are halved, so that the last few hundred tell. Pure: durations in, a delay out.
//!
//! An answer that nobody waited for is not lost to it: it took *at least* as long as somebody did wait.
//! Without that the slowest answers, which are the ones hedged, would never be seen, and the delay
//! would shrink to nothing.

use std::time::Duration;

use crate::tuning;

/// Buckets to a doubling: a bound is at most a quarter above what lies under it.
const STEPS: usize = 4;
/// Below 2^10 us all is one bucket, from 2^20 us on another.
const FIRST_LOG: u32 = 10;
const LAST_LOG: u32 = 20;
const BUCKETS: usize = (LAST_LOG - FIRST_LOG) as usize * STEPS + 2;

/// The weight of a new observation: it may be halved four times before it is nothing.
const UNIT: u16 = 16;
/// The weight of all at which it is halved.
const FULL: u32 = 256 * UNIT as u32;
/// The weight of all from which on an estimate is believed.
const ENOUGH: u32 = tuning::HEDGE_SAMPLES * UNIT as u32;

const _: () = {
    assert!(FULL <= u16::MAX as u32);
    // Rounding when it is halved takes less than one from each bucket.
    assert!(ENOUGH + BUCKETS as u32 <= FULL / 2);
    assert!(tuning::HEDGE_MIN.as_micros() >= 1 << FIRST_LOG);
    assert!(tuning::HEDGE_MAX.as_micros() <= 1 << LAST_LOG);
    assert!(tuning::HEDGE_MIN.as_micros() <= tuning::HEDGE_START.as_micros());
    assert!(tuning::HEDGE_START.as_micros() <= tuning::HEDGE_MAX.as_micros());
};

/// What is remembered of one kind of read.
#[derive(Clone, Debug)]
pub(super) struct Latency {
    weights: [u16; BUCKETS],
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            weights: [0; BUCKETS],
        }
    }
}

impl Latency {
    /// An answer came after so long.
    pub(super) fn answered(&mut self, took: Duration) {
        if let Some(weight) = self.weights.get_mut(bucket(took)) {
            *weight = weight.saturating_add(UNIT);
        }
        if self.total() >= FULL {
            self.weights.iter_mut().for_each(|weight| *weight /= 2);
        }
    }

    /// No answer came in so long, and nobody waits any more. Where that is less than it may take,
    /// it says nothing.
    pub(super) fn given_up(&mut self, after: Duration) {
        if after >= self.hedge_after() {
            self.answered(after);
        }
    }

    fn total(&self) -> u32 {
        self.weights.iter().map(|weight| u32::from(*weight)).sum()
    }

    /// The time in which 19 of 20 answers come, within bounds; at first what is given.
    pub(super) fn hedge_after(&self) -> Duration {
        let total = self.total();
        if total < ENOUGH {
            return tuning::HEDGE_START;
        }
        let mut below = 0;
        let p95 = self.weights.iter().position(|weight| {
            below += u32::from(*weight);
            below * 20 >= total * 19
        });
        let p95 = p95.map_or(Duration::MAX, bound);
        p95.clamp(tuning::HEDGE_MIN, tuning::HEDGE_MAX)
    }
}

/// The bucket of a duration.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let log = micros.max(1).ilog2();
    if log < FIRST_LOG {
        return 0;
    }
    if log >= LAST_LOG {
        return BUCKETS - 1;
    }
    // The two bits behind the leading one.
    let step = (micros >> (log - 2)) & 3;
    let doublings = usize::try_from(log - FIRST_LOG).unwrap_or(usize::MAX);
    1 + doublings * STEPS + usize::try_from(step).unwrap_or_default()
}

/// What all durations of a bucket are below.
fn bound(bucket: usize) -> Duration {
    if bucket >= BUCKETS - 1 {
        return Duration::MAX;
    }
    let Some(inside) = bucket.checked_sub(1) else {
        return Duration::from_micros(1 << FIRST_LOG);
    };
    let quarters = u64::try_from(STEPS + inside % STEPS + 1).unwrap_or(u64::MAX);
    Duration::from_micros(quarters << (FIRST_LOG as usize - 2 + inside / STEPS))
}

/// A disk's latencies, by how much is read at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Latencies {
    small: Latency,
    medium: Latency,
    large: Latency,
}

impl Latencies {
    /// Small objects; a cell or a few of the usual length; more.
    const SMALL: u64 = 32 << 10;
    const ABOVE_SMALL: u64 = Self::SMALL + 1;
    const MEDIUM: u64 = 256 << 10;

    /// Of reads of about so many bytes.
    pub(super) fn of(&self, bytes: u64) -> &Latency {
        match bytes {
            0..=Self::SMALL => &self.small,
            Self::ABOVE_SMALL..=Self::MEDIUM => &self.medium,
            _ => &self.large,
        }
    }

    /// The same, to add to.
    pub(super) fn of_mut(&mut self, bytes: u64) -> &mut Latency {
        match bytes {
            0..=Self::SMALL => &mut self.small,
            Self::ABOVE_SMALL..=Self::MEDIUM => &mut self.medium,
            _ => &mut self.large,
        }
    }
}

#[cfg(test)]
mod tests;
