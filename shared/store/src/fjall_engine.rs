//! The real engine: fjall, an LSM tree with a journal, one keyspace.
//!
//! A commit reaches the operating system before it returns, so a killed process loses nothing; a
//! dead machine loses what came after the last persist. fjall takes corruption in the middle of its
//! journal for a torn tail and drops every batch behind it without a word: who must know that (the
//! metadata store does) keeps a marker row per batch.
//!
//! fjall holds its directory's lock until the store *and* all its views are dropped.
//!
//! Two things are ours, not fjall's:
//!
//! * *Views never see half a batch.* A flush or compaction of fjall's takes a sequence number and
//!   publishes it, and with it whatever part of a batch with a lower number is already in the write
//!   buffer; a snapshot taken then is torn. So none is taken during a commit: a view opened then
//!   gets the snapshot taken before it.
//! * *A persist leaves nothing to the journal alone.* It also flushes the write buffer into tables,
//!   where every block is checked when read, and an error is an error.

use crate::{Batch, Change, OrderedStore, Row, Scan, See, StoreError, View, bounds};
use bytes::Bytes;
use fjall::{
    AbstractTree, Database, Guard, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot,
};
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The one keyspace.
const KEYSPACE: &str = "rows";
/// Journals are evicted beyond this, which bounds the replay of a restart.
const JOURNAL_BYTES_MAX: u64 = 256 << 20;
/// Threads that flush and compact. One is too few: it waits for room in the queue that it alone empties. Of two, the
/// first hands on what is to be compacted and takes it up again at once, over and over, while the other is busy; a third
/// takes it off their hands.
const WORKERS: usize = 3;
/// fjall stalls a writer at 4 full write buffers; one takes at least this.
const WRITE_BUFFER_MIN: u64 = 64 << 10;

/// Between two looks at a flush.
const FLUSH_PAUSE: Duration = Duration::from_millis(1);

/// Memory a store may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FjallSettings {
    /// Block cache in bytes.
    pub cache_bytes: u64,
    /// One write buffer in bytes, of which up to 5 live at once; at least 64 KiB. Fixed when the
    /// store is made: fjall keeps it with the data.
    pub write_buffer_bytes: u64,
}

impl Default for FjallSettings {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
            write_buffer_bytes: 16 << 20,
        }
    }
}

/// A store in a directory.
#[derive(Clone)]
pub struct FjallStore {
    database: Database,
    rows: Keyspace,
    turns: Arc<Turns>,
}

/// Keeps views out of commits in progress without waiting for them.
#[derive(Default)]
struct Turns {
    /// Held by the one commit.
    commit: Mutex<()>,
    /// During a commit, the state before it; never held for long.
    before: Mutex<Option<Snapshot>>,
}

impl std::fmt::Debug for FjallStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FjallStore").finish_non_exhaustive()
    }
}

impl FjallStore {
    /// Opens the store in `path`, making it where there is none.
    ///
    /// # Errors
    /// Where it is open already, damaged, or the file system fails.
    pub fn open(path: impl AsRef<Path>, settings: FjallSettings) -> Result<Self, StoreError> {
        let database = Database::builder(path)
            .cache_size(settings.cache_bytes)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .worker_threads(WORKERS)
            .open()
            .map_err(engine)?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(settings.write_buffer_bytes.max(WRITE_BUFFER_MIN))
        };
        let rows = database.keyspace(KEYSPACE, options).map_err(engine)?;
        Ok(Self {
            database,
            rows,
            turns: Arc::default(),
        })
    }

    /// Bytes on disk, journals included.
    ///
    /// # Errors
    /// The engine's.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.database.disk_space().map_err(engine)
    }
}

impl FjallStore {
    fn batch(&self, batch: &Batch) -> fjall::OwnedWriteBatch {
        let mut writes = self.database.batch();
        for (key, change) in &batch.changes {
            match change {
                Change::Put(value) => writes.insert(&self.rows, key.as_slice(), value.as_ref()),
                Change::Delete => writes.remove(&self.rows, key.as_slice()),
            }
        }
        writes
    }

    /// Starts to flush the write buffer; the sequence number it reaches to.
    fn start_flush(&self) -> Result<Option<u64>, StoreError> {
        let _turn = lock(&self.turns.commit);
        let reached = self.rows.tree.get_highest_memtable_seqno();
        self.rows.rotate_memtable().map_err(engine)?;
        Ok(reached)
    }

    /// Waits until everything up to `reached` lies in tables.
    fn await_flush(&self, reached: Option<u64>) -> Result<(), StoreError> {
        // Either sign is enough: later commits may keep the number of sealed buffers up, and a
        // compaction that drops a deleted row may lower the highest number in the tables.
        while self.rows.tree.get_highest_persisted_seqno() < reached
            && self.rows.tree.sealed_memtable_count() > 0
        {
            // Fails where a flush has failed: nobody will ever finish it.
            self.database.persist(PersistMode::Buffer).map_err(engine)?;
            std::thread::sleep(FLUSH_PAUSE);
        }
        Ok(())
    }
}

impl OrderedStore for FjallStore {
    fn view(&self) -> Box<dyn View> {
        let before = lock(&self.turns.before);
        let snapshot = before.clone().unwrap_or_else(|| self.database.snapshot());
        Box::new(FjallView {
            snapshot,
            rows: self.rows.clone(),
        })
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        batch.check()?;
        let writes = self.batch(batch);
        let _turn = lock(&self.turns.commit);
        *lock(&self.turns.before) = Some(self.database.snapshot());
        let done = writes.commit().map_err(engine);
        *lock(&self.turns.before) = None;
        done
    }

    fn persist(&self) -> Result<(), StoreError> {
        self.database
            .persist(PersistMode::SyncAll)
            .map_err(engine)?;
        let reached = self.start_flush()?;
        self.await_flush(reached)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A snapshot.
struct FjallView {
    snapshot: Snapshot,
    rows: Keyspace,
}

impl FjallView {
    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<fjall::Iter> {
        Some(self.snapshot.range(&self.rows, bounds::span(from, to)?))
    }
}

impl View for FjallView {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if key.is_empty() || key.len() > crate::KEY_LEN_MAX {
            return Ok(None);
        }
        let value = self.snapshot.get(&self.rows, key).map_err(engine)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn scan(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        Box::new(self.range(from, to).into_iter().flatten().map(row))
    }

    fn visit(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
        see: &mut See<'_>,
    ) -> Result<(), StoreError> {
        for guard in self.range(from, to).into_iter().flatten() {
            let (key, value) = guard.into_inner().map_err(engine)?;
            if see(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Scan<'_> {
        Box::new(
            self.range(from, to)
                .into_iter()
                .flat_map(Iterator::rev)
                .map(row),
        )
    }
}

/// Copies a row out: a slice of fjall's would keep its whole block in memory.
fn row(guard: Guard) -> Result<Row, StoreError> {
    let (key, value) = guard.into_inner().map_err(engine)?;
    Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
}

fn engine(error: fjall::Error) -> StoreError {
    StoreError(error.to_string())
}

#[cfg(test)]
mod tests;
