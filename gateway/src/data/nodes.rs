//! Which storage node serves a disk, and which disks are better left alone for a moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_model::DiskId;
use cairn_rpc::{ShardRoutes, ShardService};
use cairn_world::{Clock, buggify};

use crate::tuning;

/// What a disk failed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Failing {
    /// It has no room: only writes pass it over.
    Room,
    /// It does not work, or does not answer.
    Everything,
}

/// A disk that failed lately.
#[derive(Clone, Copy, Debug)]
struct Down {
    until: Duration,
    pause: Duration,
    failing: Failing,
}

/// The storage nodes by disk, and a short memory of failures. The memory only steers: a disk in it
/// is passed over by new writes while others do, and is asked last by reads.
#[derive(Debug)]
pub(crate) struct Nodes {
    routes: Arc<dyn ShardRoutes>,
    clock: Arc<dyn Clock>,
    down: Mutex<BTreeMap<DiskId, Down>>,
}

impl Nodes {
    pub(crate) fn new(routes: Arc<dyn ShardRoutes>, clock: Arc<dyn Clock>) -> Self {
        Self {
            routes,
            clock,
            down: Mutex::default(),
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

    /// Whether the disk can be read from: it is known and has not failed a call lately.
    pub(crate) fn is_up(&self, disk: DiskId) -> bool {
        let now = self.clock.monotonic();
        self.routes.is_reachable(disk)
            && self
                .down()
                .get(&disk)
                .is_none_or(|down| down.until <= now || down.failing == Failing::Room)
    }

    /// The disks that can be written to.
    pub(crate) fn writable(&self) -> BTreeSet<DiskId> {
        let now = self.clock.monotonic();
        let down = self.down();
        let is_up = |disk: &DiskId| {
            self.routes.is_reachable(*disk)
                && down.get(disk).is_none_or(|down| down.until <= now)
                && !buggify("disk-passed-over")
        };
        self.routes.disks().into_iter().filter(is_up).collect()
    }

    /// Remembers that the disk failed a call just now.
    pub(crate) fn failed(&self, disk: DiskId, failing: Failing) {
        let now = self.clock.monotonic();
        let mut all = self.down();
        let before = all.get(&disk).copied();
        if before.is_some_and(|down| now < down.until && down.failing >= failing) {
            return;
        }
        let pause = before.map_or(tuning::DISK_DOWN, |down| {
            (down.pause * 2).min(tuning::DISK_DOWN_MAX)
        });
        let until = now.saturating_add(pause);
        let down = Down {
            until,
            pause,
            failing,
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
            .is_some_and(|down| down.failing == Failing::Everything)
        {
            down.remove(&disk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes::{FakeDisks, HandClock};

    #[test]
    fn a_disk_without_room_is_read_and_one_that_fails_is_left_alone_ever_longer() {
        let clock = Arc::new(HandClock::new());
        let nodes = Nodes::new(FakeDisks::new().routes(2), clock.clone());
        let disk = FakeDisks::id(0);
        let judge = || (nodes.is_up(disk), nodes.writable().contains(&disk));
        assert_eq!(judge(), (true, true));
        nodes.failed(disk, Failing::Room);
        assert_eq!(judge(), (true, false));
        nodes.served_read(disk);
        assert_eq!(judge(), (true, false), "a read says nothing of room");
        nodes.failed(disk, Failing::Everything);
        assert_eq!(judge(), (false, false), "worse is believed at once");
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let begun = clock.monotonic();
            while !nodes.is_up(disk) {
                clock.advance(Duration::from_secs(1));
            }
            pauses.push((clock.monotonic() - begun).as_secs());
            nodes.failed(disk, Failing::Everything);
        }
        assert!(
            pauses.is_sorted() && pauses[0] < 5 && pauses[7] == 60,
            "{pauses:?}"
        );
        nodes.took_write(disk);
        assert_eq!(judge(), (true, true));
        assert!(!nodes.is_up(FakeDisks::id(7)), "a stranger");
    }
}
