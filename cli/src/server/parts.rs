//! The houses of one process, opened in order and closed in reverse.

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_gateway::{Gateway, Settings as GatewaySettings};
use cairn_metadata::raft::network::NoPeers;
use cairn_metadata::raft::{Member, RaftSettings};
use cairn_metadata::{Metadata, Planner};
use cairn_model::DiskId;
use cairn_rpc::{DiskRoute, MetadataService, ShardInventory, ShardRoutes, ShardService};
use cairn_storage_node::StorageNode;
use cairn_world::{Clock, Entropy};

use crate::identity::Directories;
use crate::{Fatal, houses};

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
    let node = houses::storage_node(directories, &entropy)?;
    let settings = RaftSettings::new(directories.cluster, directories.node.0);
    let host = houses::raft_host(directories, settings, &clock, entropy, NoPeers).await?;
    if !host.is_initialized() {
        let member = Member {
            id: directories.node.0,
            address: String::new(),
        };
        let founded = host.initialize(vec![member]).await;
        founded.map_err(|error| Fatal::new("metadata", error))?;
    }
    Ok(Parts {
        metadata: Arc::new(Metadata::new(host, clock)),
        node: Arc::new(node),
    })
}

impl Parts {
    /// The disks that are there, in the order of the directories.
    pub(super) fn disks(&self) -> Vec<DiskId> {
        houses::disks(&self.node)
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

    /// Closes in reverse.
    pub(super) async fn close(self) -> Result<(), Fatal> {
        houses::close(Some(self.metadata.host()), self.node).await
    }
}
