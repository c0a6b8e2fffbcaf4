//! Raft's calls over the simulated network.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_metadata::raft::{Member, RaftTransport, TransportError};

use super::{Loss, Network, Services};
use crate::process::Process;

/// For one call of Raft; its caller gives up earlier.
const PATIENCE: Duration = Duration::from_secs(5);

/// One voter's side.
pub(crate) struct RaftLines {
    pub(crate) network: Network,
    pub(crate) process: Process,
}

async fn serve(services: Services, from: u64, call: Bytes) -> Option<Bytes> {
    let metadata = services.metadata?;
    Some(metadata.host().handle(from, call).await)
}

#[async_trait]
impl RaftTransport for RaftLines {
    async fn call(&self, target: &Member, call: Bytes) -> Result<Bytes, TransportError> {
        let from = self.process.id;
        if self.network.is_repeated() {
            let (network, process) = (self.network.clone(), self.process.clone());
            let (to, call) = (target.id, call.clone());
            tokio::spawn(async move {
                let again = move |services| serve(services, from, call);
                network.call(&process, to, PATIENCE, again).await
            });
        }
        let served = move |services| serve(services, from, call);
        let answer = self
            .network
            .call(&self.process, target.id, PATIENCE, served);
        match answer.await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(TransportError("no voter is there".to_owned())),
            Err(Loss::NotSent) => Err(TransportError("not sent".to_owned())),
            Err(Loss::NoAnswer) => Err(TransportError("no answer".to_owned())),
        }
    }
}
