//! The chunk data path: from a body to durable shards, and from shards to checked bytes.
//!
//! ```text
//!  PUT  body ─> Source ─> writer ── stripes ──> chunk_writer ── cells ──> k+m disks (nodes)
//!                 │          │ cut, CRC              │ SHA-256, codec, receipts ─> ack rule
//!                 └ Verified ┴─> manifest ── extents (staged pages) ──> the commit
//!
//!  GET  object row ─> layout ── runs ──> reader ── stripes ──> chunk_reader ── cells <── any k disks
//!                                          │ CRC of whole chunks     └ every cell against the table
//!                                          └─> ReadBody: checked bytes, or an aborted connection
//! ```
//!
//! Writers and readers work inside a [session](session), place by a cached [view](view), and hold a
//! fixed number of stripes whatever the object's length.

pub(crate) mod ack;
pub(crate) mod chunk_reader;
pub(crate) mod chunk_writer;
pub(crate) mod layout;
pub(crate) mod manifest;
pub(crate) mod nodes;
pub(crate) mod read_body;
pub(crate) mod reader;
pub(crate) mod session;
pub(crate) mod view;
pub(crate) mod writer;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cairn_rpc::ShardError;
use cairn_world::Clock;

use crate::metadata::{CommitError, Metadata, QueryError};

/// What the data path works with.
#[derive(Debug)]
pub(crate) struct DataPath {
    pub(crate) metadata: Metadata,
    pub(crate) nodes: nodes::Nodes,
    pub(crate) views: view::Views,
    pub(crate) clock: Arc<dyn Clock>,
}

impl DataPath {
    /// A shard call with bounded patience: one that does not answer counts as unavailable.
    async fn within<T>(
        &self,
        patience: Duration,
        call: impl Future<Output = Result<T, ShardError>>,
    ) -> Result<T, ShardError> {
        tokio::select! {
            biased;
            outcome = call => outcome,
            () = self.clock.sleep(patience) => {
                Err(ShardError::Unavailable("no answer in time".to_owned()))
            }
        }
    }
}

/// Why a body was not stored, by what its request can be told. Nothing was committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// Too few disks take it to meet the ack rule: try again later.
    #[error("too few disks can take a chunk")]
    NotEnoughDisks,
    /// They would, had they room: trying again is of no use until something is deleted or added.
    #[error("too few disks have room for a chunk")]
    Full,
    /// The body is not what it should be, or did not come.
    #[error("{0}")]
    Body(#[source] cairn_s3::S3Error),
    /// The metadata said no, or nothing.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The metadata said nothing.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// A bug, or a fault of this machine.
    #[error("internal: {0}")]
    Internal(String),
}

/// Why bytes were not read, by what their request can be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadError {
    /// Too few good shards can be had now.
    #[error("too few shards of a chunk can be read")]
    Lost,
    /// The metadata said nothing, or nothing that makes sense.
    #[error(transparent)]
    Query(#[from] QueryError),
}
