//! Reads through the changes of this batch, and keeps or drops the changes of one entry whole.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use cairn_model::RowVersion;
use cairn_store::{Batch, Change, View, prefix_end};

use super::ApplyError;
use crate::keyspace::KeyKind;
use crate::keyspace::bucket::BucketKey;
use crate::keyspace::cluster::{ClusterKey, ClusterRow, CountersKey, CountersRow};
use crate::keyspace::session::SessionKey;

type Changes = BTreeMap<Vec<u8>, Option<Bytes>>;

/// Rows that nearly every entry of a batch reads: the store is asked for each once a batch.
const READ_BY_MANY: [u8; 3] = [ClusterKey::PREFIX, SessionKey::PREFIX, BucketKey::PREFIX];

/// Changes on top of a view.
pub struct Transaction<'a> {
    view: &'a dyn View,
    /// What the store said of rows [`READ_BY_MANY`].
    stored: RefCell<Changes>,
    /// The cluster's row and what was read from it.
    cluster: RefCell<Option<(Bytes, Arc<ClusterRow>)>>,
    /// Changes of the entries before this one.
    past: Changes,
    /// Kept changes of this entry.
    kept: Changes,
    /// Changes not kept yet.
    open: Changes,
    counters: CountersRow,
    /// Counters as they were when the entry began.
    counters_kept: CountersRow,
    counters_stored: CountersRow,
    generation: u16,
    ordinal: u16,
}

impl<'a> Transaction<'a> {
    /// A transaction with no changes yet.
    ///
    /// # Errors
    /// The store's.
    pub fn new(view: &'a dyn View) -> Result<Self, ApplyError> {
        let mut txn = Self {
            view,
            stored: RefCell::default(),
            cluster: RefCell::default(),
            past: Changes::new(),
            kept: Changes::new(),
            open: Changes::new(),
            counters: CountersRow::default(),
            counters_kept: CountersRow::default(),
            counters_stored: CountersRow::default(),
            generation: 0,
            ordinal: 0,
        };
        txn.counters = txn.get(&CountersKey)?.unwrap_or_default();
        txn.counters_stored = txn.counters;
        txn.counters_kept = txn.counters;
        let generation = txn.cluster()?.map_or(0, |row| row.generation);
        txn.generation = u16::try_from(generation)
            .map_err(|_| ApplyError::Inconsistent("generation beyond u16"))?;
        Ok(txn)
    }

    /// The row under `key`, changes included.
    pub(crate) fn get<K: KeyKind>(&self, key: &K) -> Result<Option<K::Row>, ApplyError> {
        self.get_bytes(&key.encode())?
            .map(|value| K::decode_row(&value))
            .transpose()
            .map_err(Into::into)
    }

    fn get_bytes(&self, key: &[u8]) -> Result<Option<Bytes>, ApplyError> {
        let layers = [&self.open, &self.kept, &self.past];
        match layers.into_iter().find_map(|layer| layer.get(key)) {
            Some(changed) => Ok(changed.clone()),
            None => self.stored(key),
        }
    }

    fn stored(&self, key: &[u8]) -> Result<Option<Bytes>, ApplyError> {
        if !key.first().is_some_and(|kind| READ_BY_MANY.contains(kind)) {
            return Ok(self.view.get(key)?);
        }
        let mut stored = self.stored.borrow_mut();
        if let Some(known) = stored.get(key) {
            return Ok(known.clone());
        }
        let row = self.view.get(key)?;
        stored.insert(key.to_vec(), row.clone());
        Ok(row)
    }

    /// The cluster's row, read anew only where it has changed: it names every disk there is.
    pub(crate) fn cluster(&self) -> Result<Option<Arc<ClusterRow>>, ApplyError> {
        let Some(value) = self.get_bytes(&ClusterKey.encode())? else {
            return Ok(None);
        };
        let mut known = self.cluster.borrow_mut();
        if let Some((read, row)) = known.as_ref()
            && *read == value
        {
            return Ok(Some(Arc::clone(row)));
        }
        let row = Arc::new(ClusterKey::decode_row(&value)?);
        *known = Some((value, Arc::clone(&row)));
        Ok(Some(row))
    }

    pub(crate) fn put<K: KeyKind>(&mut self, key: &K, row: &K::Row) {
        self.open.insert(key.encode(), Some(K::encode_row(row)));
    }

    pub(crate) fn delete<K: KeyKind>(&mut self, key: &K) {
        self.open.insert(key.encode(), None);
    }

    /// Up to `limit` rows of one kind whose encoded keys start with `prefix`, in order.
    pub(crate) fn scan<K: KeyKind>(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(K, K::Row)>, ApplyError> {
        let bounds = (Bound::Included(prefix.to_vec()), prefix_end(prefix));
        self.scan_range(bounds, limit)
    }

    /// Up to `limit` rows of one kind whose encoded keys lie between two bounds, in order.
    pub(crate) fn scan_range<K: KeyKind>(
        &self,
        bounds: (Bound<Vec<u8>>, Bound<Vec<u8>>),
        limit: usize,
    ) -> Result<Vec<(K, K::Row)>, ApplyError> {
        let mut changed = Changes::new();
        for layer in [&self.past, &self.kept, &self.open] {
            changed.extend(layer.range(bounds.clone()).map(own));
        }
        let (from, end) = &bounds;
        let mut stored = self
            .view
            .scan(
                from.as_ref().map(Vec::as_slice),
                end.as_ref().map(Vec::as_slice),
            )
            .peekable();
        let mut changed = changed.into_iter().peekable();
        let mut rows = Vec::new();
        while rows.len() < limit {
            let stored_first = match (stored.peek(), changed.peek()) {
                (None, None) => break,
                (Some(Ok((key, _))), Some((other, _))) => key.as_ref() < other.as_slice(),
                (Some(_), _) => true,
                (None, Some(_)) => false,
            };
            let (key, value) = if stored_first {
                let Some(row) = stored.next() else { break };
                let (key, value) = row?;
                (key.to_vec(), Some(value))
            } else {
                let Some((key, value)) = changed.next() else {
                    break;
                };
                if stored
                    .peek()
                    .is_some_and(|row| row.as_ref().is_ok_and(|(k, _)| *k == key))
                {
                    stored.next();
                }
                (key, value)
            };
            if let Some(value) = value {
                rows.push((K::decode(&key)?, K::decode_row(&value)?));
            }
        }
        Ok(rows)
    }

    pub(crate) fn counters(&self) -> CountersRow {
        self.counters
    }

    pub(crate) fn counters_mut(&mut self) -> &mut CountersRow {
        &mut self.counters
    }

    /// State-machine time moves even where the entry is refused.
    pub(crate) fn set_time(&mut self, time_ms: u64, suspended: bool) {
        for counters in [&mut self.counters, &mut self.counters_kept] {
            counters.time_ms = time_ms;
            counters.clock_suspended = suspended;
        }
    }

    /// The next row version: rises within the entry and from entry to entry.
    pub(crate) fn next_version(&mut self) -> RowVersion {
        if self.counters.sequence == self.counters_kept.sequence {
            self.counters.sequence += 1;
            self.ordinal = 0;
        } else {
            self.ordinal += 1;
        }
        RowVersion {
            generation: self.generation,
            sequence: self.counters.sequence,
            ordinal: self.ordinal,
        }
    }

    /// Set by `InitCluster` and `BumpGeneration` for the entries after it.
    pub(crate) fn set_generation(&mut self, generation: u16) {
        self.generation = generation;
    }

    /// Keeps what the entry changed.
    pub(crate) fn keep(&mut self) {
        self.kept.append(&mut self.open);
        self.counters_kept = self.counters;
    }

    /// Drops what the entry changed.
    pub(crate) fn discard(&mut self) {
        self.open.clear();
        self.counters = self.counters_kept;
    }

    /// The entry's kept changes, and the counters where they moved. What was not kept is dropped.
    pub(crate) fn take_entry(&mut self) -> Batch {
        self.discard();
        if self.counters != self.counters_stored {
            let counters = self.counters;
            self.put(&CountersKey, &counters);
            self.keep();
            self.counters_stored = counters;
        }
        let entry = std::mem::take(&mut self.kept);
        self.past.extend(entry.iter().map(own));
        let changes = entry
            .into_iter()
            .map(|(key, value)| (key, value.map_or(Change::Delete, Change::Put)))
            .collect();
        Batch { changes }
    }
}

fn own((key, value): (&Vec<u8>, &Option<Bytes>)) -> (Vec<u8>, Option<Bytes>) {
    (key.clone(), value.clone())
}
