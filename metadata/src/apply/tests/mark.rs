//! The full mark over a state of a test.

use std::collections::BTreeMap;

use cairn_wire::metadata::Content;
use cairn_wire::metadata::content::Place;

use super::State;
use crate::keyspace::KeyKind as _;
use crate::keyspace::chunk::ChunkKey;
use crate::keyspace::manifest::{ManifestKey, PageKey, ReleaseKey};
use crate::keyspace::object::ObjectKey;
use crate::keyspace::session::StagedKey;
use crate::keyspace::upload::PartKey;
use crate::mark::full_mark;

/// Panics where a count differs from what rows hold, a needed writing is condemned, or a page
/// hangs in the air.
pub(crate) fn check(state: &State) {
    let report = full_mark(state).unwrap();
    assert!(report.is_clean(), "the mark differs: {report:#?}");
    assert_eq!(report.rows_seen(), state.rows.len() as u64);
    sharing_is_said(state);
}

/// The one thing the mark does not see: rows that share a manifest without saying so.
fn sharing_is_said(state: &State) {
    let mut holders: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for (key, _) in state.rows_of::<StagedKey>() {
        *holders.entry(key.manifest.to_vec()).or_default() += 1;
    }
    for (key, _) in state.rows_of::<ReleaseKey>() {
        *holders.entry(key.manifest.to_vec()).or_default() += 1;
    }
    let mut hold = |content: Option<Content>| {
        let manifest = match content.and_then(|content| content.place) {
            None | Some(Place::Inline(_)) => return,
            Some(Place::Extents(list)) => list.manifest,
            Some(Place::Pages(pages)) => pages.manifest,
            Some(Place::PartPages(pages)) => pages.manifest,
        };
        *holders.entry(manifest.to_vec()).or_default() += 1;
    };
    for (_, row) in state.rows_of::<ObjectKey>() {
        hold(row.content);
    }
    for (_, row) in state.rows_of::<PartKey>() {
        hold(row.content);
    }
    for (_, row) in state.rows_of::<PageKey>() {
        row.parts.into_iter().for_each(|part| hold(part.content));
    }
    holders.retain(|_, rows| *rows > 1);
    let said = state.rows_of::<ManifestKey>().into_iter();
    let said: BTreeMap<Vec<u8>, u64> = said.map(|(key, row)| (key.0.to_vec(), row.refs)).collect();
    assert_eq!(said, holders, "rows that hold one manifest");
}

#[test]
#[should_panic(expected = "DebtNotIndexed")]
fn the_mark_sees_a_row_that_is_not_in_the_index() {
    let mut state = State::with_bucket();
    let session = state.begin();
    let put = state.put(session, "a", &[1]);
    state.done_in(session, put);
    let (key, mut row) = state.rows_of::<ChunkKey>().remove(0);
    row.suspect = true;
    state.rows.insert(key.encode(), ChunkKey::encode_row(&row));
    check(&state);
}

#[test]
#[should_panic(expected = "ChunkReferences")]
fn the_mark_can_fail() {
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
