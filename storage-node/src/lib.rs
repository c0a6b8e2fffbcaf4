//! The shard store of one node: segments, group commit, recovery, index, background care.
//!
//! ```text
//!  StorageNode (ShardService)            async; epochs, generations, which disk
//!   |  prepare / write / finish / delete / read
//!   v
//!  Volume  (one per disk)                blocking, no thread of its own, steppable
//!   |-- ledger      which units of which segment are free, live, dead        pure
//!   |-- format      the bytes of segments, records, tombstones               pure
//!   |-- commit      jobs -> one write per run -> one sync per file -> index -> acks
//!   |-- index       (incarnation, shard) -> place; a cache over an OrderedStore
//!   |-- recovery    segments -> index
//!   `-- background  reclaim (punch), compact, scrub: one step at a time
//!
//!  lanes: reader threads, writer threads, one committer and one caretaker thread per disk,
//!         all thin shells; `Drive::Inline` runs the same steps on the caller's thread.
//! ```
//!
//! [`Rebuilder`] makes a shard anew on one of the disks, from shards on others.
//!
//! It knows nothing of buckets, users or HTTP. The bytes are drawn in `docs/formats/segment.md`.

mod background;
mod format;
mod lanes;
mod node;
mod rebuild;
pub mod registration;
mod settings;
mod tuning;
pub mod upkeep;
mod volume;

pub use background::{BackgroundStep, Progress};
pub use node::{
    DiskReport, DiskSource, DiskState, DiskStatus, PlacementNews, RowNews, StorageNode,
};
pub use rebuild::Rebuilder;
pub use settings::{Drive, Settings, SettingsError};
pub use volume::{Damage, IndexEngine, OpenError, ScrubCounts, VolumeIdentity};
