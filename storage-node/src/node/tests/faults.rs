//! A disk that gives EIO at each of its call sites.

use super::rig::*;
use crate::node::{DiskReport, DiskState};
use cairn_rpc::{ShardError, ShardService};
use cairn_store::MemoryStore;
use cairn_world::sim::{Fault, FaultOn, SimDisk};

const SMALL: u64 = 9_000;
const LARGE: u64 = 900_000;

fn state(rig: &Rig) -> DiskState {
    rig.node.disks()[0].state.clone()
}

/// Writes fail for good, reads of what is there go on.
fn is_poisoned(rig: &Rig, kept: Name) {
    rig.sim.clear_faults();
    assert!(matches!(state(rig), DiskState::Failed(_)));
    assert!(matches!(
        rig.put(Name::new(77, SMALL)),
        Err(ShardError::Failed(_))
    ));
    assert!(matches!(rig.delete(kept), Err(ShardError::Failed(_))));
    assert!(matches!(
        now(rig.node.space(rig.disk)),
        Err(ShardError::Failed(_))
    ));
    assert_eq!(rig.get(kept), Found::Exact);
}

/// Every failing write or sync, wherever it hits, poisons the disk and loses nothing.
#[test]
fn a_failed_write_or_sync_poisons_and_is_never_retried() {
    for on in [FaultOn::Write, FaultOn::Sync, FaultOn::SyncDir] {
        let mut hits = 0;
        for nth in 1..40 {
            let rig = Rig::new(1);
            let (kept, torn, gone) = (
                Name::new(1, SMALL),
                Name::new(2, LARGE),
                Name::new(3, SMALL),
            );
            rig.put(kept).unwrap();
            rig.put(gone).unwrap();
            rig.sim.inject(Fault::new(on).named("segments").nth(nth));
            let put = rig.put(torn);
            let deleted = rig.delete(gone);
            let _maybe = rig.node.care_step(rig.disk);
            if state(&rig) == DiskState::Ready {
                break;
            }
            hits += 1;
            assert!(put.is_ok() || matches!(put, Err(ShardError::Failed(_))));
            is_poisoned(&rig, kept);
            assert!(rig.node.close().is_err());
            // Opened again on a disk that lost what it did not sync, it is well.
            let rig = Rig::open(rig.sim.after_crash(nth), rig.store.crash_keeping(0)).unwrap();
            assert_eq!(state(&rig), DiskState::Ready);
            assert_eq!(rig.get(kept), Found::Exact);
            if put.is_ok() {
                assert_eq!(rig.get(torn), Found::Exact);
            }
            if deleted.is_ok() {
                assert_eq!(rig.get(gone), Found::Missing);
            }
            rig.put(Name::new(9, SMALL)).unwrap();
        }
        assert!(hits > 0, "{on:?} never hit");
    }
}

#[test]
fn an_unreadable_cell_is_corrupt_and_the_disk_stays_up() {
    let rig = Rig::new(1);
    let (bad, good) = (Name::new(1, LARGE), Name::new(2, LARGE));
    rig.put(bad).unwrap();
    rig.put(good).unwrap();
    let (file, at, len) = rig.place(bad);
    let spot = at + len / 2;
    rig.sim.inject(
        Fault::new(FaultOn::Read)
            .named(file)
            .within(spot..spot + 1)
            .lasting(),
    );
    assert_eq!(rig.get(bad), Found::Corrupt);
    let damage = rig.node.take_damage(rig.disk).unwrap();
    assert!(damage[0].reason.contains("os error 5"), "{damage:?}");
    assert_eq!(rig.get(good), Found::Exact);
    assert_eq!(state(&rig), DiskState::Ready);
    // Repair writes it again, to another place.
    rig.put(bad).unwrap();
    assert_eq!(rig.get(bad), Found::Exact);
}

#[test]
fn a_spot_unreadable_during_recovery_hides_nothing_else() {
    let rig = Rig::new(1);
    let names: Vec<Name> = (0..6).map(|counter| Name::new(counter, SMALL)).collect();
    names.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    let (file, at, _len) = rig.place(names[5]);
    rig.sim.inject(
        Fault::new(FaultOn::Read)
            .named(file)
            .within(at..at + 1)
            .lasting(),
    );
    let rig = rig.lose_index();
    for (number, name) in names.iter().enumerate() {
        let expected = if number == 5 {
            Found::Missing
        } else {
            Found::Exact
        };
        assert_eq!(rig.get(*name), expected);
    }
    // The spot comes back: nothing was cut off, so a rebuild finds it again.
    rig.sim.clear_faults();
    let rig = rig.lose_index();
    assert!(names.iter().all(|name| rig.get(*name) == Found::Exact));
}

/// A tombstone of a record that cannot be read now is kept as long as it may be needed, though its
/// own segment is emptied meanwhile.
#[test]
fn a_dead_record_hidden_by_a_bad_spot_does_not_come_back() {
    let rig = Rig::new(1);
    let dead = Name::new(1, LARGE);
    rig.put(dead).unwrap();
    let (file, at, _len) = rig.place(dead);
    let others: Vec<Name> = (10..30).map(|counter| Name::new(counter, SMALL)).collect();
    others.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    rig.delete(dead).unwrap();
    others.iter().for_each(|name| rig.delete(*name).unwrap());
    let spot = Fault::new(FaultOn::Read)
        .named(file)
        .within(at..at + 1)
        .lasting();
    rig.sim.inject(spot);
    let rig = rig.lose_index();
    let before = rig.segments();
    rig.care();
    assert_ne!(
        rig.segments(),
        before,
        "the tombstone's segment was emptied"
    );
    let rig = rig.restart();
    rig.care();
    rig.sim.clear_faults();
    let rig = rig.lose_index();
    assert_eq!(rig.get(dead), Found::Missing);
}

#[test]
fn a_lost_segment_header_is_left_alone() {
    let rig = Rig::new(1);
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    let (file, _at, _len) = rig.place(name);
    rig.sim.flip(&file, 40, 1).unwrap();
    let rig = rig.lose_index();
    assert_eq!(rig.get(name), Found::Missing);
    rig.put(Name::new(2, SMALL)).unwrap();
    rig.care();
    // Nobody removed or wrote over it.
    rig.sim.flip(&file, 40, 1).unwrap();
    let rig = rig.lose_index();
    assert_eq!(rig.get(name), Found::Exact);
}

#[test]
fn what_was_found_by_scanning_is_in_doubt_and_what_the_index_vouches_for_is_not() {
    let doubt = |rig: &Rig| rig.node.report().first().unwrap().doubt;
    let rig = Rig::new(1);
    assert_eq!(doubt(&rig), 0, "new");
    rig.put(Name::new(1, SMALL)).unwrap();
    let rig = rig.restart();
    assert_eq!(doubt(&rig), 0, "closed in order");
    rig.put(Name::new(2, SMALL)).unwrap();
    let rig = rig.crash(1, 0);
    let first = doubt(&rig);
    assert_ne!(first, 0);
    rig.put(Name::new(3, SMALL)).unwrap();
    let rig = rig.crash(2, 0);
    assert!(![0, first].contains(&doubt(&rig)), "another crash");
    let rig = rig.restart();
    assert_eq!(doubt(&rig), 0);
    let (file, _at, _len) = rig.place(Name::new(3, SMALL));
    rig.sim.flip(&file, 40, 1).unwrap();
    let rig = rig.lose_index();
    assert_ne!(doubt(&rig), 0, "a segment is lost");
}

#[test]
fn one_failed_disk_leaves_the_others_at_work() {
    use super::super::{DiskSource, StorageNode};
    use crate::settings::Settings;
    use cairn_world::sim::SimEntropy;
    use std::sync::Arc;
    let sims = [SimDisk::new(1), SimDisk::new(2), SimDisk::new(3)];
    let sources = || {
        sims.iter()
            .map(|sim| DiskSource {
                disk: Arc::new(sim.clone()),
                index: Box::new(MemoryStore::new()),
            })
            .collect()
    };
    let entropy: Arc<dyn cairn_world::Entropy> = Arc::new(SimEntropy::new(1));
    let settings = Settings::inline(SEGMENT);
    let node = StorageNode::open(CLUSTER, NODE, sources(), &settings, &entropy).unwrap();
    let ids: Vec<_> = node
        .disks()
        .iter()
        .map(|status| status.disk.unwrap())
        .collect();
    let put = |node: &StorageNode, disk, name: Name| {
        let mut upload = now(node.prepare(name.header(disk)))?;
        now(upload.write(&name.cells()))?;
        now(upload.finish(name.trailer()))
    };
    sims[1].inject(Fault::new(FaultOn::Sync).lasting());
    let outcomes: Vec<_> = ids
        .iter()
        .map(|id| put(&node, *id, Name::new(1, SMALL)).is_ok())
        .collect();
    assert_eq!(outcomes, [true, false, true]);
    assert!(put(&node, ids[0], Name::new(2, SMALL)).is_ok());
    for (position, id) in ids.iter().enumerate() {
        let reports = node.report();
        let report = reports.iter().find(|report| report.disk == *id).unwrap();
        let failed = matches!(report.state, DiskState::Failed(_));
        // A failed disk has no room to offer.
        assert_eq!((report.free == 0, failed), (position == 1, position == 1));
        assert!(report.total > 0);
    }
    drop(node);
    // A disk that does not even open is left out and listed.
    sims[1].clear_faults();
    sims[1].power_off();
    let node = StorageNode::open(CLUSTER, NODE, sources(), &settings, &entropy).unwrap();
    let states: Vec<_> = node
        .disks()
        .into_iter()
        .map(|status| status.state)
        .collect();
    let open: Vec<DiskReport> = node.report();
    assert_eq!(open.len(), 2, "what has no name is not reported");
    assert!(matches!(
        states[..],
        [DiskState::Ready, DiskState::NotOpened(_), DiskState::Ready]
    ));
    let found = now(node.read(Name::new(1, SMALL).read(ids[2]))).unwrap();
    assert_eq!(found.cells, Name::new(1, SMALL).cells());
}
