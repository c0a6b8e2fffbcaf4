//! Replication, failover, catching up.

use super::cluster::{Cluster, pause, run};
use super::world::{LIMIT, number_of, payload};
use cairn_metadata::raft::{ProposeError, ReadError};
use cairn_model::limits;

#[test]
fn voters_apply_the_same_and_hash_the_same() {
    run(async {
        let mut cluster = Cluster::new(1);
        cluster.found(3).await;
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
    });
}

#[test]
fn followers_answer_linearizable_reads() {
    run(async {
        let mut cluster = Cluster::new(11);
        cluster.found(3).await;
        for number in 0..50 {
            cluster.propose(number).await.unwrap();
            for (id, host) in &cluster.hosts {
                let view = host.read().await.unwrap();
                let seen = number_of(view.as_ref(), &payload(number));
                assert_eq!(seen, Some(number + 1), "voter {id}");
            }
        }
        // One that is cut off cannot know what was acknowledged elsewhere.
        let alone = cluster.followers()[0];
        let others: Vec<u64> = (1..=3).filter(|id| *id != alone).collect();
        cluster.exchange.split(&[alone], &others);
        cluster.propose(50).await.unwrap();
        let error = cluster.hosts[&alone].read().await.err().unwrap();
        assert_ne!(error, ReadError::Stopped);
        cluster.exchange.mend();
    });
}

#[test]
fn a_crashed_leader_loses_nothing_that_was_acknowledged() {
    run(async {
        let mut cluster = Cluster::new(2);
        cluster.found(3).await;
        let mut acknowledged = cluster.propose_all(0..20).await;
        for round in 1..=4u64 {
            let leader = cluster.led().await;
            cluster.crash(leader, round, round % 3).await;
            acknowledged.extend(cluster.propose_all(round * 100..round * 100 + 20).await);
            cluster.start(leader).await;
            let what = format!("round {round}");
            cluster.settle(&acknowledged, &what).await;
        }
        assert!(acknowledged.len() >= 90, "{}", acknowledged.len());
    });
}

#[test]
fn a_voter_left_far_behind_gets_a_snapshot() {
    run(async {
        let mut cluster = Cluster::new(3);
        cluster.found(3).await;
        let mut acknowledged = cluster.propose_all(0..10).await;
        cluster.settle(&acknowledged, "before").await;
        let behind = cluster.followers()[0];
        let others: Vec<u64> = (1..=3).filter(|id| *id != behind).collect();
        cluster.exchange.split(&[behind], &others);
        acknowledged.extend(cluster.propose_all(10..60).await);
        cluster.forget_the_past().await;
        assert_eq!(cluster.exchange.piece_bytes(), 0);
        cluster.exchange.mend();
        acknowledged.extend(cluster.propose_all(60..70).await);
        cluster.settle(&acknowledged, "caught up").await;
        assert!(cluster.exchange.piece_bytes() > 0, "some other way");
        let generations = cluster.machines[&behind].stores.names();
        assert!(generations.contains(&"gen-2".to_owned()));
        // And the generation it got survives a crash.
        cluster.crash(behind, 9, 2).await;
        cluster.start(behind).await;
        acknowledged.extend(cluster.propose_all(70..75).await);
        cluster.settle(&acknowledged, "after its crash").await;
    });
}

#[test]
fn a_snapshot_goes_on_where_the_line_broke() {
    run(async {
        let mut cluster = Cluster::new(5);
        cluster.found(3).await;
        let behind = cluster.followers()[0];
        let others: Vec<u64> = (1..=3).filter(|id| *id != behind).collect();
        cluster.exchange.split(&[behind], &others);
        let leader = cluster.hosts[&cluster.led().await].clone();
        // A key of 15 KiB each: a snapshot of several pieces.
        for number in 0..150u8 {
            let long = bytes::Bytes::from(vec![number; 15_000]);
            leader.propose(long).await.unwrap();
        }
        cluster.forget_the_past().await;
        let whole = leader.shelf().newest().unwrap().len();
        assert!(whole > 2_000_000, "{whole}");
        cluster.exchange.limit_pieces(whole / 2);
        cluster.exchange.mend();
        pause(3_000).await;
        let before = cluster.exchange.piece_bytes();
        assert!(before >= whole / 2 && before < whole, "{before} of {whole}");
        cluster.exchange.limit_pieces(u64::MAX);
        let acknowledged = cluster.propose_all(0..1).await;
        cluster.settle(&acknowledged, "caught up").await;
        let sent = cluster.exchange.piece_bytes();
        assert!(sent < whole + whole / 10, "{sent} bytes sent for {whole}");
        assert!(cluster.exchange.longest() as u64 <= limits::WIRE_PAYLOAD_MAX);
    });
}

#[test]
fn appends_are_cut_to_a_message() {
    run(async {
        let mut cluster = Cluster::new(6);
        cluster.found(3).await;
        let behind = cluster.followers()[0];
        let others: Vec<u64> = (1..=3).filter(|id| *id != behind).collect();
        cluster.exchange.split(&[behind], &others);
        let leader = cluster.hosts[&cluster.led().await].clone();
        for number in 0..200u8 {
            let long = bytes::Bytes::from(vec![number; 15_000]);
            leader.propose(long).await.unwrap();
        }
        cluster.exchange.mend();
        let acknowledged = cluster.propose_all(0..1).await;
        cluster.settle(&acknowledged, "caught up").await;
        let longest = cluster.exchange.longest() as u64;
        assert!(longest > 400_000, "one by one: {longest}");
        assert!(longest <= limits::WIRE_PAYLOAD_MAX, "{longest}");
        assert_eq!(cluster.exchange.piece_bytes(), 0);
    });
}

#[test]
fn a_minority_answers_nothing() {
    run(async {
        let mut cluster = Cluster::new(4);
        cluster.found(5).await;
        let mut acknowledged = cluster.propose_all(0..5).await;
        cluster.settle(&acknowledged, "before").await;
        let leader = cluster.led().await;
        let friend = cluster.followers()[0];
        let others: Vec<u64> = (1..=5)
            .filter(|id| ![leader, friend].contains(id))
            .collect();
        cluster.exchange.split(&[leader, friend], &others);
        for id in [leader, friend] {
            let host = &cluster.hosts[&id];
            let error = host.propose(payload(99)).await.unwrap_err();
            assert_ne!(error, ProposeError::Stopped);
            let read = tokio::time::timeout(LIMIT, host.read()).await.unwrap();
            assert!(read.is_err(), "a minority served a read");
        }
        acknowledged.extend(cluster.propose_all(100..105).await);
        assert_eq!(acknowledged.len(), 10);
        cluster.exchange.mend();
        pause(2_000).await;
        acknowledged.extend(cluster.propose_all(110..115).await);
        cluster.settle(&acknowledged, "together again").await;
    });
}
