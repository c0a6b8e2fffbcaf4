//! What the node knows of placement: for each partition the epoch of its row, and which of the
//! node's own disks the row names.
//!
//! ```text
//!   caller's epoch     older than known  ─► StaleEpoch, the caller refreshes
//!                      the same          ─► served; a write only on a disk the row names
//!                      newer, or unknown ─► served, and the node asks to be told more
//! ```
//!
//! Kept in memory only: a node just started serves by its callers' epochs, which is safe, for apply
//! checks the epoch a chunk was placed by. Knowledge only rises, so one read lock answers a call.

use std::sync::{PoisonError, RwLock};

use cairn_model::{DiskId, Incarnation, limits};
use cairn_rpc::ShardError;
use tokio::sync::Notify;

/// Rows of the partition table, some or all, as one answer of the metadata gave them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementNews {
    /// The cluster's generation. A restore from backup may set epochs back; it bumps this.
    pub generation: u16,
    /// log2 of the number of partitions.
    pub bits: u32,
    /// The rows.
    pub rows: Vec<RowNews>,
}

/// One row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowNews {
    /// Which partition.
    pub partition: u32,
    /// The row's epoch.
    pub epoch: u64,
    /// Every disk it names, current and next.
    pub disks: Vec<DiskId>,
}

/// What a call does with its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

#[derive(Clone, Debug, Default)]
struct Row {
    epoch: u64,
    /// The node's own disks among those named.
    own: Vec<DiskId>,
}

#[derive(Debug, Default)]
struct Known {
    generation: u16,
    /// 0: nothing.
    bits: u32,
    /// 2^bits, none for a partition not heard of.
    rows: Vec<Option<Row>>,
    /// The highest epoch seen in a call that knew more than the node.
    wanted: Option<u64>,
}

impl Known {
    fn row(&self, incarnation: Incarnation) -> Option<&Row> {
        if self.bits == 0 {
            return None;
        }
        let partition = usize::try_from(incarnation.partition(self.bits)).ok()?;
        self.rows.get(partition)?.as_ref()
    }

    /// Makes room for `2^bits` partitions: a row becomes that of all its children.
    fn widen(&mut self, bits: u32) {
        let children = match self.bits {
            0 => 0,
            known => 1_usize << (bits - known),
        };
        let rows = std::mem::take(&mut self.rows);
        let spread = |row: Option<Row>| std::iter::repeat_n(row, children);
        self.rows = rows.into_iter().flat_map(spread).collect();
        self.rows.resize(1 << bits, None);
        self.bits = bits;
    }
}

/// Placement as the node knows it.
#[derive(Debug)]
pub(super) struct Partitions {
    known: RwLock<Known>,
    news_wanted: Notify,
}

impl Default for Partitions {
    /// Nothing is known, and all of it wanted.
    fn default() -> Self {
        let known = Known {
            wanted: Some(0),
            ..Known::default()
        };
        let news_wanted = Notify::new();
        news_wanted.notify_one();
        Self {
            known: RwLock::new(known),
            news_wanted,
        }
    }
}

impl Partitions {
    /// Takes news; what is older than known is passed over, row by row. Whatever was wanted before
    /// counts as answered.
    pub(super) fn learn(
        &self,
        news: &PlacementNews,
        is_own: impl Fn(DiskId) -> bool,
    ) -> Result<(), ShardError> {
        let in_bounds = (1..=limits::PARTITION_BITS_MAX).contains(&news.bits);
        if !in_bounds || news.rows.iter().any(|row| row.partition >> news.bits > 0) {
            return Err(ShardError::Refused("not a partition table"));
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if news.generation > known.generation {
            *known = Known {
                generation: news.generation,
                ..Known::default()
            };
        }
        known.wanted = None;
        if news.generation < known.generation || news.bits < known.bits {
            return Ok(());
        }
        if news.bits > known.bits {
            known.widen(news.bits);
        }
        for row in &news.rows {
            let place = usize::try_from(row.partition).unwrap_or(usize::MAX);
            let Some(known) = known.rows.get_mut(place) else {
                continue;
            };
            if known.as_ref().is_none_or(|known| known.epoch < row.epoch) {
                let own = row.disks.iter().copied().filter(|disk| is_own(*disk));
                *known = Some(Row {
                    epoch: row.epoch,
                    own: own.collect(),
                });
            }
        }
        Ok(())
    }

    /// Whether a call placed by `epoch` is served on one of the node's disks.
    pub(super) fn check(
        &self,
        disk: DiskId,
        incarnation: Incarnation,
        epoch: u64,
        access: Access,
    ) -> Result<(), ShardError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let newer = match known.row(incarnation) {
            Some(row) if epoch < row.epoch => {
                let current = row.epoch;
                return Err(ShardError::StaleEpoch { current });
            }
            Some(row) if epoch == row.epoch => {
                if access == Access::Write && !row.own.contains(&disk) {
                    return Err(ShardError::Refused(
                        "the partition's row does not name this disk",
                    ));
                }
                return Ok(());
            }
            _ => known.wanted.is_none_or(|wanted| wanted < epoch),
        };
        drop(known);
        if newer {
            self.want(epoch);
        }
        Ok(())
    }

    fn want(&self, epoch: u64) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.wanted = known.wanted.max(Some(epoch));
        self.news_wanted.notify_one();
    }

    /// The epoch a caller knew and the node does not, if there was one since the last news.
    pub(super) fn wanted(&self) -> Option<u64> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.wanted
    }

    /// Returns once news are wanted.
    pub(super) async fn until_wanted(&self) -> u64 {
        loop {
            // Before the look, so that nothing wanted in between is missed.
            let bell = self.news_wanted.notified();
            if let Some(epoch) = self.wanted() {
                return epoch;
            }
            bell.await;
        }
    }
}

#[cfg(test)]
mod tests;
