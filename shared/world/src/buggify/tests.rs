use super::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The points are one per process, and so are the tests that use them.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

const NAMES: [&str; 12] = [
    "a",
    "b",
    "c",
    "d",
    "e",
    "f",
    "journal-group-small",
    "sync-skipped",
    "snapshot-now",
    "hedge-at-once",
    "round-repeats",
    "page-of-one",
];

/// The visits, of 400 in a row, at which `name` fired.
fn firings(name: &'static str) -> Vec<usize> {
    (0..400).filter(|_| buggify(name)).collect()
}

#[test]
fn nothing_fires_before_begin_nor_after_end() {
    let _turn = alone();
    end();
    assert!(NAMES.iter().all(|name| firings(name).is_empty()));
    begin(4);
    assert!(fired().is_empty(), "a run starts with no point visited");
    let during: usize = NAMES.iter().map(|name| firings(name).len()).sum();
    assert!(during > 0);
    end();
    assert!(NAMES.iter().all(|name| firings(name).is_empty()));
    assert_eq!(
        fired().values().sum::<u64>(),
        during as u64,
        "counts outlive the end"
    );
}

#[test]
fn a_points_firings_follow_from_seed_and_name_and_not_from_other_points() {
    let _turn = alone();
    for seed in 0..50 {
        begin(seed);
        let in_order: Vec<_> = NAMES.iter().map(|name| firings(name)).collect();
        begin(seed);
        let backwards: Vec<_> = NAMES.iter().rev().map(|name| firings(name)).collect();
        assert!(in_order.iter().eq(backwards.iter().rev()), "seed {seed}");
        begin(seed);
        let mut mixed = vec![Vec::new(); NAMES.len()];
        for visit in 0..400 {
            for (name, fires) in NAMES.iter().zip(&mut mixed) {
                if buggify(name) {
                    fires.push(visit);
                }
            }
        }
        assert_eq!(in_order, mixed, "seed {seed}");
    }
    end();
}

#[test]
fn three_points_in_ten_are_enabled_and_fire_at_one_visit_in_twenty() {
    let _turn = alone();
    let (mut enabled, mut fires, mut points) = (0_u64, 0_u64, 0_u64);
    for seed in 0..200 {
        begin(seed);
        for name in NAMES {
            let count = firings(name).len() as u64;
            points += 1;
            enabled += u64::from(count > 0);
            fires += count;
        }
        assert_eq!(
            fired().len(),
            NAMES.len(),
            "visited points are listed, fired or not"
        );
    }
    end();
    let share = enabled * 100 / points;
    assert!((25..=35).contains(&share), "{share} % enabled");
    let per_point = fires / enabled;
    assert!((18..=22).contains(&per_point), "{per_point} of 400 visits");
}

#[test]
fn counts_what_fired_and_forgets_it_with_the_next_run() {
    let _turn = alone();
    let name = "counted";
    let seed = (0..100)
        .find(|seed| {
            begin(*seed);
            !firings(name).is_empty()
        })
        .expect("one seed in a hundred enables the point");
    begin(seed);
    let count = firings(name).len() as u64;
    assert_eq!(fired(), std::collections::BTreeMap::from([(name, count)]));
    begin(seed);
    assert!(fired().is_empty());
    end();
}

#[test]
fn threads_share_one_stream_and_lose_no_visit() {
    let _turn = alone();
    let name = "shared";
    let seed = (0..100)
        .find(|seed| {
            begin(*seed);
            !firings(name).is_empty()
        })
        .expect("one seed in a hundred enables the point");
    begin(seed);
    let alone = (0..4_000).filter(|_| buggify(name)).count();
    begin(seed);
    let visit = || (0..1_000).filter(|_| buggify(name)).count();
    let together: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(visit)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("ran"))
            .sum()
    });
    assert_eq!(alone, together);
    end();
}

#[test]
fn points_that_a_run_needs_are_enabled_whatever_its_seed() {
    let _turn = alone();
    let (mut with, mut pressed, mut without, mut all, mut most) = (0, 0, 0, 0, 0);
    for seed in 0..40 {
        begin_with(seed, &["snapshot-now"], &["view-late"]);
        let (now, late) = (firings("snapshot-now").len(), firings("view-late").len());
        with += u64::from(now > 0);
        pressed += u64::from(late > 0);
        without += u64::from(!firings("page-of-one").is_empty());
        (all, most) = (all + now, most + late);
    }
    end();
    assert!(
        with == 40 && pressed == 40 && without < 30,
        "{with} {pressed} {without}"
    );
    assert!(3 * all < most && most < 5 * all, "{all} {most}");
}

#[test]
fn a_run_may_have_a_few_points_and_no_others() {
    let _turn = alone();
    for seed in 0..20 {
        begin_only(seed, &["a", "hedge-at-once"]);
        for name in NAMES {
            let fires = !firings(name).is_empty();
            assert_eq!(fires, name == "a" || name == "hedge-at-once", "{name}");
        }
    }
    end();
}
