//! Answers HEARTBEAT.

use async_trait::async_trait;
use cairn_model::NodeId;
use cairn_wire::control::{Control, Heartbeat, control::Body};
use prost::Message as _;

use super::dispatch::{Abort, Handler, ServerCall};
use super::error::Refusal;
use super::identity::Peer;

/// Serves the control frames of a connection after HELLO.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatHandler {
    node: NodeId,
}

impl HeartbeatHandler {
    /// Answers in the name of `node`.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self { node }
    }
}

#[async_trait]
impl Handler for HeartbeatHandler {
    async fn handle(&self, peer: &Peer, call: &mut ServerCall) -> Result<(), Abort> {
        let malformed = || Abort::Refuse(Refusal::Malformed);
        let request = call.next().await?.ok_or_else(malformed)?;
        let control = Control::decode(request).map_err(|_| malformed())?;
        let Some(Body::Heartbeat(beat)) = control.body else {
            return Err(malformed());
        };
        if beat.node != peer.node.0 {
            return Err(malformed());
        }
        let body = Some(Body::Heartbeat(Heartbeat {
            node: self.node.0,
            number: beat.number,
        }));
        call.send(Control { body }.encode_to_vec().into()).await
    }
}
