//! The full mark: counts every reference from the rows that hold them and compares.

use std::collections::BTreeMap;

use cairn_model::Incarnation;
use cairn_wire::metadata::Content;
use cairn_wire::metadata::content::Place;

use super::State;
use crate::keyspace::bucket::BucketKey;
use crate::keyspace::chunk::{ChunkKey, ChunkState};
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::lease::{LeaseEndKey, LeaseKey};
use crate::keyspace::manifest::{ManifestKey, PageKey, ReleaseKey};
use crate::keyspace::object::ObjectKey;
use crate::keyspace::session::StagedKey;
use crate::keyspace::upload::PartKey;

/// Panics where a count differs from what rows hold, a needed writing is condemned, or a page
/// hangs in the air.
pub(crate) fn check(state: &State) {
    let mut refs: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    let mut pages_held: BTreeMap<[u8; 16], u32> = BTreeMap::new();
    for (_, row) in state.rows_of::<ObjectKey>() {
        hold(row.content.as_ref(), &mut refs, &mut pages_held);
    }
    for (_, row) in state.rows_of::<PartKey>() {
        hold(row.content.as_ref(), &mut refs, &mut pages_held);
    }
    for (key, row) in state.rows_of::<StagedKey>() {
        pages_held.insert(key.manifest, row.pages);
    }
    for (key, row) in state.rows_of::<ReleaseKey>() {
        pages_held.insert(key.0, row.pages);
    }
    for (key, row) in state.rows_of::<PageKey>() {
        for extent in &row.extents {
            *refs.entry(extent.sha256.to_vec()).or_default() += 1;
        }
        for part in &row.parts {
            hold(part.content.as_ref(), &mut refs, &mut pages_held);
        }
        let held = pages_held.get(&key.manifest).copied().unwrap_or(0);
        assert!(
            key.page < held || part_page(state, key),
            "page {key:?} is held by nothing"
        );
    }
    assert!(
        state
            .rows_of::<ManifestKey>()
            .iter()
            .all(|(_, row)| row.refs >= 2)
    );
    hold_leases(state, &mut refs);
    compare(state, refs);
}

/// A lease holds one reference, and stands exactly once in the order of their ends.
fn hold_leases(state: &State, refs: &mut BTreeMap<Vec<u8>, u64>) {
    let leases = state.rows_of::<LeaseKey>();
    let mut ends: Vec<LeaseEndKey> = leases
        .iter()
        .map(|(key, row)| LeaseEndKey {
            end_ms: row.end_ms,
            chunk: key.0,
        })
        .collect();
    ends.sort_unstable();
    let ordered: Vec<LeaseEndKey> = state
        .rows_of::<LeaseEndKey>()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(ordered, ends, "leases by their ends");
    for (key, _) in leases {
        *refs.entry(key.0.sha256.0.to_vec()).or_default() += 1;
    }
}

/// Parts inside pages may themselves name pages that sort before their page.
fn part_page(state: &State, key: PageKey) -> bool {
    state
        .rows_of::<PageKey>()
        .iter()
        .flat_map(|(_, row)| &row.parts)
        .any(|part| {
            matches!(&part.content, Some(Content { place: Some(Place::Pages(pages)) })
            if pages.manifest.as_ref() == key.manifest && key.page < pages.pages)
        })
}

fn hold(
    content: Option<&Content>,
    refs: &mut BTreeMap<Vec<u8>, u64>,
    pages_held: &mut BTreeMap<[u8; 16], u32>,
) {
    match content.and_then(|content| content.place.as_ref()) {
        None | Some(Place::Inline(_)) => {}
        Some(Place::Extents(list)) => {
            for extent in &list.extents {
                *refs.entry(extent.sha256.to_vec()).or_default() += 1;
            }
        }
        Some(Place::Pages(pages)) => {
            pages_held.insert(pages.manifest.as_ref().try_into().unwrap(), pages.pages);
        }
        Some(Place::PartPages(pages)) => {
            pages_held.insert(pages.manifest.as_ref().try_into().unwrap(), pages.pages);
        }
    }
}

fn compare(state: &State, mut refs: BTreeMap<Vec<u8>, u64>) {
    let condemned: Vec<CondemnedKey> = state
        .rows_of::<CondemnedKey>()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    for (key, row) in state.rows_of::<ChunkKey>() {
        let counted = refs.remove(key.0.sha256.0.as_slice()).unwrap_or(0);
        assert_eq!(row.refs, counted, "references of {key:?}");
        let current = Incarnation::from_bytes(&row.incarnation).unwrap();
        let doomed = condemned
            .iter()
            .any(|c| c.chunk == key.0 && c.incarnation == current);
        assert_eq!(
            row.state() == ChunkState::Live,
            counted > 0,
            "state of {key:?}"
        );
        assert_eq!(
            doomed,
            counted == 0,
            "exactly what nothing needs is condemned: {key:?}"
        );
    }
    assert!(refs.is_empty(), "referenced chunks without rows: {refs:?}");
    assert!(
        state
            .rows_of::<BucketKey>()
            .iter()
            .all(|(key, row)| key.0 == row.id)
    );
}

#[test]
#[should_panic(expected = "references of")]
fn the_mark_can_fail() {
    use crate::keyspace::KeyKind as _;
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    check(&state);
    let (key, mut row) = state.rows_of::<ChunkKey>().remove(0);
    row.refs = 2;
    state.rows.insert(key.encode(), ChunkKey::encode_row(&row));
    check(&state);
}
