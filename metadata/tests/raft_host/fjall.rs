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
        // Small buffers, so that journals are sealed soon.
        let settings = FjallSettings {
            cache_bytes: 1 << 20,
            write_buffer_bytes: 64 << 10,
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

fn journals(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir.join("stores/gen-1"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .collect();
    found.sort();
    found
}

#[test]
fn one_flipped_bit_in_fjall_s_journal_loses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let live = home.path().join("live");
    std::fs::create_dir_all(&live).unwrap();
    let frozen = home.path().join("frozen");
    let acknowledged = boot(async {
        let host = start(&live).await;
        let (acknowledged, error) = propose_all(&host, 0..400).await;
        assert_eq!(error, None);
        // As a killed process leaves it.
        copy(&live, &frozen);
        host.shutdown().await.unwrap();
        acknowledged
    });
    let journals = journals(&frozen);
    assert!(
        !journals.is_empty(),
        "fjall keeps its journals elsewhere by now"
    );
    let mut rebuilt = 0;
    for (number, journal) in journals.iter().enumerate() {
        let bytes = std::fs::read(journal).unwrap();
        let used = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1);
        for part in [used / 10, used / 2, used * 9 / 10] {
            let victim = home.path().join(format!("victim-{number}-{part}"));
            copy(&frozen, &victim);
            let mut flipped = bytes.clone();
            let Some(byte) = flipped.get_mut(part) else {
                continue;
            };
            *byte ^= 1;
            let path = victim
                .join("stores/gen-1")
                .join(journal.file_name().unwrap());
            std::fs::write(path, flipped).unwrap();
            boot(async {
                let host = start(&victim).await;
                let what = format!("journal {number}, byte {part}");
                check(host.read().await.unwrap().as_ref(), &acknowledged, &what);
                host.shutdown().await.unwrap();
            });
            if victim.join("stores/gen-2").exists() {
                rebuilt += 1;
            }
        }
    }
    println!("{} journals, {rebuilt} rebuilt", journals.len());
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
