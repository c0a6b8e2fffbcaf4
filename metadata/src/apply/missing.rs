//! What the inventory after a bump did not find: recorded as debt, to be paid like any other.
//!
//! ```text
//!   found where the row wants it ──────────────> nothing
//!   found on another member ───────────────────> move debt: repair fetches it from there
//!   found nowhere ─────────────────────────────> plain debt
//!   fewer left than an upload is acknowledged by ──> suspect: adopted by nobody, verified whole
//! ```

use std::collections::BTreeSet;

use bytes::Bytes;
use cairn_model::{Incarnation, limits};
use cairn_wire::metadata::{Debt, MissingShards, RecordMissing, Refusal, Reply};

use super::chunks::chunk_id;
use super::{Context, Stop, Transaction, debts, malformed, placed, refuse};
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::keyspace::cluster::ClusterRow;
use crate::keyspace::partition::{PartitionKey, PartitionRow};

/// Records what was not found, while deletion is frozen.
pub(super) fn record(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &RecordMissing,
) -> Result<Reply, Stop> {
    let cluster = context.cluster()?;
    if command.chunks.len() > limits::MISSING_CHUNKS_PER_ENTRY {
        return malformed("too many chunks for one entry");
    }
    if !cluster.is_frozen() || command.generation != cluster.generation {
        return refuse(Refusal::RowChanged);
    }
    let mut recorded = 0;
    for chunk in &command.chunks {
        recorded += u64::from(record_one(txn, cluster, chunk)?);
    }
    Ok(Reply {
        number: recorded,
        ..Reply::default()
    })
}

/// False where the row, or its partition's, is another than the one that was looked for.
fn record_one(
    txn: &mut Transaction<'_>,
    cluster: &ClusterRow,
    missing: &MissingShards,
) -> Result<bool, Stop> {
    let chunk = chunk_id(missing.domain, &missing.sha256)?;
    let Some(stamp) = Incarnation::from_bytes(&missing.incarnation) else {
        return malformed("an incarnation is 16 bytes");
    };
    let row = txn
        .get(&ChunkKey(chunk))?
        .filter(|row| row.incarnation == missing.incarnation && row.state() == ChunkState::Live);
    let partition = txn.get(&PartitionKey(stamp.partition(cluster.partition_bits)))?;
    let partition = partition.filter(|partition| partition.epoch == missing.epoch);
    let (Some(mut row), Some(partition)) = (row, partition) else {
        return Ok(false);
    };
    owe(cluster, &mut row, &partition, &missing.missing)?;
    debts::store(txn, chunk, Some(&row))?;
    Ok(true)
}

fn owe(
    cluster: &ClusterRow,
    row: &mut ChunkRow,
    partition: &PartitionRow,
    missing: &[Debt],
) -> Result<(), Stop> {
    let Some(coding) = row.coding.and_then(|coding| coding.read()) else {
        return malformed("a row whose coding cannot be read");
    };
    let named: BTreeSet<u32> = missing.iter().map(|debt| debt.shard).collect();
    if named.len() != missing.len() {
        return malformed("a shard is named twice");
    }
    row.debt.retain(|debt| !named.contains(&debt.shard));
    for debt in missing {
        let slot = usize::try_from(debt.shard).unwrap_or(usize::MAX);
        let Some(home) = partition
            .write_disk(slot)
            .filter(|_| slot < coding.shards())
        else {
            return malformed("the chunk has no such shard");
        };
        let found = if placed::stays(cluster, &debt.found) {
            debt.found.clone()
        } else {
            Bytes::new()
        };
        row.debt.push(Debt {
            shard: debt.shard,
            disk: home.clone(),
            found,
        });
    }
    row.debt.sort_by_key(|debt| debt.shard);
    if coding.shards().saturating_sub(row.debt.len()) < coding.ack_shards() {
        row.suspect = true;
        row.suspicions = row.suspicions.wrapping_add(1);
    }
    Ok(())
}
