//! A process of ours is killed at a random moment; what it persisted is there, and of the rest a
//! prefix. (A kill keeps the page cache: this is about torn and reordered work, not about flushes.)

use super::*;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Where the child finds its store.
const DIR_VARIABLE: &str = "CAIRN_STORE_KILL_DIR";
const ROUNDS: u64 = 5;
/// A persist after so many batches.
const PERSIST_EVERY: u64 = 4;

#[test]
fn a_killed_process_loses_only_a_suffix_after_its_last_persist() {
    if let Some(dir) = std::env::var_os(DIR_VARIABLE) {
        write_until_killed(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut persisted = 0;
    for round in 0..ROUNDS {
        let acknowledged = run_and_kill(dir.path(), 20 + RandomState::new().hash_one(round) % 300);
        assert!(acknowledged > persisted, "round {round} got nowhere");
        persisted = acknowledged;
        let store = FjallStore::open(dir.path(), SETTINGS).unwrap();
        let view = store.view();
        let head = head(&*view);
        assert!(
            head >= persisted,
            "round {round}: at {head}, persisted {persisted}"
        );
        let seen: BTreeMap<_, _> = rows(&*view).into_iter().collect();
        assert!(
            seen == state_after(head),
            "round {round}: the state is not that of batch {head}"
        );
    }
}

/// The `number`-th batch: some rows written, some overwritten, some removed, and its number.
fn batch(number: u64) -> Batch {
    let mut batch = Batch::default();
    batch.put("head", number.to_be_bytes().to_vec());
    for row in 0..8 {
        let key = format!("row {:03}", (number * 7 + row * 131) % 500);
        if (number + row).is_multiple_of(5) {
            batch.delete(key);
        } else {
            batch.put(key, format!("{number} {row} ").repeat(20).into_bytes());
        }
    }
    batch
}

fn state_after(head: u64) -> BTreeMap<Bytes, Bytes> {
    let mut state = BTreeMap::new();
    for (key, change) in (1..=head).flat_map(|number| batch(number).changes) {
        match change {
            Change::Put(value) => state.insert(Bytes::from(key), value),
            Change::Delete => state.remove(key.as_slice()),
        };
    }
    state
}

fn head(view: &dyn View) -> u64 {
    let head = view.get(b"head").unwrap();
    head.map_or(0, |bytes| {
        u64::from_be_bytes(bytes.as_ref().try_into().unwrap())
    })
}

/// The child: goes on where the store stands, telling what is persisted.
fn write_until_killed(dir: &Path) -> ! {
    let store = FjallStore::open(dir, SETTINGS).unwrap();
    let mut number = head(&*store.view());
    loop {
        number += 1;
        store.commit(&batch(number)).unwrap();
        if number.is_multiple_of(PERSIST_EVERY) {
            store.persist().unwrap();
            // The parent reads this; a killed parent ends the child here.
            writeln!(std::io::stdout(), "persisted {number}").unwrap();
        }
    }
}

/// Runs the child until it has persisted `times` times, and kills it in the middle of whatever it
/// does then; the last batch it told to be persisted.
fn run_and_kill(dir: &Path, times: u64) -> u64 {
    let name = std::thread::current().name().unwrap().to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env(DIR_VARIABLE, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut last, mut left) = (0, times);
    for line in lines {
        let Some(number) = line.unwrap().strip_prefix("persisted ").map(str::to_owned) else {
            continue;
        };
        last = number.parse().unwrap();
        if left == 1 {
            // SIGKILL; what the child had told before is still read.
            child.kill().unwrap();
        }
        left = left.saturating_sub(1);
    }
    child.wait().unwrap();
    assert_eq!(left, 0, "the child ended by itself");
    last
}
