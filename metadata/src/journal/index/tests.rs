use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(index: u64) -> LogPosition {
    LogPosition {
        term: 1,
        leader: 1,
        index,
    }
}

fn entry(index: u64, len: usize) -> LogEntry {
    LogEntry {
        position: at(index),
        payload: vec![7; len].into(),
    }
}

fn location(index: u64) -> Location {
    Location {
        file: 1,
        offset: index * 100,
        len: 10,
        sum: index,
    }
}

#[test]
fn an_entry_may_begin_anywhere_and_must_then_follow() {
    let mut index = Index::new(1_000);
    index.push(entry(5, 1)).unwrap();
    let error = index.push(entry(7, 1)).unwrap_err();
    assert_eq!(
        error,
        JournalError::Gap {
            expected: 6,
            found: 7
        }
    );
    index.purge(at(20));
    assert_eq!(index.last(), Some(at(20)));
    let error = index.push(entry(6, 1)).unwrap_err();
    assert_eq!(
        error,
        JournalError::Gap {
            expected: 21,
            found: 6
        }
    );
    index.push(entry(21, 1)).unwrap();
    index.purge(at(3));
    assert_eq!(
        index.pointers.purged,
        Some(at(20)),
        "purging never goes back"
    );
}

#[test]
fn a_location_never_lands_on_an_entry_that_took_its_index() {
    let mut index = Index::new(1_000);
    let old = index.push(entry(0, 4)).unwrap();
    index.truncate(None);
    let new = index.push(entry(0, 8)).unwrap();
    index.written(0, old, location(0));
    assert!(!index.is_durable(0));
    index.written(0, new, location(9));
    assert!(index.is_durable(0));
    assert!(index.holds(0, new) && !index.holds(0, old));
}

#[test]
fn only_durable_payloads_leave_memory_and_the_oldest_first() {
    let mut index = Index::new(250);
    let serials: Vec<_> = (0..5).map(|n| index.push(entry(n, 100)).unwrap()).collect();
    index.evict();
    assert_eq!(index.cached(), 500, "nothing is durable yet");
    for n in 0..2 {
        index.written(n, serials[n as usize], location(n));
    }
    index.evict();
    assert_eq!(index.cached(), 300, "two were durable");
    assert!(matches!(index.find(1), Some(Found::OnDisk(..))));
    assert!(matches!(index.find(2), Some(Found::Ready(_))));
    for n in 2..5 {
        index.written(n, serials[n as usize], location(n));
    }
    index.evict();
    assert_eq!(index.cached(), 200);
    index.truncate(Some(2));
    assert_eq!(index.cached(), 0);
    index.push(entry(3, 300)).unwrap();
    index.purge(at(1));
    assert_eq!(index.cached(), 300);
    index.purge(at(3));
    assert_eq!((index.cached(), index.len()), (0, 0));
}

/// A change as [`LapRuns`] sees it.
#[derive(Clone, Debug)]
enum Step {
    Append(u8),
    Truncate(u8),
    Purge(u8),
    NextLap,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u8..6).prop_map(Step::Append),
        1 => any::<u8>().prop_map(Step::Truncate),
        1 => any::<u8>().prop_map(Step::Purge),
        2 => Just(Step::NextLap),
    ]
}

proptest! {
    /// The oldest lap needed is that of the first entry that is wanted, whatever happened.
    #[test]
    fn lap_runs_agree_with_a_plain_map(steps in prop::collection::vec(step(), 0..60)) {
        let mut runs = LapRuns::default();
        let mut laps: BTreeMap<u64, u64> = BTreeMap::new();
        let (mut lap, mut next, mut purged) = (1, 0u64, None::<u64>);
        for step in steps {
            match step {
                Step::Append(count) => {
                    for _ in 0..count {
                        runs.apply(&Record::Entry(at(next), Bytes::new()), lap);
                        laps.insert(next, lap);
                        next += 1;
                    }
                }
                Step::Truncate(back) => {
                    let floor = purged.map_or(0, |purged| purged + 1);
                    next = next.saturating_sub(u64::from(back)).max(floor);
                    let keep = next.checked_sub(1);
                    runs.apply(&Record::Truncate(keep), lap);
                    laps.retain(|index, _| *index < next);
                }
                Step::Purge(upto) => {
                    if let Some(upto) = next.checked_sub(1 + u64::from(upto) % 8) {
                        purged = purged.max(Some(upto));
                        runs.apply(&Record::Purged(at(upto)), lap);
                        laps.retain(|index, _| Some(*index) > purged);
                    }
                }
                Step::NextLap => lap += 1,
            }
            let oldest = laps.first_key_value().map_or(lap, |(_, lap)| *lap);
            prop_assert_eq!(runs.oldest(lap), oldest);
            prop_assert!(!runs.reaches(next));
        }
    }
}
