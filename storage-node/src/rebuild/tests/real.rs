//! Threads, a real directory, and clients beside the rebuild.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rig::*;
use crate::{DiskSource, Rebuilder, Settings, StorageNode};
use cairn_model::{DiskId, NodeId};
use cairn_rpc::{Rebuild, Rebuilt, ShardRebuild, ShardService};
use cairn_store::MemoryStore;
use cairn_world::Entropy;
use cairn_world::real::{OsEntropy, RealClock, RealDisk};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_are_made_anew_on_a_real_directory_while_clients_write() {
    let directory = tempfile::tempdir().unwrap();
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let source = DiskSource {
        disk: Arc::new(RealDisk::open(directory.path()).unwrap()),
        index: Box::new(MemoryStore::new()),
    };
    let settings = Settings {
        segment_len: 16 << 20,
        keep_free: 0,
        ..Settings::default()
    };
    let node = StorageNode::open([9; 16], NodeId(1), vec![source], &settings, &entropy).unwrap();
    let node = Arc::new(node);
    let disk = node.disks()[0].disk.unwrap();

    let fleet = Fleet::new(coding(4, 2), 9_000_000);
    let routes: BTreeMap<DiskId, Arc<dyn ShardService>> = (0..)
        .zip(&fleet.sources)
        .map(|(shard, source)| (source_disk(shard), Arc::clone(source) as _))
        .collect();
    let clock = Arc::new(RealClock::new());
    let rebuilder = Rebuilder::new(Arc::clone(&node), Arc::new(routes), clock);

    let writer = Arc::clone(&node);
    let clients = tokio::spawn(async move {
        for seed in 0..40 {
            let chunk = Chunk::new(coding(4, 2), 700_000, 500 + seed);
            let mut upload = writer.prepare(chunk.header(1, disk)).await.unwrap();
            upload.write(&chunk.shards[1]).await.unwrap();
            upload.finish(chunk.trailer()).await.unwrap();
            let found = writer.read(chunk.read(1, disk)).await.unwrap();
            assert_eq!(found.cells, chunk.shards[1]);
        }
    });
    for shard in 0..6 {
        let order = Rebuild {
            disk,
            ..fleet.order(shard)
        };
        assert_eq!(rebuilder.rebuild(order.clone()).await, Ok(Rebuilt::Written));
        assert_eq!(rebuilder.rebuild(order).await, Ok(Rebuilt::Found));
        let found = node.read(fleet.chunk.read(shard, disk)).await.unwrap();
        assert_eq!(found.cells, fleet.chunk.shards[usize::from(shard)]);
    }
    clients.await.unwrap();
    assert_eq!(node.verify_all(disk).unwrap().damaged, 0);
    node.close().unwrap();
    drop(node);
    let closed = rebuilder
        .rebuild(Rebuild {
            disk,
            ..fleet.order(0)
        })
        .await;
    assert!(closed.is_err());
}
