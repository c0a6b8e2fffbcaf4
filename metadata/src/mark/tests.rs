//! The mark of states that are right, and each thing that can be wrong.

mod broken;

use std::collections::BTreeSet;

use bytes::Bytes;
use cairn_model::{ChunkId, DomainId, Sha256, limits};
use cairn_wire::metadata::content::Place;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    BeginDelete, ChunkKey as WireChunk, CompleteUpload, Content, CopyObject, CreateUpload, Debt,
    Extents, MarkSuspect, Pages, PinRead, PutLeases, PutObject, PutPart, PutUser, StagePage,
};

use super::*;
use crate::apply::parts_digest;
use crate::apply::tests::{State, create_bucket, delete, end, put_content, user};
use crate::keyspace::chunk::{ChunkKey, ChunkRow};
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::debt::{DebtMark, marks};
use crate::keyspace::object::ObjectKey;

/// As many passes and steps as there can be, everything named.
const SMALL: Bounds = Bounds {
    items: limits::MARK_ITEMS_MAX,
    shared: 1,
    named: limits::MARK_NAMED_MAX,
};

/// A mark within bounds, `rows` a step.
fn marked(state: &State, bounds: Bounds, rows: usize) -> MarkReport {
    let mut mark = Mark::within(state, bounds).unwrap();
    while !mark.step(state, rows).unwrap() {}
    mark.into_report()
}

/// What the mark finds; the same however it is cut into steps and passes.
fn found(state: &State) -> Vec<Discrepancy> {
    let report = full_mark(state).unwrap();
    assert_eq!(report.rows_seen(), state.rows.len() as u64);
    assert_eq!(
        (report.total, report.unnamed),
        (report.discrepancies.len() as u64, 0)
    );
    let stepped = marked(state, SMALL, 1);
    let sorted = |report: &MarkReport| -> Vec<String> {
        let mut texts: Vec<String> = report
            .discrepancies
            .iter()
            .map(ToString::to_string)
            .collect();
        texts.sort();
        texts
    };
    assert_eq!(sorted(&stepped), sorted(&report));
    assert_eq!(stepped.rows, report.rows);
    report.discrepancies
}

fn id(name: u8) -> ChunkId {
    of(1, name)
}

fn of(domain: u64, name: u8) -> ChunkId {
    ChunkId {
        domain: DomainId(domain),
        sha256: Sha256([name; 32]),
    }
}

fn store<K: KeyKind>(state: &mut State, key: &K, row: &K::Row) {
    state.rows.insert(key.encode(), K::encode_row(row));
}

fn remove<K: KeyKind>(state: &mut State, key: &K) {
    assert!(state.rows.remove(&key.encode()).is_some(), "it was there");
}

/// Changes a chunk's row as no entry does.
fn alter(state: &mut State, chunk: ChunkId, change: impl FnOnce(&mut ChunkRow)) {
    let mut row = state.row(&ChunkKey(chunk)).unwrap();
    change(&mut row);
    store(state, &ChunkKey(chunk), &row);
}

/// Two pages of one chunk each, staged.
fn stage(state: &mut State, session: u64, names: [u8; 2]) -> Pages {
    let manifest = state.stamp(session);
    for (page, name) in (0..).zip(names) {
        let stage = StagePage {
            bucket: 1,
            manifest: manifest.clone(),
            page,
            extents: vec![state.extent(session, name)],
        };
        state.done_in(session, Command::StagePage(stage));
    }
    Pages {
        manifest,
        pages: 2,
        length: 200_000,
    }
}

fn stamp_of(pages: &Pages) -> [u8; 16] {
    pages.manifest.as_ref().try_into().unwrap()
}

fn copy(state: &mut State, session: u64, from: &str, to: &str) {
    let mut rows = state.rows_of::<ObjectKey>().into_iter();
    let (key, source) = rows.find(|(key, _)| key.key == from.as_bytes()).unwrap();
    let copy = CopyObject {
        source_bucket: 1,
        source_key: key.key.into(),
        source_version: source.version.clone(),
        bucket: 1,
        key: Bytes::copy_from_slice(to.as_bytes()),
        ..CopyObject::default()
    };
    state.done_in(session, Command::CopyObject(copy));
}

fn create(state: &mut State, session: u64) -> Bytes {
    let upload = state.stamp(session);
    let create = CreateUpload {
        bucket: 1,
        key: "big".into(),
        upload: upload.clone(),
        owner: "alice".into(),
        ..CreateUpload::default()
    };
    state.done_in(session, Command::CreateUpload(create));
    upload
}

fn part(state: &mut State, session: u64, upload: &Bytes, number: u32, place: Place) {
    let part = PutPart {
        bucket: 1,
        key: "big".into(),
        upload: upload.clone(),
        number,
        content: Some(Content { place: Some(place) }),
        etag: "part".into(),
        checksums: Vec::new(),
    };
    state.done_in(session, Command::PutPart(part));
}

fn extents(state: &mut State, session: u64, name: u8, length: u32) -> Place {
    let mut extent = state.extent(session, name);
    (extent.length, extent.chunk_length) = (length, length);
    Place::Extents(Extents {
        manifest: state.stamp(session),
        extents: vec![extent],
    })
}

const LONG: u32 = limits::PART_LEN_MIN as u32;

/// An upload completed of a part in its row and one in pages, with a part left over.
fn completed(state: &mut State, session: u64) -> [u8; 16] {
    let upload = create(state, session);
    let first = extents(state, session, 5, LONG);
    part(state, session, &upload, 1, first);
    let pages = stage(state, session, [6, 7]);
    part(state, session, &upload, 2, Place::Pages(pages));
    let left = extents(state, session, 8, LONG);
    part(state, session, &upload, 3, left);
    let chosen = [(1, u64::from(LONG), "part"), (2, 200_000, "part")];
    let complete = CompleteUpload {
        bucket: 1,
        key: "big".into(),
        upload: upload.clone(),
        revision: 3,
        parts_digest: parts_digest(chosen).to_vec().into(),
        numbers: vec![1, 2],
        ..CompleteUpload::default()
    };
    state.done_in(session, Command::CompleteUpload(complete));
    upload.as_ref().try_into().unwrap()
}

/// A chunk whose deletion has begun.
fn deleting(state: &mut State, name: u8) {
    let session = state.begin();
    let put = state.put(session, "old", &[name]);
    state.done_in(session, put);
    state.done(delete("old"));
    state.done(end(session));
    let items = state.work().deletable;
    assert_eq!(items.len(), 1);
    state.done(Command::BeginDelete(BeginDelete { items }));
}

/// Another account's object of chunk 1.
fn strangers(state: &mut State, session: u64) {
    state.done(Command::PutUser(PutUser {
        user: Some(user("bob", "bob-key")),
    }));
    state.done(create_bucket("others", "bob"));
    let Command::PutObject(put) = state.put(session, "a", &[1]) else {
        panic!("a put");
    };
    let put = PutObject { bucket: 2, ..put };
    state.done_in(session, Command::PutObject(put));
}

/// A chunk in debt of two shards.
fn owe(state: &mut State, chunk: ChunkId) {
    let debt = |shard, found: &'static [u8]| Debt {
        shard,
        disk: vec![1; 16].into(),
        found: Bytes::from_static(found),
    };
    alter(state, chunk, |row| {
        row.debt = vec![debt(0, &[2; 16]), debt(2, &[])];
    });
    let row = state.row(&ChunkKey(chunk)).unwrap();
    for mark in marks(chunk, &row) {
        put_mark(state, &mark);
    }
}

fn put_mark(state: &mut State, mark: &DebtMark) {
    let present = crate::keyspace::Present {};
    match mark {
        DebtMark::Chunk(key) => store(state, key, &present),
        DebtMark::Slot(key) => store(state, key, &present),
        DebtMark::Disk(key) => store(state, key, &present),
    }
}

/// One of everything that holds or counts something.
pub(super) struct Whole {
    pub(super) state: State,
    pub(super) session: u64,
    /// Of the object `pages`: chunks 3 and 4.
    pub(super) pages: [u8; 16],
    /// Completed: its pages name chunk 5 and pages of 6 and 7; its third part, chunk 8, is left.
    pub(super) completed: [u8; 16],
    /// Open, with a part of chunk 9.
    pub(super) open: [u8; 16],
    /// Staged and not attached: chunks 10 and 11.
    pub(super) staged: [u8; 16],
    /// Queued to be released: chunks 12 and 13.
    pub(super) released: [u8; 16],
}

fn whole() -> Whole {
    let mut state = State::with_bucket();
    deleting(&mut state, 15);
    let (older, session) = (state.begin(), state.begin());
    for (key, names) in [
        ("list", [1, 2].as_slice()),
        ("gone", &[14]),
        ("owes", &[16]),
    ] {
        let put = state.put(session, key, names);
        state.done_in(session, put);
    }
    for to in ["copy", "again"] {
        copy(&mut state, session, "list", to);
    }
    state.done(delete("gone"));
    let pages = stage(&mut state, session, [3, 4]);
    state.done_in(session, put_content("pages", Place::Pages(pages.clone())));
    copy(&mut state, session, "pages", "pages again");
    let completed = completed(&mut state, session);
    let open = create(&mut state, session);
    let place = extents(&mut state, session, 9, LONG);
    part(&mut state, session, &open, 1, place);
    let staged = stage(&mut state, session, [10, 11]);
    let released = stage(&mut state, session, [12, 13]);
    state.done_in(session, put_content("dead", Place::Pages(released.clone())));
    state.done(delete("dead"));
    let chunks = vec![state.extent(session, 1), state.extent(session, 17)];
    state.done_in(session, Command::PutLeases(PutLeases { domain: 1, chunks }));
    strangers(&mut state, session);
    let pin = PinRead {
        from: older,
        chunks: vec![WireChunk {
            domain: 1,
            sha256: vec![1; 32].into(),
        }],
        manifests: vec![pages.manifest.clone()],
    };
    state.done_in(session, Command::PinRead(pin));
    let suspect = MarkSuspect {
        domain: 1,
        sha256: vec![2; 32].into(),
        incarnation: state.row(&ChunkKey(id(2))).unwrap().incarnation,
        reason: "scrub".into(),
    };
    state.done(Command::MarkSuspect(suspect));
    owe(&mut state, id(16));
    Whole {
        pages: stamp_of(&pages),
        staged: stamp_of(&staged),
        released: stamp_of(&released),
        open: open.as_ref().try_into().unwrap(),
        state,
        session,
        completed,
    }
}

#[test]
fn a_whole_state_is_clean_however_the_mark_is_cut() {
    let Whole { state, .. } = whole();
    assert_eq!(found(&state), []);
    let report = full_mark(&state).unwrap();
    assert!(report.is_clean());
    let kinds: Vec<u8> = report.rows.keys().copied().collect();
    let all = [
        0x01, 0x02, 0x04, 0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x30, 0x31, 0x32, 0x33,
        0x40, 0x41, 0x43, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57,
    ];
    assert_eq!(kinds, all, "one of everything");
    for rows in 1..20 {
        assert_eq!(marked(&state, SMALL, rows), report, "{rows} rows a step");
    }
}

/// Of everything that holds something or is counted by something no single row can vanish unseen.
#[test]
fn no_row_vanishes_unseen() {
    let Whole { state, .. } = whole();
    // Of what the cluster, users and open sessions are nothing else tells.
    let untold: BTreeSet<u8> = [0x01, 0x02, 0x04, 0x05, 0x06, 0x10, 0x11].into();
    // Nor of a chunk that nothing holds, but the row that condemns it, and that suffices; nor of
    // writings that are no chunk's any more.
    let dead = |key: &[u8]| {
        let chunk = ChunkKey::decode(key).ok().and_then(|key| state.row(&key));
        let writing = CondemnedKey::decode(key).ok();
        let current = |key: &CondemnedKey| {
            let row = state.row(&ChunkKey(key.chunk)).unwrap();
            row.incarnation.as_ref() == key.incarnation.to_bytes()
        };
        chunk.is_some_and(|row| row.refs == 0) || writing.is_some_and(|key| !current(&key))
    };
    let told = state.rows.keys().filter(|key| !untold.contains(&key[0]));
    let told: Vec<Vec<u8>> = told.filter(|key| !dead(key)).cloned().collect();
    assert!(told.len() > 50, "{}", told.len());
    for key in told {
        let mut state = state.clone();
        state.rows.remove(&key);
        assert!(!found(&state).is_empty(), "{}", key.escape_ascii());
    }
}

/// The same for rows that cannot be read.
#[test]
fn no_row_is_unreadable_unseen() {
    let Whole { state, .. } = whole();
    // Rows of these are not looked into; of these the key alone says everything.
    let closed: BTreeSet<u8> = [0x01, 0x02, 0x04, 0x05, 0x06, 0x10, 0x11].into();
    let bare: BTreeSet<u8> = [0x13, 0x53, 0x54, 0x55, 0x56, 0x57].into();
    for key in state.rows.keys() {
        if closed.contains(&key[0]) || bare.contains(&key[0]) {
            continue;
        }
        let mut state = state.clone();
        state.rows.insert(key.clone(), Bytes::from_static(&[9]));
        let told = found(&state).into_iter();
        let unreadable = |one: &Discrepancy| matches!(one, Discrepancy::Unreadable { .. });
        assert_ne!(told.filter(unreadable).count(), 0, "{}", key.escape_ascii());
    }
}

#[test]
fn what_is_too_much_is_counted_and_not_named() {
    let Whole { mut state, .. } = whole();
    let chunks: Vec<ChunkKey> = state.rows_of().into_iter().map(|(key, _)| key).collect();
    for key in &chunks {
        alter(&mut state, key.0, |row| row.refs += 7);
    }
    let all = full_mark(&state).unwrap();
    assert!(all.total >= chunks.len() as u64, "{all:?}");
    let few = Bounds { named: 3, ..SMALL };
    let named = marked(&state, few, 5);
    assert_eq!((named.discrepancies.len(), named.total), (3, all.total));
    let narrow = Bounds { items: 4, ..SMALL };
    let narrow = marked(&state, narrow, 5);
    assert!(!narrow.is_clean() && narrow.unnamed > 0, "{narrow:?}");
    assert!(narrow.total + narrow.unnamed <= all.total);
    let none = marked(&state, Bounds { items: 0, ..SMALL }, 5);
    assert!(!none.is_clean(), "{none:?}");
}

mod random {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Wrong counts do not cancel each other out, in one account or between two.
        #[test]
        fn wrong_counts_are_named_and_no_others(
            changes in btree_map((1_u64..3, 1_u8..18), prop_oneof![-3_i64..0, 1_i64..4], 1..8),
        ) {
            let Whole { mut state, .. } = whole();
            let mut expected = Vec::new();
            for ((domain, name), change) in changes {
                let chunk = of(domain, name);
                let Some(row) = state.row(&ChunkKey(chunk)) else { continue };
                let recorded = row.refs.saturating_add_signed(change);
                if row.refs == 0 || recorded == 0 {
                    continue;
                }
                alter(&mut state, chunk, |row| row.refs = recorded);
                expected.push(Discrepancy::ChunkReferences { chunk, counted: row.refs, recorded });
            }
            let mut told = found(&state);
            let order = |one: &Discrepancy| one.to_string();
            told.sort_by_key(order);
            expected.sort_by_key(order);
            prop_assert_eq!(told, expected);
        }
    }
}
