//! Writing to a new place, reading it back, and only then counting it.

use super::rig::*;
use crate::Progress;
use crate::node::Standing;
use cairn_rpc::{Rebuilt, ShardDelete, ShardError, ShardService, ShardUpload};
use cairn_world::Disk;
use cairn_world::sim::{Fault, FaultOn};

const LEN: u64 = 400_000;

fn space(machine: &Machine) -> u64 {
    now(machine.node.space(machine.disk)).unwrap().0
}

fn care(machine: &Machine) {
    while let Progress::Worked(_) = machine.node.care_step(machine.disk).unwrap() {}
}

#[test]
fn what_does_not_read_back_does_not_count_and_the_former_stays() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let unreadable = Fault::new(FaultOn::Read).named("segments").lasting();
    fleet.target.sim.inject(unreadable);
    let outcome = fleet.rebuild(fleet.order(0));
    assert!(
        matches!(outcome, Err(ShardError::Corrupt(_))),
        "{outcome:?}"
    );
    fleet.target.sim.clear_faults();
    assert!(!fleet.target.has(&fleet.chunk, 0));

    // A former record with one bad cell is not given up for one that cannot be read.
    fleet.target.put(&fleet.chunk, 0);
    let former = fleet.target.place(&fleet.chunk, 0);
    fleet.target.spoil(&fleet.chunk, 0, 2);
    let (file, _) = former.clone();
    let elsewhere = Fault::new(FaultOn::Read).named("segments").nth(3).lasting();
    fleet.target.sim.inject(elsewhere);
    let outcome = fleet.rebuild(fleet.order(0));
    assert!(
        matches!(outcome, Err(ShardError::Corrupt(_))),
        "{outcome:?}"
    );
    fleet.target.sim.clear_faults();
    assert_eq!(fleet.target.place(&fleet.chunk, 0), former);
    assert!(file.ends_with(".seg"));
    assert_eq!(fleet.rebuild(fleet.order(0)), Ok(Rebuilt::Written));
    assert!(fleet.target.has(&fleet.chunk, 0));
}

/// The steps by hand, so that something can come between them.
struct ByHand<'a> {
    fleet: &'a Fleet,
    repair: crate::node::Repair,
    held: std::sync::Arc<crate::volume::Reservation>,
    former: Option<crate::volume::Entry>,
}

impl<'a> ByHand<'a> {
    fn held(fleet: &'a Fleet) -> Self {
        let repair = now(fleet.target.node.repair(&fleet.order(0))).unwrap();
        let former = match now(repair.look(&fleet.clock)).unwrap() {
            Standing::Bad(entry, _) => Some(*entry),
            Standing::Absent => None,
            Standing::Good(_) => panic!("good"),
        };
        let mut upload = now(repair.begin()).unwrap();
        now(upload.write(&fleet.chunk.shards[0])).unwrap();
        let held = now(repair.hold(upload, &fleet.chunk.table)).unwrap();
        Self {
            fleet,
            repair,
            held,
            former,
        }
    }

    fn swap(self) -> Result<(), ShardError> {
        now(self.repair.swap(self.held, self.former, &self.fleet.clock))
    }
}

fn delete(fleet: &Fleet) {
    let order = ShardDelete {
        chunk: fleet.chunk.id,
        incarnation: fleet.chunk.incarnation,
    };
    now(fleet.target.node.delete(fleet.target.disk, 1, &[order])).unwrap();
}

#[test]
fn a_record_held_is_durable_and_not_given_until_it_lands() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let steps = ByHand::held(&fleet);
    assert!(!fleet.target.has(&fleet.chunk, 0));
    assert!(
        fleet
            .target
            .node
            .inventory(fleet.target.disk, None, 9)
            .unwrap()
            .is_empty()
    );
    // A crash now is as if it had landed: it is whole.
    assert!(fleet.target.crash(1, 0).has(&fleet.chunk, 0));
    steps.swap().unwrap();
    assert!(fleet.target.has(&fleet.chunk, 0));
}

#[test]
fn a_delete_between_writing_and_landing_wins_for_good() {
    for damaged in [false, true] {
        let fleet = Fleet::new(coding(2, 1), LEN);
        if damaged {
            fleet.target.put(&fleet.chunk, 0);
            fleet.target.spoil(&fleet.chunk, 0, 1);
        }
        let steps = ByHand::held(&fleet);
        delete(&fleet);
        assert!(matches!(steps.swap(), Err(ShardError::Unavailable(_))));
        assert!(!fleet.target.has(&fleet.chunk, 0));
        for batches in 0..6 {
            assert!(!fleet.target.crash(batches, batches).has(&fleet.chunk, 0));
        }
    }
}

#[test]
fn a_record_written_meanwhile_is_not_replaced() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let steps = ByHand::held(&fleet);
    fleet.target.put(&fleet.chunk, 0);
    let place = fleet.target.place(&fleet.chunk, 0);
    assert!(matches!(steps.swap(), Err(ShardError::Unavailable(_))));
    assert_eq!(fleet.target.place(&fleet.chunk, 0), place);
    assert!(fleet.target.has(&fleet.chunk, 0));
}

#[test]
fn a_bit_lost_before_the_reading_back_is_seen() {
    for cell in [0, 20, 48] {
        let fleet = Fleet::new(coding(2, 1), LEN);
        let steps = ByHand::held(&fleet);
        let entry = steps.held.held().unwrap();
        let file = format!("segments/{:016x}.seg", entry.place.segment);
        let at = entry.place.offset() + entry.shape.cell_offset(cell) + 5;
        fleet.target.sim.flip(&file, at, 1).unwrap();
        assert!(matches!(steps.swap(), Err(ShardError::Corrupt(_))));
        assert!(!fleet.target.has(&fleet.chunk, 0));
    }
}

#[test]
fn what_is_given_up_is_garbage_that_compaction_gives_back() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let before = space(&fleet.target);
    for _ in 0..20 {
        drop(ByHand::held(&fleet));
    }
    assert!(!fleet.target.has(&fleet.chunk, 0));
    // A commit seals what nobody writes to any more.
    let other = Chunk::new(coding(2, 1), 9_000, 77);
    fleet.target.put(&other, 0);
    care(&fleet.target);
    assert!(space(&fleet.target) + 3 * SEGMENT >= before);
    fleet.target.put(&fleet.chunk, 0);
    let again = fleet.target.crash(1, 0);
    assert!(again.has(&fleet.chunk, 0) && again.has(&other, 0));
}

#[test]
fn room_left_in_a_care_segment_is_not_taken_when_it_is_the_last() {
    let fleet = Fleet::new(coding(2, 1), 20_000);
    assert_eq!(fleet.rebuild(fleet.order(0)), Ok(Rebuilt::Written));
    let used = (64 << 20) - Disk::space(&fleet.target.sim).unwrap().free;
    for (free, expected) in [
        (SEGMENT - 4_096, Err(ShardError::Full)),
        (SEGMENT, Ok(Rebuilt::Written)),
    ] {
        fleet.target.sim.set_capacity(used + free);
        assert_eq!(fleet.rebuild(fleet.order(1)), expected);
    }
}

#[test]
fn a_segment_with_a_record_held_is_not_emptied_under_it() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let steps = ByHand::held(&fleet);
    // Other rebuilds fill and seal care segments meanwhile.
    for seed in 100..110 {
        let other = Fleet {
            chunk: Chunk::new(coding(2, 1), LEN, seed),
            ..Fleet::new(coding(2, 1), LEN)
        };
        fleet.target.put(&other.chunk, 0);
        fleet.target.spoil(&other.chunk, 0, 1);
        let order = cairn_rpc::Rebuild {
            disk: fleet.target.disk,
            ..other.order(0)
        };
        let repair = now(fleet.target.node.repair(&order)).unwrap();
        let Standing::Bad(entry, _) = now(repair.look(&fleet.clock)).unwrap() else {
            panic!("not bad");
        };
        let mut upload = now(repair.begin()).unwrap();
        now(upload.write(&other.chunk.shards[0])).unwrap();
        let held = now(repair.hold(upload, &other.chunk.table)).unwrap();
        now(repair.swap(held, Some(*entry), &fleet.clock)).unwrap();
        let order = ShardDelete {
            chunk: other.chunk.id,
            incarnation: other.chunk.incarnation,
        };
        now(fleet.target.node.delete(fleet.target.disk, 1, &[order])).unwrap();
        care(&fleet.target);
    }
    steps.swap().unwrap();
    care(&fleet.target);
    assert!(fleet.target.has(&fleet.chunk, 0));
}

#[test]
fn repair_uses_the_headroom_and_leaves_a_segment_of_it() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    fleet.target.sim.set_capacity(12 << 20);
    // Clients fill the disk.
    for seed in 1_000.. {
        let chunk = Chunk::new(coding(2, 1), LEN, seed);
        let header = chunk.header(0, fleet.target.disk);
        let room = now(fleet.target.node.prepare(header)).map(drop);
        if let Err(error) = room {
            assert_eq!(error, ShardError::Full);
            break;
        }
        fleet.target.put(&chunk, 0);
    }
    assert_eq!(fleet.rebuild(fleet.order(0)), Ok(Rebuilt::Written));
    let mut made = vec![fleet.chunk.clone()];
    let error = loop {
        let next = Fleet::new(coding(2, 1), LEN);
        let chunk = Chunk::new(coding(2, 1), LEN, 5_000 + made.len() as u64);
        let sources: Vec<_> = next
            .sources
            .iter()
            .map(|source| {
                Moody {
                    chunk: chunk.clone(),
                    other: chunk.clone(),
                    shard: source.shard,
                    mood: Mood::Honest.into(),
                    reads: Default::default(),
                }
                .into()
            })
            .collect();
        let next = Fleet {
            chunk: chunk.clone(),
            sources,
            target: Machine {
                node: fleet.target.node.clone(),
                sim: fleet.target.sim.clone(),
                store: fleet.target.store.clone(),
                disk: fleet.target.disk,
            },
            clock: next.clock,
        };
        match next.rebuild(next.order(0)) {
            Ok(_) => made.push(chunk),
            Err(error) => break error,
        }
    };
    assert_eq!(error, ShardError::Full);
    assert!(made.len() > 2, "{}", made.len());
    let left = Disk::space(&fleet.target.sim).unwrap().free;
    assert!((SEGMENT..2 * SEGMENT).contains(&left), "{left}");
    assert!(made.iter().all(|chunk| fleet.target.has(chunk, 0)));
    // Deletes still find room, and give it back.
    let orders: Vec<_> = made
        .iter()
        .map(|chunk| ShardDelete {
            chunk: chunk.id,
            incarnation: chunk.incarnation,
        })
        .collect();
    now(fleet.target.node.delete(fleet.target.disk, 1, &orders)).unwrap();
    care(&fleet.target);
    assert_eq!(fleet.rebuild(fleet.order(0)), Ok(Rebuilt::Written));
}

#[test]
fn a_failed_disk_is_found_good_or_takes_no_repair() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    fleet.target.put(&fleet.chunk, 1);
    fleet.target.sim.inject(Fault::new(FaultOn::Sync).lasting());
    let outcome = fleet.rebuild(fleet.order(0));
    assert!(matches!(outcome, Err(ShardError::Failed(_))), "{outcome:?}");
    fleet.target.sim.clear_faults();
    let outcome = fleet.rebuild(fleet.order(0));
    assert!(matches!(outcome, Err(ShardError::Failed(_))), "{outcome:?}");
    assert_eq!(fleet.rebuild(fleet.order(1)), Ok(Rebuilt::Found));
}
