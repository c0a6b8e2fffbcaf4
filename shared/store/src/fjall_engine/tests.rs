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
