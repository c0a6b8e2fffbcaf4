//! Raft's members follow the list of nodes: one step at a time, each decided here from what is so.
//!
//! ```text
//!   a node that may vote, no member  ──> learner ──(caught up, places left)──> voter
//!   a member that is no such node    ──> removed; the leader itself hands over first
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cairn_model::limits;
use cairn_wire::metadata::{Node, Role};
use tokio::sync::watch;

use crate::raft::{Member, Members, MembershipError};
use crate::service::Metadata;

/// Pause between two steps.
const EVERY: Duration = Duration::from_millis(500);

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take it in.
    Add(Member),
    /// Give it a vote.
    Promote(u64),
    /// It belongs to the cluster no more.
    Remove(u64),
    /// The leader is to go: somebody else must lead first.
    HandOver(u64),
}

/// The next step: pure. Additions come before removals, so that a replacement has its vote before the
/// one it replaces loses its own; `stuck` are learners that could not be promoted just now.
#[must_use]
pub fn next_step(
    members: &Members,
    nodes: &[Node],
    me: u64,
    stuck: &BTreeSet<u64>,
) -> Option<Step> {
    let may_vote = |node: &&Node| node.roles & Role::Metadata as u32 != 0;
    let wanted: BTreeSet<u64> = nodes
        .iter()
        .filter(may_vote)
        .map(|node| node.node)
        .collect();
    let known = |id: u64| {
        let mut all = members.voters.iter().chain(&members.learners);
        all.any(|member| member.id == id)
    };
    if let Some(node) = nodes.iter().filter(may_vote).find(|node| !known(node.node)) {
        return Some(Step::Add(Member {
            id: node.node,
            address: node.address.clone(),
        }));
    }
    let due = |member: &&Member| wanted.contains(&member.id) && !stuck.contains(&member.id);
    if members.voters.len() < limits::VOTERS_MAX
        && let Some(learner) = members.learners.iter().find(due)
    {
        return Some(Step::Promote(learner.id));
    }
    let gone = |member: &&Member| !wanted.contains(&member.id);
    let mut all = members.learners.iter().chain(&members.voters);
    let leaver = all.find(|member| gone(member) && member.id != me);
    if let Some(member) = leaver {
        return Some(Step::Remove(member.id));
    }
    if wanted.contains(&me) {
        return None;
    }
    let heir = members.voters.iter().find(|member| member.id != me);
    heir.map(|member| Step::HandOver(member.id))
}

/// Keeps the members as the nodes are, while this replica leads, until `stop` turns true.
pub async fn keep(metadata: Arc<Metadata>, mut stop: watch::Receiver<bool>) {
    let mut stuck = BTreeSet::new();
    loop {
        let stepped = step(&metadata, &mut stuck).await;
        let pause = metadata.clock().sleep(match stepped {
            true => Duration::ZERO,
            false => EVERY,
        });
        tokio::select! {
            () = pause => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One step; true where something changed.
async fn step(metadata: &Metadata, stuck: &mut BTreeSet<u64>) -> bool {
    let host = metadata.host();
    if !host.is_leader() {
        stuck.clear();
        return false;
    }
    let nodes = match metadata.members().await {
        Ok(answer) if !answer.nodes.is_empty() => answer.nodes,
        // Before the founder has said who it is nobody is removed.
        _ => return false,
    };
    let me = host.metrics().node_id;
    let Some(step) = next_step(&host.members(), &nodes, me, stuck) else {
        stuck.clear();
        return false;
    };
    let done = match &step {
        Step::Add(member) => host.add_learner(member.clone()).await,
        Step::Promote(id) => host.promote(*id).await,
        Step::Remove(id) => host.remove(*id).await,
        Step::HandOver(id) => host.hand_over(*id).await,
    };
    match done {
        Ok(()) => {
            tracing::info!(?step, "the members of the metadata group changed");
            true
        }
        Err(MembershipError::Behind { id, entries }) => {
            tracing::debug!(id, entries, "a learner is behind");
            stuck.insert(id);
            false
        }
        Err(error) => {
            tracing::warn!(?step, %error, "the members could not be changed, it will be tried again");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(voters: &[u64], learners: &[u64]) -> Members {
        let member = |id: &u64| Member {
            id: *id,
            address: format!("host{id}"),
        };
        Members {
            voters: voters.iter().map(member).collect(),
            learners: learners.iter().map(member).collect(),
        }
    }

    fn nodes(voting: &[u64], others: &[u64]) -> Vec<Node> {
        let node = |id: &u64, roles: u32| Node {
            node: *id,
            address: format!("host{id}"),
            roles,
            ..Node::default()
        };
        let both = Role::Metadata as u32 | Role::Storage as u32;
        let mut all: Vec<Node> = voting.iter().map(|id| node(id, both)).collect();
        all.extend(others.iter().map(|id| node(id, Role::Storage as u32)));
        all
    }

    fn next(members: &Members, nodes: &[Node]) -> Option<Step> {
        next_step(members, nodes, 1, &BTreeSet::new())
    }

    #[test]
    fn who_may_vote_is_taken_in_and_gets_its_vote() {
        let all = nodes(&[1, 2], &[7]);
        let Some(Step::Add(added)) = next(&members(&[1], &[]), &all) else {
            panic!("nobody is added");
        };
        assert_eq!((added.id, added.address.as_str()), (2, "host2"));
        assert_eq!(next(&members(&[1], &[2]), &all), Some(Step::Promote(2)));
        assert_eq!(next(&members(&[1, 2], &[]), &all), None);
    }

    #[test]
    fn a_learner_that_is_behind_holds_up_nobody() {
        let all = nodes(&[1, 2, 3], &[]);
        let stuck = BTreeSet::from([2]);
        let step = next_step(&members(&[1], &[2, 3]), &all, 1, &stuck);
        assert_eq!(step, Some(Step::Promote(3)));
    }

    #[test]
    fn no_more_vote_than_may() {
        let ids: Vec<u64> = (1..=9).collect();
        let (voting, learning) = ids.split_at(limits::VOTERS_MAX);
        assert_eq!(next(&members(voting, learning), &nodes(&ids, &[])), None);
    }

    #[test]
    fn who_left_the_cluster_is_removed_and_the_leader_last() {
        let left = members(&[1, 2, 3], &[4]);
        assert_eq!(next(&left, &nodes(&[1, 2, 3], &[])), Some(Step::Remove(4)));
        let left = members(&[1, 2, 3], &[]);
        assert_eq!(next(&left, &nodes(&[1, 3], &[2])), Some(Step::Remove(2)));
        assert_eq!(
            next(&left, &nodes(&[2, 3], &[])),
            Some(Step::HandOver(2)),
            "the leader does not remove itself"
        );
    }

    #[test]
    fn a_replacement_votes_before_the_one_it_replaces_goes() {
        let all = nodes(&[1, 2, 4], &[]);
        let mut now = members(&[1, 2, 3], &[]);
        assert!(matches!(next(&now, &all), Some(Step::Add(_))));
        now = members(&[1, 2, 3], &[4]);
        assert_eq!(next(&now, &all), Some(Step::Promote(4)));
        now = members(&[1, 2, 3, 4], &[]);
        assert_eq!(next(&now, &all), Some(Step::Remove(3)));
    }
}
