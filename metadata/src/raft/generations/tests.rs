use super::*;
use bytes::Bytes;
use cairn_store::{Batch, MemoryStore};
use cairn_world::sim::SimDisk;
use std::collections::BTreeMap;
use std::sync::Mutex;

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, MemoryStore>>>);

impl StoreFactory for Memory {
    fn open(&self, name: &str) -> Result<Arc<dyn OrderedStore>, StoreError> {
        Ok(Arc::new(
            self.0
                .lock()
                .unwrap()
                .entry(name.to_owned())
                .or_default()
                .clone(),
        ))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

fn open(disk: &SimDisk, stores: &Memory) -> Generations {
    Generations::open(disk, "generation", Arc::new(stores.clone())).unwrap()
}

fn mark(store: &dyn OrderedStore, value: &'static str) {
    let mut batch = Batch::default();
    batch.put(*b"k", value);
    store.commit(&batch).unwrap();
}

fn read(store: &dyn OrderedStore) -> Option<Bytes> {
    store.view().get(b"k").unwrap()
}

#[test]
fn the_prepared_store_counts_only_once_it_is_switched_to() {
    let (disk, stores) = (SimDisk::new(1), Memory::default());
    let mut generations = open(&disk, &stores);
    mark(generations.current().unwrap().as_ref(), "one");
    mark(generations.prepare().unwrap().as_ref(), "two");
    let again = open(&disk, &stores);
    assert_eq!(again.number(), 1);
    assert_eq!(read(again.current().unwrap().as_ref()).unwrap(), "one");
    assert_eq!(
        stores.0.lock().unwrap().len(),
        1,
        "the unfinished one is cleared away"
    );
    mark(generations.prepare().unwrap().as_ref(), "three");
    generations.switch().unwrap();
    let again = open(&disk, &stores);
    assert_eq!(again.number(), 2);
    assert_eq!(read(again.current().unwrap().as_ref()).unwrap(), "three");
    assert_eq!(
        stores.0.lock().unwrap().len(),
        1,
        "and so is the one before"
    );
}

#[test]
fn a_crash_during_a_switch_leaves_one_or_the_other() {
    let script = |disk: &SimDisk| -> Option<u64> {
        let stores = Memory::default();
        let mut generations = Generations::open(disk, "generation", Arc::new(stores)).ok()?;
        let mut number = 1;
        for _ in 0..3 {
            if generations.switch().is_err() {
                return Some(number);
            }
            number += 1;
        }
        Some(number)
    };
    let whole = SimDisk::new(2);
    assert_eq!(script(&whole), Some(4));
    for operation in 1..=whole.operations() {
        for survivor in 0..4 {
            let disk = SimDisk::new(2);
            disk.crash_at(operation);
            let reached = script(&disk);
            let boot = disk.after_crash(survivor * 100 + operation);
            let number = open(&boot, &Memory::default()).number();
            let legal = match reached {
                None => number == 1,
                Some(reached) => number == reached || number == reached + 1,
            };
            assert!(legal, "operation {operation}: {number} after {reached:?}");
        }
    }
}

#[test]
fn a_pointer_that_cannot_be_read_begins_anew_and_empty() {
    let (disk, stores) = (SimDisk::new(3), Memory::default());
    let generations = open(&disk, &stores);
    mark(generations.current().unwrap().as_ref(), "old");
    disk.poke("generation", 0, &[7; 8_192]).unwrap();
    let again = open(&disk, &stores);
    assert_eq!(again.number(), 1);
    assert_eq!(read(again.current().unwrap().as_ref()), None);
}
