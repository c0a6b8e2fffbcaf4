//! The shard calls of one attempt at a piece of a chunk.

use std::collections::BTreeMap;
use std::ops::Range;

use cairn_erasure::RangePlan;
use cairn_placement::{PartitionRow, Slot};
use cairn_rpc::{ShardCells, ShardError, ShardRead};
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::ChunkRow;
use crate::data::DataPath;
use crate::data::nodes::Failing;
use crate::tuning;

/// What one shard call gave: the shard, the first stripe asked for, the outcome.
pub(super) type Read = (u8, u64, Result<ShardCells, ShardError>);

/// The shard calls of one attempt.
pub(super) struct Waves<'a> {
    path: &'a DataPath,
    row: &'a ChunkRow,
    epoch: u64,
    slots: Vec<Slot>,
    with_table: bool,
    /// What has been asked of each shard.
    asked: BTreeMap<u8, Range<u64>>,
    pub(super) reads: FuturesUnordered<BoxFuture<'a, Read>>,
    pub(super) second_sent: bool,
}

impl<'a> Waves<'a> {
    pub(super) fn new(
        path: &'a DataPath,
        row: &'a ChunkRow,
        partition: &PartitionRow,
        with_table: bool,
    ) -> Self {
        Self {
            path,
            row,
            epoch: partition.epoch,
            slots: partition
                .slots
                .iter()
                .take(row.coding.shards())
                .copied()
                .collect(),
            with_table,
            asked: BTreeMap::new(),
            reads: FuturesUnordered::new(),
            second_sent: false,
        }
    }

    fn is_up(&self, shard: u8) -> bool {
        let slot = self.slots.get(usize::from(shard));
        slot.is_some_and(|slot| slot.read_disks().any(|disk| self.path.nodes.is_up(disk)))
    }

    /// Asks the shards that hold the range; of copies, one that is up. Where one is down the others
    /// are asked at once.
    pub(super) fn first(&mut self, plan: &RangePlan) {
        let shards = 0..u8::try_from(self.slots.len()).unwrap_or(u8::MAX);
        if self.row.coding.data() == 1 {
            let shard = shards.clone().find(|shard| self.is_up(*shard)).unwrap_or(0);
            return self.ask(shard, plan.stripes());
        }
        let mut all_up = true;
        for shard in shards {
            let stripes = plan.stripes_of(shard);
            if !stripes.is_empty() {
                all_up &= self.is_up(shard);
                self.ask(shard, stripes);
            }
        }
        if !all_up {
            self.second(plan);
        }
    }

    /// Asks every shard for what it has not been asked for yet, once.
    pub(super) fn second(&mut self, plan: &RangePlan) {
        if std::mem::replace(&mut self.second_sent, true) {
            return;
        }
        for shard in 0..u8::try_from(self.slots.len()).unwrap_or(u8::MAX) {
            if self.asked.get(&shard) != Some(&plan.stripes()) {
                self.ask(shard, plan.stripes());
            }
        }
    }

    fn ask(&mut self, shard: u8, stripes: Range<u64>) {
        let Some(slot) = self.slots.get(usize::from(shard)).copied() else {
            return;
        };
        let (path, row) = (self.path, self.row);
        let read = ShardRead {
            disk: slot.current,
            epoch: self.epoch,
            chunk: row.chunk,
            incarnation: row.incarnation,
            shard,
            first_cell: stripes.start,
            cells: u32::try_from(stripes.end - stripes.start).unwrap_or(u32::MAX),
            with_table: self.with_table,
        };
        self.asked.insert(shard, stripes);
        self.reads.push(Box::pin(async move {
            (shard, read.first_cell, read_shard(path, slot, read).await)
        }));
    }
}

/// Reads a shard where it is, or where it is moving. It is missing only where no disk has it.
async fn read_shard(
    path: &DataPath,
    slot: Slot,
    read: ShardRead,
) -> Result<ShardCells, ShardError> {
    let mut error = ShardError::Missing;
    for disk in slot.read_disks() {
        let Some(service) = path.nodes.service(disk) else {
            error = ShardError::Unavailable("no node serves the disk".to_owned());
            continue;
        };
        let call = service.read(ShardRead { disk, ..read });
        match path.within(tuning::SHARD_READ_PATIENCE, call).await {
            Ok(cells) => {
                path.nodes.served_read(disk);
                return Ok(cells);
            }
            Err(failed) => {
                if matches!(failed, ShardError::Failed(_) | ShardError::Unavailable(_)) {
                    path.nodes.failed(disk, Failing::Everything);
                }
                if failed != ShardError::Missing {
                    error = failed;
                }
            }
        }
    }
    Err(error)
}
