//! A voter: everything opened in the right order, proposals, reads, and an orderly end.

use bytes::Bytes;
use cairn_model::limits;
use cairn_store::View;
use cairn_world::{Clock, Disk, Entropy};
use openraft::errors::{ClientWriteError, InitializeError as RaftInitializeError, RaftError};
use openraft::{BasicNode, Config, ServerState, SnapshotPolicy};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;

use super::StateMachine;
use super::agreement::Comparer;
use super::applier::{Applier, blocking};
use super::clocks::{Clocks, watch_clocks};
use super::errors::{
    InitializeError, Member, OpenError, ProposeError, RaftMetrics, ReadError, UpkeepError,
};
use super::generations::{Generations, StoreFactory};
use super::housekeeping::Housekeeper;
use super::log_storage::LogStorage;
use super::network::Network;
use super::reads::Reads;
use super::rebuild;
use super::rows::StateHash;
use super::settings::RaftSettings;
use super::stores::Stores;
use super::transfer::Transfers;
use super::transport::{Peers, RaftTransport};
use super::types::{EntryBytes, Raft, TypeConfig, position};
use crate::journal::Journal;
use crate::snapshot::Shelf;

pub(super) struct Inner {
    pub(super) raft: Raft,
    pub(super) journal: Journal,
    pub(super) stores: Arc<Stores>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: RaftSettings,
    pub(super) reads: Reads,
    pub(super) transfers: Transfers,
    pub(super) peers: Arc<Peers>,
    pub(super) clocks: Clocks,
    /// Held while the members change.
    pub(super) changing: tokio::sync::Mutex<()>,
    /// Why it stopped itself.
    halted: Mutex<Option<String>>,
    stop: watch::Sender<bool>,
    stopped: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The housekeeper holds what it needs by itself; it must not outlive the last handle.
        self.stop.send_replace(true);
    }
}

/// A running voter. Clones share it.
#[derive(Clone)]
pub struct RaftHost {
    pub(super) inner: Arc<Inner>,
}

/// A host as its own background tasks know it: they do not keep it alive.
pub(super) struct WeakHost(Weak<Inner>);

impl WeakHost {
    pub(super) fn get(&self) -> Option<RaftHost> {
        self.0.upgrade().map(|inner| RaftHost { inner })
    }
}

impl std::fmt::Debug for RaftHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RaftHost")
            .field("metrics", &self.metrics())
            .finish()
    }
}

impl RaftHost {
    /// Opens the journal, judges the store against it (rebuilding it where it cannot prove itself
    /// whole), replays what is committed and not applied, and joins the election.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing was acknowledged or voted.
    pub async fn open<T: RaftTransport>(
        settings: RaftSettings,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        stores: Arc<dyn StoreFactory>,
        mut machine: Box<dyn StateMachine>,
        transport: T,
    ) -> Result<Self, OpenError> {
        let config = config(&settings)?;
        let journal = Journal::open(disk.clone(), settings.journal.clone(), entropy.as_ref())?;
        let shelf = Shelf::open(disk.clone(), &settings.snapshot_dir, settings.cluster_id)?;
        let mut generations = Generations::open(disk.as_ref(), &settings.pointer, stores)?;
        let (store, proof) = rebuild::open_store(&journal, &shelf, &mut generations)?;
        rebuild::distrust_damaged(&shelf, &proof);
        machine.reset(store.view().as_ref())?;
        let stores = Stores::new(store, proof, generations, shelf, settings.inline)?;
        let stores = Arc::new(stores);
        let applier = Applier::new(stores.clone(), machine, Some(journal.clone()));
        let log = LogStorage::new(journal.clone());
        let peers = Arc::new(Peers {
            cluster_id: settings.cluster_id,
            node_id: settings.node_id,
            transport: Arc::new(transport),
            clock: clock.clone(),
            patience: settings.call_timeout,
            inline: settings.inline,
        });
        let network = Network(peers.clone());
        let raft = Raft::new(settings.node_id, Arc::new(config), network, log, applier)
            .await
            .map_err(|error| OpenError::Io(error.to_string()))?;
        let (stop, stopping) = watch::channel(false);
        let housekeeper = Housekeeper {
            raft: raft.clone(),
            journal: journal.clone(),
            stores: stores.clone(),
            clock: clock.clone(),
            settings: settings.clone(),
            stop: stopping,
        };
        tokio::spawn(housekeeper.run());
        let reads = Reads::start(raft.clone(), peers.clone());
        let inner = Inner {
            raft,
            journal,
            stores,
            clock,
            settings,
            reads,
            transfers: Transfers::default(),
            peers,
            clocks: Clocks::default(),
            changing: tokio::sync::Mutex::default(),
            halted: Mutex::default(),
            stop,
            stopped: AtomicBool::new(false),
        };
        let host = Self {
            inner: Arc::new(inner),
        };
        tokio::spawn(Comparer::new(host.weak()).run());
        tokio::spawn(watch_clocks(host.weak()));
        host.stand_if_alone().await;
        Ok(host)
    }

    /// The only voter need not wait to hear from others.
    async fn stand_if_alone(&self) {
        let voters: Vec<u64> = self.inner.raft.voter_ids().collect();
        if voters == [self.inner.settings.node_id] {
            let _ = self.inner.raft.trigger().elect(false).await;
        }
    }

    /// Whether the voter has a log, or a state without one: false exactly on a fresh directory.
    #[must_use]
    pub fn is_initialized(&self) -> bool {
        self.inner.journal.state().last.is_some() || self.inner.stores.applied().is_some()
    }

    /// Founds the cluster: once, on one node of a fresh set.
    ///
    /// # Errors
    /// See [`InitializeError`].
    pub async fn initialize(&self, members: Vec<Member>) -> Result<(), InitializeError> {
        let nodes: BTreeMap<u64, BasicNode> = members
            .into_iter()
            .map(|member| {
                (
                    member.id,
                    BasicNode {
                        addr: member.address,
                    },
                )
            })
            .collect();
        match self.inner.raft.initialize(nodes).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(RaftInitializeError::NotAllowed(_))) => {
                Err(InitializeError::Exists)
            }
            Err(RaftError::APIError(RaftInitializeError::NotInMembers(error))) => {
                Err(InitializeError::Members(error.to_string()))
            }
            Err(RaftError::Fatal(_)) => Err(InitializeError::Stopped),
        }
    }

    /// Proposes an entry and waits until it is committed and applied; the reply is the state
    /// machine's.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, payload: Bytes) -> Result<Bytes, ProposeError> {
        if payload.len() as u64 > limits::ENTRY_LEN_MAX {
            return Err(ProposeError::TooLarge { len: payload.len() });
        }
        if self.inner.stopped.load(Ordering::Acquire) {
            return Err(ProposeError::Stopped);
        }
        let written = tokio::select! {
            biased;
            written = self.inner.raft.client_write(EntryBytes(payload)) => written,
            () = self.inner.clock.sleep(self.inner.settings.propose_timeout) => {
                return Err(ProposeError::Unknown);
            }
        };
        match written {
            Ok(response) => Ok(response.data.0),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to))) => {
                Err(ProposeError::NotLeader {
                    leader: Member::of(to.leader_id, to.leader_node),
                })
            }
            // A discarded entry may have reached others; a node that stopped may have had it synced.
            Err(RaftError::APIError(_) | RaftError::Fatal(_)) => Err(ProposeError::Unknown),
        }
    }

    /// A view of everything acknowledged before the call, wherever it was acknowledged.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub async fn read(&self) -> Result<Box<dyn View>, ReadError> {
        if !self.leads_alone() {
            self.inner.reads.confirm().await?;
        }
        if self.is_halted() {
            return Err(ReadError::Stopped);
        }
        Ok(self.inner.stores.view())
    }

    /// A view of whatever is applied here: for planners and metrics, never for an answer.
    #[must_use]
    pub fn stale_view(&self) -> Box<dyn View> {
        self.inner.stores.view()
    }

    /// Runs `work` where it may block: for planners that read many rows.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> std::io::Result<T> {
        blocking(self.inner.settings.inline, work).await
    }

    /// Whether reads and proposals can be answered: a leader is known, and where it is this node, it
    /// has applied an entry of its own.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        use openraft::async_runtime::watch::WatchReceiver;
        let watch = self.inner.raft.metrics();
        let metrics = watch.borrow_watched();
        if metrics.running_state.is_err() || metrics.current_leader.is_none() {
            return false;
        }
        metrics.state != ServerState::Leader
            || metrics
                .last_applied
                .is_some_and(|id| id.leader_id == metrics.vote.leader_id)
    }

    /// Whether this node is the leader and the only voter, and has applied an entry of its own term.
    ///
    /// Then what is applied here is everything that was ever acknowledged: by itself, since it acknowledges
    /// what it has applied; by others before it, since that lies below its own entry. Nobody else can lead
    /// before this node has committed a change of members with its own vote, and it shows that change here
    /// as soon as it has appended it (openraft's metrics hold the effective membership, not the committed
    /// one).
    fn leads_alone(&self) -> bool {
        use openraft::async_runtime::watch::WatchReceiver;
        let watch = self.inner.raft.metrics();
        let metrics = watch.borrow_watched();
        let own = self.inner.settings.node_id;
        metrics.running_state.is_ok()
            && metrics.state == ServerState::Leader
            && (metrics.last_applied).is_some_and(|id| id.leader_id == metrics.vote.leader_id)
            && metrics.membership_config.voter_ids().all(|id| id == own)
    }

    /// Waits until [`RaftHost::is_ready`], no longer where the node has failed; whether it is.
    pub async fn wait_ready(&self, limit: Duration) -> bool {
        let deadline = self.inner.clock.monotonic() + limit;
        while !self.is_ready() {
            if self.has_failed() || self.inner.clock.monotonic() >= deadline {
                return false;
            }
            self.inner.clock.sleep(Duration::from_millis(1)).await;
        }
        true
    }

    /// Whether it was stopped, or stopped itself.
    pub(super) fn is_halted(&self) -> bool {
        self.inner.stopped.load(Ordering::Acquire)
    }

    pub(super) fn weak(&self) -> WeakHost {
        WeakHost(Arc::downgrade(&self.inner))
    }

    /// Stops itself for good: it neither votes nor acknowledges nor answers from here on.
    pub(super) async fn halt(&self, reason: String) {
        tracing::error!(%reason, "this member halts");
        self.inner.stopped.store(true, Ordering::Release);
        *lock(&self.inner.halted) = Some(reason);
        let _ = self.inner.raft.shutdown().await;
    }

    /// Halts: a majority of voters has another state at `index`, and this store must not be used again.
    pub(super) async fn diverged(&self, index: u64) {
        self.inner.stopped.store(true, Ordering::Release);
        let stores = self.inner.stores.clone();
        let mark = move || stores.mark_diverged(index).map_err(std::io::Error::other);
        if let Err(error) = blocking(self.inner.settings.inline, mark).await {
            tracing::error!(%error, "the divergence could not be noted");
        }
        self.halt(format!(
            "a majority of voters has another state at entry {index}"
        ))
        .await;
    }

    fn has_failed(&self) -> bool {
        use openraft::async_runtime::watch::WatchReceiver;
        let watch = self.inner.raft.metrics();
        watch.borrow_watched().running_state.is_err()
    }

    /// Whether this node believes it leads.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.leadership().is_some()
    }

    /// The term this node believes it leads in. Work done for one leadership compares it before and
    /// after.
    #[must_use]
    pub fn leadership(&self) -> Option<u64> {
        use openraft::async_runtime::watch::WatchReceiver;
        let watch = self.inner.raft.metrics();
        let metrics = watch.borrow_watched();
        let leads = metrics.running_state.is_ok() && metrics.state == ServerState::Leader;
        leads.then_some(metrics.current_term)
    }

    /// How it is.
    #[must_use]
    pub fn metrics(&self) -> RaftMetrics {
        use openraft::async_runtime::watch::WatchReceiver;
        let stores = &self.inner.stores;
        let journal = self.inner.journal.state();
        let watch = self.inner.raft.metrics();
        let metrics = watch.borrow_watched();
        let journal_failure = self.inner.journal.failure().map(|error| error.to_string());
        let halted = lock(&self.inner.halted).clone();
        RaftMetrics {
            node_id: self.inner.settings.node_id,
            term: metrics.current_term,
            leader: metrics.current_leader,
            last_index: metrics.last_log_index,
            applied: stores.applied(),
            synced: stores.synced(),
            snapshot: metrics.snapshot.as_ref().map(position),
            purged: journal.purged,
            journal: self.inner.journal.usage(),
            failure: halted.or(journal_failure).or_else(|| {
                metrics
                    .running_state
                    .as_ref()
                    .err()
                    .map(ToString::to_string)
            }),
        }
    }

    /// The running hash at recent multiples of 1,000 entries, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub fn state_hashes(&self) -> Result<Vec<StateHash>, cairn_store::StoreError> {
        self.inner.stores.state_hashes()
    }

    /// Builds a snapshot of what is applied now.
    ///
    /// # Errors
    /// The disk's and the store's; the node goes on.
    pub async fn snapshot(&self) -> Result<(), UpkeepError> {
        let stores = self.inner.stores.clone();
        let built = blocking(self.inner.settings.inline, move || stores.prebuild()).await;
        built.map_err(|error| UpkeepError(error.to_string()))?;
        let triggered = self.inner.raft.trigger().snapshot().await;
        triggered.map_err(|error| UpkeepError(error.to_string()))
    }

    /// Syncs the store now, as the housekeeper does from time to time.
    ///
    /// # Errors
    /// The store's; terminal.
    pub async fn sync(&self) -> Result<(), UpkeepError> {
        let stores = self.inner.stores.clone();
        let sync = move || stores.sync().map_err(std::io::Error::other);
        let done = blocking(self.inner.settings.inline, sync).await;
        done.map_err(|error| UpkeepError(error.to_string()))
    }

    /// openraft's handle.
    #[must_use]
    pub fn raft(&self) -> &openraft::Raft<TypeConfig, Applier> {
        &self.inner.raft
    }

    /// The snapshots.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.inner.stores.shelf
    }

    /// Stops: Raft first, then the store is synced, then the journal sealed.
    ///
    /// # Errors
    /// Where one of them fails; the next start repairs it.
    pub async fn shutdown(&self) -> Result<(), UpkeepError> {
        self.inner.stopped.store(true, Ordering::Release);
        self.inner.stop.send_replace(true);
        let raft = self.inner.raft.shutdown().await;
        let (stores, journal) = (self.inner.stores.clone(), self.inner.journal.clone());
        let finish = move || {
            let synced = stores.sync().map_err(std::io::Error::other);
            let closed = journal.close().map_err(std::io::Error::other);
            synced.and(closed)
        };
        let finished = blocking(self.inner.settings.inline, finish).await;
        raft.map_err(|error| UpkeepError(error.to_string()))?;
        finished.map_err(|error| UpkeepError(error.to_string()))
    }
}

fn config(settings: &RaftSettings) -> Result<Config, OpenError> {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: "cairn".to_owned(),
        heartbeat_interval: millis(settings.heartbeat),
        election_timeout_min: millis(settings.election.0),
        election_timeout_max: millis(settings.election.1),
        enable_pre_vote: Some(true),
        // A leader that lost the unsynced end of its log, or does not know yet what it had committed,
        // must not go on under its old term: it would use log ids twice and read old state.
        enable_leader_restore: Some(false),
        // The housekeeper decides about both.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        ..Config::default()
    };
    config
        .validate()
        .map_err(|error| OpenError::Settings(error.to_string()))
}
