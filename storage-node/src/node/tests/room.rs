//! Full disks: client writes stop early, deletes go on, and room that comes back is used at once.

use super::rig::*;
use cairn_model::DiskId;
use cairn_rpc::{ShardError, ShardService};
use cairn_store::MemoryStore;
use cairn_world::sim::SimDisk;
use cairn_world::{Capabilities, Disk};

const LARGE: u64 = 700_000;
const SMALL: u64 = 9_000;

fn fill(rig: &Rig) -> Vec<Name> {
    let mut stored = Vec::new();
    for counter in 0..10_000 {
        let name = Name::new(counter, if counter % 3 == 0 { SMALL } else { LARGE });
        match rig.put(name) {
            Ok(_) => stored.push(name),
            Err(ShardError::Full) => return stored,
            Err(other) => panic!("{other}"),
        }
    }
    panic!("never full");
}

fn free(rig: &Rig, disk: DiskId) -> u64 {
    now(rig.node.space(disk)).unwrap().0
}

#[test]
fn client_writes_stop_at_the_headroom_and_come_back_without_a_restart() {
    let rig = Rig::new(1);
    rig.sim.set_capacity(8 << 20);
    let stored = fill(&rig);
    assert!(stored.len() > 10);
    let left = Disk::space(&rig.sim).unwrap().free;
    assert!((2 * SEGMENT..4 * SEGMENT).contains(&left), "{left}");
    assert!(stored.iter().all(|name| rig.get(*name) == Found::Exact));
    assert!(matches!(
        rig.put(Name::new(50_000, LARGE)),
        Err(ShardError::Full)
    ));

    for name in stored.iter().step_by(2) {
        rig.delete(*name).unwrap();
    }
    rig.care();
    assert!(free(&rig, rig.disk) >= SEGMENT);
    rig.put(Name::new(50_000, LARGE)).unwrap();
    for (number, name) in stored.iter().enumerate() {
        let expected = if number % 2 == 0 {
            Found::Missing
        } else {
            Found::Exact
        };
        assert_eq!(rig.get(*name), expected);
    }
}

#[test]
fn the_report_says_what_space_says() {
    let rig = Rig::new(1);
    for counter in 0..40 {
        rig.put(Name::new(counter, LARGE)).unwrap();
        let report = rig.node.report();
        let (free, total) = now(rig.node.space(rig.disk)).unwrap();
        assert_eq!((report.len(), report[0].disk), (1, rig.disk));
        assert_eq!((report[0].free, report[0].total), (free, total));
    }
}

#[test]
fn somebody_else_filling_the_disk_is_full_not_failed() {
    let rig = Rig::new(1);
    let (one, two) = (Name::new(1, SMALL), Name::new(2, LARGE));
    rig.put(one).unwrap();
    rig.put(two).unwrap();
    rig.sim.set_capacity(0);
    assert!(fill(&rig).len() < 200);
    // Deletes use the reserve of the segment being filled.
    rig.delete(one).unwrap();
    rig.delete(two).unwrap();
    assert_eq!(
        (rig.get(one), rig.get(two)),
        (Found::Missing, Found::Missing)
    );
    rig.sim.set_capacity(64 << 20);
    rig.put(Name::new(90_000, LARGE)).unwrap();
    rig.put(one).unwrap();
    assert_eq!(rig.get(one), Found::Exact);
}

#[test]
fn a_delete_that_finds_no_room_at_all_says_so_and_works_later() {
    let rig = Rig::new(1);
    let stored: Vec<Name> = (0..500).map(|counter| Name::new(counter, 10)).collect();
    stored.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    let rig = rig.restart();
    rig.sim.set_capacity(0);
    // No segment is being filled and none can be made.
    assert!(matches!(
        rig.delete(stored[0]),
        Err(ShardError::Unavailable(_))
    ));
    assert_eq!(rig.get(stored[0]), Found::Exact);
    // Room for the smallest segment is enough.
    let used = (1 << 40) - {
        rig.sim.set_capacity(1 << 40);
        Disk::space(&rig.sim).unwrap().free
    };
    rig.sim.set_capacity(used + 20 * 4_096);
    rig.delete(stored[0]).unwrap();
    assert_eq!(rig.get(stored[0]), Found::Missing);
    let rig = rig.lose_index();
    assert_eq!(rig.get(stored[0]), Found::Missing);
}

#[test]
fn deletes_on_a_full_disk_leave_the_room_that_compaction_needs() {
    let rig = Rig::new(1);
    rig.sim.set_capacity(8 << 20);
    let stored: Vec<Name> = (0..)
        .map(|counter| Name::new(counter, SMALL))
        .take_while(|name| rig.put(*name).is_ok())
        .collect();
    let before = Disk::space(&rig.sim).unwrap().free;
    // Each alone, so each takes a unit of its own: more than the segments being filled have left.
    for name in &stored[..20] {
        rig.delete(*name).unwrap();
    }
    let taken = before - Disk::space(&rig.sim).unwrap().free;
    assert!(taken < SEGMENT / 2, "{taken} bytes for tombstones");
    for names in stored[20..].chunks(20) {
        names.iter().for_each(|name| rig.delete(*name).unwrap());
        rig.care();
    }
    assert!(Disk::space(&rig.sim).unwrap().free > before);
}

#[test]
fn the_first_delete_takes_little_room_for_itself() {
    let (sim, store) = (SimDisk::new(1), MemoryStore::new());
    sim.set_capacity(1 << 30);
    let index = Box::new(store.clone());
    let rig = Rig::open_long(sim, store, index, 64 << 20).unwrap();
    let name = Name::new(1, LARGE);
    rig.put(name).unwrap();
    let before = Disk::space(&rig.sim).unwrap().free;
    rig.delete(name).unwrap();
    rig.care();
    let taken = before.saturating_sub(Disk::space(&rig.sim).unwrap().free);
    assert!(taken <= 4 << 20, "{taken} bytes for a tombstone");
    assert_eq!(rig.get(name), Found::Missing);
}

#[test]
fn many_deletes_share_few_units() {
    let rig = Rig::new(1);
    let stored: Vec<Name> = (0..300).map(|counter| Name::new(counter, 10)).collect();
    stored.iter().for_each(|name| {
        rig.put(*name).unwrap();
    });
    let before = rig
        .volume()
        .ledger()
        .segments
        .values()
        .map(|s| u64::from(s.next))
        .sum::<u64>();
    let orders: Vec<_> = stored.iter().map(Name::delete).collect();
    now(rig.node.delete(rig.disk, 1, &orders)).unwrap();
    let after = rig
        .volume()
        .ledger()
        .segments
        .values()
        .map(|s| u64::from(s.next))
        .sum::<u64>();
    assert!(
        after - before <= 300_u64.div_ceil(63) + 1,
        "{before} {after}"
    );
    assert!(stored.iter().all(|name| rig.get(*name) == Found::Missing));
}

#[test]
fn without_direct_allocate_and_punch_it_works_all_the_same() {
    let can = Capabilities {
        direct: false,
        allocate: false,
        punch: false,
        alignment: 4_096,
    };
    let sim = SimDisk::with_capabilities(1, can);
    sim.set_capacity(8 << 20);
    let rig = Rig::open(sim, MemoryStore::new()).unwrap();
    let stored = fill(&rig);
    stored.iter().for_each(|name| rig.delete(*name).unwrap());
    rig.care();
    // No hole was punched: compaction gave it all back.
    assert!(free(&rig, rig.disk) > 5 << 20);
    let name = Name::new(70_000, LARGE);
    rig.put(name).unwrap();
    let rig = rig.crash(5, 0);
    assert_eq!(rig.get(name), Found::Exact);
    assert!(stored.iter().all(|name| rig.get(*name) == Found::Missing));
}

#[test]
fn an_alignment_wider_than_a_unit_is_served_buffered() {
    let can = Capabilities {
        direct: true,
        allocate: true,
        punch: true,
        alignment: 65_536,
    };
    let rig = Rig::open(SimDisk::with_capabilities(1, can), MemoryStore::new()).unwrap();
    let name = Name::new(1, SMALL);
    rig.put(name).unwrap();
    assert_eq!(rig.get(name), Found::Exact);
}
