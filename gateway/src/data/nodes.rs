//! Which storage node serves a disk, and which disks are better left alone for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_model::DiskId;
use cairn_rpc::ShardService;
use cairn_world::Clock;

use crate::tuning;

/// A disk that failed lately.
#[derive(Clone, Copy, Debug)]
struct Down {
    until: Duration,
    pause: Duration,
}

/// The storage nodes by disk, and a short memory of failures. The memory only steers: a disk in it
/// is passed over by new writes while others do, and is asked last by reads.
#[derive(Debug)]
pub(crate) struct Nodes {
    services: BTreeMap<DiskId, Arc<dyn ShardService>>,
    clock: Arc<dyn Clock>,
    down: Mutex<BTreeMap<DiskId, Down>>,
}

impl Nodes {
    pub(crate) fn new(
        services: Vec<(DiskId, Arc<dyn ShardService>)>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            services: services.into_iter().collect(),
            clock,
            down: Mutex::default(),
        }
    }

    /// The node that serves a disk.
    pub(crate) fn service(&self, disk: DiskId) -> Option<&Arc<dyn ShardService>> {
        self.services.get(&disk)
    }

    /// All disks with their nodes.
    pub(crate) fn all(&self) -> impl Iterator<Item = (DiskId, &Arc<dyn ShardService>)> {
        self.services.iter().map(|(disk, service)| (*disk, service))
    }

    fn down(&self) -> MutexGuard<'_, BTreeMap<DiskId, Down>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the disk is known and has not failed a call lately.
    pub(crate) fn is_up(&self, disk: DiskId) -> bool {
        let now = self.clock.monotonic();
        self.services.contains_key(&disk)
            && self.down().get(&disk).is_none_or(|down| down.until <= now)
    }

    /// The disks that are up.
    pub(crate) fn up(&self) -> BTreeSet<DiskId> {
        let now = self.clock.monotonic();
        let down = self.down();
        let is_up = |disk: &DiskId| down.get(disk).is_none_or(|down| down.until <= now);
        self.services.keys().copied().filter(is_up).collect()
    }

    /// Remembers that the disk failed a call just now.
    pub(crate) fn failed(&self, disk: DiskId) {
        let now = self.clock.monotonic();
        let mut all = self.down();
        let before = all.get(&disk).copied();
        if before.is_some_and(|down| now < down.until) {
            return;
        }
        let pause = before.map_or(tuning::DISK_DOWN, |down| {
            (down.pause * 2).min(tuning::DISK_DOWN_MAX)
        });
        let until = now.saturating_add(pause);
        all.insert(disk, Down { until, pause });
    }

    /// Remembers that the disk served a call just now.
    pub(crate) fn served(&self, disk: DiskId) {
        self.down().remove(&disk);
    }
}
