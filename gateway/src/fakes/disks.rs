//! Shards in memory, with a fault per disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::{DiskId, Incarnation};
use cairn_rpc::{
    DiskRoute, ShardCells, ShardDelete, ShardError, ShardHeader, ShardRead, ShardReceipt,
    ShardRoutes, ShardService, ShardTrailer, ShardUpload,
};
use crc_fast::CrcAlgorithm::Crc32Iscsi;
use crc_fast::checksum;
use tokio::sync::Semaphore;

/// What a disk does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// No room.
    Full,
    /// Takes the reservation, fails at the first write.
    FailsWrite,
    /// Takes every cell, fails to seal.
    FailsFinish,
    /// Seals, but answers with a receipt for another shard.
    LiesInReceipt,
    /// Never answers any more.
    Hangs,
    /// Its node cannot be reached.
    Away,
    /// Knows a newer epoch than anyone else, so many times.
    Stale(u32),
    /// Its node runs without it.
    NotMine,
    /// Has lost what it had.
    Missing,
    /// Says its records are bad.
    Corrupt,
    /// Gives wrong bytes as if they were right.
    FlipsBits,
    /// Gives a wrong cell table, and right cells.
    WrongTable,
}

/// A sealed shard.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) header: ShardHeader,
    pub(crate) cells: Vec<Bytes>,
    pub(crate) trailer: ShardTrailer,
}

/// Where a sealed shard lies.
pub(crate) type Place = (DiskId, Incarnation, u8);

#[derive(Debug, Default)]
struct State {
    sealed: BTreeMap<Place, Sealed>,
    faults: BTreeMap<DiskId, DiskFault>,
    /// When their nodes were back.
    back: BTreeMap<DiskId, Duration>,
    prepared: usize,
    dropped: usize,
    reads: usize,
    reads_of: BTreeMap<DiskId, usize>,
    reads_at_once: usize,
    most_reads_at_once: usize,
}

/// Any number of disks of one node.
#[derive(Clone, Debug)]
pub(crate) struct FakeDisks {
    state: Arc<Mutex<State>>,
    /// Writes take a permit each; none left: the disk is behind.
    pub(crate) writes: Arc<Semaphore>,
    /// Seals take a permit each.
    pub(crate) seals: Arc<Semaphore>,
}

impl FakeDisks {
    pub(crate) fn new() -> Self {
        Self {
            state: Arc::default(),
            writes: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            seals: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        }
    }

    pub(crate) fn id(index: u8) -> DiskId {
        DiskId([index + 1; 16])
    }

    /// The ways to `count` disks.
    pub(crate) fn routes(&self, count: u8) -> Arc<dyn ShardRoutes> {
        Arc::new(FakeRoutes {
            disks: self.clone(),
            ids: (0..count).map(Self::id).collect(),
        })
    }

    /// The node of a disk was away, and is back at that moment.
    pub(crate) fn came_back(&self, index: u8, at: Duration) {
        let mut state = self.state.lock().unwrap();
        state.back.insert(Self::id(index), at);
    }

    pub(crate) fn fault(&self, index: u8, fault: DiskFault) {
        self.state
            .lock()
            .unwrap()
            .faults
            .insert(Self::id(index), fault);
    }

    pub(crate) fn heal(&self) {
        self.state.lock().unwrap().faults.clear();
    }

    pub(crate) fn sealed(&self) -> BTreeMap<Place, Sealed> {
        self.state.lock().unwrap().sealed.clone()
    }

    pub(crate) fn edit(&self, edit: impl FnOnce(&mut BTreeMap<Place, Sealed>)) {
        edit(&mut self.state.lock().unwrap().sealed);
    }

    /// (prepared, dropped unfinished).
    pub(crate) fn uploads(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.prepared, state.dropped)
    }

    /// (reads so far, most of them at once).
    pub(crate) fn reads(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.reads, state.most_reads_at_once)
    }

    /// Reads that one disk was asked for.
    pub(crate) fn reads_of(&self, index: u8) -> usize {
        let state = self.state.lock().unwrap();
        state
            .reads_of
            .get(&Self::id(index))
            .copied()
            .unwrap_or_default()
    }

    /// The fault that strikes this call; a counted one wears off.
    fn strike(&self, disk: DiskId) -> Option<DiskFault> {
        let mut state = self.state.lock().unwrap();
        let fault = *state.faults.get(&disk)?;
        match fault {
            DiskFault::Stale(0) => {
                state.faults.remove(&disk);
                None
            }
            DiskFault::Stale(left) => {
                state.faults.insert(disk, DiskFault::Stale(left - 1));
                Some(fault)
            }
            _ => Some(fault),
        }
    }

    fn read_sealed(&self, read: &ShardRead) -> Result<ShardCells, ShardError> {
        let state = self.state.lock().unwrap();
        let sealed = state
            .sealed
            .get(&(read.disk, read.incarnation, read.shard))
            .ok_or(ShardError::Missing)?;
        if sealed.trailer.chunk != read.chunk {
            return Err(ShardError::Corrupt("another chunk".to_owned()));
        }
        let first = usize::try_from(read.first_cell).unwrap();
        let cells = sealed.cells.iter().skip(first);
        let cells: Vec<Bytes> = cells.take(read.cells as usize).cloned().collect();
        Ok(ShardCells {
            checksums: Some(cells.iter().map(crc_of).collect()),
            cells,
            cell_table: read
                .with_table
                .then(|| Arc::clone(&sealed.trailer.cell_table)),
        })
    }
}

#[derive(Debug)]
struct FakeRoutes {
    disks: FakeDisks,
    ids: Vec<DiskId>,
}

impl ShardRoutes for FakeRoutes {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        self.is_reachable(disk)
            .then(|| Arc::new(self.disks.clone()) as _)
    }

    fn route(&self, _: DiskId) -> Option<DiskRoute> {
        None
    }

    fn disks(&self) -> Vec<DiskId> {
        self.ids.clone()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        self.ids.contains(&disk)
    }

    fn is_back_since(&self, disk: DiskId, moment: Duration) -> bool {
        let state = self.disks.state.lock().unwrap();
        state.back.get(&disk).is_some_and(|back| *back > moment)
    }
}

fn away() -> ShardError {
    ShardError::Unavailable("away".to_owned())
}

fn flip(found: &mut ShardCells) {
    for cell in &mut found.cells {
        let mut bytes = cell.to_vec();
        bytes[0] ^= 0x40;
        *cell = Bytes::from(bytes);
    }
    found.checksums = Some(found.cells.iter().map(crc_of).collect());
}

fn crc_of(cell: &Bytes) -> u32 {
    u32::try_from(checksum(Crc32Iscsi, cell)).unwrap()
}

#[async_trait]
impl ShardService for FakeDisks {
    async fn prepare(&self, header: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        let fault = self.strike(header.disk);
        match fault {
            Some(DiskFault::Full) => return Err(ShardError::Full),
            Some(DiskFault::Hangs) => std::future::pending().await,
            Some(DiskFault::Away) => return Err(away()),
            Some(DiskFault::NotMine) => return Err(ShardError::NotMine),
            Some(DiskFault::Stale(_)) => {
                return Err(ShardError::StaleEpoch {
                    current: header.epoch + 1,
                });
            }
            _ => {}
        }
        self.state.lock().unwrap().prepared += 1;
        Ok(Box::new(FakeUpload {
            disks: self.clone(),
            header,
            fault,
            cells: Vec::new(),
            finished: false,
        }))
    }

    async fn read(&self, read: ShardRead) -> Result<ShardCells, ShardError> {
        let fault = self.strike(read.disk);
        {
            let mut state = self.state.lock().unwrap();
            state.reads += 1;
            *state.reads_of.entry(read.disk).or_default() += 1;
            state.reads_at_once += 1;
            state.most_reads_at_once = state.most_reads_at_once.max(state.reads_at_once);
        }
        tokio::task::yield_now().await;
        self.state.lock().unwrap().reads_at_once -= 1;
        match fault {
            Some(DiskFault::Hangs) => std::future::pending().await,
            Some(DiskFault::Away) => return Err(away()),
            Some(DiskFault::NotMine) => return Err(ShardError::NotMine),
            Some(DiskFault::Missing) => return Err(ShardError::Missing),
            Some(DiskFault::Corrupt) => return Err(ShardError::Corrupt("bad record".to_owned())),
            Some(DiskFault::Stale(_)) => {
                return Err(ShardError::StaleEpoch {
                    current: read.epoch + 1,
                });
            }
            _ => {}
        }
        let mut given = self.read_sealed(&read)?;
        if fault == Some(DiskFault::FlipsBits) {
            flip(&mut given);
        }
        if fault == Some(DiskFault::WrongTable) {
            given.cell_table = given
                .cell_table
                .map(|table| table.iter().map(|crc| !crc).collect());
        }
        Ok(given)
    }

    async fn delete(
        &self,
        disk: DiskId,
        _: u16,
        deletes: &[ShardDelete],
    ) -> Result<(), ShardError> {
        let mut state = self.state.lock().unwrap();
        state.sealed.retain(|(on, incarnation, _), sealed| {
            let named = ShardDelete {
                chunk: sealed.trailer.chunk,
                incarnation: *incarnation,
            };
            *on != disk || !deletes.contains(&named)
        });
        Ok(())
    }

    async fn space(&self, disk: DiskId) -> Result<(u64, u64), ShardError> {
        match self.strike(disk) {
            Some(DiskFault::Full) => Ok((0, 1 << 40)),
            Some(DiskFault::FailsWrite) => Err(ShardError::Failed("EIO".to_owned())),
            _ => Ok((1 << 40, 1 << 40)),
        }
    }
}

#[derive(Debug)]
struct FakeUpload {
    disks: FakeDisks,
    header: ShardHeader,
    fault: Option<DiskFault>,
    cells: Vec<Bytes>,
    finished: bool,
}

impl Drop for FakeUpload {
    fn drop(&mut self) {
        if !self.finished {
            self.disks.state.lock().unwrap().dropped += 1;
        }
    }
}

#[async_trait]
impl ShardUpload for FakeUpload {
    async fn write(&mut self, cells: &[Bytes]) -> Result<(), ShardError> {
        self.disks.writes.acquire().await.unwrap().forget();
        if self.fault == Some(DiskFault::FailsWrite) {
            return Err(ShardError::Failed("EIO".to_owned()));
        }
        self.cells.extend_from_slice(cells);
        Ok(())
    }

    async fn finish(
        mut self: Box<Self>,
        trailer: ShardTrailer,
    ) -> Result<ShardReceipt, ShardError> {
        self.disks.seals.acquire().await.unwrap().forget();
        if self.fault == Some(DiskFault::FailsFinish) {
            return Err(ShardError::Failed("EIO".to_owned()));
        }
        let length: u64 = self.cells.iter().map(|cell| cell.len() as u64).sum();
        assert_eq!(length, self.header.coding.shard_len(self.header.chunk_len));
        self.finished = true;
        let ShardHeader {
            disk,
            incarnation,
            shard,
            ..
        } = self.header;
        let sealed = Sealed {
            header: self.header,
            cells: std::mem::take(&mut self.cells),
            trailer,
        };
        let mut state = self.disks.state.lock().unwrap();
        let before = state.sealed.insert((disk, incarnation, shard), sealed);
        assert!(before.is_none(), "an incarnation was used twice");
        let lie = u8::from(self.fault == Some(DiskFault::LiesInReceipt));
        Ok(ShardReceipt {
            disk,
            incarnation,
            shard: shard + lie,
        })
    }
}
