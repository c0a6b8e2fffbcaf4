//! The way to any disk, whichever process holds it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_model::DiskId;

use crate::{ShardInventory, ShardRebuild, ShardService};

/// The calls that reach one disk.
#[derive(Clone, Debug)]
pub struct DiskRoute {
    /// Writes, reads, deletes.
    pub shards: Arc<dyn ShardService>,
    /// What lies there.
    pub inventory: Arc<dyn ShardInventory>,
    /// Makes shards anew there; none where nobody can be asked to.
    pub rebuild: Option<Arc<dyn ShardRebuild>>,
}

/// Who holds which disk. Asked for every call and every placement, so it must be quick; what it says
/// changes as nodes come and go.
pub trait ShardRoutes: Send + Sync + std::fmt::Debug {
    /// Writes, reads and deletes on a disk; none where nobody is known to hold it.
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>>;

    /// All calls to a disk; none where nobody is known to hold it, or where this process only stores
    /// and reads.
    fn route(&self, disk: DiskId) -> Option<DiskRoute>;

    /// The disks somebody is known to hold.
    fn disks(&self) -> Vec<DiskId>;

    /// Whether the disk's node answered lately. It only steers: nothing is lost where it is wrong.
    fn is_reachable(&self, disk: DiskId) -> bool;

    /// Whether the disk's node was away and has answered again later than `moment` of the process's
    /// monotonic clock: what failed before that says nothing of it any more. False of a disk of this
    /// process, which is never away. It only steers.
    fn is_back_since(&self, disk: DiskId, moment: Duration) -> bool;
}

/// Routes that never change and always reach: for one process, and for tests.
impl ShardRoutes for BTreeMap<DiskId, DiskRoute> {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        self.get(&disk).map(|route| Arc::clone(&route.shards))
    }

    fn route(&self, disk: DiskId) -> Option<DiskRoute> {
        self.get(&disk).cloned()
    }

    fn disks(&self) -> Vec<DiskId> {
        self.keys().copied().collect()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        self.contains_key(&disk)
    }

    fn is_back_since(&self, _: DiskId, _: Duration) -> bool {
        false
    }
}

/// The same for processes that only store and read.
impl ShardRoutes for BTreeMap<DiskId, Arc<dyn ShardService>> {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        self.get(&disk).cloned()
    }

    fn route(&self, _disk: DiskId) -> Option<DiskRoute> {
        None
    }

    fn disks(&self) -> Vec<DiskId> {
        self.keys().copied().collect()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        self.contains_key(&disk)
    }

    fn is_back_since(&self, _: DiskId, _: Duration) -> bool {
        false
    }
}
