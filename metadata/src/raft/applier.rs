//! The state machine under openraft's trait.

use cairn_store::View;
use cairn_world::buggify;
use futures_util::{Stream, StreamExt};
use openraft::storage::{ApplyResponder, EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StateMachine;
use super::network::RaftSnapshot;
use super::rows;
use super::settings::{APPLY_BYTES, APPLY_ENTRIES};
use super::stores::Stores;
use super::types::{EntryBytes, RaftEntry, RaftLogId, RaftMembership, Reply, TypeConfig, log_id};
use crate::journal::Journal;
use crate::snapshot::{SnapshotHandle, SnapshotMeta};

type SnapshotMetaOf = openraft::alias::SnapshotMetaOf<TypeConfig>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let full = self.entries.len() >= APPLY_ENTRIES || self.bytes >= APPLY_BYTES;
        full || buggify("apply-batch-small")
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

    /// Applies nothing before it is durable in `journal`.
    #[cfg(test)]
    pub(super) fn waiting_for(self, journal: Journal) -> Self {
        Self {
            journal: Some(journal),
            ..self
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
        let replies = self.stores.apply(
            lock(&self.machine).as_mut(),
            std::mem::take(&mut pieces.entries),
        )?;
        pieces.bytes = 0;
        for (responder, reply) in pieces.responders.drain(..).zip(replies) {
            if let Some(responder) = responder {
                responder.send(Reply(reply));
            }
        }
        Ok(())
    }
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = SnapshotHandle;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<RaftLogId>, RaftMembership), io::Error> {
        let (applied, membership) = self.stores.applied_state();
        Ok((applied.map(log_id), membership))
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
        Builder {
            stores: self.stores.clone(),
            frozen: Some(self.stores.freeze()),
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
        self.stores.shelf.newest().map(raft_snapshot).transpose()
    }
}

pub(super) fn raft_snapshot(handle: SnapshotHandle) -> io::Result<RaftSnapshot> {
    let meta = SnapshotMetaOf {
        last_log_id: handle.meta().position.map(log_id),
        last_membership: rows::membership(&handle.meta().membership).map_err(io::Error::other)?,
    };
    Ok(RaftSnapshot {
        meta,
        snapshot: handle,
    })
}

/// Hands openraft the snapshot built beforehand, else builds one of the view it was made with.
pub struct Builder {
    stores: Arc<Stores>,
    frozen: Option<(SnapshotMeta, Box<dyn View>)>,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotHandle;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot, io::Error> {
        let Some((meta, view)) = self.frozen.take() else {
            return Err(io::Error::other("a builder builds one snapshot"));
        };
        if let Some(prebuilt) = self.stores.take_prebuilt() {
            return raft_snapshot(prebuilt);
        }
        let stores = self.stores.clone();
        let build = move || stores.build(&meta, view.as_ref());
        raft_snapshot(blocking(self.stores.inline, build).await?)
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
