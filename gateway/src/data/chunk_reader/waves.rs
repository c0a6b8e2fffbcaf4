//! The shard calls of one attempt at a piece of a chunk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use cairn_erasure::{RangePlan, ShardSet};
use cairn_placement::{PartitionRow, Slot};
use cairn_rpc::{ShardCells, ShardError, ShardRead};
use cairn_world::buggify;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;

use super::gather::Gather;
use super::{ChunkRow, Owed};
use crate::data::DataPath;
use crate::data::nodes::Failing;
use crate::tuning;

/// What one shard call gave.
pub(super) struct Read {
    pub(super) shard: u8,
    /// The first stripe asked for.
    pub(super) first: u64,
    pub(super) outcome: Result<ShardCells, ShardError>,
    wave: Wave,
}

/// What has been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wave {
    /// The shards that hold the range.
    Wanted,
    /// All that are not owed.
    Others,
    /// All.
    Owed,
}

/// The shard calls of one attempt.
pub(super) struct Waves<'a> {
    path: &'a DataPath,
    row: &'a ChunkRow,
    epoch: u64,
    slots: Vec<Slot>,
    with_table: bool,
    /// Shards that the row says are not where they would be looked for.
    owed: ShardSet,
    /// The newest wave.
    wave: Wave,
    /// What has been asked of each shard.
    asked: BTreeMap<u8, Range<u64>>,
    /// Shards of the newest wave that have not answered, and by when they should have.
    due: BTreeMap<u8, Duration>,
    pub(super) reads: FuturesUnordered<BoxFuture<'a, Read>>,
}

impl<'a> Waves<'a> {
    pub(super) fn new(
        path: &'a DataPath,
        row: &'a ChunkRow,
        partition: &PartitionRow,
        with_table: bool,
    ) -> Self {
        let slots: Vec<Slot> = partition
            .slots
            .iter()
            .take(row.coding.shards())
            .copied()
            .collect();
        Self {
            path,
            row,
            epoch: partition.epoch,
            owed: owed(row, &slots),
            slots,
            with_table,
            wave: Wave::Wanted,
            asked: BTreeMap::new(),
            due: BTreeMap::new(),
            reads: FuturesUnordered::new(),
        }
    }

    /// Shards that nobody expects to be there.
    pub(super) fn owed(&self) -> ShardSet {
        self.owed
    }

    fn shards(&self) -> Range<u8> {
        0..u8::try_from(self.slots.len()).unwrap_or(u8::MAX)
    }

    fn is_up(&self, shard: u8) -> bool {
        let slot = self.slots.get(usize::from(shard));
        slot.is_some_and(|slot| slot.read_disks().any(|disk| self.path.nodes.is_up(disk)))
    }

    /// Asks the shards that hold the range; of copies, the one best to be had. Where one is owed or
    /// down the others are asked at once.
    pub(super) fn first(&mut self, plan: &RangePlan) {
        if self.row.coding.data() == 1 {
            let rank = |shard: &u8| (self.owed.contains(*shard), !self.is_up(*shard));
            let best = self.shards().min_by_key(rank).unwrap_or_default();
            return self.ask(best, plan.stripes());
        }
        let mut all_there = true;
        for shard in self.shards() {
            let stripes = plan.stripes_of(shard);
            if stripes.is_empty() {
                continue;
            }
            if self.owed.contains(shard) {
                all_there = false;
                continue;
            }
            all_there &= self.is_up(shard);
            self.ask(shard, stripes);
        }
        if !all_there {
            self.next(plan);
        }
    }

    /// Sends more where what was asked will not do: what answers is too little or wrong, or all of
    /// the newest wave has answered.
    pub(super) fn go_on(&mut self, plan: &RangePlan, gather: &Gather) {
        while self.is_more() && (self.due.is_empty() || self.is_too_little(gather)) {
            self.next(plan);
        }
    }

    fn is_too_little(&self, gather: &Gather) -> bool {
        let can = |shard: &u8| !self.owed.contains(*shard) && !gather.useless.contains(*shard);
        match self.wave {
            Wave::Wanted => gather.troubled,
            Wave::Others => self.shards().filter(can).count() < self.row.coding.data(),
            Wave::Owed => false,
        }
    }

    fn is_more(&self) -> bool {
        match self.wave {
            Wave::Wanted => true,
            Wave::Others => !self.owed.is_empty(),
            Wave::Owed => false,
        }
    }

    /// How long the newest wave may take from now on before the next is sent; `None` where there is
    /// none.
    pub(super) fn due(&self) -> Option<Duration> {
        let due = self.due.values().min().filter(|_| self.is_more())?;
        Some(due.saturating_sub(self.path.clock.monotonic()))
    }

    /// A shard of some wave has answered.
    pub(super) fn came(&mut self, read: &Read) {
        if read.wave == self.wave {
            self.due.remove(&read.shard);
        }
    }

    /// Sends the next wave: asks its shards for what they have not been asked for yet.
    pub(super) fn next(&mut self, plan: &RangePlan) {
        let owed = self.wave != Wave::Wanted;
        self.wave = if owed { Wave::Owed } else { Wave::Others };
        self.due.clear();
        for shard in self.shards() {
            let is_asked = self.asked.get(&shard) == Some(&plan.stripes());
            if self.owed.contains(shard) == owed && !is_asked {
                self.ask(shard, plan.stripes());
            }
        }
    }

    fn ask(&mut self, shard: u8, stripes: Range<u64>) {
        let Some(slot) = self.slots.get(usize::from(shard)).copied() else {
            return;
        };
        let (path, row, wave) = (self.path, self.row, self.wave);
        let cell_len = row.coding.cell_len(row.length, stripes.start);
        let bytes = cell_len * stripes.end.saturating_sub(stripes.start);
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
        let patience = if buggify("hedge-at-once") {
            Duration::ZERO
        } else {
            path.nodes.hedge_after(slot.current, bytes)
        };
        self.due.insert(shard, path.clock.monotonic() + patience);
        self.reads.push(Box::pin(async move {
            Read {
                shard,
                first: read.first_cell,
                outcome: read_shard(path, slot, read, bytes).await,
                wave,
            }
        }));
    }
}

/// The shards of a row's debt that lie on no disk where readers look for them.
fn owed(row: &ChunkRow, slots: &[Slot]) -> ShardSet {
    let is_elsewhere = |owed: &&Owed| {
        let slot = slots.get(usize::from(owed.shard));
        let is_read = |disk| slot.is_some_and(|slot| slot.read_disks().any(|read| read == disk));
        !owed.found.is_some_and(is_read)
    };
    let debt = row.debt.iter().filter(is_elsewhere);
    debt.map(|owed| owed.shard).collect()
}

/// Reads a shard of about `bytes` bytes where it is, or where it is moving. It is missing only where no
/// disk has it.
async fn read_shard(
    path: &DataPath,
    slot: Slot,
    read: ShardRead,
    bytes: u64,
) -> Result<ShardCells, ShardError> {
    let mut error = ShardError::Missing;
    for disk in slot.read_disks() {
        let Some(service) = path.nodes.service(disk) else {
            error = ShardError::Unavailable("no node serves the disk".to_owned());
            continue;
        };
        let reading = path.nodes.reading(disk, bytes);
        let call = service.read(ShardRead { disk, ..read });
        match path.within(tuning::SHARD_READ_PATIENCE, call).await {
            Ok(cells) => {
                reading.answered();
                path.nodes.served_read(disk);
                return Ok(cells);
            }
            Err(failed) => {
                if matches!(failed, ShardError::Failed(_) | ShardError::Unavailable(_)) {
                    reading.failed(Failing::of(&failed));
                }
                if failed != ShardError::Missing {
                    error = failed;
                }
            }
        }
    }
    Err(error)
}
