//! Voters compare what they came to, and a leader with a wrong clock stamps nothing.

use super::cluster::{Cluster, pause, run};
use super::world::{Counter, payload};
use cairn_metadata::raft::{
    Applied, ApplyError, Committed, OpenError, ProposeError, ReadError, StampError, StateMachine,
};
use cairn_store::View;

/// Applies one proposal otherwise than everybody else.
struct Wrong {
    right: Counter,
    at: u64,
    how: &'static str,
}

impl StateMachine for Wrong {
    fn apply(
        &mut self,
        view: &dyn View,
        entries: &[Committed],
    ) -> Result<Vec<Applied>, ApplyError> {
        let mut applied = self.right.apply(view, entries)?;
        for (entry, applied) in entries.iter().zip(&mut applied) {
            if entry.payload == payload(self.at) {
                applied.changes.put([9, 9], self.how.as_bytes().to_vec());
            }
        }
        Ok(applied)
    }

    fn reset(&mut self, view: &dyn View) -> Result<(), ApplyError> {
        self.right.reset(view)
    }
}

fn wrong(at: u64, how: &'static str) -> Box<dyn StateMachine> {
    Box::new(Wrong {
        right: Counter::default(),
        at,
        how,
    })
}

#[test]
fn the_odd_voter_halts_and_stays_away() {
    run(async {
        let mut cluster = Cluster::new(31);
        for id in 1..=3 {
            cluster.add_machine(id);
            if id == 2 {
                cluster.start_with(id, wrong(700, "one way")).await;
            } else {
                cluster.start(id).await;
            }
        }
        cluster.initialize(3).await;
        let mut acknowledged = cluster.propose_all(0..900).await;
        pause(2_000).await;
        assert!(cluster.metrics().iter().all(|one| one.failure.is_none()));
        acknowledged.extend(cluster.propose_all(900..1_050).await);
        pause(3_000).await;
        let odd = cluster.hosts.remove(&2).unwrap();
        let failure = odd.metrics().failure.unwrap();
        assert!(failure.contains("another state at entry 1000"), "{failure}");
        assert_eq!(odd.propose(payload(1)).await, Err(ProposeError::Stopped));
        assert_eq!(odd.read().await.err(), Some(ReadError::Stopped));
        // The others go on without it.
        acknowledged.extend(cluster.propose_all(2_000..2_010).await);
        cluster.settle(&acknowledged, "without it").await;
        // It does not come back with that state.
        cluster.exchange.disconnect(2);
        odd.shutdown().await.ok();
        let error = cluster
            .open(2, Box::<Counter>::default())
            .await
            .unwrap_err();
        assert!(matches!(error, OpenError::Diverged(1_000)), "{error}");
    });
}

#[test]
fn without_a_majority_value_all_stop() {
    run(async {
        let mut cluster = Cluster::new(32);
        for (id, how) in [(1, "one way"), (2, "another"), (3, "a third")] {
            cluster.add_machine(id);
            cluster.start_with(id, wrong(50, how)).await;
        }
        cluster.initialize(3).await;
        let leader = cluster.led().await;
        let host = cluster.hosts[&leader].clone();
        for number in 0..1_010 {
            if host.propose(payload(number)).await.is_err() {
                break;
            }
        }
        pause(5_000).await;
        for metrics in cluster.metrics() {
            let failure = metrics.failure.unwrap_or_default();
            assert!(failure.contains("no majority"), "{failure:?}");
        }
    });
}

#[test]
fn a_leader_whose_clock_is_off_stamps_nothing_and_another_leads() {
    run(async {
        let mut cluster = Cluster::new(33);
        cluster.found(3).await;
        pause(3_000).await;
        for (id, host) in &cluster.hosts {
            assert!(host.stamp().is_ok(), "voter {id}");
        }
        let leader = cluster.led().await;
        cluster.clocks[&leader].jump_wall(4_900);
        assert!(cluster.hosts[&leader].stamp().is_ok());
        cluster.clocks[&leader].jump_wall(60_000);
        // At once, not when the others are asked next.
        let error = cluster.hosts[&leader].stamp().unwrap_err();
        assert!(matches!(error, StampError::Off(64_000..66_000)), "{error}");
        pause(4_000).await;
        let next = cluster.led().await;
        assert_ne!(next, leader);
        assert!(cluster.hosts[&next].stamp().is_ok());
        // The two that are right are not led astray by the one that is not.
        assert!(cluster.hosts[&leader].stamp().is_err());
        cluster.clocks[&leader].jump_wall(-64_900);
        pause(3_000).await;
        assert!(cluster.hosts[&leader].stamp().is_ok());
    });
}

#[test]
fn a_leader_that_hears_no_majority_stamps_nothing() {
    run(async {
        let mut cluster = Cluster::new(34);
        cluster.found(3).await;
        pause(3_000).await;
        let leader = cluster.led().await;
        let others = cluster.followers();
        cluster.exchange.split(&[leader], &others);
        assert!(cluster.hosts[&leader].stamp().is_ok());
        pause(20_000).await;
        let error = cluster.hosts[&leader].stamp().unwrap_err();
        assert_eq!(error, StampError::Unknown);
        cluster.exchange.mend();
        pause(3_000).await;
        assert!(cluster.hosts[&leader].stamp().is_ok());
    });
}

#[test]
fn a_voter_alone_is_its_own_median() {
    run(async {
        let mut cluster = Cluster::new(35);
        cluster.found(1).await;
        cluster.clocks[&1].jump_wall(7_200_000);
        assert!(cluster.hosts[&1].stamp().is_ok());
    });
}
