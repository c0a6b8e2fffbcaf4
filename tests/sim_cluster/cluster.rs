//! The whole cluster: machines, what runs on them, and an operator's hands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cairn_metadata::Metadata;
use cairn_metadata::raft::Member;
use cairn_model::DiskId;
use cairn_rpc::{MetadataGroup, MetadataService};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{
    ClusterAnswer, Coding, GetCluster, InitCluster, LeavingDisk, MarkDisk, MembersAnswer,
    Node as NodeRow, PutJoinToken, PutUser, Query, Refusal, RegisterNode, RemoveDisk, RemoveNode,
    Reply, Role, StorageClass, User,
};
use cairn_world::sim::SeededRng;

use crate::clock::{MachineTime, TrueTime};
use crate::gateway::GatewayProcess;
use crate::machine::{End, Machine};
use crate::members::{Members, ReplicaLines};
use crate::network::Network;
use crate::node::{Node, VoterTuning};
use crate::process::Process;
use crate::trace::Trace;

pub(crate) const CLUSTER: [u8; 16] = *b"simulated-cairn!";
pub(crate) const ACCESS_KEY: &str = "simulated";
pub(crate) const SECRET_KEY: &str = "a secret of some length";
/// Ids of gateways begin here, those of nodes end before.
pub(crate) const FIRST_GATEWAY: u64 = 1_000;
/// The operator's own id on the network.
const OPERATOR: u64 = 9_999;
/// Nodes at the founding; the code is 4+2.
pub(crate) const NODES: u64 = 6;
/// Those of them that vote.
pub(crate) const VOTERS: u64 = 3;
pub(crate) const GATEWAYS: u64 = 2;

/// The gateways as clients find them; `None` is down.
pub(crate) type Gateways = Arc<Mutex<Vec<Option<GatewayProcess>>>>;

/// A whole cluster.
pub(crate) struct Cluster {
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    pub(crate) time: TrueTime,
    pub(crate) machines: BTreeMap<u64, Machine>,
    pub(crate) nodes: BTreeMap<u64, Node>,
    pub(crate) gateways: Gateways,
    pub(crate) gateway_times: Vec<MachineTime>,
    pub(crate) random: SeededRng,
    pub(crate) tuning: VoterTuning,
    operator: Arc<MetadataGroup>,
    known: Arc<Mutex<MembersAnswer>>,
    next_node: u64,
    gateway_boots: u64,
}

impl Cluster {
    /// A network without machines.
    pub(crate) fn new(seed: u64, time: TrueTime, trace: Trace) -> Self {
        let mut random = SeededRng::new(seed);
        let network = Network::new(random.next_u64(), trace.clone());
        let process = Process::new(OPERATOR);
        let machine = MachineTime::new(time, 0, 0);
        let known: Arc<Mutex<MembersAnswer>> = Arc::default();
        let clock = machine.clock(&process);
        let members = Members::new(&process, &network, &clock, &known);
        let watching = members.clone();
        process.spawn(async move { watching.watch().await });
        let operator = Arc::new(MetadataGroup::new(Arc::new(ReplicaLines {
            members: members.clone(),
            own: None,
        })));
        let group = Arc::clone(&operator);
        process.spawn(async move { members.read(group.as_ref(), None).await });
        let tuning = VoterTuning {
            sync_entries: 5 + random.below(200),
            snapshot_entries: 50 + random.below(800),
            log_kept: 10 + random.below(100),
            journal_segment: (512 << 10) << random.below(2),
        };
        Self {
            network,
            trace,
            time,
            machines: BTreeMap::new(),
            nodes: BTreeMap::new(),
            gateways: Arc::default(),
            gateway_times: Vec::new(),
            random,
            tuning,
            operator,
            known,
            next_node: 1,
            gateway_boots: 0,
        }
    }

    /// Founds the cluster on machine 1 and takes the others in, as operators do.
    pub(crate) async fn found(&mut self) -> Result<(), String> {
        for id in 1..=NODES {
            self.add_machine(id <= VOTERS);
        }
        self.start(1).await?;
        let founder = self.nodes.get(&1).and_then(|node| node.metadata.clone());
        let founder = founder.ok_or("the founder does not vote")?;
        let alone = Member {
            id: 1,
            address: address(1),
        };
        let founded = founder.host().initialize(vec![alone]).await;
        founded.map_err(|error| error.to_string())?;
        if !founder.host().wait_ready(Duration::from_secs(30)).await {
            return Err("the founder does not lead".to_owned());
        }
        self.introduce(&founder).await?;
        for id in 2..=NODES {
            self.start(id).await?;
        }
        for index in 0..GATEWAYS {
            let drift = self.drift();
            self.gateway_times
                .push(MachineTime::new(self.time, drift, 0));
            self.gateways.lock().unwrap().push(None);
            self.start_gateway(usize::try_from(index).unwrap());
        }
        self.until_placed().await
    }

    fn drift(&mut self) -> i64 {
        i64::try_from(self.random.below(401)).unwrap() - 200
    }

    fn add_machine(&mut self, is_voter: bool) -> u64 {
        let id = self.next_node;
        self.next_node += 1;
        let off = i64::try_from(self.random.below(2_001)).unwrap() - 1_000;
        let time = MachineTime::new(self.time, self.drift(), off);
        let machine = Machine::new(id, is_voter, time, self.random.next_u64());
        *machine.members.lock().unwrap() = self.known.lock().unwrap().clone();
        self.machines.insert(id, machine);
        id
    }

    /// Cluster row, root, and every member by a token of its own.
    async fn introduce(&mut self, founder: &Metadata) -> Result<(), String> {
        let class = StorageClass {
            name: "STANDARD".into(),
            coding: Some(Coding {
                data: 4,
                parity: 2,
                cell: 65_536,
                layout: 1,
            }),
            domain: "node".into(),
        };
        let user = User {
            id: "root".into(),
            display_name: "root".into(),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            root: true,
            ..User::default()
        };
        let init = InitCluster {
            cluster: CLUSTER.to_vec().into(),
            generation: 1,
            disks: Vec::new(),
            classes: vec![class],
            partition_bits: 4,
            slots: Bytes::new(),
        };
        done(founder, Command::InitCluster(init)).await?;
        done(founder, Command::PutUser(PutUser { user: Some(user) })).await?;
        let ids = (1..=NODES).chain(FIRST_GATEWAY..FIRST_GATEWAY + GATEWAYS);
        for id in ids {
            for command in registration(id, id <= VOTERS) {
                done(founder, command).await?;
            }
        }
        let members = founder.members_applied().ok_or("no members")?;
        *self.known.lock().unwrap() = members.clone();
        for machine in self.machines.values() {
            *machine.members.lock().unwrap() = members.clone();
        }
        Ok(())
    }

    /// Boots the node of a machine.
    pub(crate) async fn start(&mut self, id: u64) -> Result<(), String> {
        let machine = self.machines.get_mut(&id).ok_or("no such machine")?;
        let is_founder = id == 1;
        let node = Node::start(machine, &self.network, &self.tuning, is_founder).await?;
        self.trace.note(&[2, id]);
        self.nodes.insert(id, node);
        Ok(())
    }

    /// The node of a machine ends without being asked.
    pub(crate) fn crash(&mut self, id: u64, how: End) {
        let machine = self.machines.get_mut(&id);
        if let (Some(node), Some(machine)) = (self.nodes.remove(&id), machine) {
            self.trace.note(&[3, id]);
            node.end(machine, &self.network, how);
        }
    }

    /// The node of a machine is stopped in order.
    pub(crate) async fn stop(&mut self, id: u64) {
        let machine = self.machines.get_mut(&id);
        if let (Some(node), Some(machine)) = (self.nodes.remove(&id), machine) {
            self.trace.note(&[4, id]);
            node.stop(machine, &self.network).await;
        }
    }

    pub(crate) fn start_gateway(&mut self, index: usize) {
        let Some(time) = self.gateway_times.get(index) else {
            return;
        };
        let id = FIRST_GATEWAY + index as u64;
        self.gateway_boots += 1;
        let boot = self.random.next_u64() ^ self.gateway_boots;
        let started = GatewayProcess::start(id, boot, time, &self.network, &self.known);
        self.trace.note(&[5, id]);
        if let Some(slot) = self.gateways.lock().unwrap().get_mut(index) {
            *slot = Some(started);
        }
    }

    /// Takes the gateway out of its clients' sight.
    pub(crate) fn take_gateway(&mut self, index: usize) -> Option<GatewayProcess> {
        let mut gateways = self.gateways.lock().unwrap();
        let taken = gateways.get_mut(index)?.take();
        self.trace.note(&[6, index as u64]);
        taken
    }

    /// A new machine joins; `is_voter` where it is to keep metadata too.
    pub(crate) async fn join(&mut self, is_voter: bool) -> Result<u64, String> {
        let id = self.add_machine(is_voter);
        for command in registration(id, is_voter) {
            self.command(command).await?;
        }
        self.start(id).await?;
        Ok(id)
    }

    /// The machine and all that is on it is gone for ever; the disk it had.
    pub(crate) fn lose(&mut self, id: u64) -> Option<DiskId> {
        let disk = self.nodes.get(&id)?.disk;
        self.crash(id, End::PowerCut);
        self.machines.remove(&id);
        Some(disk)
    }

    /// The operator says once that a disk is to be emptied.
    pub(crate) async fn say_leaving(&self, disk: DiskId) {
        let _ = self.operator.propose(0, 0, mark_leaving(disk)).await;
    }

    /// A new machine joins if the metadata answers at once.
    pub(crate) async fn try_join(&mut self) -> Result<u64, String> {
        let id = self.add_machine(false);
        for command in registration(id, false) {
            let reply = self.operator.propose(0, 0, command).await;
            let taken = reply.map(|reply| reply.refusal() == Refusal::None);
            if !matches!(taken, Ok(true)) {
                // It may be a member nevertheless: one that never comes, and has no disk.
                self.machines.remove(&id);
                return Err(format!("{taken:?}"));
            }
        }
        self.start(id).await?;
        Ok(id)
    }

    /// The machine goes once its disk is empty.
    pub(crate) async fn take_away(&mut self, id: u64, disk: DiskId) -> Result<(), String> {
        if self.has_disk(disk).await? {
            self.command(mark_leaving(disk)).await?;
        }
        let remove = Command::RemoveDisk(RemoveDisk {
            disk: disk.0.to_vec().into(),
        });
        let mut patience = 3 * 900;
        while self.has_disk(disk).await? {
            // Refused while anything is still on it.
            let _ = self.operator.propose(0, 0, remove.clone()).await;
            patience -= 1;
            if patience == 0 {
                return Err(format!("the disk of node {id} is never empty"));
            }
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        self.crash(id, End::PowerCut);
        self.machines.remove(&id);
        self.command(Command::RemoveNode(RemoveNode { node: id }))
            .await
            .map(drop)
    }

    /// A machine whose node does not start is gone for ever; the disk it had, as the members know it.
    pub(crate) fn forget_machine(&mut self, id: u64) -> Option<DiskId> {
        self.machines.remove(&id)?;
        let known = self.known.lock().unwrap();
        let row = known.disks.iter().find(|row| row.node == id)?;
        row.disk.as_ref().try_into().ok().map(DiskId)
    }

    /// The operator says once that a disk is lost; whether it was heard is not known.
    pub(crate) async fn say_lost(&self, disk: DiskId) {
        let _ = self.operator.propose(0, 0, mark_lost(disk)).await;
    }

    /// The node is a member no more, once its disk is none.
    pub(crate) async fn forget(&mut self, id: u64, disk: DiskId) -> Result<(), String> {
        if self.has_disk(disk).await? {
            self.command(mark_lost(disk)).await?;
        }
        // Cut-over waits for the sessions of before: an upload may hold one for an hour and a chunk.
        let mut patience = 3 * 3_600;
        while self.has_disk(disk).await? {
            patience -= 1;
            if patience == 0 {
                return Err(format!("the lost disk of node {id} is still a member"));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.command(Command::RemoveNode(RemoveNode { node: id }))
            .await
            .map(drop)
    }

    async fn has_disk(&self, disk: DiskId) -> Result<bool, String> {
        let cluster = self.cluster().await?;
        let mut disks = cluster.disks.iter();
        Ok(disks.any(|row| row.disk == disk.0.as_slice()))
    }

    async fn until_placed(&self) -> Result<(), String> {
        for _ in 0..120 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let voting = self.voting();
            let placed = self.cluster().await?;
            if !placed.partitions.is_empty() && voting == usize::try_from(VOTERS).unwrap() {
                return Ok(());
            }
        }
        Err("no table after two minutes".to_owned())
    }

    /// Voters as the leader counts them.
    fn voting(&self) -> usize {
        let leader = self.leader().and_then(|id| self.nodes.get(&id));
        let metadata = leader.and_then(|node| node.metadata.as_ref());
        metadata.map_or(0, |metadata| metadata.host().members().voters.len())
    }

    /// Who leads, if anybody does.
    pub(crate) fn leader(&self) -> Option<u64> {
        let leading = self.nodes.iter().filter_map(|(id, node)| {
            let host = node.metadata.as_ref()?.host();
            let term = host.leadership().filter(|_| host.is_ready())?;
            Some((term, *id))
        });
        leading.max().map(|(_, id)| id)
    }

    /// Sends a command until it is answered; a refusal is an error.
    pub(crate) async fn command(&self, command: Command) -> Result<Reply, String> {
        let mut last = String::new();
        for _ in 0..120 {
            match self.operator.propose(0, 0, command.clone()).await {
                Ok(reply) if reply.refusal() == Refusal::None => return Ok(reply),
                Ok(reply) => return Err(format!("{command:?}: {reply:?}")),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(format!("{command:?}: {last}"))
    }

    /// Asks until there is an answer.
    pub(crate) async fn ask(&self, asked: Asked) -> Result<Kind, String> {
        let mut last = String::new();
        for _ in 0..120 {
            let query = Query {
                query: Some(asked.clone()),
            };
            match self.operator.query(query).await {
                Ok(answer) => return answer.answer.ok_or_else(|| "an empty answer".to_owned()),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(format!("{asked:?}: {last}"))
    }

    pub(crate) async fn cluster(&self) -> Result<ClusterAnswer, String> {
        match self.ask(Asked::GetCluster(GetCluster {})).await? {
            Kind::Cluster(cluster) => Ok(cluster),
            other => Err(format!("{other:?}")),
        }
    }
}

fn mark_lost(disk: DiskId) -> Command {
    mark(disk, true)
}

fn mark_leaving(disk: DiskId) -> Command {
    mark(disk, false)
}

fn mark(disk: DiskId, lost: bool) -> Command {
    Command::MarkDisk(MarkDisk {
        disk: Some(LeavingDisk {
            disk: disk.0.to_vec().into(),
            lost,
        }),
        stay: false,
    })
}

/// Where a node is called.
pub(crate) fn address(id: u64) -> String {
    format!("node-{id}:9100")
}

/// What makes `id` a member.
fn registration(id: u64, is_voter: bool) -> [Command; 2] {
    let roles = match id {
        FIRST_GATEWAY.. => Role::Gateway as u32,
        _ if is_voter => Role::Storage as u32 | Role::Metadata as u32,
        _ => Role::Storage as u32,
    };
    let key: Bytes = [id.to_be_bytes(); 4].concat().into();
    let row = NodeRow {
        node: id,
        address: address(id),
        public_key: key.clone(),
        roles,
        ..NodeRow::default()
    };
    [
        Command::PutJoinToken(PutJoinToken {
            digest: key.clone(),
            roles,
            lifetime_ms: 600_000,
        }),
        Command::RegisterNode(RegisterNode {
            token: key,
            node: Some(row),
        }),
    ]
}

async fn done(metadata: &Metadata, command: Command) -> Result<Reply, String> {
    for _ in 0..100 {
        match metadata.propose(0, 0, command.clone()).await {
            Ok(reply) if reply.refusal() == Refusal::None => return Ok(reply),
            Ok(reply) => return Err(format!("{command:?}: {reply:?}")),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    Err(format!("{command:?}: no answer"))
}
