//! Where the shards of an upload really are, and what is owed for it.
//!
//! ```text
//!   placed by the row as it is ──> owed: what the gateway says is missing
//!   placed by an older epoch   ──> the row still tells where that was:
//!        the same disk           nothing is owed
//!        the disk a move leaves  move debt; readers find it there meanwhile
//!        another member          move debt; only repair finds it there
//!        no member, or lost      plain debt
//!     and what readers find must meet the ack rule, else RetryUpload
//! ```
//!
//! Without this a shard written by the row of before a move would be passed by: the move's pass looks
//! at the chunk rows there are, and this one came later.

use std::collections::BTreeSet;

use bytes::Bytes;
use cairn_model::Coding;
use cairn_wire::metadata::{Debt, ExtentWrite, Refusal};
use cairn_world::{Bug, planted};

use super::{Context, Stop, malformed, refuse};
use crate::keyspace::cluster::ClusterRow;
use crate::keyspace::partition::PartitionRow;

/// What an upload owes.
pub(super) fn debt(
    context: &Context,
    row: &PartitionRow,
    extent: &ExtentWrite,
    coding: Coding,
) -> Result<Vec<Debt>, Stop> {
    let cluster = context.cluster()?;
    let missing: BTreeSet<usize> = (extent.debt.iter())
        .filter_map(|debt| usize::try_from(debt.shard).ok())
        .collect();
    let beyond = |shard: &usize| *shard >= coding.shards();
    if missing.len() != extent.debt.len() || missing.iter().any(beyond) {
        return malformed("the debt names a shard twice, or one that is none");
    }
    let mut found = 0;
    let mut debts = Vec::new();
    for shard in 0..coding.shards() {
        let Some(home) = row.write_disk(shard) else {
            return malformed("the coding has more shards than a partition has slots");
        };
        if planted(Bug::EpochWithoutDebt) && !missing.contains(&shard) {
            found += 1;
            continue;
        }
        let Some(real) = row.write_disk_at(shard, extent.epoch) else {
            return refuse(Refusal::RetryUpload);
        };
        let lies = !missing.contains(&shard) && (real == home || stays(cluster, real));
        found += usize::from(lies && (real == home || row.current.get(shard) == Some(real)));
        if lies && real == home {
            continue;
        }
        debts.push(Debt {
            shard: u32::try_from(shard).unwrap_or(u32::MAX),
            disk: home.clone(),
            found: if lies { real.clone() } else { Bytes::new() },
        });
    }
    if found >= coding.ack_shards() {
        return Ok(debts);
    }
    if coding.shards() - missing.len() < coding.ack_shards() {
        return malformed("the debt breaks the ack rule");
    }
    refuse(Refusal::RetryUpload)
}

/// Whether a disk is a member that is not lost.
pub(super) fn stays(cluster: &ClusterRow, disk: &Bytes) -> bool {
    let member = cluster.disks.iter().any(|member| member.disk == disk);
    let lost = (cluster.leaving.iter()).any(|leaving| leaving.lost && leaving.disk == disk);
    member && !lost
}

/// Where move debt says that shards lie: a deletion must reach there too.
pub(super) fn elsewhere(debt: &[Debt]) -> Vec<Bytes> {
    let found = debt.iter().map(|debt| &debt.found);
    let found: BTreeSet<Bytes> = found.filter(|disk| !disk.is_empty()).cloned().collect();
    found.into_iter().collect()
}
