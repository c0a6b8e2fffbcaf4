//! Promise 3 for repair: whatever sources give, no wrong shard is ever written.

use super::rig::*;
use cairn_rpc::{Rebuilt, ShardError};
use proptest::prelude::*;

fn any_mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        4 => Just(Mood::Honest),
        1 => Just(Mood::Fails(ShardError::Missing)),
        1 => Just(Mood::Fails(ShardError::Corrupt("cell".to_owned()))),
        1 => Just(Mood::Fails(ShardError::Unavailable("away".to_owned()))),
        2 => Just(Mood::Flips),
        2 => Just(Mood::OtherCells),
        1 => Just(Mood::OtherRecord),
        1 => Just(Mood::WrongTable),
        1 => Just(Mood::NoTable),
        1 => Just(Mood::OtherShard),
        1 => Just(Mood::Short),
        1 => Just(Mood::Clipped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn liars_never_spoil_a_shard_and_k_honest_sources_always_make_it(
        k in 1_u8..=4, m in 1_u8..=3, len in 1_u64..60_000,
        moods in prop::collection::vec(any_mood(), 8), pick: prop::sample::Index,
        with_own: bool, shuffle: u64,
    ) {
        let fleet = Fleet::new(coding(k, m), len);
        let shards = fleet.chunk.coding.shards();
        let wanted = pick.index(shards) as u8;
        for (shard, mood) in (0..shards as u8).zip(&moods) {
            fleet.set(shard, mood.clone());
        }
        let mut order = fleet.order(wanted);
        if with_own {
            order.sources.push((wanted, source_disk(wanted)));
        }
        let turn = shuffle as usize % order.sources.len();
        order.sources.rotate_left(turn);
        let honest = order.sources.iter();
        let honest = honest.filter(|(shard, _)| moods[usize::from(*shard)] == Mood::Honest);
        let enough = honest.count() >= usize::from(k);
        match fleet.rebuild(order.clone()) {
            Ok(Rebuilt::Written) => prop_assert!(fleet.target.has(&fleet.chunk, wanted)),
            Ok(Rebuilt::Found) => prop_assert!(false, "nothing was there"),
            Err(error) => {
                prop_assert!(!enough, "{:?} although {} sources are honest", error, k);
                prop_assert!(matches!(error, ShardError::Missing | ShardError::Unavailable(_)));
                prop_assert!(!fleet.target.has(&fleet.chunk, wanted));
                let left = fleet.target.node.inventory(fleet.target.disk, None, 10).unwrap();
                prop_assert!(left.is_empty());
            }
        }
    }
}

/// Exactly k sources, one of them wrong in each way: nothing may come of it.
#[test]
fn one_wrong_source_among_exactly_k_makes_no_shard() {
    for mood in [
        Mood::Flips,
        Mood::OtherCells,
        Mood::OtherRecord,
        Mood::OtherShard,
        Mood::Short,
        Mood::Clipped,
    ] {
        for wanted in [0, 3] {
            for liar in [1, 2, 4] {
                let fleet = Fleet::new(coding(3, 2), 70_000);
                fleet.set(liar, mood.clone());
                let mut order = fleet.order(wanted);
                order.sources.retain(|(shard, _)| [1, 2, 4].contains(shard));
                let outcome = fleet.rebuild(order);
                assert_eq!(
                    outcome,
                    Err(ShardError::Missing),
                    "{mood:?} {wanted} {liar}"
                );
                assert!(!fleet.target.has(&fleet.chunk, wanted));
            }
        }
    }
}

/// Its table is believed in nothing, its cells as far as the right table agrees.
#[test]
fn a_source_with_a_wrong_table_may_still_have_right_cells() {
    let fleet = Fleet::new(coding(2, 1), 70_000);
    fleet.set(1, Mood::WrongTable);
    assert_eq!(fleet.rebuild(fleet.order(0)), Ok(Rebuilt::Written));
    assert!(fleet.target.has(&fleet.chunk, 0));
    let fleet = Fleet::new(coding(2, 1), 70_000);
    fleet.set(1, Mood::WrongTable);
    fleet.set(2, Mood::WrongTable);
    assert_eq!(fleet.rebuild(fleet.order(0)), Err(ShardError::Missing));
}

/// All sources agree with each other and not with the row.
#[test]
fn a_whole_other_chunk_is_not_the_one_ordered() {
    let fleet = Fleet::new(coding(2, 1), 50_000);
    (0..3).for_each(|shard| fleet.set(shard, Mood::OtherRecord));
    for wanted in 0..3 {
        let outcome = fleet.rebuild(fleet.order(wanted));
        assert_eq!(outcome, Err(ShardError::Missing));
    }
}
