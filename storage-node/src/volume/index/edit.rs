//! One change of the index, with what it means for the ledger.

use cairn_model::{ChunkId, Incarnation};
use cairn_store::{Batch, StoreError, View};

use super::rows::{self, Entry, SegmentRow, StateRow, TombstoneRow};
use crate::format::Tombstone;
use crate::volume::ledger::Place;
use crate::volume::txn::Txn;

/// What an edit did to a segment's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A record began to count.
    Landed(Place),
    /// A record that did not count before still does not.
    Burnt(Place),
    /// A record stopped counting.
    Died(Entry),
    /// A tombstone in that segment is needed.
    TombstoneKept(u64),
    /// A tombstone in that segment is no longer needed.
    TombstoneDropped(u64),
}

/// A change in progress.
pub(crate) struct Edit {
    txn: Txn,
    effects: Vec<Effect>,
}

impl Edit {
    pub(super) fn new(view: Box<dyn View>) -> Self {
        Self {
            txn: Txn::new(view),
            effects: Vec::new(),
        }
    }

    pub(super) fn into_parts(self) -> (Batch, Vec<Effect>) {
        (self.txn.batch, self.effects)
    }

    /// The live record of a shard.
    pub(crate) fn live(
        &self,
        incarnation: Incarnation,
        shard: u8,
    ) -> Result<Option<Entry>, StoreError> {
        let key = rows::live_key(incarnation, shard);
        let value = self.txn.get(&key)?;
        value.map(|value| rows::entry(&key, &value)).transpose()
    }

    /// All live records of a writing.
    pub(crate) fn live_of(&self, incarnation: Incarnation) -> Result<Vec<Entry>, StoreError> {
        self.entries(rows::LIVE, incarnation)
    }

    /// All dead records of a writing.
    pub(crate) fn dead_of(&self, incarnation: Incarnation) -> Result<Vec<Entry>, StoreError> {
        self.entries(rows::DEAD, incarnation)
    }

    fn entries(&self, kind: u8, incarnation: Incarnation) -> Result<Vec<Entry>, StoreError> {
        let found = self.txn.rows(&rows::writing_prefix(kind, incarnation))?;
        found
            .iter()
            .map(|(key, value)| rows::entry(key, value))
            .collect()
    }

    /// The newest tombstone of a writing.
    pub(crate) fn tombstone(
        &self,
        incarnation: Incarnation,
        chunk: ChunkId,
    ) -> Result<Option<TombstoneRow>, StoreError> {
        let key = rows::tombstone_key(incarnation, chunk);
        let value = self.txn.get(&key)?;
        value.map(|value| rows::tombstone(&key, &value)).transpose()
    }

    /// `entry` counts from now on; a former record of the shard is dead.
    pub(crate) fn land(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let shape = &entry.shape;
        if let Some(former) = self.live(shape.incarnation, shape.shard)?
            && former.place != entry.place
        {
            self.bury(&former);
        }
        // One place is live or dead, never both: what is dead is punched.
        self.txn.batch.delete(rows::dead_key(entry));
        self.txn.batch.put(
            rows::live_key(shape.incarnation, shape.shard),
            rows::entry_value(entry),
        );
        self.effects.push(Effect::Landed(entry.place));
        Ok(())
    }

    /// `entry` is on disk and does not count.
    pub(crate) fn burn(&mut self, entry: &Entry) -> Result<(), StoreError> {
        let shape = &entry.shape;
        let live = self.live(shape.incarnation, shape.shard)?;
        if live.is_some_and(|live| live.place == entry.place) {
            self.bury(entry);
            return Ok(());
        }
        self.txn
            .batch
            .put(rows::dead_key(entry), rows::entry_value(entry));
        self.effects.push(Effect::Burnt(entry.place));
        Ok(())
    }

    /// `entry` is on disk and does not count yet; its room stays taken.
    pub(crate) fn hold(&mut self, entry: &Entry) {
        self.txn
            .batch
            .put(rows::dead_key(entry), rows::entry_value(entry));
    }

    fn bury(&mut self, entry: &Entry) {
        let shape = &entry.shape;
        self.txn
            .batch
            .delete(rows::live_key(shape.incarnation, shape.shard));
        self.txn
            .batch
            .put(rows::dead_key(entry), rows::entry_value(entry));
        self.effects.push(Effect::Died(*entry));
    }

    /// A durable tombstone in `segment`: what came before it is dead.
    pub(crate) fn delete(&mut self, tombstone: &Tombstone, segment: u64) -> Result<(), StoreError> {
        for entry in self.live_of(tombstone.incarnation)? {
            if entry.chunk == tombstone.chunk && entry.sequence < tombstone.sequence {
                self.bury(&entry);
            }
        }
        let former = self.tombstone(tombstone.incarnation, tombstone.chunk)?;
        if let Some(former) = former {
            if former.sequence > tombstone.sequence {
                return Ok(());
            }
            self.effects.push(Effect::TombstoneDropped(former.segment));
        }
        let row = TombstoneRow {
            incarnation: tombstone.incarnation,
            chunk: tombstone.chunk,
            sequence: tombstone.sequence,
            segment,
        };
        self.txn.batch.put(
            rows::tombstone_key(row.incarnation, row.chunk),
            rows::tombstone_value(&row),
        );
        self.effects.push(Effect::TombstoneKept(segment));
        Ok(())
    }

    /// The dead record's bytes are durably gone.
    pub(crate) fn forget_dead(&mut self, entry: &Entry) {
        self.txn.batch.delete(rows::dead_key(entry));
    }

    /// Nothing needs this tombstone any more.
    pub(crate) fn forget_tombstone(&mut self, row: &TombstoneRow) {
        self.txn
            .batch
            .delete(rows::tombstone_key(row.incarnation, row.chunk));
        self.effects.push(Effect::TombstoneDropped(row.segment));
    }

    /// Forgets the tombstones of a writing of which no dead record is left.
    pub(crate) fn forget_needless(&mut self, incarnation: Incarnation) -> Result<(), StoreError> {
        if !self.dead_of(incarnation)?.is_empty() {
            return Ok(());
        }
        let found = self
            .txn
            .rows(&rows::writing_prefix(rows::TOMBSTONE, incarnation))?;
        for (key, value) in &found {
            let row = rows::tombstone(key, value)?;
            self.forget_tombstone(&row);
        }
        Ok(())
    }

    pub(crate) fn put_segment(&mut self, number: u64, row: &SegmentRow) {
        self.txn
            .batch
            .put(rows::segment_key(number), rows::segment_value(row));
    }

    pub(crate) fn forget_segment(&mut self, number: u64) {
        self.txn.batch.delete(rows::segment_key(number));
    }

    pub(crate) fn put_state(&mut self, row: &StateRow) {
        self.txn.batch.put(rows::STATE_KEY, rows::state_value(row));
    }
}
