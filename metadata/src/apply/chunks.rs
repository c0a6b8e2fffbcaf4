//! Chunk rows: who holds a chunk, and which writing of it counts.

use bytes::Bytes;
use cairn_model::{ChunkId, Coding, DomainId, Incarnation, Sha256, limits};
use cairn_wire::metadata::{Claim, Debt, ExtentWrite, MarkSuspect, Refusal, Reply};
use cairn_world::{Bug, planted};

use super::{
    ApplyError, Context, Stop, Transaction, cluster, debts, malformed, placed, refuse, sessions,
};
use crate::keyspace::chunk::{ChunkKey, ChunkRow, ChunkState};
use crate::keyspace::cluster::ClusterRow;
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::partition::PartitionKey;

/// Takes one reference for an extent.
///
/// The extent's writing is accepted only while its session is open and only from that session.
/// Where the chunk exists and its writing is fit (Live, coded at least as well, debt within the
/// ack rule, not suspect), that one is adopted and the new one condemned; else the new one becomes
/// current and the old is condemned, so uploading again heals. The extent's hint is set to the
/// writing that was kept. An extent that claims a stored chunk brings no writing: see [`refer`].
pub(super) fn register(
    txn: &mut Transaction<'_>,
    context: &Context,
    domain: u64,
    extent: &mut ExtentWrite,
) -> Result<(), Stop> {
    match extent.claim() {
        Claim::Written => {}
        Claim::Live => return refer(txn, context, domain, extent, Need::Live),
        Claim::Fit => return refer(txn, context, domain, extent, Need::Fit),
    }
    let (written, debt) = verify(txn, context, extent)?;
    let id = chunk_id(domain, &extent.sha256)?;
    let key = ChunkKey(id);
    let fresh = ChunkRow {
        incarnation: extent.incarnation.clone(),
        coding: extent.coding,
        length: extent.chunk_length,
        crc64nvme: extent.crc64nvme,
        table_digest: extent.table_digest.clone(),
        refs: 1,
        state: ChunkState::Live.into(),
        debt,
        suspect: false,
        suspicions: 0,
    };
    let row = match txn.get(&key)? {
        None => fresh,
        Some(old) if old.incarnation == extent.incarnation => match old.state() {
            ChunkState::Live => ChunkRow {
                refs: old.refs + 1,
                ..old
            },
            // The commit that brought it has lost it again: these bytes may be gone.
            ChunkState::Condemned | ChunkState::Deleting => return refuse(Refusal::RetryUpload),
        },
        Some(old) if old.length != extent.chunk_length => {
            return malformed("the chunk has another length");
        }
        Some(old) if fit(context.cluster()?, &old, written.parity()) => {
            condemn(txn, id, &extent.incarnation, &fresh.debt)?;
            extent.incarnation = old.incarnation.clone();
            extent.coding = old.coding;
            ChunkRow {
                refs: old.refs + 1,
                ..old
            }
        }
        Some(old) => {
            if old.state() == ChunkState::Live {
                condemn(txn, id, &old.incarnation, &old.debt)?;
            }
            ChunkRow {
                refs: old.refs + 1,
                ..fresh
            }
        }
    };
    debts::store(txn, id, Some(&row))
}

/// What a stored chunk must be for a reference that brings no bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Readable as its other references are.
    Live,
    /// As good as one uploaded now, so that uploading again heals what is not.
    Fit,
}

/// Takes one reference to a chunk that is stored. Safe without a pin: only a Live row is taken, and
/// a row stays Live while anything refers to it. All that readers need comes from the row.
fn refer(
    txn: &mut Transaction<'_>,
    context: &Context,
    domain: u64,
    extent: &mut ExtentWrite,
    need: Need,
) -> Result<(), Stop> {
    sessions::require(context)?;
    let id = chunk_id(domain, &extent.sha256)?;
    let absent = || Stop::Refused(Refusal::NoSuchChunk, id.sha256.to_string());
    let row = txn.get(&ChunkKey(id))?.ok_or_else(absent)?;
    let taken = match need {
        Need::Live => row.state() == ChunkState::Live,
        Need::Fit => fit(context.cluster()?, &row, class_parity(context)?),
    };
    if !taken {
        return Err(absent());
    }
    if row.length != extent.chunk_length {
        return malformed("the chunk has another length");
    }
    *extent = ExtentWrite {
        sha256: extent.sha256.clone(),
        incarnation: row.incarnation.clone(),
        chunk_length: row.length,
        offset: extent.offset,
        length: extent.length,
        crc64nvme: row.crc64nvme,
        table_digest: row.table_digest.clone(),
        coding: row.coding,
        ..ExtentWrite::default()
    };
    let row = ChunkRow {
        refs: row.refs + 1,
        ..row
    };
    debts::store(txn, id, Some(&row))
}

/// The parity shards of the storage class.
fn class_parity(context: &Context) -> Result<usize, Stop> {
    let class = context.cluster()?.classes.first();
    let coding = class.and_then(cluster::coding_of);
    coding
        .map(Coding::parity)
        .ok_or(Stop::Halt(ApplyError::Inconsistent(
            "the storage class has no coding",
        )))
}

/// Checks an extent's own claims; gives its coding and what it owes.
fn verify(
    txn: &Transaction<'_>,
    context: &Context,
    extent: &ExtentWrite,
) -> Result<(Coding, Vec<Debt>), Stop> {
    let session = sessions::require(context)?;
    let cluster = context.cluster()?;
    let Some(stamp) = Incarnation::from_bytes(&extent.incarnation) else {
        return malformed("an incarnation is 16 bytes");
    };
    if (stamp.session.0 != session && !planted(Bug::IncarnationOfClosedSession))
        || u32::from(stamp.group) != cluster.group
        || u32::from(stamp.generation) != cluster.generation
    {
        return refuse(Refusal::RetryUpload);
    }
    let Some(coding) = extent.coding.and_then(|coding| coding.read()) else {
        return malformed("coding");
    };
    if u64::from(extent.chunk_length) > limits::CHUNK_LEN_MAX || extent.table_digest.len() != 16 {
        return malformed("chunk length or table digest");
    }
    let number = stamp.partition(cluster.partition_bits);
    match txn.get(&PartitionKey(number))? {
        Some(row) => Ok((coding, placed::debt(context, &row, extent, coding)?)),
        // No table yet, so nothing can have been placed by it.
        None => refuse(Refusal::RetryUpload),
    }
}

/// Whether a stored writing may serve a new reference. While deletion is frozen, the shards of an
/// older generation may be gone: the history that a restore gave up may have let them go.
fn fit(cluster: &ClusterRow, old: &ChunkRow, parity: usize) -> bool {
    let Some(coding) = old.coding.and_then(|coding| coding.read()) else {
        return false;
    };
    let looked_for = Incarnation::from_bytes(&old.incarnation)
        .is_some_and(|stamp| u32::from(stamp.generation) >= cluster.frozen_since);
    if !looked_for {
        return false;
    }
    (old.state() == ChunkState::Live || planted(Bug::AdoptsCondemned))
        && (!old.suspect || planted(Bug::AdoptsSuspect))
        && coding.parity() >= parity
        && coding.shards().saturating_sub(old.debt.len()) >= coding.ack_shards()
}

/// Lets one reference go; the last one condemns the writing.
pub(super) fn release(txn: &mut Transaction<'_>, domain: u64, sha256: &[u8]) -> Result<(), Stop> {
    let id = chunk_id(domain, sha256)?;
    let key = ChunkKey(id);
    let Some(mut row) = txn.get(&key)? else {
        return Err(Stop::Halt(ApplyError::Inconsistent(
            "a referenced chunk has no row",
        )));
    };
    row.refs = row
        .refs
        .checked_sub(1)
        .ok_or(Stop::Halt(ApplyError::Inconsistent(
            "a referenced chunk has no references",
        )))?;
    if row.refs == 0 {
        condemn(txn, id, &row.incarnation, &row.debt)?;
        row.set_state(ChunkState::Condemned);
    }
    debts::store(txn, id, Some(&row))
}

/// Condemns one writing at the newest session; its debt says where it lies besides its partition's
/// disks.
fn condemn(
    txn: &mut Transaction<'_>,
    chunk: ChunkId,
    incarnation: &Bytes,
    debt: &[Debt],
) -> Result<(), Stop> {
    doom(txn, chunk, incarnation, placed::elsewhere(debt))
}

/// The same for one that lies on `disks` as well.
pub(super) fn doom(
    txn: &mut Transaction<'_>,
    chunk: ChunkId,
    incarnation: &Bytes,
    disks: Vec<Bytes>,
) -> Result<(), Stop> {
    let Some(incarnation) = Incarnation::from_bytes(incarnation) else {
        return Err(Stop::Halt(ApplyError::Inconsistent(
            "a stored incarnation is not 16 bytes",
        )));
    };
    let key = CondemnedKey {
        epoch: txn.counters().session,
        chunk,
        incarnation,
    };
    // It may be doomed already, found on a disk that has yet to delete it: what was decided stays.
    let mut row = txn.get(&key)?.unwrap_or_default();
    row.disks.extend(disks);
    row.disks.sort_unstable();
    row.disks.dedup();
    txn.put(&key, &row);
    Ok(())
}

/// A read or scrub failed on a writing.
pub(super) fn mark_suspect(
    txn: &mut Transaction<'_>,
    command: &MarkSuspect,
) -> Result<Reply, Stop> {
    let id = chunk_id(command.domain, &command.sha256)?;
    if let Some(mut row) = txn
        .get(&ChunkKey(id))?
        .filter(|row| row.incarnation == command.incarnation)
    {
        row.suspect = true;
        row.suspicions = row.suspicions.wrapping_add(1);
        debts::store(txn, id, Some(&row))?;
    }
    Ok(Reply::default())
}

pub(super) fn chunk_id(domain: u64, sha256: &[u8]) -> Result<ChunkId, Stop> {
    match <[u8; 32]>::try_from(sha256) {
        Ok(digest) => Ok(ChunkId {
            domain: DomainId(domain),
            sha256: Sha256(digest),
        }),
        Err(_) => malformed("a SHA-256 is 32 bytes"),
    }
}
