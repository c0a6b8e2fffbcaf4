//! sled behind the trait, for the storage nodes' index only, which can be rebuilt from the segments.
//!
//! What it does **not** promise, and every other engine does: [`OrderedStore::persist`] is sled's
//! `flush`, which was measured to write without flushing the device or the file's metadata. After a
//! power cut acknowledged batches may be missing, and not only the last ones. It survives a killed
//! process. Nothing that is the only copy of anything may live here.
//!
//! sled has no snapshots. Views are made points in time by keeping, while views are open, the value
//! each later commit replaced:
//!
//! ```text
//!   view at batch 5:   key ──► first replacement after 5, if any; else what sled has now
//! ```

use crate::{Batch, Change, OrderedStore, Row, Scan, StoreError, View, bounds};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

/// sled's threads let go of the lock a moment after the store is dropped.
const LOCK_TRIES: u32 = 50;
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A store in a directory.
#[derive(Clone)]
pub struct SledStore {
    shared: Arc<Shared>,
}

struct Shared {
    database: sled::Db,
    /// Held for writing while a commit changes sled and this together.
    history: RwLock<History>,
}

/// What was replaced under the feet of open views.
#[derive(Default)]
struct History {
    committed: u64,
    /// Live views by the batch they see last, and how many there are.
    views: BTreeMap<u64, usize>,
    /// By key, rising: the batch that replaced a value, and the value (`None`: there was none).
    replaced: BTreeMap<Bytes, Vec<(u64, Option<Bytes>)>>,
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in `path`, making it where there is none.
    ///
    /// # Errors
    /// Where it is open already, damaged, or the file system fails.
    pub fn open(path: impl AsRef<Path>, cache_bytes: u64) -> Result<Self, StoreError> {
        let config = sled::Config::new().path(path).cache_capacity(cache_bytes);
        let mut database = config.open();
        for _ in 0..LOCK_TRIES {
            if !database.as_ref().is_err_and(is_locked) {
                break;
            }
            std::thread::sleep(LOCK_PAUSE);
            database = config.open();
        }
        let database = database.map_err(engine)?;
        Ok(Self {
            shared: Arc::new(Shared {
                database,
                history: RwLock::default(),
            }),
        })
    }
}

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, History> {
        self.history.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, History> {
        self.history.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut history = self.write();
        let number = history.committed + 1;
        if !history.views.is_empty() {
            for key in batch.changes.keys() {
                let before = self.database.get(key).map_err(engine)?;
                let before = before.map(|value| Bytes::copy_from_slice(&value));
                let replaced = history
                    .replaced
                    .entry(Bytes::copy_from_slice(key))
                    .or_default();
                replaced.push((number, before));
            }
        }
        let mut writes = sled::Batch::default();
        for (key, change) in &batch.changes {
            match change {
                Change::Put(value) => writes.insert(key.as_slice(), value.as_ref()),
                Change::Delete => writes.remove(key.as_slice()),
            }
        }
        self.database.apply_batch(writes).map_err(engine)?;
        history.committed = number;
        Ok(())
    }
}

impl History {
    /// What a view at `batch` has to see of `key` instead of what sled has.
    fn instead(&self, key: &[u8], batch: u64) -> Option<&Option<Bytes>> {
        let replaced = self.replaced.get(key)?;
        let later = replaced.partition_point(|(number, _)| *number <= batch);
        replaced.get(later).map(|(_, value)| value)
    }

    /// Forgets what no open view needs.
    fn sweep(&mut self) {
        let Some(oldest) = self.views.keys().next().copied() else {
            self.replaced.clear();
            return;
        };
        self.replaced.retain(|_, replaced| {
            replaced.retain(|(number, _)| *number > oldest);
            !replaced.is_empty()
        });
    }
}

impl OrderedStore for SledStore {
    fn view(&self) -> Box<dyn View> {
        let mut history = self.shared.write();
        let batch = history.committed;
        *history.views.entry(batch).or_default() += 1;
        Box::new(SledView {
            shared: Arc::clone(&self.shared),
            batch,
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        self.shared.commit(batch)
    }

    /// Weaker than the trait asks; see the module.
    fn persist(&self) -> Result<(), StoreError> {
        self.shared.database.flush().map(drop).map_err(engine)
    }
}

/// Everything up to one batch.
struct SledView {
    shared: Arc<Shared>,
    batch: u64,
}

impl SledView {
    /// The first (or last) key in a range that has a row or had one, and the row this view sees.
    fn step(
        &self,
        span: &bounds::Span,
        back: bool,
    ) -> Result<Option<(Bytes, Option<Bytes>)>, StoreError> {
        if bounds::is_empty(&span.0, &span.1) {
            return Ok(None);
        }
        let history = self.shared.read();
        let range = (
            span.0.as_ref().map(Vec::as_slice),
            span.1.as_ref().map(Vec::as_slice),
        );
        let mut stored = self.shared.database.range::<&[u8], _>(range);
        let mut replaced = history
            .replaced
            .range::<[u8], _>(range)
            .map(|(key, _)| key.clone());
        let (stored, replaced) = if back {
            (stored.next_back(), replaced.next_back())
        } else {
            (stored.next(), replaced.next())
        };
        let stored = stored.transpose().map_err(engine)?;
        let stored = stored
            .map(|(key, value)| (Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)));
        let stored_key = stored.as_ref().map(|(key, _)| key.clone());
        let nearest = match (stored_key, replaced) {
            (Some(one), Some(other)) => Some(if back { one.max(other) } else { one.min(other) }),
            (one, other) => one.or(other),
        };
        Ok(nearest.map(|key| {
            let now = stored
                .filter(|(stored, _)| *stored == key)
                .map(|(_, value)| value);
            let value = history.instead(&key, self.batch).cloned().unwrap_or(now);
            (key, value)
        }))
    }
}

impl View for SledView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let history = self.shared.read();
        if let Some(value) = history.instead(key, self.batch) {
            return Ok(value.clone());
        }
        let value = self.shared.database.get(key).map_err(engine)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        Box::new(SledScan {
            view: self,
            left: bounds::span(from, to),
            back: false,
        })
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        Box::new(SledScan {
            view: self,
            left: bounds::span(from, to),
            back: true,
        })
    }
}

impl Drop for SledView {
    fn drop(&mut self) {
        let mut history = self.shared.write();
        if let Some(count) = history.views.get_mut(&self.batch) {
            *count -= 1;
            if *count == 0 {
                history.views.remove(&self.batch);
                history.sweep();
            }
        }
    }
}

/// A scan in progress; between two rows commits get in.
struct SledScan<'a> {
    view: &'a SledView,
    /// What is left to look at; `None` at the end.
    left: Option<bounds::Span>,
    back: bool,
}

impl Iterator for SledScan<'_> {
    type Item = Result<Row, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(span) = self.left.take() {
            match self.view.step(&span, self.back) {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some((key, value))) => {
                    let past = Bound::Excluded(key.to_vec());
                    self.left = Some(if self.back {
                        (span.0, past)
                    } else {
                        (past, span.1)
                    });
                    if let Some(value) = value {
                        return Some(Ok((key, value)));
                    }
                }
            }
        }
        None
    }
}

/// sled has no kind of its own for this.
fn is_locked(error: &sled::Error) -> bool {
    matches!(error, sled::Error::Io(io) if io.to_string().contains("could not acquire lock"))
}

fn engine(error: sled::Error) -> StoreError {
    StoreError(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{Reopen, check_engine};

    struct Sled {
        store: Option<SledStore>,
        dir: tempfile::TempDir,
    }

    impl Sled {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self {
                store: Some(SledStore::open(dir.path(), 1 << 20).unwrap()),
                dir,
            }
        }
    }

    impl Reopen for Sled {
        fn store(&self) -> &dyn OrderedStore {
            self.store.as_ref().unwrap()
        }

        fn reopen(&mut self) {
            self.store().persist().unwrap();
            self.store = None;
            self.store = Some(SledStore::open(self.dir.path(), 1 << 20).unwrap());
        }
    }

    check_engine!(Sled::new);

    #[test]
    fn an_open_store_cannot_be_opened_again() {
        let sled = Sled::new();
        let error = SledStore::open(sled.dir.path(), 1 << 20).unwrap_err();
        assert!(error.to_string().contains("lock"), "{error}");
    }

    #[test]
    fn replaced_values_are_forgotten_with_the_last_view() {
        let sled = Sled::new();
        let put = |value: u8| {
            let mut batch = Batch::default();
            batch.put("key", vec![value]);
            sled.store().commit(&batch).unwrap();
        };
        let held = || sled.store.as_ref().unwrap().shared.read().replaced.len();
        put(0);
        assert_eq!(held(), 0, "nobody looks");
        let view = sled.store().view();
        (1..9).for_each(put);
        assert_eq!(view.get(b"key").unwrap().unwrap(), vec![0]);
        assert_eq!(held(), 1);
        drop(view);
        assert_eq!(held(), 0);
    }
}
