//! Space comes back, and nothing else changes.

use super::rig::*;
use crate::background::Progress;
use cairn_store::MemoryStore;
use cairn_world::sim::{Fault, FaultOn, SimDisk};
use cairn_world::{Capabilities, Disk};

const SMALL: u64 = 9_000;
const LARGE: u64 = 700_000;

fn used(rig: &Rig) -> u64 {
    let space = Disk::space(&rig.sim).unwrap();
    space.total - space.free
}

/// Several sealed segments of small records of which every `keep`-th stays.
fn thinned(rig: Rig, keep: usize) -> (Rig, Vec<Name>, Vec<Name>) {
    let names: Vec<Name> = (0..200).map(|counter| Name::new(counter, SMALL)).collect();
    names.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    let (kept, gone): (Vec<_>, Vec<_>) = names
        .iter()
        .enumerate()
        .partition(|(number, _)| number % keep == 0);
    let strip = |list: Vec<(usize, &Name)>| list.into_iter().map(|(_, name)| *name).collect();
    let (kept, gone): (Vec<Name>, Vec<Name>) = (strip(kept), strip(gone));
    gone.iter().for_each(|name| rig.delete(*name).unwrap());
    (rig.restart(), kept, gone)
}

fn all_are(rig: &Rig, names: &[Name], found: &Found) {
    for name in names {
        assert_eq!(&rig.get(*name), found, "{name:?}");
    }
}

#[test]
fn wasted_segments_are_emptied_and_dropped() {
    let (rig, kept, gone) = thinned(Rig::new(1), 10);
    let (before, segments) = (used(&rig), rig.segments().len());
    rig.care();
    assert!(used(&rig) * 3 < before, "{} of {before}", used(&rig));
    assert!(rig.segments().len() < segments);
    all_are(&rig, &kept, &Found::Exact);
    all_are(&rig, &gone, &Found::Missing);
    let rig = rig.crash(4, 0);
    all_are(&rig, &kept, &Found::Exact);
    all_are(&rig, &gone, &Found::Missing);
    let rig = rig.lose_index();
    all_are(&rig, &kept, &Found::Exact);
    all_are(&rig, &gone, &Found::Missing);
    assert_eq!(
        rig.node.verify_all(rig.disk).unwrap().records,
        kept.len() as u64
    );
}

#[test]
fn a_large_record_gives_its_blocks_back_by_a_hole() {
    let rig = Rig::new(1);
    let (gone, stays) = (Name::new(1, 500_000), Name::new(2, 100_000));
    rig.put(gone).unwrap();
    rig.put(stays).unwrap();
    rig.delete(gone).unwrap();
    let before = used(&rig);
    assert!(matches!(
        rig.node.care_step(rig.disk).unwrap(),
        Progress::Worked(_)
    ));
    assert!(before - used(&rig) >= 240_000);
    assert_eq!(
        (rig.get(gone), rig.get(stays)),
        (Found::Missing, Found::Exact)
    );
}

/// Deletes without end leave no trail: tombstones go when what they shadow is gone.
#[test]
fn tombstones_do_not_pile_up() {
    let rig = Rig::new(1);
    let mut counter = 0;
    let mut sizes = Vec::new();
    for _ in 0..6 {
        let names: Vec<Name> = (counter..counter + 150)
            .map(|c| Name::new(c, SMALL))
            .collect();
        counter += 150;
        names.iter().for_each(|name| {
            rig.put(*name).unwrap();
        });
        names.iter().for_each(|name| rig.delete(*name).unwrap());
        rig.care();
        sizes.push(used(&rig));
    }
    assert!(sizes[5] <= sizes[1] + SEGMENT, "{sizes:?}");
    let rig = rig.restart();
    rig.care();
    let left: u64 = rig
        .volume()
        .ledger()
        .segments
        .values()
        .map(|s| s.tombstones)
        .sum();
    assert_eq!(left, 0);
    let mut rows = 0;
    rig.volume().index.each_tombstone(|_row| rows += 1).unwrap();
    assert_eq!(rows, 0);
    assert_eq!(rig.segments(), Vec::<u64>::new());
}

/// The tombstone's segment is emptied while the dead record still lies in another one.
#[test]
fn a_needed_tombstone_is_carried() {
    let can = Capabilities {
        direct: true,
        allocate: true,
        punch: false,
        alignment: 4_096,
    };
    let sim = SimDisk::with_capabilities(1, can);
    sim.set_capacity(64 << 20);
    let rig = Rig::open(sim, MemoryStore::new()).unwrap();
    // A large segment stays more than half live, so its dead record stays too.
    let (dead, alive) = (Name::new(1, 300_000), Name::new(2, LARGE * 4 / 5));
    rig.put(dead).unwrap();
    rig.put(alive).unwrap();
    let carrier: Vec<Name> = (10..40).map(|counter| Name::new(counter, SMALL)).collect();
    carrier.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    rig.delete(dead).unwrap();
    carrier.iter().for_each(|name| rig.delete(*name).unwrap());
    let rig = rig.restart();
    let before = rig.segments();
    rig.care();
    // The small segment went, its tombstone of `dead` lives on elsewhere.
    assert_ne!(rig.segments(), before);
    let tombstones: u64 = rig
        .volume()
        .ledger()
        .segments
        .values()
        .map(|s| s.tombstones)
        .sum();
    assert_eq!(tombstones, 1);
    let rig = rig.restart().lose_index();
    assert_eq!(
        (rig.get(dead), rig.get(alive)),
        (Found::Missing, Found::Exact)
    );
}

#[test]
fn a_delete_during_compaction_hits_the_copy_too() {
    let (rig, kept, _gone) = thinned(Rig::new(1), 10);
    let victim = rig.volume().ledger().most_wasted(50).unwrap();
    assert!(matches!(
        rig.node.care_step(rig.disk).unwrap(),
        Progress::Worked(_)
    ));
    assert!(!rig.segments().contains(&victim));
    kept.iter().for_each(|name| rig.delete(*name).unwrap());
    rig.care();
    all_are(&rig, &kept, &Found::Missing);
    let rig = rig.lose_index();
    all_are(&rig, &kept, &Found::Missing);
}

#[test]
fn damage_is_carried_as_damage() {
    let (rig, kept, _gone) = thinned(Rig::new(1), 10);
    let (file, at, _len) = rig.place(kept[3]);
    rig.sim.flip(&file, at + 100, 1).unwrap();
    rig.care();
    let (moved, _at, _len) = rig.place(kept[3]);
    assert_ne!(moved, file);
    for (number, name) in kept.iter().enumerate() {
        let expected = if number == 3 {
            Found::Corrupt
        } else {
            Found::Exact
        };
        assert_eq!(rig.get(*name), expected);
    }
}

#[test]
fn a_record_that_cannot_be_found_keeps_its_segment() {
    let (rig, kept, _gone) = thinned(Rig::new(1), 10);
    let (file, at, _len) = rig.place(kept[3]);
    rig.sim.flip(&file, at + 10, 1).unwrap();
    rig.care();
    assert_eq!(rig.place(kept[3]).0, file);
    rig.sim.flip(&file, at + 10, 1).unwrap();
    all_are(&rig, &kept, &Found::Exact);
}

#[test]
fn a_segment_that_cannot_be_read_whole_is_kept() {
    let (rig, kept, _gone) = thinned(Rig::new(1), 10);
    let (file, at, _len) = rig.place(kept[3]);
    let fault = Fault::new(FaultOn::Read)
        .named(file.clone())
        .within(at..at + 1)
        .lasting();
    rig.sim.inject(fault);
    rig.care();
    rig.sim.clear_faults();
    assert_eq!(rig.place(kept[3]).0, file);
    all_are(&rig, &kept, &Found::Exact);
    // After a restart it is tried again.
    let rig = rig.restart();
    rig.care();
    assert_ne!(rig.place(kept[3]).0, file);
}

/// A copy that does not read back is not relied on.
#[test]
fn an_unproven_copy_changes_nothing() {
    let (rig, kept, gone) = thinned(Rig::new(1), 10);
    let places: Vec<_> = kept.iter().map(|name| rig.place(*name)).collect();
    let next = rig.volume().ledger().next_segment;
    let copy = format!("segments/{next:016x}.seg");
    rig.sim
        .inject(Fault::new(FaultOn::Read).named(copy).lasting());
    rig.care();
    assert!(
        kept.iter()
            .zip(&places)
            .all(|(name, place)| rig.place(*name) == *place)
    );
    rig.sim.clear_faults();
    let rig = rig.lose_index();
    all_are(&rig, &kept, &Found::Exact);
    all_are(&rig, &gone, &Found::Missing);
}

#[test]
fn nothing_is_compacted_that_is_not_worth_it() {
    let (rig, _kept, _gone) = thinned(Rig::new(1), 10);
    rig.care();
    let before = rig.sim.operations();
    rig.care();
    assert_eq!(rig.sim.operations(), before);
}

#[test]
fn short_segments_left_by_restarts_are_merged() {
    let mut rig = Rig::new(1);
    let names: Vec<Name> = (0..40).map(|counter| Name::new(counter, SMALL)).collect();
    for name in &names {
        rig.put(*name).unwrap();
        rig = rig.restart();
    }
    assert_eq!(rig.segments().len(), 40);
    rig.care();
    assert!(rig.segments().len() < 20);
    all_are(&rig, &names, &Found::Exact);
    let rig = rig.lose_index();
    all_are(&rig, &names, &Found::Exact);
}
