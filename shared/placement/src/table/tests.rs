use super::*;
use crate::plan::MoveReason;
use cairn_model::SessionId;
use proptest::prelude::*;

fn disk(number: u8) -> DiskId {
    DiskId([number; 16])
}

fn row(epoch: u64, disks: &[u8]) -> PartitionRow {
    let slots = disks.iter().map(|number| Slot::at(disk(*number))).collect();
    PartitionRow { epoch, slots }
}

fn table() -> PartitionTable {
    let rows = vec![
        row(3, &[1, 2]),
        row(5, &[2, 3]),
        row(1, &[3, 1]),
        row(1, &[4, 1]),
    ];
    PartitionTable::new(4, 2, rows).unwrap()
}

fn step(partition: u32, slot: u8, from: u8, to: u8) -> Move {
    Move {
        reason: MoveReason::Balance,
        partition,
        slot,
        from: disk(from),
        to: disk(to),
    }
}

fn disks(row: &PartitionRow) -> Vec<DiskId> {
    row.disks().collect()
}

#[test]
fn the_epoch_is_never_behind_a_row() {
    assert_eq!(table().epoch(), 5);
    assert_eq!(
        PartitionTable::new(9, 2, table().rows().to_vec())
            .unwrap()
            .epoch(),
        9
    );
}

#[test]
fn tables_that_break_the_rules_are_refused() {
    let rows = |rows: Vec<PartitionRow>, bits| PartitionTable::new(0, bits, rows).unwrap_err();
    let good = row(1, &[1, 2]);
    assert_eq!(rows(vec![], 0), TableError::Rows { rows: 0, bits: 0 });
    assert_eq!(
        rows(vec![good.clone()], 0),
        TableError::Rows { rows: 1, bits: 0 }
    );
    assert_eq!(
        rows(vec![good.clone(); 3], 1),
        TableError::Rows { rows: 3, bits: 1 }
    );
    let bits = limits::PARTITION_BITS_MAX + 1;
    assert_eq!(
        rows(vec![good.clone(); 2], bits),
        TableError::Rows { rows: 2, bits }
    );
    assert_eq!(
        rows(vec![good.clone(), row(1, &[1])], 1),
        TableError::Slots(1)
    );
    assert_eq!(rows(vec![row(1, &[]); 2], 1), TableError::Slots(0));
    let many: Vec<u8> = (0..33).collect();
    assert_eq!(rows(vec![row(1, &many); 2], 1), TableError::Slots(0));
    assert_eq!(
        rows(vec![good.clone(), row(1, &[2, 2])], 1),
        TableError::Repeated(1)
    );
    let mut moving = good.clone();
    moving.slots[0].next = Some(disk(2));
    assert_eq!(
        rows(vec![moving.clone(), good.clone()], 1),
        TableError::Repeated(0)
    );
    moving.slots[0].next = Some(disk(1));
    assert_eq!(rows(vec![moving, good], 1), TableError::Repeated(0));
}

#[test]
fn a_move_goes_from_one_disk_over_both_to_the_other() {
    let mut table = table();
    table.begin(&step(1, 0, 2, 4)).unwrap();
    let moving = table.row(1).unwrap().clone();
    assert_eq!((table.epoch(), moving.epoch), (6, 6));
    assert!(moving.is_moving());
    assert_eq!(moving.slots[0].write_disk(), disk(4));
    assert_eq!(
        moving.slots[0].read_disks().collect::<Vec<_>>(),
        [disk(2), disk(4)]
    );
    assert_eq!(disks(&moving), [disk(2), disk(4), disk(3)]);
    assert_eq!(table.partitions_of(disk(2)).collect::<Vec<_>>(), [0, 1]);
    table.cut_over(1, 0).unwrap();
    let moved = table.row(1).unwrap();
    assert_eq!((moved.epoch, disks(moved)), (7, vec![disk(4), disk(3)]));
    assert_eq!(table.partitions_of(disk(2)).collect::<Vec<_>>(), [0]);
    assert_eq!(
        table.row(0).unwrap().epoch,
        3,
        "other rows keep their epochs"
    );
}

#[test]
fn an_abandoned_move_stays_where_it_was_under_a_new_epoch() {
    let mut table = table();
    table.begin(&step(1, 0, 2, 4)).unwrap();
    table.abandon(1, 0).unwrap();
    let row = table.row(1).unwrap();
    assert_eq!((row.epoch, disks(row)), (7, vec![disk(2), disk(3)]));
}

#[test]
fn changes_from_another_state_are_refused_and_change_nothing() {
    let mut table = table();
    let before = table.clone();
    assert_eq!(
        table.begin(&step(4, 0, 1, 4)),
        Err(TableError::NoSuchSlot(4, 0))
    );
    assert_eq!(
        table.begin(&step(0, 2, 1, 4)),
        Err(TableError::NoSuchSlot(0, 2))
    );
    assert_eq!(table.begin(&step(0, 0, 2, 4)), Err(TableError::State(0, 0)));
    assert_eq!(table.begin(&step(0, 0, 1, 2)), Err(TableError::Repeated(0)));
    assert_eq!(table.begin(&step(0, 0, 1, 1)), Err(TableError::Repeated(0)));
    assert_eq!(table.cut_over(0, 0), Err(TableError::State(0, 0)));
    assert_eq!(table.cut_over(9, 0), Err(TableError::NoSuchSlot(9, 0)));
    assert_eq!(table.abandon(0, 1), Err(TableError::State(0, 1)));
    assert_eq!(table, before);
    table.begin(&step(0, 0, 1, 4)).unwrap();
    assert_eq!(table.begin(&step(0, 0, 1, 5)), Err(TableError::State(0, 0)));
    assert_eq!(table.begin(&step(0, 1, 2, 4)), Err(TableError::Repeated(0)));
    assert_eq!(
        table.begin(&step(0, 1, 2, 1)),
        Err(TableError::Repeated(0)),
        "still read there"
    );
}

#[test]
fn doubling_stops_at_the_bound() {
    let bits = limits::PARTITION_BITS_MAX;
    let table = PartitionTable::new(1, bits, vec![row(1, &[1]); 1 << bits]).unwrap();
    assert!(matches!(table.doubled(), Err(TableError::Rows { .. })));
}

proptest! {
    #[test]
    fn doubling_moves_no_writing(group in any::<u16>(), session in 0_u64..1 << 48, counter in 0_u64..1 << 48) {
        let stamp = Incarnation { group, generation: 1, session: SessionId(session), counter };
        let table = table();
        let doubled = table.doubled().unwrap();
        let ((before, row), (after, same)) = (table.row_of(stamp), doubled.row_of(stamp));
        prop_assert_eq!(row, same);
        prop_assert_eq!(before, after / 2);
        prop_assert_eq!((doubled.bits(), doubled.slots()), (3, 2));
        prop_assert!(doubled.epoch() > table.epoch());
    }
}
