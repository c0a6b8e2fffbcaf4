use cairn_wire::metadata::{Coding, Disk, LeavingDisk, MoveUnderWay, PartitionRow, StorageClass};

use super::*;

fn bytes(name: u8) -> Bytes {
    vec![name; 16].into()
}

fn id(name: u8) -> DiskId {
    DiskId([name; 16])
}

/// `2^bits` partitions coded 2+1, all on disks 1 to 3 of `disks` (of one node each).
fn cluster(bits: u32, disks: u8) -> ClusterAnswer {
    let class = StorageClass {
        name: "STANDARD".into(),
        coding: Some(Coding {
            data: 2,
            parity: 1,
            cell: 65_536,
            layout: 1,
        }),
        domain: "node".into(),
    };
    let row = PartitionRow {
        epoch: 4,
        current: (1..=3).map(bytes).collect(),
        next: vec![Bytes::new(); 3],
    };
    ClusterAnswer {
        cluster: bytes(7),
        disks: (1..=disks)
            .map(|name| Disk {
                disk: bytes(name),
                node: u64::from(name),
                zone: String::new(),
            })
            .collect(),
        classes: vec![class],
        partition_bits: bits,
        partitions: vec![row; 1 << bits],
        ..ClusterAnswer::default()
    }
}

fn lose(cluster: &mut ClusterAnswer, name: u8, lost: bool) {
    cluster.leaving.push(LeavingDisk {
        disk: bytes(name),
        lost,
    });
}

fn moving(cluster: &mut ClusterAnswer, partition: u32, slot: u8, to: u8, gate: u64) {
    cluster.partitions[partition as usize].next[usize::from(slot)] = bytes(to);
    cluster.moves.push(MoveUnderWay {
        partition,
        slot: u32::from(slot),
        session: gate,
    });
}

fn seats(cluster: &ClusterAnswer) -> Seats {
    Seats::read(cluster, (1..=9).map(id).collect()).unwrap()
}

fn begun(cluster: &ClusterAnswer) -> Vec<(u32, u32, u8, u8)> {
    let commands = begin(cluster, &seats(cluster)).unwrap();
    let read = |command: Command| match command {
        Command::BeginMove(step) => {
            assert_eq!(step.epoch, 4);
            (step.partition, step.slot, step.from[0], step.to[0])
        }
        other => panic!("{other:?}"),
    };
    commands.into_iter().map(read).collect()
}

#[test]
fn a_cluster_at_rest_moves_nothing() {
    assert!(begun(&cluster(3, 3)).is_empty());
    assert!(removable(&cluster(3, 3), &seats(&cluster(3, 3))).is_empty());
}

#[test]
fn slots_of_a_lost_disk_go_to_the_one_that_takes_its_place() {
    let mut cluster = cluster(3, 3);
    lose(&mut cluster, 2, true);
    assert!(begin(&cluster, &seats(&cluster)).is_err(), "nowhere to go");
    let replacement = Disk {
        disk: bytes(8),
        node: 2,
        zone: String::new(),
    };
    cluster.disks.push(replacement);
    let expected: Vec<_> = (0..8).map(|partition| (partition, 1, 2, 8)).collect();
    assert_eq!(begun(&cluster), expected);
}

#[test]
fn the_partitions_that_lost_most_come_first_and_one_slot_at_a_time() {
    let mut cluster = cluster(2, 6);
    lose(&mut cluster, 2, true);
    lose(&mut cluster, 3, true);
    // Partition 0 has only one slot on them.
    cluster.partitions[0].current[2] = bytes(4);
    let begun = begun(&cluster);
    let order: Vec<u32> = begun.iter().map(|step| step.0).collect();
    assert_eq!(order, [1, 2, 3, 0], "{begun:?}");
    assert!(begun.iter().all(|step| [2, 3].contains(&step.2)));
}

#[test]
fn what_is_not_urgent_is_begun_a_few_at_a_time() {
    let mut draining = cluster(9, 6);
    lose(&mut draining, 2, false);
    assert_eq!(begun(&draining).len(), limits::MOVES_MAX);
    let mut lost = cluster(9, 6);
    lose(&mut lost, 2, true);
    let begun = begun(&lost);
    let urgent = begun.iter().filter(|step| step.2 == 2).count();
    assert_eq!(urgent, 512, "all of them");
    for partition in 0..u32::try_from(limits::MOVES_MAX).unwrap() {
        moving(&mut draining, partition, 1, 5, 0);
    }
    assert!(begin(&draining, &seats(&draining)).unwrap().is_empty());
}

#[test]
fn a_move_to_a_lost_disk_turns_round_one_slot_of_a_row_at_a_time() {
    let mut cluster = cluster(1, 6);
    moving(&mut cluster, 0, 0, 4, 9);
    moving(&mut cluster, 0, 1, 5, 9);
    moving(&mut cluster, 1, 0, 6, 9);
    let none = abandon(&under_way(&cluster, &seats(&cluster)), &seats(&cluster));
    assert!(none.is_empty());
    for name in [4, 5] {
        lose(&mut cluster, name, true);
    }
    let seats = seats(&cluster);
    let commands = abandon(&under_way(&cluster, &seats), &seats);
    let [Command::AbandonMove(first)] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!((first.partition, first.slot, first.epoch), (0, 0, 4));
}

#[test]
fn a_lost_disk_goes_when_no_row_names_it() {
    let mut cluster = cluster(1, 6);
    for name in [3, 4, 5] {
        lose(&mut cluster, name, true);
    }
    lose(&mut cluster, 6, false);
    moving(&mut cluster, 1, 2, 5, 0);
    let commands = removable(&cluster, &seats(&cluster));
    let [Command::RemoveDisk(only)] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!(
        only.disk,
        bytes(4),
        "3 is current, 5 is next, 6 is for its operator"
    );
}

fn sessions(open: &[u64]) -> SessionsAnswer {
    SessionsAnswer {
        generation: 1,
        open: open.to_vec(),
        last: 100,
    }
}

#[test]
fn only_a_pass_begun_after_the_gate_counts() {
    let mut cluster = cluster(1, 6);
    moving(&mut cluster, 0, 0, 4, 9);
    let seats = seats(&cluster);
    let under_way = under_way(&cluster, &seats);
    let mut progress = Progress::default();
    let early = progress
        .pass(&under_way, &sessions(&[9, 12]), &seats)
        .unwrap();
    assert_eq!(early.partitions(), [0]);
    assert!(progress.finish(early));
    assert!(
        progress.cut_overs(&seats).is_empty(),
        "session 9 may still commit"
    );
    assert!(
        progress
            .pass(&under_way, &sessions(&[9, 12]), &seats)
            .is_none(),
        "made once, now it waits"
    );
    let late = progress.pass(&under_way, &sessions(&[12]), &seats).unwrap();
    assert!(progress.finish(late));
    let commands = progress.cut_overs(&seats);
    let [Command::CutOver(cut)] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!((cut.partition, cut.slot, cut.epoch), (0, 0, 4));
    assert!(
        progress.pass(&under_way, &sessions(&[]), &seats).is_none(),
        "ready"
    );
}

#[test]
fn a_slot_that_failed_is_passed_over_again() {
    let mut cluster = cluster(1, 6);
    moving(&mut cluster, 0, 0, 4, 9);
    moving(&mut cluster, 1, 2, 5, 9);
    let seats = seats(&cluster);
    let under_way = under_way(&cluster, &seats);
    let mut progress = Progress::default();
    let mut pass = progress.pass(&under_way, &sessions(&[]), &seats).unwrap();
    assert_eq!(pass.slots(1, &under_way), [2]);
    assert!(
        pass.slots(1, &BTreeSet::new()).is_empty(),
        "no longer that move"
    );
    pass.fail(0, 0);
    pass.fail(0, 1);
    assert!(!progress.finish(pass));
    assert_eq!(progress.cut_overs(&seats).len(), 1);
    let mut again = progress.pass(&under_way, &sessions(&[]), &seats).unwrap();
    assert_eq!(again.partitions(), [0]);
    again.fail_all();
    assert!(!progress.finish(again));
    assert_eq!(progress.cut_overs(&seats).len(), 1);
}

#[test]
fn a_move_that_is_another_by_now_begins_anew() {
    let mut before = cluster(1, 6);
    moving(&mut before, 0, 0, 4, 9);
    let seats_before = seats(&before);
    let mut progress = Progress::default();
    let under_way_before = under_way(&before, &seats_before);
    let pass = progress.pass(&under_way_before, &sessions(&[]), &seats_before);
    assert!(progress.finish(pass.unwrap()));
    for (to, gate) in [(5, 9), (4, 10)] {
        let mut after = cluster(1, 6);
        moving(&mut after, 0, 0, to, gate);
        let seats = seats(&after);
        let mut progress = Progress {
            ready: progress.ready.clone(),
            made: progress.made.clone(),
        };
        progress.keep(&under_way(&after, &seats));
        assert!(progress.cut_overs(&seats).is_empty());
    }
}

#[test]
fn two_slots_of_a_row_are_cut_over_one_after_the_other() {
    let mut cluster = cluster(1, 6);
    moving(&mut cluster, 0, 0, 4, 9);
    moving(&mut cluster, 0, 1, 5, 9);
    let seats = seats(&cluster);
    let under_way = under_way(&cluster, &seats);
    let mut progress = Progress::default();
    let pass = progress.pass(&under_way, &sessions(&[]), &seats).unwrap();
    assert_eq!(
        (pass.partitions(), pass.slots(0, &under_way)),
        (vec![0], vec![0, 1])
    );
    assert!(progress.finish(pass));
    assert_eq!(progress.cut_overs(&seats).len(), 1, "the row has one epoch");
}

#[test]
fn a_disk_that_is_away_holds_up_only_its_own_moves() {
    let mut cluster = cluster(1, 6);
    moving(&mut cluster, 0, 0, 4, 9);
    moving(&mut cluster, 1, 0, 5, 9);
    let mut seats = seats(&cluster);
    seats.reachable.remove(&id(4));
    let under_way = under_way(&cluster, &seats);
    let pass = Progress::default().pass(&under_way, &sessions(&[]), &seats);
    assert_eq!(pass.unwrap().partitions(), [1]);
}
