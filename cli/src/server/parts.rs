//! The houses of one process, opened in order and closed in reverse.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_gateway::{Gateway, Settings as GatewaySettings};
use cairn_metadata::raft::network::NoPeers;
use cairn_metadata::raft::{Member, RaftHost, RaftSettings, StoreFactory};
use cairn_metadata::{Machine, Metadata, Planner};
use cairn_model::{DiskId, limits};
use cairn_rpc::{DiskRoute, MetadataService, ShardInventory, ShardRoutes, ShardService};
use cairn_storage_node::{
    DiskSource, DiskState, IndexEngine, Settings as StorageSettings, StorageNode,
};
use cairn_store::fjall_engine::{FjallSettings, FjallStore};
use cairn_store::{OrderedStore, StoreError};
use cairn_world::real::RealDisk;
use cairn_world::{Clock, Disk, Entropy};

use crate::Fatal;
use crate::identity::Directories;

/// Subdirectory of the first data directory: journal, store generations, snapshots.
const METADATA: &str = "metadata";
/// Subdirectory of each data directory: segments.
const SHARDS: &str = "shards";
/// Subdirectory of each data directory: the index of its segments, a cache.
const INDEX: &str = "index";

/// The open houses.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) metadata: Arc<Metadata>,
    node: Arc<StorageNode>,
}

/// Opens the storage node and the metadata replica of a server.
pub(super) async fn open(
    directories: &Directories,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Parts, Fatal> {
    let node = storage_node(directories, &entropy)?;
    let host = raft_host(directories, Arc::clone(&clock), entropy).await?;
    Ok(Parts {
        metadata: Arc::new(Metadata::new(host, clock)),
        node: Arc::new(node),
    })
}

fn storage_node(
    directories: &Directories,
    entropy: &Arc<dyn Entropy>,
) -> Result<StorageNode, Fatal> {
    let mut sources = Vec::with_capacity(directories.paths.len());
    let mut smallest = u64::MAX;
    for dir in &directories.paths {
        let fail = |error: &dyn std::fmt::Display| Fatal::new(dir.display(), error);
        let disk = RealDisk::open(made(&dir.join(SHARDS))?).map_err(|error| fail(&error))?;
        let space = disk.space().map_err(|error| fail(&error))?;
        smallest = smallest.min(space.total);
        sources.push(DiskSource {
            disk: Arc::new(disk),
            index: Box::new(FjallIndex(dir.join(INDEX))),
        });
    }
    let settings = StorageSettings {
        segment_len: segment_len(smallest),
        ..StorageSettings::default()
    };
    let node = StorageNode::open(
        directories.cluster,
        directories.node,
        sources,
        &settings,
        entropy,
    )
    // None could be opened, and this is what was said of the first.
    .map_err(|error| match directories.first() {
        Ok(first) => Fatal::new(first.display(), error),
        Err(none) => none,
    })?;
    for status in node.disks() {
        if status.state != DiskState::Ready {
            let dir = directories.paths.get(status.position);
            tracing::error!(?dir, state = ?status.state, "going on without this directory");
        }
    }
    Ok(node)
}

/// A sixteenth of the disk, between what the longest chunk needs and the default: two segments stay
/// free for deletes and repair, and a small disk must not be all reserve.
fn segment_len(disk: u64) -> u64 {
    let longest = StorageSettings::default().segment_len;
    let shortest = limits::CHUNK_LEN_MAX + 8 * limits::MIB;
    (disk / 16 / limits::MIB * limits::MIB).clamp(shortest, longest)
}

async fn raft_host(
    directories: &Directories,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<RaftHost, Fatal> {
    let dir = directories.first()?.join(METADATA);
    let fail = |error: &dyn std::fmt::Display| Fatal::new(dir.display(), error);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(made(&dir)?).map_err(|error| fail(&error))?);
    let settings = RaftSettings::new(directories.cluster, directories.node.0);
    let stores = Arc::new(FjallGenerations(dir.clone()));
    let machine = Box::new(Machine);
    let host = RaftHost::open(settings, disk, clock, entropy, stores, machine, NoPeers)
        .await
        .map_err(|error| fail(&error))?;
    if !host.is_initialized() {
        let member = Member {
            id: directories.node.0,
            address: String::new(),
        };
        host.initialize(vec![member])
            .await
            .map_err(|error| fail(&error))?;
    }
    Ok(host)
}

fn made(dir: &Path) -> Result<&Path, Fatal> {
    std::fs::create_dir_all(dir).map_err(|error| Fatal::new(dir.display(), error))?;
    Ok(dir)
}

impl Parts {
    /// The disks that are there, in the order of the directories.
    pub(super) fn disks(&self) -> Vec<DiskId> {
        let ready = |state: &DiskState| matches!(state, DiskState::Ready | DiskState::Failed(_));
        let mut found: Vec<_> = self
            .node
            .disks()
            .into_iter()
            .filter(|status| ready(&status.state))
            .collect();
        found.sort_by_key(|status| status.position);
        found.into_iter().filter_map(|status| status.disk).collect()
    }

    fn routes(&self) -> Arc<dyn ShardRoutes> {
        let shards: Arc<dyn ShardService> = Arc::clone(&self.node) as _;
        let inventory: Arc<dyn ShardInventory> = Arc::clone(&self.node) as _;
        let route = DiskRoute {
            shards,
            inventory,
            rebuild: None,
        };
        let routes: BTreeMap<DiskId, DiskRoute> = self
            .disks()
            .into_iter()
            .map(|disk| (disk, route.clone()))
            .collect();
        Arc::new(routes)
    }

    /// The leader's background work, acting on this process's disks.
    pub(super) fn planner(&self) -> Planner {
        Planner::new(Arc::clone(&self.metadata), self.routes())
    }

    /// A gateway on this process's houses.
    pub(super) fn gateway(
        &self,
        domains: Vec<String>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Gateway {
        let metadata: Arc<dyn MetadataService> = Arc::clone(&self.metadata) as _;
        let settings = GatewaySettings {
            domains,
            ..GatewaySettings::default()
        };
        Gateway::new(settings, clock, entropy, metadata, self.routes())
    }

    /// Closes in reverse: the journal is sealed, the indexes are marked whole.
    pub(super) async fn close(self) -> Result<(), Fatal> {
        let metadata = self.metadata.host().shutdown().await;
        let node = Arc::clone(&self.node);
        let closed = tokio::task::spawn_blocking(move || node.close()).await;
        metadata.map_err(|error| Fatal::new("metadata", error))?;
        match closed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Fatal::new("storage", error)),
            Err(error) => Err(Fatal::new("storage", error)),
        }
    }
}

/// Store generations as fjall databases beside the journal.
#[derive(Debug)]
struct FjallGenerations(PathBuf);

impl StoreFactory for FjallGenerations {
    fn open(&self, name: &str) -> Result<Arc<dyn OrderedStore>, StoreError> {
        let settings = FjallSettings {
            cache_bytes: 256 << 20,
            write_buffer_bytes: 32 << 20,
        };
        Ok(Arc::new(FjallStore::open(self.0.join(name), settings)?))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        remove_store(&self.0.join(name))
    }
}

/// The index of a directory's segments as a fjall database.
#[derive(Debug)]
struct FjallIndex(PathBuf);

impl IndexEngine for FjallIndex {
    fn open(&self) -> Result<Arc<dyn OrderedStore>, StoreError> {
        Ok(Arc::new(FjallStore::open(
            &self.0,
            FjallSettings::default(),
        )?))
    }

    fn discard(&self) -> Result<(), StoreError> {
        remove_store(&self.0)
    }
}

fn remove_store(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError(error.to_string()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_follow_the_disk_within_bounds() {
        assert_eq!(segment_len(1_000 * limits::MIB), 72 * limits::MIB);
        assert_eq!(segment_len(2 * limits::GIB), 128 * limits::MIB);
        assert_eq!(segment_len(4_096 * limits::GIB), 256 * limits::MIB);
        let settings = |len| StorageSettings {
            segment_len: len,
            ..StorageSettings::default()
        };
        assert_eq!(settings(segment_len(0)).check(), Ok(()));
        assert_eq!(settings(segment_len(1_999_999_999)).check(), Ok(()));
    }
}
