//! Replication, failover, catching up.

use super::network::Exchange;
use super::world::{Counter, LIMIT, Machine, boot, check, payload};
use cairn_metadata::raft::{Member, ProposeError, RaftHost};
use cairn_world::real::RealClock;
use cairn_world::sim::SimEntropy;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Three machines and what runs on them.
struct Cluster {
    exchange: Exchange,
    machines: BTreeMap<u64, Machine>,
    hosts: BTreeMap<u64, RaftHost>,
}

fn members() -> Vec<Member> {
    (1..=3)
        .map(|id| Member {
            id,
            address: format!("node-{id}"),
        })
        .collect()
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let machine = |id: u64| {
            let mut machine = Machine::new(seed * 10 + id);
            machine.settings.node_id = id;
            machine.settings.journal.node_id = id;
            machine.settings.propose_timeout = Duration::from_secs(3);
            machine.settings.log_kept = 10;
            (id, machine)
        };
        let machines = (1..=3).map(machine).collect();
        Self {
            exchange: Exchange::default(),
            machines,
            hosts: BTreeMap::new(),
        }
    }

    async fn start(&mut self, id: u64) {
        let machine = &self.machines[&id];
        let host = RaftHost::open(
            machine.settings.clone(),
            Arc::new(machine.disk.clone()),
            Arc::new(RealClock::new()),
            Arc::new(SimEntropy::new(id)),
            Arc::new(machine.stores.clone()),
            Box::<Counter>::default(),
            self.exchange.from(id),
        )
        .await
        .unwrap();
        self.exchange.connect(id, host.clone());
        self.hosts.insert(id, host);
    }

    async fn found(&mut self) {
        for id in 1..=3 {
            self.start(id).await;
        }
        self.hosts[&1].initialize(members()).await.unwrap();
    }

    /// The power of one machine fails.
    async fn crash(&mut self, id: u64, seed: u64, batches_kept: u64) {
        self.exchange.disconnect(id);
        if let Some(host) = self.hosts.remove(&id) {
            let next = self.machines[&id].crashed(seed, batches_kept);
            self.machines[&id].disk.power_off();
            let _ = host.shutdown().await;
            self.machines.insert(id, next);
        }
    }

    /// Proposes through whoever leads; the reply.
    async fn propose(&self, number: u64) -> Option<(u64, u64)> {
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
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("nobody leads");
    }

    async fn propose_all(&self, numbers: std::ops::Range<u64>) -> Vec<(u64, u64)> {
        let mut acknowledged = Vec::new();
        for number in numbers {
            acknowledged.extend(self.propose(number).await);
        }
        acknowledged
    }

    /// Waits until everybody has applied the same, and compares.
    async fn settle(&self, acknowledged: &[(u64, u64)], what: &str) {
        for _ in 0..1_000 {
            let applied: Vec<_> = self
                .hosts
                .values()
                .map(|host| host.metrics().applied)
                .collect();
            let leader = self.hosts.values().find(|host| host.is_leader());
            let last = leader.and_then(|host| host.metrics().last_index);
            if last.is_some() && applied.iter().all(|at| at.map(|at| at.index) == last) {
                for (id, host) in &self.hosts {
                    check(
                        host.stale_view().as_ref(),
                        acknowledged,
                        &format!("{what}, voter {id}"),
                    );
                }
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let states: Vec<_> = self.hosts.values().map(RaftHost::metrics).collect();
        panic!("{what}: never settled: {states:#?}");
    }

    fn leader(&self) -> Option<u64> {
        self.hosts
            .iter()
            .find(|(_, host)| host.is_leader())
            .map(|(id, _)| *id)
    }
}

#[test]
fn voters_apply_the_same_and_hash_the_same() {
    boot(async {
        let mut cluster = Cluster::new(1);
        cluster.found().await;
        let acknowledged = cluster.propose_all(0..1_100).await;
        assert_eq!(acknowledged.len(), 1_100);
        cluster.settle(&acknowledged, "steady").await;
        let hashes: Vec<_> = cluster
            .hosts
            .values()
            .map(|host| host.state_hashes().unwrap())
            .collect();
        assert!(hashes[0].len() >= 2, "{hashes:?}");
        assert!(hashes.iter().all(|other| *other == hashes[0]), "{hashes:?}");
        let leader = cluster.leader().unwrap();
        for (id, host) in &cluster.hosts {
            assert_eq!(host.read().await.is_ok(), *id == leader);
        }
    });
}

#[test]
fn a_crashed_leader_loses_nothing_that_was_acknowledged() {
    boot(async {
        let mut cluster = Cluster::new(2);
        cluster.found().await;
        let mut acknowledged = cluster.propose_all(0..20).await;
        for round in 1..=4u64 {
            let leader = loop {
                match cluster.leader() {
                    Some(leader) => break leader,
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            cluster.crash(leader, round, round % 3).await;
            acknowledged.extend(cluster.propose_all(round * 100..round * 100 + 20).await);
            cluster.start(leader).await;
            cluster
                .settle(&acknowledged, &format!("round {round}"))
                .await;
        }
        assert!(acknowledged.len() >= 90, "{}", acknowledged.len());
    });
}

#[test]
fn a_voter_left_far_behind_gets_a_snapshot() {
    boot(async {
        let mut cluster = Cluster::new(3);
        cluster.found().await;
        let mut acknowledged = cluster.propose_all(0..10).await;
        cluster.settle(&acknowledged, "before").await;
        let leader = cluster.leader().unwrap();
        let behind = (1..=3).find(|id| *id != leader).unwrap();
        cluster.exchange.cut(behind);
        acknowledged.extend(cluster.propose_all(10..60).await);
        for host in cluster.hosts.values().filter(|host| host.is_leader()) {
            host.snapshot().await.unwrap();
        }
        for _ in 0..500 {
            if cluster.hosts[&leader].metrics().purged.is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(
            cluster.hosts[&leader].metrics().purged.is_some(),
            "the log was kept"
        );
        assert_eq!(cluster.exchange.snapshots(), 0);
        cluster.exchange.mend(behind);
        acknowledged.extend(cluster.propose_all(60..70).await);
        cluster.settle(&acknowledged, "caught up").await;
        assert!(
            cluster.exchange.snapshots() > 0,
            "it caught up some other way"
        );
        assert!(
            cluster.machines[&behind]
                .stores
                .names()
                .contains(&"gen-2".to_owned())
        );
        // And the generation it got survives a crash.
        cluster.crash(behind, 9, 2).await;
        cluster.start(behind).await;
        acknowledged.extend(cluster.propose_all(70..75).await);
        cluster.settle(&acknowledged, "after its crash").await;
    });
}

#[test]
fn a_minority_answers_nothing() {
    boot(async {
        let mut cluster = Cluster::new(4);
        cluster.found().await;
        let acknowledged = cluster.propose_all(0..5).await;
        cluster.settle(&acknowledged, "before").await;
        let leader = cluster.leader().unwrap();
        cluster.exchange.cut(leader);
        let host = &cluster.hosts[&leader];
        let error = host.propose(payload(99)).await.unwrap_err();
        assert_ne!(error, ProposeError::Stopped);
        let read = tokio::time::timeout(LIMIT, host.read()).await.unwrap();
        assert!(read.is_err(), "a leader alone served a read");
    });
}
