//! A chunk over a fleet of one-disk nodes, and sources that misbehave.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use cairn_erasure::{CellTable, StripeEncoder};
use cairn_model::{ChunkId, Coding, DiskId, DomainId, Incarnation, NodeId, SessionId, Sha256};
use cairn_rpc::{
    Rebuild, Rebuilt, ShardCells, ShardDelete, ShardError, ShardHeader, ShardRead, ShardRebuild,
    ShardRoutes, ShardService, ShardTrailer, ShardUpload,
};
use cairn_store::MemoryStore;
use cairn_world::Entropy;
use cairn_world::sim::{SimClock, SimDisk, SimEntropy};

use crate::{DiskSource, Rebuilder, Settings, StorageNode};

pub(super) const SEGMENT: u64 = 1 << 20;

/// Inline, every call is done when it returns.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    poll(&mut std::pin::pin!(future)).expect("an inline call did not finish")
}

pub(super) fn poll<T>(future: &mut std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// A coded chunk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) id: ChunkId,
    pub(super) incarnation: Incarnation,
    pub(super) coding: Coding,
    pub(super) len: u64,
    pub(super) table: CellTable,
    /// By shard, by stripe.
    pub(super) shards: Vec<Vec<Bytes>>,
}

pub(super) fn coding(k: u8, m: u8) -> Coding {
    Coding::from_parts(k, m, 4_096, Coding::LAYOUT).unwrap()
}

impl Chunk {
    pub(super) fn new(coding: Coding, len: u64, seed: u64) -> Self {
        let mut plain = BytesMut::zeroed(len as usize);
        SimEntropy::new(seed).fill(&mut plain);
        let mut encoder = StripeEncoder::new(coding, len).unwrap();
        let mut shards = vec![Vec::new(); coding.shards()];
        for stripe in encoder.push(plain).unwrap() {
            let each = stripe.cells.into_iter().zip(&mut shards);
            each.for_each(|(cell, shard)| shard.push(cell));
        }
        let digest = [seed.to_le_bytes(); 4].concat().try_into().unwrap();
        Self {
            id: ChunkId {
                domain: DomainId(3),
                sha256: Sha256(digest),
            },
            incarnation: Incarnation {
                group: 0,
                generation: 1,
                session: SessionId(7),
                counter: seed,
            },
            coding,
            len,
            table: encoder.finish().unwrap(),
            shards,
        }
    }

    pub(super) fn header(&self, shard: u8, disk: DiskId) -> ShardHeader {
        ShardHeader {
            disk,
            epoch: 1,
            incarnation: self.incarnation,
            shard,
            coding: self.coding,
            chunk_len: self.len,
        }
    }

    pub(super) fn trailer(&self) -> ShardTrailer {
        ShardTrailer {
            chunk: self.id,
            cell_table: Arc::clone(self.table.entries()),
        }
    }

    pub(super) fn read(&self, shard: u8, disk: DiskId) -> ShardRead {
        ShardRead {
            disk,
            epoch: 1,
            chunk: self.id,
            incarnation: self.incarnation,
            shard,
            first_cell: 0,
            cells: u32::MAX,
            with_table: true,
        }
    }
}

/// A node with one disk.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) sim: SimDisk,
    pub(super) store: MemoryStore,
    pub(super) node: Arc<StorageNode>,
    pub(super) disk: DiskId,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let sim = SimDisk::new(seed);
        sim.set_capacity(64 << 20);
        Self::open(sim, MemoryStore::new(), seed)
    }

    pub(super) fn open(sim: SimDisk, store: MemoryStore, seed: u64) -> Self {
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(seed * 1_000 + sim.operations()));
        let source = DiskSource {
            disk: Arc::new(sim.clone()),
            index: Box::new(store.clone()),
        };
        let settings = Settings::inline(SEGMENT);
        let node = StorageNode::open([9; 16], NodeId(5), vec![source], &settings, &entropy);
        let node = Arc::new(node.unwrap());
        let disk = node.disks()[0].disk.unwrap();
        Self {
            sim,
            store,
            node,
            disk,
        }
    }

    pub(super) fn crash(&self, seed: u64, batches: u64) -> Self {
        let (sim, store) = (
            self.sim.after_crash(seed),
            self.store.crash_keeping(batches),
        );
        Self::open(sim, store, seed + 100)
    }

    pub(super) fn put(&self, chunk: &Chunk, shard: u8) {
        let cells = &chunk.shards[usize::from(shard)];
        self.put_cells(chunk, shard, cells, chunk.trailer());
    }

    pub(super) fn put_cells(
        &self,
        chunk: &Chunk,
        shard: u8,
        cells: &[Bytes],
        trailer: ShardTrailer,
    ) {
        let mut upload = now(self.node.prepare(chunk.header(shard, self.disk))).unwrap();
        now(upload.write(cells)).unwrap();
        now(upload.finish(trailer)).unwrap();
    }

    /// Whether exactly the shard is there; anything else that reads well ends the test.
    pub(super) fn has(&self, chunk: &Chunk, shard: u8) -> bool {
        match now(self.node.read(chunk.read(shard, self.disk))) {
            Ok(found) => {
                assert_eq!(found.cells, chunk.shards[usize::from(shard)], "wrong bytes");
                let table = found.cell_table.unwrap();
                assert_eq!(table, *chunk.table.entries(), "wrong table");
                true
            }
            Err(ShardError::Missing | ShardError::Corrupt(_)) => false,
            Err(other) => panic!("{other}"),
        }
    }

    /// The file, and the first byte of the live record.
    pub(super) fn place(&self, chunk: &Chunk, shard: u8) -> (String, u64) {
        let volume = self.node.volume(self.disk);
        let entry = volume.locate(chunk.incarnation, shard).unwrap().unwrap();
        let file = format!("segments/{:016x}.seg", entry.place.segment);
        (file, entry.place.offset())
    }

    /// Flips a bit of a stored cell.
    pub(super) fn spoil(&self, chunk: &Chunk, shard: u8, cell: u64) {
        let (file, at) = self.place(chunk, shard);
        let volume = self.node.volume(self.disk);
        let entry = volume.locate(chunk.incarnation, shard).unwrap().unwrap();
        let offset = at + entry.shape.cell_offset(cell) + 9;
        self.sim.flip(&file, offset, 3).unwrap();
    }
}

/// What a source does when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Honest,
    Fails(ShardError),
    /// Never answers.
    Silent,
    /// One bit of every cell is wrong.
    Flips,
    /// The cells of another chunk, with the right table.
    OtherCells,
    /// Another chunk's record whole.
    OtherRecord,
    /// The right cells, another table.
    WrongTable,
    /// The right cells, no table.
    NoTable,
    /// Another shard's cells of the right chunk.
    OtherShard,
    /// All but the last cell.
    Short,
    /// Every cell a byte short.
    Clipped,
}

/// A disk's service with a mood.
#[derive(Debug)]
pub(super) struct Moody {
    pub(super) chunk: Chunk,
    pub(super) other: Chunk,
    pub(super) shard: u8,
    pub(super) mood: Mutex<Mood>,
    pub(super) reads: Mutex<Vec<ShardRead>>,
}

fn slice(cells: &[Bytes], read: &ShardRead) -> Vec<Bytes> {
    let from = (read.first_cell as usize).min(cells.len());
    let rest = &cells[from..];
    rest[..(read.cells as usize).min(rest.len())].to_vec()
}

#[async_trait]
impl ShardService for Moody {
    async fn prepare(&self, _: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        panic!("a source is only read");
    }

    async fn read(&self, read: ShardRead) -> Result<ShardCells, ShardError> {
        self.reads.lock().unwrap().push(read);
        let mood = self.mood.lock().unwrap().clone();
        let own = usize::from(self.shard);
        let mut cells = slice(&self.chunk.shards[own], &read);
        let mut table = Arc::clone(self.chunk.table.entries());
        let mut with_table = read.with_table;
        match mood {
            Mood::Honest => {}
            Mood::Fails(error) => return Err(error),
            Mood::Silent => std::future::pending().await,
            Mood::Flips => {
                for cell in &mut cells {
                    let mut bytes = cell.to_vec();
                    bytes[0] ^= 0x10;
                    *cell = bytes.into();
                }
            }
            Mood::OtherCells => cells = slice(&self.other.shards[own], &read),
            Mood::OtherRecord => {
                cells = slice(&self.other.shards[own], &read);
                table = Arc::clone(self.other.table.entries());
            }
            Mood::WrongTable => table = Arc::clone(self.other.table.entries()),
            Mood::NoTable => with_table = false,
            Mood::OtherShard => {
                let other = (own + 1) % self.chunk.shards.len();
                cells = slice(&self.chunk.shards[other], &read);
            }
            Mood::Short => drop(cells.pop()),
            Mood::Clipped => cells.iter_mut().for_each(|c| *c = c.slice(1..)),
        }
        let cell_table = with_table.then_some(table);
        Ok(ShardCells {
            cells,
            checksums: None,
            cell_table,
        })
    }

    async fn delete(&self, _: DiskId, _: u16, _: &[ShardDelete]) -> Result<(), ShardError> {
        panic!("a source is only read");
    }

    async fn space(&self, _: DiskId) -> Result<(u64, u64), ShardError> {
        panic!("a source is only read");
    }
}

/// One real disk, and a moody source for every shard.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) chunk: Chunk,
    pub(super) target: Machine,
    pub(super) sources: Vec<Arc<Moody>>,
    pub(super) clock: SimClock,
}

/// The disk of a moody source.
pub(super) fn source_disk(shard: u8) -> DiskId {
    DiskId([0xa0 + shard; 16])
}

impl Fleet {
    pub(super) fn new(coding: Coding, len: u64) -> Self {
        let chunk = Chunk::new(coding, len, 11);
        let other = Chunk::new(coding, len, 12);
        let source = |shard| {
            Arc::new(Moody {
                chunk: chunk.clone(),
                other: other.clone(),
                shard,
                mood: Mutex::new(Mood::Honest),
                reads: Mutex::default(),
            })
        };
        Self {
            sources: (0..coding.shards() as u8).map(source).collect(),
            target: Machine::new(5),
            clock: SimClock::new(),
            chunk,
        }
    }

    pub(super) fn set(&self, shard: u8, mood: Mood) {
        *self.sources[usize::from(shard)].mood.lock().unwrap() = mood;
    }

    /// The reads a source saw since the last call.
    pub(super) fn reads(&self, shard: u8) -> Vec<ShardRead> {
        std::mem::take(&mut self.sources[usize::from(shard)].reads.lock().unwrap())
    }

    /// Every shard but the wanted one is a source.
    pub(super) fn order(&self, shard: u8) -> Rebuild {
        let all = 0..self.chunk.coding.shards() as u8;
        Rebuild {
            chunk: self.chunk.id,
            incarnation: self.chunk.incarnation,
            coding: self.chunk.coding,
            chunk_len: self.chunk.len,
            table_digest: self.chunk.table.digest(),
            shard,
            disk: self.target.disk,
            epoch: 1,
            thorough: false,
            sources: all
                .filter(|other| *other != shard)
                .map(|shard| (shard, source_disk(shard)))
                .collect(),
        }
    }

    pub(super) fn rebuilder(&self) -> Rebuilder {
        let routes: BTreeMap<DiskId, Arc<dyn ShardService>> = (0..)
            .zip(&self.sources)
            .map(|(shard, source)| (source_disk(shard), Arc::clone(source) as _))
            .collect();
        let routes: Arc<dyn ShardRoutes> = Arc::new(routes);
        Rebuilder::new(
            Arc::clone(&self.target.node),
            routes,
            Arc::new(self.clock.clone()),
        )
    }

    pub(super) fn rebuild(&self, order: Rebuild) -> Result<Rebuilt, ShardError> {
        now(self.rebuilder().rebuild(order))
    }
}
