//! Coming back: clean, behind, lost, foreign, and after a killed process.

use super::rig::*;
use crate::volume::{IndexEngine, OpenError};
use cairn_store::{Batch, MemoryStore, OrderedStore, StoreError};
use cairn_world::sim::{Fault, FaultOn, SimDisk};
use cairn_world::{Access, Disk, OpenMode};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SMALL: u64 = 9_000;
const LARGE: u64 = 700_000;

fn filled() -> (Rig, Vec<Name>) {
    let rig = Rig::new(1);
    let names: Vec<Name> = (0..60)
        .map(|counter| Name::new(counter, if counter % 9 == 0 { LARGE } else { SMALL }))
        .collect();
    names.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    (rig, names)
}

fn all_exact(rig: &Rig, names: &[Name]) {
    for name in names {
        assert_eq!(rig.get(*name), Found::Exact, "{name:?}");
    }
}

#[test]
fn after_a_clean_end_no_segment_is_read() {
    let (rig, names) = filled();
    rig.node.close().unwrap();
    let (sim, store) = (rig.sim.clone(), rig.store.clone());
    drop(rig);
    sim.inject(Fault::new(FaultOn::Read).named("segments").lasting());
    let before = sim.operations();
    let rig = Rig::open(sim, store).unwrap();
    assert!(rig.sim.operations() - before < 4);
    rig.sim.clear_faults();
    all_exact(&rig, &names);
}

#[test]
fn sealed_segments_are_trusted_and_the_rest_scanned() {
    let (rig, names) = filled();
    // Everything committed survives with its row; the index was never marked clean.
    let (sim, store) = (rig.sim.after_crash(1), rig.store.clone());
    let sealed: Vec<u64> = rig
        .volume()
        .ledger()
        .segments
        .iter()
        .filter(|(_, segment)| segment.phase == crate::volume::Phase::Sealed)
        .map(|(number, _)| *number)
        .collect();
    assert!(sealed.len() > 2);
    drop(rig);
    for number in sealed {
        sim.inject(
            Fault::new(FaultOn::Read)
                .named(format!("{number:016x}"))
                .lasting(),
        );
    }
    let rig = Rig::open(sim, store).unwrap();
    rig.sim.clear_faults();
    all_exact(&rig, &names);
}

#[test]
fn a_lost_index_is_rebuilt_equal() {
    let (rig, names) = filled();
    names
        .iter()
        .step_by(3)
        .for_each(|name| rig.delete(*name).unwrap());
    rig.care();
    let before = rig.node.inventory(rig.disk, None, usize::MAX).unwrap();
    let rig = rig.restart().lose_index();
    assert_eq!(
        rig.node.inventory(rig.disk, None, usize::MAX).unwrap(),
        before
    );
    for (number, name) in names.iter().enumerate() {
        let expected = if number % 3 == 0 {
            Found::Missing
        } else {
            Found::Exact
        };
        assert_eq!(rig.get(*name), expected);
    }
}

#[test]
fn any_suffix_of_the_index_may_be_lost() {
    let (rig, names) = filled();
    names
        .iter()
        .step_by(3)
        .for_each(|name| rig.delete(*name).unwrap());
    let before = rig.node.inventory(rig.disk, None, usize::MAX).unwrap();
    let (sim, store) = (rig.sim.after_crash(1), rig.store.clone());
    drop(rig);
    for kept in 0..=store.unpersisted() {
        let rig = Rig::open(sim.after_crash(2), store.crash_keeping(kept)).unwrap();
        let now = rig.node.inventory(rig.disk, None, usize::MAX).unwrap();
        assert_eq!(now, before, "{kept} batches kept");
    }
}

#[test]
fn an_index_that_names_a_segment_that_is_gone_is_rebuilt() {
    let (rig, names) = filled();
    let (lost, _at, _len) = rig.place(names[1]);
    rig.node.close().unwrap();
    let (sim, store) = (rig.sim.clone(), rig.store.clone());
    let gone: Vec<bool> = names
        .iter()
        .map(|name| rig.place(*name).0 == lost)
        .collect();
    drop(rig);
    Disk::remove(&sim, &lost).unwrap();
    let rig = Rig::open(sim, store).unwrap();
    for (name, gone) in names.iter().zip(gone) {
        let expected = if gone { Found::Missing } else { Found::Exact };
        assert_eq!(rig.get(*name), expected);
    }
}

#[test]
fn another_disks_index_and_garbage_are_rebuilt() {
    let (rig, names) = filled();
    let other = Rig::open(SimDisk::new(99), MemoryStore::new()).unwrap();
    other.put(Name::new(5_000, SMALL)).unwrap();
    other.node.close().unwrap();
    let foreign = other.store.clone();
    drop(other);
    // The same entropy gave both disks one name: take another one's state apart.
    let mut batch = Batch::default();
    batch.put(*b"m", vec![1_u8; 40]);
    batch.put(*b"rubbish", vec![1_u8; 3]);
    foreign.commit(&batch).unwrap();
    let sim = rig.sim.after_crash(1);
    drop(rig);
    let rig = Rig::open(sim, foreign).unwrap();
    all_exact(&rig, &names);
    assert_eq!(rig.get(Name::new(5_000, SMALL)), Found::Missing);

    let garbage = MemoryStore::new();
    let mut batch = Batch::default();
    batch.put(*b"r", vec![9_u8; 9]);
    batch.put(*b"s12345678", vec![9_u8; 9]);
    garbage.commit(&batch).unwrap();
    let sim = rig.sim.after_crash(1);
    drop(rig);
    all_exact(&Rig::open(sim, garbage).unwrap(), &names);
}

/// A killed process leaves unsynced bytes in the page cache. The next one must make them durable
/// before it relies on them: here, before it drops the segment a copy was made from.
#[test]
fn what_a_killed_process_left_is_made_durable_first() {
    for operation in 1..60 {
        let rig = Rig::new(1);
        let names: Vec<Name> = (0..120).map(|counter| Name::new(counter, SMALL)).collect();
        names.iter().for_each(|name| {
            rig.put(*name).unwrap();
        });
        let (kept, gone) = names.split_at(20);
        gone.iter().for_each(|name| rig.delete(*name).unwrap());
        let rig = rig.restart();
        rig.sim.crash_at(rig.sim.operations() + operation);
        for _ in 0..40 {
            let _power = rig.node.care_step(rig.disk);
        }
        let (sim, store) = (rig.sim.after_kill(), rig.store.clone());
        drop(rig);
        let rig = Rig::open(sim, store).unwrap();
        rig.care();
        let rig = rig.crash(operation, 0);
        all_exact(&rig, kept);
        assert!(gone.iter().all(|name| rig.get(*name) == Found::Missing));
    }
}

/// A record whose sync failed can be read, and no later sync makes it durable. Whichever of two
/// records counts after the process was started again, it must be so for good.
#[test]
fn of_two_records_the_one_that_counts_is_written_again() {
    for (chunk_len, fails_first) in [(SMALL, true), (SMALL, false), (LARGE, true), (LARGE, false)] {
        for seed in 0..12 {
            let name = Name::new(1, chunk_len);
            let mut rig = Rig::new(1);
            for fails in [fails_first, !fails_first] {
                // The segment is there already: the fault meets the record's own sync.
                drop(rig.begin(name).unwrap());
                if !fails {
                    rig.put(name).unwrap();
                    continue;
                }
                rig.sim.inject(Fault::new(FaultOn::Sync));
                assert!(rig.put(name).is_err());
                rig.sim.clear_faults();
                rig = rig.kill(0);
            }
            let rig = rig.kill(0);
            assert_eq!(rig.get(name), Found::Exact);
            rig.care();
            let rig = rig.crash(seed, 0);
            assert_eq!(
                rig.get(name),
                Found::Exact,
                "{chunk_len} {fails_first} {seed}"
            );
        }
    }
}

/// The same for a tombstone: a delete acknowledged by the next process must not rely on it.
#[test]
fn a_tombstone_whose_sync_failed_is_written_again() {
    for seed in 0..24 {
        let rig = Rig::new(1);
        let name = Name::new(1, SMALL);
        rig.put(name).unwrap();
        rig.sim.inject(Fault::new(FaultOn::Sync));
        assert!(rig.delete(name).is_err());
        let (sim, store) = (rig.sim.after_kill(), rig.store.clone());
        drop(rig);
        sim.clear_faults();
        let rig = Rig::open(sim, store).unwrap();
        rig.delete(name).unwrap();
        let rig = rig.crash(seed, 0).lose_index();
        assert_eq!(rig.get(name), Found::Missing, "seed {seed}");
    }
}

/// Killed between write and sync, nothing failed: the next process syncs before it relies on it.
#[test]
fn a_tombstone_left_by_a_killed_process_is_made_durable_first() {
    for seed in 0..24 {
        let rig = Rig::new(1);
        let name = Name::new(1, SMALL);
        rig.put(name).unwrap();
        rig.sim.crash_at(rig.sim.operations() + 2);
        assert!(rig.delete(name).is_err());
        let (sim, store) = (rig.sim.after_kill(), rig.store.clone());
        drop(rig);
        let rig = Rig::open(sim, store).unwrap();
        rig.delete(name).unwrap();
        let rig = rig.crash(seed, 0).lose_index();
        assert_eq!(rig.get(name), Found::Missing, "seed {seed}");
    }
}

#[test]
fn a_directory_in_use_and_a_foreign_one_are_refused() {
    let rig = Rig::new(1);
    let again = Rig::open(rig.sim.clone(), MemoryStore::new());
    assert!(matches!(again.err(), Some(OpenError::InUse)));
    let sim = rig.sim.clone();
    drop(rig);
    let entropy: Arc<dyn cairn_world::Entropy> = Arc::new(cairn_world::sim::SimEntropy::new(1));
    let open = |sim: &SimDisk, cluster, node| {
        let source = crate::DiskSource {
            disk: Arc::new(sim.clone()),
            index: Box::new(MemoryStore::new()),
        };
        let settings = crate::Settings::inline(SEGMENT);
        crate::StorageNode::open(cluster, node, vec![source], &settings, &entropy).err()
    };
    let foreign = open(&sim, [1; 16], NODE);
    assert!(matches!(foreign, Some(OpenError::Foreign(_))));
    let foreign = open(&sim, CLUSTER, cairn_model::NodeId(6));
    assert!(matches!(foreign, Some(OpenError::Foreign(_))));
    assert!(open(&sim, CLUSTER, NODE).is_none());
}

#[test]
fn strange_files_among_the_segments_are_left_alone() {
    let (rig, names) = filled();
    Disk::open(
        &rig.sim,
        "segments/notes.txt",
        OpenMode::CreateNew,
        Access::Buffered,
    )
    .unwrap();
    let rig = rig.lose_index();
    all_exact(&rig, &names);
    assert!(
        Disk::list(&rig.sim, "segments")
            .unwrap()
            .contains(&"notes.txt".to_owned())
    );
}

#[test]
fn room_reserved_and_not_used_comes_back_at_the_next_start() {
    let (rig, names) = filled();
    let rig = rig.crash(1, 0);
    let space = Disk::space(&rig.sim).unwrap();
    let bytes: u64 = names.iter().map(|name| rig.place(*name).2).sum();
    assert!(
        space.total - space.free < bytes * 5 / 4,
        "{} for {bytes}",
        space.total - space.free
    );
}

/// An engine that cannot be opened, or be read, until it has been discarded.
#[derive(Clone)]
struct Broken {
    after: MemoryStore,
    opens: bool,
    discarded: Arc<AtomicBool>,
    can_discard: bool,
}

struct Unreadable;

impl cairn_store::View for Unreadable {
    fn get(&self, _key: &[u8]) -> Result<Option<bytes::Bytes>, StoreError> {
        Err(StoreError("checksum".into()))
    }

    fn scan(&self, _: Bound<&[u8]>, _: Bound<&[u8]>) -> cairn_store::Scan<'_> {
        Box::new(std::iter::once(Err(StoreError("checksum".into()))))
    }

    fn scan_back(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> cairn_store::Scan<'_> {
        self.scan(from, to)
    }
}

impl OrderedStore for Unreadable {
    fn view(&self) -> Box<dyn cairn_store::View> {
        Box::new(Self)
    }

    fn commit(&self, _batch: &Batch) -> Result<(), StoreError> {
        Err(StoreError("checksum".into()))
    }

    fn persist(&self) -> Result<(), StoreError> {
        Err(StoreError("checksum".into()))
    }
}

impl IndexEngine for Broken {
    fn open(&self) -> Result<Arc<dyn OrderedStore>, StoreError> {
        if self.discarded.load(Ordering::SeqCst) {
            return Ok(Arc::new(self.after.clone()));
        }
        if self.opens {
            return Ok(Arc::new(Unreadable));
        }
        Err(StoreError("version file is damaged".into()))
    }

    fn discard(&self) -> Result<(), StoreError> {
        if !self.can_discard {
            return Err(StoreError("read-only file system".into()));
        }
        self.discarded.store(true, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn an_index_that_cannot_be_opened_or_emptied_is_discarded_under_the_lock() {
    for (opens, can_discard) in [(false, true), (true, true), (false, false)] {
        let (rig, names) = filled();
        let sim = rig.sim.clone();
        let broken = Broken {
            after: MemoryStore::new(),
            opens,
            discarded: Arc::default(),
            can_discard,
        };
        // In use: another process may be working with that index.
        let busy = Rig::open_with(sim.clone(), MemoryStore::new(), Box::new(broken.clone()));
        assert!(matches!(busy.err(), Some(OpenError::InUse)));
        assert!(!broken.discarded.load(Ordering::SeqCst));
        drop(rig);
        let opened = Rig::open_with(sim, broken.after.clone(), Box::new(broken));
        match opened {
            Ok(rig) => all_exact(&rig, &names),
            Err(error) => assert!(!can_discard && matches!(error, OpenError::Index(_))),
        }
    }
}
