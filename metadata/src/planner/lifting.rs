//! After a bump: finds out what there is, then lets deletion go on.
//!
//! ```text
//!  frozen ──> every member says that it has fenced ──> a full mark without discrepancy
//!         ──> an inventory of every member, a window of writings at a time ──> RecordMissing
//!         ──> nothing on any member that this history cannot have written ──> LiftFreeze
//! ```
//!
//! What fails is tried again; a new leadership begins anew. Until the end nothing is deleted, so what
//! takes long costs space and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::{ChunkId, DiskId, limits};
use cairn_rpc::{MetadataError, MetadataService as _, ShardFound, ShardRoutes};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    Chunk, ChunkKey, ClusterAnswer, GetChunkRows, GetChunks, GetSessions, LiftFreeze,
    MissingShards, RecordMissing, Refusal, SessionsAnswer,
};
use cairn_world::buggify;
use tokio::sync::watch;

use super::inventory::{self, Places, Window, Writing};
use super::marking::{self, Running};
use super::orders::{Seats, Subject};
use super::pace::rest;
use super::{INVENTORY_PAGE, placement};
use crate::keyspace::KeyKind as _;
use crate::keyspace::cluster::ClusterKey;
use crate::service::Metadata;

/// Pause between two steps, and between two looks whether deletion is frozen.
const PAUSE: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_secs(1);
/// Pause after what failed, and after a mark or an inventory that found what people must see.
const REST: Duration = Duration::from_secs(10);
const LONG_REST: Duration = Duration::from_secs(600);
/// How often a batch is judged again whose rows have changed meanwhile.
const ATTEMPTS: usize = 8;
/// Writings of a window where the simulation wants many.
const WINDOW_SMALL: usize = 8;

/// What is done next.
enum Stage {
    Fences,
    Counting(Box<Running>),
    /// Rows are offered to a window; from where on.
    Rows(Window, Bytes),
    /// Disks not looked at yet.
    Disks(Window, Vec<DiskId>),
    Judging(Window),
    Lift,
}

/// Why a step did not get on.
#[derive(Debug)]
pub(super) enum Halt {
    /// Again soon.
    Error(String),
    /// Nothing changes until people act.
    Seen(String),
}

impl From<MetadataError> for Halt {
    fn from(error: MetadataError) -> Self {
        Self::Error(error.to_string())
    }
}

impl From<std::io::Error> for Halt {
    fn from(error: std::io::Error) -> Self {
        Self::Error(error.to_string())
    }
}

pub(super) fn other() -> Halt {
    Halt::Error("another answer than asked".to_owned())
}

/// The leader's work after a bump.
pub(super) struct Lifting {
    metadata: Arc<Metadata>,
    disks: Arc<dyn ShardRoutes>,
    /// The leadership and generation that what follows was found in.
    era: Option<(u64, u32)>,
    stage: Option<Stage>,
    /// A mark has finished without discrepancy.
    counted: bool,
    /// Writings up to it were looked for.
    reached: Option<Writing>,
    due: Duration,
}

impl Lifting {
    pub(super) fn new(metadata: Arc<Metadata>, disks: Arc<dyn ShardRoutes>) -> Self {
        Self {
            metadata,
            disks,
            era: None,
            stage: None,
            counted: false,
            reached: None,
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
        let Some(term) = self.metadata.host().leadership() else {
            self.era = None;
            return false;
        };
        if now < self.due {
            return false;
        }
        let halt = match self.step(term).await {
            Ok(busy) => return busy,
            Err(halt) => halt,
        };
        self.stage = None;
        match halt {
            Halt::Error(error) => {
                tracing::warn!(%error, "deletion stays frozen, a step failed and is tried again");
                self.due = now + REST;
            }
            Halt::Seen(what) => {
                tracing::error!(%what, "deletion stays frozen");
                self.due = now + LONG_REST;
            }
        }
        false
    }

    async fn step(&mut self, term: u64) -> Result<bool, Halt> {
        // Almost always the leader's own row says that there is nothing to do.
        let cluster = match self.is_frozen()? {
            true => self.metadata.cluster().await?,
            false => ClusterAnswer::default(),
        };
        if cluster.frozen_since == 0 {
            self.era = None;
            return Ok(false);
        }
        let era = Some((term, cluster.generation));
        if self.era != era {
            self.era = era;
            self.stage = None;
            self.counted = false;
            self.reached = None;
        }
        let stage = self.stage.take().unwrap_or_else(|| self.resume());
        self.stage = match stage {
            Stage::Fences => self.fences(&cluster)?,
            Stage::Counting(running) => Some(self.count(*running).await?),
            Stage::Rows(window, after) => Some(self.rows(&cluster, window, after).await?),
            Stage::Disks(window, left) => Some(self.disk(window, left).await?),
            Stage::Judging(window) => Some(self.judge(&cluster, window).await?),
            Stage::Lift => self.lift(&cluster).await?,
        };
        Ok(self.stage.is_some())
    }

    /// As this replica has applied it: a bump that it has not applied yet is seen at the next look.
    fn is_frozen(&self) -> Result<bool, Halt> {
        let view = self.metadata.host().stale_view();
        let row = view
            .get(&ClusterKey.encode())
            .map_err(std::io::Error::other)?;
        let cluster = row.map(|row| ClusterKey::decode_row(&row)).transpose();
        let cluster = cluster.map_err(std::io::Error::other)?;
        Ok(cluster.is_some_and(|cluster| cluster.is_frozen()))
    }

    fn resume(&self) -> Stage {
        if self.counted {
            self.next_window()
        } else {
            Stage::Fences
        }
    }

    fn next_window(&self) -> Stage {
        let most = if buggify("inventory-window-small") {
            WINDOW_SMALL
        } else {
            limits::INVENTORY_WINDOW
        };
        Stage::Rows(Window::behind(self.reached, most), Bytes::new())
    }

    /// A disk that has not heard of the generation may still take writes of an older one.
    fn fences(&self, cluster: &ClusterAnswer) -> Result<Option<Stage>, Halt> {
        let fences = self.metadata.fences();
        if let Some((disk, fence)) = fences.iter().find(|(_, at)| **at > cluster.generation) {
            return Err(Halt::Seen(format!(
                "disk {disk} has heard of generation {fence}, which this cluster has not reached: \
                 restore again with a generation above it"
            )));
        }
        let heard = |disk: &DiskId| fences.get(disk) == Some(&cluster.generation);
        if !members(cluster).iter().all(heard) {
            return Ok(None);
        }
        let now = self.metadata.clock().monotonic();
        let running = marking::begin(self.metadata.host().stale_view(), now)?;
        Ok(Some(Stage::Counting(Box::new(running))))
    }

    async fn count(&mut self, running: Running) -> Result<Stage, Halt> {
        let (running, done) = marking::advance(self.metadata.host(), running).await?;
        if !done {
            return Ok(Stage::Counting(Box::new(running)));
        }
        if marking::tell(&self.metadata, running) > 0 {
            return Err(Halt::Seen(
                "the full mark found counts that are wrong".to_owned(),
            ));
        }
        self.counted = true;
        Ok(self.next_window())
    }

    /// Offers one page of rows to the window.
    async fn rows(
        &mut self,
        cluster: &ClusterAnswer,
        mut window: Window,
        after: Bytes,
    ) -> Result<Stage, Halt> {
        let asked = GetChunkRows {
            limit: limits::CHUNK_PAGE_MAX,
            after,
            partitions: Vec::new(),
        };
        let Kind::ChunkPage(page) = self.metadata.ask(Asked::GetChunkRows(asked)).await? else {
            return Err(other());
        };
        window.offer(&page.chunks, cluster.generation);
        if !page.next.is_empty() {
            return Ok(Stage::Rows(window, page.next));
        }
        Ok(if window.is_empty() {
            Stage::Lift
        } else {
            Stage::Disks(window, members(cluster))
        })
    }

    /// Looks for the window on one disk.
    async fn disk(&self, mut window: Window, mut left: Vec<DiskId>) -> Result<Stage, Halt> {
        let Some(disk) = left.pop() else {
            return Ok(Stage::Judging(window));
        };
        look_for(self.disks.as_ref(), disk, &mut window).await?;
        Ok(Stage::Disks(window, left))
    }

    /// Records what the disks lack of a window.
    async fn judge(&mut self, cluster: &ClusterAnswer, window: Window) -> Result<Stage, Halt> {
        let found: Vec<(&Writing, &Places)> = window.found().collect();
        for batch in found.chunks(limits::MISSING_CHUNKS_PER_ENTRY) {
            self.judge_batch(cluster.generation, batch).await?;
        }
        self.reached = window.last();
        Ok(self.next_window())
    }

    async fn judge_batch(
        &self,
        generation: u32,
        batch: &[(&Writing, &Places)],
    ) -> Result<(), Halt> {
        for _ in 0..ATTEMPTS {
            let chunks = self.missing(batch).await?;
            if chunks.is_empty() {
                return Ok(());
            }
            for missing in &chunks {
                let shards: Vec<u32> = missing.missing.iter().map(|debt| debt.shard).collect();
                tracing::warn!(domain = missing.domain, sha256 = ?missing.sha256, ?shards, "shards are not where a row has them");
            }
            let sent = u64::try_from(chunks.len()).unwrap_or(u64::MAX);
            let command = Command::RecordMissing(RecordMissing { generation, chunks });
            let reply = self.metadata.propose(0, 0, command).await?;
            if reply.refusal() != Refusal::None {
                return Err(Halt::Error("what is missing was not recorded".to_owned()));
            }
            if reply.number == sent {
                return Ok(());
            }
        }
        Err(Halt::Error(
            "rows change faster than they are looked for".to_owned(),
        ))
    }

    /// What the rows as they are now lack.
    async fn missing(&self, batch: &[(&Writing, &Places)]) -> Result<Vec<MissingShards>, Halt> {
        let cluster = self.metadata.cluster().await?;
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
        let Some(seats) = Seats::read(&cluster, Default::default()) else {
            return Err(other());
        };
        let found: BTreeMap<&Writing, &Places> = batch.iter().copied().collect();
        let missing = |row: &Chunk| {
            let named = inventory::writing(row).filter(|_| row.live)?;
            let places = found.get(&named)?;
            Subject::read(row, &seats)?.missing(places)
        };
        Ok(rows.chunks.iter().filter_map(missing).collect())
    }

    async fn lift(&mut self, cluster: &ClusterAnswer) -> Result<Option<Stage>, Halt> {
        let disks = members(cluster);
        for disk in &disks {
            self.look_for_strangers(cluster, *disk).await?;
        }
        let named = disks.iter().map(|disk| Bytes::copy_from_slice(&disk.0));
        let command = Command::LiftFreeze(LiftFreeze {
            generation: cluster.generation,
            disks: named.collect(),
        });
        let reply = self.metadata.propose(0, 0, command).await?;
        if reply.refusal() == Refusal::None {
            let generation = cluster.generation;
            tracing::info!(
                generation,
                "every count is right and every disk was looked at: deletion goes on"
            );
            return Ok(None);
        }
        // There is another member now: it may hold what was not found.
        self.reached = None;
        Ok(Some(self.next_window()))
    }

    /// Writings that this history cannot have made: another one had this generation, or a later.
    async fn look_for_strangers(&self, cluster: &ClusterAnswer, disk: DiskId) -> Result<(), Halt> {
        let (Ok(group), Ok(generation)) = (
            u16::try_from(cluster.group),
            u16::try_from(cluster.generation),
        ) else {
            return Err(other());
        };
        let last = self.sessions().await?.last;
        let after = Some(inventory::end(group, generation, last));
        let found = page_of(self.disks.as_ref(), disk, after, 1).await?;
        let Some(stranger) = found.first().map(|shard| shard.incarnation) else {
            return Ok(());
        };
        let last = self.sessions().await?.last;
        // Sessions begin while disks are looked at.
        if stranger.group != group
            || (stranger.generation == generation && stranger.session.0 <= last)
        {
            return Ok(());
        }
        Err(Halt::Seen(format!(
            "disk {disk} holds {stranger:?}, which this cluster has not written: its generation was \
             used before, restore again with one above every other"
        )))
    }

    async fn sessions(&self) -> Result<SessionsAnswer, Halt> {
        match self
            .metadata
            .ask(Asked::GetSessions(GetSessions {}))
            .await?
        {
            Kind::Sessions(sessions) => Ok(sessions),
            _ => Err(other()),
        }
    }
}

/// Notes which of a window's shards lie on a disk.
pub(super) async fn look_for(
    disks: &dyn ShardRoutes,
    disk: DiskId,
    window: &mut Window,
) -> Result<(), Halt> {
    let mut after = window.start();
    loop {
        let page = page_of(disks, disk, after, INVENTORY_PAGE).await?;
        if !window.note(disk, &page) {
            return Ok(());
        }
        after = page.last().map(|last| (last.incarnation, last.shard));
    }
}

async fn page_of(
    disks: &dyn ShardRoutes,
    disk: DiskId,
    after: Option<(cairn_model::Incarnation, u8)>,
    limit: usize,
) -> Result<Vec<ShardFound>, Halt> {
    let nobody = || Halt::Error(format!("nobody is known to hold disk {disk}"));
    let route = disks.route(disk).ok_or_else(nobody)?;
    let page = route.inventory.inventory(disk, after, limit).await;
    page.map_err(|error| Halt::Error(format!("no inventory of disk {disk}: {error}")))
}

/// The members that are not lost.
fn members(cluster: &ClusterAnswer) -> Vec<DiskId> {
    let lost = placement::lost(cluster);
    let disks = cluster.disks.iter();
    let disks = disks.filter_map(|disk| placement::disk_id(&disk.disk));
    disks.filter(|disk| !lost.contains(disk)).collect()
}

#[cfg(test)]
mod tests;
