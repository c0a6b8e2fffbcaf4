//! The ways from this process to the others, as the houses ask for them.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_metadata::raft::{Member, RaftHost, RaftTransport, TransportError};
use cairn_model::{DiskId, NodeId};
use cairn_rpc::quic::{Abort, Handler, MetadataClient, Peer, Pool, ServerCall, ShardClient};
use cairn_rpc::{DiskRoute, MetadataService, Replica, Replicas, ShardRoutes, ShardService};
use cairn_storage_node::{Rebuilder, StorageNode};
use cairn_wire::frame::FrameType;
use cairn_world::Clock;

use super::roster::Roster;

/// The only shard group so far.
pub(crate) const GROUP: u32 = 1;
/// For one step of a shard call.
const SHARD_PATIENCE: Duration = Duration::from_secs(15);
/// For one call to a replica of the metadata.
const METADATA_PATIENCE: Duration = Duration::from_secs(8);
/// For one call of Raft; its caller gives up earlier.
const CONSENSUS_PATIENCE: Duration = Duration::from_secs(5);

/// The replicas of the metadata: those of the roster, this process's own called directly.
#[derive(Debug)]
pub(crate) struct ReplicaLines {
    pub(crate) me: NodeId,
    pub(crate) roster: Arc<Roster>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) own: Option<Arc<dyn MetadataService>>,
}

impl Replicas for ReplicaLines {
    fn replicas(&self) -> Vec<Replica> {
        let replica = |node: NodeId| {
            if node == self.me {
                let service = self.own.clone()?;
                return Some(Replica {
                    node: node.0,
                    service,
                    is_reachable: true,
                });
            }
            let peer = self.pool.lines(node)?.commands;
            Some(Replica {
                node: node.0,
                service: Arc::new(MetadataClient::new(peer, GROUP, METADATA_PATIENCE)),
                is_reachable: self.pool.is_reachable(node),
            })
        };
        self.roster
            .voters()
            .into_iter()
            .filter_map(replica)
            .collect()
    }
}

/// The ways to the cluster's disks; those of this process are called directly.
#[derive(Clone, Debug)]
pub(crate) struct DiskLines {
    pub(crate) me: NodeId,
    pub(crate) roster: Arc<Roster>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) own: Option<Arc<StorageNode>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl DiskLines {
    fn client(&self, holder: NodeId) -> Option<Arc<ShardClient>> {
        let peer = self.pool.lines(holder)?.bulk;
        Some(Arc::new(ShardClient::new(peer, SHARD_PATIENCE)))
    }
}

impl ShardRoutes for DiskLines {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        let holder = self.roster.holder(disk)?;
        if holder == self.me {
            return self.own.clone().map(|own| own as _);
        }
        self.client(holder).map(|client| client as _)
    }

    fn route(&self, disk: DiskId) -> Option<DiskRoute> {
        let holder = self.roster.holder(disk)?;
        if holder == self.me {
            let own = self.own.clone()?;
            let routes = Arc::new(self.clone());
            let rebuild = Rebuilder::new(own.clone(), routes, Arc::clone(&self.clock));
            return Some(DiskRoute {
                shards: own.clone(),
                inventory: own,
                rebuild: Some(Arc::new(rebuild)),
            });
        }
        let client = self.client(holder)?;
        Some(DiskRoute {
            shards: client.clone(),
            inventory: client.clone(),
            rebuild: Some(client),
        })
    }

    fn disks(&self) -> Vec<DiskId> {
        self.roster.disks()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        self.roster
            .holder(disk)
            .is_some_and(|holder| holder == self.me || self.pool.is_reachable(holder))
    }

    fn is_back_since(&self, disk: DiskId, moment: Duration) -> bool {
        // The pool does not hold this process, which is never away.
        self.roster
            .holder(disk)
            .is_some_and(|holder| self.pool.is_back_since(holder, moment))
    }
}

/// The same for who is there before the process is on the network: until then there are no disks.
#[derive(Clone, Debug, Default)]
pub(crate) struct LateDiskLines(pub(crate) Arc<OnceLock<DiskLines>>);

impl ShardRoutes for LateDiskLines {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        self.0.get()?.shards(disk)
    }

    fn route(&self, disk: DiskId) -> Option<DiskRoute> {
        self.0.get()?.route(disk)
    }

    fn disks(&self) -> Vec<DiskId> {
        self.0.get().map(ShardRoutes::disks).unwrap_or_default()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        self.0.get().is_some_and(|lines| lines.is_reachable(disk))
    }

    fn is_back_since(&self, disk: DiskId, moment: Duration) -> bool {
        self.0
            .get()
            .is_some_and(|lines| lines.is_back_since(disk, moment))
    }
}

/// Raft's calls over the pool, which is there only once the process listens.
#[derive(Clone, Debug, Default)]
pub(crate) struct RaftLines(pub(crate) Arc<OnceLock<Arc<Pool>>>);

impl RaftLines {
    /// The members are these.
    pub(crate) fn learn(&self, roster: &Roster) {
        if let Some(pool) = self.0.get() {
            pool.learn(&roster.addresses());
        }
    }
}

#[async_trait]
impl RaftTransport for RaftLines {
    async fn call(&self, target: &Member, call: Bytes) -> Result<Bytes, TransportError> {
        let lines = self.0.get().and_then(|pool| pool.lines(NodeId(target.id)));
        let lines = lines.ok_or_else(|| {
            let id = target.id;
            TransportError(format!("no way to node {id:016x} is known"))
        })?;
        let answer = lines
            .consensus
            .call(FrameType::Consensus, call, CONSENSUS_PATIENCE);
        answer
            .await
            .map_err(|error| TransportError(error.to_string()))
    }
}

/// Hands Raft's calls to the replica of this process.
#[derive(Debug)]
pub(crate) struct ConsensusHandler(pub(crate) RaftHost);

#[async_trait]
impl Handler for ConsensusHandler {
    async fn handle(&self, peer: &Peer, call: &mut ServerCall) -> Result<(), Abort> {
        let Some(request) = call.next().await? else {
            return Err(Abort::Gone);
        };
        let answer = self.0.handle(peer.node.0, request).await;
        call.send(answer).await
    }
}
