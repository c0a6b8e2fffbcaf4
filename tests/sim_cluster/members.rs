//! Who belongs to the cluster as one process knows it, which of them answered lately, and the ways to
//! them: what `cairn` has over QUIC, over the simulated network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cairn_metadata::Metadata;
use cairn_model::{DiskId, NodeId};
use cairn_rpc::{
    DiskRoute, MetadataService, Replica, Replicas, ShardRebuild, ShardRoutes, ShardService,
};
use cairn_storage_node::{Rebuilder, StorageNode, registration, upkeep};
use cairn_wire::metadata::answer::Answer as Kind;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{GetMembers, MembersAnswer, Query, Role};
use cairn_world::Clock;

use crate::cluster::address;
use crate::network::metadata::RemoteMetadata;
use crate::network::shards::RemoteShards;
use crate::network::{Network, Services};
use crate::process::Process;

/// Rest between two pings of a member, how long one is waited for, the silence after which it was
/// away, and that after which others are preferred: as `cairn` has them.
const PING_EVERY: Duration = Duration::from_millis(500);
const PING_PATIENCE: Duration = Duration::from_secs(1);
const AWAY: Duration = Duration::from_millis(750);
const SILENT: Duration = Duration::from_millis(1_600);
/// How often a node says how its disk is.
const REPORT_EVERY: Duration = Duration::from_secs(5);
/// How often the members are read.
const READ_EVERY: Duration = Duration::from_secs(1);

/// What a process knows of the others. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    process: Process,
    network: Network,
    clock: Arc<dyn Clock>,
    known: Arc<Mutex<MembersAnswer>>,
    heard: Arc<Mutex<BTreeMap<u64, Heard>>>,
}

/// When a member answered last, and when it was first heard after it had been away.
#[derive(Clone, Copy, Debug)]
struct Heard {
    at: Duration,
    back: Option<Duration>,
}

impl Heard {
    fn new(now: Duration) -> Self {
        Self {
            at: now,
            back: None,
        }
    }

    fn note(&mut self, now: Duration) {
        if now.saturating_sub(self.at) > AWAY {
            self.back = Some(now);
        }
        self.at = now.max(self.at);
    }
}

impl Members {
    /// `known` is what the machine has written down.
    pub(crate) fn new(
        process: &Process,
        network: &Network,
        clock: &Arc<dyn Clock>,
        known: &Arc<Mutex<MembersAnswer>>,
    ) -> Self {
        Self {
            process: process.clone(),
            network: network.clone(),
            clock: Arc::clone(clock),
            known: Arc::clone(known),
            heard: Arc::default(),
        }
    }

    pub(crate) fn learn(&self, members: MembersAnswer) {
        *self.known.lock().unwrap() = members;
    }

    /// What node `me` still has to say of itself.
    pub(crate) fn unsaid(&self, me: u64, disk: DiskId) -> Vec<Command> {
        let known = self.known.lock().unwrap();
        registration::unsaid(&known, me, &address(me), &[disk])
    }

    fn voters(&self) -> Vec<u64> {
        let known = self.known.lock().unwrap();
        let votes = known.nodes.iter();
        let votes = votes.filter(|node| node.roles & Role::Metadata as u32 != 0);
        votes.map(|node| node.node).collect()
    }

    fn others(&self) -> Vec<u64> {
        let known = self.known.lock().unwrap();
        let all = known.nodes.iter().map(|node| node.node);
        // Gateways answer nobody.
        let answers = |id: &u64| *id != self.process.id && *id < crate::cluster::FIRST_GATEWAY;
        all.filter(answers).collect()
    }

    fn holder(&self, disk: DiskId) -> Option<u64> {
        let known = self.known.lock().unwrap();
        let mut disks = known.disks.iter();
        let found = disks.find(|row| row.disk == disk.0.as_slice())?;
        Some(found.node)
    }

    fn is_reachable(&self, node: u64) -> bool {
        let now = self.clock.monotonic();
        let mut heard = self.heard.lock().unwrap();
        let heard = heard.entry(node).or_insert(Heard::new(now));
        node == self.process.id || now.saturating_sub(heard.at) <= SILENT
    }

    fn is_back_since(&self, node: u64, moment: Duration) -> bool {
        let heard = self.heard.lock().unwrap();
        let back = heard.get(&node).and_then(|heard| heard.back);
        back.is_some_and(|back| back > moment)
    }

    /// Pings the others for as long as it is polled.
    pub(crate) async fn watch(&self) {
        loop {
            for node in self.others() {
                let members = self.clone();
                self.process.spawn(async move {
                    let ready = async |_: Services| ();
                    let ping = members
                        .network
                        .call(&members.process, node, PING_PATIENCE, ready);
                    if ping.await.is_ok() {
                        let now = members.clock.monotonic();
                        let mut heard = members.heard.lock().unwrap();
                        heard.entry(node).or_insert(Heard::new(now)).note(now);
                    }
                });
            }
            self.clock.sleep(PING_EVERY).await;
        }
    }

    /// Tells the voters how the disk is, for as long as it is polled.
    pub(crate) async fn report(&self, storage: &StorageNode, own: Option<&Metadata>) {
        let me = NodeId(self.process.id);
        loop {
            for voter in self.voters() {
                let status = upkeep::status(storage);
                if voter == self.process.id {
                    if let Some(own) = own {
                        own.note_status(me, status);
                    }
                    continue;
                }
                let members = self.clone();
                self.process.spawn(async move {
                    let tell = async move |there: Services| {
                        if let Some(metadata) = there.metadata {
                            metadata.note_status(me, status);
                        }
                    };
                    let told = members
                        .network
                        .call(&members.process, voter, PING_PATIENCE, tell);
                    // The next one comes soon.
                    let _ = told.await;
                });
            }
            self.clock.sleep(REPORT_EVERY).await;
        }
    }

    /// Reads the members for as long as it is polled; a voter falls back on what it has applied.
    pub(crate) async fn read(&self, group: &dyn MetadataService, own: Option<&Metadata>) {
        loop {
            let query = Query {
                query: Some(Asked::GetMembers(GetMembers {})),
            };
            let answer = group.query(query).await.ok();
            match answer.and_then(|answer| answer.answer) {
                Some(Kind::Members(members)) if !members.nodes.is_empty() => self.learn(members),
                _ => {
                    let applied = own.and_then(Metadata::members_applied);
                    if let Some(members) = applied.filter(|members| !members.nodes.is_empty()) {
                        self.learn(members);
                    }
                }
            }
            self.clock.sleep(READ_EVERY).await;
        }
    }
}

/// The replicas of the metadata.
#[derive(Debug)]
pub(crate) struct ReplicaLines {
    pub(crate) members: Members,
    pub(crate) own: Option<Arc<Metadata>>,
}

impl Replicas for ReplicaLines {
    fn replicas(&self) -> Vec<Replica> {
        let members = &self.members;
        let replica = |node: u64| {
            let service: Arc<dyn MetadataService> = match &self.own {
                Some(own) if node == members.process.id => Arc::clone(own) as _,
                None if node == members.process.id => return None,
                _ => Arc::new(RemoteMetadata {
                    network: members.network.clone(),
                    process: members.process.clone(),
                    to: node,
                }),
            };
            Some(Replica {
                node,
                service,
                is_reachable: members.is_reachable(node),
            })
        };
        members.voters().into_iter().filter_map(replica).collect()
    }
}

/// The ways to the disks; those of this process are called directly.
#[derive(Clone, Debug)]
pub(crate) struct DiskLines {
    pub(crate) members: Members,
    pub(crate) own: Option<Arc<StorageNode>>,
}

impl DiskLines {
    fn remote(&self, holder: u64) -> Arc<RemoteShards> {
        Arc::new(RemoteShards {
            network: self.members.network.clone(),
            process: self.members.process.clone(),
            to: holder,
        })
    }

    /// Makes shards anew on this process's own disks.
    pub(crate) fn rebuilder(&self) -> Option<Arc<dyn ShardRebuild>> {
        let (own, clock) = (self.own.clone()?, Arc::clone(&self.members.clock));
        Some(Arc::new(Rebuilder::new(own, Arc::new(self.clone()), clock)))
    }
}

impl ShardRoutes for DiskLines {
    fn shards(&self, disk: DiskId) -> Option<Arc<dyn ShardService>> {
        let holder = self.members.holder(disk)?;
        if holder == self.members.process.id {
            return self.own.clone().map(|own| own as _);
        }
        Some(self.remote(holder))
    }

    fn route(&self, disk: DiskId) -> Option<DiskRoute> {
        let holder = self.members.holder(disk)?;
        if holder == self.members.process.id {
            let own = self.own.clone()?;
            return Some(DiskRoute {
                shards: own.clone(),
                inventory: own,
                rebuild: self.rebuilder(),
            });
        }
        let remote = self.remote(holder);
        Some(DiskRoute {
            shards: remote.clone(),
            inventory: remote.clone(),
            rebuild: Some(remote),
        })
    }

    fn disks(&self) -> Vec<DiskId> {
        let known = self.members.known.lock().unwrap();
        let id = |row: &cairn_wire::metadata::Disk| row.disk.as_ref().try_into().ok().map(DiskId);
        known.disks.iter().filter_map(id).collect()
    }

    fn is_reachable(&self, disk: DiskId) -> bool {
        let holder = self.members.holder(disk);
        holder.is_some_and(|holder| self.members.is_reachable(holder))
    }

    fn is_back_since(&self, disk: DiskId, moment: Duration) -> bool {
        let holder = self.members.holder(disk);
        holder.is_some_and(|holder| self.members.is_back_since(holder, moment))
    }
}
