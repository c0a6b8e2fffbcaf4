//! What a process with disks does beside its calls, the same whatever else the process is:
//!
//! ```text
//!   the metadata ──partition rows──> storage node     when a caller knew more, and now and then
//!   storage node ──damage it found──> the metadata    MarkSuspect; the leader has it repaired
//!   storage node ──how its disks are──> voters        heartbeats
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_model::DiskId;
use cairn_rpc::{MetadataError, MetadataService};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{ClusterAnswer, DiskStatus, GetCluster, MarkSuspect, Query};
use cairn_world::Clock;

use crate::{Damage, DiskState, PlacementNews, RowNews, StorageNode};

/// How often the partition rows are read without a reason.
const NEWS_EVERY: Duration = Duration::from_secs(30);
/// Pause after news that did not come, and the least between two.
const NEWS_PAUSE: Duration = Duration::from_millis(500);
/// How often found damage is told.
const DAMAGE_EVERY: Duration = Duration::from_secs(5);

/// Keeps the node's placement fresh and tells of damage, for as long as it is polled.
pub async fn keep(storage: &Arc<StorageNode>, metadata: &dyn MetadataService, clock: &dyn Clock) {
    tokio::join!(
        keep_placement(storage, metadata, clock),
        tell_damage(storage, metadata, clock)
    );
}

async fn keep_placement(storage: &StorageNode, metadata: &dyn MetadataService, clock: &dyn Clock) {
    loop {
        tokio::select! {
            _ = storage.until_partitions_are_wanted() => {}
            () = clock.sleep(NEWS_EVERY) => {}
        }
        match cluster(metadata).await {
            Ok(cluster) => {
                if let Some(news) = news(&cluster)
                    && let Err(error) = storage.take_news(&news).await
                {
                    tracing::error!(%error, "news of the partition table could not be taken");
                }
            }
            Err(error) => tracing::debug!(%error, "no news of the partitions"),
        }
        clock.sleep(NEWS_PAUSE).await;
    }
}

async fn cluster(metadata: &dyn MetadataService) -> Result<ClusterAnswer, MetadataError> {
    let query = Query {
        query: Some(Asked::GetCluster(GetCluster {})),
    };
    match metadata.query(query).await?.answer {
        Some(Kind::Cluster(cluster)) => Ok(cluster),
        _ => Err(MetadataError::Refused("another answer than asked")),
    }
}

/// What the node needs of the cluster; `None` before anything is placed.
fn news(cluster: &ClusterAnswer) -> Option<PlacementNews> {
    let named = |disk: &Bytes| disk.as_ref().try_into().ok().map(DiskId);
    let rows = (0..)
        .zip(&cluster.partitions)
        .map(|(partition, row)| RowNews {
            partition,
            epoch: row.epoch,
            disks: row
                .current
                .iter()
                .chain(&row.next)
                .filter_map(named)
                .collect(),
        });
    let rows: Vec<RowNews> = rows.collect();
    (!rows.is_empty()).then_some(PlacementNews {
        generation: u16::try_from(cluster.generation).ok()?,
        bits: cluster.partition_bits,
        rows,
    })
}

async fn tell_damage(storage: &StorageNode, metadata: &dyn MetadataService, clock: &dyn Clock) {
    let mut untold: Vec<MarkSuspect> = Vec::new();
    loop {
        clock.sleep(DAMAGE_EVERY).await;
        // What is not told yet is left where it is bounded.
        if untold.is_empty() {
            for disk in storage.disks().into_iter().filter_map(|status| status.disk) {
                let found = storage.take_damage(disk).unwrap_or_default();
                untold.extend(found.iter().map(suspect));
            }
        }
        while let Some(mark) = untold.last().cloned() {
            if let Err(error) = metadata.propose(0, 0, Command::MarkSuspect(mark)).await {
                tracing::warn!(%error, left = untold.len(), "damage could not be told");
                break;
            }
            untold.pop();
        }
    }
}

fn suspect(damage: &Damage) -> MarkSuspect {
    MarkSuspect {
        domain: damage.chunk.domain.0,
        sha256: Bytes::copy_from_slice(&damage.chunk.sha256.0),
        incarnation: Bytes::copy_from_slice(&damage.incarnation.to_bytes()),
        reason: format!("shard {}: {}", damage.shard, damage.reason),
    }
}

/// How the node's disks are, for heartbeats.
#[must_use]
pub fn status(storage: &StorageNode) -> Vec<DiskStatus> {
    let reports = storage.report().into_iter().map(|report| {
        let detail = match &report.state {
            DiskState::Ready => String::new(),
            DiskState::Failed(why) | DiskState::NotOpened(why) => why.clone(),
        };
        DiskStatus {
            disk: Bytes::copy_from_slice(&report.disk.0),
            free: report.free,
            total: report.total,
            ready: report.state == DiskState::Ready,
            detail,
            fenced: report.fenced.into(),
            doubt: report.doubt,
        }
    });
    let unopened = storage.disks().into_iter().filter_map(|status| {
        let DiskState::NotOpened(detail) = status.state else {
            return None;
        };
        Some(DiskStatus {
            detail: format!("directory {}: {detail}", status.position + 1),
            ..DiskStatus::default()
        })
    });
    reports.chain(unopened).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_wire::metadata::PartitionRow;

    #[test]
    fn a_row_names_its_current_and_next_disks() {
        let disk = |name: u8| Bytes::copy_from_slice(&[name; 16]);
        let cluster = ClusterAnswer {
            generation: 3,
            partition_bits: 1,
            partitions: vec![
                PartitionRow {
                    epoch: 5,
                    current: vec![disk(1), disk(2)],
                    next: vec![Bytes::new(), disk(3)],
                },
                PartitionRow {
                    epoch: 1,
                    current: vec![disk(2), disk(1)],
                    next: vec![Bytes::new(), Bytes::new()],
                },
            ],
            ..ClusterAnswer::default()
        };
        let news = news(&cluster).unwrap();
        assert_eq!((news.generation, news.bits, news.rows.len()), (3, 1, 2));
        assert_eq!(news.rows[0].epoch, 5);
        let named = [1, 2, 3].map(|name| DiskId([name; 16]));
        assert_eq!(news.rows[0].disks, named);
        assert_eq!(news.rows[1].partition, 1);
    }

    #[test]
    fn before_anything_is_placed_there_is_no_news() {
        assert_eq!(news(&ClusterAnswer::default()), None);
    }
}
