//! Commands to and queries of the metadata group.

use async_trait::async_trait;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::{Answer, Query, Reply};

/// Why a metadata call failed, by what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Ask this voter instead, where one is named.
    #[error("not the leader")]
    NotLeader {
        /// The leader as far as known.
        leader: Option<u64>,
    },
    /// The outcome is not known: resolve it by sending the same (session, operation) again, in the
    /// same session only.
    #[error("the outcome of the command is unknown")]
    Unknown,
    /// Nothing was done; try again later.
    #[error("metadata is unavailable: {0}")]
    Unavailable(String),
    /// The command is longer than an entry may be; nothing was done.
    #[error("the command is too large for an entry")]
    TooLarge,
    /// The call breaks the protocol: a bug of the caller.
    #[error("refused: {0}")]
    Refused(&'static str),
}

/// One metadata group.
#[async_trait]
pub trait MetadataService: Send + Sync + std::fmt::Debug {
    /// Commits a command. With a session, (session, operation) makes it idempotent: sent again, it
    /// answers what it answered.
    ///
    /// # Errors
    /// See [`MetadataError`]. A refusal of the state machine is a [`Reply`], not an error.
    async fn propose(
        &self,
        session: u64,
        operation: u64,
        command: Command,
    ) -> Result<Reply, MetadataError>;

    /// Answers from a state that holds every command acknowledged before the call (ReadIndex).
    ///
    /// # Errors
    /// Any but `Unknown` and `TooLarge`.
    async fn query(&self, query: Query) -> Result<Answer, MetadataError>;

    /// Says that these sessions are alive. A session that is silent for
    /// `limits::SESSION_EXPIRY_SECS` of the leader's monotonic clock is expired by an entry.
    ///
    /// # Errors
    /// Any but `Unknown` and `TooLarge`.
    async fn keep_alive(&self, sessions: &[u64]) -> Result<(), MetadataError>;
}
