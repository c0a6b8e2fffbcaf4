//! The engine of the simulation: all in memory, with explicit persist points.
//!
//! ```text
//!   key ──► versions, rising:   (3, "a")  (7, deleted)  (9, "b")
//!                                  ▲                        ▲
//!           view at 5 reads ───────┘        committed = 9 ──┘
//! ```
//!
//! A view is a number. A version goes when a newer one is old enough for everybody: for the oldest
//! live view, and for the last persist point, which a crash must be able to return to.

mod scan;

use crate::{Batch, Change, OrderedStore, Scan, StoreError, View};
use bytes::Bytes;
use scan::MemoryScan;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Superseded versions looked at when a view ends or the store is persisted; commits look at twice
/// as many as they supersede, so the backlog shrinks.
const SWEEP_STEP: usize = 64;

/// A store in memory. Clones are the same store.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<RwLock<Versions>>,
}

/// All versions of all keys.
#[derive(Debug, Default)]
struct Versions {
    rows: BTreeMap<Bytes, Vec<Version>>,
    /// Batches committed so far; the number of the last.
    committed: u64,
    /// What a crash returns to.
    persisted: u64,
    /// Live views by the batch they see last, and how many there are.
    views: BTreeMap<u64, usize>,
    /// Keys with a version superseded by the batch of that number, in order of batches.
    superseded: VecDeque<(u64, Bytes)>,
}

#[derive(Debug)]
struct Version {
    batch: u64,
    value: Option<Bytes>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The store as the next boot finds it if the machine dies now and nothing after the last
    /// persist point arrived. This one is not changed.
    #[must_use]
    pub fn crash(&self) -> Self {
        self.crash_keeping(0)
    }

    /// As [`MemoryStore::crash`], but the first `batches` after the last persist point arrived.
    #[must_use]
    pub fn crash_keeping(&self, batches: u64) -> Self {
        self.crash_without(batches, None)
    }

    /// As [`MemoryStore::crash_keeping`], but of the batches after the last persist point the `lost`-th,
    /// counted from 0, is missing in the middle: what a store that takes damage for a torn tail makes
    /// of it.
    #[must_use]
    pub fn crash_without(&self, batches: u64, lost: Option<u64>) -> Self {
        let versions = self.read();
        let last = versions
            .persisted
            .saturating_add(batches)
            .min(versions.committed);
        let lost = lost.map(|lost| versions.persisted.saturating_add(lost).saturating_add(1));
        let rows = versions
            .rows
            .iter()
            .filter_map(|(key, history)| Some((key, visible_without(history, last, lost)?)))
            .map(|(key, value)| {
                (
                    key.clone(),
                    vec![Version {
                        batch: last,
                        value: Some(value.clone()),
                    }],
                )
            })
            .collect();
        let next = Versions {
            rows,
            committed: last,
            persisted: last,
            ..Versions::default()
        };
        Self {
            shared: Arc::new(RwLock::new(next)),
        }
    }

    /// Batches committed since the last persist point: what a crash may take.
    #[must_use]
    pub fn unpersisted(&self) -> u64 {
        let versions = self.read();
        versions.committed - versions.persisted
    }

    fn read(&self) -> RwLockReadGuard<'_, Versions> {
        self.shared.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Versions> {
        self.shared.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Versions {
    fn commit(&mut self, batch: &Batch) {
        self.committed += 1;
        let number = self.committed;
        for (key, change) in &batch.changes {
            let value = match change {
                Change::Put(value) => Some(value.clone()),
                Change::Delete => None,
            };
            let version = Version {
                batch: number,
                value,
            };
            if let Some((key, _)) = self.rows.get_key_value(key.as_slice()) {
                let key = key.clone();
                self.superseded.push_back((number, key.clone()));
                self.rows.entry(key).or_default().push(version);
            } else if version.value.is_some() {
                self.rows.insert(Bytes::copy_from_slice(key), vec![version]);
            }
        }
        self.sweep(2 * batch.changes.len());
    }

    /// The last batch that nobody can look behind any more.
    fn floor(&self) -> u64 {
        let oldest_view = self.views.keys().next().copied().unwrap_or(self.committed);
        oldest_view.min(self.persisted)
    }

    /// Drops versions nobody can see, looking at no more than `steps` superseded ones.
    fn sweep(&mut self, steps: usize) {
        let floor = self.floor();
        for _ in 0..steps {
            match self.superseded.front() {
                Some((batch, _)) if *batch <= floor => {}
                _ => return,
            }
            let Some((_, key)) = self.superseded.pop_front() else {
                return;
            };
            self.prune(&key, floor);
        }
    }

    fn prune(&mut self, key: &Bytes, floor: u64) {
        let Some(history) = self.rows.get_mut(key) else {
            return;
        };
        let seen = history.partition_point(|version| version.batch <= floor);
        // The newest version at the floor is still read, unless it says "deleted".
        history.drain(..seen.saturating_sub(1));
        if seen > 0
            && history
                .first()
                .is_some_and(|version| version.value.is_none())
        {
            history.remove(0);
        }
        if history.is_empty() {
            self.rows.remove(key);
        }
    }
}

/// The value a view at `batch` sees.
fn visible(history: &[Version], batch: u64) -> Option<&Bytes> {
    let seen = history.partition_point(|version| version.batch <= batch);
    history.get(seen.checked_sub(1)?)?.value.as_ref()
}

/// The same where the batch `lost` never was.
fn visible_without(history: &[Version], batch: u64, lost: Option<u64>) -> Option<&Bytes> {
    let seen = history.partition_point(|version| version.batch <= batch);
    let mut kept = history.get(..seen)?.iter().rev();
    let newest = kept.find(|version| Some(version.batch) != lost)?;
    newest.value.as_ref()
}

impl OrderedStore for MemoryStore {
    fn view(&self) -> Box<dyn View> {
        let mut versions = self.write();
        let batch = versions.committed;
        *versions.views.entry(batch).or_default() += 1;
        Box::new(MemoryView {
            store: self.clone(),
            batch,
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        self.write().commit(batch);
        Ok(())
    }

    fn persist(&self) -> Result<(), StoreError> {
        let mut versions = self.write();
        versions.persisted = versions.committed;
        versions.sweep(SWEEP_STEP);
        Ok(())
    }
}

/// Everything up to one batch.
struct MemoryView {
    store: MemoryStore,
    batch: u64,
}

impl View for MemoryView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let versions = self.store.read();
        Ok(versions
            .rows
            .get(key)
            .and_then(|history| visible(history, self.batch))
            .cloned())
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        Box::new(MemoryScan::forward(self, from, to))
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        Box::new(MemoryScan::backward(self, from, to))
    }
}

impl Drop for MemoryView {
    fn drop(&mut self) {
        let mut versions = self.store.write();
        if let Some(count) = versions.views.get_mut(&self.batch) {
            *count -= 1;
            if *count == 0 {
                versions.views.remove(&self.batch);
            }
        }
        versions.sweep(SWEEP_STEP);
    }
}

#[cfg(test)]
mod tests;
