//! (incarnation, shard) -> place: a cache over an ordered store, rebuilt from the segments whenever
//! it is missing, behind or wrong.
//!
//! ```text
//!  m                                    state: disk, clean?, next segment, next sequence
//!  s segment                            a sealed segment whose rows are all here
//!  r incarnation shard                  the live record
//!  d incarnation shard segment unit     a record that is on disk and does not count
//!  t incarnation chunk                  the newest tombstone, while a `d` row needs it
//! ```
//!
//! The store loses at most a suffix of what was committed since the last persist. Rows of a segment
//! are committed before its `s` row, so a surviving `s` row vouches for them.

mod edit;
mod rows;

use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use cairn_model::Incarnation;
use cairn_store::{Batch, OrderedStore, StoreError, prefix_end};

pub(crate) use edit::{Edit, Effect};
pub(crate) use rows::{Entry, SegmentRow, StateRow, TombstoneRow};

use crate::tuning::CLEAR_ROWS;

/// Where the store of an index comes from. An index is a cache: a store that cannot be opened or
/// emptied is discarded, and filled again from the segments.
pub trait IndexEngine: Send + Sync {
    /// Opens the store, making it where there is none.
    ///
    /// # Errors
    /// The engine's: it is damaged, or open elsewhere.
    fn open(&self) -> Result<Arc<dyn OrderedStore>, StoreError>;

    /// Removes the store, so that the next [`IndexEngine::open`] makes an empty one. Called only while
    /// the lock of the disk is held and nothing of the store is open.
    ///
    /// # Errors
    /// It cannot be removed.
    fn discard(&self) -> Result<(), StoreError>;
}

/// A store that somebody else has opened and keeps.
impl<S: OrderedStore + Clone> IndexEngine for S {
    fn open(&self) -> Result<Arc<dyn OrderedStore>, StoreError> {
        Ok(Arc::new(self.clone()))
    }

    fn discard(&self) -> Result<(), StoreError> {
        Err(StoreError("this store is not the node's to remove".into()))
    }
}

/// The index of one disk. One change at a time; reads at any time.
pub(crate) struct Index {
    store: Arc<dyn OrderedStore>,
    turn: Mutex<()>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Index")
    }
}

impl Index {
    pub(crate) fn new(store: Arc<dyn OrderedStore>) -> Self {
        Self {
            store,
            turn: Mutex::new(()),
        }
    }

    /// Where the live record is.
    pub(crate) fn locate(
        &self,
        incarnation: Incarnation,
        shard: u8,
    ) -> Result<Option<Entry>, StoreError> {
        let key = rows::live_key(incarnation, shard);
        let value = self.store.view().get(&key)?;
        value.map(|value| rows::entry(&key, &value)).transpose()
    }

    /// Whether a record of that writing lies here that no tombstone shadows yet, live or not.
    pub(crate) fn needs_tombstone(
        &self,
        incarnation: Incarnation,
        chunk: cairn_model::ChunkId,
    ) -> Result<bool, StoreError> {
        let edit = self.look();
        let mut found = edit.live_of(incarnation)?;
        found.extend(edit.dead_of(incarnation)?);
        let shadowed = edit
            .tombstone(incarnation, chunk)?
            .map_or(0, |row| row.sequence);
        Ok(found
            .iter()
            .any(|entry| entry.chunk == chunk && entry.sequence >= shadowed))
    }

    /// A view for reading several rows at one point in time.
    pub(crate) fn look(&self) -> Edit {
        Edit::new(self.store.view())
    }

    /// The state row.
    pub(crate) fn state(&self) -> Result<Option<StateRow>, StoreError> {
        let value = self.store.view().get(rows::STATE_KEY)?;
        Ok(value.and_then(|value| rows::state(&value)))
    }

    /// All sealed segments it vouches for.
    pub(crate) fn segments(&self) -> Result<Vec<(u64, SegmentRow)>, StoreError> {
        let mut found = Vec::new();
        self.each(rows::SEGMENT, &[], |key, value| {
            found.extend(rows::segment(key, value));
            Ok(true)
        })?;
        Ok(found)
    }

    /// Live rows behind `after`, in order, until `visit` says stop.
    pub(crate) fn each_live(
        &self,
        after: Option<(Incarnation, u8)>,
        mut visit: impl FnMut(Entry) -> bool,
    ) -> Result<(), StoreError> {
        let from = after.map(|(incarnation, shard)| rows::live_key(incarnation, shard));
        let from = from.unwrap_or_default();
        self.each(rows::LIVE, &from, |key, value| {
            Ok(visit(rows::entry(key, value)?))
        })
    }

    /// All dead rows.
    pub(crate) fn each_dead(&self, mut visit: impl FnMut(Entry)) -> Result<(), StoreError> {
        self.each(rows::DEAD, &[], |key, value| {
            visit(rows::entry(key, value)?);
            Ok(true)
        })
    }

    /// All tombstone rows.
    pub(crate) fn each_tombstone(
        &self,
        mut visit: impl FnMut(TombstoneRow),
    ) -> Result<(), StoreError> {
        self.each(rows::TOMBSTONE, &[], |key, value| {
            visit(rows::tombstone(key, value)?);
            Ok(true)
        })
    }

    fn each(
        &self,
        kind: u8,
        after: &[u8],
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let prefix = [kind];
        let from = if after.is_empty() {
            Bound::Included(&prefix[..])
        } else {
            Bound::Excluded(after)
        };
        let end = prefix_end(&prefix);
        let view = self.store.view();
        for row in view.scan(from, end.as_ref().map(Vec::as_slice)) {
            let (key, value) = row?;
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    /// One read-modify-write; gives what it did to the segments' counts.
    pub(crate) fn edit(
        &self,
        change: impl FnOnce(&mut Edit) -> Result<(), StoreError>,
    ) -> Result<Vec<Effect>, StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let mut edit = Edit::new(self.store.view());
        change(&mut edit)?;
        let (batch, effects) = edit.into_parts();
        if !batch.changes.is_empty() {
            self.store.commit(&batch)?;
        }
        Ok(effects)
    }

    /// Makes everything so far durable.
    pub(crate) fn persist(&self) -> Result<(), StoreError> {
        self.store.persist()
    }

    /// Forgets everything, in bounded batches.
    pub(crate) fn clear(&self) -> Result<(), StoreError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut batch = Batch::default();
            let view = self.store.view();
            for row in view
                .scan(Bound::Unbounded, Bound::Unbounded)
                .take(CLEAR_ROWS)
            {
                batch.delete(row?.0.to_vec());
            }
            if batch.changes.is_empty() {
                return self.store.persist();
            }
            self.store.commit(&batch)?;
        }
    }
}

#[cfg(test)]
mod tests;
