//! Tuning of the journal.

use cairn_model::limits;
use std::time::Duration;

/// Bytes of a segment file.
pub(super) const SEGMENT_LEN: u64 = 16 * limits::MIB;
/// Segment files of a ring at rest.
pub(super) const SEGMENTS: u32 = 4;
/// Payload bytes of one group: what one write and one sync carry.
pub(super) const GROUP_LEN: usize = limits::MIB as usize;
/// Bytes of recent entries kept in memory.
pub(super) const CACHE_LEN: usize = 16 * limits::MIB as usize;
/// Quiet time after which the last group is sealed.
pub(super) const SEAL_AFTER: Duration = Duration::from_millis(1);
/// Bytes read at once when old entries are wanted.
pub(super) const READ_AHEAD: usize = 256 * limits::KIB as usize;
/// Bytes moved at once while a file is zeroed or scanned.
pub(super) const SWEEP_LEN: usize = limits::MIB as usize;
/// Shortest segment: it must hold one entry of full length, its state, and a seal.
pub(super) const SEGMENT_LEN_MIN: u64 = 16 * limits::KIB;

/// Who drives the writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A thread of the journal's own: groups form while the last one is being synced.
    Thread,
    /// The caller, inside the call: for single-threaded, seeded simulations.
    Inline,
}

/// How a journal is laid out and driven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// Directory of the journal within the disk.
    pub dir: String,
    /// Cluster it belongs to.
    pub cluster_id: [u8; 16],
    /// Voter it belongs to.
    pub node_id: u64,
    /// Bytes of a new segment file, a multiple of 4 KiB.
    pub segment_len: u64,
    /// Segment files kept when the log is short; at least 2.
    pub segments: u32,
    /// Longest payload of one entry, in bytes.
    pub entry_len_max: usize,
    /// Payload bytes of one group.
    pub group_len: usize,
    /// Bytes of recent entries kept in memory.
    pub cache_len: usize,
    /// Quiet time after which the last group is sealed (thread driver only).
    pub seal_after: Duration,
    /// Who writes.
    pub driver: Driver,
}

impl JournalSettings {
    /// The defaults for a voter.
    #[must_use]
    pub fn new(cluster_id: [u8; 16], node_id: u64) -> Self {
        Self {
            dir: "journal".to_owned(),
            cluster_id,
            node_id,
            segment_len: SEGMENT_LEN,
            segments: SEGMENTS,
            // What Raft wraps around a payload (a kind byte, a membership) fits in 4 KiB.
            entry_len_max: (limits::ENTRY_LEN_MAX + 4 * limits::KIB) as usize,
            group_len: GROUP_LEN,
            cache_len: CACHE_LEN,
            seal_after: SEAL_AFTER,
            driver: Driver::Thread,
        }
    }

    /// Why the settings cannot be used, if so.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let room = self
            .segment_len
            .saturating_sub(2 * super::format::BLOCK as u64);
        if self.segment_len < SEGMENT_LEN_MIN
            || !self.segment_len.is_multiple_of(super::format::BLOCK as u64)
        {
            return Some("segment_len must be a multiple of 4 KiB and at least 16 KiB");
        }
        if self.segments < 2 {
            return Some("a ring needs two segments");
        }
        if self.entry_len_max as u64 > room {
            return Some("a segment must hold an entry of full length");
        }
        if self.group_len == 0 {
            return Some("group_len must not be 0");
        }
        None
    }
}
