//! Reading one's own uncommitted changes of an ordered store.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use cairn_store::{Batch, Change, StoreError, View, prefix_end};

/// A batch over a view: reads see the batch first.
pub(crate) struct Txn {
    view: Box<dyn View>,
    pub(crate) batch: Batch,
}

impl Txn {
    pub(crate) fn new(view: Box<dyn View>) -> Self {
        Self {
            view,
            batch: Batch::default(),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.batch.changes.get(key) {
            Some(Change::Put(value)) => Ok(Some(value.clone())),
            Some(Change::Delete) => Ok(None),
            None => self.view.get(key),
        }
    }

    /// Rows whose key starts with `prefix`; the caller knows there are few.
    pub(crate) fn rows(&self, prefix: &[u8]) -> Result<BTreeMap<Vec<u8>, Bytes>, StoreError> {
        let end = prefix_end(prefix);
        let end = end.as_ref().map(Vec::as_slice);
        let mut rows = BTreeMap::new();
        for row in self.view.scan(Bound::Included(prefix), end) {
            let (key, value) = row?;
            rows.insert(key.to_vec(), value);
        }
        let changed = self
            .batch
            .changes
            .range::<[u8], _>((Bound::Included(prefix), end));
        for (key, change) in changed {
            match change {
                Change::Put(value) => rows.insert(key.clone(), value.clone()),
                Change::Delete => rows.remove(key),
            };
        }
        Ok(rows)
    }
}
