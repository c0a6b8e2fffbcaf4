//! What an operator may choose about the shard store.

use std::time::Duration;

use crate::tuning::{
    FULL_SEGMENTS, KEEP_FREE_PERCENT, KEEP_FREE_PERCENT_MAX, SEGMENT_UNITS_MIN, UNIT_U64,
};

/// Who runs the steps of the committer and the caretaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drive {
    /// Threads of the node: readers, writers, a committer and a caretaker per disk.
    Threads,
    /// The calling thread, at once: every call returns with its work done. For simulation.
    Inline,
}

/// Settings of a node's shard store; the same for all its disks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of a segment, a multiple of 4 KiB. A record must fit into one.
    pub segment_len: u64,
    /// Percent of its file system that writes of clients leave free, at most 50. Two segments are left
    /// in any case: deletes, compaction and repair need them to give room back.
    pub keep_free: u8,
    /// Reader threads of each disk.
    pub readers: usize,
    /// Threads of each disk that write the runs of large records.
    pub writers: usize,
    /// Pause of the caretaker after a step that did something (reclaim, compaction).
    pub care_pause: Duration,
    /// Pause between two scrub steps (4 MiB each); `None` scrubs only when asked.
    pub scrub_pause: Option<Duration>,
    /// Threads or inline.
    pub drive: Drive,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_len: 256 << 20,
            keep_free: KEEP_FREE_PERCENT,
            readers: 4,
            writers: 2,
            care_pause: Duration::from_millis(20),
            scrub_pause: Some(Duration::from_millis(200)),
            drive: Drive::Threads,
        }
    }
}

/// A setting that cannot be worked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Not a multiple of 4 KiB, too short, or past 2^32 units.
    #[error("segment_len must be a multiple of 4096 from 64 KiB to 16 TiB")]
    SegmentLen,
    /// More than half of a disk kept from its clients.
    #[error("keep_free must be from 0 to 50 percent")]
    KeepFree,
    /// No thread to do the work.
    #[error("readers and writers must be from 1 to 64")]
    Threads,
}

impl Settings {
    /// Small segments, no threads: what simulations and tests take.
    #[must_use]
    pub fn inline(segment_len: u64) -> Self {
        Self {
            segment_len,
            drive: Drive::Inline,
            ..Self::default()
        }
    }

    /// Checks every bound.
    ///
    /// # Errors
    /// The first one broken.
    pub fn check(&self) -> Result<(), SettingsError> {
        let units = self.segment_len / UNIT_U64;
        if !self.segment_len.is_multiple_of(UNIT_U64)
            || units < u64::from(SEGMENT_UNITS_MIN)
            || u32::try_from(units).is_err()
        {
            return Err(SettingsError::SegmentLen);
        }
        if self.keep_free > KEEP_FREE_PERCENT_MAX {
            return Err(SettingsError::KeepFree);
        }
        if !(1..=64).contains(&self.readers) || !(1..=64).contains(&self.writers) {
            return Err(SettingsError::Threads);
        }
        Ok(())
    }

    /// Bytes that writes of clients leave free on a file system of `total` bytes.
    #[must_use]
    pub fn headroom(&self, total: u64) -> u64 {
        let share = total / 100 * u64::from(self.keep_free);
        share.max(FULL_SEGMENTS * self.segment_len)
    }

    /// Units of a segment.
    pub(crate) fn segment_units(&self) -> u32 {
        u32::try_from(self.segment_len / UNIT_U64).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_fine() {
        assert_eq!(Settings::default().check(), Ok(()));
        assert_eq!(Settings::inline(64 << 10).check(), Ok(()));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for bad in [0, 4_096, 65_537, 1 << 62] {
            assert_eq!(
                Settings::inline(bad).check(),
                Err(SettingsError::SegmentLen)
            );
        }
        let greedy = Settings {
            keep_free: 51,
            ..Settings::default()
        };
        assert_eq!(greedy.check(), Err(SettingsError::KeepFree));
        let idle = Settings {
            readers: 0,
            ..Settings::default()
        };
        assert_eq!(idle.check(), Err(SettingsError::Threads));
    }

    #[test]
    fn a_share_is_left_free_and_never_less_than_two_segments() {
        let settings = |keep_free| Settings {
            keep_free,
            ..Settings::default()
        };
        assert_eq!(settings(5).headroom(100 << 30), 5 << 30);
        assert_eq!(settings(50).headroom(100 << 30), 50 << 30);
        assert_eq!(settings(0).headroom(100 << 30), 512 << 20);
        assert_eq!(settings(5).headroom(1 << 30), 512 << 20);
        assert_eq!(settings(5).headroom(0), 512 << 20);
    }
}
