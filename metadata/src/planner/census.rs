//! The census of disks in doubt: a disk that was opened after a crash, or that lost the header of a
//! segment, may hold less than was written, and does not know what. So the leader looks there for
//! every shard that rows want there; what is not found makes its chunk suspect, and repair does the rest.
//!
//! ```text
//!  heartbeat: doubt ──> rows that want a shard there, a window of writings at a time
//!                   ──> the disk's inventory ──> rows as they are now ──> MarkSuspect
//! ```
//!
//! Without it such a shard would be missed at the next read of its chunk, which may be too late. What is
//! settled is remembered by the leader alone: another one looks again. The rows are read once a window,
//! so a census costs a pass over the rows per 65,536 chunks that want a shard on such disks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::{ChunkId, DiskId, limits};
use cairn_rpc::{MetadataService as _, ShardRoutes};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{Chunk, ChunkKey, ClusterAnswer, GetChunkRows, GetChunks, MarkSuspect};
use tokio::sync::watch;

use super::inventory::{self, Places, Window, Writing};
use super::lifting::{Halt, look_for, other};
use super::orders::{Seats, Subject};
use super::pace::rest;
use crate::service::Metadata;

/// Pause between two steps, between two looks for doubt, and after what failed.
const PAUSE: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(5);
/// Rows that are asked for at once.
const ROWS: usize = 512;
/// Every generation is before it.
const ANY_GENERATION: u32 = u32::MAX;

/// What is done next.
enum Stage {
    /// Rows are offered to a window; from where on.
    Rows(Window, Bytes),
    /// Disks not looked at yet.
    Disks(Window, Vec<DiskId>),
    Judging(Window),
}

/// The leader's census.
pub(super) struct Census {
    metadata: Arc<Metadata>,
    disks: Arc<dyn ShardRoutes>,
    term: Option<u64>,
    /// What has been looked at, by the opening it was in doubt since.
    settled: BTreeMap<DiskId, u64>,
    /// What is being looked at.
    doubted: BTreeMap<DiskId, u64>,
    stage: Option<Stage>,
    /// While rows are passed over.
    cluster: Option<ClusterAnswer>,
    due: Duration,
}

impl Census {
    pub(super) fn new(metadata: Arc<Metadata>, disks: Arc<dyn ShardRoutes>) -> Self {
        Self {
            metadata,
            disks,
            term: None,
            settled: BTreeMap::new(),
            doubted: BTreeMap::new(),
            stage: None,
            cluster: None,
            due: Duration::ZERO,
        }
    }

    /// Works until `stop` turns true.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        loop {
            let pause = if self.tick().await { PAUSE } else { IDLE };
            if !rest(self.metadata.clock().as_ref(), pause, &mut stop).await {
                return;
            }
        }
    }

    /// One step of what is due; true where the next should follow soon.
    async fn tick(&mut self) -> bool {
        let now = self.metadata.clock().monotonic();
        let term = self.metadata.host().leadership();
        if term != self.term {
            self.term = term;
            self.settled.clear();
            self.stage = None;
            self.cluster = None;
        }
        if term.is_none() || now < self.due {
            return false;
        }
        match self.step().await {
            Ok(busy) => busy,
            Err(halt) => {
                tracing::warn!(?halt, "the census of disks in doubt begins anew");
                self.stage = None;
                self.cluster = None;
                self.due = now + REST;
                false
            }
        }
    }

    async fn step(&mut self) -> Result<bool, Halt> {
        let stage = match self.stage.take() {
            Some(stage) => stage,
            None => {
                let doubts = self.metadata.doubts().into_iter();
                let settled = &self.settled;
                self.doubted = doubts
                    .filter(|(disk, doubt)| settled.get(disk) != Some(doubt))
                    .collect();
                if self.doubted.is_empty() {
                    return Ok(false);
                }
                tracing::info!(disks = self.doubted.len(), "disks in doubt are looked at");
                window_behind(None)
            }
        };
        self.stage = match stage {
            Stage::Rows(window, after) => self.rows(window, after).await?,
            Stage::Disks(window, left) => Some(self.disk(window, left).await?),
            Stage::Judging(window) => Some(self.judge(window).await?),
        };
        Ok(true)
    }

    /// Offers one page of rows to the window; `None` where nothing is left to look for.
    async fn rows(&mut self, mut window: Window, after: Bytes) -> Result<Option<Stage>, Halt> {
        let asked = GetChunkRows {
            limit: limits::CHUNK_PAGE_MAX,
            after,
            partitions: Vec::new(),
        };
        // As it was when the pass over the rows began: what has moved onto a disk since was written since.
        let cluster = match self.cluster.take() {
            Some(cluster) => cluster,
            None => self.metadata.cluster().await?,
        };
        let Kind::ChunkPage(page) = self.metadata.ask(Asked::GetChunkRows(asked)).await? else {
            return Err(other());
        };
        let wanted = self.wanted(&cluster, &page.chunks)?;
        window.offer(wanted, ANY_GENERATION);
        if !page.next.is_empty() {
            self.cluster = Some(cluster);
            return Ok(Some(Stage::Rows(window, page.next)));
        }
        if window.is_empty() {
            let doubted = std::mem::take(&mut self.doubted);
            tracing::info!(disks = doubted.len(), "disks in doubt were looked at");
            self.settled.extend(doubted);
            return Ok(None);
        }
        let disks = self.doubted.keys().copied().collect();
        Ok(Some(Stage::Disks(window, disks)))
    }

    /// The rows that want a shard on a disk in doubt.
    fn wanted<'r>(
        &self,
        cluster: &ClusterAnswer,
        rows: &'r [Chunk],
    ) -> Result<Vec<&'r Chunk>, Halt> {
        let seats = Seats::read(cluster, BTreeSet::new()).ok_or_else(other)?;
        let doubted = self.doubted.keys().copied().collect();
        let wants = |row: &&Chunk| {
            let subject = Subject::read(row, &seats);
            subject.is_some_and(|subject| !subject.on(&doubted).is_empty())
        };
        Ok(rows.iter().filter(wants).collect())
    }

    /// Looks for the window on one disk.
    async fn disk(&self, mut window: Window, mut left: Vec<DiskId>) -> Result<Stage, Halt> {
        let Some(disk) = left.pop() else {
            return Ok(Stage::Judging(window));
        };
        look_for(self.disks.as_ref(), disk, &mut window).await?;
        Ok(Stage::Disks(window, left))
    }

    /// Marks what the disks lack of a window.
    async fn judge(&mut self, window: Window) -> Result<Stage, Halt> {
        let found: Vec<(&Writing, &Places)> = window.found().collect();
        for batch in found.chunks(ROWS) {
            for suspect in self.lacking(batch).await? {
                tracing::warn!(sha256 = ?suspect.sha256, reason = suspect.reason, "a chunk is suspect");
                self.metadata
                    .propose(0, 0, Command::MarkSuspect(suspect))
                    .await?;
            }
        }
        Ok(window_behind(window.last()))
    }

    /// Of rows as they are now, those of which a shard was not found where they want it.
    async fn lacking(&self, batch: &[(&Writing, &Places)]) -> Result<Vec<MarkSuspect>, Halt> {
        let key = |chunk: &ChunkId| ChunkKey {
            domain: chunk.domain.0,
            sha256: Bytes::copy_from_slice(&chunk.sha256.0),
        };
        let chunks = batch.iter().map(|((_, chunk), _)| key(chunk)).collect();
        let Kind::Chunks(rows) = self
            .metadata
            .ask(Asked::GetChunks(GetChunks { chunks }))
            .await?
        else {
            return Err(other());
        };
        let cluster = self.metadata.cluster().await?;
        let seats = Seats::read(&cluster, BTreeSet::new()).ok_or_else(other)?;
        let doubted: BTreeSet<DiskId> = self.doubted.keys().copied().collect();
        let found: BTreeMap<&Writing, &Places> = batch.iter().copied().collect();
        let suspect = |row: &Chunk| {
            let named = inventory::writing(row).filter(|_| row.live && !row.suspect)?;
            let places = found.get(&named)?;
            lack(row, &Subject::read(row, &seats)?.on(&doubted), places)
        };
        Ok(rows.chunks.iter().filter_map(suspect).collect())
    }
}

fn window_behind(last: Option<Writing>) -> Stage {
    Stage::Rows(Window::behind(last, limits::INVENTORY_WINDOW), Bytes::new())
}

/// What is to be said of a row of which not all that it wants was found. Pure.
fn lack(row: &Chunk, wanted: &Places, found: &Places) -> Option<MarkSuspect> {
    let (shard, disk) = wanted.difference(found).next()?;
    Some(MarkSuspect {
        domain: row.domain,
        sha256: row.sha256.clone(),
        incarnation: row.incarnation.clone(),
        reason: format!("shard {shard}: not on disk {disk}, which was in doubt"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_found_where_it_is_wanted_is_suspect() {
        let disk = |name: u8| DiskId([name; 16]);
        let row = Chunk {
            domain: 3,
            ..Chunk::default()
        };
        let wanted = Places::from([(0, disk(1)), (4, disk(2))]);
        assert_eq!(lack(&row, &wanted, &wanted), None);
        let more = Places::from([(0, disk(1)), (4, disk(2)), (4, disk(9))]);
        assert_eq!(lack(&row, &wanted, &more), None);
        let elsewhere = Places::from([(0, disk(1)), (4, disk(9))]);
        let suspect = lack(&row, &wanted, &elsewhere).unwrap();
        assert_eq!(suspect.domain, 3);
        assert!(suspect.reason.starts_with("shard 4"), "{}", suspect.reason);
        assert_eq!(lack(&row, &Places::new(), &Places::new()), None);
    }
}
