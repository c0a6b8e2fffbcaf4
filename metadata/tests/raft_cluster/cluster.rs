//! Machines, what runs on them, and virtual time.

use super::network::Exchange;
use super::world::{Counter, Machine, check, payload};
use cairn_metadata::raft::{Member, ProposeError, RaftHost, RaftMetrics, StateMachine};
use cairn_world::sim::{SimClock, SimEntropy};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Step of virtual time.
const STEP: Duration = Duration::from_millis(1);

/// Some machines, the network between them, and what runs on them.
pub(crate) struct Cluster {
    pub(crate) exchange: Exchange,
    pub(crate) clock: SimClock,
    pub(crate) clocks: BTreeMap<u64, SimClock>,
    pub(crate) machines: BTreeMap<u64, Machine>,
    pub(crate) hosts: BTreeMap<u64, RaftHost>,
    seed: u64,
}

pub(crate) fn member(id: u64) -> Member {
    Member {
        id,
        address: format!("node-{id}"),
    }
}

/// Runs a world with virtual time; everything it started ends with it.
pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

pub(crate) async fn pause(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

impl Cluster {
    /// Must be made within [`run`].
    pub(crate) fn new(seed: u64) -> Self {
        let clock = SimClock::new();
        let moving = clock.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(STEP).await;
                moving.advance(STEP);
            }
        });
        Self {
            exchange: Exchange::new(seed),
            clock,
            clocks: BTreeMap::new(),
            machines: BTreeMap::new(),
            hosts: BTreeMap::new(),
            seed,
        }
    }

    /// An empty machine for member `id`.
    pub(crate) fn add_machine(&mut self, id: u64) {
        let mut machine = Machine::new(self.seed * 100 + id);
        machine.settings.node_id = id;
        machine.settings.journal.node_id = id;
        machine.settings.propose_timeout = Duration::from_secs(3);
        machine.settings.call_timeout = Duration::from_millis(100);
        machine.settings.log_kept = 10;
        machine.settings.joining = true;
        self.clocks.insert(id, self.clock.sibling(0));
        self.machines.insert(id, machine);
    }

    pub(crate) async fn start(&mut self, id: u64) {
        self.start_with(id, Box::<Counter>::default()).await;
    }

    pub(crate) async fn start_with(&mut self, id: u64, with: Box<dyn StateMachine>) {
        let host = self.open(id, with).await.unwrap();
        self.exchange.connect(id, host.clone());
        self.hosts.insert(id, host);
    }

    pub(crate) async fn open(
        &self,
        id: u64,
        with: Box<dyn StateMachine>,
    ) -> Result<RaftHost, cairn_metadata::raft::OpenError> {
        let machine = &self.machines[&id];
        RaftHost::open(
            machine.settings.clone(),
            Arc::new(machine.disk.clone()),
            Arc::new(self.clocks[&id].clone()),
            Arc::new(SimEntropy::new(self.seed * 1_000 + id)),
            Arc::new(machine.stores.clone()),
            with,
            self.exchange.from(id),
        )
        .await
    }

    /// Members 1 to `voters` on machines of their own, founded together.
    pub(crate) async fn found(&mut self, voters: u64) {
        for id in 1..=voters {
            self.add_machine(id);
            self.start(id).await;
        }
        self.initialize(voters).await;
    }

    pub(crate) async fn initialize(&self, voters: u64) {
        let members = (1..=voters).map(member).collect();
        self.hosts[&1].initialize(members).await.unwrap();
        self.led().await;
    }

    /// The power of one machine fails.
    pub(crate) async fn crash(&mut self, id: u64, seed: u64, batches_kept: u64) {
        self.exchange.disconnect(id);
        if let Some(host) = self.hosts.remove(&id) {
            let next = self.machines[&id].crashed(seed, batches_kept);
            self.machines[&id].disk.power_off();
            let _ = host.shutdown().await;
            self.machines.insert(id, next);
        }
    }

    /// Waits for a leader that serves; who it is.
    pub(crate) async fn led(&self) -> u64 {
        for _ in 0..2_000 {
            if let Some(leader) = self.leader() {
                return leader;
            }
            pause(10).await;
        }
        panic!("nobody leads: {:#?}", self.metrics());
    }

    /// The leader of the highest term.
    pub(crate) fn leader(&self) -> Option<u64> {
        let leading = |(id, host): (&u64, &RaftHost)| {
            let term = host.leadership().filter(|_| host.is_ready())?;
            Some((term, *id))
        };
        self.hosts
            .iter()
            .filter_map(leading)
            .max()
            .map(|(_, id)| id)
    }

    pub(crate) fn followers(&self) -> Vec<u64> {
        let leader = self.leader();
        let ids = self.hosts.keys().copied();
        ids.filter(|id| Some(*id) != leader).collect()
    }

    pub(crate) fn metrics(&self) -> Vec<RaftMetrics> {
        self.hosts.values().map(RaftHost::metrics).collect()
    }

    /// Proposes through whoever leads; the number and the reply, or `None` where the outcome is
    /// unknown.
    pub(crate) async fn propose(&self, number: u64) -> Option<(u64, u64)> {
        for _ in 0..400 {
            for host in self.hosts.values() {
                match host.propose(payload(number)).await {
                    Ok(reply) => {
                        let reply = u64::from_be_bytes(reply.as_ref().try_into().unwrap());
                        return Some((number, reply));
                    }
                    Err(ProposeError::Unknown) => return None,
                    Err(_) => {}
                }
            }
            pause(10).await;
        }
        panic!("nobody takes proposals: {:#?}", self.metrics());
    }

    pub(crate) async fn propose_all(&self, numbers: std::ops::Range<u64>) -> Vec<(u64, u64)> {
        let mut acknowledged = Vec::new();
        for number in numbers {
            acknowledged.extend(self.propose(number).await);
        }
        acknowledged
    }

    /// Waits until everybody has applied the same, and compares.
    pub(crate) async fn settle(&self, acknowledged: &[(u64, u64)], what: &str) {
        for _ in 0..2_000 {
            let applied: Vec<_> = self
                .hosts
                .values()
                .map(|host| host.metrics().applied.map(|at| at.index))
                .collect();
            let leader = self.leader().and_then(|id| self.hosts.get(&id));
            let last = leader.and_then(|host| host.metrics().last_index);
            if last.is_some() && applied.iter().all(|at| *at == last) {
                for (id, host) in &self.hosts {
                    let what = format!("{what}, voter {id}");
                    check(host.stale_view().as_ref(), acknowledged, &what);
                }
                return;
            }
            pause(10).await;
        }
        panic!("{what}: never settled: {:#?}", self.metrics());
    }
}

impl Cluster {
    /// The leader builds a snapshot and purges its log; both voters that lead later do so too.
    pub(crate) async fn forget_the_past(&self) {
        let leader = self.led().await;
        for host in self.hosts.values() {
            host.snapshot().await.unwrap();
        }
        for _ in 0..500 {
            if self.hosts[&leader].metrics().purged.is_some() {
                return;
            }
            pause(10).await;
        }
        panic!("the log was kept");
    }
}
