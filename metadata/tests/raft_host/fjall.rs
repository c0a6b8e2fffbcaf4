//! The real engine under the host: one flipped bit in a sealed journal of fjall's.

use super::world::{Counter, LIMIT, check, me, propose_all};
use cairn_metadata::raft::network::NoPeers;
use cairn_metadata::raft::{RaftHost, RaftSettings, StoreFactory};
use cairn_store::{FjallSettings, FjallStore, OrderedStore, StoreError};
use cairn_world::real::{OsEntropy, RealClock, RealDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

struct Directory(PathBuf);

impl StoreFactory for Directory {
    fn open(&self, name: &str) -> Result<Arc<dyn OrderedStore>, StoreError> {
        let settings = FjallSettings {
            cache_bytes: 1 << 20,
            write_buffer_bytes: 8 << 20,
        };
        let path = self.0.join(name);
        // Built for debugging, fjall asserts on some damage instead of cutting it off.
        match std::panic::catch_unwind(|| FjallStore::open(path, settings)) {
            Ok(store) => Ok(Arc::new(store?)),
            Err(_) => Err(StoreError("the engine panicked".to_owned())),
        }
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        match std::fs::remove_dir_all(self.0.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError(error.to_string()))
            }
            _ => Ok(()),
        }
    }
}

async fn start(dir: &Path) -> RaftHost {
    let mut settings = RaftSettings::new([9; 16], 1);
    settings.journal.segment_len = 256 << 10;
    settings.journal.segments = 2;
    settings.journal.entry_len_max = 20_000;
    settings.snapshot_entries = 0;
    let host = RaftHost::open(
        settings,
        Arc::new(RealDisk::open(dir).unwrap()),
        Arc::new(RealClock::new()),
        Arc::new(OsEntropy),
        Arc::new(Directory(dir.join("stores"))),
        Box::<Counter>::default(),
        NoPeers,
    )
    .await
    .unwrap();
    if !host.is_initialized() {
        host.initialize(vec![me()]).await.unwrap();
    }
    assert!(host.wait_ready(LIMIT).await);
    host
}

fn boot<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(LIMIT);
    result
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn journal(dir: &Path) -> PathBuf {
    let found: Vec<PathBuf> = std::fs::read_dir(dir.join("stores/gen-1"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .collect();
    assert_eq!(
        found.len(),
        1,
        "fjall keeps its journals otherwise by now: {found:?}"
    );
    found[0].clone()
}

/// A host that was killed, and what it had acknowledged; all of the store lies in fjall's journal.
fn killed(home: &Path) -> (PathBuf, Vec<(u64, u64)>) {
    let (live, frozen) = (home.join("live"), home.join("frozen"));
    std::fs::create_dir_all(&live).unwrap();
    let acknowledged = boot(async {
        let host = start(&live).await;
        let (acknowledged, error) = propose_all(&host, 0..200).await;
        assert_eq!(error, None);
        copy(&live, &frozen);
        acknowledged
    });
    (frozen, acknowledged)
}

/// The bytes that were written, and where batches end in them.
fn batches(journal: &Path) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = std::fs::read(journal).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(used);
    let trailer = bytes[used - 4..].to_vec();
    let ends: Vec<usize> = (4..=used)
        .filter(|end| bytes[end - 4..*end] == trailer[..])
        .collect();
    assert!(ends.len() >= 200, "only {} batches", ends.len());
    (bytes, ends)
}

/// Boots a copy; whether its store was discarded.
fn rebuilt(dir: &Path, acknowledged: &[(u64, u64)], what: &str) -> bool {
    boot(async {
        let host = start(dir).await;
        check(host.read().await.unwrap().as_ref(), acknowledged, what);
        host.shutdown().await.unwrap();
    });
    dir.join("stores/gen-2").exists()
}

/// fjall takes the corruption for a torn tail, drops the rest of that journal without a word, and goes
/// on with the next one: a hole in the middle of history.
#[test]
fn one_flipped_bit_in_a_sealed_journal_of_fjall_s_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (frozen, acknowledged) = killed(home.path());
    let (bytes, ends) = batches(&journal(&frozen));
    let split = ends[ends.len() / 2];
    let middle = ends.len() / 2;
    let flips = [
        ("whole", None),
        // In a row's value, before the batch's end mark of 13 bytes: fjall refuses to open.
        ("value", Some((ends[20] - 20, 1))),
        // The mark of a batch's start turned into one of an end: fjall cuts without a word.
        ("early", Some((ends[20], 2))),
        ("last", Some((ends[middle - 1], 2))),
    ];
    for (name, flip) in flips {
        let victim = home.path().join(name);
        copy(&frozen, &victim);
        let active = journal(&victim);
        let number: u64 = active
            .file_stem()
            .unwrap()
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let mut sealed = bytes[..split].to_vec();
        if let Some((at, bit)) = flip {
            sealed[at] ^= bit;
        }
        std::fs::write(&active, sealed).unwrap();
        let next = active.with_file_name(format!("{}.jnl", number + 1));
        std::fs::write(next, &bytes[split..]).unwrap();
        assert_eq!(
            rebuilt(&victim, &acknowledged, name),
            flip.is_some(),
            "{name}"
        );
    }
}

#[test]
fn one_flipped_bit_anywhere_in_fjall_s_journal_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (frozen, acknowledged) = killed(home.path());
    let (bytes, _) = batches(&journal(&frozen));
    for part in 1..8 {
        let victim = home.path().join(format!("victim-{part}"));
        copy(&frozen, &victim);
        let mut flipped = bytes.clone();
        flipped[bytes.len() * part / 8] ^= 1;
        std::fs::write(journal(&victim), flipped).unwrap();
        rebuilt(&victim, &acknowledged, &format!("part {part}"));
    }
}

#[test]
fn fjall_restarts_keep_everything() {
    let home = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..4u64 {
        boot(async {
            let host = start(home.path()).await;
            check(
                host.read().await.unwrap().as_ref(),
                &acknowledged,
                "fjall restart",
            );
            let (mut more, error) = propose_all(&host, round * 50..round * 50 + 50).await;
            assert_eq!(error, None);
            acknowledged.append(&mut more);
            if round == 1 {
                host.snapshot().await.unwrap();
            }
            host.shutdown().await.unwrap();
        });
    }
}
