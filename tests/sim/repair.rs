//! A disk is lost, a new one joins, and the cluster is as whole as before: planner, storage nodes
//! and gateway as they are, over simulated disks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_compat_suite::call::Call;
use cairn_gateway::{Gateway, Settings as GatewaySettings};
use cairn_metadata::{Metadata, Planner};
use cairn_model::{DiskId, NodeId};
use cairn_rpc::{DiskRoute, MetadataService, ShardFound, ShardRoutes, ShardService};
use cairn_storage_node::{DiskSource, Rebuilder, Settings as StorageSettings, StorageNode, upkeep};
use cairn_store::memory::MemoryStore;
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    AddDisks, ClusterAnswer, Coding, Disk as DiskRow, GetCluster, InitCluster, LeavingDisk,
    MarkDisk, Node as NodeRow, PutJoinToken, PutUser, Query, Refusal, RegisterNode, Role,
    StorageClass, User,
};
use cairn_world::sim::{SimDisk, SimEntropy};
use cairn_world::{Clock, Disk, Entropy};
use tokio::sync::watch;

use crate::clock::PausedClock;
use crate::machine::{ACCESS_KEY, CLUSTER, Machine, Node, SECRET_KEY};
use crate::s3::send;

/// Nodes at the start, of one disk each; the code is 2+2.
const NODES: u64 = 4;
const OBJECTS: usize = 12;

/// Who holds which disk, as long as it lives.
#[derive(Clone, Debug, Default)]
struct Routes(Arc<Mutex<BTreeMap<DiskId, DiskRoute>>>);

impl Routes {
    fn kill(&self, disk: DiskId) {
        self.0.lock().unwrap().remove(&disk).unwrap();
    }
}

impl ShardRoutes for Routes {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        self.route(disk).map(|route| route.shards)
    }

    fn route(&self, disk: DiskId) -> Option<DiskRoute> {
        self.0.lock().unwrap().get(&disk).cloned()
    }

    fn disks(&self) -> Vec<DiskId> {
        self.0.lock().unwrap().keys().copied().collect()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        self.0.lock().unwrap().contains_key(&disk)
    }

    fn is_back_since(&self, _: DiskId, _: Duration) -> bool {
        false
    }
}

/// A disk as it comes from the shop.
fn blank(number: u64) -> SimDisk {
    SimDisk::new(200 + number)
}

/// Starts a storage node of one disk and says where it is.
fn storage(
    routes: &Routes,
    number: u64,
    disk: &SimDisk,
    clock: &Arc<dyn Clock>,
) -> (DiskId, Arc<StorageNode>) {
    let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(100 + number));
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let source = DiskSource {
        disk,
        index: Box::new(MemoryStore::new()),
    };
    let settings = StorageSettings::inline(1 << 20);
    let node = StorageNode::open(CLUSTER, NodeId(number), vec![source], &settings, &entropy);
    let node = Arc::new(node.unwrap());
    let disk = node.disks().first().and_then(|status| status.disk).unwrap();
    let others: Arc<dyn ShardRoutes> = Arc::new(routes.clone());
    let route = DiskRoute {
        shards: Arc::clone(&node) as _,
        inventory: Arc::clone(&node) as _,
        rebuild: Some(Arc::new(Rebuilder::new(
            Arc::clone(&node),
            others,
            Arc::clone(clock),
        ))),
    };
    routes.0.lock().unwrap().insert(disk, route);
    (disk, node)
}

struct World {
    node: Node,
    routes: Routes,
    clock: Arc<dyn Clock>,
    disks: Vec<DiskId>,
    /// Beneath them.
    platters: Vec<SimDisk>,
    stop: watch::Sender<bool>,
}

impl World {
    async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(PausedClock::new());
        let (machine, routes) = (Machine::new(1), Routes::default());
        let platters: Vec<SimDisk> = (1..=NODES).map(blank).collect();
        let nodes = (1..).zip(&platters);
        let nodes = nodes.map(|(number, disk)| storage(&routes, number, disk, &clock));
        let (disks, mut nodes): (Vec<DiskId>, Vec<_>) = nodes.unzip();
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(9));
        let journal: Arc<dyn Disk> = Arc::new(machine.disk.clone());
        let host = machine.host(journal, Arc::clone(&clock), Arc::clone(&entropy));
        let metadata = Arc::new(Metadata::new(host.await.unwrap(), Arc::clone(&clock)));
        let service: Arc<dyn MetadataService> = Arc::clone(&metadata) as _;
        let shared: Arc<dyn ShardRoutes> = Arc::new(routes.clone());
        let gateway = Gateway::new(
            GatewaySettings::default(),
            Arc::clone(&clock),
            entropy,
            service,
            Arc::clone(&shared),
        );
        let (stop, stopping) = watch::channel(false);
        tokio::spawn(Planner::new(Arc::clone(&metadata), shared).run(stopping));
        tokio::spawn({
            let gateway = gateway.clone();
            async move { gateway.keep().await }
        });
        let node = Node {
            gateway,
            metadata,
            storage: nodes.remove(0),
        };
        let world = Self {
            node,
            routes,
            clock,
            disks,
            platters,
            stop,
        };
        world.found().await;
        world
    }

    async fn found(&self) {
        let row = |(number, disk): (u64, &DiskId)| DiskRow {
            disk: disk.0.to_vec().into(),
            node: number,
            zone: String::new(),
        };
        let class = StorageClass {
            name: "STANDARD".into(),
            coding: Some(Coding {
                data: 2,
                parity: 2,
                cell: 65_536,
                layout: 1,
            }),
            domain: "node".into(),
        };
        self.done(Command::InitCluster(InitCluster {
            cluster: CLUSTER.to_vec().into(),
            generation: 1,
            disks: (1..).zip(&self.disks).map(row).collect(),
            classes: vec![class],
            partition_bits: 3,
            slots: [0, 0, 0, 1, 0, 2, 0, 3].repeat(8).into(),
        }))
        .await;
        let user = User {
            id: "root".into(),
            display_name: "root".into(),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            root: true,
            ..User::default()
        };
        self.done(Command::PutUser(PutUser { user: Some(user) }))
            .await;
    }

    async fn done(&self, command: Command) {
        let reply = self.node.metadata.propose(0, 0, command).await.unwrap();
        assert_eq!(reply.refusal(), Refusal::None, "{}", reply.detail);
    }

    async fn lose(&self, disk: DiskId) {
        self.routes.kill(disk);
        self.done(Command::MarkDisk(MarkDisk {
            disk: Some(LeavingDisk {
                disk: disk.0.to_vec().into(),
                lost: true,
            }),
            stay: false,
        }))
        .await;
    }

    /// A node joins with a token and brings its disk.
    async fn join(&self, number: u64) -> DiskId {
        let (disk, _) = storage(&self.routes, number, &blank(number), &self.clock);
        let key = vec![u8::try_from(number).unwrap(); 32];
        self.done(Command::PutJoinToken(PutJoinToken {
            digest: key.clone().into(),
            roles: Role::Storage as u32,
            lifetime_ms: 60_000,
        }))
        .await;
        self.done(Command::RegisterNode(RegisterNode {
            token: key.clone().into(),
            node: Some(NodeRow {
                node: number,
                address: "in:1".into(),
                public_key: key.into(),
                roles: Role::Storage as u32,
                ..NodeRow::default()
            }),
        }))
        .await;
        let row = DiskRow {
            disk: disk.0.to_vec().into(),
            node: number,
            zone: String::new(),
        };
        self.done(Command::AddDisks(AddDisks { disks: vec![row] }))
            .await;
        disk
    }

    async fn cluster(&self) -> ClusterAnswer {
        let query = Query {
            query: Some(Asked::GetCluster(GetCluster {})),
        };
        match self.node.metadata.query(query).await.unwrap().answer {
            Some(Kind::Cluster(cluster)) => cluster,
            other => panic!("{other:?}"),
        }
    }

    /// Lets time pass until a disk is no member any more.
    async fn until_gone(&self, disk: DiskId) {
        for _ in 0..600 {
            let cluster = self.cluster().await;
            if !cluster
                .disks
                .iter()
                .any(|one| one.disk == disk.0.as_slice())
            {
                assert!(cluster.moves.is_empty() && cluster.leaving.is_empty());
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("ten minutes, and it is still there");
    }

    /// What lies on a disk.
    async fn inventory(&self, disk: DiskId) -> Vec<ShardFound> {
        let route = self.routes.route(disk).unwrap();
        route.inventory.inventory(disk, None, 1_000).await.unwrap()
    }

    async fn put(&self, name: usize) {
        let call = Call::new("PUT", &format!("/photos/{name}")).body(body(name));
        let answer = send(&self.node, call).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn assert_all_read(&self, names: std::ops::Range<usize>) {
        for name in names {
            let answer = send(&self.node, Call::new("GET", &format!("/photos/{name}"))).await;
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            assert!(answer.body.unwrap() == body(name), "{name}");
        }
    }
}

/// Copies, one stripe, and a few: each length its own.
fn body(name: usize) -> Vec<u8> {
    let base = match name % 3 {
        0 => 9_000,
        1 => 90_000,
        _ => 300_000,
    };
    let length = base + name;
    (0..length).map(|at| (at * 31 + name) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn a_lost_disk_is_replaced_and_two_others_may_be_lost_then() {
    let world = World::new().await;
    let made = send(&world.node, Call::new("PUT", "/photos")).await;
    assert_eq!(made.status, 200, "{}", made.text());
    for name in 0..OBJECTS {
        world.put(name).await;
    }
    let lost = world.disks[1];
    world.lose(lost).await;
    world.assert_all_read(0..OBJECTS).await;
    // With one disk gone the ack rule is met still; what is written now owes a shard.
    for name in OBJECTS..2 * OBJECTS {
        world.put(name).await;
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(world.cluster().await.moves.is_empty(), "nowhere to go");
    let new = world.join(9).await;
    world.until_gone(lost).await;
    let cluster = world.cluster().await;
    let named = |disk: DiskId| {
        let rows = cluster.partitions.iter();
        rows.filter(|row| row.current.iter().any(|one| *one == disk.0.as_slice()))
            .count()
    };
    assert_eq!((named(lost), named(new)), (0, 8));
    // n of n: any two of the four may go now, the new one must serve with one other.
    for disk in [world.disks[0], world.disks[2]] {
        world.routes.kill(disk);
    }
    world.assert_all_read(0..2 * OBJECTS).await;
    world.stop.send_replace(true);
}

#[tokio::test(start_paused = true)]
async fn what_a_disk_lost_without_knowing_is_missed_and_made_anew() {
    let world = World::new().await;
    let made = send(&world.node, Call::new("PUT", "/photos")).await;
    assert_eq!(made.status, 200, "{}", made.text());
    for name in 0..OBJECTS {
        world.put(name).await;
    }
    let disk = world.disks[3];
    let before = world.inventory(disk).await;
    // The machine dies, and rot reaches the header of a segment that the index does not vouch for.
    let crashed = world.platters[3].after_crash(1);
    let segments = crashed.list("segments").unwrap();
    crashed
        .flip(&format!("segments/{}", segments[0]), 40, 1)
        .unwrap();
    let (same, node) = storage(&world.routes, NODES, &crashed, &world.clock);
    assert_eq!(same, disk);
    let left = world.inventory(disk).await;
    assert!(
        left.len() < before.len(),
        "{} of {}",
        left.len(),
        before.len()
    );
    // Nothing reads, and the heartbeat alone tells.
    let metadata = &world.node.metadata;
    metadata.note_status(NodeId(NODES), upkeep::status(&node));
    for _ in 0..120 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if world.inventory(disk).await.len() == before.len() {
            break;
        }
    }
    assert_eq!(world.inventory(disk).await, before);
    // n of n: it serves with one other.
    for other in [world.disks[0], world.disks[1]] {
        world.routes.kill(other);
    }
    world.assert_all_read(0..OBJECTS).await;
    world.stop.send_replace(true);
}
