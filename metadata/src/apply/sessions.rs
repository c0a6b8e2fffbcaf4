//! Sessions: what makes commands idempotent and garbage collection safe without a clock.

use std::ops::Bound;

use cairn_model::incarnation::U48_MAX;
use cairn_model::limits;
use cairn_store::prefix_end;
use cairn_wire::metadata::{BeginSession, EndSession, Refusal, Reply};

use super::{Context, Stop, Transaction, generation, malformed, manifests, pins, refuse};
use crate::keyspace::KeyKind as _;
use crate::keyspace::pin::SessionPinKey;
use crate::keyspace::session::{OutcomeKey, SessionKey, SessionRow, StagedKey};

/// State-machine time = max(previous, stamp); a forward jump beyond `CLOCK_JUMP_MAX_MS` suspends
/// what time alone decides until an operator accepts it. An unstamped entry (0) moves nothing.
pub(super) fn advance_time(txn: &mut Transaction<'_>, stamp_ms: u64) {
    let counters = txn.counters();
    let jumped = counters.time_ms != 0
        && stamp_ms > counters.time_ms.saturating_add(limits::CLOCK_JUMP_MAX_MS);
    txn.set_time(
        counters.time_ms.max(stamp_ms),
        counters.clock_suspended || jumped,
    );
}

/// Allots the next session.
pub(super) fn begin(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: BeginSession,
) -> Result<Reply, Stop> {
    let cluster = context.cluster()?;
    let id = txn.counters().session + 1;
    if id > U48_MAX || !generation::is_session_of(cluster.generation, id) {
        return malformed("sessions are used up");
    }
    txn.counters_mut().session = id;
    let row = SessionRow {
        begun_ms: context.now_ms,
        gateway: command.gateway,
        ..SessionRow::default()
    };
    txn.put(&SessionKey(id), &row);
    Ok(Reply {
        number: id,
        generation: cluster.generation,
        ..Reply::default()
    })
}

/// Ends a session. Its proposals are refused from here on; what it staged and did not attach is
/// released; its pins go; its outcomes are forgotten in bounded steps, the row last. `number` in the reply is 1
/// while rows are left: send the command again.
pub(super) fn end(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: &EndSession,
) -> Result<Reply, Stop> {
    if context.session == command.target && context.session != 0 {
        return malformed("a session cannot end itself under its own idempotency key");
    }
    let key = SessionKey(command.target);
    let Some(row) = txn.get(&key)? else {
        return Ok(Reply::default());
    };
    let mut budget = limits::END_ROWS_PER_ENTRY;
    if row.forgotten == 0 {
        budget -= release_staged(txn, key.0, budget)?;
        budget -= pins::unpin(txn, &session_prefix::<SessionPinKey>(key.0), budget)?;
    }
    let outcomes = txn.scan_range::<OutcomeKey>(outcomes_left(key.0, &row), budget)?;
    let more = outcomes.len() == budget;
    let last = outcomes.last().map(|(outcome, _)| outcome.operation);
    for (outcome, _) in outcomes {
        txn.delete(&outcome);
    }
    if more {
        let row = SessionRow {
            ended: true,
            forgotten: last.unwrap_or(row.forgotten),
            ..row
        };
        txn.put(&key, &row);
    } else {
        txn.delete(&key);
    }
    Ok(Reply {
        number: u64::from(more),
        ..Reply::default()
    })
}

/// Lets go of what the session staged and attached to nothing: no read has seen it. How many rows that took.
fn release_staged(txn: &mut Transaction<'_>, session: u64, most: usize) -> Result<usize, Stop> {
    let staged = txn.scan::<StagedKey>(&session_prefix::<StagedKey>(session), most)?;
    let count = staged.len();
    for (key, staging) in staged {
        txn.delete(&key);
        manifests::queue_release(txn, 0, key.manifest, staging.pages, staging.domain);
    }
    Ok(count)
}

/// Where the outcomes lie that are not forgotten yet. Behind the last one that is: the store keeps deleted rows for
/// a while, and a minute's worth of them would be walked over in every step.
fn outcomes_left(session: u64, row: &SessionRow) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    let prefix = session_prefix::<OutcomeKey>(session);
    let end = prefix_end(&prefix);
    let last = OutcomeKey {
        session,
        operation: row.forgotten,
    };
    let from = match row.forgotten {
        0 => Bound::Included(prefix),
        _ => Bound::Excluded(last.encode()),
    };
    (from, end)
}

fn session_prefix<K: crate::keyspace::KeyKind>(session: u64) -> Vec<u8> {
    let mut prefix = vec![K::PREFIX];
    prefix.extend_from_slice(&session.to_be_bytes());
    prefix
}

/// The command needs an open session; `apply` has already refused an ended one.
pub(super) fn require(context: &Context) -> Result<u64, Stop> {
    if context.session == 0 {
        refuse(Refusal::SessionEnded)
    } else {
        Ok(context.session)
    }
}

/// The oldest session that has not ended; `None` where all have.
pub(super) fn oldest_open(txn: &Transaction<'_>) -> Result<Option<u64>, Stop> {
    let mut limit = 16;
    loop {
        let rows = txn.scan::<SessionKey>(&[SessionKey::PREFIX], limit)?;
        if let Some((key, _)) = rows.iter().find(|(_, row)| !row.ended) {
            return Ok(Some(key.0));
        }
        if rows.len() < limit {
            return Ok(None);
        }
        limit *= 4;
    }
}
