//! Membership: who is added, promoted and removed, one member at a time.
//!
//! ```text
//!  (nobody) --add_learner--> learner --promote, once it has caught up--> voter
//!      ^                        |                                          |
//!      +--------------------- remove <-------------------------------------+
//! ```
//! Every step is one entry that moves at most one voter, so that the majorities before and after it
//! always share a voter; the next step begins when it is committed. An id is used once: what came back
//! without its journal is another member.

use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use openraft::raft::Precondition;
use openraft::{BasicNode, EntryPayload, Membership};
use std::collections::{BTreeMap, BTreeSet};

use super::errors::{Member, MembershipError};
use super::host::RaftHost;
use super::settings::PROMOTE_LAG;
use super::types::{RaftMembership, TypeConfig};

/// Everybody, and who of them votes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// Those whose majority commits.
    pub voters: Vec<Member>,
    /// Those who only follow.
    pub learners: Vec<Member>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Add(Member),
    Promote(u64),
    Remove(u64),
}

/// Voters and addresses after `step`: pure.
fn after(
    step: &Step,
    mut voters: BTreeSet<u64>,
    mut nodes: BTreeMap<u64, BasicNode>,
) -> Result<(BTreeSet<u64>, BTreeMap<u64, BasicNode>), MembershipError> {
    match step {
        Step::Add(member) => {
            if member.id == 0 || nodes.contains_key(&member.id) {
                return Err(MembershipError::IdInUse(member.id));
            }
            let addr = member.address.clone();
            nodes.insert(member.id, BasicNode { addr });
        }
        Step::Promote(id) => {
            if !nodes.contains_key(id) {
                return Err(MembershipError::NotAMember(*id));
            }
            voters.insert(*id);
        }
        Step::Remove(id) => {
            if nodes.remove(id).is_none() {
                return Err(MembershipError::NotAMember(*id));
            }
            voters.remove(id);
            if voters.is_empty() {
                return Err(MembershipError::LastVoter);
            }
        }
    }
    Ok((voters, nodes))
}

impl RaftHost {
    /// The members as far as this node knows.
    #[must_use]
    pub fn members(&self) -> Members {
        let stored = self.membership();
        let voters: BTreeSet<u64> = stored.membership().voter_ids().collect();
        let member = |(id, node): (&u64, &BasicNode)| Member {
            id: *id,
            address: node.addr.clone(),
        };
        let all: Vec<Member> = stored.membership().nodes().map(member).collect();
        let (voters, learners) = all
            .into_iter()
            .partition(|member| voters.contains(&member.id));
        Members { voters, learners }
    }

    pub(super) fn membership(&self) -> RaftMembership {
        use openraft::async_runtime::watch::WatchReceiver;
        let watch = self.inner.raft.metrics();
        let stored = watch.borrow_watched().membership_config.clone();
        stored.as_ref().clone()
    }

    /// Takes in a new member, which follows and has no vote. Its id must never have been another's;
    /// its directory is empty and opened with `RaftSettings::joining`.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn add_learner(&self, member: Member) -> Result<(), MembershipError> {
        self.change(&Step::Add(member)).await
    }

    /// Gives a learner that has caught up a vote; nothing where it has one.
    ///
    /// # Errors
    /// [`MembershipError::Behind`] where it lacks too much of the log: it would hold up commits.
    pub async fn promote(&self, id: u64) -> Result<(), MembershipError> {
        if self.is_leader() {
            let behind = self.behind(id)?;
            if behind > PROMOTE_LAG {
                return Err(MembershipError::Behind {
                    id,
                    entries: behind,
                });
            }
        }
        self.change(&Step::Promote(id)).await
    }

    /// Entries of the leader's log that member `id` is not known to have.
    fn behind(&self, id: u64) -> Result<u64, MembershipError> {
        use openraft::async_runtime::watch::WatchReceiver;
        if id == self.inner.settings.node_id {
            return Ok(0);
        }
        let watch = self.inner.raft.metrics();
        let metrics = watch.borrow_watched();
        let known = metrics.replication.as_ref().and_then(|all| all.get(&id));
        let Some(matched) = known else {
            return Err(MembershipError::NotAMember(id));
        };
        let last = metrics.last_log_index.map_or(0, |last| last + 1);
        // One that has answered nothing yet may not even be reached: however short the log is, its vote
        // would stop commits.
        let Some(at) = matched else {
            return Ok(u64::MAX);
        };
        Ok(last.saturating_sub(at.index + 1))
    }

    /// Removes a member. Its id is not used again. The leader is not removed: see
    /// [`RaftHost::hand_over`].
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn remove(&self, id: u64) -> Result<(), MembershipError> {
        if id == self.inner.settings.node_id && self.is_leader() {
            return Err(MembershipError::Leads);
        }
        self.change(&Step::Remove(id)).await
    }

    /// Asks voter `to` to lead in this node's place. It may not come to it: look who leads.
    ///
    /// # Errors
    /// [`MembershipError::NotAMember`] where it has no vote.
    pub async fn hand_over(&self, to: u64) -> Result<(), MembershipError> {
        let voter = self.inner.raft.voter_ids().any(|id| id == to);
        if !voter {
            return Err(MembershipError::NotAMember(to));
        }
        let asked = self.inner.raft.trigger().transfer_leader(to).await;
        asked.map_err(|_| MembershipError::Stopped)
    }

    async fn change(&self, step: &Step) -> Result<(), MembershipError> {
        if self.is_halted() {
            return Err(MembershipError::Stopped);
        }
        let Ok(_one) = self.inner.changing.try_lock() else {
            return Err(MembershipError::InProgress);
        };
        let stored = self.membership();
        let membership = stored.membership();
        let [voters] = membership.get_joint_config().as_slice() else {
            return Err(MembershipError::InProgress);
        };
        let nodes = membership
            .nodes()
            .map(|(id, node)| (*id, node.clone()))
            .collect();
        let (voters, nodes) = after(step, voters.clone(), nodes)?;
        let next = Membership::new(vec![voters], nodes)
            .map_err(|error| MembershipError::Refused(error.to_string()))?;
        if next == *membership {
            return Ok(());
        }
        let guard = Precondition::LastMembershipLogId {
            last_membership_log_id: *stored.log_id(),
        };
        let appended = self
            .inner
            .raft
            .append_membership(next, EntryPayload::Blank, [guard]);
        tokio::select! {
            biased;
            appended = appended => appended.map(|_| ()).map_err(refusal),
            () = self.inner.clock.sleep(self.inner.settings.propose_timeout) => {
                Err(MembershipError::Unknown)
            }
        }
    }
}

fn refusal(error: RaftError<TypeConfig, ClientWriteError<TypeConfig>>) -> MembershipError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(to)) => MembershipError::NotLeader {
            leader: Member::of(to.leader_id, to.leader_node),
        },
        RaftError::APIError(
            ClientWriteError::ChangeMembershipError(
                ChangeMembershipError::InProgress(_)
                | ChangeMembershipError::UncommittedLeaderLog(_),
            )
            | ClientWriteError::PreconditionFailed(_),
        ) => MembershipError::InProgress,
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            MembershipError::Refused(error.to_string())
        }
        RaftError::APIError(_) | RaftError::Fatal(_) => MembershipError::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[u64]) -> BTreeSet<u64> {
        ids.iter().copied().collect()
    }

    fn nodes(ids: &[u64]) -> BTreeMap<u64, BasicNode> {
        ids.iter().map(|id| (*id, BasicNode::new("here"))).collect()
    }

    #[test]
    fn a_step_moves_one_member() {
        let member = Member {
            id: 4,
            address: "there".to_owned(),
        };
        let (voters, all) = after(&Step::Add(member), ids(&[1, 2]), nodes(&[1, 2])).unwrap();
        assert_eq!(voters, ids(&[1, 2]));
        assert_eq!(all[&4].addr, "there");
        let (voters, all) = after(&Step::Promote(4), voters, all).unwrap();
        assert_eq!(voters, ids(&[1, 2, 4]));
        let (voters, all) = after(&Step::Remove(1), voters, all).unwrap();
        assert_eq!(voters, ids(&[2, 4]));
        assert_eq!(all.keys().copied().collect::<BTreeSet<_>>(), ids(&[2, 4]));
    }

    #[test]
    fn steps_that_cannot_be_are_refused() {
        let known = Member {
            id: 2,
            address: "elsewhere".to_owned(),
        };
        let step = |step| after(&step, ids(&[1]), nodes(&[1, 2])).unwrap_err();
        assert_eq!(step(Step::Add(known)), MembershipError::IdInUse(2));
        let nobody = Member {
            id: 0,
            address: String::new(),
        };
        assert_eq!(step(Step::Add(nobody)), MembershipError::IdInUse(0));
        assert_eq!(step(Step::Promote(3)), MembershipError::NotAMember(3));
        assert_eq!(step(Step::Remove(3)), MembershipError::NotAMember(3));
        assert_eq!(step(Step::Remove(1)), MembershipError::LastVoter);
    }
}
