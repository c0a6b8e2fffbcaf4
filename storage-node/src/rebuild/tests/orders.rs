//! What an order does, and each of its refusals.

use std::time::Duration;

use super::rig::*;
use crate::tuning::{REBUILD_ORDERS, REBUILD_WINDOW, REBUILDS, SOURCE_PATIENCE};
use cairn_model::{DiskId, limits};
use cairn_rpc::{Rebuild, Rebuilt, ShardError, ShardRebuild, ShardService};
use proptest::prelude::*;

const LEN: u64 = 100_000;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shard_is_made_anew_as_it_was(k in 1_u8..=5, m in 0_u8..=3, len in 1_u64..150_000, pick: prop::sample::Index) {
        let fleet = Fleet::new(coding(k, m), len);
        let wanted = pick.index(fleet.chunk.coding.shards()) as u8;
        let outcome = fleet.rebuild(fleet.order(wanted));
        if m == 0 {
            prop_assert_eq!(outcome, Err(ShardError::Missing));
            return Ok(());
        }
        prop_assert_eq!(outcome, Ok(Rebuilt::Written));
        prop_assert!(fleet.target.has(&fleet.chunk, wanted));
        prop_assert_eq!(fleet.rebuild(fleet.order(wanted)), Ok(Rebuilt::Found));
    }
}

#[test]
fn a_good_record_is_found_and_nothing_is_read_elsewhere_or_written() {
    let fleet = Fleet::new(coding(3, 2), LEN);
    for shard in 0..5 {
        fleet.target.put(&fleet.chunk, shard);
        let place = fleet.target.place(&fleet.chunk, shard);
        assert_eq!(fleet.rebuild(fleet.order(shard)), Ok(Rebuilt::Found));
        assert_eq!(fleet.target.place(&fleet.chunk, shard), place);
    }
    assert!((0..5).all(|shard| fleet.reads(shard).is_empty()));
}

#[test]
fn a_record_with_one_bad_cell_is_replaced_at_another_place() {
    for shard in [0, 2, 3, 4] {
        let fleet = Fleet::new(coding(3, 2), LEN);
        fleet.target.put(&fleet.chunk, shard);
        let bad = fleet.target.place(&fleet.chunk, shard);
        fleet.target.spoil(&fleet.chunk, shard, 4);
        assert!(!fleet.target.has(&fleet.chunk, shard));
        assert_eq!(fleet.rebuild(fleet.order(shard)), Ok(Rebuilt::Written));
        assert!(fleet.target.has(&fleet.chunk, shard));
        assert_ne!(fleet.target.place(&fleet.chunk, shard), bad);
        assert_eq!(fleet.rebuild(fleet.order(shard)), Ok(Rebuilt::Found));
    }
}

/// Its record is whole; only the row knows better.
#[test]
fn a_whole_record_of_another_chunk_coding_or_table_is_replaced() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let chunk = &fleet.chunk;
    let mut other = Chunk::new(coding(2, 1), LEN, 99);
    other.incarnation = chunk.incarnation;
    let longer = Chunk {
        incarnation: chunk.incarnation,
        id: chunk.id,
        ..Chunk::new(coding(2, 1), LEN + 9_000, 98)
    };
    let wider = Chunk {
        incarnation: chunk.incarnation,
        id: chunk.id,
        ..Chunk::new(coding(2, 2), LEN, 11)
    };
    let same_name = Chunk {
        id: chunk.id,
        ..other.clone()
    };
    for (what, wrong) in [
        ("chunk", &other),
        ("length", &longer),
        ("coding", &wider),
        ("bytes and table", &same_name),
    ] {
        for shard in 0..3 {
            fleet.target.put(wrong, shard);
            let outcome = fleet.rebuild(fleet.order(shard));
            assert_eq!(outcome, Ok(Rebuilt::Written), "{what} {shard}");
            assert!(fleet.target.has(chunk, shard), "{what} {shard}");
        }
    }
}

/// What wrote it saw no contradiction: a second copy is not compared with the table as it comes.
#[test]
fn a_copy_with_the_right_table_and_other_bytes_is_replaced() {
    let fleet = Fleet::new(coding(1, 2), 3_000);
    let other = Chunk::new(coding(1, 2), 3_000, 44);
    let (cells, trailer) = (&other.shards[2], fleet.chunk.trailer());
    fleet.target.put_cells(&fleet.chunk, 2, cells, trailer);
    assert_eq!(fleet.rebuild(fleet.order(2)), Ok(Rebuilt::Written));
    assert!(fleet.target.has(&fleet.chunk, 2));
}

#[test]
fn a_data_shard_that_somebody_has_is_read_from_there_alone() {
    let fleet = Fleet::new(coding(4, 2), LEN);
    let mut order = fleet.order(1);
    order.sources.push((1, source_disk(1)));
    assert_eq!(fleet.rebuild(order), Ok(Rebuilt::Written));
    let read: Vec<bool> = (0..6).map(|s| !fleet.reads(s).is_empty()).collect();
    assert_eq!(read, [false, true, false, false, false, false]);
}

#[test]
fn parity_that_somebody_has_is_worked_out_all_the_same() {
    let fleet = Fleet::new(coding(2, 2), LEN);
    fleet.set(3, Mood::Flips);
    let mut order = fleet.order(3);
    order.sources.insert(0, (3, source_disk(3)));
    assert_eq!(fleet.rebuild(order), Ok(Rebuilt::Written));
    assert!(fleet.target.has(&fleet.chunk, 3));
}

/// As a faulty processor would have sealed it: every checksum fits, the bytes are no parity.
#[test]
fn parity_that_never_was_right_is_seen_by_a_thorough_order() {
    for (k, shard) in [(2, 2), (3, 4)] {
        let fleet = Fleet::new(coding(k, 2), LEN);
        let chunk = &fleet.chunk;
        let wrong = Chunk::new(coding(k, 2), LEN, 40);
        let cells = &wrong.shards[usize::from(shard)];
        fleet.target.put_cells(chunk, shard, cells, chunk.trailer());
        assert_eq!(fleet.rebuild(fleet.order(shard)), Ok(Rebuilt::Found));
        let thorough = Rebuild {
            thorough: true,
            ..fleet.order(shard)
        };
        // While it cannot be judged, nothing is said or done.
        (0..k).for_each(|away| fleet.set(away, Mood::Fails(ShardError::Missing)));
        let place = fleet.target.place(chunk, shard);
        assert_eq!(fleet.rebuild(thorough.clone()), Err(ShardError::Missing));
        assert_eq!(fleet.target.place(chunk, shard), place);
        (0..k).for_each(|back| fleet.set(back, Mood::Honest));
        assert_eq!(fleet.rebuild(thorough.clone()), Ok(Rebuilt::Written));
        assert!(fleet.target.has(chunk, shard));
        assert_eq!(fleet.rebuild(thorough), Ok(Rebuilt::Found));
    }
}

#[test]
fn a_thorough_order_for_data_reads_nothing_elsewhere() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    fleet.target.put(&fleet.chunk, 1);
    let thorough = Rebuild {
        thorough: true,
        ..fleet.order(1)
    };
    assert_eq!(fleet.rebuild(thorough), Ok(Rebuilt::Found));
    assert!(fleet.reads(0).is_empty() && fleet.reads(2).is_empty());
}

#[test]
fn the_best_sources_are_asked_and_no_more_than_needed() {
    let fleet = Fleet::new(coding(3, 3), LEN);
    let mut order = fleet.order(0);
    order.sources.reverse();
    assert_eq!(fleet.rebuild(order), Ok(Rebuilt::Written));
    let asked: Vec<usize> = (0..6).map(|shard| fleet.reads(shard).len()).collect();
    assert_eq!(asked, [0, 0, 0, 1, 1, 1]);
}

#[test]
fn a_long_chunk_is_read_in_windows_and_its_table_once() {
    let wide = cairn_model::Coding::new(2, 1).unwrap();
    let fleet = Fleet::new(wide, 11 << 20);
    let outcome = fleet.rebuild(fleet.order(2));
    // A record longer than a segment of this rig is refused before anything is written.
    assert_eq!(
        outcome,
        Err(ShardError::Refused("record is larger than a segment"))
    );
    let narrow = Fleet::new(coding(16, 1), 9 << 20);
    assert_eq!(narrow.rebuild(narrow.order(3)), Ok(Rebuilt::Written));
    let reads = narrow.reads(0);
    assert_eq!(reads.len(), 3);
    let bytes = |read: &cairn_rpc::ShardRead| u64::from(read.cells) * 16 * 4_096;
    assert!(reads.iter().all(|read| bytes(read) <= REBUILD_WINDOW));
    let tables: Vec<bool> = reads.iter().map(|read| read.with_table).collect();
    assert_eq!(tables, [true, false, false]);
}

#[test]
fn too_few_sources_are_missing() {
    let fleet = Fleet::new(coding(3, 2), LEN);
    fleet.set(1, Mood::Fails(ShardError::Missing));
    fleet.set(2, Mood::Fails(ShardError::Corrupt("cell".to_owned())));
    assert_eq!(fleet.rebuild(fleet.order(0)), Err(ShardError::Missing));
    assert!(!fleet.target.has(&fleet.chunk, 0));
    let mut alone = fleet.order(0);
    alone.sources.clear();
    assert_eq!(fleet.rebuild(alone), Err(ShardError::Missing));
}

#[test]
fn sources_that_cannot_be_asked_are_no_evidence_of_loss() {
    let fleet = Fleet::new(coding(3, 2), LEN);
    fleet.set(1, Mood::Fails(ShardError::Missing));
    let mut order = fleet.order(0);
    // Nobody is known to hold the disk of shard 2.
    order.sources[1].1 = DiskId([1; 16]);
    assert!(matches!(
        fleet.rebuild(order),
        Err(ShardError::Unavailable(_))
    ));
    for error in [
        ShardError::NotMine,
        ShardError::Failed("EIO".to_owned()),
        ShardError::Unavailable("gone".to_owned()),
        ShardError::Refused("why"),
    ] {
        fleet.set(2, Mood::Fails(error));
        let outcome = fleet.rebuild(fleet.order(0));
        assert!(matches!(outcome, Err(ShardError::Unavailable(_))));
    }
    // One that is away would not have been enough.
    fleet.set(3, Mood::Fails(ShardError::Missing));
    assert_eq!(fleet.rebuild(fleet.order(0)), Err(ShardError::Missing));
}

#[test]
fn a_source_that_knows_a_newer_epoch_says_so() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    fleet.set(1, Mood::Fails(ShardError::StaleEpoch { current: 9 }));
    let stale = Err(ShardError::StaleEpoch { current: 9 });
    assert_eq!(fleet.rebuild(fleet.order(0)), stale);
}

#[test]
fn an_order_is_judged_by_the_row_of_its_partition() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let tell = |epoch, disk| {
        let row = crate::RowNews {
            partition: fleet.chunk.incarnation.partition(3),
            epoch,
            disks: vec![disk],
        };
        let news = crate::PlacementNews {
            generation: 1,
            bits: 3,
            rows: vec![row],
        };
        fleet.target.node.learn_partitions(&news).unwrap();
    };
    tell(2, fleet.target.disk);
    let stale = Err(ShardError::StaleEpoch { current: 2 });
    assert_eq!(fleet.rebuild(fleet.order(0)), stale);
    let order = Rebuild {
        epoch: 3,
        ..fleet.order(0)
    };
    tell(3, source_disk(0));
    let refused = fleet.rebuild(order.clone());
    assert!(matches!(refused, Err(ShardError::Refused(_))));
    tell(4, fleet.target.disk);
    let order = Rebuild { epoch: 4, ..order };
    assert_eq!(fleet.rebuild(order), Ok(Rebuilt::Written));
    assert!(fleet.reads(1).iter().all(|read| read.epoch == 4));
}

#[test]
fn a_silent_source_costs_its_patience_once() {
    let fleet = Fleet::new(coding(2, 2), 600_000);
    fleet.set(1, Mood::Silent);
    let rebuilder = fleet.rebuilder();
    let mut work = std::pin::pin!(rebuilder.rebuild(fleet.order(0)));
    assert_eq!(poll(&mut work), None);
    fleet
        .clock
        .advance(SOURCE_PATIENCE - Duration::from_millis(1));
    assert_eq!(poll(&mut work), None);
    fleet.clock.advance(Duration::from_millis(1));
    assert_eq!(poll(&mut work), Some(Ok(Rebuilt::Written)));
    assert_eq!(fleet.reads(1).len(), 1);
    assert!(fleet.target.has(&fleet.chunk, 0));
}

#[test]
fn only_so_many_run_at_once_and_the_next_takes_a_place_given_up() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    fleet.set(1, Mood::Silent);
    let rebuilder = fleet.rebuilder();
    let begin = || Box::pin(rebuilder.rebuild(fleet.order(0)));
    let mut orders: Vec<_> = (0..REBUILD_ORDERS).map(|_| begin()).collect();
    for work in &mut orders {
        assert_eq!(poll(&mut work.as_mut()), None);
    }
    // Only those that run read.
    assert_eq!(fleet.reads(1).len(), REBUILDS);
    let beyond = fleet.rebuild(fleet.order(0));
    assert!(matches!(beyond, Err(ShardError::Unavailable(_))));
    fleet.set(1, Mood::Honest);
    let last = orders.split_off(REBUILDS + 1);
    let mut next = orders.pop().unwrap();
    assert_eq!(poll(&mut next.as_mut()), None);
    drop(orders);
    assert_eq!(poll(&mut next.as_mut()), Some(Ok(Rebuilt::Written)));
    for mut work in last {
        assert_eq!(poll(&mut work.as_mut()), Some(Ok(Rebuilt::Found)));
    }
}

/// The row changes while an order waits for its turn.
#[test]
fn an_order_that_grew_stale_while_it_waited_is_not_carried_out() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    fleet.set(1, Mood::Silent);
    let rebuilder = fleet.rebuilder();
    let begin = || Box::pin(rebuilder.rebuild(fleet.order(0)));
    let mut orders: Vec<_> = (0..=REBUILDS).map(|_| begin()).collect();
    for work in &mut orders {
        assert_eq!(poll(&mut work.as_mut()), None);
    }
    let row = crate::RowNews {
        partition: fleet.chunk.incarnation.partition(3),
        epoch: 2,
        disks: vec![fleet.target.disk],
    };
    let news = crate::PlacementNews {
        generation: 1,
        bits: 3,
        rows: vec![row],
    };
    fleet.target.node.learn_partitions(&news).unwrap();
    let mut waiting = orders.pop().unwrap();
    drop(orders);
    let stale = Err(ShardError::StaleEpoch { current: 2 });
    assert_eq!(poll(&mut waiting.as_mut()), Some(stale));
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let good = fleet.order(0);
    let many = vec![(1, source_disk(1)); limits::REBUILD_SOURCES_MAX + 1];
    for bad in [
        Rebuild {
            shard: 3,
            ..good.clone()
        },
        Rebuild {
            chunk_len: 0,
            ..good.clone()
        },
        Rebuild {
            chunk_len: limits::CHUNK_LEN_MAX + 1,
            ..good.clone()
        },
        Rebuild {
            sources: vec![(3, source_disk(1))],
            ..good.clone()
        },
        Rebuild {
            sources: many,
            ..good.clone()
        },
    ] {
        assert!(matches!(fleet.rebuild(bad), Err(ShardError::Refused(_))));
    }
    let elsewhere = Rebuild {
        disk: DiskId([1; 16]),
        ..good
    };
    assert_eq!(fleet.rebuild(elsewhere), Err(ShardError::NotMine));
}

/// What was stored before a restore from backup must be repaired after it.
#[test]
fn writings_of_a_fenced_generation_are_made_anew() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    now(fleet.target.node.fence_generation(9)).unwrap();
    let header = fleet.chunk.header(0, fleet.target.disk);
    assert!(now(fleet.target.node.prepare(header)).is_err());
    assert_eq!(fleet.rebuild(fleet.order(0)), Ok(Rebuilt::Written));
}

/// Each source lost another cell: no read of a window works, every stripe does.
#[test]
fn sources_that_each_lost_a_cell_are_enough_together() {
    let fleet = Fleet::new(coding(2, 1), LEN);
    let machines: Vec<Machine> = (1..3).map(|shard| Machine::new(50 + shard)).collect();
    let mut order = fleet.order(0);
    order.sources.clear();
    for (shard, machine) in (1_u8..).zip(&machines) {
        machine.put(&fleet.chunk, shard);
        order.sources.push((shard, machine.disk));
    }
    // The wanted shard itself is here, with a bad cell; so are both others.
    fleet.target.put(&fleet.chunk, 0);
    fleet.target.spoil(&fleet.chunk, 0, 3);
    machines[0].spoil(&fleet.chunk, 1, 5);
    machines[1].spoil(&fleet.chunk, 2, 7);
    order.sources.push((0, fleet.target.disk));
    let mut routes = std::collections::BTreeMap::new();
    for machine in &machines {
        let service: std::sync::Arc<dyn ShardService> = machine.node.clone();
        routes.insert(machine.disk, service);
    }
    let rebuilder = crate::Rebuilder::new(
        fleet.target.node.clone(),
        std::sync::Arc::new(routes),
        std::sync::Arc::new(fleet.clock.clone()),
    );
    assert_eq!(now(rebuilder.rebuild(order.clone())), Ok(Rebuilt::Written));
    assert!(fleet.target.has(&fleet.chunk, 0));
    // Two cells of one stripe are too many.
    fleet.target.spoil(&fleet.chunk, 0, 3);
    machines[0].spoil(&fleet.chunk, 1, 3);
    assert_eq!(now(rebuilder.rebuild(order)), Err(ShardError::Missing));
}
