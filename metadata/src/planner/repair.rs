//! Repair and moves: pays debt, heals what is suspect, empties disks. [`super::orders`] and
//! [`super::moves`] decide, this acts, one page of chunks at a time.
//!
//! ```text
//!  GetCluster   ──> moves to begin, turn round, end; disks to remove ──> entries
//!  GetDebt      ──> Rebuild where each shard belongs ─────────────────> SettleDebt ClearSuspect
//!  GetChunkRows ──> Rebuild on `next` of moving slots ────────────────> (a pass) ─> CutOver
//! ```
//!
//! What fails rests for a while; nothing is given up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::{ChunkId, DiskId};
use cairn_rpc::{MetadataError, MetadataService, Rebuild, ShardRoutes};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    Chunk, ChunkKey, ChunkPage, ClusterAnswer, Disk, GetChunkRows, GetChunks, GetCluster, GetDebt,
    GetSessions, LeavingDisk, Query, Refusal,
};
use cairn_world::{Clock, buggify};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;

use super::moves::{self, Moving, Pass, Progress};
use super::orders::{Seats, Subject};
use super::pace::rest;
use crate::service::Metadata;

/// Pause between two steps that found nothing to do.
const IDLE: Duration = Duration::from_millis(500);
/// How long a simulated leader may take between beginning moves and its first order for them.
const LATE: Duration = Duration::from_secs(25);
/// How long what failed is left alone.
const REST: Duration = Duration::from_secs(10);
/// Time between two attempts to end what waits for sessions or debt.
const ENDS_EVERY: Duration = Duration::from_secs(2);
/// Longest wait for one shard to be rebuilt.
const PATIENCE: Duration = Duration::from_secs(120);
/// Rebuilds in progress at once.
const ORDERS: usize = 4;
/// Chunks in one step.
const PAGE: u32 = 64;
/// Pages of debt looked at in one step for something that does not rest.
const PAGES: usize = 8;
/// Chunks whose rest is remembered; others are tried again sooner.
const RESTING_MAX: usize = 1 << 16;

/// What a plan of moves was made for.
#[derive(Debug, PartialEq)]
struct Planned {
    disks: Vec<Disk>,
    leaving: Vec<LeavingDisk>,
    epoch: u64,
}

/// The leader's repair work.
#[derive(Debug)]
pub struct Repair {
    metadata: Arc<dyn MetadataService>,
    disks: Arc<dyn ShardRoutes>,
    clock: Arc<dyn Clock>,
    progress: Progress,
    pass: Option<Pass>,
    pass_due: Duration,
    ends_due: Duration,
    planned: Option<Planned>,
    resting: BTreeMap<ChunkId, Duration>,
}

impl Repair {
    /// Repair that acts through `metadata` and on `disks`.
    #[must_use]
    pub fn new(
        metadata: Arc<dyn MetadataService>,
        disks: Arc<dyn ShardRoutes>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            metadata,
            disks,
            clock,
            progress: Progress::default(),
            pass: None,
            pass_due: Duration::ZERO,
            ends_due: Duration::ZERO,
            planned: None,
            resting: BTreeMap::new(),
        }
    }

    /// Works while `host` leads, until `stop` turns true.
    pub(super) async fn run(mut self, host: Arc<Metadata>, mut stop: watch::Receiver<bool>) {
        let mut leadership = None;
        loop {
            let mut busy = false;
            if let Some(term) = host.host().leadership() {
                if leadership.replace(term) != Some(term) {
                    self.forget();
                }
                busy = self.step().await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "a step of repair failed, it will be tried again");
                    false
                });
            }
            let pause = if busy { Duration::ZERO } else { IDLE };
            if !rest(self.clock.as_ref(), pause, &mut stop).await {
                return;
            }
        }
    }

    /// A new leadership: what was found in another proves nothing.
    pub fn forget(&mut self) {
        self.progress = Progress::default();
        self.pass = None;
        self.planned = None;
        self.resting.clear();
    }

    /// One step; true where it got something done.
    ///
    /// # Errors
    /// The metadata's; the step is simply tried again.
    pub async fn step(&mut self) -> Result<bool, MetadataError> {
        let cluster = match self.ask(Asked::GetCluster(GetCluster {})).await? {
            Kind::Cluster(cluster) => cluster,
            _ => return Err(OTHER),
        };
        let disks = self.disks.disks().into_iter();
        let reachable: BTreeSet<DiskId> = disks
            .filter(|disk| self.disks.is_reachable(*disk))
            .collect();
        let Some(seats) = Seats::read(&cluster, reachable) else {
            return Ok(false);
        };
        let moving = moves::under_way(&cluster, &seats);
        self.progress.keep(&moving);
        if self.change_table(&cluster, &seats, &moving).await? {
            return Ok(true); // with a fresh view
        }
        let paid = self.pay(&seats).await?;
        let passed = self.pass(&seats, &moving).await?;
        Ok(paid || passed)
    }

    /// Begins, turns round and ends moves, and lets go of empty disks. True where the table changed.
    async fn change_table(
        &mut self,
        cluster: &ClusterAnswer,
        seats: &Seats,
        moving: &BTreeSet<Moving>,
    ) -> Result<bool, MetadataError> {
        let mut commands = moves::abandon(moving, seats);
        let planned = Planned {
            disks: cluster.disks.clone(),
            leaving: cluster.leaving.clone(),
            epoch: seats.table.epoch(),
        };
        if commands.is_empty() && self.planned.as_ref() != Some(&planned) {
            match moves::begin(cluster, seats) {
                Ok(begun) => commands = begun,
                Err(error) => tracing::warn!(%error, "what is to move has to stay"),
            }
            // Taken for done only where nothing of it is left to be begun.
            self.planned = commands.is_empty().then_some(planned);
        }
        let now = self.clock.monotonic();
        if commands.is_empty() && now >= self.ends_due {
            self.ends_due = now + ENDS_EVERY;
            commands = self.progress.cut_overs(seats);
            commands.extend(moves::removable(cluster, seats));
        }
        let mut changed = false;
        for command in commands {
            changed |= self.propose(command).await?;
        }
        if changed {
            self.ends_due = now;
            if buggify("pass-late") {
                self.pass_due = now + LATE;
            }
        }
        Ok(changed)
    }

    /// Pays debt of one page of chunks, the most endangered first. True where some was paid.
    async fn pay(&mut self, seats: &Seats) -> Result<bool, MetadataError> {
        let now = self.clock.monotonic();
        self.resting.retain(|_, until| *until > now);
        let mut after = Bytes::new();
        for _ in 0..PAGES {
            let limit = page_size();
            let asked = GetDebt { limit, after };
            let page = self.page(Asked::GetDebt(asked)).await?;
            let subjects: Vec<Subject<'_>> = (page.chunks.iter())
                .filter_map(|chunk| Subject::read(chunk, seats))
                .filter(|subject| !self.resting.contains_key(&subject.chunk()))
                .collect();
            if !subjects.is_empty() {
                return self.pay_for(&subjects, now).await;
            }
            if page.next.is_empty() {
                break;
            }
            after = page.next;
        }
        Ok(false)
    }

    async fn pay_for(
        &mut self,
        subjects: &[Subject<'_>],
        now: Duration,
    ) -> Result<bool, MetadataError> {
        let orders = subjects.iter().enumerate().flat_map(|(place, subject)| {
            let wanted = subject.wanted().into_iter();
            wanted.filter_map(move |shard| Some((place, subject.order(shard)?)))
        });
        let mut good: BTreeMap<usize, BTreeSet<u8>> = BTreeMap::new();
        for (place, shard, done) in self.carry_out(orders.collect()).await {
            if done {
                good.entry(place).or_default().insert(shard);
            }
        }
        let none = BTreeSet::new();
        let mut paid = false;
        for (place, subject) in subjects.iter().enumerate() {
            let good = good.get(&place).unwrap_or(&none);
            let mut whole = good.len() == subject.wanted().len();
            for command in subject.settle(good) {
                let taken = self.propose(command).await?;
                paid |= taken;
                whole &= taken;
            }
            if !whole && self.resting.len() < RESTING_MAX {
                self.resting.insert(subject.chunk(), now + REST);
            }
        }
        Ok(paid)
    }

    /// One page of the pass under way, or of the next one that is due. True where there was one.
    async fn pass(
        &mut self,
        seats: &Seats,
        moving: &BTreeSet<Moving>,
    ) -> Result<bool, MetadataError> {
        let now = self.clock.monotonic();
        let mut pass = match self.pass.take() {
            Some(pass) => pass,
            None if now < self.pass_due || moving.is_empty() => return Ok(false),
            None => {
                let Kind::Sessions(sessions) = self.ask(Asked::GetSessions(GetSessions {})).await?
                else {
                    return Err(OTHER);
                };
                match self.progress.pass(moving, &sessions, seats) {
                    Some(pass) => pass,
                    None => return Ok(false),
                }
            }
        };
        let asked = GetChunkRows {
            limit: page_size(),
            after: pass.after.clone(),
            partitions: pass.partitions(),
        };
        let page = self.page(Asked::GetChunkRows(asked)).await?;
        self.look_at(&mut pass, &page, seats, moving).await?;
        pass.after = page.next;
        if !pass.after.is_empty() {
            self.pass = Some(pass);
            return Ok(true);
        }
        if self.progress.finish(pass) {
            self.ends_due = now;
        } else {
            self.pass_due = now + REST;
        }
        Ok(true)
    }

    async fn look_at(
        &self,
        pass: &mut Pass,
        page: &ChunkPage,
        seats: &Seats,
        moving: &BTreeSet<Moving>,
    ) -> Result<(), MetadataError> {
        let mut orders = Vec::new();
        for (place, chunk) in page.chunks.iter().enumerate() {
            let Some(subject) = Subject::read(chunk, seats) else {
                tracing::error!("a chunk row that cannot be read holds up all moves");
                pass.fail_all();
                continue;
            };
            for slot in pass.slots(subject.partition(), moving) {
                if !subject.has(slot) {
                    continue;
                }
                match subject.order(slot) {
                    Some(order) => orders.push((place, order)),
                    None => pass.fail(subject.partition(), slot),
                }
            }
        }
        for (place, shard, done) in self.carry_out(orders).await {
            let Some(chunk) = page.chunks.get(place).filter(|_| !done) else {
                continue;
            };
            if let Some(subject) = Subject::read(chunk, seats)
                && self.is_needed(chunk).await?
            {
                pass.fail(subject.partition(), shard);
            }
        }
        Ok(())
    }

    /// Whether a chunk's row still needs the writing it named when it was read. What is condemned
    /// may be deleted under a rebuild.
    async fn is_needed(&self, seen: &Chunk) -> Result<bool, MetadataError> {
        let key = ChunkKey {
            domain: seen.domain,
            sha256: seen.sha256.clone(),
        };
        let asked = GetChunks { chunks: vec![key] };
        let Kind::Chunks(rows) = self.ask(Asked::GetChunks(asked)).await? else {
            return Err(OTHER);
        };
        let same = |row: &Chunk| row.live && row.incarnation == seen.incarnation;
        Ok(rows.chunks.iter().any(same))
    }

    /// Has orders carried out, a few at a time; tells of each whether its shard is good now.
    async fn carry_out(&self, orders: Vec<(usize, Rebuild)>) -> Vec<(usize, u8, bool)> {
        let calls = orders.into_iter().map(|(place, order)| async move {
            let shard = order.shard;
            (place, shard, self.rebuild(order).await)
        });
        stream::iter(calls)
            .buffer_unordered(ORDERS)
            .collect::<Vec<_>>()
            .await
    }

    async fn rebuild(&self, order: Rebuild) -> bool {
        let (chunk, shard, disk) = (order.chunk.sha256, order.shard, order.disk);
        if buggify("rebuild-given-up") {
            return false;
        }
        let route = self.disks.route(disk);
        let Some(service) = route.and_then(|route| route.rebuild) else {
            return false;
        };
        let outcome = tokio::select! {
            outcome = service.rebuild(order) => outcome,
            () = self.clock.sleep(PATIENCE) => {
                tracing::warn!(%chunk, shard, %disk, "a rebuild takes too long");
                return false;
            }
        };
        match outcome {
            Ok(how) => tracing::debug!(%chunk, shard, %disk, ?how, "a shard is good"),
            Err(ref error) => {
                tracing::warn!(%chunk, shard, %disk, %error, "a shard is not rebuilt")
            }
        }
        outcome.is_ok()
    }

    /// Proposes a command; true where it was carried out.
    async fn propose(&self, command: Command) -> Result<bool, MetadataError> {
        let reply = self.metadata.propose(0, 0, command).await?;
        let taken = reply.refusal() == Refusal::None;
        if !taken {
            let refusal = reply.refusal().as_str_name();
            tracing::debug!(
                refusal,
                detail = reply.detail,
                "a step of repair has to wait"
            );
        }
        Ok(taken)
    }

    async fn page(&self, asked: Asked) -> Result<ChunkPage, MetadataError> {
        match self.ask(asked).await? {
            Kind::ChunkPage(page) => Ok(page),
            _ => Err(OTHER),
        }
    }

    async fn ask(&self, asked: Asked) -> Result<Kind, MetadataError> {
        let answer = self.metadata.query(Query { query: Some(asked) }).await?;
        answer.answer.ok_or(OTHER)
    }
}

fn page_size() -> u32 {
    if buggify("repair-page-of-one") {
        1
    } else {
        PAGE
    }
}

const OTHER: MetadataError = MetadataError::Refused("another answer than asked");

#[cfg(test)]
mod tests;
