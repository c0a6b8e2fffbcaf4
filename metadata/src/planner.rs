//! What the leader does without being asked: expire silent sessions, end what was begun, delete
//! what is condemned. Planners decide ([`garbage::plan`], pure), this loop acts, one step at a time.
//!
//! ```text
//!  GetSessions ──> silent for 90 s ──────────> EndSession (expired)
//!  GetGarbage  ──> ends aborts releases ─────> EndSession AbortUpload ReleasePage ForgetBucket
//!              ──> deletable ────────────────> BeginDelete
//!              ──> deleting ──> every disk ──> FinishDelete
//!              ──> leases due ───────────────> ExpireLeases
//!  inventory   ──> unknown, twice ───────────> JudgeOrphans
//!  GetCluster  ──> no table, enough disks ───> PlaceTable
//!  repair.rs   ──> debt, suspects, moves; beside this loop, which it must not hold up
//!  census.rs   ──> disks in doubt after a crash: what they lack is suspect
//!  marking.rs  ──> every row, once a day; only tells
//!  lifting.rs  ──> after a bump: every row and every disk ──> RecordMissing LiftFreeze
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::{ChunkId, DomainId, Incarnation, Sha256};
use cairn_rpc::{MetadataError, MetadataService, ShardDelete, ShardError, ShardFound, ShardRoutes};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    ChunkKey, Condemned, EndSession, FinishDelete, GarbageAnswer, GetChunks, GetGarbage,
    GetSessions,
};
use cairn_world::{Bug, buggify, planted};
use tokio::sync::watch;

use crate::service::Metadata;
use census::Census;
use lifting::Lifting;
use marking::Marking;
use orphans::{Suspects, Writing};
use pace::rest;
use repair::Repair;

mod census;
pub mod garbage;
pub mod inventory;
pub mod leases;
mod lifting;
mod marking;
pub mod moves;
pub mod orders;
pub mod orphans;
mod pace;
pub mod placement;
pub mod repair;
pub mod voters;

/// Pause between two rounds that found nothing to do.
const IDLE: Duration = Duration::from_millis(500);
/// Rows of each kind in one round.
const ROUND: u32 = 512;

/// Time between two looks for orphans, and so their quarantine.
const ORPHANS_EVERY: Duration = Duration::from_secs(600);
/// Shards in one page of an inventory.
const INVENTORY_PAGE: usize = 512;
/// Suspects kept between two rounds; what is beyond is found again later.
const SUSPECTS_MAX: usize = 1 << 16;

/// The leader's background work.
#[derive(Debug)]
pub struct Planner {
    metadata: Arc<Metadata>,
    disks: Arc<dyn ShardRoutes>,
    /// Suspected at the last look for orphans, in quarantine since.
    suspects: Suspects,
    orphans_due: Duration,
    /// Until the first table is there.
    unplaced: Option<placement::Quiet>,
}

impl Planner {
    /// A planner that acts through `metadata` and on `disks`.
    #[must_use]
    pub fn new(metadata: Arc<Metadata>, disks: Arc<dyn ShardRoutes>) -> Self {
        let orphans_due = metadata.clock().monotonic() + ORPHANS_EVERY;
        Self {
            metadata,
            disks,
            suspects: Suspects::new(),
            orphans_due,
            unplaced: Some(placement::Quiet::default()),
        }
    }

    /// Works until `stop` turns true.
    pub async fn run(self, stop: watch::Receiver<bool>) {
        let metadata = Arc::clone(&self.metadata);
        let service: Arc<dyn MetadataService> = Arc::clone(&self.metadata) as _;
        let clock = Arc::clone(metadata.clock());
        let repair = Repair::new(service, Arc::clone(&self.disks), clock);
        let marking = Marking::new(Arc::clone(&metadata));
        let lifting = Lifting::new(Arc::clone(&metadata), Arc::clone(&self.disks));
        let census = Census::new(Arc::clone(&metadata), Arc::clone(&self.disks));
        tokio::join!(
            self.keep_house(stop.clone()),
            census.run(stop.clone()),
            marking.run(stop.clone()),
            lifting.run(stop.clone()),
            repair.run(metadata, stop)
        );
    }

    async fn keep_house(mut self, mut stop: watch::Receiver<bool>) {
        let mut leadership = None;
        loop {
            let mut busy = false;
            if let Some(term) = self.metadata.host().leadership() {
                if leadership.replace(term) != Some(term) {
                    self.metadata.forget_heard();
                    self.suspects.clear();
                }
                busy = self.round().await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "background round failed, it will be tried again");
                    false
                });
                if let Err(error) = self.place().await {
                    tracing::warn!(%error, "the first table could not be placed, it will be tried again");
                }
                let due = self.metadata.clock().monotonic() >= self.orphans_due;
                if due {
                    self.orphans_due += ORPHANS_EVERY;
                }
                if (due || buggify("orphans-early"))
                    && let Err(error) = self.judge_orphans().await
                {
                    tracing::warn!(%error, "the look for orphans failed, it will be tried again");
                }
            }
            let pause = if busy { Duration::ZERO } else { IDLE };
            if !rest(self.metadata.clock().as_ref(), pause, &mut stop).await {
                return;
            }
        }
    }

    /// One round; true where it found work.
    ///
    /// # Errors
    /// The metadata's; the round is simply tried again.
    pub async fn round(&self) -> Result<bool, MetadataError> {
        self.expire_sessions().await?;
        let limit = if buggify("garbage-one-row") { 1 } else { ROUND };
        let Kind::Garbage(work) = self
            .metadata
            .ask(Asked::GetGarbage(GetGarbage { limit }))
            .await?
        else {
            return Err(MetadataError::Refused("another answer than asked"));
        };
        let mut commands = garbage::plan(&work);
        let now_ms = self.metadata.clock().wall();
        commands.extend(work.leases.and_then(|due| leases::plan(&due, now_ms)));
        let mut busy = !commands.is_empty() || buggify("garbage-round-repeats");
        for command in commands {
            if buggify("garbage-round-cut-short") {
                return Ok(true);
            }
            self.metadata.propose(0, 0, command).await?;
        }
        busy |= self.delete(work).await?;
        Ok(busy)
    }

    /// Places the first table of a cluster born without disks, once enough have joined.
    ///
    /// # Errors
    /// The metadata's.
    pub async fn place(&mut self) -> Result<(), MetadataError> {
        let Some(mut quiet) = self.unplaced.take() else {
            return Ok(());
        };
        let cluster = match self.metadata.cluster().await {
            Ok(cluster) if !cluster.partitions.is_empty() => return Ok(()),
            cluster => cluster,
        };
        let now = self.metadata.clock().monotonic();
        let table = cluster.map(|cluster| quiet.place(&cluster, now));
        self.unplaced = Some(quiet);
        if let Some(table) = table? {
            let reply = (self.metadata)
                .propose(0, 0, Command::PlaceTable(table))
                .await?;
            tracing::info!(refusal = ?reply.refusal(), "the first partition table is placed");
        }
        Ok(())
    }

    /// Looks at every disk once; what was suspected last time and still is, is judged by entries.
    ///
    /// # Errors
    /// The metadata's.
    pub async fn judge_orphans(&mut self) -> Result<(), MetadataError> {
        let cluster = self.metadata.cluster().await?;
        let mut now = Suspects::new();
        if cluster.frozen_since != 0 && !planted(Bug::FreezeIgnored) {
            self.suspects.clear();
            return Ok(());
        }
        for disk in self.disks.disks() {
            let Some(route) = self.disks.route(disk) else {
                continue;
            };
            let mut after = None;
            loop {
                let limit = if buggify("inventory-page-of-one") {
                    1
                } else {
                    INVENTORY_PAGE
                };
                let page = match route.inventory.inventory(disk, after, limit).await {
                    Ok(page) => page,
                    Err(error) => {
                        tracing::warn!(%disk, %error, "no inventory of this disk");
                        break;
                    }
                };
                let Some(last) = page.last() else { break };
                after = Some((last.incarnation, last.shard));
                for writing in self.suspects_of(&page).await? {
                    let strange = !garbage::disks_of(&cluster, writing.1).contains(&disk);
                    now.entry(writing)
                        .or_default()
                        .extend(strange.then_some(disk));
                }
                if now.len() > SUSPECTS_MAX {
                    break;
                }
            }
        }
        for verdict in orphans::verdicts(&self.suspects, &now) {
            tracing::info!(writings = verdict.orphans.len(), "judging orphans");
            self.metadata
                .propose(0, 0, Command::JudgeOrphans(verdict))
                .await?;
        }
        self.suspects = now;
        Ok(())
    }

    async fn suspects_of(&self, page: &[ShardFound]) -> Result<BTreeSet<Writing>, MetadataError> {
        let Kind::Sessions(sessions) = self
            .metadata
            .ask(Asked::GetSessions(GetSessions {}))
            .await?
        else {
            return Err(MetadataError::Refused("another answer than asked"));
        };
        let chunks = page
            .iter()
            .map(|shard| ChunkKey {
                domain: shard.chunk.domain.0,
                sha256: Bytes::copy_from_slice(&shard.chunk.sha256.0),
            })
            .collect();
        let Kind::Chunks(rows) = self
            .metadata
            .ask(Asked::GetChunks(GetChunks { chunks }))
            .await?
        else {
            return Err(MetadataError::Refused("another answer than asked"));
        };
        Ok(orphans::suspects(page, &sessions, &rows.chunks))
    }

    async fn expire_sessions(&self) -> Result<(), MetadataError> {
        let Kind::Sessions(sessions) = self
            .metadata
            .ask(Asked::GetSessions(GetSessions {}))
            .await?
        else {
            return Err(MetadataError::Refused("another answer than asked"));
        };
        for target in self.metadata.silent(&sessions.open) {
            tracing::info!(session = target, "session is silent, expiring it");
            let command = Command::EndSession(EndSession {
                target,
                expired: true,
            });
            self.metadata.propose(0, 0, command).await?;
        }
        Ok(())
    }

    /// Carries out committed deletes on every disk that may hold a shard, then says so.
    async fn delete(&self, work: GarbageAnswer) -> Result<bool, MetadataError> {
        if work.deleting.is_empty() {
            return Ok(false);
        }
        let cluster = self.metadata.cluster().await?;
        let generation = u16::try_from(cluster.generation).unwrap_or(0);
        let deletes: Vec<Option<ShardDelete>> = work.deleting.iter().map(shard_delete).collect();
        let by_disk = garbage::by_disk(&cluster, &work.deleting);
        let mut waiting = BTreeSet::new();
        for (disk, places) in by_disk {
            let chosen = places.iter().filter_map(|place| deletes.get(*place));
            let chosen: Vec<ShardDelete> = chosen.copied().flatten().collect();
            // A disk that is away does not hold up the others: when it comes back, what it still has
            // is found as an orphan.
            let Some(shards) = (self.disks.shards(disk)).filter(|_| self.disks.is_reachable(disk))
            else {
                continue;
            };
            match shards.delete(disk, generation, &chosen).await {
                Ok(()) | Err(ShardError::Failed(_) | ShardError::NotMine) => {}
                Err(error) => {
                    tracing::warn!(%disk, %error, "deletes wait for the disk");
                    waiting.extend(places);
                }
            }
        }
        let done = work.deleting.into_iter().enumerate();
        let done = done.filter(|(place, _)| !waiting.contains(place));
        let items: Vec<Condemned> = done
            .map(|(_, item)| Condemned {
                disks: Vec::new(),
                ..item
            })
            .collect();
        if items.is_empty() {
            return Ok(false);
        }
        let command = Command::FinishDelete(FinishDelete { items });
        self.metadata.propose(0, 0, command).await?;
        Ok(true)
    }
}

fn shard_delete(item: &Condemned) -> Option<ShardDelete> {
    let sha256 = Sha256(item.sha256.as_ref().try_into().ok()?);
    Some(ShardDelete {
        chunk: ChunkId {
            domain: DomainId(item.domain),
            sha256,
        },
        incarnation: Incarnation::from_bytes(&item.incarnation)?,
    })
}
