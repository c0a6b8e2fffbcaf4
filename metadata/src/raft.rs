//! Raft: the voter that hosts the state machine.
//!
//! ```text
//!  propose(bytes) --> openraft --append--> Journal (log, vote)         law
//!                        |                   purged below the last full sync
//!                        +--apply--> Machine --one batch--> OrderedStore   lazily synced
//!  read() --ReadIndex----+                    rows of the state machine (first byte >= 0x01)
//!                                             rows of the host          (first byte 0x00)
//!                                             snapshots <- one view
//! ```
//! The journal is the authority, the store is what applying it has made. So the store is synced only
//! now and then, and what a crash takes from it is applied again. The host's rows say how far it is
//! and prove it whole ([`rows`]); a store that cannot prove it is thrown away and rebuilt from a
//! snapshot and the log ([`generations`], [`rebuild`]).
//!
//! [`types`] names openraft's types and our bytes for them; [`log_storage`] puts the journal under
//! openraft, [`applier`] the state machine, which [`commit`] turns into batches for [`stores`];
//! [`host`] opens all of it and proposes, [`reads`] confirms reads, [`housekeeping`] syncs, snapshots
//! and purges.
//!
//! ```text
//!  Network --call--> messages --bytes--> RaftTransport ~~~~> RaftHost::handle --> openraft, transfer
//! ```
//! Members speak through a [`RaftTransport`] that carries bytes: [`network`] calls, [`receiving`]
//! answers, [`transfer`] takes in a snapshot piece by piece. [`members`] changes who they are,
//! [`forced`] makes a cluster of one stopped voter; [`agreement`] compares what they came to, [`clocks`] what time they have.

mod agreement;
mod applier;
mod clocks;
mod commit;
mod errors;
mod forced;
mod generations;
mod host;
mod housekeeping;
mod log_storage;
mod members;
mod messages;
pub mod network;
mod reads;
mod rebuild;
mod receiving;
mod rows;
mod settings;
mod stores;
mod transfer;
mod transport;
mod types;

pub use crate::journal::LogPosition;
pub use applier::Applier;
pub use clocks::StampError;
pub use errors::{
    ForceError, InitializeError, Member, MembershipError, OpenError, ProposeError, RaftMetrics,
    ReadError, UpkeepError,
};
pub use forced::{go_on_alone, look_at_log};
pub use generations::StoreFactory;
pub use host::RaftHost;
pub use log_storage::LogStorage;
pub use members::Members;
pub use rows::{RunningHash, StateHash};
pub use settings::RaftSettings;
pub use transport::{RaftTransport, TransportError};
pub use types::{EntryBytes, Reply, TypeConfig};

use bytes::Bytes;
use cairn_store::{Batch, View};

/// A committed entry of the application. Blank and membership entries never reach the state machine,
/// so indexes may jump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its place in the log.
    pub position: LogPosition,
    /// What was proposed.
    pub payload: Bytes,
}

/// What applying one entry did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The rows it changed: those of this entry alone.
    pub changes: Batch,
    /// The answer to its proposer.
    pub reply: Bytes,
}

/// The state machine is wrong or its rows are damaged: the node stops. A refused request is no
/// error, it is a reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("apply: {0}")]
pub struct ApplyError(pub String);

/// A deterministic state machine over an ordered store: no clock, no randomness, no hash order.
pub trait StateMachine: Send + 'static {
    /// Applies entries in order and answers with one [`Applied`] each. An entry sees the changes of
    /// those before it in the same call; `view` holds everything before the call. The host makes one
    /// store batch of all of them, and chains its running hash over each entry's own changes, since
    /// voters cut their calls differently. Keys start with a byte of 0x01 or above.
    ///
    /// # Errors
    /// The node stops.
    fn apply(&mut self, view: &dyn View, entries: &[Committed])
    -> Result<Vec<Applied>, ApplyError>;

    /// The store was opened or replaced: forget what was cached, load what is needed.
    ///
    /// # Errors
    /// The node does not start, or stops.
    fn reset(&mut self, view: &dyn View) -> Result<(), ApplyError>;
}
