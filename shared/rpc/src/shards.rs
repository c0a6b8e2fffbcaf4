//! Storing and reading shards: one upload exchange per shard (prepare, cells, final ack).

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{ChunkId, Coding, DiskId, Incarnation};

/// What is known of a shard before its bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardHeader {
    /// The disk it is for.
    pub disk: DiskId,
    /// The epoch of the partition row that named that disk.
    pub epoch: u64,
    /// The writing this shard belongs to.
    pub incarnation: Incarnation,
    /// Index among the k + m shards.
    pub shard: u8,
    /// Coding of the chunk.
    pub coding: Coding,
    /// Bytes of the whole plain chunk; the shard's own length is `coding.shard_len(chunk_len)`.
    pub chunk_len: u64,
}

/// What is known once the whole chunk has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardTrailer {
    /// The chunk's name.
    pub chunk: ChunkId,
    /// CRC-32C of every plain (padded) data cell at ingest: stripe by stripe, k values each.
    pub cell_table: Arc<[u32]>,
}

/// Proof that a shard is durable on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardReceipt {
    /// Where it is.
    pub disk: DiskId,
    /// What it is.
    pub incarnation: Incarnation,
    /// Which shard.
    pub shard: u8,
}

/// A read of consecutive cells of one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRead {
    /// The disk.
    pub disk: DiskId,
    /// Epoch of the partition row in the reader's hand.
    pub epoch: u64,
    /// The chunk; a record of another chunk under this incarnation is corrupt.
    pub chunk: ChunkId,
    /// The writing.
    pub incarnation: Incarnation,
    /// Which shard.
    pub shard: u8,
    /// First cell (stripe index).
    pub first_cell: u64,
    /// How many; cells past the shard's end are not given.
    pub cells: u32,
    /// Also give the chunk's cell table.
    pub with_table: bool,
}

/// Cells that passed their record's checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardCells {
    /// The cells asked for, in order, each padded as stored.
    pub cells: Vec<Bytes>,
    /// The CRC-32C of each, made of these very bytes in this process: who checks cells needs not make it
    /// once more. None for bytes that came from another process.
    pub checksums: Option<Vec<u32>>,
    /// The cell table where it was asked for.
    pub cell_table: Option<Arc<[u32]>>,
}

/// A committed order to delete every shard of one writing of a chunk on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardDelete {
    /// The chunk.
    pub chunk: ChunkId,
    /// The writing; another writing of the same chunk is not touched.
    pub incarnation: Incarnation,
}

/// Why a shard call failed, by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Refresh the partition table and try again.
    #[error("partition epoch is stale, the node knows {current}")]
    StaleEpoch {
        /// The node's epoch.
        current: u64,
    },
    /// The disk is not on this node: refresh the view.
    #[error("disk is not here")]
    NotMine,
    /// The shard is not on the disk: lost here, reconstruct.
    #[error("shard is missing")]
    Missing,
    /// The shard's bytes fail their check: lost here, reconstruct and report.
    #[error("shard is corrupt: {0}")]
    Corrupt(String),
    /// No room for client writes: use other disks.
    #[error("disk is full")]
    Full,
    /// The disk failed and takes no more work until a restart.
    #[error("disk has failed: {0}")]
    Failed(String),
    /// The node cannot be reached or did not answer in time.
    #[error("node is unavailable: {0}")]
    Unavailable(String),
    /// The call breaks the protocol: a bug of the caller.
    #[error("refused: {0}")]
    Refused(&'static str),
}

/// The shard store of one node.
#[async_trait]
pub trait ShardService: Send + Sync + std::fmt::Debug {
    /// Reserves room for a shard. Nothing is promised until [`ShardUpload::finish`].
    ///
    /// # Errors
    /// `Full`, `Failed`, `NotMine`, `StaleEpoch`, `Unavailable`, `Refused`.
    async fn prepare(&self, header: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError>;

    /// Reads cells, each checked against the record before it is given.
    ///
    /// # Errors
    /// Any but `Full`.
    async fn read(&self, read: ShardRead) -> Result<ShardCells, ShardError>;

    /// Carries out deletes on one disk that were committed in a generation of the metadata; returns once
    /// they are durable. What is not there is fine.
    ///
    /// # Errors
    /// `Failed`, `NotMine`, `Unavailable`; `Refused` where a newer generation is known: a history that
    /// a restore gave up deletes nothing any more.
    async fn delete(
        &self,
        disk: DiskId,
        generation: u16,
        deletes: &[ShardDelete],
    ) -> Result<(), ShardError>;

    /// Bytes free for client writes on a disk, and bytes in all.
    ///
    /// # Errors
    /// `Failed`, `NotMine`, `Unavailable`.
    async fn space(&self, disk: DiskId) -> Result<(u64, u64), ShardError>;
}

/// One shard on its way to a disk. Dropped unfinished, its space is given back and nothing remains.
#[async_trait]
pub trait ShardUpload: Send + std::fmt::Debug {
    /// Takes the next whole cells, in order, each padded (`coding.cell_len`). May keep them
    /// buffered; waits where the disk is behind.
    ///
    /// # Errors
    /// `Full`, `Failed`, `Unavailable`, `Refused`.
    async fn write(&mut self, cells: &[Bytes]) -> Result<(), ShardError>;

    /// Seals the record; returns once it is durable.
    ///
    /// # Errors
    /// `Full`, `Failed`, `Unavailable`, `Refused`.
    async fn finish(self: Box<Self>, trailer: ShardTrailer) -> Result<ShardReceipt, ShardError>;
}

/// A shard as it lies on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardFound {
    /// The chunk its record names.
    pub chunk: ChunkId,
    /// The writing.
    pub incarnation: Incarnation,
    /// Which shard.
    pub shard: u8,
}

/// What lies on the disks of one node, for those who judge orphans and count copies.
#[async_trait]
pub trait ShardInventory: Send + Sync + std::fmt::Debug {
    /// Live shards of a disk behind `after`, at most `limit`, in order of (incarnation, shard).
    ///
    /// # Errors
    /// `NotMine`, `Failed`, `Unavailable`.
    async fn inventory(
        &self,
        disk: DiskId,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError>;
}

/// An order to have a good record of one shard of a chunk on a disk. All of it comes from the chunk's
/// row and its partition's: the authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// The chunk.
    pub chunk: ChunkId,
    /// The writing.
    pub incarnation: Incarnation,
    /// Its coding.
    pub coding: Coding,
    /// Bytes of the whole plain chunk.
    pub chunk_len: u64,
    /// What the cell table must digest to.
    pub table_digest: [u8; 16],
    /// Which shard is wanted.
    pub shard: u8,
    /// Where it is wanted: a disk of the node that is called.
    pub disk: DiskId,
    /// The epoch of the partition row.
    pub epoch: u64,
    /// Where shards may be read, best first, at most `limits::REBUILD_SOURCES_MAX`; the wanted one
    /// may be among them, and a shard may be named on several disks.
    pub sources: Vec<(u8, DiskId)>,
    /// Parity that is there must also be what the data gives, worked out from the sources: for a
    /// chunk that is suspect. Data cells are always compared with the cell table.
    pub thorough: bool,
}

/// How a rebuild was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// A good record was there: every cell of it was read and checked, data cells against the cell
    /// table too. Parity cells are as they were written, and what the data gives where the order was
    /// thorough.
    Found,
    /// It was made anew, is durable, and was read back and checked.
    Written,
}

/// Makes shards anew on the disks of one node, reading what it needs from other nodes.
#[async_trait]
pub trait ShardRebuild: Send + Sync + std::fmt::Debug {
    /// Returns once the shard is known to be good on its disk. Given up or failed, what lay there
    /// before lies there still.
    ///
    /// # Errors
    /// `Missing` where too few sources have good cells: evidence of loss. `Unavailable` where others
    /// might and cannot be asked now, where too many orders wait (a few run, some wait), and where the
    /// shard was written or deleted meanwhile. `Corrupt` where what was written does not read back. `Full`
    /// where not even repair may take room. Else as [`ShardService::prepare`].
    async fn rebuild(&self, order: Rebuild) -> Result<Rebuilt, ShardError>;
}
