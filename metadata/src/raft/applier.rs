//! The state machine under openraft's trait: applies, syncs, builds and installs snapshots.

use cairn_store::{OrderedStore, StoreError, View};
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend, StoredMembership};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::commit::{self, Commit, Effect};
use super::generations::Generations;
use super::network::RaftSnapshot;
use super::rebuild;
use super::rows::{self, Progress, Proof, StateHash};
use super::settings::{APPLY_BYTES, APPLY_ENTRIES};
use super::types::{
    EntryBytes, RaftEntry, RaftLogId, RaftMembership, Reply, TypeConfig, log_id, position,
};
use super::{Committed, LogPosition, StateMachine};
use crate::journal::Journal;
use crate::snapshot::{Shelf, SnapshotHandle, SnapshotMeta};

type SnapshotMetaOf = openraft::alias::SnapshotMetaOf<TypeConfig>;

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
}

/// What the state machine, the housekeeper and readers share.
pub(super) struct Stores {
    current: Mutex<Current>,
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
        let current = Current {
            store,
            progress: proof.applied,
            membership,
            synced: proof.synced,
            unsynced: proof.markers.len() as u64,
            markers: proof.markers,
            generation: generations.number(),
        };
        Ok(Self {
            current: Mutex::new(current),
            syncing: Mutex::new(()),
            generations: Mutex::new(generations),
            shelf,
            inline,
        })
    }

    /// Everything applied so far.
    pub(super) fn view(&self) -> Box<dyn View> {
        lock(&self.current).store.view()
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

    pub(super) fn state_hashes(&self) -> Result<Vec<StateHash>, StoreError> {
        rows::state_hashes(self.view().as_ref())
    }

    /// A full sync: everything applied before the call survives a crash when it returns. Markers up
    /// to there are removed, and the log may be purged up to there.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let _one = lock(&self.syncing);
        let (store, progress, generation, unsynced) = {
            let current = lock(&self.current);
            (
                current.store.clone(),
                current.progress,
                current.generation,
                current.unsynced,
            )
        };
        store.persist()?;
        let mut current = lock(&self.current);
        if current.generation != generation {
            return Ok(());
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

    /// Writes one batch of entries.
    fn apply(&self, machine: &mut dyn StateMachine, items: &mut Pieces) -> io::Result<Vec<Reply>> {
        let mut current = lock(&self.current);
        let effects = effects(
            current.store.as_ref(),
            machine,
            std::mem::take(&mut items.entries),
        )?;
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
        Ok(replies.into_iter().map(Reply).collect())
    }

    fn install(&self, snapshot: &SnapshotHandle) -> io::Result<()> {
        let snapshot = self.shelf.adopt(snapshot)?;
        let _one = lock(&self.syncing);
        let mut generations = lock(&self.generations);
        let store = rebuild::install(&snapshot, &mut generations).map_err(io::Error::other)?;
        let meta = snapshot.meta();
        let progress = Progress {
            position: meta.position,
            hash: meta.hash,
        };
        let membership = rows::membership(&meta.membership).map_err(io::Error::other)?;
        let next = Current {
            store,
            progress,
            membership,
            synced: progress,
            markers: Vec::new(),
            unsynced: 0,
            generation: generations.number(),
        };
        drop(std::mem::replace(&mut *lock(&self.current), next));
        // Readers may hold views of the old one; then the next start removes it.
        if let Err(error) = generations.remove_previous() {
            tracing::warn!(%error, "the previous store generation stays until the next start");
        }
        Ok(())
    }

    fn meta(&self) -> (SnapshotMetaOf, SnapshotMeta, Box<dyn View>) {
        let current = lock(&self.current);
        let meta = SnapshotMetaOf {
            last_log_id: current.progress.position.map(log_id),
            last_membership: current.membership.clone(),
        };
        let own = SnapshotMeta {
            position: current.progress.position,
            membership: rows::membership_row(&current.membership),
            hash: current.progress.hash,
        };
        (meta, own, current.store.view())
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

/// Entries gathered for one batch.
#[derive(Default)]
struct Pieces {
    entries: Vec<RaftEntry>,
    responders: Vec<Option<ApplyResponder<TypeConfig>>>,
    bytes: usize,
}

impl Pieces {
    fn push(&mut self, (entry, responder): EntryResponder<TypeConfig>) {
        if let EntryPayload::Normal(EntryBytes(bytes)) = &entry.payload {
            self.bytes += bytes.len();
        }
        self.entries.push(entry);
        self.responders.push(responder);
    }

    fn is_full(&self) -> bool {
        self.entries.len() >= APPLY_ENTRIES || self.bytes >= APPLY_BYTES
    }
}

/// openraft's state machine.
pub struct Applier {
    stores: Arc<Stores>,
    /// Only ever used through `&mut self`; the mutex makes it shareable, as openraft asks.
    machine: Mutex<Box<dyn StateMachine>>,
    /// The store must never get ahead of the journal: on a follower an entry may be committed by
    /// others before it is durable here.
    journal: Option<Journal>,
}

impl std::fmt::Debug for Applier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Applier")
            .field("applied", &self.stores.applied())
            .finish_non_exhaustive()
    }
}

impl Applier {
    pub(super) fn new(
        stores: Arc<Stores>,
        machine: Box<dyn StateMachine>,
        journal: Option<Journal>,
    ) -> Self {
        Self {
            stores,
            machine: Mutex::new(machine),
            journal,
        }
    }

    async fn flush(&mut self, pieces: &mut Pieces) -> io::Result<()> {
        let Some(last) = pieces.entries.last() else {
            return Ok(());
        };
        if let Some(journal) = &self.journal {
            journal
                .wait_durable(last.log_id.index)
                .await
                .map_err(io::Error::other)?;
        }
        let replies = self.stores.apply(lock(&self.machine).as_mut(), pieces)?;
        pieces.bytes = 0;
        for (responder, reply) in pieces.responders.drain(..).zip(replies) {
            if let Some(responder) = responder {
                responder.send(reply);
            }
        }
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = SnapshotHandle;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, RaftMembership), io::Error> {
        let current = lock(&self.stores.current);
        Ok((
            current.progress.position.map(log_id),
            current.membership.clone(),
        ))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        let mut pieces = Pieces::default();
        while let Some(item) = entries.next().await {
            pieces.push(item?);
            if pieces.is_full() {
                self.flush(&mut pieces).await?;
            }
        }
        self.flush(&mut pieces).await
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let (meta, own, view) = self.stores.meta();
        Builder {
            stores: self.stores.clone(),
            work: Some((meta, own, view)),
        }
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMetaOf,
        snapshot: SnapshotHandle,
    ) -> Result<(), io::Error> {
        let stores = self.stores.clone();
        blocking(self.stores.inline, move || stores.install(&snapshot)).await?;
        lock(&self.machine)
            .reset(self.stores.view().as_ref())
            .map_err(io::Error::other)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>, io::Error> {
        let Some(handle) = self.stores.shelf.newest() else {
            return Ok(None);
        };
        let meta = SnapshotMetaOf {
            last_log_id: handle.meta().position.map(log_id),
            last_membership: rows::membership(&handle.meta().membership)
                .map_err(io::Error::other)?,
        };
        Ok(Some(RaftSnapshot {
            meta,
            snapshot: handle,
        }))
    }
}

/// Builds one snapshot from the view it was made with.
pub struct Builder {
    stores: Arc<Stores>,
    work: Option<(SnapshotMetaOf, SnapshotMeta, Box<dyn View>)>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotHandle;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        let Some((meta, own, view)) = self.work.take() else {
            return Err(io::Error::other("a builder builds one snapshot"));
        };
        let stores = self.stores.clone();
        let build = move || {
            // What the log loses on the strength of this snapshot must be in the store for good.
            stores.sync().map_err(io::Error::other)?;
            stores
                .shelf
                .build(&own, view.as_ref())
                .map_err(io::Error::other)
        };
        let snapshot = blocking(self.stores.inline, build).await?;
        Ok(RaftSnapshot { meta, snapshot })
    }
}

/// Runs `work` where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    inline: bool,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if inline {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(io::Error::other(error)),
    }
}
