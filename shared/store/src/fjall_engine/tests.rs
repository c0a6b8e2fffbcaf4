//! The suite on fjall, and what only it can show.

mod kill;

use super::*;
use crate::suite::{Reopen, check_engine, rows};

const SETTINGS: FjallSettings = FjallSettings {
    cache_bytes: 1 << 20,
    write_buffer_bytes: 64 << 10,
};

struct Fjall {
    store: Option<FjallStore>,
    dir: tempfile::TempDir,
}

impl Fjall {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            store: Some(FjallStore::open(dir.path(), SETTINGS).unwrap()),
            dir,
        }
    }
}

impl Reopen for Fjall {
    fn store(&self) -> &dyn OrderedStore {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.store().persist().unwrap();
        self.store = None;
        self.store = Some(FjallStore::open(self.dir.path(), SETTINGS).unwrap());
    }
}

check_engine!(Fjall::new);

#[test]
fn an_open_store_cannot_be_opened_again() {
    let fjall = Fjall::new();
    let error = FjallStore::open(fjall.dir.path(), SETTINGS).unwrap_err();
    assert!(error.to_string().contains("Locked"), "{error}");
}

#[test]
fn what_was_persisted_does_not_need_the_journal() {
    let mut fjall = Fjall::new();
    for number in 0..50_u8 {
        let mut batch = Batch::default();
        batch.put([number], vec![number; 100]);
        batch.delete([number.wrapping_sub(2)]);
        fjall.store().commit(&batch).unwrap();
    }
    fjall.store().persist().unwrap();
    let before = rows(&*fjall.store().view());
    fjall.store = None;
    let mut journals = 0;
    for entry in std::fs::read_dir(fjall.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[0; 4_096], 0).unwrap();
            journals += 1;
        }
    }
    assert!(journals > 0);
    fjall.store = Some(FjallStore::open(fjall.dir.path(), SETTINGS).unwrap());
    assert_eq!(rows(&*fjall.store().view()), before);
}

#[test]
fn a_persist_ends_while_others_commit_and_after_everything_was_deleted() {
    let fjall = Fjall::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0_u32;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let mut batch = Batch::default();
                batch.put((number % 100).to_be_bytes(), vec![1; 300]);
                batch.delete(((number + 50) % 100).to_be_bytes());
                fjall.store().commit(&batch).unwrap();
                number += 1;
            }
        });
        (0..10).for_each(|_| fjall.store().persist().unwrap());
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut batch = Batch::default();
    rows(&*fjall.store().view())
        .into_iter()
        .for_each(|(key, _)| batch.delete(key.to_vec()));
    fjall.store().commit(&batch).unwrap();
    (0..3).for_each(|_| fjall.store().persist().unwrap());
    assert!(rows(&*fjall.store().view()).is_empty());
}

#[test]
fn views_outlive_flushes_of_the_write_buffer() {
    let fjall = Fjall::new();
    let fill = |byte: u8| {
        for part in 0..40_u8 {
            let mut batch = Batch::default();
            (0..32_u8).for_each(|key| batch.put([part, key], vec![byte; 256]));
            fjall.store().commit(&batch).unwrap();
        }
    };
    fill(1);
    let view = fjall.store().view();
    (2..6).for_each(fill);
    let seen = rows(&*view);
    assert_eq!(seen.len(), 40 * 32);
    assert!(
        seen.iter()
            .all(|(_, value)| value.iter().all(|byte| *byte == 1))
    );
    assert!(fjall.store.as_ref().unwrap().disk_bytes().unwrap() > 0);
}
