//! The fence: writings and deletes of older generations are refused, for good.
//!
//! ```text
//!   news of a newer generation ──> refused from here on ──> noted on every disk ──> rows learnt
//!                                                                  └─> heartbeats: fenced
//! ```
//!
//! A gateway of a history that a restore gave up may go on for as long as it reaches nodes. It gets no
//! receipt from one that has heard, after a restart neither; so what it acknowledges is nothing. Nor does a
//! leader of that history, or a message of its that was long on the way, delete anything there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use cairn_rpc::ShardError;
use cairn_world::{Bug, planted};

use super::{PlacementNews, StorageNode};
use crate::volume::Volume;

/// Refuses what was stamped or ordered before the fence.
pub(super) fn check(fence: &AtomicU16, generation: u16) -> Result<(), ShardError> {
    if generation < fence.load(Ordering::SeqCst) {
        return Err(ShardError::Refused("of a fenced generation"));
    }
    Ok(())
}

impl StorageNode {
    /// Takes news of the partition table. A newer generation is fenced first, on every disk, before
    /// any of it counts as heard.
    ///
    /// # Errors
    /// `Refused` for what is no partition table; else the first disk that could not note the fence.
    /// The node refuses the older generations all the same until it ends, and knows the rows.
    pub async fn take_news(&self, news: &PlacementNews) -> Result<(), ShardError> {
        let fenced = self.fence_generation(news.generation).await;
        self.learn_partitions(news)?;
        fenced
    }

    /// Refuses writes of incarnations of generations before `generation`, durably on every disk.
    /// Only rises.
    ///
    /// # Errors
    /// The first disk that could not note it; the node refuses them all the same until it ends.
    pub async fn fence_generation(&self, generation: u16) -> Result<(), ShardError> {
        if !planted(Bug::FenceForgotten) {
            self.generation.fetch_max(generation, Ordering::SeqCst);
        }
        let mut outcome = Ok(());
        for disk in self.disks.values() {
            if disk.volume.fenced() < generation {
                let noted = disk.on_reader(move |volume| volume.fence(generation)).await;
                outcome = outcome.and(noted);
            }
        }
        outcome
    }

    /// What a disk noted is refused by the whole node.
    pub(super) fn keep_fence(&self, volume: &Arc<Volume>) {
        self.generation.fetch_max(volume.fenced(), Ordering::SeqCst);
    }
}
