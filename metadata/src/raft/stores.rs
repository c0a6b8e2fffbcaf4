//! The store in use, how far it is, and the four things done to it: a batch applied, a full sync, a
//! snapshot built, a snapshot installed.

use bytes::Bytes;
use cairn_store::{OrderedStore, StoreError, View};
use openraft::{EntryPayload, StoredMembership};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::commit::{self, Commit, Effect};
use super::generations::Generations;
use super::rebuild;
use super::rows::{self, Progress, Proof, StateHash};
use super::types::{EntryBytes, RaftEntry, RaftMembership, position};
use super::{Committed, LogPosition, StateMachine};
use crate::snapshot::{Shelf, SnapshotHandle, SnapshotMeta};

/// The store in use and how far it is.
struct Current {
    store: Arc<dyn OrderedStore>,
    progress: Progress,
    membership: RaftMembership,
    synced: Progress,
    /// Indexes of the marker rows that are there.
    markers: Vec<u64>,
    /// Entries applied since the last full sync began.
    unsynced: u64,
    generation: u64,
    /// Why the store can only be given up: a sync that failed says nothing about any row since the
    /// last good one.
    failed: Option<String>,
}

impl Current {
    fn usable(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(reason) => Err(StoreError(format!("it failed before: {reason}"))),
            None => Ok(()),
        }
    }
}

/// What the state machine, the housekeeper and readers share.
pub(super) struct Stores {
    current: Mutex<Current>,
    /// The store in `current`, for readers: they must not wait for a batch being written.
    serving: RwLock<Arc<dyn OrderedStore>>,
    /// A snapshot built beforehand, for openraft to take as its own.
    prebuilt: Mutex<Option<SnapshotHandle>>,
    /// One full sync at a time.
    syncing: Mutex<()>,
    generations: Mutex<Generations>,
    pub(super) shelf: Shelf,
    pub(super) inline: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stores {
    pub(super) fn new(
        store: Arc<dyn OrderedStore>,
        proof: Proof,
        generations: Generations,
        shelf: Shelf,
        inline: bool,
    ) -> Result<Self, StoreError> {
        let membership = rows::membership(&rows::membership_bytes(store.view().as_ref())?)?;
        let serving = RwLock::new(store.clone());
        let current = Current {
            store,
            progress: proof.applied,
            membership,
            synced: proof.synced,
            unsynced: proof.markers.len() as u64,
            markers: proof.markers,
            generation: generations.number(),
            failed: None,
        };
        Ok(Self {
            current: Mutex::new(current),
            serving,
            prebuilt: Mutex::new(None),
            syncing: Mutex::new(()),
            generations: Mutex::new(generations),
            shelf,
            inline,
        })
    }

    /// Everything applied so far.
    pub(super) fn view(&self) -> Box<dyn View> {
        self.serving
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .view()
    }

    /// Last entry applied.
    pub(super) fn applied(&self) -> Option<LogPosition> {
        lock(&self.current).progress.position
    }

    /// Last entry a full sync has covered.
    pub(super) fn synced(&self) -> Option<LogPosition> {
        lock(&self.current).synced.position
    }

    /// Entries applied that no full sync has begun to cover.
    pub(super) fn unsynced(&self) -> u64 {
        lock(&self.current).unsynced
    }

    /// Whether the store can only be given up.
    pub(super) fn failed(&self) -> bool {
        lock(&self.current).failed.is_some()
    }

    pub(super) fn state_hashes(&self) -> Result<Vec<StateHash>, StoreError> {
        rows::state_hashes(self.view().as_ref())
    }

    /// A full sync: everything applied before the call survives a crash when it returns. Markers up
    /// to there are removed, and the log may be purged up to there.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let _one = lock(&self.syncing);
        let (store, progress, generation, unsynced) = {
            let current = lock(&self.current);
            current.usable()?;
            (
                current.store.clone(),
                current.progress,
                current.generation,
                current.unsynced,
            )
        };
        let persisted = store.persist();
        let mut current = lock(&self.current);
        if current.generation != generation {
            return Ok(());
        }
        if let Err(error) = persisted {
            current.failed = Some(error.to_string());
            return Err(error);
        }
        let done = current
            .markers
            .partition_point(|index| Some(*index) <= progress.index());
        let removed: Vec<u64> = current.markers.drain(..done).collect();
        let mut batch = cairn_store::Batch::default();
        rows::put_synced(&mut batch, &progress, &removed);
        store.commit(&batch)?;
        current.synced = progress;
        current.unsynced = current.unsynced.saturating_sub(unsynced);
        Ok(())
    }

    /// Notes in the store, for good, that a majority of voters has another state since `index`.
    pub(super) fn mark_diverged(&self, index: u64) -> Result<(), StoreError> {
        let current = lock(&self.current);
        let mut batch = cairn_store::Batch::default();
        rows::put_diverged(&mut batch, index);
        current.store.commit(&batch)?;
        current.store.persist()
    }

    /// Applies entries with one store batch; their replies.
    pub(super) fn apply(
        &self,
        machine: &mut dyn StateMachine,
        entries: Vec<RaftEntry>,
    ) -> io::Result<Vec<Bytes>> {
        let mut current = lock(&self.current);
        current.usable().map_err(io::Error::other)?;
        let effects = effects(current.store.as_ref(), machine, entries)?;
        let count = effects.len() as u64;
        let Commit {
            batch,
            progress,
            membership,
            replies,
        } = commit::commit(&current.progress, effects).map_err(io::Error::other)?;
        current.store.commit(&batch).map_err(io::Error::other)?;
        current.progress = progress;
        current.markers.extend(progress.index());
        current.unsynced += count;
        if let Some(membership) = membership {
            current.membership = membership;
        }
        Ok(replies)
    }

    /// Replaces the store with a snapshot's rows; durable when it returns.
    pub(super) fn install(&self, snapshot: &SnapshotHandle) -> io::Result<()> {
        let snapshot = self.shelf.adopt(snapshot)?;
        let _one = lock(&self.syncing);
        let mut generations = lock(&self.generations);
        // Its successor was taken into use long ago; nobody reads it any more. The one replaced now
        // stays until the next install or start: readers may still hold views of it.
        generations.remove_previous().map_err(io::Error::other)?;
        let store = rebuild::install(&snapshot, &mut generations).map_err(io::Error::other)?;
        let meta = snapshot.meta();
        let progress = Progress {
            position: meta.position,
            hash: meta.hash,
        };
        let membership = rows::membership(&meta.membership).map_err(io::Error::other)?;
        let serving = store.clone();
        let next = Current {
            store,
            progress,
            membership,
            synced: progress,
            markers: Vec::new(),
            unsynced: 0,
            generation: generations.number(),
            failed: None,
        };
        *lock(&self.current) = next;
        *self.serving.write().unwrap_or_else(PoisonError::into_inner) = serving;
        Ok(())
    }

    /// Last entry applied and the membership then.
    pub(super) fn applied_state(&self) -> (Option<LogPosition>, RaftMembership) {
        let current = lock(&self.current);
        (current.progress.position, current.membership.clone())
    }

    /// A view of now and what a snapshot of it says about itself.
    pub(super) fn freeze(&self) -> (SnapshotMeta, Box<dyn View>) {
        let current = lock(&self.current);
        let meta = SnapshotMeta {
            position: current.progress.position,
            membership: rows::membership_row(&current.membership),
            hash: current.progress.hash,
        };
        (meta, current.store.view())
    }

    /// Writes a snapshot of a frozen view. What the log loses on the strength of it must be in the
    /// store for good, so the store is synced first.
    pub(super) fn build(&self, meta: &SnapshotMeta, view: &dyn View) -> io::Result<SnapshotHandle> {
        self.sync().map_err(io::Error::other)?;
        Ok(self.shelf.build(meta, view)?)
    }

    /// Builds a snapshot of now for openraft to take. A failure is no end: it may be tried again.
    pub(super) fn prebuild(&self) -> io::Result<()> {
        let (meta, view) = self.freeze();
        let snapshot = self.build(&meta, view.as_ref())?;
        *lock(&self.prebuilt) = Some(snapshot);
        Ok(())
    }

    /// The snapshot built beforehand, once.
    pub(super) fn take_prebuilt(&self) -> Option<SnapshotHandle> {
        lock(&self.prebuilt).take()
    }
}

/// Runs the entries of the application through the state machine, in one call.
fn effects(
    store: &dyn OrderedStore,
    machine: &mut dyn StateMachine,
    entries: Vec<RaftEntry>,
) -> io::Result<Vec<(LogPosition, Effect)>> {
    let committed: Vec<Committed> = entries
        .iter()
        .filter_map(|entry| match &entry.payload {
            EntryPayload::Normal(EntryBytes(bytes)) => Some(Committed {
                position: position(&entry.log_id),
                payload: bytes.clone(),
            }),
            _ => None,
        })
        .collect();
    let mut applied = Vec::new();
    if !committed.is_empty() {
        applied = machine
            .apply(store.view().as_ref(), &committed)
            .map_err(io::Error::other)?;
    }
    if applied.len() != committed.len() {
        return Err(io::Error::other(
            "the state machine answered another number of entries",
        ));
    }
    let mut applied = applied.into_iter();
    let effect = |entry: RaftEntry| {
        let at = position(&entry.log_id);
        let effect = match entry.payload {
            EntryPayload::Blank => Effect::Blank,
            EntryPayload::Membership(membership) => {
                Effect::Membership(StoredMembership::new(Some(entry.log_id), membership))
            }
            EntryPayload::Normal(_) => Effect::Application(applied.next().unwrap_or_default()),
        };
        (at, effect)
    };
    Ok(entries.into_iter().map(effect).collect())
}
