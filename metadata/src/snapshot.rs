//! Snapshots of the store: one file each, written from one read view, checked to the last byte.
//!
//! ```text
//!  view --rows--> [magic][header][rows ..256 KiB][rows]...[trailer: count, SHA-256]
//!                 shelf/incoming-N  --sync, re-read, verify, rename, sync_dir-->  shelf/snapshot-...
//! ```
//! A snapshot is a handle on a file, never bytes in memory; it travels in messages of at most 1 MiB
//! ([`SnapshotHandle::read`], [`Incoming::write`]). Nothing made of a snapshot is used before its last
//! byte has been checked. The bytes are described in `docs/formats/journal.md`.

mod format;
mod reader;
mod shelf;
mod writer;

pub use reader::SnapshotHandle;
pub use shelf::{Incoming, Shelf};

use crate::journal::LogPosition;

/// What a snapshot says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotMeta {
    /// Last entry applied to the state in it.
    pub position: Option<LogPosition>,
    /// Membership then, as the host encodes it.
    pub membership: Vec<u8>,
    /// Running hash then.
    pub hash: [u8; 32],
}

/// Why a snapshot cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file is not a whole snapshot: use another.
    #[error("snapshot {name} is damaged at byte {at}: {reason}")]
    Damaged {
        /// File within the disk.
        name: String,
        /// Where it was noticed.
        at: u64,
        /// What was expected.
        reason: &'static str,
    },
    /// The disk failed.
    #[error("snapshot {name}: {error}")]
    Io {
        /// File within the disk.
        name: String,
        /// What the disk said.
        error: std::io::Error,
    },
    /// The store that is read, or written, failed.
    #[error(transparent)]
    Store(#[from] cairn_store::StoreError),
    /// A row too long for a frame; nothing that is applied makes one.
    #[error("a row of {len} bytes is too long for a snapshot")]
    RowTooLong {
        /// Its length.
        len: usize,
    },
}

impl From<SnapshotError> for std::io::Error {
    fn from(error: SnapshotError) -> Self {
        Self::other(error)
    }
}
