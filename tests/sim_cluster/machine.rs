//! A machine: what survives its processes, and what a crash does to it.
//!
//! ```text
//!   power cut    unsynced sectors: any subset survives;  stores: back to a persist point, or a few batches on
//!   kill -9      everything written is there, nothing is more durable than before
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cairn_metadata::raft::StoreFactory;
use cairn_store::memory::MemoryStore;
use cairn_store::{OrderedStore, StoreError};
use cairn_wire::metadata::MembersAnswer;
use cairn_world::sim::{SeededRng, SimDisk};

use crate::clock::MachineTime;

/// Store generations in memory.
#[derive(Clone, Default)]
pub(crate) struct Generations(Arc<Mutex<BTreeMap<String, MemoryStore>>>);

impl StoreFactory for Generations {
    fn open(&self, name: &str) -> Result<Arc<dyn OrderedStore>, StoreError> {
        let mut stores = self.0.lock().unwrap();
        Ok(Arc::new(stores.entry(name.to_owned()).or_default().clone()))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

impl Generations {
    /// What is kept of each store: so many batches after its persist point, one of them lost.
    fn after(&self, batches: u64, lost: Option<u64>) -> Self {
        let stores = self.0.lock().unwrap();
        let kept = stores
            .iter()
            .map(|(name, store)| (name.clone(), store.crash_without(batches, lost)))
            .collect();
        Self(Arc::new(Mutex::new(kept)))
    }
}

/// How a process ends when nobody asked it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The machine loses its power.
    PowerCut,
    /// kill -9.
    Kill,
}

/// The disk and engines of a voter.
#[derive(Clone)]
pub(crate) struct VoterDisk {
    pub(crate) disk: SimDisk,
    pub(crate) stores: Generations,
}

impl VoterDisk {
    /// A copy of the directory of a voter that has stopped.
    pub(crate) fn copy(&self) -> Self {
        Self {
            disk: self.disk.after_kill(),
            stores: self.stores.after(u64::MAX, None),
        }
    }
}

/// One machine with one data disk.
pub(crate) struct Machine {
    pub(crate) id: u64,
    /// Segments.
    pub(crate) shards: SimDisk,
    /// The cache of the segments' index.
    pub(crate) index: MemoryStore,
    /// Where it votes.
    pub(crate) voter: Option<VoterDisk>,
    pub(crate) time: MachineTime,
    /// The members as its processes last wrote them down.
    pub(crate) members: Arc<Mutex<MembersAnswer>>,
    /// A replica under this id has had a log: it must never again be found without one.
    pub(crate) has_joined: bool,
    pub(crate) boots: u64,
    losing: Option<u64>,
    random: SeededRng,
}

impl Machine {
    pub(crate) fn new(id: u64, is_voter: bool, time: MachineTime, seed: u64) -> Self {
        let mut random = SeededRng::new(seed);
        let voter = is_voter.then(|| VoterDisk {
            disk: SimDisk::new(random.next_u64()),
            stores: Generations::default(),
        });
        Self {
            id,
            shards: SimDisk::new(random.next_u64()),
            index: MemoryStore::new(),
            voter,
            time,
            members: Arc::default(),
            has_joined: false,
            boots: 0,
            losing: None,
            random,
        }
    }

    /// A number nobody had before on this machine, for what a boot draws.
    pub(crate) fn next_boot(&mut self) -> u64 {
        self.boots += 1;
        self.random.next_u64()
    }

    /// What the next boot finds. What is open now is dead: every further call to it fails.
    pub(crate) fn end(&mut self, how: End) {
        let seed = self.random.next_u64();
        let kept = |random: &mut SeededRng| match how {
            End::Kill => u64::MAX,
            // Mostly nothing beyond the last persist point, else a few batches.
            End::PowerCut => random.below(4) * random.below(30),
        };
        let index_kept = kept(&mut self.random);
        let after = |disk: &SimDisk| {
            let next = match how {
                End::PowerCut => disk.after_crash(seed),
                End::Kill => disk.after_kill(),
            };
            disk.power_off();
            next
        };
        self.shards = after(&self.shards);
        self.index = self.index.crash_keeping(index_kept);
        if let Some(voter) = &mut self.voter {
            let batches = kept(&mut self.random);
            voter.disk = after(&voter.disk);
            voter.stores = voter.stores.after(batches, self.losing.take());
        }
    }

    /// At its next end the store of the voter loses the `batch`-th batch since its last sync, in silence.
    pub(crate) fn lose_batch(&mut self, batch: u64) {
        self.losing = Some(batch);
    }

    /// The voter's disk is as new: everything it knew is gone.
    pub(crate) fn empty_voter(&mut self) {
        if let Some(voter) = &mut self.voter {
            voter.disk.power_off();
            *voter = VoterDisk {
                disk: SimDisk::new(self.random.next_u64()),
                stores: Generations::default(),
            };
        }
    }
}
