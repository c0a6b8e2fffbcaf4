//! One voter goes on alone: what a restore from a backup, and the loss of a majority, come to.
//!
//! ```text
//!   the log of a stopped voter  ...  n                     all of it committed from here on, by decree
//!                                     n + 1  membership: this voter alone
//!                                     n + 2  a proposal    what the state machine must know of it
//! ```
//!
//! Nothing else is written, and nothing is left to be remembered: the next start finds a log whose end
//! is committed, applies it before it hears or asks anybody, and leads. Done twice it is done twice, and
//! a crash in between leaves a log that ends before, or with the membership alone: do it again.
//!
//! Where the other voters still run, theirs is another history under the same name: nobody here can
//! know. So this is a person's act.

use bytes::Bytes;
use cairn_model::limits;
use cairn_world::{Disk, Entropy};
use openraft::{BasicNode, EntryPayload, Membership};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, mpsc};

use super::errors::{ForceError, Member};
use super::settings::RaftSettings;
use super::types::{EntryBytes, RaftEntry, entry_out, log_id};
use crate::journal::{Journal, JournalError, LogEntry, LogPosition, Vote};

/// How far a stopped voter's log goes. Of several voters the one whose log goes furthest (by term, then
/// by index) has everything that any majority acknowledged.
///
/// # Errors
/// See [`ForceError`].
pub fn look_at_log(
    settings: &RaftSettings,
    disk: Arc<dyn Disk>,
    entropy: &dyn Entropy,
) -> Result<LogPosition, ForceError> {
    let journal = Journal::open(disk, settings.journal.clone(), entropy)?;
    let last = journal.state().last;
    journal.close()?;
    last.ok_or(ForceError::Empty)
}

/// Makes a cluster of this stopped voter alone, and `payload` the first proposal of it. Where it ended.
///
/// # Errors
/// See [`ForceError`].
pub fn go_on_alone(
    settings: &RaftSettings,
    disk: Arc<dyn Disk>,
    entropy: &dyn Entropy,
    alone: &Member,
    payload: Bytes,
) -> Result<LogPosition, ForceError> {
    if alone.id != settings.node_id || payload.len() as u64 > limits::ENTRY_LEN_MAX {
        return Err(ForceError::Refused("another node's, or too long"));
    }
    // An empty directory must not become a voter's by being looked at.
    let journal = Journal::open(disk, settings.journal.clone(), entropy)?;
    let state = journal.state();
    let Some(last) = state.last else {
        journal.close()?;
        return Err(ForceError::Empty);
    };
    let voted = state.vote.map_or(0, |vote| vote.term);
    let entries = decree(last, voted, alone, payload)?;
    let end = entries.last().map_or(last, |entry| entry.position);
    durably(|done| {
        let vote = Vote {
            term: end.term,
            leader: end.leader,
            committed: false,
        };
        journal.save_vote(vote, done)
    })?;
    durably(|done| journal.append(entries, done))?;
    journal.set_committed(end)?;
    journal.close()?;
    Ok(end)
}

/// The two entries behind `last`: pure.
fn decree(
    last: LogPosition,
    voted: u64,
    alone: &Member,
    payload: Bytes,
) -> Result<Vec<LogEntry>, ForceError> {
    let place = |behind: u64| LogPosition {
        term: last.term.max(voted) + 1,
        leader: alone.id,
        index: last.index + behind,
    };
    let node = BasicNode {
        addr: alone.address.clone(),
    };
    let nodes = BTreeMap::from([(alone.id, node)]);
    let membership = Membership::new(vec![BTreeSet::from([alone.id])], nodes)
        .map_err(|_| ForceError::Refused("no membership of one"))?;
    let entry = |behind, payload: EntryPayload<EntryBytes, u64, BasicNode>| {
        entry_out(&RaftEntry {
            log_id: log_id(place(behind)),
            payload,
        })
    };
    Ok(vec![
        entry(1, EntryPayload::Membership(membership)),
        entry(2, EntryPayload::Normal(EntryBytes(payload))),
    ])
}

fn durably(
    change: impl FnOnce(crate::journal::Done) -> Result<(), JournalError>,
) -> Result<(), ForceError> {
    let (told, outcome) = mpsc::channel();
    change(Box::new(move |result| {
        // Nobody is gone: the receiver waits below.
        let _ = told.send(result);
    }))?;
    match outcome.recv() {
        Ok(result) => Ok(result?),
        Err(_) => Err(JournalError::Closed.into()),
    }
}
