//! The houses of one process, opened in order and closed in reverse.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cairn_gateway::{Gateway, Settings as GatewaySettings};
use cairn_metadata::raft::network::NoPeers;
use cairn_metadata::raft::{Member, RaftSettings};
use cairn_metadata::{Metadata, Planner};
use cairn_model::DiskId;
use cairn_rpc::{DiskRoute, MetadataService, ShardRoutes, ShardService};
use cairn_storage_node::{Rebuilder, StorageNode, upkeep};
use cairn_world::{Clock, Entropy};

use crate::args::StoreArgs;
use crate::identity::Directories;
use crate::{Fatal, houses};

/// The open houses.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) metadata: Arc<Metadata>,
    node: Arc<StorageNode>,
    clock: Arc<dyn Clock>,
}

/// Opens the storage node and the metadata replica of a server.
pub(super) async fn open(
    directories: &Directories,
    args: &StoreArgs,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Parts, Fatal> {
    let node = houses::storage_node(directories, args, &entropy)?;
    let settings = RaftSettings::new(directories.cluster, directories.node.0);
    let host = houses::raft_host(directories, settings, &clock, entropy, NoPeers).await?;
    if !host.is_initialized() {
        if directories.is_founded()? {
            return Err(Fatal::new(
                directories.first()?.display(),
                "its metadata is lost. The objects are still in the shards: put metadata/ back from a copy; an empty one would take them for garbage",
            ));
        }
        let member = Member {
            id: directories.node.0,
            address: String::new(),
        };
        let founded = host.initialize(vec![member]).await;
        founded.map_err(|error| Fatal::new("metadata", error))?;
    }
    Ok(Parts {
        metadata: Arc::new(Metadata::new(host, Arc::clone(&clock))),
        node: Arc::new(node),
        clock,
    })
}

impl Parts {
    /// The disks that are there, in the order of the directories.
    pub(super) fn disks(&self) -> Vec<DiskId> {
        houses::disks(&self.node)
    }

    fn routes(&self) -> Arc<dyn ShardRoutes> {
        let disks = self.disks().into_iter().collect();
        Arc::new(OwnDisks {
            node: Arc::clone(&self.node),
            clock: Arc::clone(&self.clock),
            disks,
        })
    }

    /// Keeps the disks as the metadata wants them, for as long as it is polled.
    pub(super) async fn keep(&self) {
        let upkeep = upkeep::keep(&self.node, self.metadata.as_ref(), self.clock.as_ref());
        let report = houses::note_status(
            &self.metadata,
            self.node.id(),
            &self.node,
            self.clock.as_ref(),
        );
        let ((), ()) = tokio::join!(upkeep, report);
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

    /// Closes in reverse.
    pub(super) async fn close(self) -> Result<(), Fatal> {
        houses::close(Some(self.metadata.host()), self.node).await
    }
}

/// The disks of this process: all there are.
#[derive(Clone, Debug)]
struct OwnDisks {
    node: Arc<StorageNode>,
    clock: Arc<dyn Clock>,
    disks: BTreeSet<DiskId>,
}

impl ShardRoutes for OwnDisks {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        self.is_reachable(disk).then(|| Arc::clone(&self.node) as _)
    }

    fn route(&self, disk: DiskId) -> Option<DiskRoute> {
        let node = || Arc::clone(&self.node);
        let rebuild = Rebuilder::new(node(), Arc::new(self.clone()), Arc::clone(&self.clock));
        self.is_reachable(disk).then(|| DiskRoute {
            shards: node(),
            inventory: node(),
            rebuild: Some(Arc::new(rebuild)),
        })
    }

    fn disks(&self) -> Vec<DiskId> {
        self.disks.iter().copied().collect()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        self.disks.contains(&disk)
    }

    fn is_back_since(&self, _: DiskId, _: Duration) -> bool {
        false
    }
}
