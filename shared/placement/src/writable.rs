//! Where a gateway may write: the ack rule of design §6 against the disks that are up.

use std::collections::BTreeSet;

use cairn_model::{Coding, DiskId, Incarnation};

use crate::table::{PartitionRow, PartitionTable};

/// What a row can promise a write now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Writable {
    /// Too few disks are up: never a weak acknowledgement.
    No,
    /// Enough for the ack rule; the shards that cannot be written become debt.
    MeetsAckRule,
    /// Every shard can be written.
    FullyUp,
}

/// Judges a row for a coding, which uses its first k + m slots. Disks of one row lie in distinct
/// failure domains, so disks that are up count as domains.
#[must_use]
pub fn writable(row: &PartitionRow, up: &BTreeSet<DiskId>, coding: Coding) -> Writable {
    let Some(slots) = row.slots.get(..coding.shards()) else {
        return Writable::No;
    };
    let ready = slots
        .iter()
        .filter(|slot| up.contains(&slot.write_disk()))
        .count();
    if ready == slots.len() {
        Writable::FullyUp
    } else if ready >= coding.ack_shards() {
        Writable::MeetsAckRule
    } else {
        Writable::No
    }
}

/// The first stamp whose partition is fully up, else the first that meets the ack rule, else
/// `None` (503). Takes stamps until one is fully up: the caller bounds the iterator. Stamps that
/// are not given back are spent; counters are never reused.
pub fn draw(
    table: &PartitionTable,
    up: &BTreeSet<DiskId>,
    coding: Coding,
    stamps: impl IntoIterator<Item = Incarnation>,
) -> Option<(Incarnation, Writable)> {
    let mut fallback = None;
    for stamp in stamps {
        let (_, row) = table.row_of(stamp);
        match writable(row, up, coding) {
            Writable::FullyUp => return Some((stamp, Writable::FullyUp)),
            Writable::MeetsAckRule if fallback.is_none() => {
                fallback = Some((stamp, Writable::MeetsAckRule));
            }
            Writable::MeetsAckRule | Writable::No => {}
        }
    }
    fallback
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Slot;
    use cairn_model::SessionId;

    fn disk(number: u8) -> DiskId {
        DiskId([number; 16])
    }

    fn row(disks: &[u8]) -> PartitionRow {
        let slots = disks.iter().map(|number| Slot::at(disk(*number))).collect();
        PartitionRow { epoch: 1, slots }
    }

    fn up(disks: impl IntoIterator<Item = u8>) -> BTreeSet<DiskId> {
        disks.into_iter().map(disk).collect()
    }

    #[test]
    fn the_ack_rule_decides() {
        use Writable::{FullyUp, MeetsAckRule, No};
        let coding = Coding::new(4, 2).unwrap();
        let row = row(&[0, 1, 2, 3, 4, 5]);
        assert_eq!(writable(&row, &up(0..6), coding), FullyUp);
        assert_eq!(writable(&row, &up(1..6), coding), MeetsAckRule);
        assert_eq!(writable(&row, &up(2..6), coding), No);
        assert_eq!(writable(&row, &up([0, 2, 3, 4, 9, 8]), coding), No);
    }

    #[test]
    fn without_parity_every_disk_is_needed() {
        let coding = Coding::new(2, 0).unwrap();
        assert_eq!(
            writable(&row(&[0, 1]), &up(0..2), coding),
            Writable::FullyUp
        );
        assert_eq!(writable(&row(&[0, 1]), &up(0..1), coding), Writable::No);
    }

    #[test]
    fn copies_use_the_first_slots_only() {
        let copies = Coding::new(4, 2).unwrap().copies();
        let row = row(&[0, 1, 2, 3, 4, 5]);
        assert_eq!(writable(&row, &up(0..3), copies), Writable::FullyUp);
        assert_eq!(writable(&row, &up(1..6), copies), Writable::MeetsAckRule);
        assert_eq!(writable(&row, &up(2..6), copies), Writable::No);
    }

    #[test]
    fn a_row_with_too_few_slots_takes_nothing() {
        let coding = Coding::new(4, 2).unwrap();
        assert_eq!(writable(&row(&[0, 1, 2]), &up(0..6), coding), Writable::No);
    }

    #[test]
    fn a_moving_slot_is_written_at_its_new_place() {
        let coding = Coding::new(1, 1).unwrap();
        let mut row = row(&[0, 1]);
        row.slots[1].next = Some(disk(2));
        assert_eq!(writable(&row, &up([0, 2]), coding), Writable::FullyUp);
        assert_eq!(writable(&row, &up([0, 1]), coding), Writable::No);
    }

    fn stamps() -> impl Iterator<Item = Incarnation> {
        (0..).map(|counter| Incarnation {
            group: 1,
            generation: 1,
            session: SessionId(1),
            counter,
        })
    }

    #[test]
    fn the_draw_prefers_a_partition_that_is_fully_up() {
        let coding = Coding::new(2, 2).unwrap();
        let rows = vec![row(&[0, 1, 2, 3]), row(&[0, 1, 2, 4])];
        let table = PartitionTable::new(1, 1, rows).unwrap();
        let found = |up: BTreeSet<DiskId>| draw(&table, &up, coding, stamps().take(64));
        for _ in 0..4 {
            let (stamp, writable) = found(up([0, 1, 2, 4])).unwrap();
            assert_eq!((stamp.partition(1), writable), (1, Writable::FullyUp));
        }
        let (first, writable) = found(up([0, 1, 2])).unwrap();
        assert_eq!((first.counter, writable), (0, Writable::MeetsAckRule));
        assert_eq!(found(up([0, 1])), None);
        assert_eq!(draw(&table, &up(0..5), coding, []), None);
    }
}
