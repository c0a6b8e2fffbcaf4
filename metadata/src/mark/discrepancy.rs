//! What can be wrong.

use bytes::Bytes;
use cairn_model::{ChunkId, Incarnation};

use crate::keyspace::chunk::ChunkState;
use crate::keyspace::debt::DebtMark;
use crate::keyspace::pin::PinTarget;

/// One thing that is not as other rows say. The text is for operators; stamps in it are hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Discrepancy {
    /// A chunk is held by more or fewer references than its row says.
    #[error("{chunk:?} has {counted} references, its row says {recorded}")]
    ChunkReferences {
        /// The chunk.
        chunk: ChunkId,
        /// By those who hold it.
        counted: u64,
        /// By its row.
        recorded: u64,
    },
    /// A chunk is held and has no row.
    #[error("{chunk:?} has {counted} references and no row")]
    ChunkWithoutRow {
        /// The chunk.
        chunk: ChunkId,
        /// Those who hold it.
        counted: u64,
    },
    /// A chunk is held, and on its way to be deleted.
    #[error("{chunk:?} has {refs} references and is {state:?}")]
    HeldChunkDying {
        /// The chunk.
        chunk: ChunkId,
        /// Those who hold it.
        refs: u64,
        /// The state in its row.
        state: ChunkState,
    },
    /// A Live row says that nothing holds it.
    #[error("{chunk:?} is Live without references")]
    LiveWithoutReferences {
        /// The chunk.
        chunk: ChunkId,
    },
    /// Nothing holds a chunk, and its writing does not stand exactly once among the condemned: never
    /// deleted, or deleted twice.
    #[error("{chunk:?} has no references, its writing {incarnation} is condemned {times} times")]
    NotCondemnedOnce {
        /// The chunk.
        chunk: ChunkId,
        /// Its current writing.
        incarnation: Incarnation,
        /// Rows that condemn it.
        times: u64,
    },
    /// The writing that references need is condemned.
    #[error("{chunk:?} has {refs} references, its writing {incarnation} is condemned")]
    CondemnedButHeld {
        /// The chunk.
        chunk: ChunkId,
        /// Its current writing.
        incarnation: Incarnation,
        /// References its row counts.
        refs: u64,
    },
    /// Of a chunk's row and the row that condemns its writing one says Deleting.
    #[error("{chunk:?} is {state:?}, its writing's deletion committed: {deleting}")]
    DeletionDiffers {
        /// The chunk.
        chunk: ChunkId,
        /// The state in its row.
        state: ChunkState,
        /// What the condemned row says.
        deleting: bool,
    },
    /// A manifest is held by more or fewer rows than its count says.
    #[error("manifest {:032x} is held by {counted} rows, its count is {recorded}", u128::from_be_bytes(*manifest))]
    ManifestReferences {
        /// The manifest.
        manifest: [u8; 16],
        /// Rows that hold it.
        counted: u64,
        /// By its `40` row, which is there only from 2 on.
        recorded: u64,
    },
    /// Pages that nothing holds: garbage that is never collected.
    #[error("pages {first} to below {end} of manifest {:032x} are held by nothing", u128::from_be_bytes(*manifest))]
    PagesUnheld {
        /// The manifest.
        manifest: [u8; 16],
        /// The first page.
        first: u32,
        /// Behind the last.
        end: u32,
    },
    /// Pages that something holds and that are not all there, or not alone: its bytes are lost.
    #[error("pages {first} to below {end} of manifest {:032x} are held and not there", u128::from_be_bytes(*manifest))]
    PagesMissing {
        /// The manifest.
        manifest: [u8; 16],
        /// The first page.
        first: u32,
        /// Behind the last.
        end: u32,
    },
    /// Pages held by several rows that do not share them.
    #[error("pages {first} to below {end} of manifest {:032x} have {times} holders that do not share them", u128::from_be_bytes(*manifest))]
    PagesHeldTwice {
        /// The manifest.
        manifest: [u8; 16],
        /// The first page.
        first: u32,
        /// Behind the last.
        end: u32,
        /// Holders.
        times: u64,
    },
    /// A part is not held by exactly one upload, open or being taken apart.
    #[error("part {number} is held by {times} uploads {:032x}", u128::from_be_bytes(*upload))]
    PartHolders {
        /// The upload's stamp.
        upload: [u8; 16],
        /// The part.
        number: u32,
        /// Rows of that upload.
        times: u64,
    },
    /// A lease does not stand where its end puts it: it would never end.
    #[error("the lease of {chunk:?} is not in the order of ends at {end_ms}")]
    LeaseNotInOrder {
        /// The chunk.
        chunk: ChunkId,
        /// When it ends.
        end_ms: u64,
    },
    /// The order of ends has a lease that is none, or ends at another time.
    #[error("the order of ends has no lease of {chunk:?} at {end_ms}")]
    LeaseEndAlone {
        /// The chunk.
        chunk: ChunkId,
        /// When it should end.
        end_ms: u64,
    },
    /// A pin stands by its target or by its session, not by both.
    #[error("the pin of {target:?} by session {session} has no counterpart")]
    PinAlone {
        /// What it holds.
        target: PinTarget,
        /// By which session.
        session: u64,
    },
    /// A chunk's row owes what the index of debt does not say: it would not be repaired.
    #[error("the index of debt lacks {mark:?}")]
    DebtNotIndexed {
        /// The missing key.
        mark: DebtMark,
    },
    /// The index of debt says what no chunk's row owes.
    #[error("no chunk owes {mark:?}")]
    DebtNotOwed {
        /// The key.
        mark: DebtMark,
    },
    /// A chunk's row owes one shard twice.
    #[error("{chunk:?} owes shard {shard} twice")]
    DebtTwice {
        /// The chunk.
        chunk: ChunkId,
        /// The shard.
        shard: u32,
    },
    /// A bucket's row and its name do not point at each other.
    #[error("bucket {id} and its name differ")]
    BucketName {
        /// The bucket.
        id: u64,
    },
    /// Objects of a bucket that is none: what they hold cannot be counted.
    #[error("there are objects in bucket {id}, which is none")]
    NoBucket {
        /// The bucket.
        id: u64,
    },
    /// A row, or what it says, cannot be read.
    #[error("row {} cannot be read", key.escape_ascii())]
    Unreadable {
        /// Its key.
        key: Bytes,
    },
}
