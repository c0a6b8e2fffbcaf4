//! The houses of a process on its directories, opened and closed the same way whatever the process is.
//!
//! ```text
//!   first directory    metadata/   journal, store generations, snapshots
//!   every directory    shards/     segments        index/   a cache of them
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cairn_metadata::raft::{RaftHost, RaftSettings, RaftTransport, StoreFactory};
use cairn_metadata::{Machine, Metadata};
use cairn_model::{DiskId, NodeId, limits};
use cairn_storage_node::{
    DiskSource, DiskState, IndexEngine, Settings as StorageSettings, StorageNode, upkeep,
};
use cairn_store::fjall_engine::{FjallSettings, FjallStore};
use cairn_store::{OrderedStore, StoreError};
use cairn_world::real::RealDisk;
use cairn_world::{Clock, Disk, Entropy};

use crate::Fatal;
use crate::args::StoreArgs;
use crate::identity::Directories;

/// How often a replica notes how its process's own disks are.
const OWN_STATUS_EVERY: Duration = Duration::from_secs(2);

/// Subdirectory of the first data directory: journal, store generations, snapshots.
pub(crate) const METADATA: &str = "metadata";
/// Subdirectory of each data directory: segments.
const SHARDS: &str = "shards";
/// Subdirectory of each data directory: the index of its segments, a cache.
const INDEX: &str = "index";

/// Opens the shard store of a node.
pub(crate) fn storage_node(
    directories: &Directories,
    args: &StoreArgs,
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
    let settings = settings(smallest, args);
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

/// How shards are kept in directories of which the smallest file system has `smallest` bytes.
pub(crate) fn settings(smallest: u64, args: &StoreArgs) -> StorageSettings {
    StorageSettings {
        segment_len: segment_len(smallest),
        keep_free: args.keep_free,
        ..StorageSettings::default()
    }
}

/// A sixteenth of the disk, between what the longest chunk needs and the default: two segments stay
/// free for deletes and repair, and a small disk must not be all reserve.
fn segment_len(disk: u64) -> u64 {
    let longest = StorageSettings::default().segment_len;
    let shortest = limits::CHUNK_LEN_MAX + 8 * limits::MIB;
    (disk / 16 / limits::MIB * limits::MIB).clamp(shortest, longest)
}

/// Opens a replica of the metadata; whether it has a log is the caller's to judge.
pub(crate) async fn raft_host<T: RaftTransport>(
    directories: &Directories,
    settings: RaftSettings,
    clock: &Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    transport: T,
) -> Result<RaftHost, Fatal> {
    let dir = directories.first()?.join(METADATA);
    let fail = |error: &dyn std::fmt::Display| Fatal::new(dir.display(), error);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(made(&dir)?).map_err(|error| fail(&error))?);
    let stores = Arc::new(FjallGenerations(dir.clone()));
    let machine = Box::new(Machine);
    let clock = Arc::clone(clock);
    RaftHost::open(settings, disk, clock, entropy, stores, machine, transport)
        .await
        .map_err(|error| fail(&error))
}

/// The disks that are there, in the order of the directories.
pub(crate) fn disks(node: &StorageNode) -> Vec<DiskId> {
    let ready = |state: &DiskState| matches!(state, DiskState::Ready | DiskState::Failed(_));
    let mut found: Vec<_> = node
        .disks()
        .into_iter()
        .filter(|status| ready(&status.state))
        .collect();
    found.sort_by_key(|status| status.position);
    found.into_iter().filter_map(|status| status.disk).collect()
}

/// Closes in reverse: the journal is sealed, the indexes are marked whole.
pub(crate) async fn close(host: Option<&RaftHost>, node: Arc<StorageNode>) -> Result<(), Fatal> {
    let metadata = match host {
        Some(host) => host.shutdown().await,
        None => Ok(()),
    };
    let closed = tokio::task::spawn_blocking(move || node.close()).await;
    metadata.map_err(|error| Fatal::new("metadata", error))?;
    match closed {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(Fatal::new("storage", error)),
        Err(error) => Err(Fatal::new("storage", error)),
    }
}

fn made(dir: &Path) -> Result<&Path, Fatal> {
    std::fs::create_dir_all(dir).map_err(|error| Fatal::new(dir.display(), error))?;
    Ok(dir)
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

/// Has a replica note how the disks of its own process are, for as long as it is polled.
pub(crate) async fn note_status(
    metadata: &Metadata,
    node: NodeId,
    storage: &StorageNode,
    clock: &dyn Clock,
) {
    loop {
        metadata.note_status(node, upkeep::status(storage));
        clock.sleep(OWN_STATUS_EVERY).await;
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
        for keep_free in [0, 50] {
            let args = StoreArgs { keep_free };
            assert_eq!(settings(0, &args).check(), Ok(()));
            assert_eq!(settings(1_999_999_999, &args).check(), Ok(()));
        }
    }
}
