//! The partition table: which disk holds which shard of a chunk.

use std::collections::BTreeSet;

use cairn_model::{DiskId, Incarnation, limits};

use crate::plan::Move;

/// Where one shard of a partition's chunks lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The disk that holds the shard.
    pub current: DiskId,
    /// The disk it is moving to.
    pub next: Option<DiskId>,
}

impl Slot {
    /// A slot at rest.
    #[must_use]
    pub fn at(current: DiskId) -> Self {
        Self {
            current,
            next: None,
        }
    }

    /// Where new shards go: only to `next` during a move, else the pass that allows the cut-over
    /// could miss them.
    #[must_use]
    pub fn write_disk(self) -> DiskId {
        self.next.unwrap_or(self.current)
    }

    /// Where a shard may be: both disks during a move, what was written earlier first. Deletes go
    /// to all of them.
    pub fn read_disks(self) -> impl Iterator<Item = DiskId> {
        std::iter::once(self.current).chain(self.next)
    }
}

/// One partition: a slot per shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRow {
    /// The table's epoch when this row last changed.
    pub epoch: u64,
    /// Slot i holds shard i. Copies (k = 1) use the first m + 1.
    pub slots: Vec<Slot>,
}

impl PartitionRow {
    /// Every disk the row names, those moved to included.
    pub fn disks(&self) -> impl Iterator<Item = DiskId> {
        self.slots.iter().flat_map(|slot| slot.read_disks())
    }

    /// Whether a slot is moving.
    #[must_use]
    pub fn is_moving(&self) -> bool {
        self.slots.iter().any(|slot| slot.next.is_some())
    }
}

/// A table, or a change of it, that breaks its rules; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// Not 1 to [`limits::PARTITION_BITS_MAX`] bits, or not one row per partition.
    #[error("{rows} rows are not 2^{bits} partitions within bounds")]
    Rows {
        /// Rows given.
        rows: usize,
        /// Bits given.
        bits: u32,
    },
    /// No slots, too many, or not the same number in every row.
    #[error("partition {0} does not have the table's number of slots")]
    Slots(u32),
    /// A disk named twice would hold two shards of a chunk.
    #[error("partition {0} names a disk twice")]
    Repeated(u32),
    /// There is no such partition or slot.
    #[error("no slot {1} in partition {0}")]
    NoSuchSlot(u32, u8),
    /// The slot is not where the move begins, is moving already, or is not moving.
    #[error("slot {1} of partition {0} is not in the state this change begins from")]
    State(u32, u8),
}

/// All partitions of a storage class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionTable {
    epoch: u64,
    bits: u32,
    slots: usize,
    rows: Vec<PartitionRow>,
}

impl PartitionTable {
    /// A table of `2^bits` rows. Its epoch is the highest of its rows' and `epoch`.
    ///
    /// # Errors
    /// `Rows`, `Slots` or `Repeated`.
    pub fn new(epoch: u64, bits: u32, rows: Vec<PartitionRow>) -> Result<Self, TableError> {
        let in_bounds = (1..=limits::PARTITION_BITS_MAX).contains(&bits);
        if !in_bounds || rows.len() != 1 << bits {
            let rows = rows.len();
            return Err(TableError::Rows { rows, bits });
        }
        let slots = rows.first().map_or(0, |row| row.slots.len());
        for (partition, row) in (0..).zip(&rows) {
            if slots == 0 || slots > limits::SHARDS_MAX as usize || row.slots.len() != slots {
                return Err(TableError::Slots(partition));
            }
            check_distinct(partition, row)?;
        }
        let newest = rows.iter().map(|row| row.epoch).max();
        Ok(Self {
            epoch: epoch.max(newest.unwrap_or(0)),
            bits,
            slots,
            rows,
        })
    }

    /// Rises with every change.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// log2 of the number of partitions.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Slots of each row (k + m of the class).
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// The rows by partition.
    #[must_use]
    pub fn rows(&self) -> &[PartitionRow] {
        &self.rows
    }

    /// The row of a partition; `None` where there is none.
    #[must_use]
    pub fn row(&self, partition: u32) -> Option<&PartitionRow> {
        self.rows.get(usize::try_from(partition).ok()?)
    }

    /// The partition of a writing and its row.
    ///
    /// # Panics
    /// Never: a table has a row for every value of its bits.
    #[must_use]
    pub fn row_of(&self, incarnation: Incarnation) -> (u32, &PartitionRow) {
        let partition = incarnation.partition(self.bits);
        let row = self.row(partition);
        (partition, row.expect("a row for every value of the bits"))
    }

    /// The partitions that name a disk. It may leave only when there is none (and no debt names it).
    pub fn partitions_of(&self, disk: DiskId) -> impl Iterator<Item = u32> {
        (0..)
            .zip(&self.rows)
            .filter(move |(_, row)| row.disks().any(|named| named == disk))
            .map(|(partition, _)| partition)
    }

    /// Begins a move: the slot's `next` appears.
    ///
    /// # Errors
    /// `NoSuchSlot`; `State` if the slot is moving or not at `from`; `Repeated` if the row names
    /// `to` already.
    pub fn begin(&mut self, step: &Move) -> Result<(), TableError> {
        let (partition, slot) = (step.partition, step.slot);
        self.change(partition, slot, |found| {
            let at_rest = *found == Slot::at(step.from);
            at_rest.then_some(Slot {
                current: step.from,
                next: Some(step.to),
            })
        })
    }

    /// Ends a move: `next` becomes `current`. Allowed only once every shard of the partition has
    /// been verified on `next` (design §4).
    ///
    /// # Errors
    /// `NoSuchSlot`; `State` if the slot is not moving.
    pub fn cut_over(&mut self, partition: u32, slot: u8) -> Result<(), TableError> {
        self.change(partition, slot, |found| found.next.map(Slot::at))
    }

    /// Gives a move up because `next` has been declared lost: what was written only there is lost
    /// with it and must be repaired onto `current` by a pass over the partition.
    ///
    /// # Errors
    /// `NoSuchSlot`; `State` if the slot is not moving.
    pub fn abandon(&mut self, partition: u32, slot: u8) -> Result<(), TableError> {
        self.change(partition, slot, |found| {
            found.next.map(|_| Slot::at(found.current))
        })
    }

    /// The same placement with twice the partitions: each row becomes that of both its children,
    /// epoch included. No data moves, and stamps of before are still right.
    ///
    /// # Errors
    /// `Rows` past [`limits::PARTITION_BITS_MAX`].
    pub fn doubled(&self) -> Result<Self, TableError> {
        let rows = (self.rows.iter())
            .flat_map(|row| [row.clone(), row.clone()])
            .collect();
        Self::new(self.epoch + 1, self.bits + 1, rows)
    }

    fn change(
        &mut self,
        partition: u32,
        slot: u8,
        to: impl FnOnce(&Slot) -> Option<Slot>,
    ) -> Result<(), TableError> {
        let missing = TableError::NoSuchSlot(partition, slot);
        let place = usize::try_from(partition).map_err(|_| missing)?;
        let row = self.rows.get_mut(place).ok_or(missing)?;
        let mut changed = row.clone();
        let found = (changed.slots.get_mut(usize::from(slot))).ok_or(missing)?;
        *found = to(found).ok_or(TableError::State(partition, slot))?;
        check_distinct(partition, &changed)?;
        self.epoch += 1;
        changed.epoch = self.epoch;
        *row = changed;
        Ok(())
    }
}

fn check_distinct(partition: u32, row: &PartitionRow) -> Result<(), TableError> {
    let mut seen = BTreeSet::new();
    if row.disks().all(|disk| seen.insert(disk)) {
        Ok(())
    } else {
        Err(TableError::Repeated(partition))
    }
}

#[cfg(test)]
mod tests;
