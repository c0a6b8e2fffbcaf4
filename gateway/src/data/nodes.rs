//! Which storage node serves a disk, which disks are better left alone for a moment, and how long to
//! wait for one.

mod latency;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_model::{DiskId, limits};
use cairn_rpc::{ShardError, ShardRoutes, ShardService};
use cairn_world::{Clock, buggify};

use self::latency::Latencies;
use crate::tuning;

/// What a disk failed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failing {
    /// It has no room: only writes pass it over.
    Room,
    /// It was not reached, or gave no answer: its node may have been away, and be back.
    Reach,
    /// It does not work.
    Everything,
}

impl Failing {
    /// What a call's error says.
    pub(crate) fn of(error: &ShardError) -> Self {
        match error {
            ShardError::Full => Self::Room,
            ShardError::Unavailable(_) => Self::Reach,
            _ => Self::Everything,
        }
    }
}

/// A disk that failed lately.
#[derive(Clone, Copy, Debug)]
struct Down {
    until: Duration,
    pause: Duration,
    failing: Failing,
    /// When the call began that failed.
    begun: Duration,
}

/// The storage nodes by disk, and a short memory of failures and of latencies. The memory only steers:
/// a disk that failed is passed over by new writes while others do, and is asked last by reads.
#[derive(Debug)]
pub(crate) struct Nodes {
    routes: Arc<dyn ShardRoutes>,
    clock: Arc<dyn Clock>,
    down: Mutex<BTreeMap<DiskId, Down>>,
    latencies: Mutex<BTreeMap<DiskId, Latencies>>,
}

impl Nodes {
    pub(crate) fn new(routes: Arc<dyn ShardRoutes>, clock: Arc<dyn Clock>) -> Self {
        Self {
            routes,
            clock,
            down: Mutex::default(),
            latencies: Mutex::default(),
        }
    }

    /// The node that serves a disk.
    pub(crate) fn service(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        self.routes.shards(disk)
    }

    /// All disks with their nodes.
    pub(crate) fn all(&self) -> impl Iterator<Item = (DiskId, Arc<dyn ShardService>)> {
        let route = |disk| Some((disk, self.routes.shards(disk)?));
        self.routes.disks().into_iter().filter_map(route)
    }

    fn down(&self) -> MutexGuard<'_, BTreeMap<DiskId, Down>> {
        self.down.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a failure still counts.
    fn counts(&self, disk: DiskId, down: &Down) -> bool {
        self.clock.monotonic() < down.until && !self.is_over(disk, down)
    }

    /// Whether a failure was that of a node which has come back since. A disk that does not work
    /// gets no better by that its node answers.
    fn is_over(&self, disk: DiskId, down: &Down) -> bool {
        down.failing == Failing::Reach && self.routes.is_back_since(disk, down.begun)
    }

    /// Whether the disk can be read from: it is known and has not failed a call lately.
    pub(crate) fn is_up(&self, disk: DiskId) -> bool {
        let fails = |down: &Down| down.failing != Failing::Room && self.counts(disk, down);
        self.routes.is_reachable(disk) && !self.down().get(&disk).is_some_and(fails)
    }

    /// The disks that can be written to.
    pub(crate) fn writable(&self) -> BTreeSet<DiskId> {
        let down = self.down();
        let fails = |disk: &DiskId| down.get(disk).is_some_and(|down| self.counts(*disk, down));
        let is_up = |disk: &DiskId| {
            self.routes.is_reachable(*disk) && !fails(disk) && !buggify("disk-passed-over")
        };
        self.routes.disks().into_iter().filter(is_up).collect()
    }

    /// Remembers that the disk just failed a call, which began at `begun` of the monotonic clock.
    pub(crate) fn failed(&self, disk: DiskId, failing: Failing, begun: Duration) {
        let mut all = self.down();
        let before = all.get(&disk).filter(|down| !self.is_over(disk, down));
        if before.is_some_and(|down| self.counts(disk, down) && down.failing >= failing) {
            return;
        }
        let pause = before.map_or(tuning::DISK_DOWN, |down| {
            (down.pause * 2).min(tuning::DISK_DOWN_MAX)
        });
        let down = Down {
            until: self.clock.monotonic().saturating_add(pause),
            pause,
            failing,
            begun,
        };
        all.insert(disk, down);
    }

    /// Remembers that the disk took a write just now.
    pub(crate) fn took_write(&self, disk: DiskId) {
        self.down().remove(&disk);
    }

    /// Remembers that the disk served a read just now: that says nothing of its room.
    pub(crate) fn served_read(&self, disk: DiskId) {
        let mut down = self.down();
        if down
            .get(&disk)
            .is_some_and(|down| down.failing != Failing::Room)
        {
            down.remove(&disk);
        }
    }

    fn latencies(&self) -> MutexGuard<'_, BTreeMap<DiskId, Latencies>> {
        self.latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait for about `bytes` bytes of a disk before others are asked as well.
    pub(crate) fn hedge_after(&self, disk: DiskId, bytes: u64) -> Duration {
        let all = self.latencies();
        all.get(&disk).map_or(tuning::HEDGE_START, |latencies| {
            latencies.of(bytes).hedge_after()
        })
    }

    /// A read of about `bytes` bytes begins.
    pub(crate) fn reading(&self, disk: DiskId, bytes: u64) -> Reading<'_> {
        Reading {
            nodes: self,
            disk,
            bytes,
            begun: self.clock.monotonic(),
            is_answered: false,
        }
    }

    fn note(&self, reading: &Reading<'_>) {
        let took = self.clock.monotonic().saturating_sub(reading.begun);
        let mut all = self.latencies();
        if all.len() >= limits::DISKS_MAX && !all.contains_key(&reading.disk) {
            // Those of disks that have left.
            let here: BTreeSet<DiskId> = self.routes.disks().into_iter().collect();
            all.retain(|disk, _| here.contains(disk));
        }
        let latency = all.entry(reading.disk).or_default().of_mut(reading.bytes);
        if reading.is_answered {
            latency.answered(took);
        } else {
            latency.given_up(took);
        }
    }
}

/// A read on its way. Dropped without an answer it tells how long it was waited for.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    nodes: &'a Nodes,
    disk: DiskId,
    bytes: u64,
    begun: Duration,
    is_answered: bool,
}

impl Reading<'_> {
    /// The cells are here.
    pub(crate) fn answered(mut self) {
        self.is_answered = true;
    }

    /// It failed.
    pub(crate) fn failed(self, failing: Failing) {
        self.nodes.failed(self.disk, failing, self.begun);
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.nodes.note(self);
    }
}

#[cfg(test)]
mod tests;
