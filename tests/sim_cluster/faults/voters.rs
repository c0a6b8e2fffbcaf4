//! Acts against those who vote: their journals, their stores, their elections.

use std::time::Duration;

use super::{Faults, Undo, disks};
use crate::cluster::Cluster;
use crate::machine::End;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

impl Faults {
    /// The machine whose journal may be destroyed in this storm, where it votes and runs.
    fn doomed_voter(&mut self, cluster: &Cluster) -> Option<u64> {
        let id = self.victim(cluster)?;
        let votes = cluster.nodes.get(&id)?.metadata.is_some();
        (votes && self.leaving.is_empty() && self.journal_lost.is_none()).then_some(id)
    }

    /// A voter that sees damage does not start: it is lost. What it says of a journal that was sealed must be
    /// damage; of one that crashed, the last group may have been torn as well, and then it is its store
    /// that knows better.
    pub(super) async fn journal_rot(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.doomed_voter(cluster) else {
            return false;
        };
        let is_sealed = self.random.chance(1, 2);
        if is_sealed {
            cluster.stop(id).await;
        } else {
            let how = self.how();
            cluster.crash(id, how);
        }
        let done = disks::rot_journal(cluster, id, &mut self.random);
        match cluster.start(id).await {
            Ok(()) => done,
            Err(error) => {
                tracing::info!(id, error, "a damaged voter does not start");
                let known = error.contains("the journal is damaged")
                    || !is_sealed && error.contains("store and journal do not fit");
                if !known {
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
    pub(super) async fn journal_emptied(&mut self, cluster: &mut Cluster) -> bool {
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

    pub(super) fn voters(cluster: &Cluster) -> Vec<u64> {
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

    pub(super) fn lag(&mut self, cluster: &mut Cluster) -> bool {
        let Some(id) = self.pick(&Self::voters(cluster)) else {
            return false;
        };
        let by = Duration::from_millis(50 + self.random.below(1_500));
        cluster.network.lag(id, by);
        self.later(cluster, 30 * SECOND, Undo::Prompt(id));
        true
    }

    pub(super) async fn elections(&mut self, cluster: &mut Cluster) -> bool {
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

    pub(super) fn batch_lost(&mut self, cluster: &mut Cluster) -> bool {
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

    /// A voter loses its power between its vote and the first thing that the one it voted for tells
    /// it; that one is heard by nobody then, and the old leader by everybody. Who forgot its vote
    /// would follow the old one again.
    pub(super) async fn dies_after_voting(&mut self, cluster: &mut Cluster) -> bool {
        let voters = Self::voters(cluster);
        let Some(old) = cluster.leader().filter(|_| voters.len() > 2) else {
            return false;
        };
        for other in voters.iter().filter(|other| **other != old) {
            cluster.network.cut_way(old, *other);
            cluster.network.cut_way(*other, old);
        }
        let Some(new) = Self::elected(cluster, old).await else {
            self.later(cluster, MILLISECOND, Undo::Lines);
            return true;
        };
        cluster.network.mend_lines();
        Self::cut_off(cluster, new);
        for id in voters.into_iter().filter(|id| ![old, new].contains(id)) {
            cluster.crash(id, End::PowerCut);
            self.down.insert(id);
            self.start(cluster, id).await;
        }
        self.later(cluster, 10 * SECOND, Undo::Lines);
        true
    }

    /// Who leads in the place of `old`, at the moment it does; none within some seconds.
    async fn elected(cluster: &Cluster, old: u64) -> Option<u64> {
        let leads = |(id, node): (&u64, &crate::node::Node)| {
            let host = node.metadata.as_ref()?.host();
            host.leadership().filter(|_| *id != old).map(|_| *id)
        };
        let until = cluster.time.elapsed() + 8 * SECOND;
        while cluster.time.elapsed() < until {
            if let Some(new) = cluster.nodes.iter().find_map(leads) {
                return Some(new);
            }
            // Less than a message takes.
            tokio::time::sleep(MILLISECOND / 5).await;
        }
        None
    }
}
