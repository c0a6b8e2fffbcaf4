//! A storage node's process, with a replica of the metadata where its machine votes: put together as
//! `cairn storage-node` does.

use std::sync::Arc;
use std::time::Duration;

use cairn_metadata::planner::voters;
use cairn_metadata::raft::{RaftHost, RaftSettings};
use cairn_metadata::{Machine as StateMachine, Metadata, Planner};
use cairn_model::{DiskId, NodeId};
use cairn_rpc::{MetadataGroup, MetadataService, ShardRoutes};
use cairn_storage_node::{DiskSource, Progress, Settings as StorageSettings, StorageNode, upkeep};
use cairn_world::sim::SimEntropy;
use cairn_world::{Clock, Disk, Entropy};
use tokio::sync::watch;

use crate::cluster::CLUSTER;
use crate::machine::{End, Machine};
use crate::members::{DiskLines, Members, ReplicaLines};
use crate::network::raft::RaftLines;
use crate::network::{Network, Services};
use crate::process::Process;

/// Bytes of a segment: the longest shard of a chunk of 16 MiB at 4+2, and copies of small ones.
const SEGMENT: u64 = 8 << 20;
/// How often space is given back and compacted, and at most how many steps at a time.
const CARE_EVERY: Duration = Duration::from_secs(3);
const CARE_STEPS: usize = 8;
/// How often a node says what the members do not know of it.
const REGISTER_EVERY: Duration = Duration::from_secs(1);
/// How often a piece of a disk is scrubbed.
const SCRUB_EVERY: Duration = Duration::from_secs(5);

/// What differs between runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VoterTuning {
    pub(crate) sync_entries: u64,
    pub(crate) snapshot_entries: u64,
    pub(crate) log_kept: u64,
    pub(crate) journal_segment: u64,
}

/// A running node.
pub(crate) struct Node {
    pub(crate) process: Process,
    pub(crate) storage: Arc<StorageNode>,
    pub(crate) metadata: Option<Arc<Metadata>>,
    pub(crate) disk: DiskId,
    stop: watch::Sender<bool>,
}

impl Node {
    /// Boots the node of a machine. Errors are what a real start would print.
    pub(crate) async fn start(
        machine: &mut Machine,
        network: &Network,
        tuning: &VoterTuning,
        is_founder: bool,
    ) -> Result<Self, String> {
        let entropy: Arc<dyn Entropy> = Arc::new(SimEntropy::new(machine.next_boot()));
        let process = Process::new(machine.id);
        let clock = machine.time.clock(&process);
        let storage = open_storage(machine, &entropy)?;
        let disk = storage.disks().first().and_then(|status| status.disk);
        let disk = disk.ok_or("no disk")?;
        let settings = voter_settings(machine, tuning, is_founder);
        let metadata = match &machine.voter {
            None => None,
            Some(voter) => {
                let lines = RaftLines {
                    network: network.clone(),
                    process: process.clone(),
                };
                let host = RaftHost::open(
                    settings,
                    Arc::new(voter.disk.clone()) as Arc<dyn Disk>,
                    Arc::clone(&clock),
                    Arc::clone(&entropy),
                    Arc::new(voter.stores.clone()),
                    Box::new(StateMachine),
                    lines,
                );
                let host = host.await.map_err(|error| error.to_string())?;
                Some(Arc::new(Metadata::new(host, Arc::clone(&clock))))
            }
        };
        let (stop, stopping) = watch::channel(false);
        let node = Self {
            process,
            storage,
            metadata,
            disk,
            stop,
        };
        node.work(machine, network, &clock, stopping);
        Ok(node)
    }

    /// Starts what runs beside the calls of others, and answers those.
    fn work(
        &self,
        machine: &Machine,
        network: &Network,
        clock: &Arc<dyn Clock>,
        stopping: watch::Receiver<bool>,
    ) {
        let members = Members::new(&self.process, network, clock, &machine.members);
        let disks = DiskLines {
            members: members.clone(),
            own: Some(Arc::clone(&self.storage)),
        };
        network.connect(Services {
            process: self.process.clone(),
            metadata: self.metadata.clone(),
            storage: Some(Arc::clone(&self.storage)),
            rebuild: disks.rebuilder(),
        });
        let group = Arc::new(MetadataGroup::new(Arc::new(ReplicaLines {
            members: members.clone(),
            own: self.metadata.clone(),
        })));
        let (me, disk) = (self.process.id, self.disk);
        let (saying, told, ticking) = (members.clone(), Arc::clone(&group), Arc::clone(clock));
        self.process.spawn(async move {
            loop {
                for command in saying.unsaid(me, disk) {
                    // What was not heard is said again.
                    let _ = told.propose(0, 0, command).await;
                }
                ticking.sleep(REGISTER_EVERY).await;
            }
        });
        let (telling, told) = (members.clone(), Arc::clone(&self.storage));
        let own = self.metadata.clone();
        self.process
            .spawn(async move { telling.report(&told, own.as_deref()).await });
        let (watching, reading, asking) = (members.clone(), members, Arc::clone(&group));
        self.process.spawn(async move { watching.watch().await });
        let own = self.metadata.clone();
        self.process
            .spawn(async move { reading.read(asking.as_ref(), own.as_deref()).await });
        let (storage, keeping) = (Arc::clone(&self.storage), Arc::clone(clock));
        self.process.spawn(async move {
            let group: &dyn MetadataService = group.as_ref();
            upkeep::keep(&storage, group, keeping.as_ref()).await;
        });
        if let Some(metadata) = &self.metadata {
            let routes: Arc<dyn ShardRoutes> = Arc::new(disks);
            let planner = Planner::new(Arc::clone(metadata), routes);
            self.process.spawn(planner.run(stopping.clone()));
            self.process
                .spawn(voters::keep(Arc::clone(metadata), stopping));
        }
        let (storage, disk, clock) = (Arc::clone(&self.storage), self.disk, Arc::clone(clock));
        self.process
            .spawn(async move { care(&storage, disk, clock.as_ref()).await });
    }

    /// It ends as `how` says; what its machine keeps is kept.
    pub(crate) fn end(self, machine: &mut Machine, network: &Network, how: End) {
        let id = self.process.id;
        network.disconnect(id);
        self.process.kill();
        machine.has_joined |= self.is_initialized();
        machine.end(how);
        if let Some(metadata) = self.metadata {
            // Only to end its tasks: its disk and its lines are dead.
            tokio::spawn(async move { metadata.host().shutdown().await });
        }
    }

    /// An orderly end, then the next boot may be an older or newer program's.
    pub(crate) async fn stop(self, machine: &mut Machine, network: &Network) {
        self.stop.send_replace(true);
        network.disconnect(self.process.id);
        machine.has_joined |= self.is_initialized();
        if let Some(metadata) = &self.metadata {
            let _ = metadata.host().shutdown().await;
        }
        let _ = self.storage.close();
        self.process.kill();
        machine.end(End::Kill);
    }

    fn is_initialized(&self) -> bool {
        let metadata = self.metadata.as_ref();
        metadata.is_some_and(|metadata| metadata.host().is_initialized())
    }
}

fn open_storage(machine: &Machine, entropy: &Arc<dyn Entropy>) -> Result<Arc<StorageNode>, String> {
    let source = DiskSource {
        disk: Arc::new(machine.shards.clone()),
        index: Box::new(machine.index.clone()),
    };
    let settings = StorageSettings::inline(SEGMENT);
    let node = NodeId(machine.id);
    StorageNode::open(CLUSTER, node, vec![source], &settings, entropy)
        .map(Arc::new)
        .map_err(|error| error.to_string())
}

pub(crate) fn voter_settings(
    machine: &Machine,
    tuning: &VoterTuning,
    is_founder: bool,
) -> RaftSettings {
    let mut settings = RaftSettings::new(CLUSTER, machine.id).inline();
    settings.journal.segment_len = tuning.journal_segment;
    settings.journal.segments = 2;
    settings.sync_entries = tuning.sync_entries;
    settings.snapshot_entries = tuning.snapshot_entries;
    settings.log_kept = tuning.log_kept;
    settings.joining = !is_founder && !machine.has_joined;
    settings
}

/// What the caretaker's and the scrubber's threads do.
async fn care(storage: &StorageNode, disk: DiskId, clock: &dyn Clock) {
    let mut scrub_due = clock.monotonic() + SCRUB_EVERY;
    loop {
        clock.sleep(CARE_EVERY).await;
        for _ in 0..CARE_STEPS {
            if !matches!(storage.care_step(disk), Ok(Progress::Worked(_))) {
                break;
            }
        }
        if clock.monotonic() >= scrub_due {
            scrub_due = clock.monotonic() + SCRUB_EVERY;
            let _ = storage.scrub_step(disk);
        }
    }
}
