//! One test for each line of the drawing, and a model.

use std::collections::BTreeMap;
use std::future::Future;
use std::task::{Context, Poll, Waker};

use super::*;
use cairn_model::SessionId;
use proptest::collection::vec;
use proptest::prelude::*;

const OWN: DiskId = DiskId([1; 16]);
const OTHER_OWN: DiskId = DiskId([2; 16]);
const STRANGE: DiskId = DiskId([9; 16]);

fn is_own(disk: DiskId) -> bool {
    disk == OWN || disk == OTHER_OWN
}

fn stamp(counter: u64) -> Incarnation {
    Incarnation {
        group: 0,
        generation: 1,
        session: SessionId(1),
        counter,
    }
}

/// A stamp in that partition.
fn in_partition(bits: u32, partition: u32) -> Incarnation {
    let mut stamps = (0..).map(stamp);
    stamps
        .find(|stamp| stamp.partition(bits) == partition)
        .unwrap()
}

fn news(generation: u16, bits: u32, rows: &[(u32, u64, &[DiskId])]) -> PlacementNews {
    let row = |(partition, epoch, disks): &(u32, u64, &[DiskId])| RowNews {
        partition: *partition,
        epoch: *epoch,
        disks: disks.to_vec(),
    };
    PlacementNews {
        generation,
        bits,
        rows: rows.iter().map(row).collect(),
    }
}

fn knowing(rows: &[(u32, u64, &[DiskId])]) -> Partitions {
    let partitions = Partitions::default();
    partitions.learn(&news(1, 2, rows), is_own).unwrap();
    partitions
}

fn both(partitions: &Partitions, disk: DiskId, at: u32, epoch: u64) -> [Result<(), ShardError>; 2] {
    [Access::Read, Access::Write]
        .map(|access| partitions.check(disk, in_partition(2, at), epoch, access))
}

#[test]
fn an_older_epoch_is_stale_for_its_partition_only() {
    let partitions = knowing(&[(0, 7, &[OWN]), (1, 5, &[OWN])]);
    let stale = Err(ShardError::StaleEpoch { current: 7 });
    assert_eq!(both(&partitions, OWN, 0, 6), [stale.clone(), stale]);
    assert_eq!(both(&partitions, OWN, 1, 6), [Ok(()), Ok(())]);
}

#[test]
fn at_the_same_epoch_a_write_needs_a_disk_that_the_row_names() {
    let partitions = knowing(&[(0, 7, &[STRANGE, OWN])]);
    assert_eq!(both(&partitions, OWN, 0, 7), [Ok(()), Ok(())]);
    let refused = ShardError::Refused("the partition's row does not name this disk");
    // What lies there may be read all the same: a debt may name it.
    let expected = [Ok(()), Err(refused)];
    assert_eq!(both(&partitions, OTHER_OWN, 0, 7), expected);
}

#[test]
fn a_newer_epoch_is_served_and_news_are_wanted() {
    let partitions = knowing(&[(0, 7, &[OWN])]);
    assert_eq!(partitions.wanted(), None);
    assert_eq!(both(&partitions, OTHER_OWN, 0, 9), [Ok(()), Ok(())]);
    assert_eq!(partitions.wanted(), Some(9));
    assert_eq!(both(&partitions, OWN, 0, 8), [Ok(()), Ok(())]);
    assert_eq!(partitions.wanted(), Some(9));
    partitions
        .learn(&news(1, 2, &[(0, 9, &[OTHER_OWN])]), is_own)
        .unwrap();
    assert_eq!(partitions.wanted(), None);
    assert!(both(&partitions, OWN, 0, 9)[1].is_err());
    assert_eq!(both(&partitions, OTHER_OWN, 0, 9)[1], Ok(()));
}

#[test]
fn a_partition_not_heard_of_is_served_by_the_callers_epoch() {
    let fresh = Partitions::default();
    assert_eq!(
        fresh.wanted(),
        Some(0),
        "a node just started wants the table"
    );
    assert_eq!(both(&fresh, OWN, 3, 1), [Ok(()), Ok(())]);
    let partitions = knowing(&[(0, 7, &[OWN])]);
    assert_eq!(both(&partitions, OWN, 3, 1), [Ok(()), Ok(())]);
    assert_eq!(partitions.wanted(), Some(1));
}

#[test]
fn a_doubled_table_keeps_what_was_known_of_both_children() {
    let partitions = knowing(&[(1, 7, &[OWN])]);
    // Only one child was heard of since.
    partitions
        .learn(&news(1, 3, &[(2, 9, &[OTHER_OWN])]), is_own)
        .unwrap();
    let check = |partition, epoch| {
        let stamp = in_partition(3, partition);
        partitions.check(OWN, stamp, epoch, Access::Write)
    };
    assert_eq!(check(3, 7), Ok(()));
    assert_eq!(check(3, 6), Err(ShardError::StaleEpoch { current: 7 }));
    assert_eq!(check(2, 7), Err(ShardError::StaleEpoch { current: 9 }));
    assert!(matches!(check(2, 9), Err(ShardError::Refused(_))));
    // The smaller table is old news.
    partitions
        .learn(&news(1, 2, &[(1, 50, &[OWN])]), is_own)
        .unwrap();
    assert_eq!(check(3, 7), Ok(()));
}

/// After a restore from backup epochs may start lower; what was known before says nothing.
#[test]
fn a_newer_generation_replaces_all_that_was_known() {
    let partitions = knowing(&[(0, 70, &[OWN]), (1, 70, &[OWN])]);
    partitions
        .learn(&news(2, 1, &[(0, 3, &[OWN])]), is_own)
        .unwrap();
    let low = in_partition(2, 0);
    assert_eq!(low.partition(1), 0);
    assert_eq!(partitions.check(OWN, low, 3, Access::Write), Ok(()));
    // News of before the restore.
    partitions
        .learn(&news(1, 2, &[(0, 99, &[])]), is_own)
        .unwrap();
    assert_eq!(partitions.check(OWN, low, 3, Access::Write), Ok(()));
}

#[test]
fn refuses_tables_that_are_none() {
    let partitions = Partitions::default();
    let refused = Err(ShardError::Refused("not a partition table"));
    for bits in [0, limits::PARTITION_BITS_MAX + 1, u32::MAX] {
        assert_eq!(partitions.learn(&news(1, bits, &[]), is_own), refused);
    }
    let beyond = news(1, 2, &[(0, 1, &[]), (4, 1, &[])]);
    assert_eq!(partitions.learn(&beyond, is_own), refused);
    assert_eq!(partitions.wanted(), Some(0), "nothing was learnt");
}

#[test]
fn who_waits_for_a_wish_is_woken_by_it() {
    let partitions = Partitions::default();
    let mut context = Context::from_waker(Waker::noop());
    let mut poll = |partitions: &Partitions| {
        let mut wish = std::pin::pin!(partitions.until_wanted());
        wish.as_mut().poll(&mut context)
    };
    assert_eq!(poll(&partitions), Poll::Ready(0));
    partitions
        .learn(&news(1, 2, &[(0, 7, &[OWN])]), is_own)
        .unwrap();
    // The bell may still hold the first ring: nothing comes of it.
    assert_eq!(poll(&partitions), Poll::Pending);
    let mut wish = std::pin::pin!(partitions.until_wanted());
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(wish.as_mut().poll(&mut context), Poll::Pending);
    both(&partitions, OWN, 0, 8)[0].clone().unwrap();
    assert_eq!(wish.as_mut().poll(&mut context), Poll::Ready(8));
}

proptest! {
    /// In any order, with rows left out and old ones among them: the newest of each row counts.
    #[test]
    fn knowledge_only_rises(
        told in vec((0_u32..4, 1_u64..20), 0..40),
        asked in vec((0_u32..4, 1_u64..20), 1..20),
    ) {
        let partitions = Partitions::default();
        let mut model: BTreeMap<u32, u64> = BTreeMap::new();
        for (partition, epoch) in told {
            // Even epochs name the disk.
            let disks: &[DiskId] = if epoch % 2 == 0 { &[OWN] } else { &[STRANGE] };
            partitions.learn(&news(1, 2, &[(partition, epoch, disks)]), is_own).unwrap();
            let known = model.entry(partition).or_insert(epoch);
            *known = epoch.max(*known);
        }
        for (partition, epoch) in asked {
            let expected = match model.get(&partition) {
                Some(known) if epoch < *known => [Some(*known); 2],
                Some(known) if epoch == *known && epoch % 2 == 1 => [None, Some(0)],
                _ => [None, None],
            };
            let found = both(&partitions, OWN, partition, epoch).map(|outcome| match outcome {
                Ok(()) => None,
                Err(ShardError::StaleEpoch { current }) => Some(current),
                Err(_) => Some(0),
            });
            prop_assert_eq!(found, expected);
        }
    }
}
