//! One act of each kind.

use std::time::Duration;

use super::{Faults, Kind, Undo, disks};
use crate::cluster::{Cluster, FIRST_GATEWAY, NODES};
use crate::machine::End;
use crate::network::Weather;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

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
            Kind::GatewayCutOff => self.gateway_cut_off(cluster),
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

    fn everybody(cluster: &Cluster) -> Vec<u64> {
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

    /// What was begun there goes on to the disks, while its sessions expire.
    fn gateway_cut_off(&mut self, cluster: &mut Cluster) -> bool {
        let index = self.random.below(cluster.gateway_times.len() as u64);
        for voter in Self::voters(cluster) {
            cluster.network.cut_way(FIRST_GATEWAY + index, voter);
            if self.random.chance(1, 2) {
                cluster.network.cut_way(voter, FIRST_GATEWAY + index);
            }
        }
        self.later(cluster, 100 * SECOND, Undo::Lines);
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

    /// The machine whose journal may be destroyed in this storm, where it votes and runs.
    fn doomed_voter(&mut self, cluster: &Cluster) -> Option<u64> {
        let id = self.victim(cluster)?;
        let votes = cluster.nodes.get(&id)?.metadata.is_some();
        (votes && self.leaving.is_empty() && self.journal_lost.is_none()).then_some(id)
    }

    /// A voter that sees damage does not start: it is lost.
    async fn journal_rot(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.doomed_voter(cluster) else {
            return false;
        };
        let how = self.how();
        cluster.crash(id, how);
        let done = disks::rot_journal(cluster, id, &mut self.random);
        match cluster.start(id).await {
            Ok(()) => done,
            Err(error) => {
                tracing::info!(id, error, "a damaged voter does not start");
                if !error.contains("the journal is damaged") {
                    let what =
                        format!("after rot in its journal node {id} does not start: {error}");
                    self.violations.push(what);
                }
                let disk = cluster.forget_machine(id);
                self.leaving.extend(disk.map(|disk| (id, disk)));
                true
            }
        }
    }

    /// An empty voter is mute under its old id until its operator sees it. First another one falls behind,
    /// then the third is cut off: the two that are left know less than was acknowledged.
    async fn journal_emptied(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.doomed_voter(cluster) else {
            return false;
        };
        let others = Self::voters(cluster).into_iter().filter(|one| *one != id);
        let others: Vec<u64> = others.collect();
        let behind = self.pick(&others);
        if let Some(behind) = behind {
            Self::cut_off(cluster, behind);
            tokio::time::sleep(self.some(8 * SECOND)).await;
        }
        cluster.crash(id, End::PowerCut);
        if let Some(machine) = cluster.machines.get_mut(&id) {
            machine.empty_voter();
        }
        self.journal_lost = Some(id);
        cluster.network.mend_lines();
        for other in others.iter().filter(|other| Some(**other) != behind) {
            Self::cut_off(cluster, *other);
        }
        self.start(cluster, id).await;
        self.later(cluster, 15 * SECOND, Undo::Lines);
        true
    }

    fn voters(cluster: &Cluster) -> Vec<u64> {
        let voters = cluster
            .nodes
            .iter()
            .filter(|(_, node)| node.metadata.is_some());
        voters.map(|(id, _)| *id).collect()
    }

    /// Nobody hears it, and it hears nobody.
    fn cut_off(cluster: &Cluster, id: u64) {
        for other in Self::everybody(cluster) {
            if other != id {
                cluster.network.cut_way(id, other);
                cluster.network.cut_way(other, id);
            }
        }
    }

    fn lag(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.pick(&Self::voters(cluster)) else {
            return false;
        };
        let by = Duration::from_millis(50 + self.random.below(1_500));
        cluster.network.lag(id, by);
        self.later(cluster, 30 * SECOND, Undo::Prompt(id));
        true
    }

    async fn elections(&mut self, cluster: &mut Cluster) -> bool {
        if let Some(leader) = cluster.leader() {
            Self::cut_off(cluster, leader);
            self.later(cluster, 10 * SECOND, Undo::Lines);
        }
        for _ in 0..6 + self.random.below(10) {
            tokio::time::sleep(self.some(250 * MILLISECOND)).await;
            if let Some(id) = self.pick(&Self::voters(cluster)) {
                cluster.crash(id, End::PowerCut);
                self.down.insert(id);
                self.start(cluster, id).await;
            }
        }
        true
    }

    fn batch_lost(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.pick(&Self::running(cluster)) else {
            return false;
        };
        let Some(machine) = cluster.machines.get_mut(&id) else {
            return false;
        };
        if machine.voter.is_none() {
            return false;
        }
        machine.lose_batch(self.random.below(20));
        cluster.crash(id, End::Kill);
        self.down.insert(id);
        self.later(cluster, SECOND, Undo::Start(id));
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
