//! The end of chunks: nothing is deleted because it was not found, only because an entry says so.

use bytes::Bytes;
use cairn_model::{ChunkId, Incarnation, limits};
use cairn_wire::metadata::{BeginDelete, Condemned, FinishDelete, JudgeOrphans, Refusal, Reply};
use cairn_world::{Bug, planted};

use super::chunks::{chunk_id, doom};
use super::{
    ApplyError, Context, Stop, Transaction, debts, generation, malformed, pins, refuse, sessions,
};
use crate::keyspace::chunk::{ChunkKey, ChunkState};
use crate::keyspace::condemned::{CondemnedKey, CondemnedRow};
use crate::keyspace::pin::PinTarget;
use crate::keyspace::session::SessionKey;

/// Condemned -> Deleting: every session begun at or before the epoch must have ended, no session
/// may pin the chunk, and no reference may be left. Anything else refuses the whole entry.
pub(super) fn begin_delete(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &BeginDelete,
) -> Result<Reply, Stop> {
    generation::require_thawed(context)?;
    if command.items.len() > limits::DELETE_CHUNKS_PER_ENTRY {
        return malformed("too many chunks for one entry");
    }
    let oldest = sessions::oldest_open(txn)?;
    let token = txn.next_version().sequence;
    for item in &command.items {
        let key = condemned_key(item)?;
        let Some(row) = txn.get(&key)?.filter(|row| !row.deleting) else {
            continue;
        };
        let in_use = oldest.is_some_and(|session| session <= key.epoch)
            && !planted(Bug::DeletesUnderSessions);
        let pinned = pins::pinned(txn, &PinTarget::Chunk(key.chunk))?;
        if in_use || (pinned && !planted(Bug::DeletesPinned)) {
            return refuse(Refusal::TooSoon);
        }
        let chunk_key = ChunkKey(key.chunk);
        if let Some(mut chunk) = txn.get(&chunk_key)?
            && Incarnation::from_bytes(&chunk.incarnation) == Some(key.incarnation)
        {
            if chunk.refs != 0 || chunk.state() == ChunkState::Live {
                return Err(Stop::Halt(ApplyError::Inconsistent(
                    "a condemned writing is referenced",
                )));
            }
            chunk.set_state(ChunkState::Deleting);
            debts::store(txn, key.chunk, Some(&chunk))?;
        }
        txn.put(
            &key,
            &CondemnedRow {
                deleting: true,
                token,
                ..row
            },
        );
    }
    Ok(Reply {
        number: token,
        ..Reply::default()
    })
}

/// Deleting -> gone: the nodes have carried it out durably.
pub(super) fn finish_delete(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &FinishDelete,
) -> Result<Reply, Stop> {
    generation::require_thawed(context)?;
    if command.items.len() > limits::DELETE_CHUNKS_PER_ENTRY {
        return malformed("too many chunks for one entry");
    }
    for item in &command.items {
        let key = condemned_key(item)?;
        match txn.get(&key)? {
            None => continue,
            Some(row) if !row.deleting => return malformed("its deletion was never committed"),
            Some(_) => txn.delete(&key),
        }
        let chunk_key = ChunkKey(key.chunk);
        if let Some(chunk) = txn.get(&chunk_key)?
            && Incarnation::from_bytes(&chunk.incarnation) == Some(key.incarnation)
            && chunk.state() == ChunkState::Deleting
        {
            debts::store(txn, key.chunk, None)?;
        }
    }
    Ok(Reply::default())
}

/// Writings found on a disk. One is an orphan only where its session has ended *and* no row knows
/// it; then it is condemned like any other. `number` counts the orphans.
pub(super) fn judge_orphans(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &JudgeOrphans,
) -> Result<Reply, Stop> {
    let cluster = context.cluster()?;
    generation::require_thawed(context)?;
    if command.orphans.len() > limits::DELETE_CHUNKS_PER_ENTRY {
        return malformed("too many chunks for one entry");
    }
    let last_session = txn.counters().session;
    let mut judged = 0;
    for orphan in &command.orphans {
        let chunk = chunk_id(orphan.domain, &orphan.sha256)?;
        let strange = |disk: &Bytes| disk.len() != 16;
        if orphan.disks.len() > limits::ORPHAN_DISKS_MAX || orphan.disks.iter().any(strange) {
            return malformed("disks of an orphan");
        }
        let Some(incarnation) = Incarnation::from_bytes(&orphan.incarnation) else {
            return malformed("an incarnation is 16 bytes");
        };
        // Only this group's own past: another group's writing is that group's to judge, and a
        // session that was never allotted here is no evidence of anything. Every session of an older
        // generation has ended, whichever history allotted it.
        let generation = u32::from(incarnation.generation);
        let older = generation < cluster.generation;
        let allotted = generation == cluster.generation && incarnation.session.0 <= last_session;
        let ours = u32::from(incarnation.group) == cluster.group && (older || allotted);
        let open = !older
            && txn
                .get(&SessionKey(incarnation.session.0))?
                .is_some_and(|row| !row.ended && !planted(Bug::OrphanWithoutSessionCheck));
        if ours && !open && !known(txn, chunk, incarnation)? {
            doom(txn, chunk, &orphan.incarnation, orphan.disks.clone())?;
            judged += 1;
        }
    }
    Ok(Reply {
        number: judged,
        ..Reply::default()
    })
}

fn known(txn: &Transaction<'_>, chunk: ChunkId, incarnation: Incarnation) -> Result<bool, Stop> {
    let current = txn
        .get(&ChunkKey(chunk))?
        .is_some_and(|row| Incarnation::from_bytes(&row.incarnation) == Some(incarnation));
    Ok(current)
}

fn condemned_key(item: &Condemned) -> Result<CondemnedKey, Stop> {
    let Some(incarnation) = Incarnation::from_bytes(&item.incarnation) else {
        return malformed("an incarnation is 16 bytes");
    };
    Ok(CondemnedKey {
        epoch: item.epoch,
        chunk: chunk_id(item.domain, &item.sha256)?,
        incarnation,
    })
}
