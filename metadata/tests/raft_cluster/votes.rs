//! A vote survives whatever happens to the power.

use super::cluster::{Cluster, run};
use prost::Message;

#[derive(Clone, PartialEq, Message)]
struct Call {
    #[prost(bytes = "vec", tag = "1")]
    cluster_id: Vec<u8>,
    #[prost(uint64, tag = "2")]
    from: u64,
    #[prost(uint64, tag = "3")]
    to: u64,
    #[prost(message, optional, tag = "5")]
    ballot: Option<Ballot>,
}

#[derive(Clone, PartialEq, Message)]
struct Ballot {
    #[prost(message, optional, tag = "1")]
    vote: Option<Vote>,
}

#[derive(Clone, PartialEq, Message)]
struct Vote {
    #[prost(uint64, tag = "1")]
    term: u64,
    #[prost(uint64, tag = "2")]
    leader: u64,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "2")]
    ballot: Option<BallotAnswer>,
}

#[derive(Clone, PartialEq, Message)]
struct BallotAnswer {
    #[prost(message, optional, tag = "1")]
    vote: Option<Vote>,
    #[prost(bool, tag = "3")]
    granted: bool,
}

async fn stand(cluster: &Cluster, candidate: u64, term: u64) -> BallotAnswer {
    let vote = Vote {
        term,
        leader: candidate,
    };
    let call = Call {
        cluster_id: vec![9; 16],
        from: candidate,
        to: 1,
        ballot: Some(Ballot { vote: Some(vote) }),
    };
    let answer = cluster.hosts[&1]
        .handle(candidate, call.encode_to_vec().into())
        .await;
    Answer::decode(answer).unwrap().ballot.unwrap()
}

#[test]
fn nobody_votes_twice_in_a_term_with_a_power_cut_between() {
    run(async {
        let mut cluster = Cluster::new(51);
        cluster.add_machine(1);
        cluster.start(1).await;
        for term in 5..15 {
            // Leaders are ordered by (term, node): a later vote for a higher node is no second vote.
            let first = stand(&cluster, 3, term).await;
            assert!(first.granted, "term {term}");
            cluster.crash(1, term, 0).await;
            cluster.start(1).await;
            let second = stand(&cluster, 2, term).await;
            assert!(!second.granted, "two votes in term {term}");
            assert_eq!(second.vote, Some(Vote { term, leader: 3 }));
        }
    });
}
