//! The full mark: counts every reference from the rows that hold them and compares.

use std::collections::BTreeMap;

use cairn_model::Incarnation;
use cairn_wire::metadata::Content;
use cairn_wire::metadata::content::Place;

use super::State;
use crate::keyspace::bucket::BucketKey;
use crate::keyspace::chunk::{ChunkKey, ChunkState};
use crate::keyspace::condemned::CondemnedKey;
use crate::keyspace::debt::{DebtKey, DiskDebtKey, SlotDebtKey};
use crate::keyspace::lease::{LeaseEndKey, LeaseKey};
use crate::keyspace::manifest::{ManifestKey, PageKey, ReleaseKey};
use crate::keyspace::object::ObjectKey;
use crate::keyspace::session::StagedKey;
use crate::keyspace::upload::PartKey;

/// Panics where a count differs from what rows hold, a needed writing is condemned, or a page
/// hangs in the air.
pub(crate) fn check(state: &State) {
    let mut held = Held::default();
    for (_, row) in state.rows_of::<ObjectKey>() {
        held.hold(row.content.as_ref());
    }
    for (_, row) in state.rows_of::<PartKey>() {
        held.hold(row.content.as_ref());
    }
    for (key, row) in state.rows_of::<StagedKey>() {
        held.manifest(key.manifest, row.pages);
    }
    for (key, row) in state.rows_of::<ReleaseKey>() {
        held.manifest(key.manifest, row.pages);
    }
    for (key, row) in state.rows_of::<PageKey>() {
        for extent in &row.extents {
            *held.chunks.entry(extent.sha256.to_vec()).or_default() += 1;
        }
        for part in &row.parts {
            held.hold(part.content.as_ref());
        }
        let pages = held.pages.get(&key.manifest).copied().unwrap_or(0);
        assert!(
            key.page < pages || part_page(state, key),
            "page {key:?} is held by nothing"
        );
    }
    let shared: BTreeMap<[u8; 16], u64> = state
        .rows_of::<ManifestKey>()
        .into_iter()
        .map(|(key, row)| (key.0, row.refs))
        .collect();
    held.manifests.retain(|_, rows| *rows > 1);
    assert_eq!(shared, held.manifests, "rows that hold one manifest");
    hold_leases(state, &mut held.chunks);
    owe(state);
    compare(state, held.chunks);
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

/// The index of debt says what a scan of the chunk rows says: each Live row that owes or is suspect
/// exactly once, each owed slot, each disk its debt names.
pub(super) fn owe(state: &State) {
    let (mut rows, mut slots, mut disks) = (vec![], vec![], vec![]);
    for (key, row) in state.rows_of::<ChunkKey>() {
        let missing = row.debt.len() + usize::from(row.suspect);
        if row.state() != ChunkState::Live || missing == 0 {
            continue;
        }
        let parity = row.coding.unwrap().parity as usize;
        rows.push((u8::try_from(parity.saturating_sub(missing)).unwrap(), key.0));
        let place = Incarnation::from_bytes(&row.incarnation)
            .unwrap()
            .partition(32);
        for debt in &row.debt {
            slots.push((u8::try_from(debt.shard).unwrap(), place, key.0));
            for disk in [&debt.disk, &debt.found] {
                disks.extend((!disk.is_empty()).then(|| (disk.to_vec(), key.0)));
            }
        }
    }
    rows.sort_unstable();
    slots.sort_unstable();
    disks.sort_unstable();
    disks.dedup();
    let kept = state.rows_of::<DebtKey>().into_iter();
    assert_eq!(
        kept.map(|(key, _)| (key.spare, key.chunk))
            .collect::<Vec<_>>(),
        rows,
        "rows in debt"
    );
    let kept = state.rows_of::<SlotDebtKey>().into_iter();
    let kept = kept.map(|(key, _)| (key.shard, key.place, key.chunk));
    assert_eq!(kept.collect::<Vec<_>>(), slots, "debt by slot");
    let kept = state.rows_of::<DiskDebtKey>().into_iter();
    let kept = kept.map(|(key, _)| (key.disk.to_vec(), key.chunk));
    assert_eq!(kept.collect::<Vec<_>>(), disks, "debt by disk");
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

/// What rows hold.
#[derive(Default)]
struct Held {
    /// How many manifests hold a chunk, with multiplicity.
    chunks: BTreeMap<Vec<u8>, u64>,
    /// How many rows hold a manifest.
    manifests: BTreeMap<[u8; 16], u64>,
    pages: BTreeMap<[u8; 16], u32>,
}

impl Held {
    fn hold(&mut self, content: Option<&Content>) {
        match content.and_then(|content| content.place.as_ref()) {
            None | Some(Place::Inline(_)) => {}
            Some(Place::Extents(list)) => {
                // However many rows share the list, its chunks are counted once.
                if self.manifest(list.manifest.as_ref().try_into().unwrap(), 0) {
                    for extent in &list.extents {
                        *self.chunks.entry(extent.sha256.to_vec()).or_default() += 1;
                    }
                }
            }
            Some(Place::Pages(pages)) => {
                self.manifest(pages.manifest.as_ref().try_into().unwrap(), pages.pages);
            }
            Some(Place::PartPages(pages)) => {
                self.manifest(pages.manifest.as_ref().try_into().unwrap(), pages.pages);
            }
        }
    }

    /// One more row holds it; true for the first.
    fn manifest(&mut self, manifest: [u8; 16], pages: u32) -> bool {
        self.pages.insert(manifest, pages);
        let rows = self.manifests.entry(manifest).or_default();
        *rows += 1;
        *rows == 1
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
#[should_panic(expected = "rows in debt")]
fn the_mark_sees_a_row_that_is_not_in_the_index() {
    use crate::keyspace::KeyKind as _;
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
