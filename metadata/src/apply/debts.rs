//! Debt of chunk rows: its index, and how it is paid.
//!
//! ```text
//!   every write of a chunk row ──store──> the row, and the keys of keyspace/debt.rs that follow from it
//!   SettleDebt    these shards are good now ──> they are no longer owed
//!   ClearSuspect  all n of n are            ──> the row is not suspect
//! ```
//!
//! Both compare before they set: the writing, the row of its partition, and what the planner saw of
//! the debt. A chunk that was written again in the meantime owes what it owes.

use cairn_model::{ChunkId, Incarnation};
use cairn_wire::metadata::{ClearSuspect, Refusal, Reply, SettleDebt};

use super::chunks::chunk_id;
use super::{Context, Stop, Transaction, malformed, refuse};
use crate::keyspace::Present;
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::keyspace::debt::{DebtMark, marks};
use crate::keyspace::partition::PartitionKey;

/// Writes a chunk's row, or takes it away, together with the index of its debt. Nothing else writes
/// chunk rows.
pub(super) fn store(
    txn: &mut Transaction<'_>,
    chunk: ChunkId,
    row: Option<&ChunkRow>,
) -> Result<(), Stop> {
    let key = ChunkKey(chunk);
    let of = |row: &ChunkRow| marks(chunk, row);
    let before = txn.get(&key)?.as_ref().map(of).unwrap_or_default();
    let after = row.map(of).unwrap_or_default();
    for mark in before.difference(&after) {
        match mark {
            DebtMark::Chunk(key) => txn.delete(key),
            DebtMark::Slot(key) => txn.delete(key),
            DebtMark::Disk(key) => txn.delete(key),
        }
    }
    for mark in after.difference(&before) {
        match mark {
            DebtMark::Chunk(key) => txn.put(key, &Present {}),
            DebtMark::Slot(key) => txn.put(key, &Present {}),
            DebtMark::Disk(key) => txn.put(key, &Present {}),
        }
    }
    match row {
        Some(row) => txn.put(&key, row),
        None => txn.delete(&key),
    }
    Ok(())
}

/// Shards of a writing are durable now where they belong.
pub(super) fn settle(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &SettleDebt,
) -> Result<Reply, Stop> {
    let chunk = chunk_id(command.domain, &command.sha256)?;
    let mut row = seen(txn, context, chunk, &command.incarnation, command.epoch)?;
    if command.paid.is_empty() {
        return malformed("nothing is paid");
    }
    for paid in &command.paid {
        let owed = row
            .debt
            .iter()
            .position(|debt| debt.shard == paid.shard && debt.disk == paid.disk);
        let Some(owed) = owed else {
            return refuse(Refusal::RowChanged);
        };
        row.debt.remove(owed);
    }
    store(txn, chunk, Some(&row))?;
    Ok(Reply::default())
}

/// All shards of a writing were verified where they belong: it may be adopted again. Not while it is
/// in debt, nor where it was marked once more since the first of them was looked at.
pub(super) fn clear_suspect(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &ClearSuspect,
) -> Result<Reply, Stop> {
    let chunk = chunk_id(command.domain, &command.sha256)?;
    let mut row = seen(txn, context, chunk, &command.incarnation, command.epoch)?;
    if !row.suspect || row.suspicions != command.suspicions {
        return refuse(Refusal::RowChanged);
    }
    if !row.debt.is_empty() {
        return refuse(Refusal::InDebt);
    }
    row.suspect = false;
    store(txn, chunk, Some(&row))?;
    Ok(Reply::default())
}

/// The row of a Live chunk, if it and its partition's row are still what the planner acted on.
fn seen(
    txn: &Transaction<'_>,
    context: &Context,
    chunk: ChunkId,
    incarnation: &[u8],
    epoch: u64,
) -> Result<ChunkRow, Stop> {
    let Some(stamp) = Incarnation::from_bytes(incarnation) else {
        return malformed("an incarnation is 16 bytes");
    };
    let row = txn
        .get(&ChunkKey(chunk))?
        .filter(|row| row.incarnation == incarnation && row.state() == ChunkState::Live);
    let Some(row) = row else {
        return refuse(Refusal::RowChanged);
    };
    let number = stamp.partition(context.cluster()?.partition_bits);
    let partition = txn.get(&PartitionKey(number))?;
    if partition.is_none_or(|partition| partition.epoch != epoch) {
        return refuse(Refusal::StaleEpoch);
    }
    Ok(row)
}
