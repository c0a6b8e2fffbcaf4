//! Answers HEARTBEAT.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use cairn_model::{NodeId, limits};
use cairn_wire::control::{Control, Heartbeat, control::Body};
use cairn_wire::metadata::DiskStatus;
use prost::Message as _;

use super::dispatch::{Abort, Handler, ServerCall};
use super::error::Refusal;
use super::identity::Peer;

/// Takes what storage nodes say of themselves.
pub trait HeartbeatSink: Send + Sync + fmt::Debug {
    /// `node` is there, and its disks are like this.
    fn heard(&self, node: NodeId, disks: Vec<DiskStatus>);
}

/// Serves the control frames of a connection after HELLO.
#[derive(Clone, Debug)]
pub struct HeartbeatHandler {
    node: NodeId,
    sink: Option<Arc<dyn HeartbeatSink>>,
}

impl HeartbeatHandler {
    /// Answers in the name of `node`.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self { node, sink: None }
    }

    /// Hands on what storage nodes say of themselves.
    #[must_use]
    pub fn reporting(mut self, sink: Arc<dyn HeartbeatSink>) -> Self {
        self.sink = Some(sink);
        self
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
        let speaks_of_disks = !beat.disks.is_empty() && beat.disks.len() <= limits::DISKS_MAX;
        if let Some(sink) = self.sink.as_ref().filter(|_| speaks_of_disks) {
            sink.heard(peer.node, beat.disks);
        }
        let body = Some(Body::Heartbeat(Heartbeat {
            node: self.node.0,
            number: beat.number,
            disks: Vec::new(),
        }));
        call.send(Control { body }.encode_to_vec().into()).await
    }
}
