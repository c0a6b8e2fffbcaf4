use super::*;
use cairn_store::{MemoryStore, OrderedStore};

fn progress(index: u64) -> Progress {
    let position = LogPosition {
        term: 1,
        leader: 1,
        index,
    };
    Progress {
        position: Some(position),
        hash: [index as u8; 32],
    }
}

fn step(store: &MemoryStore, before: &Progress, after: &Progress) {
    let mut batch = Batch::default();
    put_progress(&mut batch, before, after, &[]);
    store.commit(&batch).unwrap();
}

/// Batches that end at these entries.
fn chain(ends: &[u64]) -> MemoryStore {
    let store = MemoryStore::new();
    let mut before = Progress::default();
    for end in ends {
        step(&store, &before, &progress(*end));
        before = progress(*end);
    }
    store
}

fn proof(store: &MemoryStore) -> Result<Proof, String> {
    prove(store.view().as_ref()).unwrap()
}

#[test]
fn an_empty_store_is_whole() {
    assert_eq!(proof(&MemoryStore::new()), Ok(Proof::default()));
}

#[test]
fn a_whole_chain_is_proved_before_and_after_a_sync() {
    let store = chain(&[0, 3, 4, 9]);
    let found = proof(&store).unwrap();
    assert_eq!(
        (found.applied, found.markers),
        (progress(9), vec![0, 3, 4, 9])
    );
    let mut batch = Batch::default();
    put_synced(&mut batch, &progress(4), &[0, 3, 4]);
    store.commit(&batch).unwrap();
    let found = proof(&store).unwrap();
    assert_eq!((found.synced, found.markers), (progress(4), vec![9]));
}

#[test]
fn markers_below_the_last_sync_prove_nothing_and_harm_nothing() {
    let store = chain(&[0, 3, 4, 9]);
    let mut batch = Batch::default();
    put_synced(&mut batch, &progress(4), &[3]);
    store.commit(&batch).unwrap();
    assert_eq!(proof(&store).unwrap().markers, [0, 4, 9]);
}

#[test]
fn a_missing_batch_is_noticed_wherever_it_was() {
    for missing in [0, 3, 4, 9] {
        let store = chain(&[0, 3, 4, 9]);
        let mut batch = Batch::default();
        batch.delete(numbered(MARKER, missing));
        store.commit(&batch).unwrap();
        assert!(proof(&store).is_err(), "{missing}");
    }
}

#[test]
fn a_marker_of_another_history_is_noticed() {
    let store = chain(&[0, 3]);
    let mut other = progress(3);
    other.hash = [99; 32];
    step(&store, &other, &progress(5));
    assert!(proof(&store).is_err());
}

#[test]
fn an_applied_row_that_went_back_is_noticed() {
    let store = chain(&[0, 3]);
    let mut batch = Batch::default();
    batch.put(APPLIED, ProgressMessage::from(&progress(0)).encode_to_vec());
    store.commit(&batch).unwrap();
    assert!(proof(&store).is_err());
}

#[test]
fn a_marker_under_another_s_key_is_refused() {
    let store = chain(&[0, 3]);
    let view = store.view();
    let marker = view.get(&numbered(MARKER, 3)).unwrap().unwrap();
    let mut batch = Batch::default();
    batch.put(numbered(MARKER, 4), marker);
    store.commit(&batch).unwrap();
    assert!(prove(store.view().as_ref()).is_err());
}

#[test]
fn an_installed_generation_is_proved() {
    let store = MemoryStore::new();
    let mut batch = Batch::default();
    put_installed(&mut batch, &progress(50), &[]);
    store.commit(&batch).unwrap();
    step(&store, &progress(50), &progress(51));
    let found = proof(&store).unwrap();
    assert_eq!(found.installed, Some(progress(50)));
    assert_eq!((found.synced, found.applied), (progress(50), progress(51)));
}

#[test]
fn the_ring_of_hashes_is_bounded_and_ordered() {
    let store = MemoryStore::new();
    for number in 1..=HASHES_KEPT + 10 {
        let after = progress(number * limits::STATE_HASH_EVERY);
        let state = StateHash {
            position: after.position.unwrap(),
            hash: after.hash,
        };
        let mut batch = Batch::default();
        put_progress(&mut batch, &Progress::default(), &after, &[state]);
        store.commit(&batch).unwrap();
    }
    let hashes = state_hashes(store.view().as_ref()).unwrap();
    assert_eq!(hashes.len() as u64, HASHES_KEPT);
    let first = hashes.first().unwrap().position.index;
    assert_eq!(first, 11 * limits::STATE_HASH_EVERY);
    assert!(hashes.is_sorted_by_key(|state| state.position));
}
