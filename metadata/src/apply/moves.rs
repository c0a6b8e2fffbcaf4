//! Moves of slots from disk to disk.
//!
//! ```text
//!   at A ──BeginMove──> A -> B     written on B, read from both; the gate: the last session begun
//!                         │ every session up to the gate has ended, then a pass over the chunk rows
//!                         │ finds every shard good on B; no debt for the slot
//!                         ├─CutOver──> at B
//!                         └─AbandonMove──> B -> A     turned round, with a gate of its own; at A where
//!                                                      both are lost: the move after makes all anew
//! ```
//!
//! Every change gives the row a new epoch. The row keeps where its slots were written before, until
//! the sessions of before the end of the move have ended: one begun during it may have had a view of
//! before it for a moment, and commit what it wrote then much later.

use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::metadata::{AbandonMove, BeginMove, CutOver, Refusal, Reply};
use cairn_world::{Bug, planted};

use super::{Context, Stop, Transaction, malformed, refuse, sessions};
use crate::keyspace::cluster::ClusterRow;
use crate::keyspace::debt::SlotDebtKey;
use crate::keyspace::partition::{PartitionKey, PartitionRow, PastPlace};

/// Begins a move: the slot's `next` appears.
pub(super) fn begin(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &BeginMove,
) -> Result<Reply, Stop> {
    let cluster = context.cluster()?;
    let (key, mut row, slot) = seen(txn, command.partition, command.slot, command.epoch)?;
    if row.next_of(slot).is_some() || row.current.get(slot) != Some(&command.from) {
        return malformed("the slot is not at rest where the move begins");
    }
    let stays = cluster.disks.iter().any(|disk| disk.disk == command.to)
        && !(cluster.leaving.iter()).any(|disk| disk.disk == command.to);
    if !stays {
        return refuse(Refusal::NoSuchDisk);
    }
    if row.disks().any(|disk| *disk == command.to) {
        return malformed("two shards of a partition on one disk");
    }
    turn(txn, &mut row, slot, Some(command.to.clone()))?;
    txn.put(&key, &row);
    Ok(Reply::default())
}

/// Ends a move. That every shard was verified on `next` is the planner's word; that nothing can have
/// been written elsewhere unseen is checked here.
pub(super) fn cut_over(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &CutOver,
) -> Result<Reply, Stop> {
    let cluster = context.cluster()?;
    let (key, mut row, slot) = seen(txn, command.partition, command.slot, command.epoch)?;
    let Some(next) = row.next_of(slot).cloned() else {
        return malformed("the slot does not move");
    };
    if lost(cluster, &next) {
        return refuse(Refusal::NoSuchDisk);
    }
    let waits = !planted(Bug::CutOverWithoutSessions);
    if waits && sessions::oldest_open(txn)?.is_some_and(|session| session <= row.gate(slot)) {
        return refuse(Refusal::TooSoon);
    }
    let shard = u8::try_from(command.slot).unwrap_or(u8::MAX);
    let owed = SlotDebtKey::of(command.partition, cluster.partition_bits, shard);
    if !txn.scan_range::<SlotDebtKey>(owed, 1)?.is_empty() {
        return refuse(Refusal::InDebt);
    }
    if let Some(current) = row.current.get_mut(slot) {
        *current = next;
    }
    turn(txn, &mut row, slot, None)?;
    if !waits {
        row.past.retain(|past| past.slot != command.slot);
    }
    let session = txn.counters().session;
    for past in row.past.iter_mut().filter(|past| past.slot == command.slot) {
        past.session = session;
    }
    txn.put(&key, &row);
    Ok(Reply::default())
}

/// Turns a move round. Where both disks are lost nothing of the slot is left to be kept.
pub(super) fn abandon(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &AbandonMove,
) -> Result<Reply, Stop> {
    let cluster = context.cluster()?;
    let (key, mut row, slot) = seen(txn, command.partition, command.slot, command.epoch)?;
    let (Some(current), Some(next)) = (row.current.get(slot).cloned(), row.next_of(slot).cloned())
    else {
        return malformed("the slot does not move");
    };
    if lost(cluster, &current) && lost(cluster, &next) {
        turn(txn, &mut row, slot, None)?;
    } else {
        turn(txn, &mut row, slot, Some(current))?;
        if let Some(current) = row.current.get_mut(slot) {
            *current = next;
        }
    }
    txn.put(&key, &row);
    Ok(Reply::default())
}

fn lost(cluster: &ClusterRow, disk: &Bytes) -> bool {
    let mut leaving = cluster.leaving.iter();
    leaving.any(|leaving| leaving.lost && leaving.disk == disk)
}

/// The row of a partition, if it is still what the command was made for.
fn seen(
    txn: &Transaction<'_>,
    partition: u32,
    slot: u32,
    epoch: u64,
) -> Result<(PartitionKey, PartitionRow, usize), Stop> {
    let key = PartitionKey(partition);
    let Some(row) = txn.get(&key)? else {
        return malformed("no such partition");
    };
    let slot = usize::try_from(slot).unwrap_or(usize::MAX);
    if slot >= row.current.len() {
        return malformed("no such slot");
    }
    if row.epoch != epoch {
        return refuse(Refusal::StaleEpoch);
    }
    Ok((key, row, slot))
}

/// Gives a slot another `next`, and the row its new epoch. Called while `current` is still what it
/// was, but for a cut-over, after which the slot is written where it was before.
fn turn(
    txn: &mut Transaction<'_>,
    row: &mut PartitionRow,
    slot: usize,
    next: Option<Bytes>,
) -> Result<(), Stop> {
    let oldest = sessions::oldest_open(txn)?;
    let session = txn.counters().session;
    let epoch = txn.counters().table_epoch.max(row.epoch) + 1;
    txn.counters_mut().table_epoch = epoch;
    let before = row.write_disk(slot).cloned();
    let slots = row.current.len();
    row.next.resize(slots, Bytes::new());
    row.gates.resize(slots, 0);
    if let Some(gate) = row.gates.get_mut(slot) {
        *gate = if next.is_some() { session } else { 0 };
    }
    if let Some(place) = row.next.get_mut(slot) {
        *place = next.unwrap_or_default();
    }
    row.epoch = epoch;
    if let Some(disk) = before.filter(|disk| row.write_disk(slot) != Some(disk)) {
        forget(row, oldest);
        row.past.push(PastPlace {
            epoch,
            slot: u32::try_from(slot).unwrap_or(u32::MAX),
            disk,
            session,
        });
    }
    Ok(())
}

/// Forgets where slots were written before what any open session can have seen, and makes room for
/// one more.
fn forget(row: &mut PartitionRow, oldest_open: Option<u64>) {
    while let Some(first) = row.past.first() {
        let over = oldest_open.is_none_or(|open| open > first.session);
        if !over && row.past.len() < limits::PAST_PLACES_MAX {
            break;
        }
        row.told_from = first.epoch;
        row.past.remove(0);
    }
}
