//! How a disk or a node leaves.
//!
//! ```text
//!   MarkDisk   leaving: no new slots, and the planner moves away what it holds
//!              lost:    the same, and nothing is read from it any more; for ever
//!   RemoveDisk once no partition row and no debt names it; its node cannot bring it back
//!   RemoveNode once it has no disks
//! ```

use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::metadata::{Disk, LeavingDisk, MarkDisk, Refusal, RemoveDisk, RemoveNode, Reply};

use super::{Context, Stop, Transaction, generation, malformed, refuse};
use crate::keyspace::KeyKind as _;
use crate::keyspace::cluster::{ClusterKey, ClusterRow};
use crate::keyspace::debt::DiskDebtKey;
use crate::keyspace::node::NodeKey;
use crate::keyspace::partition::PartitionKey;

/// Marks a member as one that is to leave, or takes the mark back.
pub(super) fn mark(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: MarkDisk,
) -> Result<Reply, Stop> {
    let mut cluster = context.cluster()?.clone();
    let Some(mark) = command.disk else {
        return malformed("no disk");
    };
    require_member(&cluster, &mark.disk)?;
    let place = cluster
        .leaving
        .iter()
        .position(|known| known.disk == mark.disk);
    let known = place.and_then(|place| cluster.leaving.get(place).cloned());
    // What was given up on may lack what was written since.
    if known.is_some_and(|known| known.lost) && (command.stay || !mark.lost) {
        return refuse(Refusal::InUse);
    }
    if let Some(place) = place {
        cluster.leaving.remove(place);
    }
    if !command.stay {
        cluster.leaving.push(LeavingDisk {
            disk: mark.disk,
            lost: mark.lost,
        });
    }
    txn.put(&ClusterKey, &cluster);
    Ok(Reply::default())
}

/// A marked disk is a member no more.
pub(super) fn remove_disk(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &RemoveDisk,
) -> Result<Reply, Stop> {
    // What a restored table does not name may be all that is left of a shard.
    generation::require_thawed(context)?;
    let mut cluster = context.cluster()?.clone();
    require_member(&cluster, &command.disk)?;
    let marked = (cluster.leaving.iter()).any(|known| known.disk == command.disk);
    let rows =
        txn.scan::<PartitionKey>(&[PartitionKey::PREFIX], 1 << limits::PARTITION_BITS_MAX)?;
    let named = (rows.iter()).any(|(_, row)| row.disks().any(|disk| *disk == command.disk));
    let owed = txn.scan::<DiskDebtKey>(&DiskDebtKey::of(&command.disk), 1)?;
    if !marked || named || !owed.is_empty() {
        return refuse(Refusal::InUse);
    }
    if let Some(disk) = (cluster.disks.iter()).find(|disk| disk.disk == command.disk) {
        remember(txn, disk)?;
    }
    cluster.disks.retain(|disk| disk.disk != command.disk);
    cluster.leaving.retain(|disk| disk.disk != command.disk);
    txn.put(&ClusterKey, &cluster);
    Ok(Reply::default())
}

/// The disk's node must not bring it back: what it missed is not known of it any more.
fn remember(txn: &mut Transaction<'_>, disk: &Disk) -> Result<(), Stop> {
    let key = NodeKey(disk.node);
    // A cluster of one process has no node rows, and no disks that join.
    let Some(mut node) = txn.get(&key)? else {
        return Ok(());
    };
    if node.left_disks.len() >= limits::LEFT_DISKS_MAX {
        node.left_disks.remove(0);
    }
    node.left_disks.push(disk.disk.clone());
    txn.put(&key, &node);
    Ok(())
}

fn require_member(cluster: &ClusterRow, disk: &Bytes) -> Result<(), Stop> {
    if cluster.disks.iter().any(|member| member.disk == disk) {
        Ok(())
    } else {
        refuse(Refusal::NoSuchDisk)
    }
}

/// A node without disks is known no more.
pub(super) fn remove_node(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &RemoveNode,
) -> Result<Reply, Stop> {
    let cluster = context.cluster()?;
    let key = NodeKey(command.node);
    if txn.get(&key)?.is_none() {
        return refuse(Refusal::NoSuchNode);
    }
    if cluster.disks.iter().any(|disk| disk.node == command.node) {
        return refuse(Refusal::InUse);
    }
    txn.delete(&key);
    Ok(Reply::default())
}
