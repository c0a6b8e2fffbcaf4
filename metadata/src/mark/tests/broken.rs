//! One test for each thing that can be wrong; all of what it brings is named.

use cairn_model::Incarnation;

use super::*;
use crate::keyspace::Present;
use crate::keyspace::bucket::{BucketKey, BucketNameKey};
use crate::keyspace::chunk::ChunkState;
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::debt::{DebtKey, DiskDebtKey, SlotDebtKey};
use crate::keyspace::lease::{LeaseEndKey, LeaseKey, LeaseRow};
use crate::keyspace::manifest::{ManifestKey, ManifestRow, PageKey, PageRow, ReleaseKey};
use crate::keyspace::pin::{PinKey, PinTarget, SessionPinKey};
use crate::keyspace::session::{StagedKey, StagedRow};
use crate::keyspace::upload::{DeadUploadKey, DeadUploadRow, PartKey};

fn refs(state: &State, chunk: ChunkId) -> u64 {
    state.row(&ChunkKey(chunk)).unwrap().refs
}

fn writing(state: &State, chunk: ChunkId) -> Incarnation {
    let row = state.row(&ChunkKey(chunk)).unwrap();
    Incarnation::from_bytes(&row.incarnation).unwrap()
}

/// The row that condemns the current writing of a chunk.
fn condemned(state: &State, chunk: ChunkId) -> CondemnedKey {
    let mut rows = state.rows_of::<CondemnedKey>().into_iter();
    rows.find(|(key, _)| key.chunk == chunk).unwrap().0
}

fn page(manifest: [u8; 16], page: u32) -> PageKey {
    PageKey { manifest, page }
}

fn fewer(chunk: ChunkId, counted: u64) -> Discrepancy {
    let recorded = counted + 1;
    Discrepancy::ChunkReferences {
        chunk,
        counted,
        recorded,
    }
}

#[test]
fn a_chunk_with_other_references_than_its_row_says() {
    for change in [1, 5, -1] {
        let Whole { mut state, .. } = whole();
        let counted = refs(&state, id(1));
        assert_eq!(counted, 2, "a list with copies, and a lease");
        let recorded = counted.saturating_add_signed(change);
        alter(&mut state, id(1), |row| row.refs = recorded);
        let expected = Discrepancy::ChunkReferences {
            chunk: id(1),
            counted,
            recorded,
        };
        assert_eq!(found(&state), [expected]);
    }
}

#[test]
fn accounts_do_not_make_up_for_each_other() {
    let Whole { mut state, .. } = whole();
    alter(&mut state, id(1), |row| row.refs += 1);
    remove(&mut state, &ChunkKey(of(2, 1)));
    let mut told = found(&state);
    told.sort_by_key(ToString::to_string);
    let missing = Discrepancy::ChunkWithoutRow {
        chunk: of(2, 1),
        counted: 1,
    };
    assert_eq!(told, [fewer(id(1), 2), missing]);
}

#[test]
fn a_held_chunk_without_a_row() {
    let Whole { mut state, .. } = whole();
    remove(&mut state, &ChunkKey(id(3)));
    let expected = Discrepancy::ChunkWithoutRow {
        chunk: id(3),
        counted: 1,
    };
    assert_eq!(found(&state), [expected]);
}

#[test]
fn a_held_chunk_that_is_dying() {
    for dying in [ChunkState::Condemned, ChunkState::Deleting] {
        let Whole { mut state, .. } = whole();
        alter(&mut state, id(3), |row| row.set_state(dying));
        let expected = Discrepancy::HeldChunkDying {
            chunk: id(3),
            refs: 1,
            state: dying,
        };
        assert_eq!(found(&state), [expected]);
    }
}

#[test]
fn a_held_chunk_that_was_given_up() {
    let Whole { mut state, .. } = whole();
    alter(&mut state, id(3), |row| {
        row.refs = 0;
        row.set_state(ChunkState::Deleting);
    });
    let key = CondemnedKey {
        epoch: 1,
        chunk: id(3),
        incarnation: writing(&state, id(3)),
    };
    let row = crate::keyspace::condemned::CondemnedRow {
        deleting: true,
        ..Default::default()
    };
    store(&mut state, &key, &row);
    let expected = Discrepancy::HeldChunkDying {
        chunk: id(3),
        refs: 1,
        state: ChunkState::Deleting,
    };
    assert_eq!(found(&state), [expected]);
}

#[test]
fn a_live_chunk_that_nothing_holds() {
    let Whole { mut state, .. } = whole();
    alter(&mut state, id(14), |row| row.set_state(ChunkState::Live));
    let expected = Discrepancy::LiveWithoutReferences { chunk: id(14) };
    assert_eq!(found(&state), [expected]);
}

#[test]
fn a_chunk_that_nothing_holds_is_condemned_once() {
    let Whole { mut state, .. } = whole();
    let key = condemned(&state, id(14));
    let told = |times| Discrepancy::NotCondemnedOnce {
        chunk: id(14),
        incarnation: key.incarnation,
        times,
    };
    let again = CondemnedKey { epoch: 77, ..key };
    let row = state.row(&key).unwrap();
    store(&mut state, &again, &row);
    assert_eq!(found(&state), [told(2)]);
    remove(&mut state, &again);
    remove(&mut state, &key);
    assert_eq!(found(&state), [told(0)]);
    // Another writing's end is not this one's.
    let other = CondemnedKey {
        incarnation: writing(&state, id(1)),
        ..key
    };
    store(&mut state, &other, &row);
    assert_eq!(found(&state), [told(0)]);
}

#[test]
fn a_condemned_writing_that_is_needed() {
    let Whole { mut state, .. } = whole();
    let row = state.row(&condemned(&state, id(14))).unwrap();
    let key = CondemnedKey {
        epoch: 1,
        chunk: id(1),
        incarnation: writing(&state, id(1)),
    };
    store(&mut state, &key, &row);
    let expected = Discrepancy::CondemnedButHeld {
        chunk: id(1),
        incarnation: key.incarnation,
        refs: 2,
    };
    assert_eq!(found(&state), [expected]);
}

#[test]
fn a_deletion_that_only_one_row_knows() {
    for (name, state_said, deleting) in [
        (14, ChunkState::Condemned, true),
        (15, ChunkState::Deleting, false),
    ] {
        let Whole { mut state, .. } = whole();
        let key = condemned(&state, id(name));
        let mut row = state.row(&key).unwrap();
        row.deleting = deleting;
        store(&mut state, &key, &row);
        let expected = Discrepancy::DeletionDiffers {
            chunk: id(name),
            state: state_said,
            deleting,
        };
        assert_eq!(found(&state), [expected]);
    }
}

#[test]
fn a_manifest_with_other_holders_than_its_count() {
    let Whole {
        mut state, pages, ..
    } = whole();
    assert_eq!(state.row(&ManifestKey(pages)).unwrap().refs, 2);
    store(&mut state, &ManifestKey(pages), &ManifestRow { refs: 3 });
    let told = |manifest, counted, recorded| Discrepancy::ManifestReferences {
        manifest,
        counted,
        recorded,
    };
    assert_eq!(found(&state), [told(pages, 2, 3)]);
}

#[test]
fn a_count_of_a_manifest_that_is_not_shared() {
    for (recorded, held) in [(0, true), (1, true), (2, true), (2, false)] {
        let Whole {
            mut state, staged, ..
        } = whole();
        let manifest = if held { staged } else { [7; 16] };
        let row = ManifestRow { refs: recorded };
        store(&mut state, &ManifestKey(manifest), &row);
        let expected = Discrepancy::ManifestReferences {
            manifest,
            counted: u64::from(held),
            recorded,
        };
        assert_eq!(found(&state), [expected]);
    }
}

/// Each would let go of the chunks that were counted once.
#[test]
fn rows_that_share_a_list_without_saying_so() {
    let Whole { mut state, .. } = whole();
    let lists = state.rows_of::<ManifestKey>().into_iter();
    let three = lists.filter(|(_, row)| row.refs == 3);
    for (key, _) in three {
        remove(&mut state, &key);
    }
    let more = |chunk, recorded| Discrepancy::ChunkReferences {
        chunk,
        counted: recorded + 2,
        recorded,
    };
    let mut told = found(&state);
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, [more(id(1), 2), more(id(2), 1)]);
}

#[test]
fn pages_that_share_without_saying_so() {
    let Whole {
        mut state,
        staged,
        session,
        ..
    } = whole();
    let key = StagedKey {
        session,
        manifest: staged,
    };
    let row: StagedRow = state.row(&key).unwrap();
    let again = StagedKey {
        session: session + 1,
        manifest: staged,
    };
    store(&mut state, &again, &row);
    let twice = Discrepancy::PagesHeldTwice {
        manifest: staged,
        first: 0,
        end: 2,
        times: 2,
    };
    let told = found(&state);
    assert!(told.contains(&twice), "{told:?}");
    assert_eq!(told.len(), 3, "and both chunks: {told:?}");
}

#[test]
fn pages_that_nothing_holds() {
    let Whole {
        mut state, pages, ..
    } = whole();
    store(&mut state, &page([7; 16], 4), &PageRow::default());
    store(&mut state, &page([7; 16], 6), &PageRow::default());
    let unheld = |manifest, first, end| Discrepancy::PagesUnheld {
        manifest,
        first,
        end,
    };
    let mut told = found(&state);
    told.sort_by_key(ToString::to_string);
    assert_eq!(told, [unheld([7; 16], 4, 5), unheld([7; 16], 6, 7)]);
    remove(&mut state, &page([7; 16], 4));
    remove(&mut state, &page([7; 16], 6));
    // Behind the last.
    store(&mut state, &page(pages, 2), &PageRow::default());
    let told = found(&state);
    assert!(told.contains(&unheld(pages, 0, 3)), "{told:?}");
    assert_eq!(told.len(), 2, "and what was there is not: {told:?}");
}

#[test]
fn pages_that_are_held_and_missing() {
    let Whole {
        mut state,
        released,
        ..
    } = whole();
    remove(&mut state, &page(released, 0));
    let missing = |first| Discrepancy::PagesMissing {
        manifest: released,
        first,
        end: 2,
    };
    let told = found(&state);
    assert!(told.contains(&missing(0)), "{told:?}");
    assert!(told.contains(&fewer(id(12), 0)), "{told:?}");
    assert_eq!(told.len(), 3, "and the other page is unheld: {told:?}");
    // A release that has come so far has let go of it.
    let (key, mut row) = state.rows_of::<ReleaseKey>().remove(0);
    row.next = 1;
    store(&mut state, &key, &row);
    assert_eq!(found(&state), [fewer(id(12), 0)]);
}

#[test]
fn a_part_that_no_upload_has() {
    let Whole {
        mut state, open, ..
    } = whole();
    let row = state
        .row(&PartKey {
            upload: open,
            number: 1,
        })
        .unwrap();
    let stray = PartKey {
        upload: [7; 16],
        number: 3,
    };
    store(&mut state, &stray, &row);
    let told = |upload, number, times| Discrepancy::PartHolders {
        upload,
        number,
        times,
    };
    assert_eq!(found(&state), [told([7; 16], 3, 0)]);
    remove(&mut state, &stray);
    // Open and taken apart at the same time: its chunks would be let go under it.
    store(
        &mut state,
        &DeadUploadKey(open),
        &DeadUploadRow { domain: 1 },
    );
    let both = found(&state);
    assert!(both.contains(&told(open, 1, 2)), "{both:?}");
    assert_eq!(both.len(), 2, "and its chunk: {both:?}");
}

#[test]
fn a_lease_that_is_not_in_the_order_of_ends() {
    let Whole { mut state, .. } = whole();
    let key = LeaseKey(id(17));
    let end_ms = state.row(&key).unwrap().end_ms;
    let end = LeaseEndKey {
        end_ms,
        chunk: id(17),
    };
    remove(&mut state, &end);
    let lost = |end_ms| Discrepancy::LeaseNotInOrder {
        chunk: id(17),
        end_ms,
    };
    assert_eq!(found(&state), [lost(end_ms)]);
    store(&mut state, &end, &Present {});
    store(&mut state, &key, &LeaseRow { end_ms: end_ms + 1 });
    let alone = Discrepancy::LeaseEndAlone {
        chunk: id(17),
        end_ms,
    };
    assert_eq!(found(&state), [lost(end_ms + 1), alone]);
}

#[test]
fn an_end_without_its_lease() {
    let Whole { mut state, .. } = whole();
    let end = LeaseEndKey {
        end_ms: 5,
        chunk: id(17),
    };
    let alone = |end: LeaseEndKey| Discrepancy::LeaseEndAlone {
        chunk: end.chunk,
        end_ms: end.end_ms,
    };
    store(&mut state, &end, &Present {});
    assert_eq!(found(&state), [alone(end)], "a second end");
    remove(&mut state, &end);
    let (other, _) = state.rows_of::<LeaseEndKey>().remove(1);
    remove(&mut state, &LeaseKey(other.chunk));
    let told = found(&state);
    assert!(told.contains(&alone(other)), "{told:?}");
    assert_eq!(
        told.len(),
        2,
        "and its chunk has a reference less: {told:?}"
    );
}

#[test]
fn a_pin_without_its_counterpart() {
    let Whole {
        mut state, session, ..
    } = whole();
    let target = PinTarget::Chunk(id(1));
    let alone = || vec![Discrepancy::PinAlone { target, session }];
    remove(&mut state, &PinKey { target, session });
    assert_eq!(found(&state), alone(), "by session only");
    store(&mut state, &PinKey { target, session }, &Present {});
    remove(&mut state, &SessionPinKey { session, target });
    assert_eq!(found(&state), alone(), "by target only");
}

#[test]
fn debt_that_is_not_indexed() {
    let Whole { state, .. } = whole();
    let row = state.row(&ChunkKey(id(16))).unwrap();
    let owed = marks(id(16), &row);
    assert_eq!(owed.len(), 5, "a chunk, two slots, two disks");
    for mark in owed {
        let mut state = state.clone();
        match &mark {
            DebtMark::Chunk(key) => remove(&mut state, key),
            DebtMark::Slot(key) => remove(&mut state, key),
            DebtMark::Disk(key) => remove(&mut state, key),
        }
        assert_eq!(found(&state), [Discrepancy::DebtNotIndexed { mark }]);
    }
}

#[test]
fn debt_that_nobody_owes() {
    let Whole { state, .. } = whole();
    let row = state.row(&ChunkKey(id(16))).unwrap();
    let DebtMark::Slot(slot) = *marks(id(16), &row).iter().nth(1).unwrap() else {
        panic!("a slot");
    };
    for mark in [
        // The index of a chunk that owes, one that owes nothing, one that is none.
        DebtMark::Chunk(DebtKey {
            spare: 1,
            chunk: id(16),
        }),
        DebtMark::Slot(SlotDebtKey { shard: 1, ..slot }),
        DebtMark::Slot(SlotDebtKey {
            place: !slot.place,
            ..slot
        }),
        DebtMark::Disk(DiskDebtKey {
            disk: [3; 16],
            chunk: id(16),
        }),
        DebtMark::Chunk(DebtKey {
            spare: 0,
            chunk: id(1),
        }),
        DebtMark::Chunk(DebtKey {
            spare: 0,
            chunk: id(99),
        }),
    ] {
        let mut state = state.clone();
        put_mark(&mut state, &mark);
        assert_eq!(found(&state), [Discrepancy::DebtNotOwed { mark }]);
    }
}

#[test]
fn a_shard_that_is_owed_twice() {
    let Whole { mut state, .. } = whole();
    alter(&mut state, id(16), |row| {
        let again = row.debt[1].clone();
        row.debt.push(again);
    });
    let expected = Discrepancy::DebtTwice {
        chunk: id(16),
        shard: 2,
    };
    assert_eq!(found(&state), [expected]);
}

#[test]
fn a_bucket_and_its_name_that_differ() {
    let Whole { mut state, .. } = whole();
    let told = |id| Discrepancy::BucketName { id };
    let name = BucketNameKey("photos".into());
    let row = state.row(&name).unwrap();
    remove(&mut state, &name);
    assert_eq!(found(&state), [told(1)], "no name");
    store(&mut state, &name, &row);
    store(&mut state, &BucketNameKey("second".into()), &row);
    assert_eq!(found(&state), [told(1)], "two names");
    remove(&mut state, &BucketNameKey("second".into()));
    let mut bucket = state.row(&BucketKey(1)).unwrap();
    bucket.id = 2;
    store(&mut state, &BucketKey(1), &bucket);
    assert_eq!(found(&state), [told(1)], "another id");
}

#[test]
fn objects_of_a_bucket_that_is_none() {
    let Whole { mut state, .. } = whole();
    remove(&mut state, &BucketKey(2));
    let told = found(&state);
    assert!(told.contains(&Discrepancy::NoBucket { id: 2 }), "{told:?}");
    assert!(told.contains(&fewer(of(2, 1), 0)), "{told:?}");
    assert_eq!(told.len(), 3, "and its name: {told:?}");
}

#[test]
fn a_row_that_cannot_be_read() {
    let Whole { mut state, .. } = whole();
    let key = ChunkKey(id(3)).encode();
    state
        .rows
        .insert(key.clone(), Bytes::from_static(&[1, 0xff]));
    let unreadable = Discrepancy::Unreadable { key: key.into() };
    // Its count cannot be told, but that something needs it can: once is enough.
    assert_eq!(found(&state), [unreadable]);
}

#[test]
fn parts_within_parts() {
    let Whole {
        mut state,
        completed,
        ..
    } = whole();
    let mut row = state.row(&page(completed, 0)).unwrap();
    let nested = match &mut row.parts[1].content {
        Some(Content {
            place: Some(Place::Pages(pages)),
        }) => stamp_of(pages),
        other => panic!("{other:?}"),
    };
    let mut inner = state.row(&page(nested, 0)).unwrap();
    inner.parts = row.parts.clone();
    store(&mut state, &page(nested, 0), &inner);
    let told = found(&state);
    let unreadable = |manifest| Discrepancy::Unreadable {
        key: page(manifest, 0).encode().into(),
    };
    assert!(told.contains(&unreadable(nested)), "{told:?}");
    // A part list that names itself is followed no deeper.
    row.parts[1].content = Some(Content {
        place: Some(Place::PartPages(cairn_wire::metadata::PartPages {
            manifest: Bytes::copy_from_slice(&completed),
            pages: 1,
            length: 1,
        })),
    });
    store(&mut state, &page(completed, 0), &row);
    let told = found(&state);
    assert!(told.contains(&unreadable(completed)), "{told:?}");
}
