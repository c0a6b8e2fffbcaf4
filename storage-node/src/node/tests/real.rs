//! A real directory, real threads, the real index engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{DiskSource, StorageNode};
use super::rig::{CLUSTER, NODE, Name};
use crate::settings::Settings;
use crate::volume::IndexEngine;
use cairn_model::DiskId;
use cairn_rpc::{ShardError, ShardService};
use cairn_store::{FjallSettings, FjallStore, OrderedStore, StoreError};
use cairn_world::real::{OsEntropy, RealDisk};
use cairn_world::{Disk, Entropy};

struct Fjall(PathBuf);

impl IndexEngine for Fjall {
    fn open(&self) -> Result<Arc<dyn OrderedStore>, StoreError> {
        let store = FjallStore::open(&self.0, FjallSettings::default())?;
        Ok(Arc::new(store))
    }

    fn discard(&self) -> Result<(), StoreError> {
        std::fs::remove_dir_all(&self.0).map_err(|error| StoreError(error.to_string()))
    }
}

fn open(path: &Path) -> StorageNode {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(path).unwrap());
    let index = Box::new(Fjall(path.join("index")));
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let settings = Settings {
        segment_len: 8 << 20,
        keep_free: 0,
        ..Settings::default()
    };
    StorageNode::open(
        CLUSTER,
        NODE,
        vec![DiskSource { disk, index }],
        &settings,
        &entropy,
    )
    .unwrap()
}

async fn put(node: Arc<StorageNode>, disk: DiskId, name: Name) -> Result<(), ShardError> {
    let mut upload = node.prepare(name.header(disk)).await?;
    for cells in name.cells().chunks(3) {
        upload.write(cells).await?;
    }
    upload.finish(name.trailer()).await.map(drop)
}

async fn check(node: &StorageNode, disk: DiskId, name: Name) {
    let found = node.read(name.read(disk)).await.unwrap();
    assert_eq!(found.cells, name.cells());
    assert_eq!(found.cell_table, Some(name.table()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_uploads_on_a_real_directory() {
    let directory = tempfile::tempdir().unwrap();
    let node = Arc::new(open(directory.path()));
    let disk = node.disks()[0].disk.unwrap();
    let names: Vec<Name> = (0..60)
        .map(|counter| Name::new(counter, if counter % 5 == 0 { 3_000_000 } else { 40_000 }))
        .collect();
    let tasks: Vec<_> = names
        .iter()
        .map(|name| tokio::spawn(put(Arc::clone(&node), disk, *name)))
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    for name in &names {
        check(&node, disk, *name).await;
    }
    let (gone, kept) = names.split_at(30);
    let orders: Vec<_> = gone.iter().map(Name::delete).collect();
    node.delete(disk, 1, &orders).await.unwrap();
    assert_eq!(node.verify_all(disk).unwrap().damaged, 0);
    let (free, total) = node.space(disk).await.unwrap();
    assert!(free > 0 && free < total);
    let report = &node.report()[0];
    assert_eq!((report.disk, report.total), (disk, total));
    assert!(report.free > 0 && report.free < total);

    // Dropped without closing: the next start scans.
    drop(node);
    let node = open(directory.path());
    for name in kept {
        check(&node, disk, *name).await;
    }
    for name in gone {
        assert_eq!(node.read(name.read(disk)).await, Err(ShardError::Missing));
    }
    node.close().unwrap();
    node.close().unwrap();
    drop(node);

    // Closed well, then without its index.
    let node = open(directory.path());
    check(&node, disk, kept[0]).await;
    node.close().unwrap();
    drop(node);
    std::fs::remove_dir_all(directory.path().join("index")).unwrap();
    let node = open(directory.path());
    for name in kept {
        check(&node, disk, *name).await;
    }
}

#[tokio::test]
async fn the_caretaker_keeps_the_report_fresh() {
    let sim = cairn_world::sim::SimDisk::new(1);
    sim.set_capacity(64 << 20);
    let source = DiskSource {
        disk: Arc::new(sim.clone()),
        index: Box::new(cairn_store::MemoryStore::new()),
    };
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let settings = Settings {
        segment_len: 1 << 20,
        keep_free: 0,
        ..Settings::default()
    };
    let node = StorageNode::open(CLUSTER, NODE, vec![source], &settings, &entropy).unwrap();
    assert_eq!(node.report()[0].total, 64 << 20, "known from the start");
    sim.set_capacity(32 << 20);
    let mut waits = 0;
    while node.report()[0].total != 32 << 20 {
        waits += 1;
        assert!(waits < 400, "never looked again");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    node.close().unwrap();
}

/// Does something to every file below a directory.
fn damage(path: &Path, how: &dyn Fn(&mut Vec<u8>)) {
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            damage(&path, how);
        } else {
            let mut bytes = std::fs::read(&path).unwrap();
            how(&mut bytes);
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_is_made_anew_from_the_segments() {
    let directory = tempfile::tempdir().unwrap();
    let names: Vec<Name> = (0..30).map(|counter| Name::new(counter, 40_000)).collect();
    let node = Arc::new(open(directory.path()));
    let disk = node.disks()[0].disk.unwrap();
    for name in &names {
        put(Arc::clone(&node), disk, *name).await.unwrap();
    }
    node.delete(disk, 1, &[names[0].delete()]).await.unwrap();
    node.close().unwrap();
    drop(node);
    type Damage<'a> = (&'a str, &'a dyn Fn(&mut Vec<u8>));
    let damages: [Damage<'_>; 4] = [
        ("every byte", &|bytes| {
            bytes.iter_mut().for_each(|byte| *byte ^= 0x5a)
        }),
        ("nothing left", &Vec::clear),
        ("half of it", &|bytes| bytes.truncate(bytes.len() / 2)),
        ("one byte in the middle", &|bytes| {
            let middle = bytes.len() / 2;
            if let Some(byte) = bytes.get_mut(middle) {
                *byte ^= 1;
            }
        }),
    ];
    for (what, how) in damages {
        damage(&directory.path().join("index"), how);
        let node = open(directory.path());
        for name in &names[1..] {
            check(&node, disk, *name).await;
        }
        let gone = node.read(names[0].read(disk)).await;
        assert_eq!(gone, Err(ShardError::Missing), "{what}");
        node.close().unwrap();
    }
}
