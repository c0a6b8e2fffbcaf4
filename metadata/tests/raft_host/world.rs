//! A machine to boot hosts on: a simulated disk, stores in memory, a state machine that counts.

use bytes::Bytes;
use cairn_metadata::raft::network::NoPeers;
use cairn_metadata::raft::{
    Applied, ApplyError, Committed, Member, OpenError, ProposeError, RaftHost, RaftSettings,
    StateMachine, StoreFactory,
};
use cairn_store::{Batch, Change, MemoryStore, OrderedStore, StoreError, View};
use cairn_world::real::RealClock;
use cairn_world::sim::{SimDisk, SimEntropy};
use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Row of the number of entries ever applied: an entry applied twice or never shows.
const COUNT: [u8; 1] = [1];
/// First byte of the rows of proposals.
const ROWS: u8 = 2;
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Keeps every proposal under its bytes, with its number; answers with the number.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    count: u64,
}

pub(crate) fn count(view: &dyn View) -> u64 {
    let row = view.get(&COUNT).unwrap();
    row.map_or(0, |row| {
        u64::from_be_bytes(row.as_ref().try_into().unwrap())
    })
}

pub(crate) fn number_of(view: &dyn View, payload: &[u8]) -> Option<u64> {
    let key = [&[ROWS], payload].concat();
    let row = view.get(&key).unwrap();
    row.map(|row| u64::from_be_bytes(row.as_ref().try_into().unwrap()))
}

pub(crate) fn rows(view: &dyn View) -> usize {
    view.scan(Bound::Included(&[ROWS]), Bound::Unbounded)
        .count()
}

impl StateMachine for Counter {
    fn apply(
        &mut self,
        view: &dyn View,
        entries: &[Committed],
    ) -> Result<Vec<Applied>, ApplyError> {
        if self.count != count(view) {
            return Err(ApplyError("the cache and the store differ".to_owned()));
        }
        let apply = |entry: &Committed| {
            if entry.payload.as_ref() == b"poison" {
                return Err(ApplyError("poison".to_owned()));
            }
            self.count += 1;
            let number = Bytes::copy_from_slice(&self.count.to_be_bytes());
            let mut changes = Batch::default();
            changes.put(COUNT, number.clone());
            let first = if entry.payload.as_ref() == b"host" {
                0
            } else {
                ROWS
            };
            changes.put([&[first], entry.payload.as_ref()].concat(), number.clone());
            Ok(Applied {
                changes,
                reply: number,
            })
        };
        entries.iter().map(apply).collect()
    }

    fn reset(&mut self, view: &dyn View) -> Result<(), ApplyError> {
        self.count = count(view);
        Ok(())
    }
}

/// Stores in memory by generation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stores {
    stores: Arc<Mutex<BTreeMap<String, MemoryStore>>>,
    /// Syncs fail while it is set.
    pub(crate) fail_syncs: Arc<AtomicBool>,
}

/// A store whose syncs can fail.
struct Shaky {
    store: MemoryStore,
    fail_syncs: Arc<AtomicBool>,
}

impl OrderedStore for Shaky {
    fn view(&self) -> Box<dyn View> {
        self.store.view()
    }

    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        self.store.commit(batch)
    }

    fn persist(&self) -> Result<(), StoreError> {
        if self.fail_syncs.load(Ordering::Relaxed) {
            return Err(StoreError("EIO".to_owned()));
        }
        self.store.persist()
    }
}

impl StoreFactory for Stores {
    fn open(&self, name: &str) -> Result<Arc<dyn OrderedStore>, StoreError> {
        let store = self
            .stores
            .lock()
            .unwrap()
            .entry(name.to_owned())
            .or_default()
            .clone();
        Ok(Arc::new(Shaky {
            store,
            fail_syncs: self.fail_syncs.clone(),
        }))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.stores.lock().unwrap().remove(name);
        Ok(())
    }
}

impl Stores {
    /// Only what was synced, and this many batches after.
    pub(crate) fn crash_keeping(&self, batches: u64) -> Self {
        let stores = self.stores.lock().unwrap();
        let kept = stores
            .iter()
            .map(|(name, store)| (name.clone(), store.crash_keeping(batches)))
            .collect();
        Self {
            stores: Arc::new(Mutex::new(kept)),
            fail_syncs: Arc::default(),
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.stores.lock().unwrap().keys().cloned().collect()
    }

    pub(crate) fn only(&self) -> MemoryStore {
        let stores = self.stores.lock().unwrap();
        assert_eq!(stores.len(), 1, "{:?}", stores.keys());
        stores.values().next().unwrap().clone()
    }

    pub(crate) fn put(&self, name: &str, store: MemoryStore) {
        self.stores.lock().unwrap().insert(name.to_owned(), store);
    }

    /// A copy of the only store without the batch that applied the entry at `index`, as an engine
    /// leaves it that took corruption for a torn tail: its new rows are gone, and its marker.
    pub(crate) fn without_marker(&self, index: u64) {
        let mut batch = Batch::default();
        let mut key = vec![0, b'k'];
        key.extend_from_slice(&index.to_be_bytes());
        batch.changes.insert(key, Change::Delete);
        self.only().commit(&batch).unwrap();
    }
}

/// A machine between boots.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) disk: SimDisk,
    pub(crate) stores: Stores,
    pub(crate) settings: RaftSettings,
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        let mut settings = RaftSettings::new([9; 16], 1).inline();
        settings.journal.segment_len = 64 << 10;
        settings.journal.segments = 2;
        settings.journal.entry_len_max = 20_000;
        settings.propose_timeout = Duration::from_secs(5);
        settings.heartbeat = Duration::from_millis(30);
        settings.election = (Duration::from_millis(100), Duration::from_millis(200));
        settings.snapshot_entries = 0;
        settings.snapshot_segments = 1_000;
        Self {
            disk: SimDisk::new(seed),
            stores: Stores::default(),
            settings,
        }
    }

    /// The machine after a power failure.
    pub(crate) fn crashed(&self, seed: u64, batches_kept: u64) -> Self {
        Self {
            disk: self.disk.after_crash(seed),
            stores: self.stores.crash_keeping(batches_kept),
            settings: self.settings.clone(),
        }
    }

    pub(crate) async fn open(&self) -> Result<RaftHost, OpenError> {
        self.open_with(Box::<Counter>::default()).await
    }

    pub(crate) async fn open_with(
        &self,
        machine: Box<dyn StateMachine>,
    ) -> Result<RaftHost, OpenError> {
        RaftHost::open(
            self.settings.clone(),
            Arc::new(self.disk.clone()),
            Arc::new(RealClock::new()),
            Arc::new(SimEntropy::new(5)),
            Arc::new(self.stores.clone()),
            machine,
            NoPeers,
        )
        .await
    }

    /// A host that serves, founding its cluster where there is none.
    pub(crate) async fn start(&self) -> Result<RaftHost, OpenError> {
        let host = self.open().await?;
        if !host.is_initialized() {
            host.initialize(vec![me()])
                .await
                .map_err(|error| OpenError::Io(error.to_string()))?;
        }
        if host.wait_ready(LIMIT).await {
            Ok(host)
        } else {
            Err(OpenError::Io(format!("not ready: {:?}", host.metrics())))
        }
    }
}

pub(crate) fn me() -> Member {
    Member {
        id: 1,
        address: "here".to_owned(),
    }
}

/// Runs one boot: everything it started ends with it, as if the process had been killed.
pub(crate) fn boot<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

pub(crate) fn payload(number: u64) -> Bytes {
    Bytes::from(format!("proposal {number:06}"))
}

/// Proposes `numbers` one by one; returns what was acknowledged, in order, up to the first failure.
pub(crate) async fn propose_all(
    host: &RaftHost,
    numbers: impl IntoIterator<Item = u64>,
) -> (Vec<(u64, u64)>, Option<ProposeError>) {
    let mut acknowledged = Vec::new();
    for number in numbers {
        match host.propose(payload(number)).await {
            Ok(reply) => {
                let reply = u64::from_be_bytes(reply.as_ref().try_into().unwrap());
                acknowledged.push((number, reply));
            }
            Err(error) => return (acknowledged, Some(error)),
        }
    }
    (acknowledged, None)
}

/// Every acknowledged proposal is there under its number; nothing was applied twice.
pub(crate) fn check(view: &dyn View, acknowledged: &[(u64, u64)], what: &str) {
    for (number, reply) in acknowledged {
        assert_eq!(
            number_of(view, &payload(*number)),
            Some(*reply),
            "{what}: proposal {number}"
        );
    }
    assert_eq!(
        count(view),
        rows(view) as u64,
        "{what}: applied twice or not at all"
    );
}
