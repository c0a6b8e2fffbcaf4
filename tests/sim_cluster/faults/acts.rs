//! One act of each kind.

use std::time::Duration;

use cairn_rpc::ShardFound;
use cairn_store::memory::MemoryStore;

use super::{Faults, Kind, Undo, disks};
use crate::cluster::{Cluster, FIRST_GATEWAY, NODES};
use crate::machine::End;
use crate::network::Weather;

const SECOND: Duration = Duration::from_secs(1);

impl Faults {
    pub(super) async fn act(&mut self, cluster: &mut Cluster) {
        let kind = self.draw_kind();
        let done = match kind {
            Kind::NodeEnds => self.node_ends(cluster),
            Kind::Outage => self.outage(cluster),
            Kind::NodeRestarts => self.node_restarts(cluster).await,
            Kind::GatewayEnds => self.gateway_ends(cluster).await,
            Kind::Split => self.split(cluster),
            Kind::OneWay => self.one_way(cluster),
            Kind::LeaderCutOff => self.leader_cut_off(cluster),
            Kind::Weather => self.weather(cluster),
            Kind::SlowDisks => self.slow_disks(cluster),
            Kind::Pause => self.pause(cluster),
            Kind::ClockJump => self.clock_jump(cluster),
            Kind::MachineLost => self.machine_lost(cluster).await,
            Kind::JournalRot => self.journal_rot(cluster).await,
            Kind::JournalEmptied => self.journal_emptied(cluster).await,
            Kind::BatchLost => self.batch_lost(cluster),
            Kind::Growth => Self::growth(cluster).await,
            Kind::DiskLeaves => self.disk_leaves(cluster).await,
            Kind::Lag => self.lag(cluster),
            Kind::Elections => self.elections(cluster).await,
            Kind::DiesAfterVoting => self.dies_after_voting(cluster).await,
            Kind::GatewayCutOff => self.gateway_cut_off(cluster).await,
            Kind::IndexLost => self.index_lost(cluster).await,
            Kind::ShardDiskFails
            | Kind::JournalFails
            | Kind::DiskFull
            | Kind::Rot
            | Kind::Misdirected => self.disk_act(cluster, kind),
        };
        if done {
            tracing::info!(kind = kind.name(), at = ?cluster.time.elapsed(), "fault");
            *self.counts.entry(kind.name()).or_default() += 1;
            cluster.trace.note(&[7, kind as u64]);
        }
    }

    pub(super) fn how(&mut self) -> End {
        if self.random.chance(1, 2) {
            End::PowerCut
        } else {
            End::Kill
        }
    }

    fn node_ends(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.pick(&Self::running(cluster)) else {
            return false;
        };
        let how = self.how();
        cluster.crash(id, how);
        self.down.insert(id);
        let mean = [SECOND, 10 * SECOND, 60 * SECOND];
        let mean = self.random.pick(&mean).copied().unwrap_or(SECOND);
        self.later(cluster, mean, Undo::Start(id));
        true
    }

    /// A disk is made out again from its segments: what was there is there, and what was deleted is not.
    async fn index_lost(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.pick(&Self::running(cluster)) else {
            return false;
        };
        if self.rotten.contains(&id) || disks::has_failed(cluster, id) {
            return false;
        }
        let before = disks::inventory(cluster, id);
        cluster.crash(id, End::Kill);
        if let Some(machine) = cluster.machines.get_mut(&id) {
            machine.shards.clear_faults();
            machine.index = MemoryStore::new();
        }
        self.down.insert(id);
        self.start(cluster, id).await;
        if let (Some(before), Some(after)) = (before, disks::inventory(cluster, id)) {
            let mut tell = |what: &str, found: Option<&ShardFound>| {
                let told =
                    found.map(|shard| format!("node {id}, its index lost: {what} {shard:?}"));
                self.violations.extend(told);
            };
            tell("back is", after.iter().find(|one| !before.contains(one)));
            tell("missing is", before.iter().find(|one| !after.contains(one)));
        }
        true
    }

    fn outage(&mut self, cluster: &mut Cluster) -> bool {
        for id in Self::running(cluster) {
            cluster.crash(id, End::PowerCut);
            self.down.insert(id);
            self.later(cluster, 5 * SECOND, Undo::Start(id));
        }
        true
    }

    async fn node_restarts(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.pick(&Self::running(cluster)) else {
            return false;
        };
        cluster.stop(id).await;
        self.down.insert(id);
        self.later(cluster, 3 * SECOND, Undo::Start(id));
        true
    }

    async fn gateway_ends(&mut self, cluster: &mut Cluster) -> bool {
        let index = self.random.below(cluster.gateway_times.len() as u64) as usize;
        let Some(gateway) = cluster.take_gateway(index) else {
            return false;
        };
        if self.random.chance(2, 3) {
            gateway.kill(&cluster.network);
        } else {
            gateway.stop(&cluster.network).await;
        }
        self.later(cluster, 5 * SECOND, Undo::StartGateway(index));
        true
    }

    pub(super) fn everybody(cluster: &Cluster) -> Vec<u64> {
        let gateways = FIRST_GATEWAY..FIRST_GATEWAY + cluster.gateway_times.len() as u64;
        cluster.machines.keys().copied().chain(gateways).collect()
    }

    fn split(&mut self, cluster: &mut Cluster) -> bool {
        let all = Self::everybody(cluster);
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for id in all {
            if self.random.chance(1, 2) {
                one.push(id);
            } else {
                other.push(id);
            }
        }
        let one_way = self.random.chance(1, 4);
        for a in &one {
            for b in &other {
                cluster.network.cut_way(*a, *b);
                if !one_way {
                    cluster.network.cut_way(*b, *a);
                }
            }
        }
        self.later(cluster, 20 * SECOND, Undo::Lines);
        true
    }

    fn one_way(&mut self, cluster: &mut Cluster) -> bool {
        let all = Self::everybody(cluster);
        let (Some(from), Some(to)) = (self.pick(&all), self.pick(&all)) else {
            return false;
        };
        cluster.network.cut_way(from, to);
        self.later(cluster, 20 * SECOND, Undo::Lines);
        from != to
    }

    fn leader_cut_off(&mut self, cluster: &mut Cluster) -> bool {
        let Some(leader) = cluster.leader() else {
            return false;
        };
        // Sometimes gateways still reach it, one of them or all: what it says then must be right.
        let reached_by = self.random.below(4);
        for other in Self::everybody(cluster) {
            let reaches = match reached_by {
                0 => false,
                1 => other >= FIRST_GATEWAY,
                2 => other == FIRST_GATEWAY,
                _ => other == FIRST_GATEWAY + 1,
            };
            if other != leader && !reaches {
                cluster.network.cut_way(leader, other);
                cluster.network.cut_way(other, leader);
            }
        }
        self.later(cluster, 10 * SECOND, Undo::Lines);
        true
    }

    /// What was begun there goes on to the disks, while its sessions expire. At first it is only not
    /// answered: what it says then takes effect, and it asks what became of it once it is heard again.
    async fn gateway_cut_off(&mut self, cluster: &mut Cluster) -> bool {
        let gateway = FIRST_GATEWAY + self.random.below(cluster.gateway_times.len() as u64);
        let voters = Self::voters(cluster);
        for voter in &voters {
            cluster.network.cut_way(*voter, gateway);
        }
        if self.random.chance(2, 3) {
            tokio::time::sleep(self.some(5 * SECOND)).await;
            for voter in &voters {
                cluster.network.cut_way(gateway, *voter);
            }
        }
        self.later(cluster, 120 * SECOND, Undo::Lines);
        true
    }

    fn weather(&mut self, cluster: &mut Cluster) -> bool {
        cluster.network.set_weather(Weather {
            lost: self.random.below(60),
            repeated: self.random.below(100),
            late: self.random.below(50),
            delay: Duration::from_millis(1 + self.random.below(60)),
        });
        self.later(cluster, 30 * SECOND, Undo::Weather);
        true
    }

    fn slow_disks(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.pick(&Self::running(cluster)) else {
            return false;
        };
        let up_to = Duration::from_millis(20 << self.random.below(9));
        cluster.network.slow_disks(id, up_to);
        self.later(cluster, 30 * SECOND, Undo::Fast(id));
        true
    }

    fn pause(&mut self, cluster: &mut Cluster) -> bool {
        let means = [SECOND, 5 * SECOND, 30 * SECOND, 100 * SECOND];
        let mean = self.random.pick(&means).copied().unwrap_or(SECOND);
        if self.random.chance(1, 3) {
            let index = self.random.below(cluster.gateway_times.len() as u64) as usize;
            let gateway = cluster
                .gateways
                .lock()
                .unwrap()
                .get(index)
                .cloned()
                .flatten();
            let Some(gateway) = gateway else {
                return false;
            };
            gateway.process.pause();
            self.later(cluster, mean, Undo::ResumeGateway(index));
            return true;
        }
        let leader = cluster.leader().filter(|_| self.random.chance(1, 2));
        let Some(id) = leader.or_else(|| self.pick(&Self::running(cluster))) else {
            return false;
        };
        if let Some(node) = cluster.nodes.get(&id) {
            node.process.pause();
        }
        self.later(cluster, mean, Undo::Resume(id));
        true
    }

    fn clock_jump(&mut self, cluster: &mut Cluster) -> bool {
        let ids: Vec<u64> = cluster.machines.keys().copied().collect();
        let Some(id) = self.pick(&ids) else {
            return false;
        };
        let sizes = [3_000, 8_000, 600_000, 5_000_000, 700_000_000];
        let size: i64 = self.random.pick(&sizes).copied().unwrap_or(3_000);
        let millis = if self.random.chance(1, 2) {
            size
        } else {
            -size
        };
        if let Some(machine) = cluster.machines.get(&id) {
            machine.time.jump(millis);
        }
        true
    }

    async fn machine_lost(&mut self, cluster: &mut Cluster) -> bool {
        // Whatever was destroyed before in this storm was this machine's.
        let Some(id) = self.victim(cluster) else {
            return false;
        };
        if !cluster.nodes.contains_key(&id) || !self.leaving.is_empty() {
            return false;
        }
        self.lose(cluster, id).await
    }

    /// The machine is gone for ever, and so the operator says, once.
    pub(super) async fn lose(&mut self, cluster: &mut Cluster, id: u64) -> bool {
        let running = cluster.lose(id);
        let Some(disk) = running.or_else(|| cluster.forget_machine(id)) else {
            return false;
        };
        self.down.remove(&id);
        self.emptying.retain(|(emptying, _)| *emptying != id);
        self.leaving.push((id, disk));
        cluster.say_lost(disk).await;
        true
    }

    async fn growth(cluster: &mut Cluster) -> bool {
        let members = cluster.machines.len() as u64;
        if members >= NODES + 2 {
            return false;
        }
        match cluster.try_join().await {
            Ok(_) => true,
            Err(error) => {
                tracing::info!(error, "nobody could be taken in");
                false
            }
        }
    }

    async fn disk_leaves(&mut self, cluster: &mut Cluster) -> bool {
        // Six must stay, and those that vote.
        let staying = cluster.machines.len() - self.emptying.len();
        let going = |id: &&u64| {
            let emptying = self.emptying.iter().any(|(going, _)| going == *id);
            let votes = cluster
                .machines
                .get(id)
                .is_none_or(|one| one.voter.is_some());
            !votes && !emptying
        };
        let ids: Vec<u64> = cluster.nodes.keys().filter(going).copied().collect();
        let (true, Some(id)) = (staying as u64 > NODES, self.pick(&ids)) else {
            return false;
        };
        let Some(disk) = cluster.nodes.get(&id).map(|node| node.disk) else {
            return false;
        };
        self.emptying.push((id, disk));
        cluster.say_leaving(disk).await;
        true
    }

    fn disk_act(&mut self, cluster: &mut Cluster, kind: Kind) -> bool {
        let id = if kind.destroys() {
            self.victim(cluster)
        } else {
            self.pick(&Self::running(cluster))
        };
        let Some(id) = id else {
            return false;
        };
        if matches!(kind, Kind::Rot | Kind::Misdirected) {
            self.rotten.insert(id);
        }
        let random = &mut self.random;
        match kind {
            Kind::Rot => disks::rot(cluster, id, random),
            Kind::Misdirected => disks::misdirect(cluster, id, random),
            Kind::DiskFull => {
                let done = disks::fill(cluster, id, random);
                self.later(cluster, 30 * SECOND, Undo::Room(id));
                done
            }
            Kind::ShardDiskFails => {
                let done = disks::fail_shards(cluster, id, random);
                self.later(cluster, 20 * SECOND, Undo::Restart(id));
                done
            }
            _ => {
                let done = disks::fail_journal(cluster, id, random);
                if done {
                    self.later(cluster, 10 * SECOND, Undo::Restart(id));
                }
                done
            }
        }
    }
}
