//! What befalls whom, when: drawn from the seed, and taken back so that a cluster can heal.
//!
//! ```text
//!   draw ─> which kinds this run knows, how often each        (a run of few kinds finds what a run of all hides)
//!   storm: pause ─ act ─ pause ─ act ...   each act is undone after a while of its own, or by `heal`
//! ```
//!
//! Shards that are gone for ever are rationed: of one machine in one storm, for what the ack rule leaves
//! over in the worst case is one. Everything else may befall anybody at any time.

mod acts;
mod disks;
mod voters;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cairn_model::DiskId;
use cairn_wire::metadata::AcceptClock;
use cairn_wire::metadata::entry::Command;
use cairn_world::sim::SeededRng;

use crate::cluster::{Cluster, VOTERS};
use crate::focus::Focus;
use crate::machine::End;

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A node loses its power, or is killed, and boots again later.
    NodeEnds,
    /// All nodes do at once.
    Outage,
    /// A node is stopped in order and started again.
    NodeRestarts,
    /// A gateway dies, or is stopped in order.
    GatewayEnds,
    /// The network falls in two.
    Split,
    /// One way between two processes is cut.
    OneWay,
    /// Whoever leads hears and is heard by nobody.
    LeaderCutOff,
    /// Messages are lost, late, and arrive twice.
    Weather,
    /// The disks of a node take long.
    SlowDisks,
    /// A process stands still, longer than any timeout.
    Pause,
    /// A wall clock jumps.
    ClockJump,
    /// A read or sync of a data disk fails.
    ShardDiskFails,
    /// A sync of a voter's journal fails.
    JournalFails,
    /// A data disk is full.
    DiskFull,
    /// Bits of stored shards flip.
    Rot,
    /// A block of a data disk lies where another should.
    Misdirected,
    /// A machine and all its disks are gone for ever; another joins.
    MachineLost,
    /// A bit of a voter's journal flips, and it starts again.
    JournalRot,
    /// A voter's disk is empty after a start, under the old id.
    JournalEmptied,
    /// A voter's store has lost a batch after a start, in silence.
    BatchLost,
    /// Another machine joins: slots move to it.
    Growth,
    /// A disk is told to leave: what it holds moves away.
    DiskLeaves,
    /// A voter hears everything late.
    Lag,
    /// Voters lose their power again and again while they elect.
    Elections,
    /// A voter loses its power right after its vote, and hears the old leader alone.
    DiesAfterVoting,
    /// A gateway reaches the disks and no voter, longer than a session lives.
    GatewayCutOff,
    /// A node is killed, and the index of its disk is gone.
    IndexLost,
}

impl Kind {
    const ALL: [Self; 27] = [
        Self::NodeEnds,
        Self::Outage,
        Self::NodeRestarts,
        Self::GatewayEnds,
        Self::Split,
        Self::OneWay,
        Self::LeaderCutOff,
        Self::Weather,
        Self::SlowDisks,
        Self::Pause,
        Self::ClockJump,
        Self::ShardDiskFails,
        Self::JournalFails,
        Self::DiskFull,
        Self::Rot,
        Self::Misdirected,
        Self::MachineLost,
        Self::JournalRot,
        Self::JournalEmptied,
        Self::BatchLost,
        Self::Growth,
        Self::DiskLeaves,
        Self::Lag,
        Self::Elections,
        Self::DiesAfterVoting,
        Self::GatewayCutOff,
        Self::IndexLost,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::NodeEnds => "node ends",
            Self::Outage => "outage",
            Self::NodeRestarts => "node restarts",
            Self::GatewayEnds => "gateway ends",
            Self::Split => "split",
            Self::OneWay => "one way",
            Self::LeaderCutOff => "leader cut off",
            Self::Weather => "weather",
            Self::SlowDisks => "slow disks",
            Self::Pause => "pause",
            Self::ClockJump => "clock jump",
            Self::ShardDiskFails => "shard disk fails",
            Self::JournalFails => "journal fails",
            Self::DiskFull => "disk full",
            Self::Rot => "rot",
            Self::Misdirected => "misdirected",
            Self::MachineLost => "machine lost",
            Self::JournalRot => "journal rot",
            Self::JournalEmptied => "journal emptied",
            Self::BatchLost => "batch lost",
            Self::Growth => "growth",
            Self::DiskLeaves => "disk leaves",
            Self::Lag => "lag",
            Self::Elections => "elections",
            Self::DiesAfterVoting => "dies after voting",
            Self::GatewayCutOff => "gateway cut off",
            Self::IndexLost => "index lost",
        }
    }

    /// Whether shards may be gone for ever.
    const fn destroys(self) -> bool {
        matches!(
            self,
            Self::Rot
                | Self::Misdirected
                | Self::MachineLost
                | Self::JournalRot
                | Self::JournalEmptied
        )
    }
}

/// What is to be undone, and when.
#[derive(Clone, Debug)]
enum Undo {
    Start(u64),
    StartGateway(usize),
    Lines,
    Weather,
    Fast(u64),
    Prompt(u64),
    Resume(u64),
    ResumeGateway(usize),
    Room(u64),
    Restart(u64),
}

/// The faults of a run.
pub(crate) struct Faults {
    random: SeededRng,
    weights: BTreeMap<Kind, u64>,
    /// Mean rest between two acts.
    rest: Duration,
    undo: BTreeMap<(Duration, u64), Undo>,
    undos: u64,
    /// Whose shards may be destroyed in this storm, once chosen.
    victim: Option<u64>,
    /// A voter whose journal is lost: to be replaced, whatever it says.
    journal_lost: Option<u64>,
    /// Lost machines whose disks the operator still sees members.
    leaving: Vec<(u64, DiskId)>,
    /// Machines that are to be emptied and taken away.
    emptying: Vec<(u64, DiskId)>,
    down: BTreeSet<u64>,
    /// Machines whose disks have rotted: what lies there now may be anything.
    rotten: BTreeSet<u64>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// What no fault excuses.
    pub(crate) violations: Vec<String>,
}

impl Faults {
    /// Which kinds this run knows, and how often; those of `focus` among them.
    pub(crate) fn draw(seed: u64, focus: &Focus) -> Self {
        let mut random = SeededRng::new(seed);
        let mut weights = BTreeMap::new();
        for kind in Kind::ALL {
            // Half of the kinds, each with a weight of its own; fewer where some are wanted.
            let (numerator, denominator) = if focus.kinds.is_empty() {
                (1, 2)
            } else {
                (1, 5)
            };
            if random.chance(numerator, denominator) {
                weights.insert(kind, 1 + random.below(10));
            }
        }
        for kind in focus.kinds {
            *weights.entry(*kind).or_default() += 10;
        }
        if weights.is_empty() {
            weights.insert(Kind::NodeEnds, 1);
        }
        let rest = Duration::from_millis(500 + random.below(10_000));
        Self {
            random,
            weights,
            rest,
            undo: BTreeMap::new(),
            undos: 0,
            victim: None,
            journal_lost: None,
            leaving: Vec::new(),
            emptying: Vec::new(),
            down: BTreeSet::new(),
            rotten: BTreeSet::new(),
            counts: BTreeMap::new(),
            violations: Vec::new(),
        }
    }

    /// The kinds, for people.
    pub(crate) fn kinds(&self) -> Vec<String> {
        let kinds = self.weights.iter();
        kinds
            .map(|(kind, weight)| format!("{} x{weight}", kind.name()))
            .collect()
    }

    /// Acts for so long.
    pub(crate) async fn storm(&mut self, cluster: &mut Cluster, lasting: Duration) {
        self.victim = None;
        let end = cluster.time.elapsed() + lasting;
        let mut next = cluster.time.elapsed() + self.some(self.rest);
        loop {
            let undo = self.undo.keys().next().map_or(end, |(due, _)| *due);
            let due = next.min(undo).min(end);
            let now = cluster.time.elapsed();
            tokio::time::sleep(due.saturating_sub(now)).await;
            if due >= end {
                return;
            }
            if undo <= next {
                self.undo_next(cluster).await;
            } else {
                self.act(cluster).await;
                next = cluster.time.elapsed() + self.some(self.rest);
            }
        }
    }

    /// Between nothing and twice the mean.
    fn some(&mut self, mean: Duration) -> Duration {
        let most = u64::try_from(mean.as_millis() * 2).unwrap();
        Duration::from_millis(1 + self.random.below(most))
    }

    fn later(&mut self, cluster: &Cluster, mean: Duration, undo: Undo) {
        let due = cluster.time.elapsed() + self.some(mean);
        self.undos += 1;
        self.undo.insert((due, self.undos), undo);
    }

    fn draw_kind(&mut self) -> Kind {
        let all: u64 = self.weights.values().sum();
        let mut left = self.random.below(all);
        for (kind, weight) in &self.weights {
            if left < *weight {
                return *kind;
            }
            left -= weight;
        }
        Kind::NodeEnds
    }

    fn pick(&mut self, ids: &[u64]) -> Option<u64> {
        self.random.pick(ids).copied()
    }

    fn running(cluster: &Cluster) -> Vec<u64> {
        cluster.nodes.keys().copied().collect()
    }

    /// The machine whose shards may be destroyed in this storm.
    fn victim(&mut self, cluster: &Cluster) -> Option<u64> {
        if self.victim.is_none() {
            let running = Self::running(cluster);
            self.victim = self.pick(&running);
        }
        self.victim
    }

    async fn undo_next(&mut self, cluster: &mut Cluster) {
        let Some((_, undo)) = self.undo.pop_first() else {
            return;
        };
        match undo {
            Undo::Start(id) => self.start(cluster, id).await,
            Undo::StartGateway(index) => {
                if cluster
                    .gateways
                    .lock()
                    .unwrap()
                    .get(index)
                    .is_some_and(Option::is_none)
                {
                    cluster.start_gateway(index);
                }
            }
            Undo::Lines => cluster.network.mend_lines(),
            Undo::Weather => cluster.network.set_weather(crate::network::Weather::fair()),
            Undo::Fast(id) => cluster.network.slow_disks(id, Duration::ZERO),
            Undo::Prompt(id) => cluster.network.lag(id, Duration::ZERO),
            Undo::Resume(id) => {
                if let Some(node) = cluster.nodes.get(&id) {
                    node.process.resume();
                }
            }
            Undo::ResumeGateway(index) => {
                if let Some(Some(gateway)) = cluster.gateways.lock().unwrap().get(index) {
                    gateway.process.resume();
                }
            }
            Undo::Room(id) => disks::give_room(cluster, id),
            Undo::Restart(id) => {
                let how = self.how();
                cluster.crash(id, how);
                self.down.insert(id);
                self.start(cluster, id).await;
            }
        }
    }

    /// Boots a machine that is down. What does not boot while disks still fail is tried again.
    async fn start(&mut self, cluster: &mut Cluster, id: u64) {
        if cluster.nodes.contains_key(&id) || !cluster.machines.contains_key(&id) {
            self.down.remove(&id);
            return;
        }
        match cluster.start(id).await {
            Ok(()) => drop(self.down.remove(&id)),
            Err(error) => {
                tracing::warn!(id, error, "a machine does not boot");
                if let Some(machine) = cluster.machines.get(&id) {
                    machine.shards.clear_faults();
                    if let Some(voter) = &machine.voter {
                        voter.disk.clear_faults();
                    }
                }
                self.later(cluster, Duration::from_secs(5), Undo::Start(id));
            }
        }
    }

    /// Takes everything back; the cluster is whole again but for what it must mend by itself. True where an operator
    /// accepted a leap of its clock.
    pub(crate) async fn heal(&mut self, cluster: &mut Cluster) -> Result<bool, String> {
        self.undo.clear();
        cluster.network.mend();
        if let Some(id) = self.journal_lost.take() {
            self.lose(cluster, id).await;
        }
        for time in cluster.gateway_times.iter() {
            time.set_right();
        }
        for machine in cluster.machines.values() {
            machine.time.set_right();
            machine.shards.clear_faults();
            if let Some(voter) = &machine.voter {
                voter.disk.clear_faults();
            }
        }
        let ids: Vec<u64> = cluster.machines.keys().copied().collect();
        for id in &ids {
            disks::give_room(cluster, *id);
            if let Some(node) = cluster.nodes.get(id) {
                node.process.resume();
            }
            if disks::has_failed(cluster, *id) {
                cluster.crash(*id, End::Kill);
            }
            if !cluster.nodes.contains_key(id) {
                let started = cluster.start(*id).await;
                started.map_err(|error| format!("node {id} does not start: {error}"))?;
            }
        }
        self.down.clear();
        for index in 0..cluster.gateway_times.len() {
            let there = {
                let gateways = cluster.gateways.lock().unwrap();
                let there = gateways.get(index).cloned().flatten();
                there.inspect(|gateway| gateway.process.resume())
            };
            if there.is_none() {
                cluster.start_gateway(index);
            }
        }
        let leapt = cluster.cluster().await?.clock_suspended;
        if leapt {
            let accept = Command::AcceptClock(AcceptClock {});
            cluster.command(accept).await?;
        }
        self.replace(cluster).await?;
        Ok(leapt)
    }

    /// A new machine for every one that was lost; the lost ones are forgotten.
    async fn replace(&mut self, cluster: &mut Cluster) -> Result<(), String> {
        for (id, disk) in std::mem::take(&mut self.leaving) {
            let voters = cluster.machines.values();
            let voters = voters.filter(|machine| machine.voter.is_some()).count();
            let is_voter = voters < usize::try_from(VOTERS).unwrap();
            cluster.join(is_voter).await?;
            cluster.forget(id, disk).await?;
        }
        for (id, disk) in std::mem::take(&mut self.emptying) {
            cluster.take_away(id, disk).await?;
        }
        Ok(())
    }
}
