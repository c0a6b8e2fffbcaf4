//! Another history begins: after a restore from a backup, and after one voter was made to go on alone.
//!
//! ```text
//!   generation G ──BumpGeneration──> G + 1, deletion frozen ──RecordMissing *──LiftFreeze──> deletion goes on
//!                      │ every session ends                       │ what the inventory
//!                      │ ids and epochs go on above all of G      │ did not find is owed
//! ```
//!
//! What the old history did after the backup is not known here: it may have let chunks go that rows
//! still hold, moved shards, and written some that no row knows. So no evidence of before counts until
//! all rows were counted and all disks looked at.

use std::collections::BTreeSet;

use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::metadata::{BumpGeneration, LiftFreeze, Refusal, Reply, Role};
use cairn_world::{Bug, planted};

use super::{Context, Stop, Transaction, malformed, refuse};
use crate::keyspace::KeyKind as _;
use crate::keyspace::cluster::{ClusterKey, ClusterRow};
use crate::keyspace::node::NodeKey;
use crate::keyspace::partition::PartitionKey;
use crate::keyspace::session::{SessionKey, SessionRow};

/// Begins the next generation.
pub(super) fn bump(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &BumpGeneration,
) -> Result<Reply, Stop> {
    let mut cluster = context.cluster()?.clone();
    let wanted = (cluster.generation + 1).max(command.at_least);
    let Ok(generation) = u16::try_from(wanted) else {
        return refuse(Refusal::TooMany);
    };
    end_sessions(txn, generation)?;
    raise_epochs(txn, generation)?;
    if command.voter != 0 {
        leave_voter(txn, command.voter)?;
    }
    cluster.generation = wanted;
    cluster.frozen_since = wanted;
    txn.put(&ClusterKey, &cluster);
    txn.set_generation(generation);
    Ok(Reply {
        number: u64::from(generation),
        ..Reply::default()
    })
}

/// Ends every session. Those of the generation begin above what the old history can have given, so
/// that a gateway of that history never speaks in a session of this one.
fn end_sessions(txn: &mut Transaction<'_>, generation: u16) -> Result<(), Stop> {
    for (key, row) in txn.scan::<SessionKey>(&[SessionKey::PREFIX], usize::MAX)? {
        txn.put(&key, &SessionRow { ended: true, ..row });
    }
    let first = u64::from(generation) << limits::GENERATION_SESSION_BITS;
    let counters = txn.counters_mut();
    counters.session = counters.session.max(first);
    Ok(())
}

/// Whether a session id belongs to the generation, or is of before ids were kept apart.
pub(super) fn is_session_of(generation: u32, session: u64) -> bool {
    session >> limits::GENERATION_SESSION_BITS <= u64::from(generation)
}

/// Gives every row of the table an epoch above what the old history can have given it: an epoch of
/// that history says nothing of where shards are here.
fn raise_epochs(txn: &mut Transaction<'_>, generation: u16) -> Result<(), Stop> {
    let first = u64::from(generation) << limits::GENERATION_EPOCH_BITS;
    let epoch = first.max(txn.counters().table_epoch + 1);
    let most = 1 << limits::PARTITION_BITS_MAX;
    for (key, mut row) in txn.scan::<PartitionKey>(&[PartitionKey::PREFIX], most)? {
        row.epoch = epoch;
        row.told_from = epoch;
        row.past.clear();
        txn.put(&key, &row);
    }
    txn.counters_mut().table_epoch = epoch;
    Ok(())
}

/// The other voters know the old history and no other: they have the metadata role no more, so that
/// nobody hears their votes. Those that do nothing else are no nodes any more.
fn leave_voter(txn: &mut Transaction<'_>, voter: u64) -> Result<(), Stop> {
    let role = Role::Metadata as u32;
    let others = txn.scan::<NodeKey>(&[NodeKey::PREFIX], limits::NODES_MAX)?;
    for (key, mut node) in others {
        if key.0 == voter || node.roles & role == 0 {
            continue;
        }
        node.roles &= !role;
        if node.roles == Role::None as u32 {
            txn.delete(&key);
        } else {
            txn.put(&key, &node);
        }
    }
    Ok(())
}

/// Nothing lets a shard go while deletion is frozen.
pub(super) fn require_thawed(context: &Context) -> Result<(), Stop> {
    if context.cluster()?.is_frozen() && !planted(Bug::FreezeIgnored) {
        return refuse(Refusal::DeletionFrozen);
    }
    Ok(())
}

/// Deletion goes on. That mark and inventory have finished is the planner's word; that the inventory
/// was one of every member is checked here.
pub(super) fn lift(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &LiftFreeze,
) -> Result<Reply, Stop> {
    let mut cluster = context.cluster()?.clone();
    if command.disks.len() > limits::DISKS_MAX {
        return malformed("more disks than there can be");
    }
    if !cluster.is_frozen() || command.generation != cluster.generation {
        return refuse(Refusal::RowChanged);
    }
    let heard: BTreeSet<&Bytes> = command.disks.iter().collect();
    if members(&cluster).any(|disk| !heard.contains(disk)) {
        return refuse(Refusal::RowChanged);
    }
    cluster.frozen_since = 0;
    txn.put(&ClusterKey, &cluster);
    Ok(Reply::default())
}

/// The members that are not lost.
fn members(cluster: &ClusterRow) -> impl Iterator<Item = &Bytes> {
    let lost = |disk: &Bytes| (cluster.leaving.iter()).any(|gone| gone.lost && gone.disk == disk);
    let disks = cluster.disks.iter().map(|disk| &disk.disk);
    disks.filter(move |disk| !lost(disk))
}
