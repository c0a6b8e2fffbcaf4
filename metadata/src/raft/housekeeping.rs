//! Full syncs, snapshots and purges, in the background.
//!
//! openraft is told to do none of this by itself: what may be purged depends on what the store has
//! synced and on which snapshots have been verified.

use cairn_world::{Bug, Clock, buggify, planted};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

use super::LogPosition;
use super::applier::blocking;
use super::settings::{HOUSEKEEPING_EVERY, RaftSettings};
use super::stores::Stores;
use super::types::Raft;
use crate::journal::Journal;
use crate::snapshot::SnapshotHandle;

/// How long after a snapshot failed the next one is tried.
const SNAPSHOT_RETRY: Duration = Duration::from_secs(30);
/// Snapshots a voter keeps.
const SNAPSHOTS_KEPT: usize = 2;

pub(super) struct Housekeeper {
    pub(super) raft: Raft,
    pub(super) journal: Journal,
    pub(super) stores: Arc<Stores>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: RaftSettings,
    pub(super) stop: watch::Receiver<bool>,
}

impl Housekeeper {
    /// Runs until it is stopped.
    pub(super) async fn run(mut self) {
        let mut last_sync = self.clock.monotonic();
        let mut next_snapshot = Duration::ZERO;
        loop {
            tokio::select! {
                () = self.clock.sleep(HOUSEKEEPING_EVERY) => {}
                _ = self.stop.changed() => return,
            }
            if *self.stop.borrow() {
                return;
            }
            self.sync(&mut last_sync).await;
            self.snapshot(&mut next_snapshot).await;
            self.purge().await;
            if self.stores.failed() {
                // The next start judges it anew.
                let _ = self.raft.shutdown().await;
                return;
            }
        }
    }

    async fn sync(&self, last: &mut Duration) {
        let (due, now) = (self.stores.unsynced(), self.clock.monotonic());
        if due == 0 {
            *last = now;
            return;
        }
        let waits = due < self.settings.sync_entries
            && now.saturating_sub(*last) < self.settings.sync_after;
        if (waits && !buggify("store-sync-early")) || buggify("store-sync-skipped") {
            return;
        }
        let stores = self.stores.clone();
        let sync = move || stores.sync().map_err(std::io::Error::other);
        match blocking(self.stores.inline, sync).await {
            Ok(()) => *last = now,
            Err(error) => tracing::error!(%error, "the store failed to sync"),
        }
    }

    /// Builds a snapshot when it is time, not before `next` after one that failed.
    async fn snapshot(&self, next: &mut Duration) {
        if self.clock.monotonic() < *next || !self.snapshot_is_due() {
            return;
        }
        let stores = self.stores.clone();
        match blocking(self.stores.inline, move || stores.prebuild()).await {
            Ok(()) => drop(self.raft.trigger().snapshot().await),
            Err(error) => {
                tracing::error!(%error, "a snapshot could not be built");
                *next = self.clock.monotonic() + SNAPSHOT_RETRY;
            }
        }
    }

    fn snapshot_is_due(&self) -> bool {
        let Some(applied) = self.stores.applied() else {
            return false;
        };
        let newest = self.stores.shelf.newest();
        let covered = newest
            .as_ref()
            .and_then(|snapshot| snapshot.meta().position);
        let since = applied
            .index
            .saturating_sub(covered.map_or(0, |at| at.index));
        let usage = self.journal.usage();
        // Writing a large state again and again for a little log would wear the disk out, and took a
        // quarter of the processor time of small PUTs: a snapshot is worth twice its length in log.
        let worth = newest.map_or(0, |snapshot| {
            2 * snapshot.len() / self.settings.journal.segment_len
        });
        let worth = usize::try_from(worth).unwrap_or(usize::MAX);
        let many = self.settings.snapshot_entries > 0
            && since >= self.settings.snapshot_entries
            && usage.live > worth;
        let crowded = usage.live > self.settings.snapshot_segments.max(worth);
        let early = buggify("snapshot-now");
        since > 0 && (many || crowded || usage.short_of_space || early)
    }

    async fn purge(&self) {
        if planted(Bug::PurgeBeforePersist) {
            return self.purge_applied();
        }
        if let Err(error) = self.stores.shelf.prune(SNAPSHOTS_KEPT) {
            tracing::warn!(%error, "old snapshots stay");
        }
        let snapshots = self.stores.shelf.snapshots();
        let voters = self.raft.voter_ids().count();
        let synced = self.stores.synced();
        let kept = if buggify("purge-to-the-limit") {
            0
        } else {
            self.settings.log_kept
        };
        let Some(upto) = purge_point(voters, &snapshots, synced, kept) else {
            return;
        };
        let purged = self.journal.state().purged;
        if purged.is_some_and(|purged| purged.index >= upto) {
            return;
        }
        if voters == 1 && !self.whole(snapshots).await {
            return;
        }
        let _ = self.raft.trigger().purge_log(upto).await;
    }

    /// The planted way to purge: by what is applied, whatever a crash would leave of it.
    fn purge_applied(&self) {
        let applied = self.stores.applied().map_or(0, |applied| applied.index);
        let upto = applied.saturating_sub(self.settings.log_kept);
        if let Some(upto) = self.journal.position(upto) {
            let _ = self.journal.purge(upto, Box::new(drop));
        }
    }

    /// Reads both kept snapshots once more: they are about to be all there is of the past.
    async fn whole(&self, snapshots: Vec<SnapshotHandle>) -> bool {
        let shelf = self.stores.clone();
        let check = move || {
            for snapshot in snapshots.iter().take(SNAPSHOTS_KEPT) {
                if let Err(error) = snapshot.verify() {
                    shelf.shelf.distrust(snapshot);
                    return Err(std::io::Error::other(error));
                }
            }
            Ok(())
        };
        match blocking(self.stores.inline, check).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, "a kept snapshot is damaged, the log is not purged");
                false
            }
        }
    }
}

/// Last index the log may lose: not above what is synced, nor above a snapshot that stands in for it.
/// With one voter that is the older of two snapshots, since there is no peer to ask; with more, some
/// entries stay for a follower that is a little behind.
fn purge_point(
    voters: usize,
    newest_first: &[SnapshotHandle],
    synced: Option<LogPosition>,
    log_kept: u64,
) -> Option<u64> {
    let index = |at: usize| Some(newest_first.get(at)?.meta().position?.index);
    let covered = match voters {
        1 => index(SNAPSHOTS_KEPT - 1)?,
        _ => index(0)?.checked_sub(log_kept)?,
    };
    Some(covered.min(synced?.index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::{Shelf, SnapshotMeta};
    use cairn_store::{MemoryStore, OrderedStore};
    use cairn_world::sim::SimDisk;

    fn at(index: u64) -> LogPosition {
        LogPosition {
            term: 1,
            leader: 1,
            index,
        }
    }

    #[test]
    fn the_log_goes_only_below_syncs_and_snapshots() {
        let shelf = Shelf::open(Arc::new(SimDisk::new(1)), "snapshots", [0; 16]).unwrap();
        let point = |voters, synced, kept| purge_point(voters, &shelf.snapshots(), synced, kept);
        assert_eq!(point(1, Some(at(500)), 0), None);
        let build = |index| {
            let meta = SnapshotMeta {
                position: Some(at(index)),
                ..SnapshotMeta::default()
            };
            shelf
                .build(&meta, MemoryStore::new().view().as_ref())
                .unwrap();
        };
        build(100);
        assert_eq!(
            point(1, Some(at(500)), 0),
            None,
            "one voter wants a second snapshot"
        );
        assert_eq!(point(3, Some(at(500)), 0), Some(100));
        assert_eq!(point(3, Some(at(500)), 30), Some(70));
        assert_eq!(point(3, Some(at(500)), 101), None);
        assert_eq!(point(3, Some(at(60)), 30), Some(60));
        assert_eq!(point(3, None, 0), None);
        build(200);
        assert_eq!(point(1, Some(at(500)), 0), Some(100));
        assert_eq!(point(1, Some(at(99)), 0), Some(99));
        assert_eq!(point(1, None, 0), None);
    }
}
