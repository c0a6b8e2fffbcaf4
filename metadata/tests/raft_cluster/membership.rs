//! Members come, get a vote, and go, one at a time and under load.

use super::cluster::{Cluster, member, pause, run};
use super::world::payload;
use cairn_metadata::raft::{MembershipError, ProposeError, RaftHost};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Proposals that go on while a test does something else.
struct Load {
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Vec<(u64, u64)>>,
}

impl Load {
    /// `hosts` is where to look for a leader; hosts that come later may lead too, so there must
    /// always be one of these.
    fn start(hosts: Vec<RaftHost>, first: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let next = AtomicU64::new(first);
        let task = tokio::spawn(async move {
            let mut acknowledged = Vec::new();
            while !stopping.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                for host in hosts.iter().cycle().take(hosts.len() * 50) {
                    match host.propose(payload(number)).await {
                        Ok(reply) => {
                            let reply = u64::from_be_bytes(reply.as_ref().try_into().unwrap());
                            acknowledged.push((number, reply));
                            break;
                        }
                        Err(ProposeError::Unknown) => break,
                        Err(_) => pause(5).await,
                    }
                }
                pause(2).await;
            }
            acknowledged
        });
        Self { stop, task }
    }

    async fn end(self) -> Vec<(u64, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

impl Cluster {
    fn load(&self, first: u64) -> Load {
        Load::start(self.hosts.values().cloned().collect(), first)
    }

    /// Has the leader do it, whoever that is and however often it takes.
    async fn change(&self, change: impl AsyncFn(&RaftHost) -> Result<(), MembershipError>) {
        let mut last = None;
        for _ in 0..500 {
            let leader = self.led().await;
            match change(&self.hosts[&leader]).await {
                Ok(()) => return,
                Err(
                    error @ (MembershipError::NotLeader { .. }
                    | MembershipError::InProgress
                    | MembershipError::Behind { .. }
                    | MembershipError::Unknown),
                ) => last = Some(error),
                Err(error) => panic!("{error}"),
            }
            pause(20).await;
        }
        panic!("never done: {last:?}");
    }

    async fn take_in(&mut self, id: u64) {
        self.add_machine(id);
        self.start(id).await;
        self.change(async |leader| leader.add_learner(member(id)).await)
            .await;
        self.change(async |leader| leader.promote(id).await).await;
    }

    async fn put_out(&mut self, id: u64) {
        for _ in 0..50 {
            let leader = self.led().await;
            if leader != id {
                break;
            }
            let to = self.voters().into_iter().find(|to| *to != id).unwrap();
            self.hosts[&leader].hand_over(to).await.unwrap();
            pause(300).await;
        }
        self.change(async |leader| leader.remove(id).await).await;
    }

    fn voters(&self) -> BTreeSet<u64> {
        let leader = &self.hosts[&self.leader().unwrap()];
        leader.members().voters.iter().map(|one| one.id).collect()
    }
}

#[test]
fn one_voter_grows_to_five_and_shrinks_to_two_under_load() {
    run(async {
        let mut cluster = Cluster::new(21);
        cluster.found(1).await;
        let load = cluster.load(1_000);
        for id in 2..=5 {
            cluster.take_in(id).await;
        }
        assert_eq!(cluster.voters(), BTreeSet::from([1, 2, 3, 4, 5]));
        let mut acknowledged = load.end().await;
        cluster.settle(&acknowledged, "five").await;
        let load = cluster.load(10_000);
        for id in [1, 2, 3] {
            cluster.put_out(id).await;
            pause(100).await;
        }
        assert_eq!(cluster.voters(), BTreeSet::from([4, 5]));
        let more = load.end().await;
        assert!(more.len() > 20, "{}", more.len());
        acknowledged.extend(more);
        for id in [1, 2, 3] {
            cluster.exchange.disconnect(id);
            cluster.hosts.remove(&id).unwrap().shutdown().await.unwrap();
        }
        acknowledged.extend(cluster.propose_all(0..5).await);
        cluster.settle(&acknowledged, "two").await;
        assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    });
}

#[test]
fn a_new_voter_gets_a_snapshot_first() {
    run(async {
        let mut cluster = Cluster::new(22);
        cluster.found(3).await;
        let mut acknowledged = cluster.propose_all(0..100).await;
        cluster.settle(&acknowledged, "before").await;
        cluster.forget_the_past().await;
        cluster.take_in(4).await;
        assert!(cluster.exchange.piece_bytes() > 0, "some other way");
        acknowledged.extend(cluster.propose_all(100..110).await);
        cluster.settle(&acknowledged, "four").await;
        assert_eq!(cluster.voters(), BTreeSet::from([1, 2, 3, 4]));
    });
}

#[test]
fn a_learner_that_hears_nothing_gets_no_vote() {
    run(async {
        let mut cluster = Cluster::new(23);
        cluster.found(3).await;
        cluster.propose_all(0..1_100).await;
        let leader = &cluster.hosts[&cluster.led().await];
        leader.add_learner(member(9)).await.unwrap();
        let error = leader.promote(9).await.unwrap_err();
        assert!(
            matches!(error, MembershipError::Behind { id: 9, .. }),
            "{error}"
        );
        let again = leader.add_learner(member(9)).await.unwrap_err();
        assert_eq!(again, MembershipError::IdInUse(9));
        assert_eq!(leader.members().learners, [member(9)]);
        leader.remove(9).await.unwrap();
        assert_eq!(leader.members().learners, []);
    });
}

/// With a log this short nobody lacks much of it: the vote of one that cannot be reached would stop
/// the only other voter.
#[test]
fn a_learner_that_never_answered_gets_no_vote_however_short_the_log() {
    run(async {
        let mut cluster = Cluster::new(27);
        cluster.found(1).await;
        let leader = &cluster.hosts[&cluster.led().await];
        leader.add_learner(member(9)).await.unwrap();
        pause(2_000).await;
        let error = leader.promote(9).await.unwrap_err();
        assert!(
            matches!(error, MembershipError::Behind { id: 9, .. }),
            "{error}"
        );
        cluster.propose_all(0..5).await;
    });
}

#[test]
fn changes_that_cannot_be_are_refused() {
    run(async {
        let mut cluster = Cluster::new(24);
        cluster.found(3).await;
        let leader = cluster.led().await;
        let host = &cluster.hosts[&leader];
        assert_eq!(host.remove(leader).await, Err(MembershipError::Leads));
        assert_eq!(host.remove(7).await, Err(MembershipError::NotAMember(7)));
        assert_eq!(host.promote(7).await, Err(MembershipError::NotAMember(7)));
        assert_eq!(host.hand_over(7).await, Err(MembershipError::NotAMember(7)));
        let other = cluster.followers()[0];
        let error = cluster.hosts[&other].add_learner(member(8)).await;
        let Err(MembershipError::NotLeader {
            leader: Some(known),
        }) = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(known, member(leader));
        host.hand_over(other).await.unwrap();
        pause(500).await;
        assert_eq!(cluster.led().await, other);
    });
}

#[test]
fn two_changes_at_once_are_one_and_a_refusal() {
    run(async {
        let mut cluster = Cluster::new(25);
        cluster.found(3).await;
        let leader = cluster.hosts[&cluster.led().await].clone();
        let (one, other) =
            tokio::join!(leader.add_learner(member(4)), leader.add_learner(member(5)));
        assert_eq!((one, other), (Ok(()), Err(MembershipError::InProgress)));
    });
}

#[test]
fn a_lost_journal_comes_back_under_a_new_id_only() {
    run(async {
        let mut cluster = Cluster::new(26);
        cluster.found(3).await;
        let mut acknowledged = cluster.propose_all(0..20).await;
        cluster.settle(&acknowledged, "before").await;
        // A follower's directory is lost, and it starts as it always did: it is no member then.
        let lost = cluster.followers()[0];
        let other = cluster.followers()[1];
        cluster.crash(lost, 1, 0).await;
        cluster.add_machine(lost);
        cluster.machines.get_mut(&lost).unwrap().settings.joining = false;
        cluster.start(lost).await;
        acknowledged.extend(cluster.propose_all(20..30).await);
        pause(2_000).await;
        let metrics = cluster.hosts[&lost].metrics();
        assert_eq!(metrics.last_index, None, "it took entries under its old id");
        assert_eq!(metrics.term, 0, "it voted under its old id");
        // Nor does it make a majority with the one voter that is left.
        cluster.exchange.disconnect(other);
        let leader = cluster.led().await;
        let error = cluster.hosts[&leader]
            .propose(payload(99))
            .await
            .unwrap_err();
        assert_eq!(error, ProposeError::Unknown);
        let host = cluster.hosts[&other].clone();
        cluster.exchange.connect(other, host);
        // Under a new id it comes in as anybody does, and the old one goes.
        cluster.exchange.disconnect(lost);
        let empty = cluster.hosts.remove(&lost).unwrap();
        empty.shutdown().await.unwrap();
        cluster.put_out(lost).await;
        cluster.take_in(7).await;
        acknowledged.extend(cluster.propose_all(30..40).await);
        cluster.settle(&acknowledged, "replaced").await;
        assert!(!cluster.voters().contains(&lost));
        assert!(cluster.voters().contains(&7));
    });
}
