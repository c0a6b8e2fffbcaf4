//! A cluster of nodes on loopback: a voter orders, the node reads from the others.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::rig::*;
use crate::Rebuilder;
use cairn_model::{DiskId, NodeId};
use cairn_rpc::quic::{
    ClusterCa, ClusterId, Dispatcher, Endpoint, Identity, NodeKey, Party, PinnedMembers,
    RemotePeer, Role, Roles, ShardClient, ShardHandler, Versions,
};
use cairn_rpc::{DiskRoute, Rebuild, Rebuilt, ShardError, ShardRebuild, ShardRoutes, ShardService};
use cairn_wire::frame::FrameType;
use cairn_world::real::{OsEntropy, RealClock};

const WITHIN: Duration = Duration::from_secs(20);

/// Whoever was met so far.
#[derive(Debug, Default)]
struct Met(Mutex<BTreeMap<DiskId, Arc<ShardClient>>>);

impl ShardRoutes for Met {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        let met = self.0.lock().unwrap();
        met.get(&disk).map(|client| Arc::clone(client) as _)
    }

    fn route(&self, _: DiskId) -> Option<DiskRoute> {
        None
    }

    fn disks(&self) -> Vec<DiskId> {
        self.0.lock().unwrap().keys().copied().collect()
    }

    fn is_reachable(&self, _: DiskId) -> bool {
        true
    }

    fn is_back_since(&self, _: DiskId, _: Duration) -> bool {
        false
    }
}

struct Cluster {
    ca: ClusterCa,
    members: Arc<PinnedMembers>,
}

impl Cluster {
    fn new() -> Self {
        let key = NodeKey::draw(&OsEntropy).unwrap();
        Self {
            ca: ClusterCa::new(ClusterId([4; 16]), key).unwrap(),
            members: Arc::default(),
        }
    }

    fn join(&self, node: u64, role: Role, dispatcher: Option<Dispatcher>) -> Endpoint {
        let (node, roles) = (NodeId(node), Roles::of(&[role]));
        let key = NodeKey::draw(&OsEntropy).unwrap();
        self.members.pin(node, key.public(), roles);
        let issued = self.ca.issue(node, key.public(), roles).unwrap();
        let party = Party {
            identity: Identity::new(&issued, &key, self.ca.certificate()).unwrap(),
            members: self.members.clone(),
            versions: Versions::HERE,
            clock: Arc::new(RealClock::new()),
            entropy: Arc::new(OsEntropy),
        };
        let any: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
        Endpoint::bind(any, party, dispatcher).unwrap()
    }
}

/// A storage node that serves its disk, and its way to the others.
struct Served {
    machine: Machine,
    endpoint: Endpoint,
    met: Arc<Met>,
}

impl Served {
    fn new(cluster: &Cluster, number: u64) -> Self {
        let machine = Machine::new(number);
        let met = Arc::new(Met::default());
        let clock = Arc::new(RealClock::new());
        let (node, routes) = (Arc::clone(&machine.node), Arc::clone(&met));
        let rebuilder = Rebuilder::new(Arc::clone(&node), routes, clock.clone());
        let handler =
            ShardHandler::new(node.clone(), node).with_rebuild(Arc::new(rebuilder), clock);
        let dispatcher = Dispatcher::default().with(FrameType::Storage, Arc::new(handler));
        Self {
            endpoint: cluster.join(number, Role::StorageNode, Some(dispatcher)),
            machine,
            met,
        }
    }

    fn peer(&self, caller: &Endpoint, number: u64) -> Arc<RemotePeer> {
        let address = self.endpoint.local_addr().unwrap();
        caller.peer(NodeId(number), &[address])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_voter_has_a_lost_shard_made_anew_from_the_other_nodes() {
    let cluster = Cluster::new();
    let chunk = Chunk::new(coding(3, 2), 900_000, 21);
    let nodes: Vec<Served> = (0..5).map(|n| Served::new(&cluster, 10 + n)).collect();
    for (shard, node) in (0..).zip(&nodes) {
        if shard != 1 {
            node.machine.put(&chunk, shard);
        }
        for (number, other) in (10..).zip(&nodes) {
            let peer = other.peer(&node.endpoint, number);
            let client = Arc::new(ShardClient::new(peer, WITHIN));
            node.met
                .0
                .lock()
                .unwrap()
                .insert(other.machine.disk, client);
        }
    }
    let voter = cluster.join(1, Role::MetadataVoter, None);
    let order = |shard: u8| Rebuild {
        chunk: chunk.id,
        incarnation: chunk.incarnation,
        coding: chunk.coding,
        chunk_len: chunk.len,
        table_digest: chunk.table.digest(),
        shard,
        disk: nodes[usize::from(shard)].machine.disk,
        epoch: 1,
        thorough: true,
        sources: (0..)
            .zip(&nodes)
            .map(|(n, node)| (n, node.machine.disk))
            .collect(),
    };
    let ask = async |shard: u8| {
        let peer = nodes[usize::from(shard)].peer(&voter, 10 + u64::from(shard));
        ShardClient::new(peer, WITHIN).rebuild(order(shard)).await
    };
    assert_eq!(ask(1).await, Ok(Rebuilt::Written));
    assert!(nodes[1].machine.has(&chunk, 1));
    assert_eq!(ask(1).await, Ok(Rebuilt::Found));

    // Two more nodes go; with a third shard damaged there are too few.
    nodes[4].machine.spoil(&chunk, 4, 6);
    assert_eq!(ask(4).await, Ok(Rebuilt::Written));
    nodes[0].endpoint.close().await;
    nodes[2].endpoint.close().await;
    nodes[4].machine.spoil(&chunk, 4, 6);
    let outcome = ask(4).await;
    assert!(
        matches!(outcome, Err(ShardError::Unavailable(_))),
        "{outcome:?}"
    );
}
