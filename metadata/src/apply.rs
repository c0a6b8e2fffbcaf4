//! The state machine: entries in, one batch of row changes and a reply per entry out. Pure: no
//! clock, no randomness, no hash-map order; the only time is the one stamped into the entry.
//!
//! ```text
//!  entry ── session open? outcome known? ──> command ──> rows
//!              │            │                  │
//!        SESSION_ENDED   that reply      buckets  users  objects  uploads   (this folder's files)
//!                                               └── manifests ── chunks     (who holds which bytes)
//!                                                      leases ─────┤
//!                                                                  │
//!                                              garbage: Condemned ─┴─> Deleting ─> gone
//!                                                        (not while frozen: generation)
//! ```
//!
//! A refused entry changes nothing but its own outcome row and state-machine time.

use std::sync::Arc;

use bytes::Bytes;
use cairn_model::limits;
use cairn_store::{Batch, StoreError, View};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{Entry, Refusal, Reply};
use cairn_world::{Bug, planted};
use prost::Message as _;

use crate::keyspace::RowError;
use crate::keyspace::cluster::ClusterRow;
use crate::keyspace::session::{OutcomeKey, SessionKey};

mod adoptions;
mod buckets;
mod chunks;
mod cluster;
mod conditions;
mod copies;
mod debts;
mod garbage;
mod generation;
mod leases;
mod leaving;
mod manifests;
mod missing;
mod moves;
mod nodes;
mod objects;
mod pins;
mod placed;
mod sessions;
mod transaction;
mod uploads;
mod users;

pub use transaction::Transaction;
pub use uploads::parts_digest;

/// The state machine cannot go on: its store is broken. Never the fault of an entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The store failed.
    #[error("{0}")]
    Store(String),
    /// A row cannot be read.
    #[error(transparent)]
    Row(#[from] RowError),
    /// Rows contradict each other.
    #[error("metadata rows contradict each other: {0}")]
    Inconsistent(&'static str),
}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error.0)
    }
}

/// How a command ends that is not carried out.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The entry is refused and changes nothing.
    Refused(Refusal, String),
    /// The state machine halts.
    Halt(ApplyError),
}

impl<E: Into<ApplyError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Halt(error.into())
    }
}

pub(crate) fn refuse<T>(refusal: Refusal) -> Result<T, Stop> {
    Err(Stop::Refused(refusal, String::new()))
}

pub(crate) fn malformed<T>(what: &str) -> Result<T, Stop> {
    Err(Stop::Refused(Refusal::Malformed, what.to_owned()))
}

/// What a command needs to know besides its own fields.
pub(crate) struct Context {
    /// 0 where the entry names none.
    pub(crate) session: u64,
    /// State-machine time of the entry.
    pub(crate) now_ms: u64,
    /// The cluster row; `None` before `InitCluster`.
    pub(crate) cluster: Option<Arc<ClusterRow>>,
}

impl Context {
    pub(crate) fn cluster(&self) -> Result<&ClusterRow, Stop> {
        match &self.cluster {
            Some(row) => Ok(row),
            None => refuse(Refusal::NotInitialized),
        }
    }
}

/// What one entry did.
#[derive(Debug)]
pub struct Applied {
    /// Its row changes, counters included.
    pub changes: Batch,
    /// Its reply.
    pub reply: Reply,
}

/// Applies encoded entries in order, each seeing the changes of those before it.
///
/// # Errors
/// The store's state is broken; nothing of the result may be used.
pub fn apply(view: &dyn View, entries: &[Bytes]) -> Result<Vec<Applied>, ApplyError> {
    let mut txn = Transaction::new(view)?;
    entries
        .iter()
        .map(|entry| {
            let reply = apply_entry(&mut txn, entry)?;
            Ok(Applied {
                changes: txn.take_entry(),
                reply,
            })
        })
        .collect()
}

fn apply_entry(txn: &mut Transaction<'_>, bytes: &Bytes) -> Result<Reply, ApplyError> {
    let Ok(Entry {
        stamp_ms,
        session,
        operation,
        command,
        ..
    }) = Entry::decode(bytes.clone())
    else {
        return Ok(refusal_reply(
            Refusal::Malformed,
            "the entry cannot be read",
        ));
    };
    sessions::advance_time(txn, stamp_ms);
    let context = Context {
        session,
        now_ms: txn.counters().time_ms,
        cluster: txn.cluster()?,
    };
    let outcome = OutcomeKey { session, operation };
    if session != 0 {
        let ended = txn.get(&SessionKey(session))?.is_none_or(|row| row.ended);
        if ended && !planted(Bug::EndedSessionAccepted) {
            return Ok(refusal_reply(Refusal::SessionEnded, ""));
        }
        if let Some(known) = txn.get(&outcome)?
            && !planted(Bug::OutcomesForgotten)
        {
            return Ok(known);
        }
    }
    let result = match command {
        Some(command) => run(txn, &context, command),
        None => malformed("unknown command"),
    };
    let reply = match result {
        Ok(mut reply) => {
            txn.keep();
            reply.modified_ms = context.now_ms;
            reply
        }
        Err(Stop::Refused(refusal, detail)) => {
            txn.discard();
            Reply {
                modified_ms: context.now_ms,
                ..refusal_reply(refusal, &detail)
            }
        }
        Err(Stop::Halt(error)) => return Err(error),
    };
    if session != 0 {
        txn.put(&outcome, &reply);
        txn.keep();
    }
    Ok(reply)
}

fn refusal_reply(refusal: Refusal, detail: &str) -> Reply {
    Reply {
        refusal: refusal.into(),
        detail: detail.to_owned(),
        ..Reply::default()
    }
}

fn run(txn: &mut Transaction<'_>, context: &Context, command: Command) -> Result<Reply, Stop> {
    match command {
        Command::InitCluster(command) => cluster::init(txn, context, command),
        Command::PutSettings(command) => cluster::put_settings(txn, context, command),
        Command::AcceptClock(_) => cluster::accept_clock(txn),
        Command::BeginSession(command) => sessions::begin(txn, context, command),
        Command::EndSession(command) => sessions::end(txn, context, &command),
        Command::PutUser(command) => users::put(txn, context, command),
        Command::RemoveUser(command) => users::remove(txn, &command),
        Command::CreateBucket(command) => buckets::create(txn, context, command),
        Command::DeleteBucket(command) => buckets::delete(txn, &command),
        Command::ForgetBucket(command) => buckets::forget(txn, &command),
        Command::PutObject(command) => objects::put(txn, context, command),
        Command::DeleteObjects(command) => objects::delete(txn, &command),
        Command::CopyObject(command) => copies::copy(txn, context, command),
        Command::StagePage(command) => manifests::stage(txn, context, command),
        Command::ReleasePage(command) => manifests::release_page(txn, &command),
        Command::CreateUpload(command) => uploads::create(txn, context, command),
        Command::PutPart(command) => uploads::put_part(txn, context, command),
        Command::CompleteUpload(command) => uploads::complete(txn, context, command),
        Command::AbortUpload(command) => uploads::abort(txn, &command),
        Command::BeginDelete(command) => garbage::begin_delete(txn, context, &command),
        Command::FinishDelete(command) => garbage::finish_delete(txn, context, &command),
        Command::JudgeOrphans(command) => garbage::judge_orphans(txn, context, &command),
        Command::PutJoinToken(command) => nodes::put_token(txn, context, &command),
        Command::RegisterNode(command) => nodes::register(txn, context, command),
        Command::MoveNode(command) => nodes::relocate(txn, command),
        Command::AddDisks(command) => nodes::add_disks(txn, context, command),
        Command::PlaceTable(command) => nodes::place(txn, context, &command),
        other => run_placement(txn, context, other),
    }
}

/// Commands about where shards lie and what is owed of them; and those a read brings.
fn run_placement(
    txn: &mut Transaction<'_>,
    context: &Context,
    command: Command,
) -> Result<Reply, Stop> {
    match command {
        Command::SettleDebt(command) => debts::settle(txn, context, &command),
        Command::ClearSuspect(command) => debts::clear_suspect(txn, context, &command),
        Command::BeginMove(command) => moves::begin(txn, context, &command),
        Command::CutOver(command) => moves::cut_over(txn, context, &command),
        Command::AbandonMove(command) => moves::abandon(txn, context, &command),
        Command::MarkDisk(command) => leaving::mark(txn, context, command),
        Command::RemoveDisk(command) => leaving::remove_disk(txn, context, &command),
        Command::RemoveNode(command) => leaving::remove_node(txn, context, &command),
        Command::PinRead(command) => pins::pin(txn, context, &command),
        Command::AdoptStaged(command) => adoptions::adopt(txn, context, &command),
        Command::MarkSuspect(command) => chunks::mark_suspect(txn, &command),
        Command::PutLeases(command) => leases::put(txn, context, command),
        Command::ExpireLeases(_) => leases::expire(txn, context),
        Command::BumpGeneration(command) => generation::bump(txn, context, &command),
        Command::RecordMissing(command) => missing::record(txn, context, &command),
        Command::LiftFreeze(command) => generation::lift(txn, context, &command),
        _ => malformed("unknown command"),
    }
}

const _: () = assert!(
    limits::DELETE_KEYS_PER_ENTRY < u16::MAX as usize,
    "ordinals are u16"
);

#[cfg(test)]
pub(crate) mod tests;
