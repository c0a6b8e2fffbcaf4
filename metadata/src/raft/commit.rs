//! From applied entries to one store batch: pure.

use cairn_model::limits;
use cairn_store::{Batch, Change};
use sha2::{Digest, Sha256};

use super::rows::{self, HOST_PREFIX, Progress, RunningHash, StateHash};
use super::types::{RaftMembership, StoredMembershipMessage};
use super::{Applied, ApplyError, LogPosition};
use prost::Message;

const SEED: &[u8] = b"cairn applied entry 1";

/// What an entry did.
pub(super) enum Effect {
    /// A leader's first entry.
    Blank,
    Membership(RaftMembership),
    Application(Applied),
}

/// One batch over all keys, and where it leads.
pub(super) struct Commit {
    pub(super) batch: Batch,
    pub(super) progress: Progress,
    pub(super) membership: Option<RaftMembership>,
    /// Replies in order; of none but the application's entries.
    pub(super) replies: Vec<bytes::Bytes>,
}

/// Merges the effects of consecutive entries.
///
/// The running hash takes each entry alone, for voters cut their batches differently:
/// hash = SHA-256(seed, hash before, position, kind, canonical changes).
pub(super) fn commit(
    before: &Progress,
    effects: Vec<(LogPosition, Effect)>,
) -> Result<Commit, ApplyError> {
    let mut out = Commit {
        batch: Batch::default(),
        progress: *before,
        membership: None,
        replies: Vec::new(),
    };
    let mut hashes = Vec::new();
    for (position, effect) in effects {
        if Some(position.index) <= out.progress.index() {
            return Err(ApplyError(format!("entry {} comes twice", position.index)));
        }
        let mut digest = begin(&out.progress.hash, &position);
        let mut reply = bytes::Bytes::new();
        match effect {
            Effect::Blank => digest.update([0]),
            Effect::Membership(membership) => {
                digest.update([2]);
                digest.update(StoredMembershipMessage::from(&membership).encode_to_vec());
                out.membership = Some(membership);
            }
            Effect::Application(applied) => {
                digest.update([1]);
                hash_changes(&mut digest, &applied.changes);
                merge(&mut out.batch, applied.changes)?;
                reply = applied.reply;
            }
        }
        out.replies.push(reply);
        let hash: RunningHash = digest.finalize().into();
        out.progress = Progress {
            position: Some(position),
            hash,
        };
        if position.index.is_multiple_of(limits::STATE_HASH_EVERY) {
            hashes.push(StateHash { position, hash });
        }
    }
    if let Some(membership) = &out.membership {
        rows::put_membership(&mut out.batch, membership);
    }
    rows::put_progress(&mut out.batch, before, &out.progress, &hashes);
    Ok(out)
}

fn begin(before: &RunningHash, position: &LogPosition) -> Sha256 {
    let mut digest = Sha256::new();
    digest.update(SEED);
    digest.update(before);
    digest.update(position.term.to_le_bytes());
    digest.update(position.leader.to_le_bytes());
    digest.update(position.index.to_le_bytes());
    digest
}

fn hash_changes(digest: &mut Sha256, changes: &Batch) {
    digest.update((changes.changes.len() as u64).to_le_bytes());
    for (key, change) in &changes.changes {
        digest.update((key.len() as u64).to_le_bytes());
        digest.update(key);
        match change {
            Change::Delete => digest.update([0]),
            Change::Put(value) => {
                digest.update([1]);
                digest.update((value.len() as u64).to_le_bytes());
                digest.update(value);
            }
        }
    }
}

fn merge(into: &mut Batch, from: Batch) -> Result<(), ApplyError> {
    let host = |key: &Vec<u8>| key.first().is_none_or(|first| *first == HOST_PREFIX);
    if let Some(key) = from.changes.keys().find(|key| host(key)) {
        return Err(ApplyError(format!(
            "the state machine wrote the host's row {key:02x?}"
        )));
    }
    into.changes.extend(from.changes);
    Ok(())
}

#[cfg(test)]
mod tests;
