//! The index alone.

use super::*;
use crate::format::{Salt, Shape, Tombstone};
use crate::volume::ledger::Place;
use cairn_model::{ChunkId, Coding, DiskId, DomainId, SessionId, Sha256};
use cairn_store::MemoryStore;
use proptest::prelude::*;

fn entry(counter: u64, shard: u8, segment: u64, sequence: u64) -> Entry {
    let shape = Shape {
        incarnation: Incarnation {
            group: 1,
            generation: 2,
            session: SessionId(3),
            counter,
        },
        shard,
        coding: Coding::new(2, 1).unwrap(),
        chunk_len: 5_000,
    };
    Entry {
        shape,
        place: Place {
            segment,
            unit: 7,
            units: shape.units().unwrap(),
        },
        sequence,
        chunk: ChunkId {
            domain: DomainId(1),
            sha256: Sha256([u8::try_from(counter % 256).unwrap(); 32]),
        },
    }
}

fn tombstone(entry: &Entry, sequence: u64) -> Tombstone {
    Tombstone {
        incarnation: entry.shape.incarnation,
        chunk: entry.chunk,
        sequence,
    }
}

fn index() -> Index {
    Index::new(Arc::new(MemoryStore::new()))
}

fn locate(index: &Index, entry: &Entry) -> Option<Entry> {
    index
        .locate(entry.shape.incarnation, entry.shape.shard)
        .unwrap()
}

proptest! {
    #[test]
    fn rows_round_trip(
        counter in 0..=cairn_model::incarnation::U48_MAX, shard in 0_u8..3, segment: u64, sequence: u64,
        salt: [u8; 16], counts: [u64; 3], units: u32, disk: [u8; 16], clean: bool,
    ) {
        let row = entry(counter, shard, segment, sequence);
        let key = rows::live_key(row.shape.incarnation, shard);
        prop_assert_eq!(rows::entry(&key, &rows::entry_value(&row)).unwrap(), row);
        let key = rows::dead_key(&row);
        prop_assert_eq!(rows::entry(&key, &rows::entry_value(&row)).unwrap(), row);
        let [live, punched, tombstones] = counts;
        let sealed = SegmentRow { salt: Salt(salt), units, live, punched, tombstones };
        let read = rows::segment(&rows::segment_key(segment), &rows::segment_value(&sealed));
        prop_assert_eq!(read, Some((segment, sealed)));
        let state = StateRow { disk: DiskId(disk), clean, next_segment: segment, next_sequence: sequence };
        prop_assert_eq!(rows::state(&rows::state_value(&state)), Some(state));
        let stone = TombstoneRow {
            incarnation: row.shape.incarnation, chunk: row.chunk, sequence, segment,
        };
        let key = rows::tombstone_key(stone.incarnation, stone.chunk);
        prop_assert_eq!(rows::tombstone(&key, &rows::tombstone_value(&stone)).unwrap(), stone);
    }

    #[test]
    fn arbitrary_rows_are_refused_not_trusted(
        key in proptest::collection::vec(any::<u8>(), 0..60),
        value in proptest::collection::vec(any::<u8>(), 0..74),
    ) {
        prop_assert!(rows::entry(&key, &value).is_err());
        if value.len() < 34 {
            prop_assert_eq!(rows::state(&value), None);
        }
        if value.len() < 44 {
            prop_assert_eq!(rows::segment(&key, &value), None);
        }
    }
}

#[test]
fn a_place_is_live_or_dead_never_both() {
    let index = index();
    let (old, new) = (entry(1, 0, 1, 1), entry(1, 0, 2, 2));
    index.edit(|edit| edit.land(&old)).unwrap();
    let effects = index.edit(|edit| edit.land(&new)).unwrap();
    assert_eq!(effects, vec![Effect::Died(old), Effect::Landed(new.place)]);
    let dead = index.look().dead_of(old.shape.incarnation).unwrap();
    assert_eq!((locate(&index, &old), dead), (Some(new), vec![old]));
    index.edit(|edit| edit.land(&old)).unwrap();
    let dead = index.look().dead_of(old.shape.incarnation).unwrap();
    assert_eq!((locate(&index, &old), dead), (Some(old), vec![new]));
    index.edit(|edit| edit.burn(&old)).unwrap();
    assert_eq!(locate(&index, &old), None);
    assert_eq!(
        index.look().dead_of(old.shape.incarnation).unwrap().len(),
        2
    );
}

#[test]
fn a_tombstone_kills_what_came_before_it_only() {
    let index = index();
    let (before, after) = (entry(1, 0, 1, 5), entry(1, 1, 1, 9));
    let other = entry(2, 0, 1, 5);
    index
        .edit(|edit| {
            [&before, &after, &other]
                .into_iter()
                .try_for_each(|entry| edit.land(entry))
        })
        .unwrap();
    index
        .edit(|edit| edit.delete(&tombstone(&before, 7), 3))
        .unwrap();
    assert_eq!(locate(&index, &before), None);
    assert_eq!(locate(&index, &after), Some(after));
    assert_eq!(locate(&index, &other), Some(other));
}

#[test]
fn an_older_tombstone_does_not_replace_a_newer_one() {
    let index = index();
    let row = entry(1, 0, 1, 5);
    index
        .edit(|edit| edit.delete(&tombstone(&row, 9), 4))
        .unwrap();
    let effects = index
        .edit(|edit| edit.delete(&tombstone(&row, 7), 3))
        .unwrap();
    assert_eq!(effects, vec![]);
    let kept = index
        .look()
        .tombstone(row.shape.incarnation, row.chunk)
        .unwrap()
        .unwrap();
    assert_eq!((kept.sequence, kept.segment), (9, 4));
    // Carried to another segment it is the same one.
    let effects = index
        .edit(|edit| edit.delete(&tombstone(&row, 9), 6))
        .unwrap();
    assert_eq!(
        effects,
        vec![Effect::TombstoneDropped(4), Effect::TombstoneKept(6)]
    );
}

#[test]
fn a_tombstone_is_forgotten_with_the_last_dead_record() {
    let index = index();
    let (one, two) = (entry(1, 0, 1, 1), entry(1, 1, 2, 2));
    index
        .edit(|edit| {
            edit.land(&one)?;
            edit.land(&two)?;
            edit.delete(&tombstone(&one, 7), 3)
        })
        .unwrap();
    let forget = |entry: &Entry| {
        let entry = *entry;
        index
            .edit(move |edit| {
                edit.forget_dead(&entry);
                edit.forget_needless(entry.shape.incarnation)
            })
            .unwrap()
    };
    assert_eq!(forget(&one), vec![]);
    assert_eq!(forget(&two), vec![Effect::TombstoneDropped(3)]);
}

#[test]
fn clearing_leaves_nothing() {
    let index = index();
    index
        .edit(|edit| (0..9_000).try_for_each(|counter| edit.land(&entry(counter, 0, 1, 1))))
        .unwrap();
    index.clear().unwrap();
    let mut left = 0;
    index
        .each_live(None, |_entry| {
            left += 1;
            true
        })
        .unwrap();
    assert_eq!(left, 0);
}
