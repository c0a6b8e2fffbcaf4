//! A machine whose power may fail: one simulated disk, the store engines beside it, and the node
//! that is started on them again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use cairn_gateway::{Gateway, Settings as GatewaySettings};
use cairn_metadata::raft::network::NoPeers;
use cairn_metadata::raft::{Member, RaftHost, RaftSettings, StoreFactory};
use cairn_metadata::{Machine as StateMachine, Metadata};
use cairn_model::{DiskId, NodeId};
use cairn_rpc::{MetadataService, ShardService};
use cairn_storage_node::{DiskSource, Settings as StorageSettings, StorageNode};
use cairn_store::memory::MemoryStore;
use cairn_store::{OrderedStore, StoreError};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{
    Coding, Disk as DiskRow, InitCluster, PutUser, Refusal, StorageClass, User,
};
use cairn_world::sim::{SimDisk, SimEntropy};
use cairn_world::{Clock, Disk, Entropy};

use crate::clock::PausedClock;

pub(crate) const CLUSTER: [u8; 16] = *b"a simulated node";
pub(crate) const ACCESS_KEY: &str = "simulated";
pub(crate) const SECRET_KEY: &str = "a secret of some length";
const NODE: u64 = 1;
/// Bytes of a segment where a test asks for none longer.
const SEGMENT: u64 = 1 << 20;

/// What survives a power cut.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) disk: SimDisk,
    index: MemoryStore,
    generations: Generations,
    seed: u64,
    segment: u64,
}

/// Store generations in memory; a power cut drops what was not persisted.
#[derive(Clone, Default)]
struct Generations(Arc<Mutex<BTreeMap<String, MemoryStore>>>);

impl StoreFactory for Generations {
    fn open(&self, name: &str) -> Result<Arc<dyn OrderedStore>, StoreError> {
        let mut stores = self.0.lock().unwrap();
        Ok(Arc::new(stores.entry(name.to_owned()).or_default().clone()))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

impl Machine {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            disk: SimDisk::new(seed),
            index: MemoryStore::new(),
            generations: Generations::default(),
            seed,
            segment: SEGMENT,
        }
    }

    /// One whose segments are `segment` bytes long: no shard is longer.
    pub(crate) fn with_segments(seed: u64, segment: u64) -> Self {
        Self {
            segment,
            ..Self::new(seed)
        }
    }

    /// The machine at its next boot.
    pub(crate) fn after_power_cut(&self, seed: u64) -> Self {
        let stores = self.generations.0.lock().unwrap();
        let kept = stores
            .iter()
            .map(|(name, store)| (name.clone(), store.crash()))
            .collect();
        Self {
            disk: self.disk.after_crash(seed),
            index: self.index.crash(),
            generations: Generations(Arc::new(Mutex::new(kept))),
            seed: seed ^ 0x5eed,
            segment: self.segment,
        }
    }

    /// Starts the node. Errors are what a real start would print.
    pub(crate) async fn start(&self) -> Result<Node, String> {
        self.start_at(Arc::new(PausedClock::new())).await
    }

    /// Starts the node by a clock of the test's own.
    pub(crate) async fn start_at(&self, clock: Arc<dyn Clock>) -> Result<Node, String> {
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(self.seed));
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let storage = self.storage(Arc::clone(&disk), &entropy)?;
        let host = self
            .host(disk, Arc::clone(&clock), Arc::clone(&entropy))
            .await?;
        let metadata = Arc::new(Metadata::new(host, Arc::clone(&clock)));
        let disk_id = storage
            .disks()
            .first()
            .and_then(|status| status.disk)
            .ok_or("no disk")?;
        introduce(metadata.as_ref(), disk_id).await?;
        let shards: Arc<dyn ShardService> = Arc::clone(&storage) as _;
        let service: Arc<dyn MetadataService> = Arc::clone(&metadata) as _;
        let nodes = Arc::new(BTreeMap::from([(disk_id, shards)]));
        let gateway = Gateway::new(GatewaySettings::default(), clock, entropy, service, nodes);
        Ok(Node {
            gateway,
            metadata,
            storage,
        })
    }

    fn storage(
        &self,
        disk: Arc<dyn Disk>,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<Arc<StorageNode>, String> {
        let source = DiskSource {
            disk,
            index: Box::new(self.index.clone()),
        };
        let settings = StorageSettings::inline(self.segment);
        StorageNode::open(CLUSTER, NodeId(NODE), vec![source], &settings, entropy)
            .map(Arc::new)
            .map_err(|error| error.to_string())
    }

    pub(crate) async fn host(
        &self,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<RaftHost, String> {
        let mut settings = RaftSettings::new(CLUSTER, NODE).inline();
        settings.journal.segment_len = 512 << 10;
        settings.journal.segments = 2;
        // Syncs, snapshots and ring turns must happen within a short workload.
        settings.sync_entries = 7;
        settings.snapshot_entries = 17;
        let stores = Arc::new(self.generations.clone());
        let machine = Box::new(StateMachine);
        let host = RaftHost::open(settings, disk, clock, entropy, stores, machine, NoPeers)
            .await
            .map_err(|error| error.to_string())?;
        if !host.is_initialized() {
            let member = Member {
                id: NODE,
                address: String::new(),
            };
            host.initialize(vec![member])
                .await
                .map_err(|error| error.to_string())?;
        }
        if host.wait_ready(std::time::Duration::from_secs(30)).await {
            Ok(host)
        } else {
            Err("the voter does not take up its office".to_owned())
        }
    }
}

/// A running node.
pub(crate) struct Node {
    pub(crate) gateway: Gateway,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) storage: Arc<StorageNode>,
}

impl Node {
    /// An orderly end.
    pub(crate) async fn stop(self) -> Result<(), String> {
        self.metadata
            .host()
            .shutdown()
            .await
            .map_err(|error| error.to_string())?;
        self.storage.close().map_err(|error| error.to_string())
    }
}

/// Cluster row and root user, where they are not there yet.
async fn introduce(metadata: &Metadata, disk: DiskId) -> Result<(), String> {
    let class = StorageClass {
        name: "STANDARD".into(),
        coding: Some(Coding {
            data: 1,
            parity: 0,
            cell: 65_536,
            layout: 1,
        }),
        domain: "disk".into(),
    };
    let init = InitCluster {
        cluster: CLUSTER.to_vec().into(),
        generation: 1,
        disks: vec![DiskRow {
            disk: disk.0.to_vec().into(),
            node: NODE,
            zone: String::new(),
        }],
        classes: vec![class],
        partition_bits: 2,
        slots: vec![0; 8].into(),
    };
    let user = User {
        id: "root".into(),
        display_name: "root".into(),
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
        root: true,
        ..User::default()
    };
    for command in [
        Command::InitCluster(init),
        Command::PutUser(PutUser { user: Some(user) }),
    ] {
        let reply = metadata
            .propose(0, 0, command)
            .await
            .map_err(|error| error.to_string())?;
        if !matches!(reply.refusal(), Refusal::None | Refusal::AlreadyInitialized) {
            return Err(format!("{reply:?}"));
        }
    }
    Ok(())
}
