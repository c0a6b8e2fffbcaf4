//! CAS leases: what holds a chunk between its upload and the object made of it.
//!
//! ```text
//!   PutLeases     written or stored fit ──> one reference, held by the lease row, until its end
//!                 leased already        ──> the same one reference, a later end
//!   ExpireLeases  end <= state-machine time, oldest first ──> the reference falls
//! ```
//!
//! Only state-machine time ends a lease, and not while a jump of the clock waits for an operator.

use cairn_model::{ChunkId, limits};
use cairn_wire::metadata::{Claim, ExtentWrite, PutLeases, Refusal, Reply};

use super::chunks::{self, chunk_id};
use super::{ApplyError, Context, Stop, Transaction, malformed, refuse, sessions};
use crate::keyspace::lease::{LeaseEndKey, LeaseKey, LeaseRow};
use crate::keyspace::{KeyKind as _, Present};

/// Leases chunks of one domain. `number` in the reply counts the writings that are current now and
/// were not before; `not_leased` lists the claims that found nothing fit.
pub(super) fn put(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: PutLeases,
) -> Result<Reply, Stop> {
    sessions::require(context)?;
    if command.chunks.is_empty() || command.chunks.len() > limits::LEASES_PER_ENTRY {
        return malformed("an entry leases 1 to LEASES_PER_ENTRY chunks");
    }
    if command.domain == 0 || command.domain > txn.counters().domain {
        return malformed("no such domain");
    }
    let mut reply = Reply::default();
    for (place, mut extent) in (0..).zip(command.chunks) {
        if extent.offset != 0 || extent.length != extent.chunk_length || extent.length == 0 {
            return malformed("a lease is of a whole chunk");
        }
        let id = chunk_id(command.domain, &extent.sha256)?;
        match lease(txn, context, id, &mut extent) {
            Ok(stored) => reply.number += u64::from(stored),
            Err(Stop::Refused(Refusal::NoSuchChunk, _)) => reply.not_leased.push(place),
            Err(stop) => return Err(stop),
        }
    }
    Ok(reply)
}

/// Leases one chunk; true where the extent's own writing is the current one now. A refusal has
/// changed nothing.
fn lease(
    txn: &mut Transaction<'_>,
    context: &Context,
    id: ChunkId,
    extent: &mut ExtentWrite,
) -> Result<bool, Stop> {
    let written = (extent.claim() == Claim::Written).then(|| extent.incarnation.clone());
    chunks::register(txn, context, id.domain.0, extent)?;
    let key = LeaseKey(id);
    if let Some(held) = txn.get(&key)? {
        // The reference just taken is the one this lease had: a chunk counts its lease once.
        chunks::release(txn, id.domain.0, &id.sha256.0)?;
        txn.delete(&LeaseEndKey {
            end_ms: held.end_ms,
            chunk: id,
        });
    }
    let end_ms = context.now_ms.saturating_add(limits::LEASE_MS);
    txn.put(&key, &LeaseRow { end_ms });
    txn.put(&LeaseEndKey { end_ms, chunk: id }, &Present {});
    Ok(written.as_ref() == Some(&extent.incarnation))
}

/// Ends leases whose time is up. `number` in the reply counts them: as many as `LEASES_PER_ENTRY`
/// means that more may be left.
pub(super) fn expire(txn: &mut Transaction<'_>, context: &Context) -> Result<Reply, Stop> {
    if txn.counters().clock_suspended {
        return refuse(Refusal::ClockSuspended);
    }
    let oldest = txn.scan::<LeaseEndKey>(&[LeaseEndKey::PREFIX], limits::LEASES_PER_ENTRY)?;
    let mut ended = 0;
    for (end, _) in oldest {
        if end.end_ms > context.now_ms {
            break;
        }
        let key = LeaseKey(end.chunk);
        if txn.get(&key)?.map(|row| row.end_ms) != Some(end.end_ms) {
            return Err(Stop::Halt(ApplyError::Inconsistent(
                "a lease and its end differ",
            )));
        }
        txn.delete(&key);
        txn.delete(&end);
        chunks::release(txn, end.chunk.domain.0, &end.chunk.sha256.0)?;
        ended += 1;
    }
    Ok(Reply {
        number: ended,
        ..Reply::default()
    })
}
