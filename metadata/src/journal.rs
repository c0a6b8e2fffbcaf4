//! The journal: a voter's log, vote and log pointers on one disk.
//!
//! ```text
//!   segment files, zeroed before first use, used in turn         one group, one write, one sync
//!   0001 lap 7  [g51 first][g52][g53]......[end block]           +--------+---------------------+
//!   0002 lap 8  [g54 first][g55][seal 56]  0  0  0               | header | records, zero-padded|
//!   0003 (free: lap 5 < oldest lap)                              +--------+---------------------+
//! ```
//! * A *group* carries every change that waited while the previous group was being synced. The next
//!   one is written only after that sync returned, so a header's `durable_upto` (its number - 1)
//!   proves all groups before it.
//! * A *lap* is one use of a segment file; laps rise with every use, records of another lap do not
//!   exist. A lap's first group repeats vote, committed and purged, so older laps are dropped whole
//!   once no entry in them is wanted.
//! * A *seal* is an empty header under the next group's number. It proves the last group durable
//!   too; the next group overwrites it in place.
//! * *Recovery* reads every block. A bad group above the highest `durable_upto` was never
//!   acknowledged: it is cut. At or below it, it is damage: the journal does not open, for
//!   what it has acknowledged is gone.
//!
//! [`format`] the bytes; [`index`] what is where; [`segments`] the files; [`writer`] builds, writes
//! and syncs one group; [`recovery`] reads it all back, [`opening`] does so or begins anew;
//! [`log`] the handle callers hold, [`reading`] its reading side, [`driver`] its writing side. The bytes are described in `docs/formats/journal.md`.

mod driver;
mod format;
mod identity;
mod index;
mod log;
mod opening;
mod reading;
mod recovery;
mod segments;
mod settings;
pub(crate) mod two_slot;
mod writer;

pub use log::{Done, Journal, JournalState, JournalUsage};
pub use settings::{Driver, JournalSettings};

use bytes::Bytes;

/// The place of an entry in the log, ordered as Raft orders log ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    /// Term of the leader that proposed it.
    pub term: u64,
    /// That leader.
    pub leader: u64,
    /// Index.
    pub index: u64,
}

/// A voter's vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// Term.
    pub term: u64,
    /// Candidate or leader voted for.
    pub leader: u64,
    /// Whether a quorum granted it.
    pub committed: bool,
}

/// A log entry; its payload is opaque here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its place.
    pub position: LogPosition,
    /// Its bytes.
    pub payload: Bytes,
}

/// Why a journal refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Another process has it open.
    #[error("the journal is in use by another process")]
    Locked,
    /// It belongs to somebody else.
    #[error("the journal belongs to cluster {cluster} node {node}")]
    Foreign {
        /// Cluster id found, in hexadecimal.
        cluster: String,
        /// Node id found.
        node: u64,
    },
    /// Something it has acknowledged is lost: the node must not vote or acknowledge under this id.
    #[error("the journal is damaged: {file} bytes {from}..{to}: {reason}")]
    Damaged {
        /// File within the disk.
        file: String,
        /// First byte of the damage.
        from: u64,
        /// Byte after the damage.
        to: u64,
        /// What was expected there.
        reason: String,
    },
    /// The settings cannot work.
    #[error("journal settings: {0}")]
    Settings(&'static str),
    /// An entry longer than [`JournalSettings::entry_len_max`]; nothing was written.
    #[error("entry of {len} bytes is too long")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// An entry that does not follow the last one; nothing was written. A bug of the caller.
    #[error("entry {found} does not follow {expected}")]
    Gap {
        /// Index the log goes on with.
        expected: u64,
        /// Index offered.
        found: u64,
    },
    /// A write or sync failed, once and for good: reopen from disk.
    #[error("the journal failed and stopped: {0}")]
    Failed(String),
    /// It was closed.
    #[error("the journal is closed")]
    Closed,
}

impl JournalError {
    fn failed(what: &str, error: &std::io::Error) -> Self {
        Self::Failed(format!("{what}: {error}"))
    }
}
