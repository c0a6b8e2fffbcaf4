//! The caller's side.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_model::limits;
use cairn_wire::frame::FrameType;
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::request::Call;
use cairn_wire::metadata::response::Outcome;
use cairn_wire::metadata::{Answer, Entry, KeepAlive, Query, Reply, Request, Response};
use prost::Message as _;

use super::failure::{from_wire, of_call, of_repeatable};
use crate::quic::error::CallError;
use crate::quic::peer::RemotePeer;
use crate::{MetadataError, MetadataService};

/// A metadata replica in another process.
#[derive(Debug)]
pub struct MetadataClient {
    peer: Arc<RemotePeer>,
    group: u32,
    within: Duration,
}

impl MetadataClient {
    /// Calls the replica of shard group `group` at `peer`; each call ends `within`.
    #[must_use]
    pub fn new(peer: Arc<RemotePeer>, group: u32, within: Duration) -> Self {
        Self {
            peer,
            group,
            within,
        }
    }

    /// The call as bytes; `None` where it is longer than a frame.
    fn request(&self, call: Call) -> Option<Bytes> {
        let request = Request {
            call: Some(call),
            group: self.group,
        };
        let len = u64::try_from(request.encoded_len()).unwrap_or(u64::MAX);
        (len <= limits::WIRE_PAYLOAD_MAX).then(|| request.encode_to_vec().into())
    }

    async fn call(&self, request: Bytes) -> Result<Option<Outcome>, CallError> {
        let kind = FrameType::Metadata;
        let answer = self.peer.call(kind, request, self.within).await?;
        Response::decode(answer)
            .map(|response| response.outcome)
            .map_err(|error| CallError::Unknown(format!("the answer cannot be read: {error}")))
    }

    async fn repeatable(&self, call: Call) -> Result<Option<Outcome>, MetadataError> {
        let request = self
            .request(call)
            .ok_or(MetadataError::Refused("the call is longer than a frame"))?;
        self.call(request).await.map_err(of_repeatable)
    }
}

/// For calls that answer: an answer of another kind than asked is the peer's fault, and not ours to
/// guess at.
fn other(outcome: Option<Outcome>) -> MetadataError {
    match outcome {
        Some(Outcome::Failure(failure)) => from_wire(failure),
        _ => MetadataError::Unknown,
    }
}

/// The same where asking again is free.
fn other_repeatable(outcome: Option<Outcome>) -> MetadataError {
    match other(outcome) {
        MetadataError::Unknown => MetadataError::Unavailable("no answer that is known".to_owned()),
        error => error,
    }
}

#[async_trait]
impl MetadataService for MetadataClient {
    async fn propose(
        &self,
        session: u64,
        operation: u64,
        command: Command,
    ) -> Result<Reply, MetadataError> {
        let entry = Entry {
            group: self.group,
            stamp_ms: 0,
            session,
            operation,
            command: Some(command),
        };
        let request = self
            .request(Call::Propose(entry))
            .ok_or(MetadataError::TooLarge)?;
        match self.call(request).await.map_err(of_call)? {
            Some(Outcome::Reply(reply)) => Ok(reply),
            outcome => Err(other(outcome)),
        }
    }

    async fn query(&self, query: Query) -> Result<Answer, MetadataError> {
        match self.repeatable(Call::Query(query)).await? {
            Some(Outcome::Answer(answer)) => Ok(answer),
            outcome => Err(other_repeatable(outcome)),
        }
    }

    async fn keep_alive(&self, sessions: &[u64]) -> Result<(), MetadataError> {
        for page in sessions.chunks(limits::RPC_SESSIONS_MAX) {
            let sessions = page.to_vec();
            match self
                .repeatable(Call::KeepAlive(KeepAlive { sessions }))
                .await?
            {
                Some(Outcome::Kept(_)) => {}
                outcome => return Err(other_repeatable(outcome)),
            }
        }
        Ok(())
    }
}
