//! The host's rows: how far the store is, and the proof that nothing of it is missing.
//!
//! ```text
//! 00 'a'               applied:    position, running hash
//! 00 'm'               membership: last one applied
//! 00 's'               synced:     position and hash up to which the last full sync reached
//! 00 'i'               installed:  position of the snapshot this generation began with
//! 00 'd'               diverged:   index at which a majority of voters had another hash
//! 00 'k' index (8, BE) marker:     progress before and after one batch, until the next full sync
//! 00 'h' slot (8, BE)  state hash: progress at a multiple of 1,000, a ring for comparing voters
//! ```
//! Every batch writes a marker that names its predecessor. So from the synced row on, the markers
//! form a chain that ends at the applied row, unless a batch in between was dropped.

use cairn_model::limits;
use cairn_store::{Batch, StoreError, View};
use cairn_world::{Bug, planted};
use prost::Message;
use std::ops::Bound;

use super::LogPosition;
use super::settings::HASHES_KEPT;
use super::types::{PositionMessage, RaftMembership, StoredMembershipMessage};

/// First byte of every row of the host, and of none of the state machine's.
pub(super) const HOST_PREFIX: u8 = 0;

const APPLIED: [u8; 2] = [HOST_PREFIX, b'a'];
const MEMBERSHIP: [u8; 2] = [HOST_PREFIX, b'm'];
const SYNCED: [u8; 2] = [HOST_PREFIX, b's'];
const INSTALLED: [u8; 2] = [HOST_PREFIX, b'i'];
const DIVERGED: [u8; 2] = [HOST_PREFIX, b'd'];
const MARKER: u8 = b'k';
const STATE_HASH: u8 = b'h';

/// A chained digest over everything applied, the same on every voter at the same entry.
pub type RunningHash = [u8; 32];

/// The running hash at an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHash {
    /// The entry.
    pub position: LogPosition,
    /// The hash after it.
    pub hash: RunningHash,
}

/// How far a store is: `None` and zeros before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) position: Option<LogPosition>,
    pub(super) hash: RunningHash,
}

impl Progress {
    pub(super) fn index(&self) -> Option<u64> {
        self.position.map(|position| position.index)
    }
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ProgressMessage {
    #[prost(message, optional, tag = "1")]
    position: Option<PositionMessage>,
    #[prost(bytes = "vec", tag = "2")]
    hash: Vec<u8>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct MarkerMessage {
    #[prost(message, optional, tag = "1")]
    before: Option<ProgressMessage>,
    #[prost(message, optional, tag = "2")]
    after: Option<ProgressMessage>,
}

impl From<&Progress> for ProgressMessage {
    fn from(progress: &Progress) -> Self {
        Self {
            position: progress.position.map(Into::into),
            hash: progress.hash.to_vec(),
        }
    }
}

impl ProgressMessage {
    fn progress(&self) -> Option<Progress> {
        let hash = self.hash.as_slice().try_into().ok()?;
        Some(Progress {
            position: self.position.as_ref().map(Into::into),
            hash,
        })
    }
}

fn numbered(kind: u8, number: u64) -> Vec<u8> {
    let mut key = vec![HOST_PREFIX, kind];
    key.extend_from_slice(&number.to_be_bytes());
    key
}

/// Adds the rows of one batch: applied, marker, and the state hashes at multiples it passed.
pub(super) fn put_progress(
    batch: &mut Batch,
    before: &Progress,
    after: &Progress,
    hashes: &[StateHash],
) {
    batch.put(APPLIED, ProgressMessage::from(after).encode_to_vec());
    let marker = MarkerMessage {
        before: Some(before.into()),
        after: Some(after.into()),
    };
    if let Some(index) = after.index() {
        batch.put(numbered(MARKER, index), marker.encode_to_vec());
    }
    for state in hashes {
        let slot = (state.position.index / limits::STATE_HASH_EVERY) % HASHES_KEPT;
        let progress = Progress {
            position: Some(state.position),
            hash: state.hash,
        };
        batch.put(
            numbered(STATE_HASH, slot),
            ProgressMessage::from(&progress).encode_to_vec(),
        );
    }
}

/// The membership row's bytes, also a snapshot's.
pub(super) fn membership_row(membership: &RaftMembership) -> Vec<u8> {
    StoredMembershipMessage::from(membership).encode_to_vec()
}

pub(super) fn put_membership(batch: &mut Batch, membership: &RaftMembership) {
    batch.put(MEMBERSHIP, membership_row(membership));
}

/// Adds the rows that begin a generation made from a snapshot.
pub(super) fn put_installed(batch: &mut Batch, progress: &Progress, membership: &[u8]) {
    let row = ProgressMessage::from(progress).encode_to_vec();
    batch.put(APPLIED, row.clone());
    batch.put(SYNCED, row.clone());
    batch.put(INSTALLED, row);
    batch.put(MEMBERSHIP, membership.to_vec());
}

/// Adds the rows of a completed full sync: markers up to it have done their work.
pub(super) fn put_synced(batch: &mut Batch, synced: &Progress, markers: &[u64]) {
    batch.put(SYNCED, ProgressMessage::from(synced).encode_to_vec());
    for index in markers {
        batch.delete(numbered(MARKER, *index));
    }
}

/// Notes that a majority of voters has another state since `index`.
pub(super) fn put_diverged(batch: &mut Batch, index: u64) {
    batch.put(DIVERGED, index.to_be_bytes().to_vec());
}

/// The index at which a majority of voters was seen to have another state.
pub(super) fn diverged(view: &dyn View) -> Result<Option<u64>, StoreError> {
    let Some(row) = view.get(&DIVERGED)? else {
        return Ok(None);
    };
    let index = <[u8; 8]>::try_from(row.as_ref()).map_err(|_| broken("divergence"))?;
    Ok(Some(u64::from_be_bytes(index)))
}

fn broken(what: &str) -> StoreError {
    StoreError(format!("the host's row of {what} cannot be read"))
}

fn progress_at(view: &dyn View, key: &[u8], what: &str) -> Result<Option<Progress>, StoreError> {
    let Some(value) = view.get(key)? else {
        return Ok(None);
    };
    let message = ProgressMessage::decode(value).map_err(|_| broken(what))?;
    message.progress().map(Some).ok_or_else(|| broken(what))
}

/// What the store says it has applied.
pub(super) fn applied(view: &dyn View) -> Result<Progress, StoreError> {
    Ok(progress_at(view, &APPLIED, "what is applied")?.unwrap_or_default())
}

/// Bytes of the membership row.
pub(super) fn membership_bytes(view: &dyn View) -> Result<Vec<u8>, StoreError> {
    Ok(view
        .get(&MEMBERSHIP)?
        .map(|value| value.to_vec())
        .unwrap_or_default())
}

/// The membership row.
pub(super) fn membership(bytes: &[u8]) -> Result<RaftMembership, StoreError> {
    let message = StoredMembershipMessage::decode(bytes).map_err(|_| broken("the membership"))?;
    message.stored().map_err(|_| broken("the membership"))
}

/// The ring of state hashes, oldest first.
pub(super) fn state_hashes(view: &dyn View) -> Result<Vec<StateHash>, StoreError> {
    let (from, to) = ([HOST_PREFIX, STATE_HASH], [HOST_PREFIX, STATE_HASH + 1]);
    let mut hashes = Vec::new();
    for row in view.scan(Bound::Included(&from), Bound::Excluded(&to)) {
        let (_, value) = row?;
        let message = ProgressMessage::decode(value).map_err(|_| broken("a state hash"))?;
        let progress = message.progress().ok_or_else(|| broken("a state hash"))?;
        if let Some(position) = progress.position {
            hashes.push(StateHash {
                position,
                hash: progress.hash,
            });
        }
    }
    hashes.sort_by_key(|state| state.position);
    Ok(hashes)
}

/// A store that has proved itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Proof {
    pub(super) applied: Progress,
    pub(super) synced: Progress,
    pub(super) installed: Option<Progress>,
    /// Indexes of all marker rows.
    pub(super) markers: Vec<u64>,
}

/// Follows the chain of markers.
///
/// # Errors
/// The engine's; and a reason in the inner error where a batch is missing.
pub(super) fn prove(view: &dyn View) -> Result<Result<Proof, String>, StoreError> {
    let found = applied(view)?;
    let synced = progress_at(view, &SYNCED, "the last sync")?.unwrap_or_default();
    let installed = progress_at(view, &INSTALLED, "the snapshot installed")?;
    let mut markers = Vec::new();
    let mut reached = synced;
    let (from, to) = ([HOST_PREFIX, MARKER], [HOST_PREFIX, MARKER + 1]);
    for row in view.scan(Bound::Included(&from), Bound::Excluded(&to)) {
        let (key, value) = row?;
        let message = MarkerMessage::decode(value).map_err(|_| broken("a marker"))?;
        let before = message.before.and_then(|before| before.progress());
        let after = message.after.and_then(|after| after.progress());
        let (Some(before), Some(after)) = (before, after) else {
            return Err(broken("a marker"));
        };
        let Some(index) = after.index() else {
            return Err(broken("a marker"));
        };
        if key.as_ref() != numbered(MARKER, index) {
            return Err(broken("a marker"));
        }
        markers.push(index);
        if Some(index) <= synced.index() {
            // Its batch is synced; only its removal was lost.
            continue;
        }
        if before != reached && !planted(Bug::MarkersUnchecked) {
            return Ok(Err(format!(
                "no batch leads from entry {:?} to the one at {index}",
                reached.index()
            )));
        }
        reached = after;
    }
    if reached != found && !planted(Bug::MarkersUnchecked) {
        return Ok(Err(format!(
            "its batches lead to entry {:?}, it says {:?} is applied",
            reached.index(),
            found.index()
        )));
    }
    Ok(Ok(Proof {
        applied: found,
        synced,
        installed,
        markers,
    }))
}

#[cfg(test)]
mod tests;
