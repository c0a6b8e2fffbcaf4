//! Chunks under `/cas`: what was leased can be read until the lease ends, what nobody sent is absent.
//!
//! A chunk may come by itself, or with an object; so it may be there from the call of the first
//! request that carried it.

use std::collections::BTreeMap;

use super::event::Time;

/// How long an acknowledged PUT, or a *present*, holds a chunk.
const LEASE_SECS: u64 = 7 * 24 * 3_600;
/// So much may a cluster's clock be ahead of the true one.
const SKEW_SECS: u64 = 3_600;

/// When something happened, in ticks and in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When {
    /// In ticks.
    pub time: Time,
    /// In seconds of true time, when it was asked.
    pub called_secs: u64,
    /// When the answer was there.
    pub answered_secs: u64,
}

/// What is known of the chunks of a run, by SHA-256 in hexadecimal digits.
#[derive(Debug, Clone, Default)]
pub(super) struct Chunks {
    /// The tick of the first call that carried the chunk.
    sent: BTreeMap<String, u64>,
    leases: BTreeMap<String, Vec<When>>,
    looks: Vec<(When, String, bool)>,
    /// When an operator took a leap of the cluster's clock for time that passed, in seconds: leases of before may
    /// have ended with it.
    leaps: Vec<u64>,
}

impl Chunks {
    /// A request that carries these chunks is about to be called.
    pub(super) fn sent(&mut self, called: u64, chunks: impl IntoIterator<Item = String>) {
        for chunk in chunks {
            self.sent.entry(chunk).or_insert(called);
        }
    }

    /// The chunk was acknowledged, or said to be present, which leases it.
    pub(super) fn leased(&mut self, when: When, chunk: &str) {
        let leases = self.leases.entry(chunk.to_owned()).or_default();
        leases.push(when);
        self.looks.push((when, chunk.to_owned(), true));
    }

    /// A GET or HEAD found it, or not.
    pub(super) fn looked(&mut self, when: When, chunk: &str, found: bool) {
        self.looks.push((when, chunk.to_owned(), found));
    }

    /// The cluster's clock had leapt, and an operator accepted it.
    pub(super) fn leapt(&mut self, now_secs: u64) {
        self.leaps.push(now_secs);
    }

    /// The chunks that are leased now and for an hour more.
    pub(super) fn held(&self, now_secs: u64) -> Vec<String> {
        let lasts = |when: &When| {
            when.called_secs + LEASE_SECS > now_secs + 2 * SKEW_SECS && !self.leapt_over(when)
        };
        let held = self
            .leases
            .iter()
            .filter(|(_, leases)| leases.iter().any(lasts));
        held.map(|(chunk, _)| chunk.clone()).collect()
    }

    /// What cannot be.
    pub(super) fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (when, chunk, present) in &self.looks {
            let sent = self.sent.get(chunk);
            if *present && sent.is_none_or(|called| *called > when.time.answered) {
                found.push(format!(
                    "chunk {chunk} is there and nobody sent it: {when:?}"
                ));
            }
            let lease = self.lease(chunk, when);
            if let (false, Some(lease)) = (present, lease) {
                found.push(format!(
                    "chunk {chunk} is gone, {when:?}, held by {lease:?}"
                ));
            }
        }
        found
    }

    /// A lease that began before a look and ended after it.
    fn lease(&self, chunk: &str, look: &When) -> Option<&When> {
        let mut leases = self.leases.get(chunk).into_iter().flatten();
        leases.find(|lease| {
            let ends = lease.called_secs + LEASE_SECS - SKEW_SECS;
            let lasts = look.answered_secs < ends && !self.leapt_over(lease);
            lease.time.answered < look.time.called && lasts
        })
    }

    /// Whether a leap since may have ended the lease.
    fn leapt_over(&self, lease: &When) -> bool {
        self.leaps.iter().any(|leap| lease.called_secs <= *leap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(called: u64, secs: u64) -> When {
        When {
            time: Time {
                client: 1,
                called,
                answered: called + 1,
            },
            called_secs: secs,
            answered_secs: secs + 1,
        }
    }

    fn sent() -> Chunks {
        let mut chunks = Chunks::default();
        chunks.sent(10, ["a".to_owned()]);
        chunks
    }

    #[test]
    fn what_nobody_sent_is_not_there() {
        let looked = |called, chunk, found| {
            let mut chunks = sent();
            chunks.looked(when(called, 0), chunk, found);
            chunks.violations().len()
        };
        assert_eq!(looked(11, "a", true), 0);
        assert_eq!(looked(8, "a", true), 1);
        assert_eq!(looked(11, "b", true), 1);
        assert_eq!(looked(11, "b", false), 0);
        let mut claimed = sent();
        claimed.leased(when(11, 0), "b");
        assert_eq!(claimed.violations().len(), 1);
    }

    #[test]
    fn what_is_leased_is_found_until_the_lease_ends() {
        let looked = |called, secs| {
            let mut chunks = sent();
            chunks.leased(when(12, 5), "a");
            chunks.looked(when(called, secs), "a", false);
            chunks.violations().len()
        };
        assert_eq!(looked(14, 6), 1);
        assert_eq!(looked(14, LEASE_SECS - 2 * SKEW_SECS), 1);
        assert_eq!(looked(14, LEASE_SECS + 5), 0);
        // The look overlaps the PUT.
        assert_eq!(looked(13, 5), 0);
    }

    #[test]
    fn a_leap_of_the_clock_ends_leases_of_before_alone() {
        let mut chunks = sent();
        chunks.leased(when(12, 5), "a");
        chunks.leapt(9);
        chunks.looked(when(20, 10), "a", false);
        assert_eq!(chunks.violations(), Vec::<String>::new());
        assert!(chunks.held(10).is_empty());
        chunks.leased(when(22, 11), "a");
        assert_eq!(chunks.held(12), ["a"]);
        chunks.looked(when(24, 13), "a", false);
        assert_eq!(chunks.violations().len(), 1);
    }

    #[test]
    fn held_chunks_are_those_with_time_left() {
        let mut chunks = sent();
        chunks.leased(when(12, 5), "a");
        assert_eq!(chunks.held(6), ["a"]);
        assert!(chunks.held(LEASE_SECS).is_empty());
    }
}
