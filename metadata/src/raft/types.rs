//! openraft's types as we fill them in, and our bytes for them.
//!
//! Entry payload in the journal: one byte of kind, then the body. 0 blank (empty), 1 proposal (its
//! bytes), 2 membership (protobuf [`MembershipMessage`]).

use bytes::{BufMut, Bytes, BytesMut};
use openraft::impls::leader_id_adv::LeaderId;
use openraft::{BasicNode, EntryPayload, Membership, StoredMembership};
use prost::Message;
use std::collections::BTreeSet;
use std::fmt;
use std::io;

use crate::journal::{LogEntry, LogPosition, Vote};

openraft::declare_raft_types!(
    /// The types of our Raft.
    pub TypeConfig:
        D = EntryBytes,
        R = Reply,
        NodeId = u64,
        Node = BasicNode,
);

/// A proposal: opaque bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryBytes(pub Bytes);

impl fmt::Debug for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryBytes({})", self.0.len())
    }
}

impl fmt::Display for EntryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The state machine's answer: opaque bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply(pub Bytes);

pub(super) type Raft = openraft::Raft<TypeConfig, super::Applier>;
pub(super) type RaftLogId = openraft::alias::LogIdOf<TypeConfig>;
pub(super) type RaftVote = openraft::alias::VoteOf<TypeConfig>;
pub(super) type RaftEntry = openraft::alias::EntryOf<TypeConfig>;
pub(super) type RaftMembership = openraft::alias::StoredMembershipOf<TypeConfig>;

pub(super) fn position(log_id: &RaftLogId) -> LogPosition {
    LogPosition {
        term: log_id.leader_id.term,
        leader: log_id.leader_id.node_id,
        index: log_id.index,
    }
}

pub(super) fn log_id(position: LogPosition) -> RaftLogId {
    RaftLogId::new(
        LeaderId {
            term: position.term,
            node_id: position.leader,
        },
        position.index,
    )
}

pub(super) fn vote_out(vote: &RaftVote) -> Vote {
    Vote {
        term: vote.leader_id.term,
        leader: vote.leader_id.node_id,
        committed: vote.committed,
    }
}

pub(super) fn vote_in(vote: Vote) -> RaftVote {
    let leader_id = LeaderId {
        term: vote.term,
        node_id: vote.leader,
    };
    RaftVote {
        leader_id,
        committed: vote.committed,
    }
}

const KIND_BLANK: u8 = 0;
const KIND_PROPOSAL: u8 = 1;
const KIND_MEMBERSHIP: u8 = 2;

/// Bytes that go around a proposal.
pub(super) const ENTRY_WRAP: usize = 1;

pub(super) fn entry_out(entry: &RaftEntry) -> LogEntry {
    let mut payload = BytesMut::new();
    match &entry.payload {
        EntryPayload::Blank => payload.put_u8(KIND_BLANK),
        EntryPayload::Normal(EntryBytes(bytes)) => {
            payload.reserve(ENTRY_WRAP + bytes.len());
            payload.put_u8(KIND_PROPOSAL);
            payload.put_slice(bytes);
        }
        EntryPayload::Membership(membership) => {
            payload.put_u8(KIND_MEMBERSHIP);
            payload.put_slice(&MembershipMessage::from(membership).encode_to_vec());
        }
    }
    LogEntry {
        position: position(&entry.log_id),
        payload: payload.freeze(),
    }
}

pub(super) fn entry_in(entry: &LogEntry) -> io::Result<RaftEntry> {
    let mut body = entry.payload.clone();
    let kind = if body.is_empty() {
        None
    } else {
        body.split_to(1).first().copied()
    };
    let payload = match kind {
        Some(KIND_BLANK) if body.is_empty() => EntryPayload::Blank,
        Some(KIND_PROPOSAL) => EntryPayload::Normal(EntryBytes(body)),
        Some(KIND_MEMBERSHIP) => {
            let message = MembershipMessage::decode(body).map_err(invalid)?;
            EntryPayload::Membership(message.membership()?)
        }
        _ => {
            return Err(invalid(format!(
                "entry {} is of no known kind",
                entry.position.index
            )));
        }
    };
    Ok(RaftEntry {
        log_id: log_id(entry.position),
        payload,
    })
}

fn invalid(error: impl fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// A place in the log.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct PositionMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) term: u64,
    #[prost(uint64, tag = "2")]
    pub(crate) leader: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) index: u64,
}

impl From<LogPosition> for PositionMessage {
    fn from(position: LogPosition) -> Self {
        Self {
            term: position.term,
            leader: position.leader,
            index: position.index,
        }
    }
}

impl From<&PositionMessage> for LogPosition {
    fn from(message: &PositionMessage) -> Self {
        Self {
            term: message.term,
            leader: message.leader,
            index: message.index,
        }
    }
}

/// Voter sets (two of them while membership changes) and all nodes.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct MembershipMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) configs: Vec<VotersMessage>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) nodes: Vec<NodeMessage>,
}

/// One set of voters, rising.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct VotersMessage {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) ids: Vec<u64>,
}

/// A voter or learner.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct NodeMessage {
    #[prost(uint64, tag = "1")]
    pub(crate) id: u64,
    #[prost(string, tag = "2")]
    pub(crate) address: String,
}

/// A membership and the entry that brought it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct StoredMembershipMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) position: Option<PositionMessage>,
    #[prost(message, optional, tag = "2")]
    pub(crate) membership: Option<MembershipMessage>,
}

impl From<&Membership<u64, BasicNode>> for MembershipMessage {
    fn from(membership: &Membership<u64, BasicNode>) -> Self {
        let configs = membership
            .get_joint_config()
            .iter()
            .map(|voters| VotersMessage {
                ids: voters.iter().copied().collect(),
            })
            .collect();
        let nodes = membership
            .nodes()
            .map(|(id, node)| NodeMessage {
                id: *id,
                address: node.addr.clone(),
            })
            .collect();
        Self { configs, nodes }
    }
}

impl MembershipMessage {
    fn membership(&self) -> io::Result<Membership<u64, BasicNode>> {
        let configs: Vec<BTreeSet<u64>> = self
            .configs
            .iter()
            .map(|voters| voters.ids.iter().copied().collect())
            .collect();
        let nodes: std::collections::BTreeMap<u64, BasicNode> = self
            .nodes
            .iter()
            .map(|node| {
                (
                    node.id,
                    BasicNode {
                        addr: node.address.clone(),
                    },
                )
            })
            .collect();
        if configs.is_empty() {
            return Ok(Membership::default());
        }
        Membership::new(configs, nodes).map_err(invalid)
    }
}

impl From<&RaftMembership> for StoredMembershipMessage {
    fn from(stored: &RaftMembership) -> Self {
        Self {
            position: stored.log_id().as_ref().map(|id| position(id).into()),
            membership: Some(stored.membership().into()),
        }
    }
}

impl StoredMembershipMessage {
    pub(super) fn stored(&self) -> io::Result<RaftMembership> {
        let log_id = self.position.as_ref().map(|message| log_id(message.into()));
        let membership = match &self.membership {
            Some(message) => message.membership()?,
            None => Membership::default(),
        };
        Ok(StoredMembership::new(log_id, membership))
    }
}

#[cfg(test)]
mod tests;
