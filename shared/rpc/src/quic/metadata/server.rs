//! The serving side.

use std::sync::Arc;

use async_trait::async_trait;
use cairn_model::{NodeId, limits};
use cairn_wire::metadata::entry::Command;
use cairn_wire::metadata::request::Call as Asked;
use cairn_wire::metadata::response::Outcome;
use cairn_wire::metadata::{Entry, Kept, Request, Response};
use prost::Message as _;

use super::failure::to_wire;
use crate::quic::dispatch::{Abort, Handler, ServerCall};
use crate::quic::error::Refusal;
use crate::quic::identity::Peer;
use crate::quic::roles::Call;
use crate::{MetadataError, MetadataService};

/// Serves a metadata replica to other processes.
#[derive(Debug)]
pub struct MetadataHandler {
    service: Arc<dyn MetadataService>,
    group: u32,
}

impl MetadataHandler {
    /// Serves `service`, which is of shard group `group`; calls to another group are refused.
    #[must_use]
    pub fn new(service: Arc<dyn MetadataService>, group: u32) -> Self {
        Self { service, group }
    }

    async fn propose(&self, entry: Entry) -> Result<Outcome, MetadataError> {
        if entry.group != self.group {
            return Err(MetadataError::Refused("another shard group"));
        }
        let unknown = MetadataError::Refused("a command that is not known here");
        let command = entry.command.ok_or(unknown)?;
        let proposed = self
            .service
            .propose(entry.session, entry.operation, command)
            .await;
        proposed.map(Outcome::Reply)
    }

    async fn carry_out(&self, group: u32, asked: Asked) -> Result<Outcome, MetadataError> {
        if group != self.group {
            return Err(MetadataError::Refused("another shard group"));
        }
        match asked {
            Asked::Propose(entry) => self.propose(entry).await,
            Asked::Query(query) => self.service.query(query).await.map(Outcome::Answer),
            Asked::KeepAlive(alive) => {
                self.service.keep_alive(&alive.sessions).await?;
                Ok(Outcome::Kept(Kept {}))
            }
        }
    }
}

fn call_of(asked: &Asked, caller: NodeId) -> Option<Call> {
    match asked {
        Asked::Propose(entry) => match &entry.command {
            Some(command) if is_leaders(command) => None,
            Some(command) if is_about(command, caller) => Some(Call::ProposeOwn),
            _ => Some(Call::Propose),
        },
        Asked::Query(_) => Some(Call::Query),
        Asked::KeepAlive(alive) => {
            (alive.sessions.len() <= limits::RPC_SESSIONS_MAX).then_some(Call::KeepAlive)
        }
    }
}

/// Whether only the leader's own planners, in its own process, may come to this: a delete, a repair or
/// a move rests on what they have seen, which no message can say.
fn is_leaders(command: &Command) -> bool {
    matches!(
        command,
        Command::InitCluster(_)
            | Command::PlaceTable(_)
            | Command::BeginDelete(_)
            | Command::FinishDelete(_)
            | Command::ReleasePage(_)
            | Command::JudgeOrphans(_)
            | Command::ForgetBucket(_)
            | Command::ExpireLeases(_)
            | Command::SettleDebt(_)
            | Command::ClearSuspect(_)
            | Command::BeginMove(_)
            | Command::CutOver(_)
            | Command::AbandonMove(_)
    )
}

/// Whether a command changes nothing but what belongs to `node`, or only asks for a look at what it
/// found damaged.
fn is_about(command: &Command, node: NodeId) -> bool {
    match command {
        Command::MoveNode(moved) => moved.node == node.0,
        Command::AddDisks(added) => added.disks.iter().all(|disk| disk.node == node.0),
        Command::MarkSuspect(_) => true,
        _ => false,
    }
}

#[async_trait]
impl Handler for MetadataHandler {
    async fn handle(&self, peer: &Peer, call: &mut ServerCall) -> Result<(), Abort> {
        let malformed = || Abort::Refuse(Refusal::Malformed);
        // Held to the end: its share of the process's request bytes is given back then.
        let frame = call.next_frame().await?.ok_or_else(malformed)?;
        let request = Request::decode(frame.payload.clone()).map_err(|_| malformed())?;
        let asked = request.call.ok_or_else(malformed)?;
        if !call_of(&asked, peer.node)
            .ok_or_else(malformed)?
            .allows(peer.roles)
        {
            return Err(Abort::Refuse(Refusal::Role));
        }
        let done = self.carry_out(request.group, asked).await;
        let outcome = done.unwrap_or_else(|error| Outcome::Failure(to_wire(error)));
        let outcome = Some(outcome);
        call.send_long(Response { outcome }.encode_to_vec().into())
            .await
    }
}
