//! How long requests took, in buckets of about one percent.

use std::time::Duration;

/// Buckets within a power of two.
const STEPS: u64 = 64;
/// Powers of two above the first `STEPS` nanoseconds: up to nine hours.
const POWERS: u64 = 40;

/// Counts by time, each within 1/64 of what it was.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    counts: Vec<u64>,
    longest: Duration,
}

impl Latencies {
    pub(super) fn new() -> Self {
        let buckets = usize::try_from(STEPS * (POWERS + 1)).unwrap_or(usize::MAX);
        Self {
            counts: vec![0; buckets],
            longest: Duration::ZERO,
        }
    }

    pub(super) fn note(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let last = self.counts.len() - 1;
        let at = usize::try_from(bucket(nanos)).unwrap_or(last).min(last);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.longest = self.longest.max(took);
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time that `thousandths` of a thousand requests did not exceed; zero where there were none.
    pub(super) fn quantile(&self, thousandths: u64) -> Duration {
        let wanted = (self.count() * thousandths).div_ceil(1_000).max(1);
        let mut seen = 0;
        for (at, count) in (0..).zip(&self.counts) {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper(at)).min(self.longest);
            }
        }
        self.longest
    }

    pub(super) fn longest(&self) -> Duration {
        self.longest
    }
}

/// The bucket of a time: the first [`STEPS`] are one nanosecond wide, then [`STEPS`] per power of two.
fn bucket(nanos: u64) -> u64 {
    let power = u64::from((nanos / STEPS).checked_ilog2().map_or(0, |log| log + 1));
    match power {
        0 => nanos,
        _ => power * STEPS + ((nanos >> (power - 1)) - STEPS),
    }
}

/// The longest time in a bucket.
fn upper(bucket: u64) -> u64 {
    match bucket / STEPS {
        0 => bucket,
        power => ((bucket % STEPS + STEPS + 1) << (power - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_lies_in_a_bucket_that_is_hardly_wider() {
        let mut last = 0;
        for nanos in (0..200_000).chain([1 << 30, (1 << 40) - 1, 1 << 44]) {
            let at = bucket(nanos);
            assert!(at >= last, "{nanos}");
            last = at;
            assert!(
                upper(at) >= nanos && upper(at) <= nanos + nanos / STEPS,
                "{nanos}: {at} {}",
                upper(at)
            );
        }
    }

    #[test]
    fn quantiles_are_what_was_noted() {
        let mut latencies = Latencies::new();
        assert_eq!(latencies.quantile(500), Duration::ZERO);
        for micros in 1..=1_000 {
            latencies.note(Duration::from_micros(micros));
        }
        let near = |thousandths, micros: u64| {
            let found = latencies.quantile(thousandths).as_micros();
            let micros = u128::from(micros);
            assert!(
                found >= micros && found <= micros + micros / 50,
                "{found} {micros}"
            );
        };
        near(500, 500);
        near(990, 990);
        near(1_000, 1_000);
        assert_eq!(latencies.longest(), Duration::from_millis(1));
        assert_eq!(latencies.count(), 1_000);
        latencies.note(Duration::MAX);
        assert_eq!(latencies.longest(), Duration::MAX);
    }
}
