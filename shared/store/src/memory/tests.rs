//! What only the memory engine can show; what all engines share is in `crate::suite`.

use super::*;
use crate::suite::{Reopen, check_engine, rows};
use proptest::prelude::*;

struct Memory(Option<MemoryStore>);

impl Reopen for Memory {
    fn store(&self) -> &dyn OrderedStore {
        self.0.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        let store = self.0.take().unwrap();
        store.persist().unwrap();
        self.0 = Some(store.crash());
    }
}

check_engine!(|| Memory(Some(MemoryStore::new())));

fn put(store: &MemoryStore, key: &str, value: &str) {
    let mut batch = Batch::default();
    batch.put(key, Bytes::copy_from_slice(value.as_bytes()));
    store.commit(&batch).unwrap();
}

fn delete(store: &MemoryStore, key: &str) {
    let mut batch = Batch::default();
    batch.delete(key);
    store.commit(&batch).unwrap();
}

fn versions(store: &MemoryStore) -> usize {
    store.read().rows.values().map(Vec::len).sum()
}

#[test]
fn a_crash_drops_what_came_after_the_last_persist_point() {
    let store = MemoryStore::new();
    put(&store, "a", "1");
    store.persist().unwrap();
    put(&store, "a", "2");
    put(&store, "b", "2");
    delete(&store, "a");
    assert_eq!(store.unpersisted(), 3);
    let kept = |batches| rows(&*store.crash_keeping(batches).view());
    let row = |key: &str, value: &str| (key.to_owned().into(), value.to_owned().into());
    assert_eq!(rows(&*store.crash().view()), [row("a", "1")]);
    assert_eq!(kept(1), [row("a", "2")]);
    assert_eq!(kept(2), [row("a", "2"), row("b", "2")]);
    assert_eq!(kept(3), [row("b", "2")]);
    assert_eq!(kept(4), kept(3), "no more than there were");
    assert_eq!(store.crash().unpersisted(), 0);
}

#[test]
fn a_crashed_store_goes_on_and_the_old_one_does_not_reach_it() {
    let store = MemoryStore::new();
    put(&store, "a", "1");
    store.persist().unwrap();
    let next = store.crash();
    put(&store, "a", "old life");
    put(&next, "b", "2");
    assert_eq!(rows(&*next.view()).len(), 2);
    assert_eq!(rows(&*next.crash().view()).len(), 1);
}

#[test]
fn versions_nobody_can_see_are_dropped() {
    let store = MemoryStore::new();
    for round in 0..500 {
        put(&store, "hot", &round.to_string());
        put(&store, &format!("key {round}"), "x");
        delete(&store, &format!("key {round}"));
        store.persist().unwrap();
    }
    assert!(versions(&store) <= 4, "{} versions left", versions(&store));
}

#[test]
fn a_live_view_and_the_persist_point_hold_their_versions_and_no_more() {
    let store = MemoryStore::new();
    put(&store, "a", "0");
    let view = store.view();
    (0..100).for_each(|round| put(&store, "a", &round.to_string()));
    store.persist().unwrap();
    assert_eq!(view.get(b"a").unwrap().unwrap(), "0");
    drop(view);
    (0..100).for_each(|_| drop(store.view()));
    assert_eq!(versions(&store), 1);
    (0..50).for_each(|round| put(&store, "a", &round.to_string()));
    assert_eq!(versions(&store), 51, "a crash may return to any of them");
}

#[test]
fn writers_get_in_while_views_and_scans_are_open() {
    let store = MemoryStore::new();
    (0..100).for_each(|number| put(&store, &format!("{number:03}"), "x"));
    let view = store.view();
    let mut scan = view.scan(Bound::Unbounded, Bound::Unbounded);
    scan.next().unwrap().unwrap();
    (0..100).for_each(|number| delete(&store, &format!("{number:03}")));
    assert_eq!(scan.count(), 99);
}

proptest! {
    /// Batches of (key, put or delete), and after which of them the store is persisted.
    #[test]
    fn a_crash_leaves_exactly_a_prefix(
        batches in proptest::collection::vec(
            (proptest::collection::btree_map(0..6_u8, any::<Option<u8>>(), 0..4), any::<bool>()), 1..20,
        ),
        kept in 0..25_u64,
    ) {
        let store = MemoryStore::new();
        let mut states = vec![BTreeMap::new()];
        let mut persisted = 0;
        for (changes, persist) in batches {
            let mut state = states.last().unwrap().clone();
            let mut batch = Batch::default();
            for (key, value) in changes {
                match value {
                    Some(value) => {
                        batch.put([key], vec![value]);
                        state.insert(vec![key], vec![value]);
                    }
                    None => {
                        batch.delete([key]);
                        state.remove(&vec![key]);
                    }
                }
            }
            store.commit(&batch).unwrap();
            states.push(state);
            if persist {
                store.persist().unwrap();
                persisted = states.len() - 1;
            }
        }
        let expected = &states[(persisted + kept as usize).min(states.len() - 1)];
        let seen: BTreeMap<Vec<u8>, Vec<u8>> = rows(&*store.crash_keeping(kept).view())
            .into_iter()
            .map(|(key, value)| (key.to_vec(), value.to_vec()))
            .collect();
        prop_assert_eq!(&seen, expected);
    }
}

#[test]
fn a_lost_batch_is_missing_in_the_middle_and_no_other() {
    let store = MemoryStore::new();
    let put = |key: &str, value: &'static str| {
        let mut batch = Batch::default();
        batch.put(key.as_bytes(), value.as_bytes());
        store.commit(&batch).unwrap();
    };
    put("a", "kept");
    store.persist().unwrap();
    put("a", "first");
    put("b", "second");
    put("a", "third");
    let read = |store: &MemoryStore, key: &str| store.view().get(key.as_bytes()).unwrap();
    let after = store.crash_without(u64::MAX, Some(1));
    assert_eq!(read(&after, "a").unwrap(), "third");
    assert_eq!(read(&after, "b"), None);
    let after = store.crash_without(2, Some(0));
    assert_eq!(read(&after, "a").unwrap(), "kept");
    assert_eq!(read(&after, "b").unwrap(), "second");
    let after = store.crash_without(u64::MAX, None);
    assert_eq!(read(&after, "b").unwrap(), "second");
}
