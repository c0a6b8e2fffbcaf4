//! A shard store in memory, with moods.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{DiskId, Incarnation};
use tokio::sync::{Notify, Semaphore};

use crate::*;

type Key = (DiskId, Incarnation, u8);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) header: ShardHeader,
    pub(crate) cells: Vec<Bytes>,
    pub(crate) trailer: ShardTrailer,
}

#[derive(Debug, Default)]
struct State {
    shards: BTreeMap<Key, Stored>,
    /// What every call fails with.
    fails: Option<ShardError>,
    /// What writes fail with, once this many cells are taken.
    write_fails: Option<(usize, ShardError)>,
    taken: u64,
    deletes: Vec<(u16, usize)>,
}

/// Keeps what is finished.
#[derive(Debug)]
pub(crate) struct Store {
    state: Arc<Mutex<State>>,
    /// A write needs one permit for each cell.
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) begun: Arc<Notify>,
    pub(crate) dropped: Arc<Notify>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
            gate: Arc::new(Semaphore::new(1 << 20)),
            begun: Arc::default(),
            dropped: Arc::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn fail(&self, error: Option<ShardError>) {
        self.state().fails = error;
    }

    pub(crate) fn fail_writes(&self, after: usize, error: ShardError) {
        self.state().write_fails = Some((after, error));
    }

    pub(crate) fn stored(&self) -> Vec<Stored> {
        self.state().shards.values().cloned().collect()
    }

    /// Bytes given to `write`, finished or not.
    pub(crate) fn taken(&self) -> u64 {
        self.state().taken
    }

    /// Lengths of the delete calls.
    pub(crate) fn deletes(&self) -> Vec<(u16, usize)> {
        self.state().deletes.clone()
    }

    fn check(&self) -> Result<(), ShardError> {
        self.state().fails.clone().map_or(Ok(()), Err)
    }
}

#[derive(Debug)]
struct Taking {
    header: ShardHeader,
    cells: Vec<Bytes>,
    state: Arc<Mutex<State>>,
    gate: Arc<Semaphore>,
    dropped: Option<Arc<Notify>>,
}

impl Drop for Taking {
    fn drop(&mut self) {
        if let Some(dropped) = self.dropped.take() {
            dropped.notify_one();
        }
    }
}

#[async_trait]
impl ShardUpload for Taking {
    async fn write(&mut self, cells: &[Bytes]) -> Result<(), ShardError> {
        for cell in cells {
            let at = self.cells.len() as u64;
            let expected = self.header.coding.cell_len(self.header.chunk_len, at);
            assert_eq!(cell.len() as u64, expected, "cells come whole");
            self.gate.acquire().await.unwrap().forget();
            let mut state = self.state.lock().unwrap();
            if let Some((_, error)) = state
                .write_fails
                .as_ref()
                .filter(|(after, _)| self.cells.len() >= *after)
            {
                return Err(error.clone());
            }
            state.taken += expected;
            drop(state);
            self.cells.push(cell.clone());
        }
        Ok(())
    }

    async fn finish(
        mut self: Box<Self>,
        trailer: ShardTrailer,
    ) -> Result<ShardReceipt, ShardError> {
        let ShardHeader {
            disk,
            incarnation,
            shard,
            ..
        } = self.header;
        let stored = Stored {
            header: self.header,
            cells: std::mem::take(&mut self.cells),
            trailer,
        };
        let mut state = self.state.lock().unwrap();
        state.shards.insert((disk, incarnation, shard), stored);
        drop(state);
        self.dropped = None;
        Ok(ShardReceipt {
            disk,
            incarnation,
            shard,
        })
    }
}

#[async_trait]
impl ShardService for Store {
    async fn prepare(&self, header: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        self.check()?;
        self.begun.notify_one();
        Ok(Box::new(Taking {
            header,
            cells: Vec::new(),
            state: Arc::clone(&self.state),
            gate: Arc::clone(&self.gate),
            dropped: Some(Arc::clone(&self.dropped)),
        }))
    }

    async fn read(&self, read: ShardRead) -> Result<ShardCells, ShardError> {
        self.check()?;
        let state = self.state();
        let stored = state
            .shards
            .get(&(read.disk, read.incarnation, read.shard))
            .ok_or(ShardError::Missing)?;
        let cells = stored.cells.iter().skip(read.first_cell as usize);
        Ok(ShardCells {
            cells: cells.take(read.cells as usize).cloned().collect(),
            checksums: None,
            cell_table: read
                .with_table
                .then(|| Arc::clone(&stored.trailer.cell_table)),
        })
    }

    async fn delete(
        &self,
        disk: DiskId,
        generation: u16,
        deletes: &[ShardDelete],
    ) -> Result<(), ShardError> {
        self.check()?;
        let mut state = self.state();
        state.deletes.push((generation, deletes.len()));
        let named = |key: &Key, stored: &Stored| {
            key.0 == disk
                && deletes.iter().any(|delete| {
                    delete.incarnation == key.1 && delete.chunk == stored.trailer.chunk
                })
        };
        state.shards.retain(|key, stored| !named(key, stored));
        Ok(())
    }

    async fn space(&self, _: DiskId) -> Result<(u64, u64), ShardError> {
        self.check()?;
        Ok((u64::MAX - 1, u64::MAX))
    }
}

#[async_trait]
impl ShardInventory for Store {
    async fn inventory(
        &self,
        disk: DiskId,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        self.check()?;
        let state = self.state();
        let mine = state
            .shards
            .iter()
            .filter(|(key, _)| key.0 == disk && after.is_none_or(|after| (key.1, key.2) > after));
        let found = mine.map(|(key, stored)| ShardFound {
            chunk: stored.trailer.chunk,
            incarnation: key.1,
            shard: key.2,
        });
        Ok(found.take(limit).collect())
    }
}

impl Store {
    /// Puts `count` small shards on `disk` without the network.
    pub(crate) fn fill(&self, template: &Stored, count: u64) {
        let mut state = self.state();
        for counter in 0..count {
            let mut stored = template.clone();
            stored.header.incarnation.counter = counter;
            let key = (
                stored.header.disk,
                stored.header.incarnation,
                stored.header.shard,
            );
            state.shards.insert(key, stored);
        }
    }
}
