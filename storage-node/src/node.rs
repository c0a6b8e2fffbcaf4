//! A node: its disks behind [`ShardService`].

mod care;
mod fence;
mod inventory;
mod partitions;
mod repair;
mod report;
mod threads;
mod upload;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU16;

use async_trait::async_trait;
use cairn_model::{DiskId, Incarnation, NodeId, limits};
use cairn_rpc::{
    ShardCells, ShardDelete, ShardError, ShardFound, ShardHeader, ShardRead, ShardService,
    ShardUpload,
};
use cairn_world::{Bug, Disk, Entropy, buggify, planted};
use tokio::sync::{Semaphore, oneshot};

use crate::background::Progress;
use crate::format::Shape;
use crate::settings::{Drive, Settings};
use crate::tuning::OPEN_UPLOADS;
use crate::volume::{
    Damage, IndexEngine, Job, OpenError, Purpose, Reservation, ScrubCounts, Volume,
};
use care::Care;
use partitions::{Access, Partitions};
pub use partitions::{PlacementNews, RowNews};
use repair::Rebuilds;
pub(crate) use repair::{Repair, Standing};
pub use report::{DiskReport, DiskState, DiskStatus};
use threads::DiskThreads;
use upload::Upload;

/// One data directory and the engine of its index.
pub struct DiskSource {
    /// The directory.
    pub disk: Arc<dyn Disk>,
    /// A store used for nothing else. It may be empty: it is filled from the directory.
    pub index: Box<dyn IndexEngine>,
}

impl std::fmt::Debug for DiskSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DiskSource({:?})", self.disk)
    }
}

/// One open disk.
#[derive(Debug)]
struct OpenDisk {
    position: usize,
    volume: Arc<Volume>,
    uploads: Arc<Semaphore>,
    rebuilds: Rebuilds,
    care: Arc<Care>,
    /// `None` inline.
    threads: Option<DiskThreads>,
}

/// The shard store of one node. Dropped without [`StorageNode::close`], the next start scans the
/// segments that were being filled.
#[derive(Debug)]
pub struct StorageNode {
    node: NodeId,
    disks: BTreeMap<DiskId, Arc<OpenDisk>>,
    unopened: Vec<(usize, String)>,
    partitions: Partitions,
    /// Writings of generations before it are refused.
    generation: Arc<AtomicU16>,
}

impl StorageNode {
    /// Opens (or, where a directory holds nothing yet, creates) the store of `node` of the cluster
    /// named `cluster` on `disks`. A disk that cannot be opened is left out and listed by
    /// [`StorageNode::disks`]. Blocks while segments are scanned.
    ///
    /// # Errors
    /// Settings, or the first disk's error where none could be opened.
    pub fn open(
        cluster: [u8; 16],
        node: NodeId,
        disks: Vec<DiskSource>,
        settings: &Settings,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        settings.check()?;
        let mut opened = Self {
            node,
            disks: BTreeMap::new(),
            unopened: Vec::new(),
            partitions: Partitions::default(),
            generation: Arc::default(),
        };
        let mut first_error = None;
        for (position, source) in disks.into_iter().enumerate() {
            let volume = Volume::open(
                source.disk,
                source.index.as_ref(),
                cluster,
                node,
                settings.clone(),
                Arc::clone(entropy),
            );
            if let Err(error) = volume.and_then(|volume| opened.add(position, volume)) {
                tracing::error!(position, %error, "disk cannot be opened");
                opened.unopened.push((position, error.to_string()));
                first_error.get_or_insert(error);
            }
        }
        match first_error {
            Some(error) if opened.disks.is_empty() => Err(error),
            _ => Ok(opened),
        }
    }

    fn add(&mut self, position: usize, volume: Arc<Volume>) -> Result<(), OpenError> {
        if self.disks.contains_key(&volume.id()) {
            return Err(OpenError::Twice);
        }
        self.keep_fence(&volume);
        volume.look_at_room();
        let care = Arc::new(Care::new(&volume));
        let threads = match volume.settings.drive {
            Drive::Threads => Some(DiskThreads::start(&volume, &care)?),
            Drive::Inline => None,
        };
        let disk = OpenDisk {
            position,
            volume,
            uploads: Arc::new(Semaphore::new(OPEN_UPLOADS)),
            rebuilds: Rebuilds::default(),
            care,
            threads,
        };
        self.disks.insert(disk.volume.id(), Arc::new(disk));
        Ok(())
    }

    /// The node's name.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.node
    }

    /// Tells the node rows of the partition table. Of each row the newest counts; kept in memory.
    /// Calls placed by an older row are answered `StaleEpoch` from then on.
    ///
    /// # Errors
    /// `Refused` for what is no partition table.
    pub fn learn_partitions(&self, news: &PlacementNews) -> Result<(), ShardError> {
        self.partitions.learn(news, |disk| self.has(disk))
    }

    /// The epoch that a caller knew and the node does not, if there was one since it last learnt;
    /// 0 before it learns anything.
    #[must_use]
    pub fn wants_partitions(&self) -> Option<u64> {
        self.partitions.wanted()
    }

    /// Returns once the node wants partitions; for one task, which reads the table and tells. It
    /// paces itself: a caller with an epoch that never was would have it read on and on.
    pub async fn until_partitions_are_wanted(&self) -> u64 {
        self.partitions.until_wanted().await
    }

    /// Live shards on a disk behind `after`, at most `limit`, in order of (incarnation, shard).
    ///
    /// # Errors
    /// `NotMine`, `Failed`.
    pub fn inventory(
        &self,
        disk: DiskId,
        after: Option<(Incarnation, u8)>,
        limit: usize,
    ) -> Result<Vec<ShardFound>, ShardError> {
        self.disk(disk)?.volume.inventory(after, limit)
    }

    /// Takes the shards of a disk found damaged by reads and scrubs since the last call.
    ///
    /// # Errors
    /// `NotMine`.
    pub fn take_damage(&self, disk: DiskId) -> Result<Vec<Damage>, ShardError> {
        Ok(self.disk(disk)?.volume.take_damage())
    }

    /// One step of reclaiming and compaction: what a simulation calls instead of the caretaker
    /// thread.
    ///
    /// # Errors
    /// `NotMine`.
    pub fn care_step(&self, disk: DiskId) -> Result<Progress, ShardError> {
        Ok(self.disk(disk)?.care.step())
    }

    /// One step of scrubbing, and what has been seen so far. [`Progress::Idle`] ends a pass.
    ///
    /// # Errors
    /// `NotMine`.
    pub fn scrub_step(&self, disk: DiskId) -> Result<(Progress, ScrubCounts), ShardError> {
        Ok(self.disk(disk)?.care.scrub_step())
    }

    /// Checks every live record of a disk now; gives what this one pass saw. Blocks.
    ///
    /// # Errors
    /// `NotMine`, `Failed`.
    pub fn verify_all(&self, disk: DiskId) -> Result<ScrubCounts, ShardError> {
        Care::verify_all(&self.disk(disk)?.volume)
    }

    /// Takes no more work, finishes what is queued, ends the threads and marks the indexes clean,
    /// so that the next start reads no segment. Blocks. Uploads still open fail.
    ///
    /// # Errors
    /// The first disk that could not be closed well; the others are.
    pub fn close(&self) -> Result<(), ShardError> {
        let outcomes: Vec<_> = self
            .disks
            .values()
            .map(|disk| {
                if let Some(threads) = &disk.threads {
                    threads.stop_work();
                }
                let closed = disk.volume.close();
                if let Some(threads) = &disk.threads {
                    threads.stop();
                }
                closed
            })
            .collect();
        outcomes.into_iter().collect()
    }

    /// Whether the disk is here.
    pub(crate) fn has(&self, disk: DiskId) -> bool {
        self.disks.contains_key(&disk)
    }

    #[cfg(test)]
    pub(crate) fn volume(&self, disk: DiskId) -> &Arc<Volume> {
        &self.disks[&disk].volume
    }

    fn disk(&self, disk: DiskId) -> Result<&Arc<OpenDisk>, ShardError> {
        self.disks.get(&disk).ok_or(ShardError::NotMine)
    }

    /// The disk, for a call about a writing placed by `epoch`.
    fn disk_at(
        &self,
        disk: DiskId,
        incarnation: Incarnation,
        epoch: u64,
        access: Access,
    ) -> Result<&Arc<OpenDisk>, ShardError> {
        let open = self.disk(disk)?;
        self.partitions.check(disk, incarnation, epoch, access)?;
        Ok(open)
    }

    /// What a client's record must be like before anything is reserved.
    fn shape(&self, header: &ShardHeader) -> Result<Shape, ShardError> {
        fence::check(&self.generation, header.incarnation.generation)?;
        if usize::from(header.shard) >= header.coding.shards() {
            return Err(ShardError::Refused("no such shard in this coding"));
        }
        if header.chunk_len > limits::CHUNK_LEN_MAX {
            return Err(ShardError::Refused("chunk is too long"));
        }
        Ok(Shape {
            incarnation: header.incarnation,
            shard: header.shard,
            coding: header.coding,
            chunk_len: header.chunk_len,
        })
    }
}

impl OpenDisk {
    /// Runs `work` on a reader thread, or here where there is none.
    async fn on_reader<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Volume) -> Result<T, ShardError> + Send + 'static,
    ) -> Result<T, ShardError> {
        let Some(threads) = &self.threads else {
            return work(&self.volume);
        };
        let volume = Arc::clone(&self.volume);
        let outcome = threads.readers.send(move || work(&volume))?;
        outcome.await.map_err(|_| lost())?
    }

    /// Room for a client's record.
    async fn reserve(&self, units: u32) -> Result<Arc<Reservation>, ShardError> {
        if units <= self.volume.record_units_max()
            && let Some(reservation) = Reservation::quickly(&self.volume, units)?
        {
            return Ok(reservation);
        }
        self.reserve_for(units, Purpose::Client(units)).await
    }

    /// Room for a record of `units`, on a writer thread where there is one.
    async fn reserve_for(
        &self,
        units: u32,
        purpose: Purpose,
    ) -> Result<Arc<Reservation>, ShardError> {
        if units > self.volume.record_units_max() {
            return Err(ShardError::Refused("record is larger than a segment"));
        }
        let volume = Arc::clone(&self.volume);
        let Some(threads) = &self.threads else {
            return Reservation::new(&volume, purpose);
        };
        let outcome = threads
            .writers
            .send(move || Reservation::new(&volume, purpose))?;
        outcome.await.map_err(|_| lost())?
    }

    async fn commit(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<(), ShardError>>) -> Job,
    ) -> Result<(), ShardError> {
        let (ack, outcome) = oneshot::channel();
        self.volume.submit(job(ack))?;
        outcome.await.map_err(|_| lost())?
    }
}

/// A thread ended with the work undone: only while closing.
fn lost() -> ShardError {
    ShardError::Unavailable("disk is closing".to_owned())
}

#[async_trait]
impl ShardService for StorageNode {
    async fn prepare(&self, header: ShardHeader) -> Result<Box<dyn ShardUpload>, ShardError> {
        let (stamp, epoch) = (header.incarnation, header.epoch);
        let disk = self.disk_at(header.disk, stamp, epoch, Access::Write)?;
        let shape = self.shape(&header)?;
        let units = shape
            .units()
            .ok_or(ShardError::Refused("record is too long"))?;
        let permit = Arc::clone(&disk.uploads).try_acquire_owned().ok();
        let permit = permit.filter(|_| !buggify("node-takes-no-upload"));
        let busy = || ShardError::Unavailable("too many open uploads".to_owned());
        let permit = permit.ok_or_else(busy)?;
        let reservation = disk.reserve(units).await?;
        Ok(Box::new(Upload::new(
            Arc::clone(disk),
            shape,
            reservation,
            Some((permit, Arc::clone(&self.generation))),
        )))
    }

    async fn read(&self, read: ShardRead) -> Result<ShardCells, ShardError> {
        let disk = self.disk_at(read.disk, read.incarnation, read.epoch, Access::Read)?;
        if buggify("node-takes-no-read") {
            return Err(ShardError::Unavailable("not now".to_owned()));
        }
        disk.on_reader(move |volume| volume.read(&read)).await
    }

    async fn delete(
        &self,
        disk: DiskId,
        generation: u16,
        deletes: &[ShardDelete],
    ) -> Result<(), ShardError> {
        let disk = self.disk(disk)?;
        fence::check(&self.generation, generation)?;
        let mut deletes = deletes.to_vec();
        if planted(Bug::DeletesByChunk) {
            deletes = disk.volume.all_writings(&deletes)?;
        }
        disk.commit(|ack| Job::Delete { deletes, ack }).await
    }

    async fn space(&self, disk: DiskId) -> Result<(u64, u64), ShardError> {
        let disk = self.disk(disk)?;
        disk.volume.check()?;
        disk.on_reader(Volume::room).await
    }
}

#[cfg(test)]
mod tests;
