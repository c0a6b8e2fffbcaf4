//! One shard being made good on one disk: is it there, room for it, proof of it, the swap.
//!
//! ```text
//!   look ──good──► nothing to do
//!     │ absent, bad
//!   begin ─ cells ─ hold (durable, does not count) ─ prove (read back) ─ land (compare and set)
//! ```
//!
//! Whatever ends it before `land` leaves the disk as it was, and the room is given back.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_erasure::CellTable;
use cairn_model::ChunkId;
use cairn_rpc::{Rebuild, ShardCells, ShardError, ShardRead, ShardTrailer};
use cairn_world::{Bug, Clock, buggify, planted};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::partitions::Access;
use super::upload::Upload;
use super::{OpenDisk, StorageNode};
use crate::format::Shape;
use crate::tuning::{READ_LEN, REBUILD_GIVES_WAY, REBUILD_ORDERS, REBUILDS};
use crate::volume::{Entry, Purpose, Reservation};

/// How often a look follows a record that moves under it.
const TRIES: usize = 4;

/// What lies on the disk under the shard's name.
#[derive(Debug)]
pub(crate) enum Standing {
    /// Exactly the shard: every cell was read and checked.
    Good(Box<Entry>),
    /// A record that is not, and what is wrong with it.
    Bad(Box<Entry>, String),
    /// Nothing.
    Absent,
}

/// Who rebuilds on a disk, and who waits to: in the order they came.
#[derive(Debug)]
pub(super) struct Rebuilds {
    in_hand: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Default for Rebuilds {
    fn default() -> Self {
        Self {
            in_hand: Arc::new(Semaphore::new(REBUILD_ORDERS)),
            running: Arc::new(Semaphore::new(REBUILDS)),
        }
    }
}

/// Places among both.
type Places = [OwnedSemaphorePermit; 2];

impl Rebuilds {
    async fn enter(&self) -> Result<Places, ShardError> {
        let busy = || ShardError::Unavailable("too many rebuilds wait for the disk".to_owned());
        let in_hand = Arc::clone(&self.in_hand).try_acquire_owned();
        let in_hand = in_hand.map_err(|_| busy())?;
        if buggify("rebuild-refused") {
            return Err(busy());
        }
        // The semaphore is never closed.
        let running = Arc::clone(&self.running).acquire_owned().await;
        Ok([in_hand, running.map_err(|_| busy())?])
    }
}

/// A place among the rebuilds of a disk, for one order.
#[derive(Debug)]
pub(crate) struct Repair {
    disk: Arc<OpenDisk>,
    epoch: u64,
    shape: Shape,
    chunk: ChunkId,
    table_digest: [u8; CellTable::DIGEST_LEN],
    _places: Places,
}

impl StorageNode {
    /// Takes an order up, once it is its turn. Writings of fenced generations are not refused: the
    /// order speaks for the chunk's row, and what was stored before a restore must be repaired too.
    pub(crate) async fn repair(&self, order: &Rebuild) -> Result<Repair, ShardError> {
        let (stamp, epoch) = (order.incarnation, order.epoch);
        let disk = self.disk_at(order.disk, stamp, epoch, Access::Write)?;
        let places = disk.rebuilds.enter().await?;
        // The row may have changed while it waited.
        self.disk_at(order.disk, stamp, epoch, Access::Write)?;
        Ok(Repair {
            disk: Arc::clone(disk),
            epoch: order.epoch,
            shape: Shape {
                incarnation: order.incarnation,
                shard: order.shard,
                coding: order.coding,
                chunk_len: order.chunk_len,
            },
            chunk: order.chunk,
            table_digest: order.table_digest,
            _places: places,
        })
    }
}

impl Repair {
    /// What is there now. Foreground work goes first.
    pub(crate) async fn look(&self, clock: &dyn Clock) -> Result<Standing, ShardError> {
        for _ in 0..TRIES {
            let Some(entry) = self.locate().await? else {
                return Ok(Standing::Absent);
            };
            let wrong = if entry.chunk != self.chunk {
                "it is of another chunk".to_owned()
            } else if entry.shape != self.shape {
                "it is of another coding or length".to_owned()
            } else {
                match self.prove(&entry, clock).await? {
                    Ok(()) => return Ok(Standing::Good(Box::new(entry))),
                    Err(wrong) => wrong,
                }
            };
            // Compaction or a delete may have moved it meanwhile.
            if self.locate().await?.as_ref() == Some(&entry) {
                return Ok(Standing::Bad(Box::new(entry), wrong));
            }
        }
        Err(ShardError::Unavailable("the record moves".to_owned()))
    }

    async fn locate(&self) -> Result<Option<Entry>, ShardError> {
        let Shape {
            incarnation, shard, ..
        } = self.shape;
        let look = move |volume: &crate::volume::Volume| volume.locate(incarnation, shard);
        self.disk.on_reader(look).await
    }

    /// Reads every cell of a record, live or not, and checks it: the record's own checksums, the
    /// digest of its cell table, and data cells against that table. The reason where one fails.
    pub(crate) async fn prove(
        &self,
        entry: &Entry,
        clock: &dyn Clock,
    ) -> Result<Result<(), String>, ShardError> {
        if planted(Bug::RebuildUnverified) {
            return Ok(Ok(()));
        }
        let shape = self.shape;
        let step = (READ_LEN / u64::from(shape.coding.cell())).max(1);
        let mut table = None;
        let mut first = 0;
        while first < shape.cells() {
            self.give_way(clock).await;
            let end = (first + step).min(shape.cells());
            let found = match self.read(entry, first..end, table.is_none()).await? {
                Ok(found) => found,
                Err(wrong) => return Ok(Err(wrong)),
            };
            if let Some(entries) = found.cell_table {
                let digest = &self.table_digest;
                match CellTable::checked(shape.coding, shape.chunk_len, entries, digest) {
                    Ok(read) => table = Some(read),
                    Err(wrong) => return Ok(Err(wrong.to_string())),
                }
            }
            let agrees = |(stripe, cell): (u64, &Bytes)| match plain_shard(&shape) {
                Some(plain) => (table.as_ref()).is_some_and(|t| t.agrees(stripe, plain, cell)),
                None => true,
            };
            if !(first..end).zip(&found.cells).all(agrees) {
                return Ok(Err(format!("cells from {first} are not the chunk's")));
            }
            first = end;
        }
        Ok(Ok(()))
    }

    /// Cells of a record, live or not, that pass its own checks; the reason where one does not.
    pub(crate) async fn read(
        &self,
        entry: &Entry,
        cells: Range<u64>,
        with_table: bool,
    ) -> Result<Result<ShardCells, String>, ShardError> {
        let read = ShardRead {
            disk: self.disk.volume.id(),
            epoch: self.epoch,
            chunk: self.chunk,
            incarnation: self.shape.incarnation,
            shard: self.shape.shard,
            first_cell: cells.start,
            cells: u32::try_from(cells.end - cells.start).unwrap_or(u32::MAX),
            with_table,
        };
        let entry = *entry;
        let found = self
            .disk
            .on_reader(move |volume| Ok(volume.read_entry(&entry, &read)))
            .await?;
        Ok(found.and_then(|found| {
            let all = u64::try_from(found.cells.len()) == Ok(cells.end - cells.start);
            all.then_some(found)
                .ok_or_else(|| format!("cells from {} are missing", cells.start))
        }))
    }

    /// Whether the shard is one of which the cell table says nothing.
    pub(crate) fn is_parity(&self) -> bool {
        plain_shard(&self.shape).is_none()
    }

    /// Takes room for the record: of the headroom too, if need be.
    pub(crate) async fn begin(&self) -> Result<Upload, ShardError> {
        let units = self.shape.units();
        let units = units.ok_or(ShardError::Refused("record is too long"))?;
        let room = self.disk.reserve_for(units, Purpose::Repair(units)).await?;
        Ok(Upload::new(Arc::clone(&self.disk), self.shape, room, None))
    }

    /// Ends the record: durable, and not counting yet. Let go, it is garbage.
    pub(crate) async fn hold(
        &self,
        upload: Upload,
        table: &CellTable,
    ) -> Result<Arc<Reservation>, ShardError> {
        let trailer = ShardTrailer {
            chunk: self.chunk,
            cell_table: Arc::clone(table.entries()),
        };
        upload.seal(trailer).await
    }

    /// Reads back what is held and lets it count in the place of `former`.
    pub(crate) async fn swap(
        &self,
        held: Arc<Reservation>,
        former: Option<Entry>,
        clock: &dyn Clock,
    ) -> Result<(), ShardError> {
        let entry = held
            .held()
            .ok_or(ShardError::Refused("nothing is held there"))?;
        if let Err(wrong) = self.prove(&entry, clock).await? {
            return Err(ShardError::Corrupt(format!(
                "what was written does not read back: {wrong}"
            )));
        }
        self.disk
            .on_reader(move |volume| volume.land(&held, former.as_ref()))
            .await
    }

    /// Waits a little while the disk has foreground work; not for ever.
    pub(crate) async fn give_way(&self, clock: &dyn Clock) {
        let volume = &self.disk.volume;
        let pause: Duration = volume.settings.care_pause;
        for _ in 0..REBUILD_GIVES_WAY {
            if !volume.busy() {
                return;
            }
            clock.sleep(pause).await;
        }
    }
}

/// The data shard whose bytes these are: parity has no entry in the cell table.
fn plain_shard(shape: &Shape) -> Option<u8> {
    match shape.coding.data() {
        1 => Some(0),
        data if usize::from(shape.shard) < data => Some(shape.shard),
        _ => None,
    }
}
