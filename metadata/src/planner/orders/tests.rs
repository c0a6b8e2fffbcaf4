use cairn_placement::Slot;
use cairn_wire::metadata::Coding as WireCoding;

use super::*;

fn disk(name: u8) -> DiskId {
    DiskId([name; 16])
}

fn bytes(name: u8) -> Bytes {
    vec![name; 16].into()
}

/// Two partitions alike: slots 0 to 3 on disks 1 to 4, slot 0 moving to 5; 4 lost, 3 away.
fn seats() -> Seats {
    let mut slots: Vec<Slot> = (1..=4).map(|name| Slot::at(disk(name))).collect();
    slots[0].next = Some(disk(5));
    let row = PartitionRow { epoch: 7, slots };
    Seats {
        table: PartitionTable::new(0, 1, vec![row.clone(), row]).unwrap(),
        lost: BTreeSet::from([disk(4)]),
        reachable: [1, 2, 4, 5, 6].into_iter().map(disk).collect(),
    }
}

fn debt(shard: u32, on: u8, found: Option<u8>) -> Debt {
    Debt {
        shard,
        disk: bytes(on),
        found: found.map(bytes).unwrap_or_default(),
    }
}

fn chunk(debt: Vec<Debt>) -> Chunk {
    Chunk {
        domain: 1,
        sha256: vec![8; 32].into(),
        incarnation: vec![1; 16].into(),
        coding: Some(WireCoding {
            data: 2,
            parity: 2,
            cell: 65_536,
            layout: 1,
        }),
        length: 100_000,
        table_digest: bytes(2),
        live: true,
        suspicions: 3,
        debt,
        ..Chunk::default()
    }
}

fn sources(order: &Rebuild) -> Vec<(u8, u8)> {
    order
        .sources
        .iter()
        .map(|(shard, disk)| (*shard, disk.0[0]))
        .collect()
}

#[test]
fn a_shard_is_wanted_where_its_slot_is_written_now() {
    let (seats, row) = (seats(), chunk(vec![]));
    let subject = Subject::read(&row, &seats).unwrap();
    let order = subject.order(0).unwrap();
    assert_eq!((order.disk, order.epoch, order.shard), (disk(5), 7, 0));
    assert_eq!((order.chunk_len, order.table_digest), (100_000, [2; 16]));
    assert_eq!(order.coding.shards(), 4);
    assert_eq!(subject.order(1).unwrap().disk, disk(2));
    assert_eq!(subject.order(2), None, "its node is away");
    assert_eq!(subject.order(3), None, "its disk is lost");
    assert_eq!(subject.order(4), None, "there is no such shard");
}

#[test]
fn copies_have_no_shard_in_the_later_slots() {
    let seats = seats();
    let mut row = chunk(vec![]);
    row.coding.as_mut().unwrap().data = 1;
    row.coding.as_mut().unwrap().parity = 1;
    let subject = Subject::read(&row, &seats).unwrap();
    assert!(subject.has(1) && !subject.has(2));
    assert_eq!(sources(&subject.order(1).unwrap()), [(0, 1), (0, 5)]);
}

#[test]
fn sources_leave_out_what_is_lost_or_owed_and_begin_with_the_shard_itself() {
    let seats = seats();
    let row = chunk(vec![]);
    let subject = Subject::read(&row, &seats).unwrap();
    let order = subject.order(0).unwrap();
    assert_eq!(
        sources(&order),
        [(0, 1), (1, 2), (2, 3)],
        "3 is away and last"
    );
    let row = chunk(vec![debt(0, 5, Some(6)), debt(1, 2, None)]);
    let subject = Subject::read(&row, &seats).unwrap();
    assert_eq!(sources(&subject.order(0).unwrap()), [(0, 6), (2, 3)]);
    assert_eq!(sources(&subject.order(1).unwrap()), [(0, 6), (2, 3)]);
}

#[test]
fn what_is_owed_is_wanted_and_all_of_it_where_it_is_suspect() {
    let seats = seats();
    let mut row = chunk(vec![debt(1, 2, None)]);
    assert_eq!(Subject::read(&row, &seats).unwrap().wanted(), [1]);
    assert!(
        !Subject::read(&row, &seats)
            .unwrap()
            .order(1)
            .unwrap()
            .thorough
    );
    row.suspect = true;
    let suspect = Subject::read(&row, &seats).unwrap();
    assert_eq!(suspect.wanted(), [0, 1, 2, 3]);
    assert!(
        suspect.order(1).unwrap().thorough,
        "its parity is judged too"
    );
}

#[test]
fn only_what_was_answered_for_is_settled() {
    let seats = seats();
    let mut row = chunk(vec![debt(0, 1, Some(6)), debt(1, 2, None)]);
    row.suspect = true;
    let subject = Subject::read(&row, &seats).unwrap();
    assert!(subject.settle(&BTreeSet::new()).is_empty());
    let part = subject.settle(&BTreeSet::from([1, 2, 3]));
    let [Command::SettleDebt(settle)] = part.as_slice() else {
        panic!("{part:?}")
    };
    assert_eq!(settle.paid, [debt(1, 2, None)], "as the row has it");
    assert_eq!((settle.epoch, &settle.incarnation), (7, &row.incarnation));
    let all = subject.settle(&(0..4).collect());
    let [Command::SettleDebt(settle), Command::ClearSuspect(clear)] = all.as_slice() else {
        panic!("{all:?}")
    };
    assert_eq!((settle.paid.len(), clear.suspicions), (2, 3));
    row.debt.clear();
    let subject = Subject::read(&row, &seats).unwrap();
    assert!(
        subject.settle(&BTreeSet::from([0, 1, 2])).is_empty(),
        "n of n"
    );
}

#[test]
fn rows_that_make_no_sense_give_no_orders() {
    let seats = seats();
    let broken = |change: fn(&mut Chunk)| {
        let mut row = chunk(vec![]);
        change(&mut row);
        row
    };
    for row in [
        broken(|row| row.incarnation = Bytes::new()),
        broken(|row| row.sha256 = Bytes::new()),
        broken(|row| row.coding = None),
        broken(|row| row.table_digest = Bytes::new()),
    ] {
        assert!(Subject::read(&row, &seats).is_none(), "{row:?}");
    }
}

/// Slot 0 moves from 1 to 5, 1 to 3 are at 2 to 4.
#[test]
fn a_shard_is_missing_where_neither_current_nor_next_has_it() {
    let (seats, chunk) = (seats(), chunk(Vec::new()));
    let subject = Subject::read(&chunk, &seats).unwrap();
    let places = |found: &[(u8, u8)]| -> BTreeSet<(u8, DiskId)> {
        found
            .iter()
            .map(|(shard, on)| (*shard, disk(*on)))
            .collect()
    };
    for whole in [1, 5] {
        let found = places(&[(0, whole), (1, 2), (2, 3), (3, 4)]);
        assert_eq!(subject.missing(&found), None);
    }
    let missing = subject.missing(&places(&[(0, 1), (1, 6), (2, 2)])).unwrap();
    assert_eq!(missing.epoch, 7);
    let named: Vec<(u32, Option<u8>)> = missing
        .missing
        .iter()
        .map(|debt| (debt.shard, debt.found.first().copied()))
        .collect();
    assert_eq!(named, [(1, Some(6)), (2, Some(2)), (3, None)]);
}

#[test]
fn of_what_is_owed_already_only_another_place_is_news() {
    let seats = seats();
    let owed = [
        (debt(1, 2, None), vec![], None),
        (debt(1, 2, None), vec![2], None),
        (debt(1, 2, None), vec![6], Some(Some(6))),
        (debt(1, 2, Some(6)), vec![6], None),
        (debt(1, 2, Some(6)), vec![3], Some(Some(3))),
        (debt(1, 2, Some(6)), vec![], Some(None)),
    ];
    for (debt, lies, expected) in owed {
        let chunk = chunk(vec![debt]);
        let subject = Subject::read(&chunk, &seats).unwrap();
        let mut found: BTreeSet<(u8, DiskId)> = [(0, 1), (2, 3), (3, 4)]
            .map(|(shard, on)| (shard, disk(on)))
            .into();
        found.extend(lies.iter().map(|on| (1, disk(*on))));
        let missing = subject.missing(&found);
        let place = missing.map(|missing| missing.missing[0].found.first().copied());
        assert_eq!(place, expected, "{lies:?}");
    }
}
