//! What callers of the host get instead of an answer, and how it is.

use openraft::BasicNode;

use super::LogPosition;
use crate::journal::{JournalError, JournalUsage};
use crate::snapshot::SnapshotError;

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: u64,
    /// Where it listens.
    pub address: String,
}

impl Member {
    pub(super) fn of(id: Option<u64>, node: Option<BasicNode>) -> Option<Self> {
        Some(Self {
            id: id?,
            address: node?.addr,
        })
    }
}

/// Why a voter does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal; see its kinds.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Store and journal contradict each other: acknowledged entries are lost. Rejoin under a new
    /// id, or have `cairn doctor` look at it.
    #[error("store and journal do not fit: {0}")]
    Mismatch(String),
    /// The store is lost and nothing here can rebuild it: reinstall from a peer.
    #[error("the store cannot be rebuilt: {0}")]
    Unrecoverable(String),
    /// The disk or the store engine failed.
    #[error("cannot open: {0}")]
    Io(String),
    /// The state machine refused its rows.
    #[error(transparent)]
    Machine(#[from] super::ApplyError),
    /// A majority of the voters came to another state than this member: nothing it holds is to be
    /// trusted. Rejoin under a new id, on an empty directory.
    #[error("this member's state differs from the majority's at entry {0}")]
    Diverged(u64),
    /// The settings cannot work.
    #[error("raft settings: {0}")]
    Settings(String),
}

impl From<std::io::Error> for OpenError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<cairn_store::StoreError> for OpenError {
    fn from(error: cairn_store::StoreError) -> Self {
        Self::Io(error.to_string())
    }
}

impl From<SnapshotError> for OpenError {
    fn from(error: SnapshotError) -> Self {
        Self::Io(error.to_string())
    }
}

/// Why a voter was not made to go on alone. Nothing was written, or only what doing it again makes
/// whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForceError {
    /// Its journal cannot be opened: it runs, it is another's, or it is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is nothing to go on from.
    #[error("the directory holds no log")]
    Empty,
    /// What is asked makes no sense.
    #[error("refused: {0}")]
    Refused(&'static str),
}

/// Why a proposal has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Not proposed: ask the leader.
    #[error("this node is not the leader, {leader:?} is")]
    NotLeader {
        /// The leader, if known.
        leader: Option<Member>,
    },
    /// Not proposed: longer than an entry may be.
    #[error("a proposal of {len} bytes is too long")]
    TooLarge {
        /// Its length.
        len: usize,
    },
    /// It may have been committed, or may yet be.
    #[error("the outcome of the proposal is unknown")]
    Unknown,
    /// Not proposed: the node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

/// Why there is no linearizable view.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Ask the leader.
    #[error("this node is not the leader, {leader:?} is")]
    NotLeader {
        /// The leader, if known.
        leader: Option<Member>,
    },
    /// No majority answers.
    #[error("no majority of voters answers")]
    Unavailable,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

/// Why a cluster was not founded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitializeError {
    /// There is a log already.
    #[error("the cluster exists already")]
    Exists,
    /// The members cannot be a cluster of this node's.
    #[error("the members are no cluster: {0}")]
    Members(String),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

/// Why the members are as they were, or may be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Ask the leader.
    #[error("this node is not the leader, {leader:?} is")]
    NotLeader {
        /// The leader, if known.
        leader: Option<Member>,
    },
    /// The change before is not finished, or a new leader is not settled: try again.
    #[error("another change of members is in progress")]
    InProgress,
    /// An id is used once.
    #[error("id {0} is a member's, or none")]
    IdInUse(u64),
    /// There is no such member, or no such voter.
    #[error("{0} is no member that could do that")]
    NotAMember(u64),
    /// It must catch up first.
    #[error("member {id} lacks {entries} entries")]
    Behind {
        /// The member.
        id: u64,
        /// What it lacks.
        entries: u64,
    },
    /// Nobody would be left to commit anything.
    #[error("the last voter stays")]
    LastVoter,
    /// Hand leadership over first.
    #[error("the leader does not remove itself")]
    Leads,
    /// Raft refuses it.
    #[error("the change is refused: {0}")]
    Refused(String),
    /// It may have been made, or may yet be: look at the members.
    #[error("the outcome of the change is unknown")]
    Unknown,
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

/// Why a sync, a snapshot or an orderly end failed; the next start repairs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not done: {0}")]
pub struct UpkeepError(pub(super) String);

/// A voter's state, for people and for dashboards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftMetrics {
    /// The voter.
    pub node_id: u64,
    /// Its term.
    pub term: u64,
    /// The leader, if known.
    pub leader: Option<u64>,
    /// Last index in the log.
    pub last_index: Option<u64>,
    /// Last entry applied.
    pub applied: Option<LogPosition>,
    /// Last entry covered by a full sync of the store.
    pub synced: Option<LogPosition>,
    /// Last entry of the newest snapshot.
    pub snapshot: Option<LogPosition>,
    /// Last entry purged from the log.
    pub purged: Option<LogPosition>,
    /// Space of the journal.
    pub journal: JournalUsage,
    /// Why it stopped, if it did.
    pub failure: Option<String>,
}
