//! The way to the other members: bytes to one of them, bytes back.

use async_trait::async_trait;
use bytes::Bytes;
use cairn_world::Clock;
use prost::Message;
use std::sync::Arc;
use std::time::Duration;

use super::errors::Member;
use super::messages::{self, Answer, Call, CallMessage};

/// Why a call has no answer; it may have arrived all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer: {0}")]
pub struct TransportError(pub String);

/// Carries calls to members, to be answered there by [`super::RaftHost::handle`]. Calls may be lost,
/// delayed, repeated and overtake each other; they may not be changed, and a member must be who it
/// says it is. Call and answer are at most one wire payload long. A call whose future is dropped is
/// not waited for any more.
#[async_trait]
pub trait RaftTransport: Send + Sync + 'static {
    /// Calls `target`.
    ///
    /// # Errors
    /// See [`TransportError`].
    async fn call(&self, target: &Member, call: Bytes) -> Result<Bytes, TransportError>;
}

/// A transport and who speaks through it.
pub(super) struct Peers {
    pub(super) cluster_id: [u8; 16],
    pub(super) node_id: u64,
    pub(super) transport: Arc<dyn RaftTransport>,
    pub(super) clock: Arc<dyn Clock>,
    /// How long an answer may take.
    pub(super) patience: Duration,
    pub(super) inline: bool,
}

impl Peers {
    /// Asks `target`; a refusal is an error.
    pub(super) async fn ask(&self, target: &Member, call: Call) -> Result<Answer, TransportError> {
        let message = CallMessage {
            cluster_id: Bytes::copy_from_slice(&self.cluster_id),
            from: self.node_id,
            to: target.id,
            call: Some(call),
        };
        let bytes = tokio::select! {
            biased;
            answer = self.transport.call(target, message.encode_to_vec().into()) => answer?,
            () = self.clock.sleep(self.patience) => {
                return Err(TransportError("too late".to_owned()));
            }
        };
        match messages::read_answer(bytes) {
            Ok(Answer::Refused(reason)) => Err(TransportError(reason)),
            Ok(answer) => Ok(answer),
            Err(error) => Err(TransportError(error.to_string())),
        }
    }
}

/// An answer to something else than what was asked.
pub(super) fn astray<T>() -> Result<T, TransportError> {
    Err(TransportError("another answer than asked".to_owned()))
}
