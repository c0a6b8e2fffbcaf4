//! What to do with the store found at start: keep it, rebuild it, or refuse to run. And how a
//! generation is made from a snapshot.

use bytes::Bytes;
use cairn_store::{Batch, OrderedStore};
use cairn_world::{Bug, planted};
use std::sync::Arc;

use super::LogPosition;
use super::errors::OpenError;
use super::generations::Generations;
use super::rows::{self, Progress, Proof};
use crate::journal::{Journal, JournalState};
use crate::snapshot::{Shelf, SnapshotError, SnapshotHandle};

/// Rows per batch while a snapshot is installed.
const INSTALL_ROWS: usize = 4_096;
/// Bytes per batch while a snapshot is installed.
const INSTALL_BYTES: usize = 1 << 20;

/// A verdict on the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is a prefix of what the log leads to.
    Keep,
    /// It is worthless; a snapshot and the log have it all.
    Rebuild(String),
    /// It has what the journal lost: the journal is damaged.
    Refuse(String),
}

/// Judges a store by its proof and the journal's ends. `at` gives the journal's position at an index.
pub(super) fn judge(
    proof: &Result<Proof, String>,
    journal: &JournalState,
    at: impl Fn(u64) -> Option<LogPosition>,
) -> Verdict {
    let proof = match proof {
        Ok(proof) => proof,
        Err(reason) => return Verdict::Rebuild(reason.clone()),
    };
    let Some(applied) = proof.applied.position else {
        return match journal.purged {
            Some(purged) => Verdict::Rebuild(format!(
                "it is empty, the log begins behind {}",
                purged.index
            )),
            None => Verdict::Keep,
        };
    };
    if let Some(purged) = journal.purged
        && applied.index < purged.index
    {
        return Verdict::Rebuild(format!(
            "entry {} is applied, the log begins behind {}",
            applied.index, purged.index
        ));
    }
    let known = match journal.purged {
        Some(purged) if purged.index == applied.index => Some(purged),
        _ => at(applied.index),
    };
    match known {
        Some(known) if known == applied => Verdict::Keep,
        Some(known) => Verdict::Refuse(format!(
            "entry {} was applied under term {}, the log has it under term {}",
            applied.index, applied.term, known.term
        )),
        // A snapshot came in and the log was not purged up to it yet.
        None if proof.installed == Some(proof.applied) => Verdict::Keep,
        None => Verdict::Refuse(format!(
            "entry {} was applied, the log ends at {:?}",
            applied.index,
            journal.last.map(|last| last.index)
        )),
    }
}

/// Why a store could not be rebuilt.
#[derive(Debug, thiserror::Error)]
pub(super) enum RebuildError {
    /// No snapshot reaches the log any more: reinstall from a peer, never run on.
    #[error("no whole snapshot reaches the log, which begins behind entry {0}")]
    NoSnapshot(u64),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Store(#[from] cairn_store::StoreError),
    #[error("store generation: {0}")]
    Io(#[from] std::io::Error),
}

/// Makes the next generation from the newest whole snapshot that reaches the log, or empty where
/// the log has everything; in use and durable when it returns.
pub(super) fn rebuild(
    journal: &Journal,
    shelf: &Shelf,
    generations: &mut Generations,
) -> Result<Arc<dyn OrderedStore>, RebuildError> {
    let purged = journal.state().purged;
    for snapshot in shelf.snapshots() {
        if snapshot.meta().position.map(|at| at.index) < purged.map(|at| at.index) {
            continue;
        }
        match install(&snapshot, generations) {
            Ok(store) => return Ok(store),
            Err(RebuildError::Snapshot(error @ SnapshotError::Damaged { .. })) => {
                tracing::error!(%error, "a kept snapshot is damaged, trying an older one");
                shelf.distrust(&snapshot);
            }
            Err(error) => return Err(error),
        }
    }
    match purged {
        Some(purged) => Err(RebuildError::NoSnapshot(purged.index)),
        None => {
            let store = generations.prepare()?;
            store.persist()?;
            generations.switch()?;
            Ok(store)
        }
    }
}

/// Makes the next generation from a snapshot; in use and durable when it returns. Reading it to its
/// trailer verifies it, and nothing is in use before that.
pub(super) fn install(
    snapshot: &SnapshotHandle,
    generations: &mut Generations,
) -> Result<Arc<dyn OrderedStore>, RebuildError> {
    let store = generations.prepare()?;
    let mut batch = Batch::default();
    let mut bytes = 0;
    snapshot.for_each(|key: Bytes, value: Bytes| {
        bytes += key.len() + value.len();
        batch.put(key.to_vec(), value);
        if batch.changes.len() >= INSTALL_ROWS || bytes >= INSTALL_BYTES {
            store.commit(&std::mem::take(&mut batch))?;
            bytes = 0;
        }
        Ok(())
    })?;
    let meta = snapshot.meta();
    let progress = Progress {
        position: meta.position,
        hash: meta.hash,
    };
    // Last of all: a store without these rows proves nothing and is not kept.
    rows::put_installed(&mut batch, &progress, &meta.membership);
    store.commit(&batch)?;
    if !planted(Bug::SnapshotNotSynced) {
        store.persist()?;
    }
    generations.switch()?;
    Ok(store)
}

/// Opens the store in use, or a new one in its place where it cannot prove itself whole.
pub(super) fn open_store(
    journal: &Journal,
    shelf: &Shelf,
    generations: &mut Generations,
) -> Result<(Arc<dyn OrderedStore>, Proof), OpenError> {
    let judged = generations.current().and_then(|store| {
        let diverged = rows::diverged(store.view().as_ref())?;
        let proof = rows::prove(store.view().as_ref())?;
        Ok((store, proof, diverged))
    });
    let reason = match judged {
        Ok((_, _, Some(index))) => return Err(OpenError::Diverged(index)),
        Ok((store, proof, None)) => {
            match judge(&proof, &journal.state(), |index| journal.position(index)) {
                Verdict::Keep => {
                    return Ok((store, proof.map_err(OpenError::Unrecoverable)?));
                }
                Verdict::Refuse(reason) => return Err(OpenError::Mismatch(reason)),
                Verdict::Rebuild(reason) => reason,
            }
        }
        // An engine that cannot open or read its files has lost them; the log has it all.
        Err(error) => error.to_string(),
    };
    tracing::error!(%reason, "the store is discarded and rebuilt");
    let store = rebuild(journal, shelf, generations).map_err(|error| match error {
        error @ RebuildError::NoSnapshot(_) => {
            OpenError::Unrecoverable(format!("{error}; the store was discarded because {reason}"))
        }
        error => OpenError::Io(error.to_string()),
    })?;
    if let Err(error) = generations.remove_previous() {
        tracing::warn!(%error, "the discarded store stays until the next start");
    }
    let proof = rows::prove(store.view().as_ref())?.map_err(OpenError::Unrecoverable)?;
    Ok((store, proof))
}

/// openraft installs the newest snapshot where the store is behind it; it must be a whole one.
pub(super) fn distrust_damaged(shelf: &Shelf, proof: &Proof) {
    for snapshot in shelf.snapshots() {
        if snapshot.meta().position <= proof.applied.position {
            return;
        }
        match snapshot.verify() {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(%error, "a kept snapshot is damaged");
                shelf.distrust(&snapshot);
            }
        }
    }
}

#[cfg(test)]
mod tests;
