//! One voter goes on alone.

use super::cluster::{Cluster, member, pause, run};
use super::world::payload;
use cairn_metadata::raft::{ForceError, go_on_alone, look_at_log};
use cairn_world::sim::SimEntropy;
use std::sync::Arc;

fn force(cluster: &Cluster, id: u64, number: u64) -> Result<u64, ForceError> {
    let machine = &cluster.machines[&id];
    let disk = Arc::new(machine.disk.clone());
    let entropy = SimEntropy::new(9);
    let end = go_on_alone(
        &machine.settings,
        disk,
        &entropy,
        &member(id),
        payload(number),
    )?;
    Ok(end.index)
}

fn length(cluster: &Cluster, id: u64) -> Result<u64, ForceError> {
    let machine = &cluster.machines[&id];
    let disk = Arc::new(machine.disk.clone());
    look_at_log(&machine.settings, disk, &SimEntropy::new(9)).map(|last| last.index)
}

#[test]
fn a_voter_goes_on_alone_with_all_it_has_and_others_join_it() {
    for (seed, snapshots) in [(1, false), (2, true)] {
        run(async move {
            let mut cluster = Cluster::new(seed);
            cluster.found(3).await;
            let mut acknowledged = cluster.propose_all(0..30).await;
            if snapshots {
                cluster.forget_the_past().await;
            }
            let chosen = cluster.followers()[0];
            cluster.settle(&acknowledged, "before").await;
            for id in 1..=3 {
                cluster.crash(id, id, id).await;
            }
            let before = length(&cluster, chosen).unwrap();
            assert_eq!(force(&cluster, chosen, 1_000).unwrap(), before + 2);
            cluster.start(chosen).await;
            assert_eq!(cluster.led().await, chosen);
            let voters = cluster.hosts[&chosen].members().voters;
            assert_eq!(voters, [member(chosen)]);
            // The decreed proposal is in force before any other.
            let next = cluster.propose(1_001).await.unwrap();
            acknowledged.push((1_000, next.1 - 1));
            acknowledged.push(next);
            cluster.settle(&acknowledged, "alone").await;
            cluster.add_machine(7);
            cluster.start(7).await;
            let host = cluster.hosts[&chosen].clone();
            host.add_learner(member(7)).await.unwrap();
            while host.promote(7).await.is_err() {
                pause(50).await;
            }
            acknowledged.extend(cluster.propose_all(1_002..1_010).await);
            cluster.settle(&acknowledged, "two").await;
            cluster.crash(chosen, 4, 1).await;
            cluster.start(chosen).await;
            cluster.settle(&acknowledged, "after a crash").await;
        });
    }
}

#[test]
fn done_twice_it_goes_on_all_the_same() {
    run(async {
        let mut cluster = Cluster::new(3);
        cluster.found(3).await;
        let acknowledged = cluster.propose_all(0..10).await;
        cluster.settle(&acknowledged, "before").await;
        for id in 1..=3 {
            cluster.crash(id, id, 0).await;
        }
        let first = force(&cluster, 2, 500).unwrap();
        assert_eq!(force(&cluster, 2, 501).unwrap(), first + 2);
        cluster.start(2).await;
        cluster.led().await;
        cluster.propose(502).await.unwrap();
        cluster.settle(&acknowledged, "alone").await;
    });
}

#[test]
fn a_voter_that_runs_and_a_directory_without_a_log_are_refused() {
    run(async {
        let mut cluster = Cluster::new(4);
        cluster.found(1).await;
        cluster.propose(1).await.unwrap();
        let running = force(&cluster, 1, 2).unwrap_err();
        assert!(matches!(running, ForceError::Journal(_)), "{running}");
        cluster.add_machine(5);
        assert_eq!(force(&cluster, 5, 2), Err(ForceError::Empty));
        assert_eq!(length(&cluster, 5), Err(ForceError::Empty));
        let machine = &cluster.machines[&5];
        let disk = Arc::new(machine.disk.clone());
        let other = go_on_alone(
            &machine.settings,
            disk,
            &SimEntropy::new(9),
            &member(6),
            payload(1),
        );
        assert!(matches!(other, Err(ForceError::Refused(_))), "{other:?}");
    });
}
