//! What a member does not answer, and what the service over a follower says.

use super::cluster::{Cluster, pause, run};
use super::network::Weather;
use bytes::Bytes;
use cairn_metadata::{Machine, Metadata};
use cairn_rpc::{MetadataError, MetadataService};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::query::Query as Asked;
use cairn_wire::metadata::{AcceptClock, GetCluster, Query};
use cairn_world::Clock;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;

/// A call without a body: field 10 asks for the clock.
#[derive(Clone, PartialEq, Message)]
struct Raw {
    #[prost(bytes = "vec", tag = "1")]
    cluster_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    from: u64,
    #[prost(uint64, tag = "3")]
    to: u64,
    #[prost(bytes = "vec", optional, tag = "10")]
    clock: Option<Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct RawAnswer {
    #[prost(uint64, optional, tag = "6")]
    clock: Option<u64>,
    #[prost(string, optional, tag = "9")]
    refused: Option<String>,
}

fn good() -> Raw {
    Raw {
        cluster_id: vec![9; 16],
        from: 2,
        to: 1,
        clock: Some(Vec::new()),
    }
}

#[test]
fn calls_that_are_not_for_this_member_are_refused() {
    run(async {
        let mut cluster = Cluster::new(41);
        cluster.found(3).await;
        let host = &cluster.hosts[&1];
        let ask = async |raw: Raw| {
            let answer = host.handle(raw.from, raw.encode_to_vec().into()).await;
            RawAnswer::decode(answer).unwrap()
        };
        let refused = async |raw: Raw| ask(raw).await.refused.unwrap();
        assert_eq!(ask(good()).await.clock, Some(cluster.clocks[&1].wall()));
        let other = Raw {
            cluster_id: vec![8; 16],
            ..good()
        };
        assert_eq!(refused(other).await, "a call of another cluster");
        let for_another = "a call for another member";
        assert_eq!(refused(Raw { to: 3, ..good() }).await, for_another);
        assert_eq!(refused(Raw { from: 1, ..good() }).await, for_another);
        let forged = host.handle(3, good().encode_to_vec().into()).await;
        let forged = RawAnswer::decode(forged).unwrap().refused.unwrap();
        assert_eq!(forged, "a call in another's name");
        let nothing = Raw {
            clock: None,
            ..good()
        };
        assert_eq!(refused(nothing).await, "a call of no known kind");
        for garbage in [vec![], vec![0xff; 100], vec![0; (1 << 20) + 1]] {
            let answer = host.handle(2, Bytes::from(garbage)).await;
            assert!(RawAnswer::decode(answer).unwrap().refused.is_some());
        }
    });
}

#[test]
fn an_empty_directory_that_does_not_join_answers_nothing() {
    run(async {
        let mut cluster = Cluster::new(42);
        cluster.add_machine(1);
        cluster.machines.get_mut(&1).unwrap().settings.joining = false;
        cluster.start(1).await;
        let answer = cluster.hosts[&1].handle(2, good().encode_to_vec().into());
        let refused = RawAnswer::decode(answer.await).unwrap().refused.unwrap();
        assert!(refused.contains("its journal is lost"), "{refused}");
        // Until it founds a cluster itself.
        cluster.initialize(1).await;
        let answer = cluster.hosts[&1].handle(2, good().encode_to_vec().into());
        assert!(RawAnswer::decode(answer.await).unwrap().clock.is_some());
    });
}

#[test]
fn a_snapshot_arrives_through_bad_weather() {
    run(async {
        let mut cluster = Cluster::new(43);
        cluster.found(3).await;
        let behind = cluster.followers()[0];
        let others: Vec<u64> = (1..=3).filter(|id| *id != behind).collect();
        cluster.exchange.split(&[behind], &others);
        let leader = cluster.hosts[&cluster.led().await].clone();
        for number in 0..200u8 {
            let long = Bytes::from(vec![number; 15_000]);
            leader.propose(long).await.unwrap();
        }
        cluster.forget_the_past().await;
        cluster.exchange.weather(Weather {
            lost: 100,
            repeated: 300,
            delay: Duration::from_millis(20),
        });
        cluster.exchange.mend();
        for _ in 0..600 {
            pause(100).await;
            let names = cluster.machines[&behind].stores.names();
            if names.contains(&"gen-2".to_owned()) {
                break;
            }
        }
        cluster.exchange.weather(Weather::default());
        let acknowledged = cluster.propose_all(0..3).await;
        cluster.settle(&acknowledged, "caught up").await;
        assert!(cluster.exchange.piece_bytes() > 2_000_000);
        let names = cluster.machines[&behind].stores.names();
        assert!(names.contains(&"gen-2".to_owned()), "{names:?}");
    });
}

fn accept_clock() -> Command {
    Command::AcceptClock(AcceptClock {})
}

fn get_cluster() -> Query {
    Query {
        query: Some(Asked::GetCluster(GetCluster {})),
    }
}

#[test]
fn the_service_over_a_follower_reads_and_names_the_leader() {
    run(async {
        let mut cluster = Cluster::new(44);
        for id in 1..=3 {
            cluster.add_machine(id);
            cluster.start_with(id, Box::new(Machine)).await;
        }
        cluster.initialize(3).await;
        pause(3_000).await;
        let service = |id: u64| {
            let clock = Arc::new(cluster.clocks[&id].clone());
            Metadata::new(cluster.hosts[&id].clone(), clock)
        };
        let leader = cluster.led().await;
        let follower = service(cluster.followers()[0]);
        let named = MetadataError::NotLeader {
            leader: Some(leader),
        };
        let refused = follower.propose(0, 0, accept_clock()).await.unwrap_err();
        assert_eq!(refused, named);
        assert_eq!(follower.keep_alive(&[7]).await, Err(named));
        follower.query(get_cluster()).await.unwrap();
        let service = service(leader);
        service.propose(0, 0, accept_clock()).await.unwrap();
        service.keep_alive(&[7]).await.unwrap();
        service.query(get_cluster()).await.unwrap();
        // A leader whose clock is off reads, and stamps nothing.
        cluster.clocks[&leader].jump_wall(-30_000);
        let error = service.propose(0, 0, accept_clock()).await.unwrap_err();
        assert!(matches!(error, MetadataError::Unavailable(_)), "{error}");
        service.query(get_cluster()).await.unwrap();
    });
}
