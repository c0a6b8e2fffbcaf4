//! What the leader does without being asked: expire silent sessions, end what was begun, delete
//! what is condemned. Planners decide ([`garbage::plan`], pure), this loop acts, one step at a time.
//!
//! ```text
//!  GetSessions ──> silent for 90 s ──────────> EndSession (expired)
//!  GetGarbage  ──> ends aborts releases ─────> EndSession AbortUpload ReleasePage ForgetBucket
//!              ──> deletable ────────────────> BeginDelete
//!              ──> deleting ──> every disk ──> FinishDelete
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cairn_model::{ChunkId, DiskId, DomainId, Incarnation, Sha256};
use cairn_rpc::{MetadataError, MetadataService, ShardDelete, ShardService};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    ClusterAnswer, Condemned, EndSession, FinishDelete, GarbageAnswer, GetCluster, GetGarbage,
    GetSessions, Query,
};
use tokio::sync::watch;

use crate::service::Metadata;

pub mod garbage;

/// Pause between two rounds that found nothing to do.
const IDLE: Duration = Duration::from_millis(500);
/// Rows of each kind in one round.
const ROUND: u32 = 512;

/// The storage nodes by disk.
pub type Nodes = BTreeMap<DiskId, Arc<dyn ShardService>>;

/// The leader's background work.
#[derive(Debug)]
pub struct Planner {
    metadata: Arc<Metadata>,
    nodes: Nodes,
}

impl Planner {
    /// A planner that acts through `metadata` and on `nodes`.
    #[must_use]
    pub fn new(metadata: Arc<Metadata>, nodes: Nodes) -> Self {
        Self { metadata, nodes }
    }

    /// Works until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut leadership = None;
        loop {
            let mut busy = false;
            if let Some(term) = self.metadata.host().leadership() {
                if leadership.replace(term) != Some(term) {
                    self.metadata.forget_heard();
                }
                busy = self.round().await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "background round failed, it will be tried again");
                    false
                });
            }
            let pause = self
                .metadata
                .clock()
                .sleep(if busy { Duration::ZERO } else { IDLE });
            tokio::select! {
                () = pause => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// One round; true where it found work.
    ///
    /// # Errors
    /// The metadata's; the round is simply tried again.
    pub async fn round(&self) -> Result<bool, MetadataError> {
        self.expire_sessions().await?;
        let Kind::Garbage(work) = self
            .ask(Asked::GetGarbage(GetGarbage { limit: ROUND }))
            .await?
        else {
            return Err(MetadataError::Refused("another answer than asked"));
        };
        let commands = garbage::plan(&work);
        let mut busy = !commands.is_empty();
        for command in commands {
            self.metadata.propose(0, 0, command).await?;
        }
        busy |= self.delete(work).await?;
        Ok(busy)
    }

    async fn expire_sessions(&self) -> Result<(), MetadataError> {
        let Kind::Sessions(sessions) = self.ask(Asked::GetSessions(GetSessions {})).await? else {
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
        let Kind::Cluster(cluster) = self.ask(Asked::GetCluster(GetCluster {})).await? else {
            return Err(MetadataError::Refused("another answer than asked"));
        };
        let mut by_disk: BTreeMap<DiskId, Vec<ShardDelete>> = BTreeMap::new();
        for item in &work.deleting {
            let Some(delete) = shard_delete(item) else {
                continue;
            };
            for disk in disks_of(&cluster, delete.incarnation) {
                by_disk.entry(disk).or_default().push(delete);
            }
        }
        for (disk, deletes) in by_disk {
            let Some(node) = self.nodes.get(&disk) else {
                continue;
            };
            if let Err(error) = node.delete(disk, &deletes).await {
                tracing::warn!(%disk, %error, "deletes wait for the disk");
                return Ok(false);
            }
        }
        let command = Command::FinishDelete(FinishDelete {
            items: work.deleting,
        });
        self.metadata.propose(0, 0, command).await?;
        Ok(true)
    }

    async fn ask(&self, asked: Asked) -> Result<Kind, MetadataError> {
        let answer = self.metadata.query(Query { query: Some(asked) }).await?;
        answer
            .answer
            .ok_or(MetadataError::Refused("an empty answer"))
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

/// Current and next disks of a writing's partition.
fn disks_of(cluster: &ClusterAnswer, incarnation: Incarnation) -> Vec<DiskId> {
    let number = incarnation.partition(cluster.partition_bits);
    let row = usize::try_from(number)
        .ok()
        .and_then(|number| cluster.partitions.get(number));
    row.map(|row| {
        row.current
            .iter()
            .chain(&row.next)
            .filter_map(|disk| disk.as_ref().try_into().ok().map(DiskId))
            .collect()
    })
    .unwrap_or_default()
}
