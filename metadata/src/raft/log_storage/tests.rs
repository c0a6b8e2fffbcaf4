//! openraft's own storage suite over the journal and the applier.

use super::LogStorage;
use crate::journal::{Driver, Journal, JournalSettings};
use crate::raft::applier::Applier;
use crate::raft::generations::Generations;
use crate::raft::rows::Proof;
use crate::raft::stores::Stores;
use crate::raft::{Applied, ApplyError, Committed, StateMachine, StoreFactory, TypeConfig};
use crate::snapshot::Shelf;
use cairn_store::{MemoryStore, OrderedStore, StoreError, View};
use cairn_world::Disk;
use cairn_world::sim::{SimDisk, SimEntropy};
use openraft::testing::log::{StoreBuilder, Suite};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, MemoryStore>>);

impl StoreFactory for Memory {
    fn open(&self, name: &str) -> Result<Arc<dyn OrderedStore>, StoreError> {
        Ok(Arc::new(
            self.0
                .lock()
                .unwrap()
                .entry(name.to_owned())
                .or_default()
                .clone(),
        ))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

struct Nothing;

impl StateMachine for Nothing {
    fn apply(
        &mut self,
        _view: &dyn View,
        entries: &[Committed],
    ) -> Result<Vec<Applied>, ApplyError> {
        Ok(entries.iter().map(|_| Applied::default()).collect())
    }

    fn reset(&mut self, _view: &dyn View) -> Result<(), ApplyError> {
        Ok(())
    }
}

struct Build(Driver);

impl StoreBuilder<TypeConfig, LogStorage, Applier> for Build {
    async fn build(&self) -> Result<((), LogStorage, Applier), openraft::StorageError<TypeConfig>> {
        let disk: Arc<dyn Disk> = Arc::new(SimDisk::new(1));
        let settings = JournalSettings {
            segment_len: 64 << 10,
            segments: 2,
            entry_len_max: 20_000,
            driver: self.0,
            ..JournalSettings::new([1; 16], 0)
        };
        let journal = Journal::open(disk.clone(), settings, &SimEntropy::new(1)).unwrap();
        let shelf = Shelf::open(disk.clone(), "snapshots", [1; 16]).unwrap();
        let factory: Arc<dyn StoreFactory> = Arc::new(Memory::default());
        let generations = Generations::open(disk.as_ref(), "generation", factory).unwrap();
        let store = generations.current().unwrap();
        let stores = Stores::new(
            store,
            Proof::default(),
            generations,
            shelf,
            self.0 == Driver::Inline,
        );
        // The suite applies entries that were never in the log: nothing to wait for there.
        let applier = Applier::new(Arc::new(stores.unwrap()), Box::new(Nothing), None);
        Ok(((), LogStorage::new(journal), applier))
    }
}

#[tokio::test]
async fn openraft_s_suite_passes_inline() {
    Suite::test_all(Build(Driver::Inline)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openraft_s_suite_passes_with_a_thread() {
    Suite::test_all(Build(Driver::Thread)).await.unwrap();
}

/// On a follower an entry may be committed by others before it is durable here; the store must not
/// get ahead of the journal.
#[tokio::test]
async fn an_entry_is_applied_only_once_it_is_durable_here() {
    use crate::raft::types::{RaftEntry, log_id};
    use openraft::EntryPayload;
    use openraft::storage::{IOFlushed, RaftLogStorage, RaftStateMachine};

    let ((), mut log, _) = Build(Driver::Inline).build().await.unwrap();
    let ((), _, applier) = Build(Driver::Inline).build().await.unwrap();
    let mut applier = applier.waiting_for(log.journal.clone());
    let position = crate::journal::LogPosition {
        term: 1,
        leader: 0,
        index: 0,
    };
    let entry = RaftEntry {
        log_id: log_id(position),
        payload: EntryPayload::Blank,
    };
    let stream = futures_util::stream::iter([Ok((entry.clone(), None))]);
    let mut applying = Box::pin(applier.apply(stream));
    let early = futures_util::future::poll_immediate(&mut applying).await;
    assert!(early.is_none(), "applied before it was in the journal");
    log.append([entry], IOFlushed::noop()).await.unwrap();
    applying.await.unwrap();
    assert_eq!(
        applier.applied_state().await.unwrap().0,
        Some(log_id(position))
    );
}
