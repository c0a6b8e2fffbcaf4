//! A node on one simulated disk, and shards whose bytes follow from their names.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, NodeId, SessionId, Sha256};
use cairn_rpc::{
    ShardDelete, ShardError, ShardHeader, ShardRead, ShardReceipt, ShardService, ShardTrailer,
    ShardUpload,
};
use cairn_store::MemoryStore;
use cairn_world::Entropy;
use cairn_world::sim::{SimDisk, SimEntropy};

use super::super::{DiskSource, StorageNode};
use crate::background::Progress;
use crate::format::checksum::crc32c;
use crate::settings::Settings;
use crate::volume::IndexEngine;
use crate::volume::{OpenError, Volume};

pub(super) const CLUSTER: [u8; 16] = [9; 16];
pub(super) const NODE: NodeId = NodeId(5);
/// 128 units.
pub(super) const SEGMENT: u64 = 512 << 10;

/// Inline, every call is done when it returns.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an inline call did not finish"),
    }
}

/// A shard by name; everything else follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) counter: u64,
    pub(super) shard: u8,
    pub(super) chunk_len: u64,
}

impl Name {
    /// Shard 1 of 2 + 1 in cells of 4 KiB.
    pub(super) fn new(counter: u64, chunk_len: u64) -> Self {
        Self {
            counter,
            shard: 1,
            chunk_len,
        }
    }

    pub(super) fn coding(&self) -> Coding {
        Coding::from_parts(2, 1, 4_096, Coding::LAYOUT).unwrap()
    }

    pub(super) fn incarnation(&self) -> Incarnation {
        Incarnation {
            group: 1,
            generation: 1,
            session: SessionId(7),
            counter: self.counter,
        }
    }

    pub(super) fn chunk(&self) -> ChunkId {
        let mut digest = [0x11; 32];
        digest[..8].copy_from_slice(&self.counter.to_be_bytes());
        ChunkId {
            domain: DomainId(3),
            sha256: Sha256(digest),
        }
    }

    pub(super) fn cells(&self) -> Vec<Bytes> {
        (0..self.coding().stripes(self.chunk_len))
            .map(|stripe| {
                let seed = self.counter * 131 + u64::from(self.shard) * 17 + stripe;
                let mut bytes = vec![0; self.coding().cell_len(self.chunk_len, stripe) as usize];
                SimEntropy::new(seed).fill(&mut bytes);
                bytes.into()
            })
            .collect()
    }

    pub(super) fn table(&self) -> Arc<[u32]> {
        let own = self.cells();
        (0..self.coding().stripes(self.chunk_len) as usize)
            .flat_map(|stripe| {
                let own = crc32c(&own[stripe]);
                (0..2_u8).map(move |column| if column == self.shard { own } else { 77 })
            })
            .collect()
    }

    pub(super) fn header(&self, disk: DiskId) -> ShardHeader {
        ShardHeader {
            disk,
            epoch: 1,
            incarnation: self.incarnation(),
            shard: self.shard,
            coding: self.coding(),
            chunk_len: self.chunk_len,
        }
    }

    pub(super) fn trailer(&self) -> ShardTrailer {
        ShardTrailer {
            chunk: self.chunk(),
            cell_table: self.table(),
        }
    }

    pub(super) fn read(&self, disk: DiskId) -> ShardRead {
        ShardRead {
            disk,
            epoch: 1,
            chunk: self.chunk(),
            incarnation: self.incarnation(),
            shard: self.shard,
            first_cell: 0,
            cells: u32::MAX,
            with_table: true,
        }
    }

    pub(super) fn delete(&self) -> ShardDelete {
        ShardDelete {
            chunk: self.chunk(),
            incarnation: self.incarnation(),
        }
    }
}

/// What a read gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Exact,
    Missing,
    Corrupt,
}

/// A node on one disk.
pub(super) struct Rig {
    pub(super) sim: SimDisk,
    pub(super) store: MemoryStore,
    pub(super) node: StorageNode,
    pub(super) disk: DiskId,
}

impl Rig {
    pub(super) fn new(seed: u64) -> Self {
        let sim = SimDisk::new(seed);
        sim.set_capacity(64 << 20);
        Self::open(sim, MemoryStore::new()).unwrap()
    }

    pub(super) fn open(sim: SimDisk, store: MemoryStore) -> Result<Self, OpenError> {
        let index = Box::new(store.clone());
        Self::open_with(sim, store, index)
    }

    pub(super) fn open_with(
        sim: SimDisk,
        store: MemoryStore,
        index: Box<dyn IndexEngine>,
    ) -> Result<Self, OpenError> {
        Self::open_long(sim, store, index, SEGMENT)
    }

    /// With segments of another length.
    pub(super) fn open_long(
        sim: SimDisk,
        store: MemoryStore,
        index: Box<dyn IndexEngine>,
        segment_len: u64,
    ) -> Result<Self, OpenError> {
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(sim.operations() + 1));
        let source = DiskSource {
            disk: Arc::new(sim.clone()),
            index,
        };
        let settings = Settings::inline(segment_len);
        let node = StorageNode::open(CLUSTER, NODE, vec![source], &settings, &entropy)?;
        let disk = node.disks()[0].disk.unwrap();
        Ok(Self {
            sim,
            store,
            node,
            disk,
        })
    }

    pub(super) fn volume(&self) -> &Arc<Volume> {
        &self.node.disks[&self.disk].volume
    }

    /// The machine dies now; the index keeps `batches` of what it had not persisted.
    pub(super) fn crash(self, seed: u64, batches: u64) -> Self {
        let (sim, store) = (
            self.sim.after_crash(seed),
            self.store.crash_keeping(batches),
        );
        drop(self.node);
        Self::open(sim, store).unwrap()
    }

    /// Only the process dies; the index keeps `batches` of what it had not persisted.
    pub(super) fn kill(self, batches: u64) -> Self {
        let (sim, store) = (self.sim.after_kill(), self.store.crash_keeping(batches));
        drop(self.node);
        Self::open(sim, store).unwrap()
    }

    /// A good end and a new start.
    pub(super) fn restart(self) -> Self {
        self.node.close().unwrap();
        let Self { sim, store, .. } = self;
        drop(self.node);
        Self::open(sim, store).unwrap()
    }

    /// The same segments, an empty index.
    pub(super) fn lose_index(self) -> Self {
        let Self { sim, .. } = self;
        drop(self.node);
        Self::open(sim, MemoryStore::new()).unwrap()
    }

    pub(super) fn begin(&self, name: Name) -> Result<Box<dyn ShardUpload>, ShardError> {
        now(self.node.prepare(name.header(self.disk)))
    }

    pub(super) fn put(&self, name: Name) -> Result<ShardReceipt, ShardError> {
        let mut upload = self.begin(name)?;
        now(upload.write(&name.cells()))?;
        now(upload.finish(name.trailer()))
    }

    pub(super) fn also_put(self, name: Name) -> Self {
        self.put(name).unwrap();
        self
    }

    pub(super) fn delete(&self, name: Name) -> Result<(), ShardError> {
        now(self.node.delete(self.disk, 1, &[name.delete()]))
    }

    /// Reads a whole shard; wrong bytes end the test.
    pub(super) fn get(&self, name: Name) -> Found {
        match now(self.node.read(name.read(self.disk))) {
            Ok(found) => {
                assert_eq!(found.cells, name.cells(), "wrong bytes of {name:?}");
                assert_eq!(
                    found.cell_table,
                    Some(name.table()),
                    "wrong table of {name:?}"
                );
                Found::Exact
            }
            Err(ShardError::Missing) => Found::Missing,
            Err(ShardError::Corrupt(_)) => Found::Corrupt,
            Err(other) => panic!("{name:?}: {other}"),
        }
    }

    /// Reclaims and compacts until there is nothing left to do.
    pub(super) fn care(&self) {
        for _ in 0..200 {
            match self.node.care_step(self.disk).unwrap() {
                Progress::Idle => return,
                Progress::Worked(_) => {}
                Progress::Stopped => panic!("care stopped: {:?}", self.node.disks()),
            }
        }
        panic!("care does not end");
    }

    /// Where the live record lies: its file and its first byte.
    pub(super) fn place(&self, name: Name) -> (String, u64, u64) {
        let entry = self
            .volume()
            .locate(name.incarnation(), name.shard)
            .unwrap()
            .unwrap();
        let file = format!("segments/{:016x}.seg", entry.place.segment);
        (file, entry.place.offset(), entry.shape.len())
    }

    pub(super) fn segments(&self) -> Vec<u64> {
        self.volume().ledger().segments.keys().copied().collect()
    }
}
